/* SPDX-License-Identifier: MIT */
/* text.c - strings that live as long as the process, and numbers as text */
#include "text.h"

#include <obstack.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define obstack_chunk_alloc chunk_alloc
#define obstack_chunk_free free

void text_no_memory(void)
{
	fputs("vfio-p2p: out of memory\n", stderr);
	exit(EXIT_FAILURE);
}

static void *chunk_alloc(size_t size)
{
	void *chunk = malloc(size);

	if (!chunk)
		text_no_memory();
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

char *text_v(const char *format, va_list args)
{
	struct obstack *stack = strings();

	obstack_vprintf(stack, format, args);
	obstack_1grow(stack, '\0');
	return obstack_finish(stack);
}

char *text(const char *format, ...)
{
	va_list args;
	char *string;

	va_start(args, format);
	string = text_v(format, args);
	va_end(args);
	return string;
}

/* Bytes of the UTF-8 character at @string, 0 if there is none. */
static unsigned int utf8_length(const char *string)
{
	const unsigned char *at = (const unsigned char *)string;
	/* The second byte's limits keep out surrogates and longer forms. */
	unsigned char low = *at == 0xe0 ? 0xa0 : *at == 0xf0 ? 0x90 : 0x80;
	unsigned char high = *at == 0xed ? 0x9f : *at == 0xf4 ? 0x8f : 0xbf;
	unsigned int length = *at < 0x80 ? 1 : *at < 0xc2 ? 0 : *at < 0xe0 ? 2 :
			      *at < 0xf0 ? 3 : *at < 0xf5 ? 4 : 0;
	unsigned int i;

	for (i = 1; i < length; i++)
		if (at[i] < (i == 1 ? low : 0x80) ||
		    at[i] > (i == 1 ? high : 0xbf))
			return 0;
	return length;
}

const char *text_utf8(const char *string)
{
	struct obstack *stack = strings();
	unsigned int length;

	for (; *string; string += length) {
		length = utf8_length(string);
		if (length)
			obstack_grow(stack, string, length);
		else
			obstack_grow(stack, "\xef\xbf\xbd", 3);
		length += !length;
	}
	obstack_1grow(stack, '\0');
	return obstack_finish(stack);
}

static bool is_control(const char *string, unsigned int length)
{
	unsigned char first = string[0], second = length > 1 ? string[1] : 0;

	return first < ' ' || first == 0x7f ||
	       (first == 0xc2 && second < 0xa0);	/* U+0080 to U+009F */
}

const char *text_printable(const char *string)
{
	struct obstack *stack = strings();
	unsigned int length;

	for (; *string; string += length) {
		length = utf8_length(string);
		if (length && !is_control(string, length)) {
			obstack_grow(stack, string, length);
			continue;
		}
		obstack_printf(stack, "\\x%02x", (unsigned char)*string);
		length = 1;
	}
	obstack_1grow(stack, '\0');
	return obstack_finish(stack);
}

char *text_list(const char *list, const char *item)
{
	return list ? text("%s, %s", list, item) : text("%s", item);
}

void *text_mark(void)
{
	return obstack_alloc(strings(), 1);
}

void text_release(void *mark)
{
	obstack_free(strings(), mark);
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
