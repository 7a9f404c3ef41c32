// SPDX-License-Identifier: MIT
/* Devices by role, and the files of sysfs: see harness.h. */
#define _GNU_SOURCE
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROLES "/etc/roles"	/* lines of NAME=PATH, written by the runner */
#define MAX_ROLES 16
#define DIRECTORY_ROOM (100 << 10)	/* less than what the heap gives back to the kernel */

int h_read(const char *path, char *buf, size_t n)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len;
	int err;

	if (fd < 0)
		return -errno;
	len = read(fd, buf, n - 1);
	err = errno;
	close(fd);
	if (len < 0)
		return -err;
	if (len && buf[len - 1] == '\n')
		len--;
	buf[len] = 0;
	return 0;
}

int h_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t len;
	int err;

	if (fd < 0)
		return -errno;
	len = write(fd, text, strlen(text));
	err = errno;
	close(fd);
	return len < 0 ? -err : 0;
}

int h_readf(char *buf, size_t n, const char *fmt, ...)
{
	char path[PATH_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(path, sizeof(path), fmt, ap);
	va_end(ap);
	return h_read(path, buf, n);
}

int h_writef(const char *text, const char *fmt, ...)
{
	char path[PATH_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(path, sizeof(path), fmt, ap);
	va_end(ap);
	return h_write(path, text);
}

long long h_number_in(const char *path, const char *format)
{
	long long n = -1;
	char line[4096];
	FILE *f = fopen(path, "re");

	while (f && n < 0 && fgets(line, sizeof(line), f))
		sscanf(line, format, &n);
	if (f)
		fclose(f);
	return n;
}

long long h_read_int(const char *path)
{
	char buf[64];
	int err = h_read(path, buf, sizeof(buf));

	return err ?: strtoll(buf, NULL, 0);
}

/* Roles */

/* The value of a role, and the memory its answer is kept in. */
static char *role_slot(const char *role, char value[64])
{
	static char slots[MAX_ROLES][64];
	char line[128];
	FILE *f = fopen(ROLES, "re");
	char *slot = NULL;

	for (int i = 0; f && i < MAX_ROLES && fgets(line, sizeof(line), f); i++) {
		char *eq = strchr(line, '=');

		if (!eq)
			continue;
		*eq = 0;
		if (strcmp(line, role))
			continue;
		snprintf(value, 64, "%.*s", (int)strcspn(eq + 1, "\n"), eq + 1);
		slot = slots[i];
		break;
	}
	if (f)
		fclose(f);
	return slot;
}

/*
 * Names that fit, in memory that is there: a fault while the kernel reads a directory of
 * sysfs is a link of a circle of its own locks, which the debug kernel reports
 * (docs/safety.md).  What is freed here is what the reading gets.
 */
static int look_for(const char *pattern, glob_t *found)
{
	char *room = malloc(DIRECTORY_ROOM);

	if (!room)
		return GLOB_NOSPACE;
	explicit_bzero(room, DIRECTORY_ROOM);
	free(room);
	return glob(pattern, 0, NULL, found);
}

/*
 * "04.0/00.0" is device 00.0 on the bus behind bridge 00:04.0: the way to it,
 * which, unlike bus numbers, the firmware does not choose.
 */
const char *h_pci(const char *role)
{
	char value[64], pattern[PATH_MAX], *step, *save = NULL;
	char *slot = role_slot(role, value);
	const char *bdf = NULL;
	glob_t found;

	if (!slot || strchr(value, ':'))
		return NULL;
	/* Without ACPI the host bridge is below the device that the tree describes. */
	strcpy(pattern, access("/sys/devices/pci0000:00", F_OK) ? "/sys/devices/platform/*/pci0000:00" :
								   "/sys/devices/pci0000:00");
	for (step = strtok_r(value, "/", &save); step; step = strtok_r(NULL, "/", &save)) {
		size_t len = strlen(pattern);

		snprintf(pattern + len, sizeof(pattern) - len, "/0000:??:%s", step);
	}
	if (!look_for(pattern, &found) && found.gl_pathc == 1) {
		snprintf(slot, 64, "%s", strrchr(found.gl_pathv[0], '/') + 1);
		bdf = slot;
	}
	globfree(&found);
	return bdf;
}

/*
 * The disk that is name space nsid of a controller.  The number in its name is
 * no guide: disks are numbered in the order they happen to be found.
 */
static bool find_disk(const char *bdf, int nsid, char *slot)
{
	char pattern[PATH_MAX], path[PATH_MAX];
	bool is = false;
	glob_t found;

	snprintf(pattern, sizeof(pattern), "/sys/bus/pci/devices/%s/nvme/nvme*/nvme*n*", bdf);
	if (!look_for(pattern, &found)) {
		for (size_t i = 0; !is && i < found.gl_pathc; i++) {
			snprintf(path, sizeof(path), "%s/nsid", found.gl_pathv[i]);
			snprintf(slot, 64, "/dev/%.50s", strrchr(found.gl_pathv[i], '/') + 1);
			/* A path of a multipath disk has no node. */
			is = h_read_int(path) == nsid && !access(slot, F_OK);
		}
	}
	globfree(&found);
	return is;
}

/* "nvme:2" is name space 2 of the controller that has the role nvme. */
const char *h_disk(const char *role)
{
	char value[64], *slot = role_slot(role, value), *nsid;
	const char *bdf;

	if (!slot || !(nsid = strchr(value, ':')))
		return NULL;
	*nsid++ = 0;
	bdf = h_pci(value);
	/* The driver finds them in its own time. */
	return bdf && h_wait_until(find_disk(bdf, atoi(nsid), slot), 5000) ? slot : NULL;
}

/* Drivers */

int h_driver(const char *bdf, char *buf, size_t n)
{
	char path[PATH_MAX], target[PATH_MAX];
	ssize_t len;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver", bdf);
	len = readlink(path, target, sizeof(target) - 1);
	if (len < 0 && errno != ENOENT)
		return -errno;
	target[len < 0 ? 0 : len] = 0;
	snprintf(buf, n, "%s", len < 0 ? "" : strrchr(target, '/') + 1);
	return 0;
}

int h_bind(const char *bdf, const char *driver)
{
	char now[64];
	int err = h_driver(bdf, now, sizeof(now));

	if (!err && *now)
		err = h_writef(bdf, "/sys/bus/pci/drivers/%s/unbind", now);
	/* A lone newline clears it. */
	if (!err)
		err = h_writef(driver ?: "\n", "/sys/bus/pci/devices/%s/driver_override", bdf);
	if (err || !driver)
		return err;
	/* bind, not drivers_probe: it says why a probe failed. */
	return h_writef(bdf, "/sys/bus/pci/drivers/%s/bind", driver);
}

int h_iommu_group(const char *bdf)
{
	char path[PATH_MAX], target[PATH_MAX];
	ssize_t len;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", bdf);
	len = readlink(path, target, sizeof(target) - 1);
	if (len < 0)
		return -errno;
	target[len] = 0;
	return atoi(strrchr(target, '/') + 1);
}

/* File systems */

const char *h_mount(const char *role, const char *options)
{
	static char dir[64];
	const char *disk = h_disk(role);

	if (!disk)
		return NULL;
	h_modprobe(role, NULL);
	snprintf(dir, sizeof(dir), "/mnt/%s", role);
	mkdir("/mnt", 0755);
	mkdir(dir, 0755);
	return mount(disk, dir, role, 0, options) ? NULL : dir;
}

int h_umount(const char *role)
{
	char dir[64];

	snprintf(dir, sizeof(dir), "/mnt/%s", role);
	return umount2(dir, UMOUNT_NOFOLLOW) ? -errno : 0;
}
