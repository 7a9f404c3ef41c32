/* SPDX-License-Identifier: MIT */
/* bench_text.c - the report as a table for people */
#include "bench.h"

#include <inttypes.h>
#include <stdio.h>

#include "table.h"
#include "text.h"

static const char *known(const char *string)
{
	return string ? text_printable(string) : "unknown";
}

static void print_conditions(const struct bench_conditions *c)
{
	printf("device %s, BAR %u, window of %s; folios %s; provider %s; IOMMU "
	       "%s\n", known(c->device), c->bar, text_size(c->window_length),
	       !c->small_folios_known ? "unknown" :
	       c->small_folios ? "of 4 KiB" : "of 2 MiB",
	       known(c->provider), known(c->iommu));
	printf("Linux %s, %u CPUs (%s)%s, clock %s\n", known(c->kernel), c->cpus,
	       known(c->cpu_model), c->hypervisor ? ", in a virtual machine" : "",
	       known(c->clock));
	if (c->copy)
		printf("bounce copies by %s through the %s\n", c->copy, c->view);
	printf("%u round%s of %s each; median (least..most) of the rounds; "
	       "latencies of all rounds\n", c->rounds, c->rounds == 1 ? "" : "s",
	       c->bytes ? text_size(c->bytes) : text("%g s", c->seconds));
}

static void print_columns(const struct bench_report *report)
{
	enum bench_column column;

	for (column = 0; column < BENCH_COLUMNS; column++) {
		const struct bench_mapping *mapping = &report->mapping[column];

		if (report->skipped[column])
			printf("%s: skipped: %s\n", bench_column_name(column),
			       report->skipped[column]);
		else
			printf("%s: %s%s%s\n", bench_column_name(column),
			       known(mapping->pages), mapping->doubt ?
			       "; * " : "", mapping->doubt ? mapping->doubt : "");
	}
}

static const char *spread_text(const char *format, const struct spread *spread)
{
	return text("\t%s (%s..%s)", text(format, spread->median),
		    text(format, spread->min), text(format, spread->max));
}

static void add_row(struct table *table, const struct bench_report *report,
		    const struct bench_cell *cell)
{
	TABLE_ROW(table, text("\t%s", text_size(cell->size)),
		  text("\t%u", cell->depth),
		  text("%s%s", bench_column_name(cell->column),
		       report->mapping[cell->column].doubt ? "*" : ""),
		  spread_text("%.3f", &cell->gib_s),
		  text("\t%.0f", cell->iops.median),
		  text("\t%.1f", cell->p50_us), text("\t%.1f", cell->p99_us),
		  spread_text("%.1f", &cell->cpu),
		  spread_text("%.1f", &cell->busy));
}

/* A table for each target and direction, since each has its own widths. */
static void print_series(const struct bench_report *report, unsigned int from)
{
	const struct bench_cell *first = &report->cells[from];
	struct table *table = table_create();
	unsigned int i;

	printf("\n%s %s (%s)\n", first->write ? "writes to" : "reads from",
	       text_printable(first->target),
	       first->block ? "block device" : "file");
	TABLE_ROW(table, "\tSIZE", "\tDEPTH", "COLUMN", "\tGiB/s", "\tIOPS",
		  "\tp50 us", "\tp99 us", "\tCPU us/MiB", "\tBUSY us/MiB");
	for (i = from; i < report->count &&
	     bench_same_series(&report->cells[i], first); i++)
		add_row(table, report, &report->cells[i]);
	table_print(table, stdout);
}

static void print_strings(const char *title, const struct bench_strings *strings)
{
	unsigned int i;

	if (strings->count)
		printf("\n%s\n", title);
	for (i = 0; i < strings->count; i++)
		printf("  %s\n", strings->item[i]);
}

void bench_print_text(const struct bench_report *report)
{
	unsigned int i;

	print_conditions(&report->conditions);
	print_columns(report);
	for (i = 0; i < report->count; i++)
		if (!i || !bench_same_series(&report->cells[i],
					     &report->cells[i - 1]))
			print_series(report, i);
	printf("\nCPU is the process's time, BUSY the whole machine's, which "
	       "some kernels estimate (see the manual page).\n");
	print_strings("Notes:", &report->notes);
	print_strings("Verdicts:", &report->verdicts);
}
