/* SPDX-License-Identifier: MIT */
/* cp_window.c - the window that a copy goes through */
#include "cp_window.h"

#include <errno.h>

#include "cli.h"
#include "device.h"
#include "report.h"
#include "text.h"
#include "window.h"

static const char step[] = "find the range";

/* Return: 0 with *win NULL if none covers it, or a negative errno. */
static int find(struct vp2p_device *dev, const struct span *span,
		struct vp2p_window **win, struct vp2p_error *err)
{
	int rc;

	*win = NULL;
	rc = vp2p_window_lookup(dev, span->bar, span->offset, span->length, 0, win, err);
	return rc == -ENOENT ? 0 : rc;
}

int window_check_range(const struct place *place)
{
	const struct device *device = device_load(place->bdf);
	const struct span *span = &place->span;
	struct bar bar;

	if (!device)
		return EXIT_OK;
	bar = device->bars[span->bar];
	if (span->offset < bar.size && span->length <= bar.size - span->offset)
		return EXIT_OK;
	if (!bar.size)
		return fail(EXIT_USAGE, place->bdf, step,
			    text("there is no memory BAR %u", span->bar),
			    "vfio-p2p list --all shows the BARs");
	return fail(EXIT_USAGE, place->bdf, step,
		    text("%s bytes from offset %s end beyond BAR %u, which has "
			 "%s", text_size(span->length),
			 text_size(span->offset), span->bar,
			 text_size(bar.size)),
		    span->offset < bar.size ?
		    text("copy at most %s, by --size",
			 text_size(bar.size - span->offset)) :
		    "choose an offset inside the BAR");
}

static uint64_t end_of(const struct span *span)
{
	return span->offset + (span->length ? span->length : 1);
}

/* The granules that the range touches. */
static struct span needed(const struct span *span)
{
	uint64_t begin = span->offset / VP2P_GRANULE * VP2P_GRANULE;

	return (struct span){
		.bar = span->bar,
		.offset = begin,
		.length = (end_of(span) - begin + VP2P_GRANULE - 1) /
			  VP2P_GRANULE * VP2P_GRANULE,
	};
}

/* The largest window that the BAR has room for, if it covers the range. */
static struct span choose(const struct device *device, const struct span *span)
{
	struct window_room room = window_room(device, span->bar);

	if (room.length && span->offset >= room.offset &&
	    end_of(span) <= room.offset + room.length)
		return (struct span){ .bar = span->bar, .offset = room.offset,
				      .length = room.length };
	/* It does not: ask for what is needed, and let the driver say why not. */
	return needed(span);
}

static int create(struct vp2p_device *dev, const struct span *span,
		  struct vp2p_window **win, struct vp2p_error *err)
{
	return vp2p_window_create(dev, span->bar, span->offset, span->length, 0,
				  win, err);
}

/*
 * Another window in the way of the largest one leaves room for what is needed,
 * maybe.  Not if that is "to the end": the copy would be as short as the window.
 */
int window_obtain(struct vp2p_device *dev, const struct place *place,
		  struct vp2p_window **win, struct span *made,
		  struct vp2p_error *err)
{
	const struct device *device = device_load(place->bdf);
	const struct span *span = &place->span;
	int rc = find(dev, span, win, err);

	*made = (struct span){ 0 };
	if (rc || *win)
		return rc;
	*made = device ? choose(device, span) : needed(span);
	rc = create(dev, made, win, err);
	if (rc != -EEXIST || !span->length)
		return rc;
	*made = needed(span);
	return create(dev, made, win, err);
}

int window_for_range(struct vp2p_device *dev, const struct place *place,
		     struct vp2p_window **win, bool quiet)
{
	struct vp2p_error err;
	struct span made;

	if (window_obtain(dev, place, win, &made, &err))
		return report(&err);
	if (made.length && !quiet)
		note("vfio-p2p: %s: registered a window on BAR %u, offset %s, "
		     "length %s, until unbind or 'window remove'", place->bdf, made.bar,
		     text_size(made.offset), text_size(made.length));
	return EXIT_OK;
}
