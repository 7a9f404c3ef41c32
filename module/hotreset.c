// SPDX-License-Identifier: GPL-2.0-only
/*
 * hotreset.c - VFIO_DEVICE_PCI_HOT_RESET: several devices at once
 *
 * The reset takes every device on the bus or slot, the dev_set.  All those that
 * this driver drives are quiesced first: every gate is closed and every mapping
 * zapped before the first drain, because one iovec may hold pins of two of them.
 *
 * Core refuses the reset to a caller who does not own the whole set.  Such a
 * caller must not be able to disturb other people's I/O either, so the same is
 * asked here first.  The answers may differ if the set changes in between.  If
 * ours was no and core's is yes, reset_prepare still quiesces, bounded.
 */
#include <linux/cleanup.h>
#include <linux/file.h>
#include <linux/slab.h>

#include "p2p.h"

/* A bus has 256 functions. */
#define P2P_SET_MAX 256

/**
 * struct p2p_set - the devices of a hot reset
 * @devices: ours, each with a registration reference, so that none goes away.
 * @nr: how many.
 * @files: the group files that the caller owns.
 * @nr_files: how many.
 * @ictx: or the iommufd context.
 */
struct p2p_set {
	struct p2p_device *devices[P2P_SET_MAX];
	unsigned int nr;
	struct file *files[P2P_SET_MAX];
	unsigned int nr_files;
	struct iommufd_ctx *ictx;
};

static void p2p_set_free(struct p2p_set *set)
{
	if (!set)
		return;
	while (set->nr)
		vfio_device_put_registration(&set->devices[--set->nr]->core.vdev);
	while (set->nr_files)
		fput(set->files[--set->nr_files]);
	kfree(set);
}
DEFINE_FREE(p2p_set, struct p2p_set *, p2p_set_free(_T))

static bool p2p_set_get_owner(struct p2p_set *set, struct p2p_device *dev,
			      unsigned long arg)
{
	struct vfio_pci_hot_reset __user *user = (void __user *)arg;
	struct vfio_pci_hot_reset hdr;
	u32 i;

	if (copy_from_user(&hdr, user, sizeof(hdr)) || hdr.argsz < sizeof(hdr) ||
	    hdr.flags || hdr.count > P2P_SET_MAX ||
	    !!hdr.count == vfio_device_cdev_opened(&dev->core.vdev))
		return false;

	if (!hdr.count) {
		set->ictx = vfio_iommufd_device_ictx(&dev->core.vdev);
		return set->ictx;
	}
	for (i = 0; i < hdr.count; i++) {
		s32 fd;

		if (get_user(fd, &user->group_fds[i]))
			return false;
		set->files[i] = fget(fd);
		if (!set->files[i])
			return false;
		set->nr_files++;
	}
	return true;
}

static bool p2p_set_owns(const struct p2p_set *set, struct vfio_device *vdev)
{
	unsigned int i;
	int id;

	if (set->ictx) {
		id = vfio_iommufd_get_dev_id(vdev, set->ictx);
		return id > 0 || id == -ENOENT;
	}
	for (i = 0; i < set->nr_files; i++)
		if (vfio_file_has_dev(set->files[i], vdev))
			return true;
	return false;
}

/* All of the dev_set, or nothing. */
static bool p2p_set_get_devices(struct p2p_set *set, struct vfio_device_set *dev_set)
{
	struct vfio_device *cur;

	guard(mutex)(&dev_set->lock);
	list_for_each_entry(cur, &dev_set->device_list, dev_set_list) {
		if (!p2p_set_owns(set, cur))
			return false;
		if (!p2p_is_ours(cur))
			continue;
		if (set->nr == P2P_SET_MAX || !vfio_device_try_get_registration(cur))
			return false;
		set->devices[set->nr++] = p2p_from_vfio(cur);
	}
	return true;
}

static bool p2p_can_reset(struct pci_dev *pdev)
{
	return !pci_probe_reset_slot(pdev->slot) || !pci_probe_reset_bus(pdev->bus);
}

static long p2p_set_reset(struct p2p_set *set, struct p2p_device *dev,
			  unsigned long arg)
{
	unsigned int i;
	long ret;

	for (i = 0; i < set->nr; i++)
		p2p_revoke_close(set->devices[i], P2P_VFIO_CAUSE_HOT_RESET);

	ret = p2p_revoke_drain_all(dev, set->devices, set->nr);
	if (!ret)
		ret = vfio_pci_core_ioctl(&dev->core.vdev,
					  VFIO_DEVICE_PCI_HOT_RESET, arg);

	for (i = 0; i < set->nr; i++) {
		if (!ret)
			p2p_error_mended(set->devices[i]);
		p2p_revoke_open(set->devices[i], !ret);
	}
	return ret;
}

/**
 * p2p_hot_reset - the ioctl
 * @dev: the device it came through.
 * @arg: struct vfio_pci_hot_reset in user memory.
 *
 * Return: as vfio-pci-core, and EBUSY and ERESTARTSYS.
 */
long p2p_hot_reset(struct p2p_device *dev, unsigned long arg)
{
	struct p2p_set *set __free(p2p_set) = kzalloc(sizeof(*set), GFP_KERNEL_ACCOUNT);

	if (!set)
		return -ENOMEM;

	if (!p2p_can_reset(dev->core.pdev) || !p2p_set_get_owner(set, dev, arg) ||
	    !p2p_set_get_devices(set, dev->core.vdev.dev_set))
		/* Core will find the fault as well, and has the errno for it. */
		return vfio_pci_core_ioctl(&dev->core.vdev,
					   VFIO_DEVICE_PCI_HOT_RESET, arg);

	return p2p_set_reset(set, dev, arg);
}
