/* SPDX-License-Identifier: MIT */
/*
 * What the benches of the guest are written with.
 *
 * Nothing is judged here: a bench says what it has measured, a line for each
 * sample, and `make bench` makes tables of it.  Where a CPU's time is a count of
 * instructions (topology "lifecycle") a sample is the same each time to a percent.
 *
 * How long a function of the kernel takes is asked of the kernel: a probe at its
 * entry and one at its return, with the CPU's time stamp counter as the trace's
 * clock, which is read here as well.
 */
#ifndef BENCH_H
#define BENCH_H

#include "harness.h"

#include <stdint.h>

/* Time gone, and this thread's CPU time, which a sleep does not add to. */
struct bench_time {
	uint64_t wall_ns, cpu_ns;
};

struct bench_time bench_begin(void);
struct bench_time bench_since(struct bench_time begin);

/*
 * One sample, a flat JSON object without its braces:
 *	bench_say("\"what\": \"map\", " BENCH_TIME, BENCH_ARGS(t));
 */
void bench_say(const char *fmt, ...) H_PRINTF(1, 2);
#define BENCH_TIME "\"wall_ns\": %llu, \"cpu_ns\": %llu"
#define BENCH_ARGS(t) (unsigned long long)(t).wall_ns, (unsigned long long)(t).cpu_ns

/* Memory of the machine that nobody uses, or -1. */
long long bench_free_bytes(void);
/*
 * Host memory, at a multiple of 2 MiB: all of it huge pages (MADV_HUGEPAGE, of
 * multiples of 2 MiB), or none of it (MADV_NOHUGEPAGE).  NULL if the kernel did otherwise.
 */
char *bench_ram(size_t bytes, int advice);

/* Probes */

#define BENCH_MAX_PROBES 8

/* At the entry and the return of functions; NULL ends the list.  0 or -errno. */
int bench_probe(const char *const functions[]);
void bench_probe_end(void);
/* What comes between these two is traced. */
void bench_trace_begin(void);
void bench_trace_end(void);
/* Inside that, all calls of a function together, in ns; how many there were. */
uint64_t bench_probe_ns(const char *function);
unsigned int bench_probe_calls(const char *function);
/* When the last call of a function began, or returned, as h_now_ns() has it. */
uint64_t bench_probe_entered(const char *function);
uint64_t bench_probe_returned(const char *function);

/* How often functions of a module are called, whoever calls them: 0 or -errno. */
int bench_calls_begin(const char *module);
long bench_calls_end(void);

/*
 * What one CPU has done since a moment, without what it does all the time; from begin
 * to end, which a failed begin needs too.  0 or -errno.
 */
struct bench_soak {
	uint64_t now_ns, pieces;
};

int bench_soak_begin(void);
struct bench_soak bench_soak_now(void);
double bench_busy_ns(struct bench_soak then);
/* The share of all time that is left out. */
double bench_background(void);
void bench_soak_end(void);

/* Profile: what this CPU executes, looked at every few microseconds: 0 or -errno. */
int bench_profile_begin(void);
/* Says the functions with the most samples, under this name. */
void bench_profile_end(const char *name);

#endif
