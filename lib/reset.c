// SPDX-License-Identifier: MIT
/*
 * reset.c - resets that the owner asks for
 *
 * The function's own reset needs the device's fd only.  A hot reset takes every
 * function of the slot or bus, so the kernel wants to see that the caller owns them
 * all: by the fds of their groups, or by the iommufd that they are bound to.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "internal.h"

#define HOT	"hot reset the device"

/* What the two kinds of reset may answer alike. */
static int fail_reset(const struct vp2p_device *dev, const char *step, int code,
		      struct vp2p_error *err)
{
	struct vp2p_state state = { 0 };

	switch (code) {
	case EBUSY:
		vp2p_get_state(dev, &state, NULL);
		return vp2p__fail(err, EBUSY, dev->name, step,
				  "DMA to or from its windows did not end in time, %" PRIu64
				  " folios are pinned; the device is untouched and "
				  "works on" MEND
				  "end that I/O, then try again: storage that hangs, io_uring "
				  "or AIO requests nobody reaps, a file system that waits; or "
				  "raise drain_timeout_ms of the module", state.pinned_folios);
	case EINTR:
		return vp2p__fail(err, EINTR, dev->name, step,
				  "a signal ended the wait for DMA; the device is untouched"
				  MEND "call again");
	default:
		return vp2p__fail(err, code, dev->name, step, "the kernel refused it: %s" MEND
				  "see the kernel log (dmesg)", strerror(code));
	}
}

int vp2p_reset(const struct vp2p_device *dev, struct vp2p_error *err)
{
	int rc = vp2p__ioctl(dev->fd, VFIO_DEVICE_RESET, NULL);

	if (rc >= 0)
		return 0;
	if (rc != -EINVAL && rc != -ENOTTY && rc != -EOPNOTSUPP)
		return fail_reset(dev, "reset the device", -rc, err);
	return vp2p__fail(err, EOPNOTSUPP, dev->name, "reset the device",
			  "it has no function-level reset" MEND
			  "use vp2p_hot_reset(), which resets its whole slot or bus");
}

/* A bus has 256 functions. */
union affected {
	struct vfio_pci_hot_reset_info info;
	char room[sizeof(struct vfio_pci_hot_reset_info) +
		  256 * sizeof(struct vfio_pci_dependent_device)];
};

/*
 * Names a function that the reset would take and should not: one that is not ours,
 * or, once the kernel has refused, one that VFIO does not drive.
 */
static int check_affected(const struct vp2p_device *dev,
			  const struct vfio_pci_hot_reset_info *info, bool refused,
			  struct vp2p_error *err)
{
	const bool by_id = info->flags & VFIO_PCI_HOT_RESET_FLAG_DEV_ID;
	const int group = by_id ? -1 : vp2p__iommu_group(dev->bdf, NULL);
	char bdf[VP2P_BDF_LEN], driver[64];

	for (uint32_t i = 0; i < info->count && i < 256; i++) {
		const struct vfio_pci_dependent_device *it = &info->devices[i];
		const struct vp2p__bdf parts = { it->segment, it->bus, it->devfn };
		bool ours = by_id ? (int)it->group_id != VFIO_PCI_DEVID_NOT_OWNED :
				    (int)it->group_id == group;

		vp2p__bdf_print(&parts, bdf);
		vp2p__driver_of(bdf, driver, sizeof(driver));
		if (ours && (!refused || strstr(driver, "vfio")))
			continue;
		return vp2p__fail(err, EXDEV, dev->name, HOT,
				  "%s (driver %s) would be reset with it, and %s" MEND "%s",
				  bdf, driver[0] ? driver : "none",
				  ours ? "VFIO does not drive it" :
				  by_id ? "is not bound to this device's iommufd" :
				  "is in another IOMMU group",
				  ours ? "bind it too (vfio-p2p bind)" :
				  by_id ? "bind it to the same iommufd (vp2p_iommu_fd())" :
				  "open it too, and call VFIO_DEVICE_PCI_HOT_RESET with the fds "
				  "of both groups (vp2p_group_fd())");
	}
	return 0;
}

int vp2p_hot_reset(const struct vp2p_device *dev, struct vp2p_error *err)
{
	union affected all = { .info = { .argsz = sizeof(all) } };
	union {
		struct vfio_pci_hot_reset hdr;
		char room[sizeof(struct vfio_pci_hot_reset) + sizeof(int32_t)];
	} req = { .hdr = { .argsz = sizeof(req) } };
	int rc = vp2p__ioctl(dev->fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &all);

	if (rc == -ENODEV || rc == -ENOTTY)
		return vp2p__fail(err, EOPNOTSUPP, dev->name, HOT,
				  "neither its slot nor its bus can be reset" MEND
				  "use vp2p_reset() if it has a function-level reset");
	if (rc < 0)
		return fail_reset(dev, HOT, -rc, err);

	/* With the character device it is the iommufd that shows who owns what. */
	if (!(all.info.flags & VFIO_PCI_HOT_RESET_FLAG_DEV_ID)) {
		if (dev->group_fd < 0)
			return vp2p__fail(err, EOPNOTSUPP, dev->name, HOT,
					  "the application has opened it and has its group's fd"
					  MEND "call VFIO_DEVICE_PCI_HOT_RESET with that fd");
		req.hdr.count = 1;
		memcpy(req.room + sizeof(req.hdr), &dev->group_fd, sizeof(int32_t));
	}
	rc = check_affected(dev, &all.info, false, err);
	if (rc)
		return rc;
	rc = vp2p__ioctl(dev->fd, VFIO_DEVICE_PCI_HOT_RESET, &req);
	if (rc == -EINVAL && check_affected(dev, &all.info, true, err))
		return -EXDEV;
	return rc < 0 ? fail_reset(dev, HOT, -rc, err) : 0;
}
