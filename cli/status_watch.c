/* SPDX-License-Identifier: MIT */
/*
 * status_watch.c - vfio-p2p status --watch: the status, again and again
 *
 * The driver's attributes cannot be waited for, so it looks in intervals.  Of what
 * happens in between the counters tell: how often a device was revoked, and why.
 */
#include "status.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "interrupt.h"
#include "parse.h"
#include "text.h"

#define NEWS 8		/* lines; older ones are forgotten */
#define CAUSES 16

/* struct seen - a device at the last look */
struct seen {
	struct seen *next;
	char bdf[BDF_SIZE];
	bool there;
	bool waiting;			/* for pins */
	bool counted;			/* the rest is known */
	uint64_t timeouts;
	uint64_t revokes[CAUSES];	/* in the attribute's order */
};

/* struct news - the latest lines, in a ring */
struct news {
	char line[NEWS][160];
	unsigned int count;
};

static const char *now(const char *format)
{
	time_t seconds = time(NULL);
	char string[32];
	struct tm local;

	strftime(string, sizeof(string), format, localtime_r(&seconds, &local));
	return text("%s", string);
}

__attribute__((format(printf, 3, 4)))
static void tell(struct news *news, const char *bdf, const char *format, ...)
{
	char *line = news->line[news->count++ % NEWS];
	va_list args;

	va_start(args, format);
	snprintf(line, sizeof(news->line[0]), "%s  %s  %s", now("%T"), bdf,
		 text_v(format, args));
	va_end(args);
}

static struct seen *seen_of(struct seen **list, const char *bdf)
{
	struct seen *seen;

	for (seen = *list; seen; seen = seen->next)
		if (!strcmp(seen->bdf, bdf))
			return seen;
	seen = calloc(1, sizeof(*seen));
	if (!seen)
		text_no_memory();
	snprintf(seen->bdf, sizeof(seen->bdf), "%s", bdf);
	seen->next = *list;
	*list = seen;
	return seen;
}

/* How the drain went, as far as it can be known from the last one's time. */
static const char *outcome(const struct seen *seen, uint64_t timed_out)
{
	uint64_t us;

	if (timed_out)
		return text("%" PRIu64 " timed out", timed_out);
	if (seen->waiting)
		return "waits for pins";
	if (!status_number(seen->bdf, "drain_last_us", &us))
		return "drained";
	return text("last drain %s", text_duration(us / 1e6));
}

/* Counters that have become less are those of another bind. */
static void compare(struct news *news, struct seen *seen, bool first)
{
	const char *at = status_text(seen->bdf, "revokes");
	uint64_t count, timeouts = 0, timed_out = 0;
	bool known = seen->counted && !first;
	bool waited = known && seen->waiting;
	unsigned int i;
	char cause[32];

	seen->waiting = !strcmp(status_text(seen->bdf, "state"), "draining");
	status_number(seen->bdf, "drain_timeouts", &timeouts);
	if (known && timeouts > seen->timeouts)
		timed_out = timeouts - seen->timeouts;
	seen->timeouts = timeouts;
	for (i = 0; i < CAUSES; i++) {
		at = status_next_revoke(at, cause, &count);
		if (!at)
			break;
		if (known && count > seen->revokes[i]) {
			tell(news, seen->bdf, "%s +%" PRIu64 ", %s", cause,
			     count - seen->revokes[i], outcome(seen, timed_out));
			waited = false;
		}
		seen->revokes[i] = count;
	}
	if (waited && !seen->waiting)
		tell(news, seen->bdf, "waits no longer: %s",
		     outcome(seen, timed_out));
	seen->counted = i > 0;
}

static void update(struct news *news, struct seen *seen, bool initial)
{
	bool there = status_has(seen->bdf);
	bool came = there && !seen->there;

	if (!there && seen->there)
		tell(news, seen->bdf, "has gone: unbound or removed");
	if (came && !initial)
		tell(news, seen->bdf, "is there: bound to " DRIVER_NAME);
	seen->there = there;
	if (there)
		compare(news, seen, came);
}

static void print_news(const struct news *news)
{
	unsigned int i = news->count > NEWS ? news->count - NEWS : 0;

	if (!news->count)
		return;
	fputs("since the beginning:\n", stdout);
	if (i)
		printf("  ... %u earlier\n", i);
	for (; i < news->count; i++)
		printf("  %s\n", news->line[i % NEWS]);
}

static void print(const struct status_watch *watch, const struct news *news,
		  const struct operands *devices)
{
	bool terminal = isatty(STDOUT_FILENO);

	if (watch->json) {
		watch->print(devices);
		return;
	}
	if (terminal)
		fputs("\033[H\033[2J", stdout);
	printf("%s, every %s%s\n\n", now("%F %T"), text_duration(watch->seconds),
	       terminal ? "; ctrl-C ends" : "");
	watch->print(devices);
	print_news(news);
	if (!terminal)
		fputs("\n", stdout);
}

/* struct view - what lasts from look to look */
struct view {
	struct seen *seen;
	struct news news;
	bool looked;
};

static void look(const struct status_watch *watch, struct view *view)
{
	struct operands bound = { 0 }, there = { 0 };
	struct seen *seen;
	unsigned int i;

	if (watch->given->count)
		bound = *watch->given;
	else
		status_all(&bound);
	for (i = 0; i < bound.count; i++)
		seen_of(&view->seen, bound.bdf[i]);
	for (seen = view->seen; seen; seen = seen->next)
		update(&view->news, seen, !view->looked);
	view->looked = true;
	there.bdf = keep((bound.count + 1) * sizeof(*there.bdf));
	for (i = 0; i < bound.count; i++)
		if (status_has(bound.bdf[i]))
			there.bdf[there.count++] = bound.bdf[i];
	print(watch, &view->news, &there);
}

static void forget(struct seen *seen)
{
	while (seen) {
		struct seen *next = seen->next;

		free(seen);
		seen = next;
	}
}

int status_watch(const struct status_watch *watch)
{
	struct view view = { 0 };

	interrupt_catch(false);
	while (!interrupt_seen()) {
		void *mark = text_mark();

		look(watch, &view);
		text_release(mark);
		if (fflush(stdout) || ferror(stdout))
			break;
		interrupt_wait(-1, watch->seconds);
	}
	forget(view.seen);
	return EXIT_OK;
}
