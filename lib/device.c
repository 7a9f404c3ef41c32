// SPDX-License-Identifier: MIT
/* device.c - open, attach, close; BARs */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "internal.h"

/* Flags of a line in sysfs' "resource": linux/ioport.h, which is not exported. */
#define IORESOURCE_IO		0x00000100
#define IORESOURCE_PREFETCH	0x00002000
#define IORESOURCE_MEM_64	0x00100000

static struct vp2p_device *device_alloc(void)
{
	struct vp2p_device *dev = calloc(1, sizeof(*dev));

	if (dev)
		dev->fd = dev->iommu_fd = dev->group_fd = -1;
	return dev;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

void vp2p_close(struct vp2p_device *dev)
{
	if (!dev)
		return;
	if (!dev->attached) {
		/* The device before its group, the group before the container. */
		close_fd(dev->fd);
		close_fd(dev->group_fd);
		close_fd(dev->iommu_fd);
	}
	free(dev);
}

const char *vp2p__address(const struct vp2p_device *dev)
{
	return dev->bdf[0] ? dev->bdf : "ADDRESS";
}

static int fail_gone(const struct vp2p_device *dev, const char *step,
		     struct vp2p_error *err)
{
	return vp2p__fail(err, ENODEV, dev->name, step, "the device has gone" MEND
			  "plug it in or bind it again, then open it anew");
}

/* A device of another driver has no windows, plain vfio-pci has no such feature. */
static int check_feature(const struct vp2p_device *dev, const char *step,
			 struct vp2p_error *err)
{
	int rc = vp2p__feature(dev->fd, VFIO_DEVICE_FEATURE_PROBE |
			       VFIO_DEVICE_FEATURE_SET | P2P_VFIO_FEATURE_WINDOW,
			       NULL, 0);

	if (!rc)
		return 0;
	if (rc == -ENODEV)
		return fail_gone(dev, step, err);
	return vp2p__fail(err, ENXIO, dev->name, step,
			  "its driver has no peer-to-peer windows (%s): it is bound to "
			  "plain vfio-pci or another variant of it" MEND
			  "close it and run: vfio-p2p bind %s", vp2p__errno_name(-rc),
			  vp2p__address(dev));
}

/* Who has been given the group's node alone is to use that, if there is one. */
static bool prefers_cdev(const char *bdf, const char *node)
{
	return (vp2p__may_open(node) && vp2p__may_open("/dev/iommu")) ||
	       !vp2p__exists("/dev/vfio/%d", vp2p__iommu_group(bdf, NULL));
}

static int open_some_way(struct vp2p_device *dev, unsigned int flags,
			 struct vp2p_error *err)
{
	bool wanted = flags & VP2P_OPEN_CDEV;
	char node[64];

	if (!(flags & VP2P_OPEN_GROUP) && vp2p__has_cdev(dev->bdf, node) &&
	    (wanted || prefers_cdev(dev->bdf, node)))
		return vp2p__open_cdev(dev, node, err);
	if (wanted)
		return vp2p__fail(err, EOPNOTSUPP, dev->bdf, "open the device",
				  "it has no character device below /dev/vfio/devices, or "
				  "there is no /dev/iommu" MEND
				  "open it through its group, or use a kernel with "
				  "CONFIG_IOMMUFD and CONFIG_VFIO_DEVICE_CDEV");
	return vp2p__open_group(dev, err);
}

int vp2p_open(const char *bdf, unsigned int flags, struct vp2p_device **out,
	      struct vp2p_error *err)
{
	const unsigned int known = VP2P_OPEN_GROUP | VP2P_OPEN_CDEV;
	struct vp2p_device *dev;
	int rc;

	if ((flags & ~known) || flags == known)
		return vp2p__fail(err, EINVAL, bdf ? bdf : "(no address)",
				  "open the device", "flags 0x%x are not defined" MEND
				  "give 0, VP2P_OPEN_GROUP or VP2P_OPEN_CDEV", flags);
	dev = device_alloc();
	if (!dev)
		return vp2p__fail(err, ENOMEM, bdf ? bdf : "(no address)",
				  "open the device", "out of memory" MEND "free some");

