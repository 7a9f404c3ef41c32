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

bool cpu_parse_stat(const char *text, struct cpu_stat *stat)
{
	uint64_t waiting[2], stolen;
	const char *line;

	if (sscanf(text, "cpu %*u %*u %*u %" SCNu64 " %" SCNu64 " %*u %*u %"
		   SCNu64, &waiting[0], &waiting[1], &stolen) != 3)
		return false;
	*stat = (struct cpu_stat){ .idle = waiting[0] + waiting[1] + stolen };
	for (line = text; (line = strstr(line, "\ncpu")); line++)
		stat->cpus += isdigit((unsigned char)line[4]) != 0;
	line = strstr(text, "\nintr ");
	return stat->cpus && line &&
	       sscanf(line, " intr %" SCNu64, &stat->interrupts) == 1;
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return (uint64_t)time.tv_sec * NS + (uint64_t)time.tv_nsec;
}

/* The text is not kept: a long run looks often. */
static bool read_stat(struct cpu_stat *stat)
{
	static char *path;
	static char text[1 << 20];	/* room for some 10000 CPUs */
	size_t length;
	FILE *file;

	if (!path)
		path = host_path("/proc/stat");
	file = fopen(path, "re");
	if (!file)
		return false;
	length = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[length] = '\0';
	return cpu_parse_stat(text, stat);
}

int cpu_look(struct cpu_times *times)
{
	if (!read_stat(&times->stat))
		return -ENODATA;
	times->process_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	times->now_ns = clock_ns(CLOCK_MONOTONIC);
	return 0;
}

uint64_t cpu_busy_ns(const struct cpu_times *before,
		     const struct cpu_times *after, uint64_t ticks_per_s)
{
	uint64_t all = (after->now_ns - before->now_ns) * before->stat.cpus;
	uint64_t idle = (after->stat.idle - before->stat.idle) *
			(NS / ticks_per_s);

	return all > idle ? all - idle : 0;
}
