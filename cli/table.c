/* SPDX-License-Identifier: MIT */
/* table.c - rows of text whose columns line up */
#include "table.h"

#include <stdbool.h>
#include <string.h>

#include "text.h"

struct row {
	struct row *next;
	const char *line;		/* set: a line of its own */
	const char *cells[TABLE_COLUMNS];
	unsigned int count;
};

struct table {
	struct row *first;
	struct row **last;
	size_t width[TABLE_COLUMNS];
};

struct table *table_create(void)
{
	struct table *table = keep(sizeof(*table));

	table->last = &table->first;
	return table;
}

static struct row *append(struct table *table)
{
	struct row *row = keep(sizeof(*row));

	*table->last = row;
	table->last = &row->next;
	return row;
}

void table_line(struct table *table, const char *line)
{
	append(table)->line = line;
}

void table_add(struct table *table, const char *const *cells)
{
	struct row *row = append(table);
	unsigned int i;

	for (i = 0; i < TABLE_COLUMNS && cells[i]; i++) {
		size_t width = strlen(cells[i]) - (*cells[i] == '\t');

		row->cells[i] = cells[i];
		if (width > table->width[i])
			table->width[i] = width;
	}
	row->count = i;
}

static void print_row(const struct table *table, const struct row *row,
		      FILE *stream)
{
	unsigned int i;

	for (i = 0; i < row->count; i++) {
		bool last = i + 1 == row->count;
		const char *cell = row->cells[i];
		int width = (int)table->width[i];

		if (*cell == '\t')
			fprintf(stream, "%*s", width, cell + 1);
		else
			fprintf(stream, "%-*s", last ? 0 : width, cell);
		if (!last)
			fputs("  ", stream);
	}
	fputc('\n', stream);
}

void table_print(const struct table *table, FILE *stream)
{
	const struct row *row;

	for (row = table->first; row; row = row->next) {
		if (row->line)
			fprintf(stream, "%s\n", row->line);
		else
			print_row(table, row, stream);
	}
}
