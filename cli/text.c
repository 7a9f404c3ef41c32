/* SPDX-License-Identifier: MIT */
/* text.c - strings that live as long as the process, and numbers as text */
#include "text.h"

#include <obstack.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define obstack_chunk_alloc chunk_alloc
#define obstack_chunk_free free

static void *chunk_alloc(size_t size)
{
	void *chunk = malloc(size);

	if (!chunk) {
		fputs("vfio-p2p: out of memory\n", stderr);
		exit(EXIT_FAILURE);
	}
	return chunk;
}

static struct obstack *strings(void)
{
	static struct obstack stack;
	static int ready;

	if (!ready) {
		obstack_init(&stack);
		ready = 1;
	}
	return &stack;
}

char *text(const char *format, ...)
{
	struct obstack *stack = strings();
	va_list args;

	va_start(args, format);
	obstack_vprintf(stack, format, args);
	va_end(args);
	obstack_1grow(stack, '\0');
	return obstack_finish(stack);
}

char *text_list(const char *list, const char *item)
{
	return list ? text("%s, %s", list, item) : text("%s", item);
}

void *keep(size_t size)
{
	return memset(obstack_alloc(strings(), size), 0, size);
}

char *text_size(uint64_t bytes)
{
	static const char units[] = { 'K', 'M', 'G', 'T' };
	unsigned int unit = 0;

	if (bytes == 0 || bytes % 1024)
		return text("%llu", (unsigned long long)bytes);
	for (bytes /= 1024; bytes % 1024 == 0 && unit + 1 < sizeof(units);
	     unit++)
		bytes /= 1024;
	return text("%llu%c", (unsigned long long)bytes, units[unit]);
}

void format_amount(char *string, size_t size, double bytes)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	unsigned int unit = 0;

	/* 1023.95 would be printed as 1024.0. */
	while (bytes >= 1023.95 && unit < 4) {
		bytes /= 1024;
		unit++;
	}
	snprintf(string, size, unit ? "%.1f %s" : "%.0f %s", bytes,
		 units[unit]);
}

char *text_amount(double bytes)
{
	char amount[32];

	format_amount(amount, sizeof(amount), bytes);
	return text("%s", amount);
}

char *text_duration(double seconds)
{
	unsigned long whole = seconds;

	if (seconds < 0.9995e-3)
		return text("%.0f us", seconds * 1e6);
	if (seconds < 0.99995)
		return text("%.1f ms", seconds * 1e3);
	if (seconds < 60)
		return text("%.2f s", seconds);
	if (whole < 3600)
		return text("%lu:%02lu", whole / 60, whole % 60);
	return text("%lu:%02lu:%02lu", whole / 3600, whole / 60 % 60,
		    whole % 60);
}
