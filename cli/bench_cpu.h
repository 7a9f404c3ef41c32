/* SPDX-License-Identifier: MIT */
/*
 * bench_cpu.h - CPU time: of this process, and of the whole machine; interrupts
 *
 * The machine's is what its CPUs were not idle, so completions count although no
 * process pays for them.  Linux 7.2 and later count idle time while an idle CPU has
 * stopped its tick, interrupts included unless their time is accounted
 * (IRQ_TIME_ACCOUNTING), and sample it by the tick otherwise: of short waits it is
 * known to some percent only.  /proc/stat has steps of 10 ms.
 */
#ifndef BENCH_CPU_H
#define BENCH_CPU_H

#include <stdbool.h>
#include <stdint.h>

/** struct cpu_stat - what /proc/stat says */
struct cpu_stat {
	unsigned int cpus;	/* online */
	uint64_t idle;		/* ticks: idle, waiting for I/O, or not ours (steal) */
	uint64_t interrupts;	/* of all kinds, timers' and other CPUs' too */
};

/** cpu_parse_stat() - /proc/stat's text. Return: false if it is none. */
bool cpu_parse_stat(const char *text, struct cpu_stat *stat);

/** struct cpu_times - a moment */
struct cpu_times {
	uint64_t now_ns;	/* monotonic */
	uint64_t process_ns;	/* all threads, the kernel's I/O workers included */
	struct cpu_stat stat;
};

/** cpu_look() - Return: 0, or -ENODATA without /proc/stat. */
int cpu_look(struct cpu_times *times);

/** cpu_busy_ns() - CPU time that was not idle from @before to @after. */
uint64_t cpu_busy_ns(const struct cpu_times *before,
		     const struct cpu_times *after, uint64_t ticks_per_s);

#endif /* BENCH_CPU_H */
