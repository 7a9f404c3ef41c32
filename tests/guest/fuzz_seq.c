// SPDX-License-Identifier: MIT
/*
 * Calls as text: see fuzz.h.  A line is a call, the operation's name and its
 * arguments in hexadecimal; zeros at the end are left out; # begins a comment.
 */
#define _GNU_SOURCE
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int fz_op_named(const char *name, size_t length)
{
	for (int i = 0; fz_ops[i].name; i++)
		if (strlen(fz_ops[i].name) == length && !strncmp(fz_ops[i].name, name, length))
			return i;
	return -1;
}

void fz_print(const struct fz_call *c, char *line)
{
	int n = snprintf(line, FZ_LINE, "%s", fz_ops[c->op].name), last = FZ_ARGS;

	while (last && !c->a[last - 1])
		last--;
	for (int i = 0; i < last; i++)
		n += snprintf(line + n, FZ_LINE - n, " %llx", (unsigned long long)c->a[i]);
}

bool fz_parse(const char *line, struct fz_call *c)
{
	size_t length = strcspn(line, " \n");
	int op = fz_op_named(line, length);
	char *end;

	if (op < 0)
		return false;
	*c = (struct fz_call){ .op = op };
	line += length;
	for (int i = 0; i < FZ_ARGS; i++, line = end) {
		c->a[i] = strtoull(line, &end, 16);
		if (end == line)
			break;
	}
	return true;
}
