/* SPDX-License-Identifier: MIT */
/*
 * vfio-compat.h - <linux/vfio.h>, completed where the build host's is old
 *
 * The character device interface came with Linux 6.6, VFIO_DEVICE_FEATURE with
 * 5.7.  These are the kernel's numbers, fixed for ever.
 *
 * With the character device struct vfio_pci_dependent_device tells an iommufd
 * device id in the place of the group's number.
 */
#ifndef VP2P_VFIO_COMPAT_H
#define VP2P_VFIO_COMPAT_H

#include <linux/vfio.h>

#ifndef VFIO_DEVICE_BIND_IOMMUFD
struct vfio_device_bind_iommufd {
	__u32 argsz;
	__u32 flags;
	__s32 iommufd;
	__u32 out_devid;
};

#define VFIO_DEVICE_BIND_IOMMUFD	_IO(VFIO_TYPE, VFIO_BASE + 18)
#endif

#ifndef VFIO_PCI_HOT_RESET_FLAG_DEV_ID
#define VFIO_PCI_HOT_RESET_FLAG_DEV_ID	(1 << 0)
#define VFIO_PCI_DEVID_NOT_OWNED	-1
#endif

#endif /* VP2P_VFIO_COMPAT_H */
