// SPDX-License-Identifier: MIT
/*
 * container.c - the two ways to a VFIO device's file descriptor
 *
 *	group:	/dev/vfio/vfio (container) <- /dev/vfio/GROUP <- device fd
 *	cdev:	/dev/iommu (iommufd) <- /dev/vfio/devices/vfioN, the device fd
 *
 * Neither maps anything for DMA: windows need none, and what the device itself
 * may reach is its owner's decision.  On failure the caller closes what is open.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "internal.h"

#define STEP	"open the device"

static int fail_viable(const struct vp2p_device *dev, int group,
		       struct vp2p_error *err)
{
	char who[96];

	if (!vp2p__group_offender(group, who, sizeof(who)))
		snprintf(who, sizeof(who), "a device of the group");
	return vp2p__fail(err, EPERM, dev->bdf, STEP,
			  "IOMMU group %d is not viable: %s is bound to a host driver" MEND
			  "bind every device of the group to a VFIO driver or to none "
			  "(vfio-p2p bind, or driver/unbind in sysfs)", group, who);
}

/* The container or the iommufd. */
static int open_iommu(struct vp2p_device *dev, const char *node, const char *module,
		      struct vp2p_error *err)
{
	int fd = vp2p__open(node, O_RDWR);

	if (fd >= 0) {
		dev->iommu_fd = fd;
		return 0;
	}
	if (fd == -EACCES || fd == -EPERM)
		return vp2p__fail(err, EACCES, dev->bdf, STEP,
				  "no permission to open %s" MEND
				  "make it readable and writable for this user, or run as root",
				  node);
	if (fd == -ENOENT || fd == -ENODEV || fd == -ENXIO)
		return vp2p__fail(err, EOPNOTSUPP, dev->bdf, STEP,
				  "there is no %s" MEND "run: modprobe %s",
				  node, module);
	return vp2p__fail(err, -fd, dev->bdf, STEP, "opening %s failed: %s" MEND
			  "see the kernel log (dmesg)", node, strerror(-fd));
}

static int fail_own(const struct vp2p_device *dev, struct vp2p_error *err)
{
	return vp2p__fail(err, EBUSY, dev->bdf, STEP,
			  "this process has it open already (a mapping that is not yet "
			  "unmapped counts)" MEND
			  "use that one (vp2p_attach()), or vp2p_unmap() its mappings and "
			  "vp2p_close() it first");
}

/* The node of the other way in, if there is one: who has that keeps us out, too. */
static bool other_node(const struct vp2p_device *dev, const char *node, char other[64])
{
	int group;

	if (strncmp(node, "/dev/vfio/devices/", 18))
		return vp2p__has_cdev(dev->bdf, other);
	group = vp2p__iommu_group(dev->bdf, NULL);
	snprintf(other, 64, "/dev/vfio/%d", group);
	return group >= 0;
}

/* @who is left as it is if nobody is seen. */
static enum vp2p__holder look_further(const char *name, char *who, size_t size)
{
	char seen[96];
	enum vp2p__holder holder = vp2p__holder(name, 0, seen, sizeof(seen));

	if (holder != VP2P__NOT_SEEN)
		snprintf(who, size, "%s", seen);
	return holder;
}

/* Who has it, by either way, or an export; @own fds of @node are this very call's. */
static enum vp2p__holder find_holder(const struct vp2p_device *dev, const char *node,
				     int own, char *who, size_t size)
{
	enum vp2p__holder holder = vp2p__holder(node, own, who, size);
	char other[64];

	if (holder == VP2P__NOT_SEEN && other_node(dev, node, other))
		holder = look_further(other, who, size);
	if (holder == VP2P__NOT_SEEN) {
		snprintf(other, sizeof(other), "anon_inode:[vfio-p2p-window:%s]", dev->bdf);
		holder = look_further(other, who, size);
	}
	return holder;
}

static int fail_node(const struct vp2p_device *dev, const char *node, int code,
		     struct vp2p_error *err)
{
	char who[96];

	switch (code) {
	case EACCES:
	case EPERM:
		return vp2p__fail(err, EACCES, dev->bdf, STEP,
				  "no permission to open %s" MEND
				  "run: chown USER %s (a udev rule makes it last), "
				  "or run as root", node, node);
	case EBUSY:
		if (find_holder(dev, node, dev->fd >= 0, who, sizeof(who)) == VP2P__SELF)
			return fail_own(dev, err);
		return vp2p__fail(err, EBUSY, dev->bdf, STEP,
				  "%s is held by %s" MEND
				  "end that process, or have it pass on its device fd",
				  node, who);
	case ENOENT:
	case ENODEV:
	case ENXIO:
		return vp2p__fail(err, ENODEV, dev->bdf, STEP,
				  "the device node %s is missing" MEND
				  "check that devtmpfs is mounted on /dev and visible here "
				  "(containers: pass the node in)", node);
	default:
		return vp2p__fail(err, code, dev->bdf, STEP,
				  "opening %s failed: %s" MEND
				  "see the kernel log (dmesg)", node, strerror(code));
	}
}

/* Nobody else's word for it: the driver knows. */
static bool is_open(const struct vp2p_device *dev)
{
	char state[32];

	return !vp2p__read_line(state, sizeof(state),
				"/sys/bus/pci/devices/%s/p2p_vfio/state", dev->bdf) &&
	       strcmp(state, "closed");
}

