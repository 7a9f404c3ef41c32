// SPDX-License-Identifier: MIT
/*
 * driver.c - what sysfs says about a device before it is opened
 *
 * The kernel answers "cannot open" with an errno; who stands in the way is in
 * sysfs.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

#define STEP	"open the device"

void vp2p__driver_of(const char *bdf, char *buf, size_t size)
{
	if (vp2p__link_name(buf, size, "/sys/bus/pci/devices/%s/driver", bdf))
		buf[0] = '\0';
}

int vp2p__check_bound(const char *bdf, struct vp2p_error *err)
{
	char driver[64];

	if (!vp2p__exists("/sys/bus/pci/devices/%s", bdf))
		return vp2p__fail(err, ENODEV, bdf, STEP,
				  "there is no PCI device at this address" MEND
				  "list the devices with: vfio-p2p list");
	vp2p__driver_of(bdf, driver, sizeof(driver));
	if (!strcmp(driver, VP2P_DRIVER))
		return 0;
	if (!vp2p__exists("/sys/bus/pci/drivers/" VP2P_DRIVER))
		return vp2p__fail(err, ENXIO, bdf, STEP,
				  "the kernel module " VP2P_DRIVER " is not loaded" MEND
				  "run: modprobe " VP2P_DRIVER " && vfio-p2p bind %s", bdf);
	if (!driver[0])
		return vp2p__fail(err, ENXIO, bdf, STEP,
				  "it is not bound to any driver" MEND
				  "run: vfio-p2p bind %s", bdf);
	return vp2p__fail(err, ENXIO, bdf, STEP,
			  "it is bound to the driver %s, not to " VP2P_DRIVER MEND
			  "run: vfio-p2p bind %s", driver, bdf);
}

int vp2p__iommu_group(const char *bdf, struct vp2p_error *err)
{
	char group[32];

	if (vp2p__link_name(group, sizeof(group),
			    "/sys/bus/pci/devices/%s/iommu_group", bdf))
		return vp2p__fail(err, EOPNOTSUPP, bdf, STEP,
				  "it is in no IOMMU group: the IOMMU is off" MEND
				  "switch the IOMMU on in the firmware, and boot with "
				  "intel_iommu=on on Intel machines");
	return atoi(group);
}

/* Drivers that leave the DMA of their group to user space. */
static bool shares_group(const char *driver)
{
	return !driver[0] || strstr(driver, "vfio") || !strcmp(driver, "pci-stub") ||
	       !strcmp(driver, "pcieport");
}

bool vp2p__group_offender(int group, char *buf, size_t size)
{
	struct vp2p__names devices;
	char driver[64];
	bool found = false;

	if (vp2p__list(&devices, "/sys/kernel/iommu_groups/%d/devices", group))
		return false;
	for (int i = 0; i < devices.count && !found; i++) {
		vp2p__driver_of(vp2p__name(&devices, i), driver, sizeof(driver));
		found = !shares_group(driver);
		if (found)
			snprintf(buf, size, "%s (%s)", vp2p__name(&devices, i), driver);
	}
	vp2p__list_free(&devices);
	return found;
}

static bool is_foreign(const char *name, const char *bus)
{
	char driver[64];

	if (strncmp(name, bus, strlen(bus)))
		return false;
	vp2p__driver_of(name, driver, sizeof(driver));
	return strstr(driver, "vfio") && strcmp(driver, VP2P_DRIVER);
}

bool vp2p__foreign_sibling(const char *bdf, char *buf, size_t size)
{
	struct vp2p__names devices;
	char bus[VP2P_BDF_LEN], driver[64];
	char *colon;
	bool found = false;

	snprintf(bus, sizeof(bus), "%s", bdf);
	colon = strrchr(bus, ':');
	if (!colon || vp2p__list(&devices, "/sys/bus/pci/devices"))
		return false;
	colon[1] = '\0';
	for (int i = 0; i < devices.count && !found; i++) {
		found = is_foreign(vp2p__name(&devices, i), bus);
		if (!found)
			continue;
		vp2p__driver_of(vp2p__name(&devices, i), driver, sizeof(driver));
		snprintf(buf, size, "%s (%s)", vp2p__name(&devices, i), driver);
	}
	vp2p__list_free(&devices);
	return found;
}
