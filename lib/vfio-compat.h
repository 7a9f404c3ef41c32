/* SPDX-License-Identifier: MIT */
/*
 * vfio-compat.h - <linux/vfio.h>, completed where the build host's is old
 *
 * The character device interface came with Linux 6.6, VFIO_DEVICE_FEATURE with
 * 5.7.  These are the kernel's numbers, fixed for ever.
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

#endif /* VP2P_VFIO_COMPAT_H */