/* What means something else, or nothing, through the character device. */
static int fail_bind(const struct vp2p_device *dev, const char *node, int group, int code,
		     struct vp2p_error *err)
{
	char who[96];

	/* One that is open is not opened again: EINVAL, as for much else. */
	if (code == EINVAL &&
	    (find_holder(dev, node, 1, who, sizeof(who)) != VP2P__NOT_SEEN || is_open(dev)))
		return fail_node(dev, node, EBUSY, err);
	if (code != EPERM)
		return 0;
	return vp2p__fail(err, EBUSY, dev->bdf, STEP,
			  "another function of IOMMU group %d is open through another iommufd"
			  MEND "open both by one: VFIO_DEVICE_BIND_IOMMUFD of this one's "
			  "character device with the other's iommufd (vp2p_iommu_fd()), then "
			  "vp2p_attach()", group);
}

/* The device refused to be opened, though its node could be. */
static int fail_device(const struct vp2p_device *dev, const char *node, int group,
		       int code, struct vp2p_error *err)
{
	char who[96];
	int rc;

	if ((code == EBUSY || code == EPERM || code == EINVAL) &&
	    vp2p__group_offender(group, who, sizeof(who)))
		return fail_viable(dev, group, err);
	rc = dev->group_fd < 0 ? fail_bind(dev, node, group, code, err) : 0;
	if (rc)
		return rc;

	/* One fd of the node is this very call's. */
	if (code == EBUSY && find_holder(dev, node, 1, who, sizeof(who)) == VP2P__SELF)
		return fail_own(dev, err);
	if (code == EBUSY)
		return vp2p__fail(err, EBUSY, dev->bdf, STEP,
				  "DMA of a former owner still holds pages of its windows, "
				  "or %s has it open" MEND
				  "wait for that I/O to end (vfio-p2p status %s shows the "
				  "pinned folios), then try again", who, dev->bdf);
	return vp2p__fail(err, code, dev->bdf, STEP,
			  "the driver refused to open it: %s" MEND
			  "see the kernel log (dmesg)", strerror(code));
}

static int join_container(struct vp2p_device *dev, int group,
			  struct vp2p_error *err)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	int rc;

	rc = vp2p__ioctl(dev->group_fd, VFIO_GROUP_GET_STATUS, &status);
	if (rc >= 0 && !(status.flags & VFIO_GROUP_FLAGS_VIABLE))
		return fail_viable(dev, group, err);
	if (rc >= 0)
		rc = vp2p__ioctl(dev->group_fd, VFIO_GROUP_SET_CONTAINER,
				 &dev->iommu_fd);
	if (rc >= 0)
		rc = vp2p__ioctl(dev->iommu_fd, VFIO_SET_IOMMU,
				 (void *)(uintptr_t)VFIO_TYPE1v2_IOMMU);
	if (rc >= 0)
		return 0;
	return vp2p__fail(err, -rc, dev->bdf, STEP,
			  "IOMMU group %d cannot be attached to a type 1 container: %s" MEND
			  "load vfio_iommu_type1; if the IOMMU cannot remap interrupts see "
			  "the kernel log", group, strerror(-rc));
}

int vp2p__open_group(struct vp2p_device *dev, struct vp2p_error *err)
{
	char node[64];
	int group, rc;

	group = vp2p__iommu_group(dev->bdf, err);
	if (group < 0)
		return group;
	rc = open_iommu(dev, "/dev/vfio/vfio", "vfio", err);
	if (rc)
		return rc;

	snprintf(node, sizeof(node), "/dev/vfio/%d", group);
	dev->group_fd = vp2p__open(node, O_RDWR);
	if (dev->group_fd < 0)
		return fail_node(dev, node, -dev->group_fd, err);
	rc = join_container(dev, group, err);
	if (rc)
		return rc;

	dev->fd = vp2p__ioctl(dev->group_fd, VFIO_GROUP_GET_DEVICE_FD, dev->bdf);
	if (dev->fd < 0)
		return fail_device(dev, node, group, -dev->fd, err);
	return 0;
}

bool vp2p__has_cdev(const char *bdf, char node[64])
{
	struct vp2p__names names;
	bool found;

	if (vp2p__list(&names, "/sys/bus/pci/devices/%s/vfio-dev", bdf))
		return false;
	found = names.count > 0;
	if (found)
		snprintf(node, 64, "/dev/vfio/devices/%.40s", vp2p__name(&names, 0));
	vp2p__list_free(&names);
	return found && vp2p__exists("%s", node) && vp2p__exists("/dev/iommu");
}

int vp2p__open_cdev(struct vp2p_device *dev, const char *node, struct vp2p_error *err)
{
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind) };
	int group, rc;

	group = vp2p__iommu_group(dev->bdf, err);
	if (group < 0)
		return group;
	rc = open_iommu(dev, "/dev/iommu", "iommufd", err);
	if (rc)
		return rc;
	dev->fd = vp2p__open(node, O_RDWR);
	if (dev->fd < 0)
		return fail_node(dev, node, -dev->fd, err);

	bind.iommufd = dev->iommu_fd;
	rc = vp2p__ioctl(dev->fd, VFIO_DEVICE_BIND_IOMMUFD, &bind);
	if (rc < 0)
		return fail_device(dev, node, group, -rc, err);
	dev->cdev = true;
	return 0;
}
