/* SPDX-License-Identifier: MIT */
/* doctor_device.c - can a program open this device, and is it alone in that? */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "doctor.h"
#include "open.h"
#include "pci_path.h"
#include "sysfs.h"
#include "text.h"
#include "vfio_users.h"

static const char *driver_of(const char *bdf)
{
	return link_target(device_path(bdf, "driver"));
}

static bool check_presence(struct doctor *doctor, const char *bdf)
{
	struct findings *findings = &doctor->findings;
	const struct device *device = device_load(bdf);
	const char *name;

	if (!device) {
		found(findings, FOUND_FAIL, "device", bdf,
		      "there is no such PCI device",
		      "vfio-p2p list --all shows the devices");
		return false;
	}
	if (device_is_bridge(device)) {
		found(findings, FOUND_FAIL, "device", bdf,
		      "it is a bridge, which cannot be bound",
		      "name a device with memory: vfio-p2p list");
		return false;
	}
	name = device_name(device);
	found(findings, FOUND_OK, "device", bdf,
	      text("%s%s[%04x:%04x]", name, *name ? " " : "", device->vendor,
		   device->product), NULL);
	doctor->device = device;
	return true;
}

static bool check_driver(struct findings *findings, const struct device *device)
{
	if (device_is_ours(device)) {
		found(findings, FOUND_OK, "driver", device->bdf,
		      "bound to " DRIVER_NAME, NULL);
		return true;
	}
	found(findings, FOUND_FAIL, "driver", device->bdf,
	      device->driver ? text("bound to %s, not to " DRIVER_NAME,
				    device->driver) :
	      "bound to no driver",
	      text("vfio-p2p bind %s", device->bdf));
	return false;
}

static const char *group_type(int group)
{
	const char *type = attribute_read(host_path("/sys/kernel/iommu_groups/"
						    "%d/type", group));

	return type && *type ? type : "of unknown type";
}

static bool check_group(struct findings *findings, const struct device *device)
{
	char **peer = device_group_peers(device);
	const char *peers = NULL;

	if (device->group == NO_GROUP) {
		found(findings, FOUND_FAIL, "iommu-group", device->bdf,
		      "it is in no IOMMU group, which VFIO needs",
		      "switch the IOMMU on in the firmware; on Intel also boot "
		      "with intel_iommu=on");
		return false;
	}
	for (; *peer; peer++) {
		const char *driver = driver_of(*peer);

		if (!driver_allows_group(driver)) {
			found(findings, FOUND_FAIL, "iommu-group", device->bdf,
			      text("group %d has %s as well, bound to %s",
				   device->group, *peer, driver),
			      text("bind all of the group (vfio-p2p bind %s %s), "
				   "or put the device into another slot",
				   device->bdf, *peer));
			return false;
		}
		peers = text_list(peers, *peer);
	}
	found(findings, FOUND_OK, "iommu-group", device->bdf,
	      text("group %d (%s) %s%s", device->group,
		   group_type(device->group), peers ? "with " : "alone",
		   peers ? peers : ""), NULL);
	return true;
}

/* Are the two reset together?  A root bus has no reset, nor has a VF a bus one. */
static bool has_siblings(const char *bdf)
{
	struct pci_path path;

	return !path_exists(device_path(bdf, "physfn")) &&
	       pci_path_load(bdf, &path) && path.count > 1;
}

static void check_siblings(struct findings *findings, const char *bdf)
{
	size_t bus = strlen(bdf) - strlen("00.0");
	char **name = directory_names(host_path("/sys/bus/pci/devices"));
	const char *list = NULL, *foreign = NULL;

	for (; has_siblings(bdf) && *name; name++) {
		const char *driver = driver_of(*name);

		if (strncmp(*name, bdf, bus) || !strcmp(*name, bdf))
			continue;
		list = text_list(list, *name);
		if (driver && strstr(driver, "vfio") &&
		    strcmp(driver, DRIVER_NAME))
			foreign = text("%s is bound to %s", *name, driver);
	}
	if (foreign)
		found(findings, FOUND_FAIL, "siblings", bdf,
		      text("%s, whose resets would take this device unasked",
			   foreign),
		      "bind all functions of the card with vfio-p2p bind");
	else
		found(findings, FOUND_OK, "siblings", bdf,
		      list ? text("reset together with %s, none under another "
				  "VFIO driver", list) :
		      "nothing is reset together with it", NULL);
}

/* The nearest port above it whose slot pciehp serves, or NULL. */
static const char *pciehp_port(const char *bdf)
{
	char **services = directory_names(host_path("/sys/bus/pci_express/drivers/pciehp"));
	struct pci_path path;
	unsigned int i;

	if (!pci_path_load(bdf, &path))
		return NULL;
	for (i = 1; i < path.count; i++) {
		const char *prefix = text("%s:", path.bdf[i]);
		char **service = services;

		for (; *service; service++)
			if (!strncmp(*service, prefix, strlen(prefix)))
				return text("%s", path.bdf[i]);
	}
	return NULL;
}

static bool interrupts_are_threads(void)
{
	const char *options = attribute_read(host_path("/proc/cmdline"));

	return attribute_u64(host_path("/sys/kernel/realtime"), 0) == 1 ||
	       (options && strstr(options, "threadirqs"));
}

/*
 * pciehp wakes its own thread by irq_wake_thread().  Where the kernel has made a
 * thread of the handler before it, that one is woken instead (7.3's
 * irq_setup_forced_threading()), and what was asked for is never done.
 */
