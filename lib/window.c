// SPDX-License-Identifier: MIT
/*
 * window.c - windows
 *
 * The kernel's errno says which rule was broken; the numbers that broke it are
 * here.  So the rules are checked before the kernel is asked, and what only the
 * kernel can know is looked up again once it has refused.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

#define STEP	"register a window"

_Static_assert(VP2P_GRANULE == P2P_VFIO_GRANULE, "the kernel's granule");
_Static_assert(VP2P_MAX_WINDOWS == P2P_VFIO_MAX_WINDOWS, "the kernel's limit");
_Static_assert((int)VP2P_WINDOW_WC == (int)P2P_VFIO_WINDOW_WC, "the kernel's flag");

/* What a caller asked for. */
struct request {
	unsigned int bar;
	unsigned int flags;
	uint64_t offset;
	uint64_t length;
};

static int check_bar(const struct vp2p_device *dev, const struct request *req,
		     const struct vp2p_bar *bar, struct vp2p_error *err)
{
	if (!bar->size)
		return vp2p__fail(err, ENXIO, dev->name, STEP,
				  "the device has no BAR %u" MEND
				  "look for its memory BAR with: vfio-p2p list", req->bar);
	if (bar->flags & VP2P_BAR_IO)
		return vp2p__fail(err, ENXIO, dev->name, STEP,
				  "BAR %u is an I/O port BAR" MEND
				  "give a memory BAR", req->bar);
	if (!(bar->flags & VP2P_BAR_MMAP))
		return vp2p__fail(err, ENXIO, dev->name, STEP,
				  "BAR %u cannot be mapped" MEND
				  "give a memory BAR of at least one page", req->bar);
	if (!vp2p__aligned(bar->bus_address, VP2P_GRANULE))
		return vp2p__fail(err, EINVAL, dev->name, STEP,
				  "BAR %u lies at bus address 0x%" PRIx64 ", no multiple of "
				  "2 MiB" MEND "use a BAR of 2 MiB or more; those are aligned",
				  req->bar, bar->bus_address);
	if ((req->flags & VP2P_WINDOW_WC) && dev->bdf[0] &&
	    !(bar->flags & VP2P_BAR_PREFETCH))
		return vp2p__fail(err, EOPNOTSUPP, dev->name, STEP,
				  "BAR %u is not prefetchable, so it cannot be mapped "
				  "write-combining" MEND "leave out the WC flag", req->bar);
	return 0;
}

/* @limit is the largest value that would do, not necessarily aligned. */
static int fail_alignment(const struct vp2p_device *dev, const char *what,
			  uint64_t value, uint64_t limit, struct vp2p_error *err)
{
	uint64_t most = vp2p__round_down(limit, VP2P_GRANULE);

	return vp2p__fail(err, EINVAL, dev->name, STEP,
			  "%s %" PRIu64 " is not a multiple of 2097152 (2 MiB)" MEND
			  "use %" PRIu64, what, value,
			  value < most ? vp2p__round_up(value, VP2P_GRANULE) : most);
}

static int check_range(const struct vp2p_device *dev, const struct request *req,
		       uint64_t size, struct vp2p_error *err)
{
	uint64_t need = req->length > VP2P_GRANULE && req->length <= size ?
			req->length : VP2P_GRANULE;
	uint64_t room = req->offset < size ? size - req->offset : 0;

	if (size >= need && !vp2p__aligned(req->offset, VP2P_GRANULE))
		return fail_alignment(dev, "offset", req->offset, size - need, err);
	if (!req->length || (room < VP2P_GRANULE && !vp2p__aligned(req->length, VP2P_GRANULE)))
		return vp2p__fail(err, EINVAL, dev->name, STEP,
				  "BAR %u of %" PRIu64 " bytes has less than 2 MiB from "
				  "offset %" PRIu64 " on" MEND "use a %s", req->bar, size,
				  req->offset, size < VP2P_GRANULE ? "larger BAR" :
				  "lower offset");
	if (!vp2p__aligned(req->length, VP2P_GRANULE))
		return fail_alignment(dev, "length", req->length, room, err);
	if (!vp2p__within(req->offset, req->length, size))
		return vp2p__fail(err, ERANGE, dev->name, STEP,
				  "offset %" PRIu64 " and length %" PRIu64 " end beyond BAR %u "
				  "of %" PRIu64 " bytes" MEND "%s", req->offset, req->length,
				  req->bar, size, size < VP2P_GRANULE ? "use a larger BAR" :
				  room < VP2P_GRANULE ? "use a lower offset" :
				  "give length 0 for all there is");
	return 0;
}

