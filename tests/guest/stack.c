// SPDX-License-Identifier: MIT
/* Block devices on top of others: see stack.h. */
#define _GNU_SOURCE
#include "stack.h"

#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <linux/loop.h>
#include <linux/major.h>
#include <linux/raid/md_u.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define MD	"/dev/md7"
#define DM	"/dev/stacked"

/* From <linux/raid/md_p.h>, which cannot be included beside this one. */
#define DISK_ACTIVE	1
#define DISK_SYNC	2

static int add_member(int md, int number, const char *disk)
{
	mdu_disk_info_t info = {
		.number = number,
		.raid_disk = number,
		.state = 1 << DISK_ACTIVE | 1 << DISK_SYNC,
	};
	struct stat st;

	if (stat(disk, &st))
		return -1;
	info.major = (int)major(st.st_rdev);
	info.minor = (int)minor(st.st_rdev);
	return ioctl(md, ADD_NEW_DISK, &info);
}

const char *stack_md(const char *first, const char *second)
{
	mdu_array_info_t info = {
		.level = 0, .raid_disks = 2, .nr_disks = 2, .chunk_size = 65536,
		.not_persistent = 1, .minor_version = 90,
	};
	int fd, rc;

	/* Opening the node makes the array. */
	mknod(MD, S_IFBLK | 0600, makedev(MD_MAJOR, 7));
	fd = open(MD, O_RDWR);
	rc = ioctl(fd, SET_ARRAY_INFO, &info);
	rc = rc ? rc : add_member(fd, 0, first);
	rc = rc ? rc : add_member(fd, 1, second);
	rc = rc ? rc : ioctl(fd, RUN_ARRAY, NULL);
	close(fd);
	return rc ? NULL : MD;
}

struct dm_request {
	struct dm_ioctl head;
	struct dm_target_spec target;
	char parameters[64];
};

static int dm_do(int control, unsigned long what, struct dm_request *request)
{
	request->head.version[0] = 4;
	request->head.data_size = sizeof(*request);
	request->head.data_start = sizeof(request->head);
	strcpy(request->head.name, "stacked");
	return ioctl(control, what, request);
}

/* @request comes back with the new device's number. */
static int dm_make(int control, const char *disk, struct dm_request *request)
{
	struct dm_request create = { }, resume = { };
	int rc = dm_do(control, DM_DEV_CREATE, &create);

	request->head.target_count = 1;
	request->target.length = 2048;
	strcpy(request->target.target_type, "linear");
	snprintf(request->parameters, sizeof(request->parameters), "%s 0", disk);
	rc = rc ? rc : dm_do(control, DM_TABLE_LOAD, request);
	rc = rc ? rc : dm_do(control, DM_DEV_SUSPEND, &resume);
	request->head.dev = create.head.dev;
	return rc;
}

const char *stack_dm(const char *disk)
{
	struct dm_request request = { };
	int control = open("/dev/mapper/control", O_RDWR);
	int rc = dm_make(control, disk, &request);

	close(control);
	if (rc || mknod(DM, S_IFBLK | 0600, (dev_t)request.head.dev))
		return NULL;
	return DM;
}

const char *stack_loop(const char *file)
{
	struct loop_config config = { .fd = (unsigned int)open(file, O_RDWR) };
	int fd = open("/dev/loop0", O_RDWR);
	int rc = ioctl(fd, LOOP_CONFIGURE, &config);

	close((int)config.fd);
	close(fd);
	return rc ? NULL : "/dev/loop0";
}
