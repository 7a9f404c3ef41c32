/* SPDX-License-Identifier: MIT */
/* vfio_users.c - which processes have a VFIO device open */
#include "vfio_users.h"

#include <ctype.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sysfs.h"
#include "text.h"

#define DEVICE_FILE "anon_inode:[vfio-device]"

/* struct nodes - what an open fd of the device can look like in /proc */
struct nodes {
	const char *bdf;
	const char *group;	/* /dev/vfio/GROUP */
	const char *cdev;	/* /dev/vfio/devices/vfioN, or NULL */
	const char *window;	/* an export of a window */
};

static struct nodes find_nodes(const struct device *device)
{
	char **cdev = directory_names(device_path(device->bdf, "vfio-dev"));

	return (struct nodes){
		.bdf = device->bdf,
		.group = text("/dev/vfio/%d", device->group),
		.cdev = *cdev ? text("/dev/vfio/devices/%s", *cdev) : NULL,
		.window = text("anon_inode:[vfio-p2p-window:%s]", device->bdf),
	};
}

/* That of VFIO_GROUP_GET_DEVICE_FD: its fdinfo names the device. */
static bool fdinfo_names(const char *path, const char *bdf)
{
	const char *info = attribute_read(path);
	const char *field = info ? strstr(info, "vfio-device-syspath:") : NULL;
	const char *end;

	if (!field)
		return false;
	end = strchrnul(field, '\n');
	field = strstr(field, text("/%s", bdf));
	return field && field < end;
}

static bool fd_is_open_node(const char *process, const char *fd,
			    const struct nodes *nodes)
{
	char target[PATH_MAX];
	ssize_t length = readlink(text("%s/fd/%s", process, fd), target,
				  sizeof(target) - 1);

	if (length < 0)
		return false;
	target[length] = '\0';
	if (!strcmp(target, nodes->group) || !strcmp(target, nodes->window) ||
	    (nodes->cdev && !strcmp(target, nodes->cdev)))
		return true;
	return !strcmp(target, DEVICE_FILE) &&
	       fdinfo_names(text("%s/fdinfo/%s", process, fd), nodes->bdf);
}

/* Has @process a mapping of the file that /proc calls @name? */
static bool process_maps(const char *process, const char *name)
{
	FILE *file = name ? fopen(text("%s/maps", process), "re") : NULL;
	char *line = NULL;
	bool found = false;
	size_t size = 0;

	if (!file)
		return false;
	while (!found && getline(&line, &size, file) >= 0) {
		const char *at = strstr(line, name);

		found = at && at[strlen(name)] == '\n';
	}
	free(line);
	fclose(file);
	return found;
}

static bool process_has_open(const char *process, const struct nodes *nodes)
{
	char **fd;

	for (fd = directory_names(text("%s/fd", process)); *fd; fd++)
		if (fd_is_open_node(process, *fd, nodes))
			return true;
	return process_maps(process, nodes->cdev) ||
	       process_maps(process, nodes->window);
}

/* @nodes: NULL: whoever maps memory of any VFIO device, which maps do not tell. */
static const char *search(const struct nodes *nodes)
{
	char **pid = directory_names(host_path("/proc"));
	const char *users = NULL;

	for (; *pid; pid++) {
		const char *process = host_path("/proc/%s", *pid);
		const char *name;

		/* Not this process, which may have inherited an fd. */
		if (!isdigit((unsigned char)**pid) || atoi(*pid) == getpid() ||
		    !(nodes ? process_has_open(process, nodes) :
			      process_maps(process, DEVICE_FILE)))
			continue;
		name = attribute_read(text("%s/comm", process));
		users = text_list(users, text("%s (%s)", *pid,
					      name ? name : "?"));
	}
	return users;
}

const char *vfio_users(const struct device *device)
{
	struct nodes nodes = find_nodes(device);

	return search(&nodes);
}

const char *vfio_mappers(void)
{
	return search(NULL);
}
