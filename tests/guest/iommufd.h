/* SPDX-License-Identifier: MIT */
/*
 * What <linux/iommufd.h> and <linux/vfio.h> have of the character device's way.
 * Debian 12's headers are older than it; these are the kernel's numbers, which
 * never change.
 */
#ifndef IOMMUFD_H
#define IOMMUFD_H

#include <linux/ioctl.h>
#include <linux/types.h>
#include <linux/vfio.h>

struct iommufd_ioas {
	__u32 size, flags, out_id;
};

struct iommufd_map {
	__u32 size, flags, ioas, reserved;
	__aligned_u64 from, length, iova;
};

struct iommufd_map_file {
	__u32 size, flags, ioas;
	__s32 fd;
	__aligned_u64 start, length, iova;
};

struct iommufd_unmap {
	__u32 size, ioas;
	__aligned_u64 iova, length;
};

#define IOMMUFD_FIXED_IOVA	(1U << 0)
#define IOMMUFD_WRITEABLE	(1U << 1)
#define IOMMUFD_READABLE	(1U << 2)

#define IOMMUFD_IOAS_ALLOC	_IO(';', 0x81)
#define IOMMUFD_IOAS_MAP	_IO(';', 0x85)
#define IOMMUFD_IOAS_UNMAP	_IO(';', 0x86)
#define IOMMUFD_IOAS_MAP_FILE	_IO(';', 0x8f)

struct iommufd_bind {
	__u32 argsz, flags;
	__s32 iommufd;
	__u32 out_devid;
};

struct iommufd_attach {
	__u32 argsz, flags, pt_id;
};

struct iommufd_detach {
	__u32 argsz, flags;
};

#define IOMMUFD_BIND		_IO(VFIO_TYPE, VFIO_BASE + 18)
#define IOMMUFD_ATTACH		_IO(VFIO_TYPE, VFIO_BASE + 19)
#define IOMMUFD_DETACH		_IO(VFIO_TYPE, VFIO_BASE + 20)

#endif
