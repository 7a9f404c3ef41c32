/* SPDX-License-Identifier: MIT */
/*
 * bind.c - vfio-p2p bind: from the host's driver to p2p-vfio-pci
 *
 * Everything that can be known beforehand is checked for every device before the
 * first is touched; whatever fails later puts all of them back.
 */
#include "cli.h"

#include <stdio.h>
#include <string.h>
#include <vfio-p2p.h>

#include "device.h"
#include "driver.h"
#include "holders.h"
#include "interrupt.h"
#include "open.h"
#include "operands.h"
#include "record.h"
#include "report.h"
#include "sysfs.h"
#include "text.h"
#include "vfio_users.h"
#include "window.h"
#include "window_add.h"

struct bind_args {
	struct operands devices;
	struct span *windows;
	unsigned int window_count;
	bool force;
};

/* struct target - one device on its way */
struct target {
	const struct device *device;
	struct record former;
	bool taken;		/* by this run; to be put back on failure */
	const char *windows;	/* those that this run registered, or found */
	const char *news;	/* what to say once all has succeeded */
};

enum { KEY_WINDOW = 'w', KEY_FORCE = 'f' };

static const struct argp_option options[] = {
	{ "window", KEY_WINDOW, "BAR[+OFFSET[,LENGTH]]", 0,
	  "Register this range as a window, so that users without privilege can "
	  "use it; may be repeated, and holds for every DEVICE", 0 },
	{ "force", KEY_FORCE, NULL, 0,
	  "Take the device even if mounted file systems, swap, arrays or "
	  "network interfaces use it", 0 },
	{ 0 }
};

