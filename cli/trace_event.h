/* SPDX-License-Identifier: MIT */
/*
 * trace_event.h - a line of trace text as one of the driver's events
 *
 * The text is what tracefs shows and "trace-cmd report" prints, so that a recording
 * made by either can be read as well as a trace that is being taken.
 */
#ifndef TRACE_EVENT_H
#define TRACE_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "parse.h"

enum trace_kind {
	TRACE_REGISTER, TRACE_FAULT, TRACE_BEGIN, TRACE_ZAPPED, TRACE_DRAINED,
	TRACE_TIMEOUT, TRACE_END, TRACE_LOST,
};

/** struct trace_event - only what @kind has is set; the rest is 0 */
struct trace_event {
	enum trace_kind kind;
	uint64_t us;		/* on the trace's clock */
	char bdf[BDF_SIZE];
	char task[32];		/* "dd-93"; "93" if the trace has no name */
	unsigned int pid;	/* of the thread */
	char cause[16];		/* TRACE_BEGIN */
	bool nested;
	uint64_t pinned;	/* folios: TRACE_ZAPPED, _DRAINED, _TIMEOUT */
	uint64_t waited_us;	/* TRACE_DRAINED, TRACE_TIMEOUT */
	bool acted;		/* TRACE_END */
	bool open;		/* TRACE_END, TRACE_FAULT: the gate */
	uint64_t generation;
	bool user;		/* TRACE_FAULT: a user thread's, which waits */
	unsigned int window;	/* TRACE_REGISTER, TRACE_FAULT */
	unsigned int bar;	/* TRACE_REGISTER */
	uint64_t offset;
	uint64_t length;
	uint64_t lost;		/* TRACE_LOST: events that did not fit */
};

/** trace_parse() - Return: false if @line is none of the driver's events. */
bool trace_parse(const char *line, struct trace_event *event);

#endif /* TRACE_EVENT_H */
