/* SPDX-License-Identifier: MIT */
/*
 * bench_cpu.h - CPU time: of this process, and of the whole machine
 *
 * The machine's is what its CPUs were not idle.  The kernel counts idle time
 * exactly where it stops the tick on idle CPUs (NO_HZ), while busy time is
 * sampled by the tick or misses interrupts; so completions count here although no
 * process pays for them.  /proc/stat has steps of 10 ms.
 */
#ifndef BENCH_CPU_H
#define BENCH_CPU_H

#include <stdbool.h>
#include <stdint.h>

/** struct cpu_idle - what /proc/stat says */
struct cpu_idle {
	unsigned int cpus;	/* online */
	uint64_t ticks;		/* idle, waiting for I/O, or not ours (steal) */
};

/** cpu_parse_stat() - /proc/stat's text. Return: false if it is none. */
bool cpu_parse_stat(const char *stat, struct cpu_idle *idle);

/** struct cpu_times - a moment */
struct cpu_times {
	uint64_t now_ns;	/* monotonic */
	uint64_t process_ns;	/* all threads, the kernel's I/O workers included */
	struct cpu_idle idle;
};

/** cpu_look() - Return: 0, or -ENODATA without /proc/stat. */
int cpu_look(struct cpu_times *times);

/** cpu_busy_ns() - CPU time that was not idle from @before to @after. */
uint64_t cpu_busy_ns(const struct cpu_times *before,
		     const struct cpu_times *after, uint64_t ticks_per_s);

#endif /* BENCH_CPU_H */