	rc = vp2p_bdf_normalize(bdf, dev->bdf, err);
	if (rc)
		goto out_close;
	snprintf(dev->name, sizeof(dev->name), "%s", dev->bdf);
	rc = vp2p__check_bound(dev->bdf, err);
	if (!rc)
		rc = open_some_way(dev, flags, err);
	if (!rc)
		rc = check_feature(dev, "open the device", err);
	if (rc)
		goto out_close;
	*out = dev;
	return 0;

out_close:
	vp2p_close(dev);
	return rc;
}

/* Linux 6.17 and later name the device in fdinfo: "vfio-device-syspath: /sys/..." */
static bool bdf_from_fdinfo(int fd, char bdf[VP2P_BDF_LEN])
{
	static const char key[] = "vfio-device-syspath:";
	char path[64], line[PATH_MAX];
	bool found = false;
	FILE *f;

	vp2p__path(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	f = fopen(path, "re");
	if (!f)
		return false;
	while (!found && fgets(line, sizeof(line), f)) {
		char *slash = strrchr(line, '/');

		if (strncmp(line, key, strlen(key)) || !slash)
			continue;
		slash[1 + strcspn(slash + 1, "\n")] = '\0';
		found = !vp2p_bdf_normalize(slash + 1, bdf, NULL);
	}
	fclose(f);
	return found;
}

static bool bdf_from_cdev(int fd, char bdf[VP2P_BDF_LEN])
{
	char name[64];
	struct stat st;

	return !fstat(fd, &st) && S_ISCHR(st.st_mode) &&
	       !vp2p__link_name(name, sizeof(name), "/sys/dev/char/%u:%u/device",
				major(st.st_rdev), minor(st.st_rdev)) &&
	       !vp2p_bdf_normalize(name, bdf, NULL);
}

static int check_vfio(const struct vp2p_device *dev, struct vp2p_error *err)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	int rc = vp2p__ioctl(dev->fd, VFIO_DEVICE_GET_INFO, &info);

	if (rc == -EBADF)
		return vp2p__fail(err, EBADF, dev->name, "attach to the device",
				  "the file descriptor is not open" MEND
				  "give the fd of VFIO_GROUP_GET_DEVICE_FD, or that of the "
				  "character device");
	if (rc >= 0 && (info.flags & VFIO_DEVICE_FLAGS_PCI))
		return 0;
	if (rc == -ENODEV)
		return fail_gone(dev, "attach to the device", err);
	return vp2p__fail(err, ENOTTY, dev->name, "attach to the device",
			  "the file descriptor is no VFIO PCI device, or one that is not "
			  "bound to an iommufd yet" MEND
			  "give the fd of VFIO_GROUP_GET_DEVICE_FD, or that of the character "
			  "device after VFIO_DEVICE_BIND_IOMMUFD");
}

/* Where the fd tells its address, it must be the one that the caller gave. */
static int find_address(struct vp2p_device *dev, const char *bdf,
			struct vp2p_error *err)
{
	char told[VP2P_BDF_LEN] = "";
	int rc;

	if (!bdf_from_fdinfo(dev->fd, told) && !bdf_from_cdev(dev->fd, told))
		told[0] = '\0';
	if (!bdf) {
		memcpy(dev->bdf, told, sizeof(told));
		return 0;
	}
	rc = vp2p_bdf_normalize(bdf, dev->bdf, err);
	if (rc || !told[0] || !strcmp(told, dev->bdf))
		return rc;
	return vp2p__fail(err, EINVAL, dev->bdf, "attach to the device",
			  "file descriptor %d is that of %s" MEND
			  "give that address, or NULL to have it found", dev->fd, told);
}

int vp2p_attach(int device_fd, const char *bdf, struct vp2p_device **out,
		struct vp2p_error *err)
{
	struct vp2p_device *dev = device_alloc();
	int rc;

