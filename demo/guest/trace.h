/* SPDX-License-Identifier: MIT */
/* The driver's tracepoints, on the clock of CLOCK_MONOTONIC. */
#ifndef TRACE_H
#define TRACE_H

#include <stdint.h>

struct trace_event {
	uint64_t ns;
	char name[32];		/* without "p2p_vfio_" */
	char fields[160];
};

/* To be called while nothing much goes on: enabling patches the running kernel. */
int trace_start(void);
void trace_stop(void);
/* Up to @max events since a moment.  Returns how many, or -errno. */
int trace_read(uint64_t since_ns, struct trace_event *out, int max);
/* The number after "NAME=" in the fields, or @otherwise. */
long long trace_field(const struct trace_event *ev, const char *name, long long otherwise);

#endif