/* Checks @req and replaces a length of 0. */
static int check_request(const struct vp2p_device *dev, struct request *req,
			 struct vp2p_error *err)
{
	struct vp2p_bar bar;
	int rc;

	if (req->flags & ~(unsigned int)VP2P_WINDOW_WC)
		return vp2p__fail(err, EINVAL, dev->name, STEP,
				  "flags 0x%x are not defined" MEND
				  "give 0 or VP2P_WINDOW_WC", req->flags);
	rc = vp2p_bar_info(dev, req->bar, &bar, err);
	if (!rc)
		rc = check_bar(dev, req, &bar, err);
	if (rc)
		return rc;
	if (!req->length && req->offset < bar.size)
		req->length = vp2p__round_down(bar.size - req->offset, VP2P_GRANULE);
	return check_range(dev, req, bar.size, err);
}

static int get(const struct vp2p_device *dev, uint32_t id, uint32_t flags,
	       struct p2p_vfio_window *kwin)
{
	*kwin = (struct p2p_vfio_window){ .id = id, .flags = flags };
	return vp2p__feature(dev->fd, VFIO_DEVICE_FEATURE_GET | P2P_VFIO_FEATURE_WINDOW,
			     kwin, sizeof(*kwin));
}

/*
 * The first window that has a byte of the range; 0 or -errno, -ENOENT if none has.
 * Windows that have been unregistered leave holes among the numbers.
 */
static int find_overlap(const struct vp2p_device *dev, const struct request *req,
			struct p2p_vfio_window *other)
{
	for (uint32_t id = 0; id < P2P_VFIO_MAX_WINDOWS; id++) {
		int rc = get(dev, id, 0, other);

		if (!rc && other->bar == req->bar &&
		    vp2p__overlap(req->offset, req->length, other->offset, other->length))
			return 0;
		if (rc && rc != -ENOENT)
			return rc;
	}
	return -ENOENT;
}

static bool contains(const struct p2p_vfio_window *kwin, const struct request *req)
{
	return req->offset >= kwin->offset &&
	       vp2p__within(req->offset - kwin->offset, req->length, kwin->length);
}

static int fail_overlap(const struct vp2p_device *dev, const struct request *req,
			struct vp2p_error *err)
{
	struct p2p_vfio_window other;

	if (find_overlap(dev, req, &other))
		return vp2p__fail(err, EEXIST, dev->name, STEP,
				  "it overlaps another window, which could not be found" MEND
				  "look at the windows with: vfio-p2p status %s",
				  vp2p__address(dev));
	return vp2p__fail(err, EEXIST, dev->name, STEP,
			  "it %s window %u: BAR %u, offset %" PRIu64 ", length %" PRIu64 MEND
			  "%s; or end that one: vfio-p2p window remove %s %u",
			  contains(&other, req) ? "lies within" : "overlaps",
			  other.id, other.bar, (uint64_t)other.offset, (uint64_t)other.length,
			  contains(&other, req) ? "use that window, which vp2p_window_lookup() "
			  "finds by this range" :
			  "use that window, or register a range beside it",
			  vp2p__address(dev), other.id);
}

static int fail_sibling(const struct vp2p_device *dev, struct vp2p_error *err)
{
	char who[96];

	if (!vp2p__foreign_sibling(dev->bdf, who, sizeof(who)))
		snprintf(who, sizeof(who), "a sibling function");
	return vp2p__fail(err, EXDEV, dev->name, STEP,
			  "%s is reset together with this device but belongs to another "
			  "VFIO driver, whose resets could not be held back" MEND
			  "bind it to " VP2P_DRIVER " as well (vfio-p2p bind), or to none",
			  who);
}