	if (!dev)
		return vp2p__fail(err, ENOMEM, bdf ? bdf : "VFIO device",
				  "attach to the device", "out of memory" MEND "free some");
	dev->fd = device_fd;
	dev->attached = true;
	rc = find_address(dev, bdf, err);
	if (dev->bdf[0])
		snprintf(dev->name, sizeof(dev->name), "%s", dev->bdf);
	else
		snprintf(dev->name, sizeof(dev->name), "VFIO device (fd %d)", device_fd);

	if (!rc)
		rc = check_vfio(dev, err);
	if (!rc)
		rc = check_feature(dev, "attach to the device", err);
	if (rc) {
		vp2p_close(dev);
		return rc;
	}
	*out = dev;
	return 0;
}

int vp2p_device_fd(const struct vp2p_device *dev)
{
	return dev->fd;
}

int vp2p_iommu_fd(const struct vp2p_device *dev)
{
	return dev->iommu_fd;
}

int vp2p_group_fd(const struct vp2p_device *dev)
{
	return dev->group_fd;
}

int vp2p_device_uses_cdev(const struct vp2p_device *dev)
{
	return dev->cdev;
}

const char *vp2p_device_bdf(const struct vp2p_device *dev)
{
	return dev->bdf;
}

int vp2p__region(const struct vp2p_device *dev, unsigned int index,
		 struct vfio_region_info **out)
{
	uint32_t size = sizeof(struct vfio_region_info);
	struct vfio_region_info *info;
	int rc;

	/* The second round has room for the capabilities. */
	for (;;) {
		info = calloc(1, size);
		if (!info)
			return -ENOMEM;
		info->argsz = size;
		info->index = index;
		rc = vp2p__ioctl(dev->fd, VFIO_DEVICE_GET_REGION_INFO, info);
		if (rc < 0) {
			free(info);
			return rc;
		}
		if (info->argsz <= size)
			break;
		size = info->argsz;
		free(info);
	}
	*out = info;
	return 0;
}

/* Adds what only sysfs knows. */
static void bar_from_sysfs(const char *bdf, unsigned int bar, struct vp2p_bar *info)
{
	uint64_t start, end, flags;
	char text[1024], *line = text;
	char path[PATH_MAX];
	ssize_t n;
	int fd;

	vp2p__path(path, sizeof(path), "/sys/bus/pci/devices/%s/resource", bdf);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	while (bar-- && line) {
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
	if (!line || sscanf(line, "%" SCNx64 " %" SCNx64 " %" SCNx64,
			    &start, &end, &flags) != 3)
		return;
	info->bus_address = start;
	info->flags |= (flags & IORESOURCE_IO ? VP2P_BAR_IO : 0) |
		       (flags & IORESOURCE_PREFETCH ? VP2P_BAR_PREFETCH : 0) |
		       (flags & IORESOURCE_MEM_64 ? VP2P_BAR_64 : 0);
}

int vp2p_bar_info(const struct vp2p_device *dev, unsigned int bar,
		  struct vp2p_bar *out, struct vp2p_error *err)
{
	struct vfio_region_info *info;
	struct vp2p_bar result = { 0 };
	int rc;

	if (bar > 5)
		return vp2p__fail(err, EINVAL, dev->name, "describe a BAR",
				  "there is no BAR %u" MEND "give 0 to 5", bar);
	rc = vp2p__region(dev, VFIO_PCI_BAR0_REGION_INDEX + bar, &info);
	if (rc)
		return vp2p__fail(err, -rc, dev->name, "describe a BAR",
				  "VFIO_DEVICE_GET_REGION_INFO of BAR %u failed: %s" MEND
				  "check that the device is still there", bar,
				  strerror(-rc));

	result.size = info->size;
	result.flags = (info->flags & VFIO_REGION_INFO_FLAG_READ ? VP2P_BAR_READ : 0) |
		       (info->flags & VFIO_REGION_INFO_FLAG_WRITE ? VP2P_BAR_WRITE : 0) |
		       (info->flags & VFIO_REGION_INFO_FLAG_MMAP ? VP2P_BAR_MMAP : 0);
	free(info);
	if (dev->bdf[0])
		bar_from_sysfs(dev->bdf, bar, &result);
	*out = result;
	return 0;
}
