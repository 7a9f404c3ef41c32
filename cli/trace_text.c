/* SPDX-License-Identifier: MIT */
/*
 * trace_text.c - the timeline for people: a line an event, as it comes
 *
 * So one sees a drain that does not end while it does not end.
 */
#include "trace_timeline.h"

#include <inttypes.h>
#include <string.h>

#include "text.h"

static const char *folios(uint64_t count)
{
	return text("%" PRIu64 " folio%s", count, count == 1 ? "" : "s");
}

static const char *begin_text(const struct revocation *r)
{
	const char *by = *r->task ? text(", by %s", text_printable(r->task)) : "";

	return text("gate %s%s", r->nested ? "closed before (nested)" : "closed",
		    by);
}

static const char *drain_text(const struct revocation *r)
{
	const char *waited = text_duration(r->waited_us / 1e6);

	if (r->drain == DRAIN_TIMED_OUT)
		return text("timed out after %s, %s still pinned", waited,
			    folios(r->left));
	if (r->left)
		return text("drained after %s, and yet %s pinned: the driver is "
			    "broken", waited, folios(r->left));
	return text("drained after %s", waited);
}

/* A close is ended by the next open, which has nothing to do to the device. */
static const char *deed(const struct revocation *r)
{
	if (r->acted)
		return "acted";
	if (!strcmp(r->cause, "close"))
		return "opened again";
	return "nothing done to the device";
}

static const char *end_text(const struct revocation *r)
{
	const char *gate = r->open ? text("gate open, generation %" PRIu64,
					  r->generation) :
				     "gate still closed";
	const char *faults = "";

	if (!*r->cause)
		return text("%s; what had closed it began before the trace", gate);
	if (r->refused || r->waited)
		faults = text("; faults: %" PRIu64 " refused, %" PRIu64 " waited",
			      r->refused, r->waited);
	return text("%s; %s%s", deed(r), gate, faults);
}

static const char *phase_text(enum trace_kind kind, const struct revocation *r)
{
	switch (kind) {
	case TRACE_BEGIN:
		return begin_text(r);
	case TRACE_ZAPPED:
		return text("zapped, %s pinned", folios(r->pinned));
	case TRACE_DRAINED:
	case TRACE_TIMEOUT:
		return drain_text(r);
	case TRACE_END:
		return end_text(r);
	default:
		return NULL;
	}
}

static void print_phase(const struct trace_event *event,
			const struct revocation *r, const char *what)
{
	printf("%6" PRIu64 ".%06" PRIu64 "  %s  %10s  %*s%s%s\n",
	       event->us / 1000000, event->us % 1000000, event->bdf,
	       *r->cause ? text("+%s", text_duration((event->us - r->closed_us) /
						     1e6)) : "",
	       2 * (int)r->depth, "", *r->cause ? text("%s: ", r->cause) : "",
	       what);
}

void trace_print_event(const struct trace_event *event, const struct revocation *r)
{
	const char *what = r ? phase_text(event->kind, r) : NULL;

	if (what)
		print_phase(event, r, what);
	else if (event->kind == TRACE_LOST)
		printf("%" PRIu64 " events lost here: they came faster than they "
		       "were read\n", event->lost);
	else if (event->kind == TRACE_REGISTER)
		printf("%6" PRIu64 ".%06" PRIu64 "  %s  %10s  window %u registered: "
		       "BAR %u, offset %s, %s\n", event->us / 1000000,
		       event->us % 1000000, event->bdf, "", event->window,
		       event->bar, text_size(event->offset),
		       text_size(event->length));
}

void trace_print_rest(const struct timeline *timeline)
{
	const struct revocation *r;

	for (r = timeline->first; r; r = r->next)
		if (!r->over)
			printf("%s  %s: still under way at the end of the trace\n",
			       r->bdf, r->cause);
}