/* What the kernel alone could know. */
static int fail_set(const struct vp2p_device *dev, const struct request *req, int code,
		    struct vp2p_error *err)
{
	switch (code) {
	case EPERM:
		return vp2p__fail(err, code, dev->name, STEP,
				  "a new window needs CAP_SYS_ADMIN, since it costs up to %" PRIu64
				  " KiB of host memory" MEND
				  "close the device, since bind opens it, and have root run: "
				  "vfio-p2p bind --window %u+%" PRIu64 ",%" PRIu64 " %s",
				  req->length / 4096 * 64 / 1024, req->bar, req->offset,
				  req->length, vp2p__address(dev));
	case ERANGE:
		return vp2p__fail(err, code, dev->name, STEP,
				  "length %" PRIu64 " is more than one window can have" MEND
				  "register several", req->length);
	case EADDRINUSE:
		return vp2p__fail(err, code, dev->name, STEP,
				  "offset %" PRIu64 " and length %" PRIu64 " of BAR %u "
				  "overlap the MSI-X table or its pending bits" MEND
				  "use a range beside them (lspci -vv shows where they are)",
				  req->offset, req->length, req->bar);
	case EEXIST:
		return fail_overlap(dev, req, err);
	case EXDEV:
		return fail_sibling(dev, err);
	case EOPNOTSUPP:
		return vp2p__fail(err, code, dev->name, STEP, req->flags & VP2P_WINDOW_WC ?
				  "BAR %u is not prefetchable, so it cannot be mapped "
				  "write-combining" MEND "leave out the WC flag" :
				  "the kernel cannot make peer-to-peer pages of BAR %u" MEND
				  "use a kernel with CONFIG_PCI_P2PDMA", req->bar);
	case ENOSPC:
		return vp2p__fail(err, code, dev->name, STEP,
				  "the device has %u windows, the most it can have" MEND
				  "register fewer, larger ones, and end those of no use: "
				  "vfio-p2p window remove %s NUMBER", P2P_VFIO_MAX_WINDOWS,
				  vp2p__address(dev));
	case ENOMEM:
		return vp2p__fail(err, code, dev->name, STEP,
				  "no memory for the struct pages of %" PRIu64 " bytes" MEND
				  "free host memory (up to 1.56 %% of the window), or register "
				  "a smaller one", req->length);
	case ENODEV:
		return vp2p__fail(err, code, dev->name, STEP,
				  "the device has gone" MEND
				  "plug it in or bind it again, then open it anew");
	default:
		return vp2p__fail(err, code, dev->name, STEP,
				  "the driver refused BAR %u, offset %" PRIu64 ", length %"
				  PRIu64 ": %s" MEND "see the kernel log (dmesg), which names "
				  "the rule", req->bar, req->offset, req->length,
				  strerror(code));
	}
}

static struct vp2p_window *window_alloc(struct vp2p_device *dev)
{
	struct vp2p_window *win = calloc(1, sizeof(*win));

	if (win)
		win->dev = dev;
	return win;
}

static void window_fill(struct vp2p_window *win, const struct p2p_vfio_window *kwin)
{
	win->id = kwin->id;
	win->bar = kwin->bar;
	win->flags = kwin->flags;
	win->provider = kwin->provider;
	win->offset = kwin->offset;
	win->length = kwin->length;
	win->cookie = kwin->mmap_offset;
}

static int fail_memory(const struct vp2p_device *dev, struct vp2p_error *err)
{
	return vp2p__fail(err, ENOMEM, dev->name, STEP, "out of memory" MEND
			  "free some");
}

int vp2p_window_create(struct vp2p_device *dev, unsigned int bar, uint64_t offset,
		       uint64_t length, unsigned int flags,
		       struct vp2p_window **out, struct vp2p_error *err)
{
	struct request req = { bar, flags, offset, length };
	struct p2p_vfio_window kwin = { 0 };
	struct vp2p_window *win;
	int rc;

	rc = check_request(dev, &req, err);
	if (rc)
		return rc;
	win = window_alloc(dev);
	if (!win)
		return fail_memory(dev, err);

	kwin.bar = req.bar;
	kwin.flags = req.flags;
	kwin.offset = req.offset;
	kwin.length = req.length;
	rc = vp2p__feature(dev->fd, VFIO_DEVICE_FEATURE_SET | P2P_VFIO_FEATURE_WINDOW,
			   &kwin, sizeof(kwin));
	if (rc) {
		vp2p_window_destroy(win);
		return fail_set(dev, &req, -rc, err);
	}
	window_fill(win, &kwin);
	*out = win;
	return 0;
}

