/* SPDX-License-Identifier: MIT */
/* sysfs.c - attributes and links below /sys, /proc and /run */
#include "sysfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "text.h"

bool host_is_recorded(void)
{
	return *host_root();
}

char *host_path(const char *format, ...)
{
	char path[PATH_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(path, sizeof(path), format, args);
	va_end(args);
	return text("%s%s", host_root(), path);
}

char *attribute_read(const char *path)
{
	FILE *file = fopen(path, "re");
	char *content = NULL;
	size_t size = 0;
	ssize_t length;
	char *copy;

	if (!file)
		return NULL;
	length = getdelim(&content, &size, '\0', file);
	if (length < 0) {
		int error = ferror(file) ? errno : 0;

		fclose(file);
		free(content);
		errno = error;
		return error ? NULL : text("%s", "");
	}
	fclose(file);
	if (length && content[length - 1] == '\n')
		content[length - 1] = '\0';
	copy = text("%s", content);
	free(content);
	return copy;
}

unsigned long long attribute_u64(const char *path, unsigned long long fallback)
{
	const char *content = attribute_read(path);
	unsigned long long value;
	char *end;

	if (!content || !*content)
		return fallback;
	value = strtoull(content, &end, 0);
	return *end ? fallback : value;
}

int attribute_write(const char *path, const char *value)
{
	/* No O_CREAT: an attribute that is missing must not become a file. */
	int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	ssize_t written;
	int error = 0;

	if (fd < 0)
		return -errno;
	written = write(fd, value, strlen(value));
	if (written < 0)
		error = -errno;
	close(fd);
	return error;
}

char *link_target(const char *path)
{
	char target[PATH_MAX];
	ssize_t length = readlink(path, target, sizeof(target) - 1);
	const char *slash;

	if (length < 0)
		return NULL;
	target[length] = '\0';
	slash = strrchr(target, '/');
	return text("%s", slash ? slash + 1 : target);
}

bool path_exists(const char *path)
{
	return !access(path, F_OK);
}

static int visible(const struct dirent *entry)
{
	return strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..");
}

char **directory_names(const char *path)
{
	struct dirent **entries;
	int count = scandir(path, &entries, visible, alphasort);
	char **names;
	int i;

	if (count < 0)
		return keep(sizeof(*names));
	names = keep((count + 1) * sizeof(*names));
	for (i = 0; i < count; i++) {
		names[i] = text("%s", entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	return names;
}
