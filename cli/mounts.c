/* SPDX-License-Identifier: MIT */
/*
 * mounts.c - what is mounted where
 *
 * Not by libmount: the tool is also linked statically, and distributions have no
 * static libmount.
 */
#include "mounts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sysfs.h"
#include "text.h"

static int is_octal(const char *at)
{
	return at[0] >= '0' && at[0] <= '3' && at[1] >= '0' && at[1] <= '7' &&
	       at[2] >= '0' && at[2] <= '7';
}

/* In place: the kernel writes a blank in a name as \040. */
static char *unescape(char *string)
{
	char *from, *to = string;

	for (from = string; *from; from++, to++) {
		*to = *from;
		if (*from != '\\' || !is_octal(from + 1))
			continue;
		*to = (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 |
			     (from[3] - '0'));
		from += 3;
	}
	*to = '\0';
	return string;
}

/* The next word of a line, or "". */
static char *word(char **line)
{
	char *found = strsep(line, " ");

	return found ? found : text("%s", "");
}

/*
 * "36 35 259:3 /root /point rw,noatime shared:1 - ext4 /dev/x rw,data=ordered": any
 * number of words stands before the dash.
 */
static int parse_row(char *line, struct mount_row *row)
{
	char *tail = strstr(line, " - ");

	if (!tail)
		return 0;
	*tail = '\0';
	tail += 3;
	row->id = strtoull(word(&line), NULL, 10);
	word(&line);
	row->number = word(&line);
	word(&line);
	row->point = unescape(word(&line));
	row->options = word(&line);
	row->type = word(&tail);
	row->source = unescape(word(&tail));
	row->fs_options = word(&tail);
	return *row->point;
}

static size_t count_lines(const char *content)
{
	size_t lines = 1;

	for (; (content = strchr(content, '\n')); content++)
		lines++;
	return lines;
}

const struct mount_row *mounts_load(void)
{
	char *content = attribute_read(host_path("/proc/self/mountinfo"));
	char *rest = content ? content : text("%s", "");
	struct mount_row *rows = keep((count_lines(rest) + 1) * sizeof(*rows));
	size_t count = 0;
	char *line;

	while ((line = strsep(&rest, "\n")))
		if (parse_row(line, &rows[count]))
			count++;
	rows[count].point = NULL;
	return rows;
}

const struct mount_row *mounts_find(uint64_t id)
{
	const struct mount_row *row = mounts_load();

	for (; row->point; row++)
		if (row->id == id)
			return row;
	return NULL;
}

/* Where "NAME" or "NAME=..." begins in a list, or NULL. */
static const char *find_option(const char *options, const char *name,
			       size_t length)
{
	while (options && *options) {
		if (!strncmp(options, name, length) &&
		    strchr(",=", options[length]))
			return options;
		options = strchr(options, ',');
		options += options != NULL;
	}
	return NULL;
}

int options_have(const char *options, const char *option)
{
	size_t length = strlen(option);
	const char *found = find_option(options, option, length);

	return found && found[length] != '=';
}

const char *option_value(const char *options, const char *name)
{
	size_t length = strlen(name);
	const char *found = find_option(options, name, length);

	if (!found || found[length] != '=')
		return NULL;
	found += length + 1;
	return text("%.*s", (int)strcspn(found, ","), found);
}
