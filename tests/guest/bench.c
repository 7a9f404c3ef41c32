// SPDX-License-Identifier: MIT
/* Clocks, samples, memory: see bench.h. */
#define _GNU_SOURCE
#include "bench.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

struct bench_time bench_begin(void)
{
	struct bench_time t;

	t.cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	t.wall_ns = clock_ns(CLOCK_MONOTONIC);
	return t;
}

struct bench_time bench_since(struct bench_time begin)
{
	uint64_t wall = clock_ns(CLOCK_MONOTONIC);

	return (struct bench_time){
		.wall_ns = wall - begin.wall_ns,
		.cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) - begin.cpu_ns,
	};
}

void bench_say(const char *fmt, ...)
{
	char text[900];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	h_diag("sample {%s}", text);
}

/* Free pages are in the zones' lists, and in lists of each CPU. */
long long bench_free_bytes(void)
{
	long long pages = 0, n;
	char line[160];
	FILE *f;

	h_write("/proc/sys/vm/stat_refresh", "1");
	f = fopen("/proc/zoneinfo", "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, " pages free %lld", &n) == 1 || sscanf(line, " count: %lld", &n) == 1)
			pages += n;
	if (f)
		fclose(f);
	return f ? pages * 4096 : -1;
}
