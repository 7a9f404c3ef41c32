// SPDX-License-Identifier: MIT
/*
 * What the library reads of the machine: /sys and /proc, names and links with any
 * bytes in them.  The input is the contents of the files below, then the links'
 * targets, separated by 0xff.
 */
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"
#include "internal.h"

#define BDF "0000:03:00.0"
#define DEVICE "/sys/bus/pci/devices/" BDF "/"

static const char *const files[] = {
	DEVICE "resource", "/sys/class/block/md0/md/level", "/sys/class/block/dm-0/dm/uuid",
	"/sys/class/block/nvme0n1p1/partition", "/sys/class/nvme/nvme0/transport",
	"/sys/class/nvme/nvme0/address", "/proc/4000000/comm", "/sys/class/block/dm-0/dm/name",
};

static const char *const links[] = {
	DEVICE "driver", DEVICE "iommu_group", "/sys/class/block/nvme0n1",
	"/sys/class/block/nvme0n1p1", "/sys/class/block/md0/slaves/nvme0n1", "/proc/4000000/fd/3",
	"/sys/class/block/nvme0n1/device", "/sys/class/block/dm-0/slaves/md0",
	"/sys/kernel/iommu_groups/17/devices/0000:03:00.1", "/sys/bus/pci/devices/0000:03:00.1",
};

static char root[64];

static void remove_root(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", root);
	if (system(command))
		perror(command);
}

static char *place(char path[PATH_MAX], const char *name)
{
	snprintf(path, PATH_MAX, "%s%s", root, name);
	return path;
}

/* Once: an input is only contents. */
static char *place_anew(char path[PATH_MAX], const char *name)
{
	place(path, name);
	for (char *p = path + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		mkdir(path, 0755);
		*p = '/';
	}
	return path;
}

static void fill(const char *name, const char *content)
{
	char path[PATH_MAX];
	int fd = open(place(path, name), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);

	if (fd < 0)	/* a link leads elsewhere */
		return;
	HOLDS(write(fd, content, strlen(content)) >= 0);
	close(fd);
}

/* Never out of the tree: relative, and not upwards. */
static void point(const char *name, char *target)
{
	char path[PATH_MAX];

	for (char *p = target; (p = strstr(p, ".."));)
		p[0] = p[1] = 'x';
	while (*target == '/')
		target++;
	unlink(place(path, name));
	if (*target && strlen(target) < 200)
		symlink(target, path);	/* fails where a link leads elsewhere */
}

static void check_text(const struct vp2p_error *err)
{
	HOLDS(err->code > 0);
	HOLDS(memchr(err->device, 0, sizeof(err->device)) && memchr(err->step, 0, sizeof(err->step)));
	HOLDS(memchr(err->cause, 0, sizeof(err->cause)) && memchr(err->remedy, 0, sizeof(err->remedy)));
	HOLDS(*err->step && *err->cause && *err->remedy);
}

static void look(void)
{
	static const char *const disks[] = { "nvme0n1", "nvme0n1p1", "md0", "dm-0", "none" };
	char name[64], node[64], holder[40];
	struct vp2p_error err = { 0 };

	vp2p__driver_of(BDF, name, sizeof(name));
	HOLDS(memchr(name, 0, sizeof(name)));
	if (vp2p__check_bound(BDF, &err))
		check_text(&err);
	if (vp2p__iommu_group(BDF, &err) < 0)
		check_text(&err);
	vp2p__group_offender(17, name, sizeof(name));
	vp2p__foreign_sibling(BDF, name, sizeof(name));
	vp2p__has_cdev(BDF, node);
	vp2p__holder("/dev/vfio/17", 0, holder, sizeof(holder));
	for (size_t i = 0; i < sizeof(disks) / sizeof(*disks); i++) {
		struct vp2p__peers peers = { 0 };
		char disk[24];

		vp2p__whole_disk(disks[i], disk, sizeof(disk));
		peers.list = calloc(1, sizeof(*peers.list));
		vp2p__walk(&peers, disks[i], "", 0);
		vp2p_peer_list_free(peers.list);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };

	if (!*root) {
		char path[PATH_MAX];

		snprintf(root, sizeof(root), "/dev/shm/vfio-p2p-fuzz-XXXXXX");
		HOLDS(mkdtemp(root));
		atexit(remove_root);
		vp2p__root = root;
		for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
			place_anew(path, files[i]);
		for (size_t i = 0; i < sizeof(links) / sizeof(*links); i++)
			place_anew(path, links[i]);
	}
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		char *content = take_string(&in);

		fill(files[i], content);
		free(content);
	}
	for (size_t i = 0; i < sizeof(links) / sizeof(*links); i++) {
		char *target = take_string(&in);

		point(links[i], target);
		free(target);
	}
	look();
	return 0;
}
