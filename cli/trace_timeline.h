/* SPDX-License-Identifier: MIT */
/* trace_timeline.h - revocations, made of the events that the driver traces */
#ifndef TRACE_TIMELINE_H
#define TRACE_TIMELINE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "trace_event.h"

enum trace_drain { DRAIN_UNKNOWN, DRAIN_ENDED, DRAIN_TIMED_OUT };

/** struct revocation - one, nested or not; times are of the trace's clock, in us */
struct revocation {
	struct revocation *next;
	char bdf[BDF_SIZE];
	char task[32];
	unsigned int pid;
	char cause[16];			/* "" if it began before the trace */
	bool nested;			/* in another, as the driver says */
	unsigned int depth;		/* in how many that the trace knows */
	uint64_t closed_us;		/* when the outermost one closed the gate */
	uint64_t begin_us;
	bool zapped;
	uint64_t zapped_us;
	uint64_t pinned;		/* folios, after the zap */
	enum trace_drain drain;
	uint64_t drain_us;
	uint64_t waited_us;		/* by the driver's own clock */
	uint64_t left;			/* folios pinned after the drain */
	bool over;			/* it has ended, or can no longer */
	bool ended;
	uint64_t end_us;
	bool acted;
	bool open;			/* at its end the gate was */
	uint64_t generation;
	uint64_t refused, waited;	/* faults while the gate was closed; of the
					 * outermost, what the trace has seen of them */
};

/** struct timeline - zeroed it is empty */
struct timeline {
	struct revocation *first;	/* as they began */
	bool keep;			/* also those that are over */
	unsigned int kept;
	unsigned int forgotten;		/* were kept, and became too many */
	uint64_t seen;			/* revocations */
	uint64_t lost;			/* events */
	uint64_t last_us;
};

/**
 * timeline_add() - take an event in
 *
 * Return: the revocation that it belongs to, valid until the next call; NULL for
 * an event of none.
 */
const struct revocation *timeline_add(struct timeline *timeline,
				      const struct trace_event *event);

/** timeline_clear() - free everything. */
void timeline_clear(struct timeline *timeline);

/** trace_print_event() - a line of the timeline on standard output, if it has one. */
void trace_print_event(const struct trace_event *event,
		       const struct revocation *revocation);

/** trace_print_rest() - what is still under way at the trace's end. */
void trace_print_rest(const struct timeline *timeline);

/** trace_print_json() - all that was kept; @source: file, or NULL for a live trace. */
void trace_print_json(const struct timeline *timeline, const char *source);

/** trace_script() - what gnuplot is told; @what: a struct timeline that is not empty. */
void trace_script(FILE *script, const void *what);

#endif /* TRACE_TIMELINE_H */
