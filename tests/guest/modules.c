// SPDX-License-Identifier: MIT
/*
 * Kernel modules: see harness.h.  The runner has resolved the dependencies and
 * unpacked the files; /etc/modules.index has a line for each module:
 * its name, then the files to load, in order, the module itself last.
 */
#define _GNU_SOURCE
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define INDEX "/etc/modules.index"

/* Module names are the same with - and with _. */
static bool same_name(const char *a, const char *b)
{
	for (; *a && *b; a++, b++)
		if ((*a == '-' ? '_' : *a) != (*b == '-' ? '_' : *b))
			return false;
	return *a == *b;
}

static void sysfs_name(const char *name, char *buf, size_t n)
{
	snprintf(buf, n, "%s", name);
	for (; *buf; buf++)
		if (*buf == '-')
			*buf = '_';
}

bool h_module_loaded(const char *name)
{
	char path[128] = "/sys/module/";
	struct stat st;

	sysfs_name(name, path + strlen(path), sizeof(path) - strlen(path) - 16);
	strcat(path, "/initstate");	/* what is built in has none */
	return !stat(path, &st);
}

/* "name.parameter=value" of the kernel's command line, as modprobe does. */
static void add_boot_params(const char *name, char *params, size_t n)
{
	char cmdline[4096], *word, *dot, *save = NULL;

	if (h_read("/proc/cmdline", cmdline, sizeof(cmdline)))
		return;
	for (word = strtok_r(cmdline, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		size_t len = strlen(params);

		dot = strchr(word, '.');
		if (!dot)
			continue;
		*dot = 0;
		if (same_name(word, name))
			snprintf(params + len, n - len, "%s ", dot + 1);
	}
}

/* path is .../name.ko */
static int load_file(const char *path, const char *given)
{
	char name[64], params[1024] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int err = 0;

	if (fd < 0)
		return -errno;
	snprintf(name, sizeof(name), "%s", strrchr(path, '/') + 1);
	name[strcspn(name, ".")] = 0;
	add_boot_params(name, params, sizeof(params));
	snprintf(params + strlen(params), sizeof(params) - strlen(params), "%s", given ?: "");
	if (syscall(SYS_finit_module, fd, params, 0) && errno != EEXIST)
		err = -errno;
	close(fd);
	return err;
}

int h_modprobe(const char *name, const char *params)
{
	char line[2048], *file, *next, *save = NULL;
	FILE *f;
	int err = -ENOENT;

	if (h_module_loaded(name))
		return 0;
	f = fopen(INDEX, "re");
	while (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		file = strtok_r(line, " ", &save);
		if (!file || !same_name(file, name))
			continue;
		err = 0;
		for (file = strtok_r(NULL, " ", &save); file && !err; file = next) {
			next = strtok_r(NULL, " ", &save);
			err = load_file(file, next ? NULL : params);
		}
		break;
	}
	if (f)
		fclose(f);
	return err;
}

int h_rmmod(const char *name)
{
	char buf[64];

	sysfs_name(name, buf, sizeof(buf));
	return syscall(SYS_delete_module, buf, O_NONBLOCK) ? -errno : 0;
}
