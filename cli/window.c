/* SPDX-License-Identifier: MIT */
/* window.c - which parts of a BAR can be a window */
#include "window.h"

#include <stdbool.h>
#include <stddef.h>
#include <vfio-p2p.h>

#include "text.h"

#define GRANULE VP2P_GRANULE
#define LARGEST (UINT64_C(1) << 40)	/* the driver's limit */

struct interval {
	uint64_t begin;
	uint64_t end;
};

/* What window must leave out: the granules of a table that lies in @bar. */
static bool blocked_by(const struct device *device, unsigned int table,
		       unsigned int bar, struct interval *blocked)
{
	const struct table_place *place = &device->tables[table];

	if (device->msix != MSIX_PRESENT || place->bar != bar)
		return false;
	blocked->begin = place->offset / GRANULE * GRANULE;
	blocked->end = (place->offset + place->length + GRANULE - 1) /
		       GRANULE * GRANULE;
	return true;
}

/* Where a window that begins at @offset must end at the latest. */
static uint64_t room_end(const struct device *device, unsigned int bar,
			 uint64_t offset)
{
	uint64_t end = device->bars[bar].size;
	struct interval blocked;
	unsigned int i;

	for (i = 0; i < 2; i++)
		if (blocked_by(device, i, bar, &blocked) &&
		    blocked.end > offset && blocked.begin < end)
			end = blocked.begin;
	return end;
}

/* Why @bar can have no window at all; NULL if it can. */
static const char *bar_obstacle(const struct bar *bar)
{
	if (!bar->memory)
		return "no memory BAR";
	if (bar->size < GRANULE)
		return "smaller than 2M";
	if (!bar->assigned)
		return "no bus address assigned";
	if (bar->start % GRANULE)
		return "bus address not a multiple of 2M";
	return NULL;
}

struct window_room window_room(const struct device *device, unsigned int bar)
{
	struct window_room room = { .why = bar_obstacle(&device->bars[bar]) };
	uint64_t begins[3] = { 0 };
	struct interval blocked;
	bool capped = false;
	unsigned int i;

	if (room.why)
		return room;
	for (i = 0; i < 2; i++)
		if (blocked_by(device, i, bar, &blocked))
			begins[1 + i] = blocked.end;
	for (i = 0; i < 3; i++) {
		uint64_t end = room_end(device, bar, begins[i]);

		if (end > begins[i] && end - begins[i] > LARGEST) {
			end = begins[i] + LARGEST;
			capped = true;
		}
		if (end > begins[i] && end - begins[i] > room.length) {
			room.offset = begins[i];
			room.length = end - begins[i];
		}
	}
	if (room.length < device->bars[bar].size)
		room.why = capped ? "a window has 1T at most" :
				    "the rest holds MSI-X tables";
	return room;
}

static const char *check_bounds(const struct bar *bar, const struct span *span,
				const char **remedy)
{
	if (span->offset % GRANULE) {
		*remedy = text("use %s", text_size(span->offset / GRANULE *
						   GRANULE));
		return text("offset %s is not a multiple of 2M",
			    text_size(span->offset));
	}
	if (span->offset >= bar->size) {
		*remedy = "choose an offset inside the BAR";
		return text("offset %s is not below the BAR's size of %s",
			    text_size(span->offset), text_size(bar->size));
	}
	if (span->length % GRANULE) {
		*remedy = text("use %s", text_size((span->length / GRANULE + 1)
						   * GRANULE));
		return text("length %s is not a multiple of 2M",
			    text_size(span->length));
	}
	if (span->length > bar->size - span->offset) {
		*remedy = text("use at most %s",
			       text_size(bar->size - span->offset));
		return text("length %s ends beyond the BAR's size of %s",
			    text_size(span->length), text_size(bar->size));
	}
	return NULL;
}

char *text_span(const struct span *span)
{
	return text("%u+%s,%s", span->bar, text_size(span->offset),
		    text_size(span->length));
}

const char *window_resolve(const struct device *device, struct span *span,
			   const char **remedy)
{
	const struct bar *bar = &device->bars[span->bar];
	const char *cause = bar_obstacle(bar);
	struct window_room room;
	uint64_t length;

	*remedy = text("vfio-p2p list --all shows the BARs of %s",
		       device->bdf);
	if (cause)
		return text("BAR %u cannot have a window: %s", span->bar,
			    cause);
	cause = check_bounds(bar, span, remedy);
	if (cause)
		return cause;
	length = span->length ? span->length : bar->size - span->offset;
	if (length > LARGEST) {
		*remedy = text("use several, the first as %u+%s,1T", span->bar,
			       text_size(span->offset));
		return text("length %s is more than a window can have, 1T",
			    text_size(length));
	}
	if (room_end(device, span->bar, span->offset) < span->offset + length) {
		room = window_room(device, span->bar);
		*remedy = room.length ?
			  text("the largest possible window is %u+%s,%s",
			       span->bar, text_size(room.offset),
			       text_size(room.length)) :
			  "use another BAR";
		return text("the range overlaps the MSI-X tables in BAR %u",
			    span->bar);
	}
	span->length = length;
	return NULL;
}
