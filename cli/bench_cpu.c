/* SPDX-License-Identifier: MIT */
/* bench_cpu.c - CPU time: of this process, and of the whole machine */
#include "bench_cpu.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "sysfs.h"

#define NS 1000000000u

bool cpu_parse_stat(const char *stat, struct cpu_idle *idle)
{
	uint64_t waiting[2], stolen;

	if (sscanf(stat, "cpu %*u %*u %*u %" SCNu64 " %" SCNu64 " %*u %*u %"
		   SCNu64, &waiting[0], &waiting[1], &stolen) != 3)
		return false;
	*idle = (struct cpu_idle){ .ticks = waiting[0] + waiting[1] + stolen };
	for (; (stat = strstr(stat, "\ncpu")); stat++)
		idle->cpus += isdigit((unsigned char)stat[4]) != 0;
	return idle->cpus > 0;
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return (uint64_t)time.tv_sec * NS + (uint64_t)time.tv_nsec;
}

/* The text is not kept: a long run looks often. */
static bool read_stat(struct cpu_idle *idle)
{
	static char *path;
	char stat[65536];
	size_t length;
	FILE *file;

	if (!path)
		path = host_path("/proc/stat");
	file = fopen(path, "re");
	if (!file)
		return false;
	length = fread(stat, 1, sizeof(stat) - 1, file);
	fclose(file);
	stat[length] = '\0';
	return cpu_parse_stat(stat, idle);
}

int cpu_look(struct cpu_times *times)
{
	if (!read_stat(&times->idle))
		return -ENODATA;
	times->process_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	times->now_ns = clock_ns(CLOCK_MONOTONIC);
	return 0;
}

uint64_t cpu_busy_ns(const struct cpu_times *before,
		     const struct cpu_times *after, uint64_t ticks_per_s)
{
	uint64_t all = (after->now_ns - before->now_ns) * before->idle.cpus;
	uint64_t idle = (after->idle.ticks - before->idle.ticks) *
			(NS / ticks_per_s);

	return all > idle ? all - idle : 0;
}
