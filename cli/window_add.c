/* SPDX-License-Identifier: MIT */
/* window_add.c - windows that a user asks for: all checked, then one registered */
#include "window_add.h"

#include "cli.h"
#include "report.h"
#include "text.h"
#include "window.h"

/* Windows may be identical: the driver then has one. */
static bool spans_clash(const struct span *a, const struct span *b)
{
	if (a->bar != b->bar ||
	    (a->offset == b->offset && a->length == b->length))
		return false;
	return a->offset < b->offset + b->length &&
	       b->offset < a->offset + a->length;
}

static int check_overlap(const struct device *device,
			 const struct span *windows, unsigned int last)
{
	const struct span *new = &windows[last];
	const struct span *old;

	for (old = windows; old < new; old++)
		if (spans_clash(old, new))
			return fail(EXIT_USAGE, device->bdf,
				    "register a window",
				    text("%s and %s overlap", text_span(old),
					 text_span(new)),
				    "give ranges that do not");
	return EXIT_OK;
}

int windows_check(const struct device *device, const struct span *windows,
		  unsigned int count)
{
	struct span *resolved = keep((count + 1) * sizeof(*resolved));
	const char *cause, *remedy;
	unsigned int i;
	int rc = EXIT_OK;

	for (i = 0; !rc && i < count; i++) {
		resolved[i] = windows[i];
		cause = window_resolve(device, &resolved[i], &remedy);
		rc = cause ? fail(EXIT_USAGE, device->bdf, "register a window",
				  cause, remedy) :
			     check_overlap(device, resolved, i);
	}
	return rc;
}

int window_add(struct vp2p_device *dev, const struct device *device,
	       const struct span *span, const char **news)
{
	struct span resolved = *span;
	struct vp2p_window *win;
	struct vp2p_error err;
	const char *remedy;

	window_resolve(device, &resolved, &remedy);
	if (vp2p_window_create(dev, resolved.bar, resolved.offset, resolved.length, 0,
			       &win, &err))
		return report(&err);
	*news = text("window %u on BAR %u, offset %s, length %s",
		     vp2p_window_id(win), resolved.bar, text_size(resolved.offset),
		     text_size(resolved.length));
	vp2p_window_destroy(win);
	return EXIT_OK;
}
