// SPDX-License-Identifier: MIT
/* Block devices on top of others, and an overlay: see stack.h. */
#define _GNU_SOURCE
#include "stack.h"

#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <linux/major.h>
#include <linux/raid/md_u.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "harness.h"

#define MD	"/dev/md7"
#define DM	"/dev/stacked"
#define OVERLAY	"/mnt/overlay"
#define VOLUME_SECTORS 2048

/* From <linux/raid/md_p.h>, which cannot be included beside this one. */
#define DISK_ACTIVE	1
#define DISK_SYNC	2
#define SB_CLEAN	0

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

/* Of raid10: two copies, near each other; of raid5: left symmetric. */
static int layout_of(int level)
{
	return level == 10 ? 1 << 8 | 2 : level == 5 ? 2 : 0;
}

const char *stack_array(int level, int count, const char *const disks[])
{
	mdu_array_info_t info = {
		.level = level, .raid_disks = count, .nr_disks = count,
		.layout = layout_of(level), .chunk_size = level == 1 ? 0 : 65536,
		.state = 1 << SB_CLEAN, .not_persistent = 1, .minor_version = 90,
	};
	int fd, rc;

	/* Opening the node makes the array. */
	mknod(MD, S_IFBLK | 0600, makedev(MD_MAJOR, 7));
	fd = open(MD, O_RDWR);
	rc = ioctl(fd, SET_ARRAY_INFO, &info);
	for (int i = 0; i < count && !rc; i++)
		rc = add_member(fd, i, disks[i]);
	rc = rc ? rc : ioctl(fd, RUN_ARRAY, NULL);
	close(fd);
	return rc ? NULL : MD;
}

int stack_array_stop(void)
{
	int fd = open(MD, O_RDWR);
	int rc = ioctl(fd, STOP_ARRAY, NULL);

	close(fd);
	return rc;
}

const char *stack_md(const char *first, const char *second)
{
	return stack_array(0, 2, (const char *const[]){ first, second });
}

struct dm_request {
	struct dm_ioctl head;
	struct dm_target_spec target;
	char parameters[256];
};

static int dm_do(unsigned long what, struct dm_request *request)
{
	int control = open("/dev/mapper/control", O_RDWR), rc;

	request->head.version[0] = 4;
	request->head.data_size = sizeof(*request);
	request->head.data_start = sizeof(request->head);
	strcpy(request->head.name, "stacked");
	rc = ioctl(control, what, request);
	close(control);
	return rc;
}

static const char *make_volume(const char *uuid, const char *target, const char *parameters,
			       unsigned long long sectors)
{
	struct dm_request create = { }, load = { }, resume = { };
	int rc;

	snprintf(create.head.uuid, sizeof(create.head.uuid), "%s", uuid ? uuid : "");
	load.head.target_count = 1;
	load.target.length = sectors;
	snprintf(load.target.target_type, sizeof(load.target.target_type), "%s", target);
	snprintf(load.parameters, sizeof(load.parameters), "%s", parameters);
	rc = dm_do(DM_DEV_CREATE, &create);
	rc = rc ? rc : dm_do(DM_TABLE_LOAD, &load);
	rc = rc ? rc : dm_do(DM_DEV_SUSPEND, &resume);
	unlink(DM);
	if (rc || mknod(DM, S_IFBLK | 0600, (dev_t)create.head.dev))
		return NULL;
	return DM;
}

const char *stack_volume(const char *uuid, const char *target, const char *parameters)
{
	return make_volume(uuid, target, parameters, VOLUME_SECTORS);
}

int stack_volume_remove(void)
{
	return dm_do(DM_DEV_REMOVE, &(struct dm_request){ });
}

const char *stack_dm(const char *disk)
{
	char parameters[96];

	snprintf(parameters, sizeof(parameters), "%s 0", disk);
	return stack_volume(NULL, "linear", parameters);
}

const char *stack_dm_whole(const char *disk)
{
	unsigned long long bytes = 0;
	int fd = open(disk, O_RDONLY);
	int rc = ioctl(fd, BLKGETSIZE64, &bytes);
	char parameters[96];

	close(fd);
	snprintf(parameters, sizeof(parameters), "%s 0", disk);
	return rc ? NULL : make_volume(NULL, "linear", parameters, bytes / 512);
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

int stack_loop_clear(void)
{
	int fd = open("/dev/loop0", O_RDWR);
	int rc = ioctl(fd, LOOP_CLR_FD, 0);

	close(fd);
	return rc;
}

const char *stack_overlay(const char *folder)
{
	static const char *const parts[] = { "lower", "upper", "work" };
	char options[256], part[80];

	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		snprintf(part, sizeof(part), "%s/%s", folder, parts[i]);
		mkdir(part, 0700);
	}
	mkdir(OVERLAY, 0700);
	snprintf(options, sizeof(options), "lowerdir=%s/lower,upperdir=%s/upper,workdir=%s/work",
		 folder, folder, folder);
	return h_modprobe("overlay", NULL) ||
	       mount("overlay", OVERLAY, "overlay", 0, options) ? NULL : OVERLAY;
}

int stack_overlay_remove(void)
{
	return umount2(OVERLAY, 0);
}