static error_t add_window(struct bind_args *args, const char *string,
			  const struct argp_state *state)
{
	struct span span;
	const char *wrong = parse_window(string, &span);

	if (wrong) {
		fail(EXIT_USAGE, NULL, "read --window",
		     text("'%s' %s", string, wrong),
		     "write it as in --window 2, --window 2+16M or "
		     "--window 2+16M,32M");
		return PARSE_FAILED;
	}
	if (!args->windows)
		args->windows = keep(state->argc * sizeof(*args->windows));
	args->windows[args->window_count++] = span;
	return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct bind_args *args = state->input;

	switch (key) {
	case KEY_WINDOW:
		return add_window(args, arg, state);
	case KEY_FORCE:
		args->force = true;
		return 0;
	case ARGP_KEY_ARG:
		return operands_add(&args->devices, arg, state);
	case ARGP_KEY_NO_ARGS:
		return operands_missing(state);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static int check_kind(const struct device *device)
{
	if (device_is_bridge(device))
		return fail(EXIT_IMPOSSIBLE, device->bdf, "bind it",
			    "it is a bridge", "choose a device (vfio-p2p list)");
	if (device->group == NO_GROUP)
		return fail(EXIT_IMPOSSIBLE, device->bdf, "bind it",
			    "it is in no IOMMU group: the IOMMU is off",
			    "enable VT-d or AMD-Vi in the firmware, and boot "
			    "with intel_iommu=on (AMD: it is on by default)");
	return EXIT_OK;
}

static int check_group(const struct device *device,
		       const struct operands *operands)
{
	char **peer = device_group_peers(device);
	const char *blocking = NULL;
	const char *together = device->bdf;

	for (; *peer; peer++) {
		const struct device *other = device_load(*peer);

		if (!other || operands_have(operands, *peer) ||
		    device_is_bridge(other) ||
		    driver_allows_group(other->driver))
			continue;
		blocking = text_list(blocking, text("%s (%s)", *peer,
						    other->driver));
		together = text("%s %s", together, *peer);
	}
	if (!blocking)
		return EXIT_OK;
	return fail(EXIT_IMPOSSIBLE, device->bdf, "bind it",
		    text("the host's drivers have other devices of its IOMMU "
			 "group %d: %s", device->group, blocking),
		    text("give up the whole group: vfio-p2p bind %s",
			 together));
}

/*
 * A driver of VFIO's does not let go of a device that is open: the write to its
 * "unbind" would wait, deaf to signals, until the last user has gone.
 */
static int check_open(const struct device *device)
{
	const char *users = NULL;

	if (device->driver && !device_is_ours(device) &&
	    (strstr(device->driver, "vfio") ||
	     path_exists(device_path(device->bdf, "vfio-dev"))))
		users = vfio_users(device);
	if (!users)
		return EXIT_OK;
	return fail(EXIT_BUSY, device->bdf, "bind it",
		    text("%s has it, and it is open by %s", device->driver,
			 users), "end these processes first");
}

static int check_users(const struct device *device)
{
	const char *users = device_users(device->bdf);

	if (!users)
		return EXIT_OK;
	return fail(EXIT_REFUSED, device->bdf, "bind it",
		    text("the host uses it: %s", users),
		    "unmount and stop these first; --force takes the device "
		    "from under them");
}

static int check(const struct device *device, const struct bind_args *args)
{
	int rc = check_kind(device);

	if (!rc)
		rc = check_group(device, &args->devices);
	if (!rc)
		rc = windows_check(device, args->windows, args->window_count);
	if (!rc)
		rc = check_open(device);
	if (!rc && !args->force && !device_is_ours(device))
		rc = check_users(device);
	return rc;
}

/*
 * A "bind" that was killed has left its override: what it found then is what the
 * device is to get back, not what it has left.  Return: 0 or -errno.
 */
static int remember(struct target *target)
{
	const struct device *device = target->device;

	if (device->override && !strcmp(device->override, DRIVER_NAME) &&
	    !record_load(device->bdf, &target->former))
		return 0;
	target->former = (struct record){
		.driver = device->driver,
		.override = device->override,
	};
	return record_save(device->bdf, &target->former);
}

static int take(struct target *target)
{
	const struct device *device = target->device;
	int error;

	error = remember(target);
	if (error)
		return fail(EXIT_FAILED, device->bdf,
			    "remember its present driver",
			    text("%s: %s", record_path(device->bdf),
				 strerror(-error)), "run as root");
	target->taken = true;
	return driver_take(device);
}

static void put_back(struct target *targets, unsigned int count)
{
	while (count--) {
		const char *bdf = targets[count].device->bdf;

		if (!targets[count].taken) {
			if (targets[count].windows)
				note("vfio-p2p: %s: stays as it was, but has %s",
				     bdf, targets[count].windows);
			continue;
		}
		if (driver_give_back(bdf, &targets[count].former))
			continue;	/* the record stays, for "unbind" */
		record_remove(bdf);
		note("vfio-p2p: %s: put back to %s", bdf,
		     targets[count].former.driver ?
		     targets[count].former.driver : "no driver");
	}
}

static int register_windows(struct target *target, const struct bind_args *args)
{
	const struct device *device = target->device;
	struct vp2p_device *dev;
	struct vp2p_error err;
	int rc = EXIT_OK;
	unsigned int i;

	if (!args->window_count)
		return EXIT_OK;
	if (open_device(device->bdf, &dev, &err))
		return report_open(&err);
	for (i = 0; !rc && i < args->window_count; i++) {
		const char *window;

		rc = window_add(dev, device, &args->windows[i], &window);
		if (rc)
			break;
		target->news = text("%s%s: %s\n", target->news, device->bdf, window);
		target->windows = target->windows ?
				  text("%s; %s", target->windows, window) : window;
	}
	vp2p_close(dev);
	return rc;
}

static const char *describe(const struct target *target)
{
	const struct device *device = target->device;

	if (!target->taken)
		return text("%s: is bound to " DRIVER_NAME " already\n",
			    device->bdf);
	return text("%s: bound to " DRIVER_NAME ", was %s\n", device->bdf,
		    device->driver ? device->driver : "unbound");
}

static int check_interrupt(const struct target *target)
{
	if (!interrupt_seen())
		return EXIT_OK;
	return interrupt_fail(target->device->bdf, "bind it");
}

static int bind_all(struct target *targets, const struct bind_args *args)
{
	unsigned int count = args->devices.count;
	unsigned int i;
	int rc = EXIT_OK;

	/* From here on all of it is done, or undone: no signal may cut it off. */
	interrupt_catch(true);
	for (i = 0; !rc && i < count; i++) {
		if (!device_is_ours(targets[i].device))
			rc = take(&targets[i]);
		if (!rc)
			rc = check_interrupt(&targets[i]);
	}
	/* Windows last: a group can be opened once all of it is taken. */
	for (i = 0; !rc && i < count; i++) {
		targets[i].news = describe(&targets[i]);
		rc = register_windows(&targets[i], args);
		if (!rc)
			rc = check_interrupt(&targets[i]);
	}
	if (rc)
		put_back(targets, count);
	for (i = 0; !rc && i < count; i++)
		fputs(targets[i].news, stdout);
	return rc;
}

static int run(const struct command *command, int argc, char **argv)
{
	struct bind_args args = { 0 };
	int rc = command_parse(command, argc, argv, &args);
	struct target *targets;
	unsigned int i;

	if (rc)
		return rc;
	targets = keep(args.devices.count * sizeof(*targets));
	for (i = 0; i < args.devices.count; i++) {
		const char *bdf = args.devices.bdf[i];

		targets[i].device = device_load(bdf);
		if (!targets[i].device)
			return fail(EXIT_IMPOSSIBLE, bdf, "bind it",
				    "there is no such PCI device",
				    "vfio-p2p list --all shows the devices");
		rc = check(targets[i].device, &args);
		if (rc)
			return rc;
	}
	rc = driver_load_module();
	return rc ? rc : bind_all(targets, &args);
}

const struct command bind_command = {
	.name = "bind",
	.summary = "Take devices from the host's drivers to p2p-vfio-pci",
	.usage = "DEVICE...",
	.examples =
	"  vfio-p2p bind 0000:03:00.0 --window 2         all of BAR 2\n"
	"  vfio-p2p bind 03:00.0 --window 2+16M,32M      32 MiB from 16 MiB on\n"
	"  vfio-p2p bind 03:00.0 03:00.1                 a whole IOMMU group\n",
	.details =
	"Binds by driver_override, so no other device of the same kind is "
	"claimed.  What was bound before is remembered in /run/vfio-p2p for "
	"'unbind'.  All devices are checked before the first is touched, and if "
	"anything fails, or a signal asks for the end, all are put back.  A "
	"device that carries mounted file systems, swap, md or dm members, or a "
	"network interface that is up, is refused (status 6), one that a program "
	"has open through another VFIO driver, too (status 4).  A window needs "
	"host memory, at most 1/64 of its size, and lasts until unbind or "
	"'window remove'.",
	.options = options,
	.parse = parse,
	.run = run,
};