static int fail_get(const struct vp2p_device *dev, unsigned int id, int code,
		    struct vp2p_error *err)
{
	switch (code) {
	case ENOENT:
		return vp2p__fail(err, code, dev->name, "find a window",
				  "the device has no window %u" MEND
				  "register one with vp2p_window_create(), or close the device "
				  "and have root run: vfio-p2p bind --window BAR %s", id,
				  vp2p__address(dev));
	case EOPNOTSUPP:
		return vp2p__fail(err, code, dev->name, "find a window",
				  "window %u is in a BAR that is not prefetchable, so it "
				  "cannot be mapped write-combining" MEND
				  "leave out the WC flag", id);
	default:
		return vp2p__fail(err, code, dev->name, "find a window",
				  "the driver refused to describe window %u: %s" MEND
				  "see the kernel log (dmesg)", id, strerror(code));
	}
}

int vp2p_window_find(struct vp2p_device *dev, unsigned int id, unsigned int flags,
		     struct vp2p_window **out, struct vp2p_error *err)
{
	struct p2p_vfio_window kwin;
	struct vp2p_window *win;
	int rc;

	if (flags & ~(unsigned int)VP2P_WINDOW_WC)
		return vp2p__fail(err, EINVAL, dev->name, "find a window",
				  "flags 0x%x are not defined" MEND
				  "give 0 or VP2P_WINDOW_WC", flags);
	rc = get(dev, id, flags, &kwin);
	if (rc)
		return fail_get(dev, id, -rc, err);
	win = window_alloc(dev);
	if (!win)
		return fail_memory(dev, err);
	window_fill(win, &kwin);
	*out = win;
	return 0;
}

static int fail_lookup(const struct vp2p_device *dev, const struct request *req,
		       const struct p2p_vfio_window *part, struct vp2p_error *err)
{
	static const char step[] = "look up a window";

	if (part)
		return vp2p__fail(err, ENOENT, dev->name, step,
				  "window %u (offset %" PRIu64 ", length %" PRIu64 ") has only a "
				  "part of BAR %u, offset %" PRIu64 ", length %" PRIu64 MEND
				  "use the window for that part, the rest apart from it",
				  part->id, (uint64_t)part->offset, (uint64_t)part->length,
				  req->bar, req->offset, req->length);
	return vp2p__fail(err, ENOENT, dev->name, step,
			  "no window has any of BAR %u, offset %" PRIu64 ", length %" PRIu64
			  MEND "register one with vp2p_window_create(), or close the device "
			  "and have root run: vfio-p2p bind --window %u %s", req->bar,
			  req->offset, req->length, req->bar, vp2p__address(dev));
}

int vp2p_window_lookup(struct vp2p_device *dev, unsigned int bar, uint64_t offset,
		       uint64_t length, unsigned int flags,
		       struct vp2p_window **win, struct vp2p_error *err)
{
	/* Windows do not overlap: one that has the first byte is the only candidate. */
	const struct request req = { bar, flags, offset, length ? length : 1 };
	struct p2p_vfio_window other;
	int rc;

	if (bar > 5 || !vp2p__within(offset, req.length, UINT64_MAX))
		return vp2p__fail(err, EINVAL, dev->name, "look up a window",
				  "there is no BAR %u, or no offset %" PRIu64 " plus %" PRIu64
				  MEND "give BAR 0 to 5, and a range within it", bar, offset,
				  length);
	rc = find_overlap(dev, &req, &other);
	if (rc == -ENOENT)
		return fail_lookup(dev, &req, NULL, err);
	if (rc)
		return fail_get(dev, other.id, -rc, err);
	if (!contains(&other, &req))
		return fail_lookup(dev, &req, &other, err);
	return vp2p_window_find(dev, other.id, flags, win, err);
}

void vp2p_window_destroy(struct vp2p_window *win)
{
	free(win);
}

unsigned int vp2p_window_id(const struct vp2p_window *win)
{
	return win->id;
}

unsigned int vp2p_window_bar(const struct vp2p_window *win)
{
	return win->bar;
}

uint64_t vp2p_window_offset(const struct vp2p_window *win)
{
	return win->offset;
}

uint64_t vp2p_window_length(const struct vp2p_window *win)
{
	return win->length;
}

unsigned int vp2p_window_provider(const struct vp2p_window *win)
{
	return win->provider;
}

struct vp2p_device *vp2p_window_device(const struct vp2p_window *win)
{
	return win->dev;
}
