/* SPDX-License-Identifier: MIT */
/*
 * bench_verdict.c - what the figures say, in sentences
 *
 * "Faster" is said only where the slowest round of one column was faster than the
 * fastest of the other, of three rounds and more.  A reason is given only where
 * another column shows it.  The machine's CPU time is compared only where every
 * measurement was long enough for the steps in which the kernel counts it.
 */
#include "bench.h"

#include <stdlib.h>

#include "text.h"

#define LEAST_ROUNDS 3

/* struct comparison - two columns in one respect */
struct comparison {
	enum bench_column ours;
	enum bench_column peer;
	struct spread (*value)(const struct bench_cell *cell);
	const char *words;	/* "the throughput" */
};

static struct spread throughput(const struct bench_cell *cell)
{
	return cell->gib_s;
}

static struct spread process_time(const struct bench_cell *cell)
{
	return cell->cpu;
}

static struct spread busy_time(const struct bench_cell *cell)
{
	return cell->busy;
}

static const struct comparison comparisons[] = {
	{ BENCH_P2P, BENCH_THP, throughput, "throughput" },
	{ BENCH_P2P, BENCH_THP, process_time, "CPU time of the process per MiB" },
	{ BENCH_P2P, BENCH_THP, busy_time, "CPU time of the machine per MiB" },
	{ BENCH_P2P, BENCH_BOUNCE, throughput, "throughput" },
	{ BENCH_P2P, BENCH_BOUNCE, process_time,
	  "CPU time of the process per MiB" },
	{ BENCH_P2P, BENCH_BOUNCE, busy_time, "CPU time of the machine per MiB" },
	{ BENCH_P2P, BENCH_P2P4K, busy_time, "CPU time of the machine per MiB" },
};

static const char *series_name(const struct bench_cell *cell)
{
	return text("%s %s", cell->write ? "writes to" : "reads from",
		    text_printable(cell->target));
}

static void say(struct bench_report *report, const char *sentence)
{
	bench_strings_add(&report->verdicts, sentence);
}

/* Cells in which either has no time that could be measured do not count. */
static void compare(struct bench_report *report, const struct bench_cell *first,
		    const struct comparison *comparison)
{
	double *ratios = calloc(report->count, sizeof(*ratios));
	struct spread all;
	unsigned int i, count = 0;

	for (i = 0; ratios && i < report->count; i++) {
		const struct bench_cell *cell = &report->cells[i], *peer;

		if (cell->column != comparison->ours ||
		    !bench_same_series(cell, first))
			continue;
		peer = bench_cell_find(report, cell, comparison->peer);
		if (peer && comparison->value(peer).median > 0 &&
		    comparison->value(cell).median > 0)
			ratios[count++] = comparison->value(cell).median /
					  comparison->value(peer).median;
	}
	if (count) {
		all = spread_of(ratios, count);
		say(report, text("%s: %s has %.2f times the %s of %s (median of "
				 "%u cell%s, %.2f to %.2f).", series_name(first),
				 bench_column_name(comparison->ours), all.median,
				 comparison->words,
				 bench_column_name(comparison->peer), count,
				 count == 1 ? "" : "s", all.min, all.max));
	}
	free(ratios);
}

/* Does one column have every round faster than every round of the other? */
static bool faster(const struct bench_cell *a, const struct bench_cell *b)
{
	return a->gib_s.min > b->gib_s.max;
}

static const char *reason(const struct bench_report *report,
			  const struct bench_cell *p2p)
{
	const struct bench_cell *thp = bench_cell_find(report, p2p, BENCH_THP);

	if (!thp)
		return "without the column thp nothing shows why";
	if (faster(thp, p2p))
		return text("the disk itself is slower %s the device than %s "
			    "host RAM here (thp has %.3f GiB/s), by more than "
			    "the copy costs", p2p->write ? "from" : "into",
			    p2p->write ? "from" : "into", thp->gib_s.median);
	return text("the disk is not slower %s the device than %s host RAM by "
		    "more than the rounds differ (thp has %.3f GiB/s), so these "
		    "figures do not show why", p2p->write ? "from" : "into",
		    p2p->write ? "from" : "into", thp->gib_s.median);
}

static void say_where_bounce_wins(struct bench_report *report,
				  const struct bench_cell *first)
{
	unsigned int i, cells = 0, lost = 0;

	for (i = 0; i < report->count; i++) {
		const struct bench_cell *p2p = &report->cells[i], *bounce;

		if (p2p->column != BENCH_P2P || !bench_same_series(p2p, first))
			continue;
		bounce = bench_cell_find(report, p2p, BENCH_BOUNCE);
		cells += bounce != NULL;
		if (!bounce || !faster(bounce, p2p))
			continue;
		lost++;
		say(report, text("%s, size %s, depth %u: bounce is faster than "
				 "p2p (%.3f against %.3f GiB/s): %s.",
				 series_name(first), text_size(p2p->size),
				 p2p->depth, bounce->gib_s.median,
				 p2p->gib_s.median, reason(report, p2p)));
	}
	if (cells && !lost)
		say(report, text("%s: bounce is faster than p2p in none of %u "
				 "cell%s, by more than the rounds differ.",
				 series_name(first), cells,
				 cells == 1 ? "" : "s"));
}

/* What a column is not, no sentence about it must be taken for. */
static void say_doubts(struct bench_report *report)
{
	enum bench_column column;

	for (column = 0; column < BENCH_COLUMNS; column++)
		if (!report->skipped[column] && report->mapping[column].doubt)
			say(report, text("%s is not what its name says, nor is what "
					 "is said of it here: %s.",
					 bench_column_name(column),
					 report->mapping[column].doubt));
}

static void say_what_is_not_shown(struct bench_report *report)
{
	if (report->conditions.rounds < LEAST_ROUNDS)
		say(report, text("Fewer than %d rounds do not show by how much "
				 "figures vary: which column is faster is not "
				 "said.", LEAST_ROUNDS));
	if (report->brief)
		say(report, "A measurement took less than half a second, too little "
			    "for the 10 ms in which the kernel counts idle time: "
			    "CPU times of the machine (BUSY) are rough, and not "
			    "compared.");
	say_doubts(report);
}

void bench_verdicts(struct bench_report *report)
{
	const struct bench_cell *first = NULL;
	unsigned int i, c;

	for (i = 0; i < report->count; i++) {
		if (first && bench_same_series(first, &report->cells[i]))
			continue;
		first = &report->cells[i];
		for (c = 0; c < sizeof(comparisons) / sizeof(comparisons[0]); c++)
			if (!report->brief || comparisons[c].value != busy_time)
				compare(report, first, &comparisons[c]);
		if (report->conditions.rounds >= LEAST_ROUNDS)
			say_where_bounce_wins(report, first);
	}
	if (first)
		say_what_is_not_shown(report);
}
