/* SPDX-License-Identifier: MIT */
/*
 * trace_timeline.c - revocations, made of the events that the driver traces
 *
 * An event names its device, not its revocation.  One thread's revocations nest, so
 * its latest that is not over is meant.  The end of some comes from another thread:
 * a close is ended by the next open, an error by its recovery.  There the oldest
 * that is not over is meant.
 */
#include "trace_timeline.h"

#include <stdlib.h>
#include <string.h>

#include "text.h"

#define MOST_KEPT 10000

static bool is_open(const struct revocation *revocation, const char *bdf)
{
	return !revocation->over && !strcmp(revocation->bdf, bdf);
}

static struct revocation *oldest(struct timeline *timeline, const char *bdf)
{
	struct revocation *at;

	for (at = timeline->first; at && !is_open(at, bdf); at = at->next)
		;
	return at;
}

static struct revocation *latest_of(struct timeline *timeline,
				    const struct trace_event *event)
{
	struct revocation *at, *found = NULL;

	for (at = timeline->first; at; at = at->next)
		if (is_open(at, event->bdf) && at->pid == event->pid)
			found = at;
	return found;
}

/* No end will come, or none that could be told from another's. */
static void give_up(struct timeline *timeline, const char *bdf)
{
	struct revocation *at;

	for (at = timeline->first; at; at = at->next)
		if (is_open(at, bdf))
			at->over = true;
}

/* Drops the oldest that is over, if there is one. */
static void drop_one(struct timeline *timeline)
{
	struct revocation **at = &timeline->first;
	struct revocation *gone;

	while (*at && !(*at)->over)
		at = &(*at)->next;
	gone = *at;
	if (!gone)
		return;
	*at = gone->next;
	free(gone);
	timeline->kept--;
}

static void make_room(struct timeline *timeline)
{
	struct revocation *at;
	unsigned int over = 0;

	for (at = timeline->first; at; at = at->next)
		over += at->over;
	if (timeline->keep && timeline->kept < MOST_KEPT)
		return;
	timeline->forgotten += timeline->keep && over;
	for (over = timeline->keep ? over > 0 : over; over; over--)
		drop_one(timeline);
}

static struct revocation *append(struct timeline *timeline,
				 const struct trace_event *event)
{
	struct revocation *new = calloc(1, sizeof(*new)), **at = &timeline->first;

	if (!new)
		text_no_memory();
	memcpy(new->bdf, event->bdf, sizeof(new->bdf));
	memcpy(new->task, event->task, sizeof(new->task));
	memcpy(new->cause, event->cause, sizeof(new->cause));
	new->pid = event->pid;
	new->begin_us = new->closed_us = event->us;
	while (*at)
		at = &(*at)->next;
	*at = new;
	timeline->kept++;
	timeline->seen++;
	return new;
}

static struct revocation *begin(struct timeline *timeline,
				const struct trace_event *event)
{
	const struct revocation *at, *outermost;
	struct revocation *new;
	unsigned int depth = 0;

	/* The gate was open, so nothing else is under way: ends were lost. */
	if (!event->nested)
		give_up(timeline, event->bdf);
	outermost = oldest(timeline, event->bdf);
	for (at = timeline->first; at; at = at->next)
		depth += is_open(at, event->bdf);
	new = append(timeline, event);
	new->nested = event->nested;
	new->depth = depth;
	if (outermost)
		new->closed_us = outermost->closed_us;
	return new;
}

/* Of one that began before the trace there is nothing else to tell. */
static struct revocation *end(struct timeline *timeline,
			      const struct trace_event *event)
{
	struct revocation *at = latest_of(timeline, event);

	if (!at)
		at = oldest(timeline, event->bdf);
	if (!at)
		at = append(timeline, event);
	at->over = at->ended = true;
	at->end_us = event->us;
	at->acted = event->acted;
	at->open = event->open;
	at->generation = event->generation;
	return at;
}

static void zapped(struct revocation *at, const struct trace_event *event)
{
	at->zapped = true;
	at->zapped_us = event->us;
	at->pinned = event->pinned;
}

static void drain(struct timeline *timeline, struct revocation *at,
		  const struct trace_event *event)
{
	at->drain = event->kind == TRACE_DRAINED ? DRAIN_ENDED : DRAIN_TIMED_OUT;
	at->drain_us = event->us;
	at->waited_us = event->waited_us;
	at->left = event->pinned;
	/* The gate of a device that has been removed never opens again. */
	if (at->drain == DRAIN_ENDED && !strcmp(at->cause, "remove"))
		give_up(timeline, at->bdf);
}

static const struct revocation *phase(struct timeline *timeline,
				      const struct trace_event *event)
{
	struct revocation *at = latest_of(timeline, event);

	if (!at)
		return NULL;
	if (event->kind == TRACE_ZAPPED)
		zapped(at, event);
	else
		drain(timeline, at, event);
	return at;
}

static const struct revocation *fault(struct timeline *timeline,
				      const struct trace_event *event)
{
	struct revocation *at = oldest(timeline, event->bdf);

	if (!at || event->open)
		return NULL;
	at->refused += !event->user;
	at->waited += event->user;
	return at;
}

const struct revocation *timeline_add(struct timeline *timeline,
				      const struct trace_event *event)
{
	make_room(timeline);
	if (event->us > timeline->last_us)
		timeline->last_us = event->us;
	switch (event->kind) {
	case TRACE_BEGIN:
		return begin(timeline, event);
	case TRACE_END:
		return end(timeline, event);
	case TRACE_ZAPPED:
	case TRACE_DRAINED:
	case TRACE_TIMEOUT:
		return phase(timeline, event);
	case TRACE_FAULT:
		return fault(timeline, event);
	case TRACE_LOST:
		timeline->lost += event->lost;
		return NULL;
	case TRACE_REGISTER:
		return NULL;
	}
	return NULL;
}

void timeline_clear(struct timeline *timeline)
{
	while (timeline->first) {
		struct revocation *next = timeline->first->next;

		free(timeline->first);
		timeline->first = next;
	}
	*timeline = (struct timeline){ 0 };
}
