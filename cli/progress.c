/* SPDX-License-Identifier: MIT */
/* progress.c - the bar that shows how far a copy has come */
#include "progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "text.h"

#define BAR_MIN		12	/* narrower than this a bar says nothing */
#define BAR_MAX		40
#define LINE_MAX_SIZE	256
#define REDRAW_SECONDS	0.1
#define LINE_SECONDS	10
#define LINE_COLUMNS	80
#define RATE_SECONDS	0.2	/* before that a rate is mere noise */

static void remaining(char *text, size_t size, double seconds)
{
	bool days = seconds >= 100 * 3600;
	/* A larger one might not fit the type. */
	unsigned long whole = days ? 0 : (unsigned long)(seconds + 0.5);

	if (days)
		snprintf(text, size, "days left");
	else if (whole >= 3600)
		snprintf(text, size, "%lu:%02lu:%02lu left", whole / 3600,
			 whole / 60 % 60, whole % 60);
	else
		snprintf(text, size, "%lu:%02lu left", whole / 60, whole % 60);
}

static void bar(char *text, unsigned int width, unsigned int percent)
{
	unsigned int inner = width - 2;
	unsigned int filled = inner * percent / 100;

	text[0] = '[';
	memset(text + 1, ' ', inner);
	memset(text + 1, '=', filled);
	if (filled < inner)
		text[1 + filled] = '>';
	text[1 + inner] = ']';
	text[2 + inner] = '\0';
}

/* Appends @part after two blanks if it fits into @columns; false if not. */
static bool append(char *line, unsigned int columns, const char *part)
{
	if (strlen(line) + 2 + strlen(part) > columns)
		return false;
	strcat(strcat(line, "  "), part);
	return true;
}

/* The texts of a line, by falling importance. */
struct parts {
	char head[64];
	char numbers[64];
	char speed[32];
	char left[32];
	unsigned int percent;
};

static void describe(struct parts *parts, const struct progress *progress)
{
	uint64_t total = progress->total;
	uint64_t done = progress->done;
	double rate = progress->seconds >= RATE_SECONDS ?
		      (double)done / progress->seconds : 0;
	char part[24];

	if (total && done > total)
		done = total;
	format_amount(parts->numbers, sizeof(parts->numbers), (double)done);
	if (total) {
		parts->percent = (unsigned int)((double)done / (double)total *
						100);
		format_amount(part, sizeof(part), (double)total);
		strcat(strcat(parts->numbers, " of "), part);
		snprintf(parts->head, sizeof(parts->head), "%.40s %3u%%",
			 progress->label, parts->percent);
	} else {
		snprintf(parts->head, sizeof(parts->head), "%.40s",
			 progress->label);
	}
	if (rate > 0) {
		format_amount(part, sizeof(part), rate);
		snprintf(parts->speed, sizeof(parts->speed), "%s/s", part);
	}
	if (rate > 0 && total)
		remaining(parts->left, sizeof(parts->left),
			  (double)(total - done) / rate);
}

/* What the texts leave for the bar, or 0 if that is too little. */
static unsigned int bar_width(const struct parts *parts, unsigned int columns)
{
	size_t used = strlen(parts->head) + 2 + strlen(parts->numbers) + 1;

	if (*parts->speed)
		used += 2 + strlen(parts->speed);
	if (*parts->left)
		used += 2 + strlen(parts->left);
	if (columns < used + BAR_MIN)
		return 0;
	return columns - used < BAR_MAX ? columns - used : BAR_MAX;
}

void progress_format(char *line, size_t size, unsigned int columns,
		     const struct progress *progress)
{
	struct parts parts = { 0 };
	char full[LINE_MAX_SIZE], graph[BAR_MAX + 1];
	unsigned int width;

	describe(&parts, progress);
	if (columns >= sizeof(full))
		columns = sizeof(full) - 1;
	snprintf(full, sizeof(full), "%.*s", (int)columns, parts.head);
	width = bar_width(&parts, columns);
	if (progress->total && width) {
		bar(graph, width, parts.percent);
		strcat(strcat(full, " "), graph);
	}
	if (append(full, columns, parts.numbers) && *parts.speed &&
	    append(full, columns, parts.speed) && *parts.left)
		append(full, columns, parts.left);
	snprintf(line, size, "%s", full);
}

double monotonic_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static unsigned int terminal_columns(void)
{
	struct winsize size;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) || !size.ws_col)
		return 80;
	return size.ws_col;
}

/* For a log: a line of its own. */
static void say(struct progress_bar *bar, double now)
{
	char line[LINE_MAX_SIZE];

	bar->drawn = now;
	bar->progress.seconds = now - bar->started;
	progress_format(line, sizeof(line), LINE_COLUMNS, &bar->progress);
	fprintf(stderr, "%s\n", line);
}

static void draw(struct progress_bar *bar, double now)
{
	char line[LINE_MAX_SIZE];

	bar->drawn = now;
	bar->progress.seconds = now - bar->started;
	/* The last column stays free: filling it makes some terminals wrap. */
	progress_format(line, sizeof(line), terminal_columns() - 1,
			&bar->progress);
	fprintf(stderr, "\r%s\033[K", line);
	fflush(stderr);
}

void progress_begin(struct progress_bar *bar, const char *label,
		    uint64_t total, bool wanted)
{
	double now = monotonic_seconds();
	bool terminal = isatty(STDERR_FILENO);

	*bar = (struct progress_bar){
		.progress = { .label = label, .total = total },
		.wanted = wanted,
		.terminal = terminal,
		.started = now,
		.drawn = terminal ? 0 : now,
	};
}

void progress_update_at(struct progress_bar *bar, uint64_t done, double now)
{
	if (done < bar->progress.done)
		bar->started = now;
	bar->progress.done = done;
	if (!bar->wanted)
		return;
	if (bar->terminal && now - bar->drawn >= REDRAW_SECONDS)
		draw(bar, now);
	else if (!bar->terminal && now - bar->drawn >= LINE_SECONDS)
		say(bar, now);
}

void progress_update(struct progress_bar *bar, uint64_t done)
{
	progress_update_at(bar, done, monotonic_seconds());
}

void progress_hide(struct progress_bar *bar)
{
	if (bar->wanted && bar->terminal && bar->drawn > 0)
		fputs("\r\033[K", stderr);
	bar->drawn = bar->terminal ? 0 : bar->drawn;
}

void progress_end(struct progress_bar *bar)
{
	progress_hide(bar);
	bar->wanted = false;
}
