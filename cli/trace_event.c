/* SPDX-License-Identifier: MIT */
/*
 * trace_event.c - a line of trace text as one of the driver's events
 *
 *	dd-93  [001] .....  12.345678: p2p_vfio_begin: 0000:03:00.0: cause=reset nested=0
 *
 * A task's name is any 15 bytes.  So an event begins where its name follows a time
 * stamp, and the first such place whose name is known counts.
 */
#include "trace_event.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char mark[] = ": p2p_vfio_";

static const struct {
	const char *name;
	enum trace_kind kind;
} known[] = {
	{ "register", TRACE_REGISTER }, { "fault", TRACE_FAULT },
	{ "begin", TRACE_BEGIN }, { "zapped", TRACE_ZAPPED },
	{ "drained", TRACE_DRAINED }, { "timeout", TRACE_TIMEOUT },
	{ "end", TRACE_END },
};

/* Return: what follows "NAME: ", or NULL if no event is called so. */
static const char *parse_kind(const char *at, enum trace_kind *kind)
{
	size_t length = strcspn(at, ":"), i;

	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (strlen(known[i].name) != length ||
		    strncmp(at, known[i].name, length) || at[length] != ':')
			continue;
		*kind = known[i].kind;
		at += length + 1;
		return at + strspn(at, " \t");
	}
	return NULL;
}

/* "12.345678" that ends at @end, and a blank before it. Return: its beginning. */
static const char *parse_time(const char *line, const char *end, uint64_t *us)
{
	const char *at = end, *rest;
	unsigned int digits = 0;
	char *stop;

	while (at > line && (isdigit((unsigned char)at[-1]) || at[-1] == '.'))
		at--;
	if (at == end || (at > line && at[-1] != ' ') ||
	    !isdigit((unsigned char)*at))
		return NULL;
	*us = strtoull(at, &stop, 10) * 1000000;
	if (*stop != '.')
		return NULL;
	/* trace-cmd can show nine digits. */
	for (rest = stop + 1; rest < end && isdigit((unsigned char)*rest); rest++) {
		static const unsigned int worth[] = { 100000, 10000, 1000, 100, 10, 1 };

		if (digits < 6)
			*us += (uint64_t)(*rest - '0') * worth[digits++];
	}
	return rest == end && digits == 6 ? at : NULL;
}

/* "NAME-PID  [CPU]"; a name that the kernel does not know is "<...>". */
static void parse_task(const char *line, const char *end, struct trace_event *event)
{
	const char *cpu = NULL, *at, *name;
	int length;

	for (at = line; at < end; at++)
		if (at[0] == ' ' && at[1] == '[' && isdigit((unsigned char)at[2]))
			cpu = at;
	if (!cpu)
		return;
	while (cpu > line && cpu[-1] == ' ')
		cpu--;
	for (at = cpu; at > line && isdigit((unsigned char)at[-1]); at--)
		;
	if (at == cpu || at == line || at[-1] != '-')
		return;
	event->pid = (unsigned int)strtoul(at, NULL, 10);
	name = line + strspn(line, " ");
	length = (int)(cpu - name);
	if (!strncmp(name, "<...>", 5)) {
		name = at;
		length = (int)(cpu - at);
	}
	snprintf(event->task, sizeof(event->task), "%.*s", length, name);
}

/* The text after " NAME=", or "". */
static const char *field(const char *fields, const char *name)
{
	size_t length = strlen(name);
	const char *at;

	for (at = strstr(fields, name); at; at = strstr(at + 1, name))
		if (at > fields && at[-1] == ' ' && at[length] == '=')
			return at + length + 1;
	return "";
}

static uint64_t number(const char *fields, const char *name)
{
	return strtoull(field(fields, name), NULL, 0);
}

static void parse_fields(const char *fields, struct trace_event *event)
{
	sscanf(field(fields, "cause"), "%15[a-z_]", event->cause);
	event->nested = number(fields, "nested");
	event->pinned = number(fields, "pinned_folios");
	event->waited_us = number(fields, "waited_us");
	event->acted = number(fields, "acted");
	event->open = !strncmp(field(fields, "gate"), "open", 4);
	event->generation = number(fields, "generation");
	event->user = strstr(fields, " user ");
	event->window = (unsigned int)number(fields, "window");
	event->bar = (unsigned int)number(fields, "bar");
	event->offset = number(fields, "offset");
	event->length = number(fields, "length");
}

/* "0000:03:00.0: cause=..." Return: what follows the address, or NULL. */
static const char *parse_device(const char *at, char bdf[BDF_SIZE])
{
	size_t length = strcspn(at, " ");
	char word[BDF_SIZE + 1];

	if (!length || length > BDF_SIZE || at[length - 1] != ':')
		return NULL;
	memcpy(word, at, length - 1);
	word[length - 1] = '\0';
	return parse_bdf(word, bdf) ? NULL : at + length;
}

static bool parse_at(const char *line, const char *at, struct trace_event *event)
{
	const char *time = parse_time(line, at, &event->us);
	const char *rest;

	if (!time)
		return false;
	rest = parse_kind(at + strlen(mark), &event->kind);
	if (rest)
		rest = parse_device(rest, event->bdf);
	if (!rest)
		return false;
	parse_task(line, time, event);
	parse_fields(rest, event);
	return true;
}

/* "CPU:1 [LOST 23 EVENTS]" */
static bool parse_lost(const char *line, struct trace_event *event)
{
	event->kind = TRACE_LOST;
	return sscanf(line, "CPU:%*u [LOST %" SCNu64 " EVENTS]", &event->lost) == 1;
}

bool trace_parse(const char *line, struct trace_event *event)
{
	const char *at;

	*event = (struct trace_event){ 0 };
	if (*line == '#')
		return false;
	for (at = strstr(line, mark); at; at = strstr(at + 1, mark))
		if (parse_at(line, at, event))
			return true;
	*event = (struct trace_event){ 0 };
	return parse_lost(line, event);
}