static void check_hotplug(struct findings *findings, const char *bdf)
{
	const char *polls = attribute_read(host_path("/sys/module/pciehp/parameters/"
						     "pciehp_poll_mode"));
	const char *port = pciehp_port(bdf);

	if (!port)
		return;
	if (interrupts_are_threads() && polls && strcmp(polls, "Y"))
		found(findings, FOUND_WARNING, "hotplug", bdf,
		      text("with threads for interrupts (PREEMPT_RT, threadirqs) pciehp "
			   "does not act on the button of %s, nor, after a reset of the "
			   "slot, on a device that is pulled", port),
		      "boot with pciehp.pciehp_poll_mode=1");
	else
		found(findings, FOUND_OK, "hotplug", bdf,
		      text("pciehp serves the slot of %s", port), NULL);
}

static bool may_open(const char *node)
{
	return !access(node, R_OK | W_OK);
}

/* The node that vp2p_open() would take, the device's or its group's; or NULL. */
static const char *node_of(const struct device *device)
{
	char **cdev = directory_names(device_path(device->bdf, "vfio-dev"));
	const char *iommu = host_path("/dev/iommu");
	const char *group = host_path("/dev/vfio/%d", device->group);
	const char *node = *cdev ? host_path("/dev/vfio/devices/%s", *cdev) : NULL;

	if (!path_exists(group))
		group = NULL;
	if (node && path_exists(node) && path_exists(iommu) &&
	    (!group || (may_open(node) && may_open(iommu))))
		return node;
	return group;
}

static bool check_access(struct findings *findings, const struct device *device)
{
	const char *node = node_of(device);

	if (!node) {
		found(findings, FOUND_FAIL, "access", device->bdf,
		      text("there is no node for it: /dev/vfio/%d", device->group),
		      "into a container pass /dev/vfio/vfio and that node; "
		      "outside see that udev runs");
		return false;
	}
	if (!may_open(node)) {
		found(findings, FOUND_UNKNOWN, "access", device->bdf,
		      text("this user may not open %s", node),
		      "run as root, or give the node to the user who is to "
		      "have the device");
		return false;
	}
	found(findings, FOUND_OK, "access", device->bdf, text("%s", node), NULL);
	return true;
}

/* Whom it waits for: a user, or I/O that outlived one. */
static void found_in_use(struct doctor *doctor, const char *bdf, const char *state)
{
	const char *cause = attribute_read(device_path(bdf, "p2p_vfio/revoke_cause"));
	const char *users = vfio_users(doctor->device);

	if (!users && cause && !strcmp(cause, "close"))
		found(&doctor->findings, FOUND_UNKNOWN, "state", bdf,
		      text("%s: I/O of a former user still holds pages of a window, "
			   "so nobody can open it", state),
		      text("vfio-p2p status %s shows which window; docs/operations.md "
			   "how to end that", bdf));
	else
		found(&doctor->findings, FOUND_UNKNOWN, "state", bdf,
		      text("%s: open by %s; so the kernel is not asked for "
			   "routes, and nothing is proven", state,
			   users ? users : "a process that cannot be seen from here"),
		      "stop that program and run doctor again");
}

static bool check_state(struct doctor *doctor, const char *bdf)
{
	const char *state = attribute_read(device_path(bdf, "p2p_vfio/state"));

	if (!state) {
		found(&doctor->findings, FOUND_UNKNOWN, "state", bdf,
		      "the driver shows no p2p_vfio/state",
		      "use the tool and the module of one release");
		return true;
	}
	if (!strcmp(state, "closed")) {
		found(&doctor->findings, FOUND_OK, "state", bdf,
		      "closed: nobody has it open", NULL);
		return true;
	}
	doctor->busy = true;
	if (!strcmp(state, "gone"))
		found(&doctor->findings, FOUND_FAIL, "state", bdf,
		      "gone: removed, or its error recovery failed",
		      text("vfio-p2p unbind %s, reset or reseat it, bind again",
			   bdf));
	else
		found_in_use(doctor, bdf, state);
	return false;
}

void doctor_device(struct doctor *doctor)
{
	const char *bdf = doctor->args.place.bdf;
	bool bound, viable;

	if (!check_presence(doctor, bdf))
		return;
	bound = check_driver(&doctor->findings, doctor->device);
	viable = check_group(&doctor->findings, doctor->device);
	check_siblings(&doctor->findings, bdf);
	check_hotplug(&doctor->findings, bdf);
	if (!bound || !viable)
		return;
	doctor->usable = check_access(&doctor->findings, doctor->device);
	if (!check_state(doctor, bdf))
		doctor->usable = false;
}

void doctor_open(struct doctor *doctor)
{
	const char *bdf = doctor->args.place.bdf;
	struct vp2p_error err;

	if (!doctor->usable || doctor->args.no_open ||
	    doctor->findings.count[FOUND_FAIL])
		return;
	if (!open_device(bdf, &doctor->dev, &err)) {
		found(&doctor->findings, FOUND_OK, "open", bdf,
		      "opened, which has reset it", NULL);
		return;
	}
	doctor->busy = err.code == EBUSY;
	found(&doctor->findings, doctor->busy ? FOUND_UNKNOWN : FOUND_FAIL,
	      "open", bdf, text("could not %s: %s", err.step, err.cause),
	      text("%s", err.remedy));
}
