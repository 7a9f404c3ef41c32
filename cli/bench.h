/* SPDX-License-Identifier: MIT */
/*
 * bench.h - what the parts of "bench" share: columns, and the report
 *
 * A cell is one target, one direction, one size, one depth and one column.  It is
 * measured once a round; the report has the median of the rounds and its spread.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "bench_stats.h"

/** enum bench_column - where the data goes, and how */
enum bench_column {
	BENCH_P2P,	/* the window, by 2 MiB entries */
	BENCH_THP,	/* host RAM of transparent huge pages */
	BENCH_RAM4K,	/* host RAM of 4 KiB pages */
	BENCH_BOUNCE,	/* as THP, and the CPU copies to or from the BAR */
	BENCH_P2P4K,	/* the window, by 4 KiB entries */
	BENCH_COLUMNS
};

/** bench_column_name() - "p2p", "thp", ... */
const char *bench_column_name(enum bench_column column);

/** bench_column_is_p2p() - does the disk itself reach the device's memory? */
bool bench_column_is_p2p(enum bench_column column);

/** struct bench_cell - figures of one cell; CPU times in us per MiB */
struct bench_cell {
	const char *target;
	bool block;
	bool write;
	uint64_t size;
	unsigned int depth;
	enum bench_column column;
	struct spread gib_s;
	struct spread iops;
	struct spread cpu;	/* the process's */
	struct spread busy;	/* the machine's: see bench_cpu.h */
	struct spread interrupts;	/* of the machine, per MiB */
	double p50_us;
	double p99_us;
	uint64_t bytes;		/* of all rounds */
};

/** struct bench_conditions - under what the figures were taken; NULL: unknown */
struct bench_conditions {
	const char *kernel;
	const char *cpu_model;
	const char *clock;
	const char *device;
	const char *provider;
	const char *iommu;	/* type of the device's IOMMU group's domain */
	const char *copy;	/* instructions of the bounce column */
	const char *view;	/* what of the BAR it copies to */
	unsigned int cpus;
	unsigned int bar;
	bool hypervisor;
	bool small_folios_known;
	bool small_folios;
	uint64_t window_length;
	uint64_t in_flight;	/* most bytes, limited by the window or memory */
	unsigned int rounds;
	double seconds;		/* per measurement; 0: by bytes */
	uint64_t bytes;
};

/** struct bench_mapping - of what pages a column's buffer turned out to be */
struct bench_mapping {
	const char *pages;	/* NULL: the column is not measured */
	const char *doubt;	/* why it is not what it should be, or NULL */
};

/** struct bench_strings - a list that grows; of strings from text() */
struct bench_strings {
	const char **item;
	unsigned int count;
};

void bench_strings_add(struct bench_strings *strings, const char *string);

/** struct bench_report - everything that is printed, in whatever form */
struct bench_report {
	struct bench_conditions conditions;
	struct bench_mapping mapping[BENCH_COLUMNS];
	struct bench_cell *cells;
	unsigned int count;
	const char *skipped[BENCH_COLUMNS];	/* the reason, or NULL */
	bool brief;	/* one was too short to tell the machine's CPU time */
	struct bench_strings notes;
	struct bench_strings verdicts;
};

/**
 * bench_cell_find() - the cell of @like in another column, NULL if there is none
 */
const struct bench_cell *bench_cell_find(const struct bench_report *report,
					 const struct bench_cell *like,
					 enum bench_column column);

/** bench_same_series() - the same target and direction? */
bool bench_same_series(const struct bench_cell *a, const struct bench_cell *b);

/** bench_verdicts() - fill in @report's verdicts from its cells. */
void bench_verdicts(struct bench_report *report);

/** bench_print_text() - the table, notes and verdicts on standard output. */
void bench_print_text(const struct bench_report *report);

/** bench_print_json() - the same as JSON. */
void bench_print_json(const struct bench_report *report);

/** bench_script() - what gnuplot is told; @what: a struct bench_report. */
void bench_script(FILE *script, const void *what);

#endif /* BENCH_H */
