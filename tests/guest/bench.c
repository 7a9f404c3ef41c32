// SPDX-License-Identifier: MIT
/* Clocks, samples, memory: see bench.h. */
#define _GNU_SOURCE
#include "bench.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define HUGE ((uintptr_t)2 << 20)

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

static long long huge_kib(void)
{
	return h_number_in("/proc/self/smaps_rollup", "AnonHugePages: %lld");
}

char *bench_ram(size_t bytes, int advice)
{
	long long want = huge_kib() + (advice == MADV_HUGEPAGE ? (long long)(bytes / 1024) : 0);
	char *ram = mmap(NULL, bytes + HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (ram == MAP_FAILED)
		return NULL;
	ram = (char *)(((uintptr_t)ram + HUGE - 1) & ~(HUGE - 1));
	madvise(ram, bytes, advice);
	memset(ram, 1, bytes);
	return huge_kib() == want ? ram : NULL;
}
