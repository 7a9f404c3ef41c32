/* SPDX-License-Identifier: MIT */
/*
 * trace_script.c - what gnuplot is told of a timeline
 *
 * A row for each revocation, its phases as boxes from left to right.  Time is that
 * since the gate closed, on a logarithmic scale: a zap of microseconds shows beside
 * a drain of seconds.
 */
#include "trace_timeline.h"

#include <string.h>

#include "plot.h"
#include "text.h"

#define MOST_ROWS 60	/* the latest; more cannot be read */

enum phase { PHASE_ZAP, PHASE_DRAIN, PHASE_TIMEOUT, PHASE_ACT, PHASES };

/* Told apart by colour-blind people, too. */
static const struct {
	const char *name, *title, *colour;
} phases[PHASES] = {
	[PHASE_ZAP] = { "zap", "gate closed, zap", "#56b4e9" },
	[PHASE_DRAIN] = { "drain", "drain", "#e69f00" },
	[PHASE_TIMEOUT] = { "timeout", "drain, timed out", "#d55e00" },
	[PHASE_ACT] = { "act", "drained: the action, until the end", "#009e73" },
};

/* From and to in us of the trace. Return: false if there was no such phase. */
static bool span(const struct timeline *timeline, const struct revocation *r,
		 enum phase phase, uint64_t *from, uint64_t *to)
{
	uint64_t last = r->ended ? r->end_us : timeline->last_us;
	bool drained = r->drain != DRAIN_UNKNOWN;
	bool timed_out = r->drain == DRAIN_TIMED_OUT;

	*from = phase == PHASE_ZAP ? r->begin_us :
		phase == PHASE_ACT ? r->drain_us : r->zapped_us;
	*to = phase == PHASE_ACT ? last :
	      phase == PHASE_ZAP ? (r->zapped ? r->zapped_us : last) :
				   (drained ? r->drain_us : last);
	if (phase == PHASE_ZAP)
		return true;
	if (phase == PHASE_ACT)
		return drained;
	return r->zapped && timed_out == (phase == PHASE_TIMEOUT);
}

static const struct revocation *first_row(const struct timeline *timeline)
{
	const struct revocation *r;
	unsigned int rows = 0;

	for (r = timeline->first; r; r = r->next)
		rows += *r->cause != '\0';
	for (r = timeline->first; r && rows > MOST_ROWS; r = r->next)
		rows -= *r->cause != '\0';
	return r;
}

/* A logarithmic scale has no 0: everything is a microsecond later. */
static bool write_phase(FILE *script, const struct timeline *timeline,
			enum phase phase)
{
	const struct revocation *r = first_row(timeline);
	unsigned int row = 0;
	uint64_t from, to;
	bool any = false;

	fprintf(script, "$%s << END\n", phases[phase].name);
	for (; r; r = r->next) {
		if (!*r->cause)
			continue;
		if (span(timeline, r, phase, &from, &to)) {
			fprintf(script, "%u %llu %llu\n", row,
				(unsigned long long)(from - r->closed_us + 1),
				(unsigned long long)(to - r->closed_us + 1));
			any = true;
		}
		row++;
	}
	fputs("END\n", script);
	return any;
}

static const char *row_label(const struct revocation *r)
{
	return text("%s %*s%s%s", r->bdf, 2 * (int)r->depth, "", r->cause,
		    r->drain == DRAIN_TIMED_OUT ? text(", %llu pinned",
				(unsigned long long)r->left) :
		    r->pinned ? text(", %llu pinned",
				(unsigned long long)r->pinned) : "");
}

/* Return: how many there are. */
static unsigned int write_labels(FILE *script, const struct timeline *timeline)
{
	const struct revocation *r = first_row(timeline);
	const char *before = "set ytics (";
	unsigned int row = 0;

	for (; r; r = r->next) {
		if (!*r->cause)
			continue;
		fprintf(script, "%s%s %u", before, plot_quoted(row_label(r)), row++);
		before = ", ";
	}
	fputs(")\n", script);
	return row;
}

void trace_script(FILE *script, const void *what)
{
	const struct timeline *timeline = what;
	const char *before = "plot ";
	bool drawn[PHASES];
	enum phase phase;
	unsigned int rows;

	rows = write_labels(script, timeline);
	fprintf(script, "set terminal svg size 1200,%u noenhanced background rgb "
		"'white' font 'sans,12'\n", 140 + 28 * rows);
	fprintf(script, "set title %s\n",
		plot_quoted(text("revocations%s", timeline->lost ?
				 " (events were lost)" : "")));
	fprintf(script, "set yrange [%u.5:-0.5]\n", rows - 1);
	fputs("set logscale x\nset xrange [1e-6:*]\nset format x '%.0s %cs'\n"
	      "set xlabel 'time since the gate closed'\nset grid x\n"
	      "set key outside bottom center horizontal\n"
	      "set style fill solid border -1\n", script);
	for (phase = 0; phase < PHASES; phase++)
		drawn[phase] = write_phase(script, timeline, phase);
	for (phase = 0; phase < PHASES; phase++) {
		if (!drawn[phase])
			continue;
		fprintf(script, "%s$%s using ($2*1e-6):1:($2*1e-6):($3*1e-6):"
			"($1-0.35):($1+0.35) with boxxyerror fc rgb '%s' title '%s'",
			before, phases[phase].name, phases[phase].colour,
			phases[phase].title);
		before = ", ";
	}
	fputc('\n', script);
}
