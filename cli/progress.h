/* SPDX-License-Identifier: MIT */
/* progress.h - the bar that shows how far a copy has come */
#ifndef PROGRESS_H
#define PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** struct progress - a copy under way, as far as the bar is concerned */
struct progress {
	const char *label;	/* "copy" */
	uint64_t done;
	uint64_t total;		/* 0: unknown */
	double seconds;		/* since the beginning */
};

/**
 * progress_format() - one line of at most @columns characters, no newline
 *
 * "copy  45% [=====>      ]  460.8 MiB of 1.0 GiB  1.2 GiB/s  0:05 left".  Where
 * the line is too narrow the bar goes first, then the parts at the right end.
 * A pure function.
 */
void progress_format(char *line, size_t size, unsigned int columns,
		     const struct progress *progress);

/** struct progress_bar - the bar on a terminal */
struct progress_bar {
	struct progress progress;
	bool wanted;
	bool terminal;
	double started;		/* seconds on the monotonic clock */
	double drawn;
};

/**
 * progress_begin() - if @wanted the bar shows on a terminal; where stderr is none, a
 * line now and then.
 */
void progress_begin(struct progress_bar *bar, const char *label,
		    uint64_t total, bool wanted);

/**
 * progress_update() - redraws at most ten times a second; a line every ten seconds
 *
 * Where @done falls the work has started again, and so do rate and time left.
 */
void progress_update(struct progress_bar *bar, uint64_t done);

/** progress_update_at() - the same at a moment of monotonic_seconds(). */
void progress_update_at(struct progress_bar *bar, uint64_t done, double now);

/** progress_hide() - makes room on the screen for a line, until it redraws. */
void progress_hide(struct progress_bar *bar);

/** progress_end() - takes the bar off the screen. */
void progress_end(struct progress_bar *bar);

/** monotonic_seconds() - a clock for durations. */
double monotonic_seconds(void);

#endif /* PROGRESS_H */
