/* SPDX-License-Identifier: MIT */
/* holders.c - who on this host would lose something if a device went away */
#include "holders.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "mounts.h"
#include "sysfs.h"
#include "text.h"

/*
 * By device number, and by /dev/@name as source: btrfs mounts have device numbers
 * of their own.
 */
static const char *add_mounts(const char *users, const char *name,
			      const char *dev)
{
	const struct mount_row *row = mounts_load();
	const char *source = text("/dev/%s", name);

	for (; row->point; row++)
		if (!strcmp(row->number, dev) || !strcmp(row->source, source))
			users = text_list(users, text("%s is mounted at %s",
						      name, row->point));
	return users;
}

static const char *add_swap(const char *users, const char *name)
{
	FILE *file = fopen(host_path("/proc/swaps"), "re");
	const char *source = text("/dev/%s", name);
	char from[PATH_MAX];
	char *line = NULL;
	size_t size = 0;

	if (!file)
		return users;
	while (getline(&line, &size, file) >= 0)
		if (sscanf(line, "%4095s", from) == 1 && !strcmp(from, source))
			users = text_list(users, text("%s is swap space", name));
	free(line);
	fclose(file);
	return users;
}

static const char *add_stacked(const char *users, const char *name,
			       const char *directory)
{
	char **holder = directory_names(text("%s/holders", directory));

	for (; *holder; holder++)
		users = text_list(users, text("%s is part of %s", name,
					      *holder));
	return users;
}

/* What no table shows: another mount namespace, ZFS, a program's O_EXCL. */
static const char *add_exclusive(const char *users, const char *name)
{
	int fd;

	if (users || host_is_recorded())
		return users;
	fd = open(text("/dev/%s", name), O_RDONLY | O_EXCL | O_CLOEXEC);
	if (fd < 0 && errno == EBUSY)
		return text("%s is in exclusive use", name);
	if (fd >= 0)
		close(fd);
	return users;
}

/* @directory: a whole disk's or a partition's in sysfs. */
static const char *add_block(const char *users, const char *directory)
{
	const char *name = strrchr(directory, '/') + 1;
	const char *dev = attribute_read(text("%s/dev", directory));
	char **entry = directory_names(directory);

	users = add_mounts(users, name, dev ? dev : "");
	users = add_swap(users, name);
	users = add_stacked(users, name, directory);
	for (; *entry; entry++) {
		const char *part = text("%s/%s", directory, *entry);

		if (path_exists(text("%s/partition", part)))
			users = add_block(users, part);
	}
	return add_exclusive(users, name);
}

/* Is the PCI device @bdf an ancestor of what @path resolves to? */
static bool lies_below(const char *path, const char *bdf)
{
	char *resolved = realpath(path, NULL);
	bool below = resolved &&
		     strstr(text("%s/", resolved), text("/%s/", bdf));

	free(resolved);
	return below;
}

/*
 * A disk hangs below its controller, except with NVMe multipath: there it hangs
 * below a subsystem, which links to all of its controllers.
 */
static bool disk_is_on(const char *disk, const char *bdf)
{
	const char *subsystem;
	char **entry;

	if (lies_below(disk, bdf))
		return true;
	subsystem = text("%s/device", disk);
	if (!path_exists(text("%s/subsysnqn", subsystem)))
		return false;
	for (entry = directory_names(subsystem); *entry; entry++)
		if (!strncmp(*entry, "nvme", 4) &&
		    lies_below(text("%s/%s", subsystem, *entry), bdf))
			return true;
	return false;
}

static const char *add_interfaces(const char *users, const char *bdf)
{
	char **name = directory_names(host_path("/sys/class/net"));

	for (; *name; name++) {
		const char *path = host_path("/sys/class/net/%s", *name);
		const char *state = attribute_read(text("%s/operstate", path));

		if (state && !strcmp(state, "up") && lies_below(path, bdf))
			users = text_list(users, text("interface %s is up",
						      *name));
	}
	return users;
}

const char *device_users(const char *bdf)
{
	char **disk = directory_names(host_path("/sys/block"));
	const char *users = NULL;

	for (; *disk; disk++) {
		const char *directory = host_path("/sys/block/%s", *disk);

		if (disk_is_on(directory, bdf))
			users = add_block(users, directory);
	}
	return add_interfaces(users, bdf);
}

const char *block_users(dev_t device)
{
	char *resolved = realpath(host_path("/sys/dev/block/%u:%u",
					    major(device), minor(device)),
				  NULL);
	const char *directory = resolved ? text("%s", resolved) : NULL;

	free(resolved);
	return directory ? add_block(NULL, directory) : NULL;
}
