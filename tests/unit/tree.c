// SPDX-License-Identifier: MIT
#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../lib/internal.h"
#include "tree.h"

static char root[64];

static void must(int good, const char *what)
{
	if (good)
		return;
	perror(what);
	exit(99);
}

static void make_parents(char *path)
{
	for (char *p = path + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		must(!mkdir(path, 0755) || errno == EEXIST, path);
		*p = '/';
	}
}

static void make_file(const char *path, const char *content)
{
	FILE *f = fopen(path, "w");

	must(!!f, path);
	for (; *content; content++)
		if (content[0] == '\\' && content[1] == 'n')
			fputc('\n', f), content++;
		else
			fputc(*content, f);
	fputc('\n', f);
	fclose(f);
}

/* "0d0001": pairs of hex digits to where @at says; what lies before is zeros. */
static void make_bytes(const char *path, const char *at, const char *hex)
{
	FILE *f = fopen(path, "r+");
	unsigned int byte;

	f = f ? f : fopen(path, "w");
	must(f && !fseek(f, strtol(at, NULL, 0), SEEK_SET), path);
	for (; sscanf(hex, "%2x", &byte) == 1; hex += 2)
		fputc((int)byte, f);
	fclose(f);
}

static int remove_entry(const char *path, const struct stat *st, int type,
			struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static void make_entry(const char *line)
{
	char path[PATH_MAX], *sep;

	if (*line == '-') {
		snprintf(path, sizeof(path), "%s%s", root, line + 2);
		must(!nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS), path);
		return;
	}
	snprintf(path, sizeof(path), "%s%s", root, line);
	if ((sep = strstr(path, " -> "))) {
		*sep = '\0';
		make_parents(path);
		unlink(path);
		must(!symlink(sep + 4, path), path);
	} else if ((sep = strstr(path, " @"))) {
		char *hex = strstr(sep, " = ");

		must(!!hex, line);
		*sep = *hex = '\0';
		make_parents(path);
		make_bytes(path, sep + 2, hex + 3);
	} else if ((sep = strstr(path, " = "))) {
		*sep = '\0';
		make_parents(path);
		make_file(path, sep + 3);
	} else {
		make_parents(path);
	}
}

void tree_add(const char *text)
{
	char *copy = strdup(text), *save = NULL;

	must(!!copy, "strdup");
	for (char *line = strtok_r(copy, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save))
		make_entry(line);
	free(copy);
}

void tree_make(const char *text)
{
	snprintf(root, sizeof(root), "/tmp/vp2p-tree-XXXXXX");
	must(!!mkdtemp(root), root);
	vp2p__root = root;
	tree_add(text);
}

void tree_remove(void)
{
	must(!nftw(root, remove_entry, 16, FTW_DEPTH | FTW_PHYS), root);
	vp2p__root = "";
}

int open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int count = 0;

	must(!!dir, "/proc/self/fd");
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}
