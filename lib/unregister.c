// SPDX-License-Identifier: MIT
/*
 * unregister.c - the end of a window
 *
 * The driver decides, since other processes may map it and have I/O on it; what it
 * refuses is only explained here.
 */
#include <errno.h>
#include <string.h>

#include "internal.h"

static int fail_unregister(const struct vp2p_window *win, int code, struct vp2p_error *err)
{
	static const char step[] = "unregister a window";
	const struct vp2p_device *dev = win->dev;

	switch (code) {
	case EBUSY:
		return vp2p__fail(err, code, dev->name, step,
				  "window %u is mapped, by this process or another one, or DMA "
				  "holds pages of it, or a reset or the like waits for DMA on "
				  "the device" MEND
				  "unmap it everywhere and let the I/O end, then call again "
				  "(vfio-p2p status %s shows what is pinned)", win->id,
				  vp2p__address(dev));
	case EOPNOTSUPP:
		return vp2p__fail(err, code, dev->name, step,
				  "window %u has its pages from the kernel's pool (provider "
				  "standard), which takes none back while the device is bound" MEND
				  "unbind the device, which ends all its windows (vfio-p2p "
				  "status %s says why they are of that provider)", win->id,
				  vp2p__address(dev));
	case EINVAL:
		return vp2p__fail(err, EOPNOTSUPP, dev->name, step,
				  "the driver is older than this library and keeps window %u "
				  "until unbind" MEND "use the module of this release, or unbind "
				  "the device: vfio-p2p unbind %s", win->id,
				  vp2p__address(dev));
	case ENOENT:
		return vp2p__fail(err, code, dev->name, step,
				  "the device has no window %u any more" MEND
				  "destroy the handle: there is nothing to give back", win->id);
	case EPERM:
		return vp2p__fail(err, code, dev->name, step,
				  "it needs CAP_SYS_ADMIN, as registering does" MEND
				  "close the device and have root run: vfio-p2p window remove "
				  "%s %u", vp2p__address(dev), win->id);
	default:
		return vp2p__fail(err, code, dev->name, step,
				  "the driver refused to give back window %u: %s" MEND
				  "check that the device is still there and its fd open",
				  win->id, strerror(code));
	}
}

int vp2p_window_unregister(struct vp2p_window *win, struct vp2p_error *err)
{
	struct p2p_vfio_window kwin = {
		.flags = P2P_VFIO_WINDOW_UNREGISTER,
		.id = win->id,
	};
	int rc = vp2p__feature(win->dev->fd,
			       VFIO_DEVICE_FEATURE_SET | P2P_VFIO_FEATURE_WINDOW, &kwin,
			       sizeof(kwin));

	if (rc)
		return fail_unregister(win, -rc, err);
	vp2p_window_destroy(win);
	return 0;
}
