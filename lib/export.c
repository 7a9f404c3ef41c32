// SPDX-License-Identifier: MIT
/* export.c - an fd for a part of a window, which is not the device's */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

#include "internal.h"

static const char step[] = "export a window";

_Static_assert((int)VP2P_EXPORT_RDONLY == (int)P2P_VFIO_EXPORT_READ_ONLY, "the kernel's flag");

static int fail_export(const struct vp2p_device *dev, int code, struct vp2p_error *err)
{
	switch (code) {
	case ENOTTY:
		return vp2p__fail(err, EOPNOTSUPP, dev->name, step,
				  "the driver is older than this library and cannot" MEND
				  "use the module of this release, or pass the device's own fd "
				  "to whom you trust with the device");
	case EACCES:
		return vp2p__fail(err, code, dev->name, step,
				  "the device's fd is open for reading only, so its memory "
				  "cannot be lent to be written" MEND
				  "give VP2P_EXPORT_RDONLY, or open the device with O_RDWR");
	case EMFILE:
	case ENFILE:
		return vp2p__fail(err, code, dev->name, step,
				  "no file is left, of this process or of the system: %s" MEND
				  "raise ulimit -n or fs.file-max, or close some",
				  strerror(code));
	case ENOMEM:
		return vp2p__fail(err, code, dev->name, step,
				  "no memory for the file" MEND "free some, then call again");
	default:
		return vp2p__fail(err, code, dev->name, step,
				  "the driver refused: %s" MEND
				  "check that the device is still there and its fd open",
				  strerror(code));
	}
}

/* The driver takes the range from a mapping of it; no page of this one is touched. */
int vp2p_window_export(const struct vp2p_window *win, uint64_t offset, uint64_t length,
		       unsigned int flags, int *fd, struct vp2p_error *err)
{
	const struct vp2p_device *dev = win->dev;
	struct p2p_vfio_export export = { .flags = flags };
	void *at;
	int rc;

	if (flags & ~(unsigned int)VP2P_EXPORT_RDONLY)
		return vp2p__fail(err, EINVAL, dev->name, step,
				  "flags 0x%x are not defined" MEND
				  "give 0 or VP2P_EXPORT_RDONLY", flags);
	rc = vp2p__map_window(win, step, offset, &length, PROT_NONE, &at, err);
	if (rc)
		return rc;
	export.address = (uintptr_t)at;
	export.length = length;
	rc = vp2p__feature(dev->fd, VFIO_DEVICE_FEATURE_SET | P2P_VFIO_FEATURE_EXPORT,
			   &export, sizeof(export));
	munmap(at, length);
	if (rc)
		return fail_export(dev, -rc, err);
	*fd = export.fd;
	return 0;
}
