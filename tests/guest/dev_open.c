// SPDX-License-Identifier: MIT
/*
 * The ways to a device's file descriptor, and to what the device may reach:
 *
 *	group:	/dev/vfio/vfio (container) <- /dev/vfio/GROUP <- device fd
 *	cdev:	/dev/iommu (iommufd) <- /dev/vfio/devices/vfioN, the device fd
 *
 * See dev.h.  There is no third way, and neither stands in for the other: where
 * the character device is asked for and missing, opening fails.
 */
#define _GNU_SOURCE
#include "dev.h"
#include "harness.h"
#include "iommufd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define MAX_DEVICES 64	/* bound to VFIO at a time */

static int result(long ret)
{
	return ret < 0 ? -errno : 0;
}

bool dev_by_cdev(void)
{
	const char *way = getenv("DEV_OPEN");

	return way && !strcmp(way, "cdev");
}

/*
 * The names are tried: the reading of a directory of sysfs into memory that is not there
 * yet closes a circle of the kernel's own locks once a bus has been reset through VFIO,
 * which the debug kernel reports (docs/safety.md).
 */
int dev_cdev(const char *bdf, char *node, size_t n)
{
	char path[128];

	for (int i = 0; i < MAX_DEVICES; i++) {
		snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/vfio-dev/vfio%d", bdf, i);
		if (access(path, F_OK))
			continue;
		snprintf(node, n, "/dev/vfio/devices/vfio%d", i);
		return 0;
	}
	return -ENOENT;
}

int dev_node(const char *bdf, char *node, size_t n)
{
	if (dev_by_cdev())
		return dev_cdev(bdf, node, n);
	snprintf(node, n, "/dev/vfio/%d", h_iommu_group(bdf));
	return 0;
}

/* By the group */

static int open_group(const char *bdf)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	char path[64];
	int group;

	dev_node(bdf, path, sizeof(path));
	group = open(path, O_RDWR | O_CLOEXEC);
	if (group < 0)
		return -errno;
	if (ioctl(group, VFIO_GROUP_GET_STATUS, &status) || !(status.flags & VFIO_GROUP_FLAGS_VIABLE)) {
		close(group);
		return -EPERM;
	}
	return group;
}

static int device_of_group(struct dev *d)
{
	d->fd = ioctl(d->group, VFIO_GROUP_GET_DEVICE_FD, d->bdf);
	return d->fd < 0 ? -errno : 0;
}

/* The first of a container gives it its kind. */
static int by_group(struct dev *d, bool alone)
{
	d->group = open_group(d->bdf);
	if (d->group < 0)
		return d->group;
	if (ioctl(d->group, VFIO_GROUP_SET_CONTAINER, &d->container) ||
	    (alone && ioctl(d->container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU)))
		return -errno;
	return device_of_group(d);
}

/* By the character device */

static int alloc_ioas(struct dev *d)
{
	struct iommufd_ioas ioas = { .size = sizeof(ioas) };
	int err = result(ioctl(d->container, IOMMUFD_IOAS_ALLOC, &ioas));

	d->ioas = ioas.out_id;
	return err;
}

int dev_attach(const struct dev *d)
{
	struct iommufd_attach req = { .argsz = sizeof(req), .pt_id = d->ioas };

	return result(ioctl(d->fd, IOMMUFD_ATTACH, &req));
}

int dev_reattach(const struct dev *d)
{
	struct iommufd_detach req = { .argsz = sizeof(req) };

	return result(ioctl(d->fd, IOMMUFD_DETACH, &req)) ?: dev_attach(d);
}

static int by_cdev(struct dev *d, int mode)
{
	struct iommufd_bind bind = { .argsz = sizeof(bind), .iommufd = d->container };
	char node[64];
	int err = dev_node(d->bdf, node, sizeof(node));

	if (err)
		return err;
	d->cdev = true;
	d->fd = open(node, mode | O_CLOEXEC);
	if (d->fd < 0)
		return -errno;
	return result(ioctl(d->fd, IOMMUFD_BIND, &bind)) ?: dev_attach(d);
}

