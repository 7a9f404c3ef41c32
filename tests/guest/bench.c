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

long long bench_memory(const char *file, const char *name)
{
	FILE *f = fopen(file, "re");
	char line[160], word[80];
	long long value = -1, found;

	while (f && value < 0 && fgets(line, sizeof(line), f))
		if (sscanf(line, "%79[^: ]%*[: ]%lld", word, &found) == 2 && !strcmp(word, name))
			value = found;
	if (f)
		fclose(f);
	return value;
}
