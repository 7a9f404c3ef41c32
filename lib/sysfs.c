// SPDX-License-Identifier: MIT
/*
 * sysfs.c - reading /sys and /proc
 *
 * All paths lie below one root, "" on a real system, so that the tests can run
 * every decision on a recorded tree.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

const char *vp2p__root = "";

static void path_va(char *buf, size_t size, const char *format, va_list ap)
{
	int n = snprintf(buf, size, "%s", vp2p__root);

	if (n >= 0 && (size_t)n < size)
		vsnprintf(buf + n, size - (size_t)n, format, ap);
}

void vp2p__path(char *buf, size_t size, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	path_va(buf, size, format, ap);
	va_end(ap);
}

bool vp2p__exists(const char *format, ...)
{
	char path[PATH_MAX];
	va_list ap;

	va_start(ap, format);
	path_va(path, sizeof(path), format, ap);
	va_end(ap);
	return access(path, F_OK) == 0;
}

bool vp2p__may_open(const char *node)
{
	char path[PATH_MAX];

	vp2p__path(path, sizeof(path), "%s", node);
	return faccessat(AT_FDCWD, path, R_OK | W_OK, AT_EACCESS) == 0;
}

int vp2p__read_line(char *buf, size_t size, const char *format, ...)
{
	char path[PATH_MAX];
	ssize_t n;
	va_list ap;
	int fd;

	va_start(ap, format);
	path_va(path, sizeof(path), format, ap);
	va_end(ap);

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, buf, size - 1);
	if (n < 0)
		n = -errno;
	close(fd);
	if (n < 0)
		return (int)n;
	buf[n] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	return 0;
}

static int read_target(char *buf, size_t size, const char *format, va_list ap)
{
	char path[PATH_MAX];
	ssize_t n;

	path_va(path, sizeof(path), format, ap);
	n = readlink(path, buf, size - 1);
	if (n < 0)
		return -errno;
	buf[n] = '\0';
	return 0;
}

int vp2p__link_target(char *buf, size_t size, const char *format, ...)
{
	va_list ap;
	int rc;

	va_start(ap, format);
	rc = read_target(buf, size, format, ap);
	va_end(ap);
	return rc;
}

int vp2p__link_name(char *buf, size_t size, const char *format, ...)
{
	char target[PATH_MAX];
	va_list ap;
	char *slash;
	int rc;

	va_start(ap, format);
	rc = read_target(target, sizeof(target), format, ap);
	va_end(ap);
	if (rc)
		return rc;
	slash = strrchr(target, '/');
	snprintf(buf, size, "%s", slash ? slash + 1 : target);
	return 0;
}

static int no_dot_files(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

int vp2p__list(struct vp2p__names *names, const char *format, ...)
{
	char path[PATH_MAX];
	va_list ap;

	va_start(ap, format);
	path_va(path, sizeof(path), format, ap);
	va_end(ap);

	names->entries = NULL;
	names->count = scandir(path, &names->entries, no_dot_files, versionsort);
	if (names->count >= 0)
		return 0;
	names->count = 0;
	return -errno;
}

const char *vp2p__name(const struct vp2p__names *names, int i)
{
	return names->entries[i]->d_name;
}

void vp2p__list_free(struct vp2p__names *names)
{
	for (int i = 0; i < names->count; i++)
		free(names->entries[i]);
	free(names->entries);
}
