/* SPDX-License-Identifier: MIT */
/* unbind.c - vfio-p2p unbind: back to the driver a device had before "bind" */
#include "cli.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "device.h"
#include "driver.h"
#include "operands.h"
#include "progress.h"
#include "record.h"
#include "sysfs.h"
#include "text.h"
#include "vfio_users.h"

#define POLL_US		100000
#define WAIT_LIMIT	(24 * 3600)

struct unbind_args {
	struct operands devices;
	unsigned int wait;	/* seconds */
};

enum { KEY_WAIT = 'w' };

static const struct argp_option options[] = {
	{ "wait", KEY_WAIT, "SECONDS", 0,
	  "If a device is open, wait this long for it to be closed (default 0)",
	  0 },
	{ 0 }
};

static error_t parse_wait(struct unbind_args *args, const char *string)
{
	uint64_t seconds;
	const char *wrong = parse_size(string, &seconds);

	if (!wrong && seconds > WAIT_LIMIT)
		wrong = text("is more than a day (%d)", WAIT_LIMIT);
	if (wrong) {
		fail(EXIT_USAGE, NULL, "read --wait",
		     text("'%s' %s", string, wrong),
		     "give a number of seconds, as in --wait 10");
		return PARSE_FAILED;
	}
	args->wait = seconds;
	return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct unbind_args *args = state->input;

	switch (key) {
	case KEY_WAIT:
		return parse_wait(args, arg);
	case ARGP_KEY_ARG:
		return operands_add(&args->devices, arg, state);
	case ARGP_KEY_NO_ARGS:
		return operands_missing(state);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* By the driver's own word where it gives one, else by looking for openers. */
static bool is_open(const struct device *device)
{
	const char *state = attribute_read(device_path(device->bdf,
						       "p2p_vfio/state"));

	if (state)
		return strcmp(state, "closed");
	return vfio_users(device);
}

/*
 * The kernel would wait in the write to "unbind", for as long as it takes and
 * deaf to signals: so nothing is written while somebody has the device open.
 */
static int wait_until_closed(const struct device *device, unsigned int seconds)
{
	double end = monotonic_seconds() + seconds;
	const char *users;

	while (is_open(device)) {
		if (monotonic_seconds() < end) {
			usleep(POLL_US);
			continue;
		}
		users = vfio_users(device);
		return fail(EXIT_BUSY, device->bdf, "unbind it",
			    text("it is open by %s", users ? users :
				 "a process that cannot be seen from here"),
			    users ? "end these processes, or give them time "
				    "with --wait SECONDS" :
				    "run as root to see which");
	}
	return EXIT_OK;
}

static int unbind(const char *bdf, unsigned int seconds)
{
	const struct device *device = device_load(bdf);
	struct record former = { 0 };
	const char *now;
	int missing, rc;

	if (!device)
		return fail(EXIT_IMPOSSIBLE, bdf, "unbind it",
			    "there is no such PCI device",
			    "vfio-p2p status shows what is bound");
	if (!device_is_ours(device))
		return fail(EXIT_FAILED, bdf, "unbind it",
			    device->driver ?
			    text("it is bound to %s, not to " DRIVER_NAME,
				 device->driver) : "it is bound to no driver",
			    "vfio-p2p status shows what is bound");
	rc = wait_until_closed(device, seconds);
	if (rc)
		return rc;
	missing = record_load(bdf, &former);
	if (missing == -EBADMSG)
		note("vfio-p2p: %s: %s cannot be understood; the kernel "
		     "chooses a driver", bdf, record_path(bdf));
	rc = driver_give_back(bdf, missing ? NULL : &former);
	if (rc)
		return rc;
	record_remove(bdf);
	now = link_target(device_path(bdf, "driver"));
	printf("%s: %s%s\n", bdf, now ? "bound to " : "no driver is bound",
	       now ? now : "");
	return EXIT_OK;
}

static int run(const struct command *command, int argc, char **argv)
{
	struct unbind_args args = { 0 };
	int rc = command_parse(command, argc, argv, &args);
	unsigned int i;

	if (rc)
		return rc;
	/* One that fails does not keep the others; the first failure counts. */
	for (i = 0; i < args.devices.count; i++) {
		int one = unbind(args.devices.bdf[i], args.wait);

		if (!rc)
			rc = one;
	}
	return rc;
}

const struct command unbind_command = {
	.name = "unbind",
	.summary = "Give devices back to the drivers they had",
	.usage = "DEVICE...",
	.examples = "  vfio-p2p unbind 0000:03:00.0\n"
		    "  vfio-p2p unbind --wait 10 03:00.0 03:00.1\n",
	.details = "Restores the driver and the driver_override that 'bind' "
		   "found.  If they are not known, driver_override is cleared "
		   "and the kernel chooses.  A device that a process has open "
		   "is left alone, and the process is named (status 4).  "
		   "Windows end here.",
	.options = options,
	.parse = parse,
	.run = run,
};
