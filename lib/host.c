// SPDX-License-Identifier: MIT
/*
 * host.c - the few system calls that tests replace
 *
 * A fake device answers ioctls in the tests; everything else the library does is
 * plain file access, for which a recorded tree is enough.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "internal.h"

static int real_ioctl(int fd, unsigned long request, void *arg)
{
	int rc = ioctl(fd, request, arg);

	return rc < 0 ? -errno : rc;
}

static int real_open(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static ssize_t real_transfer(int fd, bool out, void *buf, size_t length, off_t at)
{
	ssize_t n = out ? pwrite(fd, buf, length, at) : pread(fd, buf, length, at);

	return n < 0 ? -errno : n;
}

struct vp2p__host vp2p__host = {
	.ioctl = real_ioctl,
	.open = real_open,
	.mmap = mmap,
	.transfer = real_transfer,
};

ssize_t vp2p__transfer(int fd, bool out, void *buf, size_t length, off_t at)
{
	ssize_t n;

	do {
		n = vp2p__host.transfer(fd, out, buf, length, at);
	} while (n == -EINTR);
	return n;
}

int vp2p__ioctl(int fd, unsigned long request, void *arg)
{
	return vp2p__host.ioctl(fd, request, arg);
}

int vp2p__open(const char *path, int flags)
{
	char below_root[PATH_MAX];

	vp2p__path(below_root, sizeof(below_root), "%s", path);
	return vp2p__host.open(below_root, flags);
}

int vp2p__feature(int fd, uint32_t flags, void *data, size_t size)
{
	union {
		struct vfio_device_feature hdr;
		char bytes[sizeof(struct vfio_device_feature) + VP2P__FEATURE_MAX];
	} req;
	char *payload = req.bytes + sizeof(req.hdr);
	int rc;

	memset(&req, 0, sizeof(req));
	req.hdr.argsz = (uint32_t)(sizeof(req.hdr) + size);
	req.hdr.flags = flags;
	if (size)
		memcpy(payload, data, size);
	rc = vp2p__ioctl(fd, VFIO_DEVICE_FEATURE, &req);
	if (rc >= 0 && size)
		memcpy(data, payload, size);
	return rc < 0 ? rc : 0;
}
