/* SPDX-License-Identifier: MIT */
/* table.h - rows of text whose columns line up */
#ifndef TABLE_H
#define TABLE_H

#include <stdio.h>

#define TABLE_COLUMNS 10

struct table;

struct table *table_create(void);

/**
 * table_add() - add a row
 * @cells: strings that outlive the table, ended by NULL (at most TABLE_COLUMNS).
 *	A cell that begins with '\t' is aligned to the right.
 */
void table_add(struct table *table, const char *const *cells);

/** TABLE_ROW() - add a row given as arguments. */
#define TABLE_ROW(table, ...) \
	table_add(table, (const char *const[]){ __VA_ARGS__, NULL })

/** table_line() - add a line of its own, which widens no column. */
void table_line(struct table *table, const char *line);

/** table_print() - columns two blanks apart, no blanks at the end of a line. */
void table_print(const struct table *table, FILE *stream);

#endif /* TABLE_H */