/* Either */

static int name_it(struct dev *d, const char *bdf)
{
	*d = (struct dev){ .container = -1, .group = -1, .fd = -1 };
	if (!bdf)
		return -ENODEV;
	snprintf(d->bdf, sizeof(d->bdf), "%s", bdf);
	return 0;
}

static int open_steps(struct dev *d, int mode)
{
	d->container = open(dev_by_cdev() ? "/dev/iommu" : "/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	if (d->container < 0)
		return -errno;
	return dev_by_cdev() ? alloc_ioas(d) ?: by_cdev(d, mode) : by_group(d, true);
}

static int open_for(struct dev *d, const char *bdf, int mode)
{
	int err = name_it(d, bdf) ?: open_steps(d, mode);

	if (err)
		dev_close(d);
	return err;
}

int dev_open_bdf(struct dev *d, const char *bdf)
{
	return open_for(d, bdf, O_RDWR);
}

int dev_open_to_read(struct dev *d, const char *role)
{
	return dev_by_cdev() ? open_for(d, h_pci(role), O_RDONLY) : -EOPNOTSUPP;
}

int dev_open(struct dev *d, const char *role)
{
	return dev_open_bdf(d, h_pci(role));
}

/* What failed must not close what is the first one's. */
static int opened_with(struct dev *d, int err)
{
	d->container = -1;
	if (err)
		dev_close(d);
	return err;
}

int dev_open_beside(struct dev *d, const struct dev *first, const char *role)
{
	int err = name_it(d, h_pci(role));

	if (err)
		return err;
	if (first->cdev)
		return dev_open_within(d, first, role);
	d->group = first->group;
	err = device_of_group(d);
	d->group = -1;
	return opened_with(d, err);
}

int dev_open_within(struct dev *d, const struct dev *first, const char *role)
{
	int err = name_it(d, h_pci(role));

	if (err)
		return err;
	d->container = first->container;
	d->ioas = first->ioas;
	return opened_with(d, first->cdev ? by_cdev(d, O_RDWR) : by_group(d, false));
}

/* Resets of the bus */

int dev_hot_reset(const struct dev *d)
{
	struct {
		struct vfio_pci_hot_reset hdr;
		int32_t group;
	} req = { { .argsz = sizeof(req), .count = !d->cdev }, d->group };

	return result(ioctl(d->fd, VFIO_DEVICE_PCI_HOT_RESET, &req));
}

/* What the device may reach */

int dev_dma_map(const struct dev *d, void *at, uint64_t iova, size_t length)
{
	struct vfio_iommu_type1_dma_map type1 = {
		.argsz = sizeof(type1), .flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)at, .iova = iova, .size = length,
	};
	struct iommufd_map ioas = {
		.size = sizeof(ioas), .flags = IOMMUFD_FIXED_IOVA | IOMMUFD_WRITEABLE | IOMMUFD_READABLE,
		.ioas = d->ioas, .from = (uintptr_t)at, .length = length, .iova = iova,
	};

	return result(d->cdev ? ioctl(d->container, IOMMUFD_IOAS_MAP, &ioas) :
				ioctl(d->container, VFIO_IOMMU_MAP_DMA, &type1));
}

int dev_dma_unmap(const struct dev *d, uint64_t iova, size_t length)
{
	struct vfio_iommu_type1_dma_unmap type1 = { .argsz = sizeof(type1), .iova = iova, .size = length };
	struct iommufd_unmap ioas = { .size = sizeof(ioas), .ioas = d->ioas, .iova = iova, .length = length };

	return result(d->cdev ? ioctl(d->container, IOMMUFD_IOAS_UNMAP, &ioas) :
				ioctl(d->container, VFIO_IOMMU_UNMAP_DMA, &type1));
}
