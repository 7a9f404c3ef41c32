/* SPDX-License-Identifier: MIT */
/* bench_report.c - the report's own parts: columns, lists, finding a cell */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

#include "text.h"

const char *bench_column_name(enum bench_column column)
{
	static const char *const names[BENCH_COLUMNS] = {
		[BENCH_P2P] = "p2p", [BENCH_THP] = "thp",
		[BENCH_RAM4K] = "ram4k", [BENCH_BOUNCE] = "bounce",
		[BENCH_P2P4K] = "p2p4k",
	};

	return names[column];
}

bool bench_column_is_p2p(enum bench_column column)
{
	return column == BENCH_P2P || column == BENCH_P2P4K;
}

void bench_strings_add(struct bench_strings *strings, const char *string)
{
	const char **more = keep((strings->count + 1) * sizeof(*more));

	if (strings->count)
		memcpy(more, strings->item, strings->count * sizeof(*more));
	more[strings->count++] = string;
	strings->item = more;
}

bool bench_same_series(const struct bench_cell *a, const struct bench_cell *b)
{
	return a->write == b->write && !strcmp(a->target, b->target);
}

const struct bench_cell *bench_cell_find(const struct bench_report *report,
					 const struct bench_cell *like,
					 enum bench_column column)
{
	unsigned int i;

	for (i = 0; i < report->count; i++) {
		const struct bench_cell *cell = &report->cells[i];

		if (cell->column == column && cell->size == like->size &&
		    cell->depth == like->depth && bench_same_series(cell, like))
			return cell;
	}
	return NULL;
}
