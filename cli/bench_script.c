/* SPDX-License-Identifier: MIT */
/*
 * bench_script.c - what gnuplot is told
 *
 * A row of two plots for each target, direction and depth: throughput, and CPU
 * time per MiB, both by size with a line for each column.  Where the window has no
 * room for that depth, the point is the deepest that was measured.
 */
#include "bench.h"

#include <inttypes.h>
#include <string.h>

#include "plot.h"
#include "text.h"

/* Told apart by colour-blind people, too. */
static const char *const colours[BENCH_COLUMNS] = {
	[BENCH_P2P] = "#d55e00", [BENCH_THP] = "#0072b2",
	[BENCH_RAM4K] = "#56b4e9", [BENCH_BOUNCE] = "#009e73",
	[BENCH_P2P4K] = "#e69f00",
};

/* Is @cell the first of a row? A row's depth is one of its series' least size. */
static bool begins_row(const struct bench_report *report, unsigned int index)
{
	const struct bench_cell *cell = &report->cells[index];
	unsigned int i;

	for (i = 0; i < index; i++) {
		const struct bench_cell *other = &report->cells[i];

		if (bench_same_series(cell, other) &&
		    (other->depth == cell->depth || other->size < cell->size))
			return false;
	}
	return true;
}

static unsigned int rows_of(const struct bench_report *report)
{
	unsigned int i, rows = 0;

	for (i = 0; i < report->count; i++)
		rows += begins_row(report, i);
	return rows;
}

/* Is @cell, of the row's series, the deepest of its size and column up to @most? */
static bool belongs(const struct bench_report *report,
		    const struct bench_cell *cell, unsigned int most)
{
	unsigned int i;

	if (cell->depth > most)
		return false;
	for (i = 0; i < report->count; i++) {
		const struct bench_cell *other = &report->cells[i];

		if (other->column == cell->column && other->size == cell->size &&
		    other->depth <= most && other->depth > cell->depth &&
		    bench_same_series(other, cell))
			return false;
	}
	return true;
}

/* Return: how many points the line has. */
static unsigned int write_line(FILE *script, const struct bench_report *report,
			       const struct bench_cell *row,
			       enum bench_column column)
{
	unsigned int i, points = 0;

	fprintf(script, "$%s << END\n", bench_column_name(column));
	for (i = 0; i < report->count; i++) {
		const struct bench_cell *cell = &report->cells[i];

		if (cell->column != column || !bench_same_series(cell, row) ||
		    !belongs(report, cell, row->depth))
			continue;
		fprintf(script, "%" PRIu64 " %g %g %g %g %g %g\n", cell->size,
			cell->gib_s.median, cell->gib_s.min, cell->gib_s.max,
			cell->busy.median, cell->busy.min, cell->busy.max);
		points++;
	}
	fputs("END\n", script);
	return points;
}

static void write_plot(FILE *script, const bool drawn[BENCH_COLUMNS],
		       const char *columns)
{
	enum bench_column column;
	const char *before = "plot ";

	for (column = 0; column < BENCH_COLUMNS; column++) {
		if (!drawn[column])
			continue;
		fprintf(script, "%s$%s using %s with yerrorlines lw 2 pt 7 ps 0.5 "
			"lc rgb '%s' title '%s'", before,
			bench_column_name(column), columns, colours[column],
			bench_column_name(column));
		before = ", ";
	}
	fputc('\n', script);
}

static void write_row(FILE *script, const struct bench_report *report,
		      const struct bench_cell *row)
{
	const char *title = text("%s %s, depth %u",
				 row->write ? "writes to" : "reads from",
				 row->target, row->depth);
	bool drawn[BENCH_COLUMNS];
	enum bench_column column;

	for (column = 0; column < BENCH_COLUMNS; column++)
		drawn[column] = write_line(script, report, row, column);
	fprintf(script, "set title %s\n", plot_quoted(title));
	fputs("set ylabel 'GiB/s'\nunset logscale y\nset yrange [0:*]\n", script);
	write_plot(script, drawn, "1:2:3:4");
	fputs("set ylabel 'CPU time of the machine, us per MiB'\n"
	      "set logscale y\nset yrange [*:*]\n", script);
	write_plot(script, drawn, "1:5:6:7");
}

/* There is at least one cell. */
static void write_sizes(FILE *script, const struct bench_report *report)
{
	uint64_t least = report->cells[0].size, most = least;
	const char *before = "set xtics (";
	unsigned int i, k;

	for (i = 0; i < report->count; i++) {
		uint64_t size = report->cells[i].size;

		for (k = 0; report->cells[k].size != size; k++)
			;
		if (k < i)
			continue;
		fprintf(script, "%s'%s' %" PRIu64, before, text_size(size), size);
		before = ", ";
		least = size < least ? size : least;
		most = size > most ? size : most;
	}
	/* Points at the very edge of a plot are hard to see. */
	fprintf(script, ")\nset xrange [%" PRIu64 ":%" PRIu64 "]\n",
		least * 2 / 3, most * 3 / 2);
}

void bench_script(FILE *script, const void *what)
{
	const struct bench_report *report = what;
	const struct bench_conditions *c = &report->conditions;
	unsigned int i, rows = rows_of(report);

	fprintf(script, "set terminal svg size 1200,%u noenhanced background "
		"rgb 'white' font 'sans,12'\n", 60 + 360 * rows);
	fprintf(script, "set multiplot layout %u,2 title %s\n", rows,
		plot_quoted(text("%s BAR %u, Linux %s, %s%s; median and range of %u "
			    "rounds", c->device ? c->device : "unknown", c->bar,
			    c->kernel ? c->kernel : "unknown",
			    c->cpu_model ? c->cpu_model : "unknown CPU",
			    c->hypervisor ? " (virtual machine)" : "",
			    c->rounds)));
	fputs("set logscale x 2\nset xlabel 'bytes of a request'\n"
	      "set grid\nset key outside right\n",
	      script);
	write_sizes(script, report);
	for (i = 0; i < report->count; i++)
		if (begins_row(report, i))
			write_row(script, report, &report->cells[i]);
	fputs("unset multiplot\n", script);
}
