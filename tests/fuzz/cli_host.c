// SPDX-License-Identifier: MIT
/*
 * What the tool reads of the machine: /sys, /proc, its own records, with any bytes
 * in them.  The input is the files' contents in the order below, separated by 0xff.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "device.h"
#include "fuzz.h"
#include "holders.h"
#include "mounts.h"
#include "pci_path.h"
#include "record.h"
#include "sysfs.h"
#include "vfio_users.h"

#define BDF "0000:03:00.0"
#define DEVICE "/sys/bus/pci/devices/" BDF "/"
#define DISK "/sys/devices/pci0000:00/" BDF "/nvme/nvme0/nvme0n1/"

static const char *const files[] = {
	DEVICE "vendor", DEVICE "device", DEVICE "class", DEVICE "driver_override", DEVICE "resource",
	DEVICE "config", "/proc/self/mountinfo", "/proc/swaps", DISK "dev", DISK "nvme0n1p1/dev",
	"/run/vfio-p2p/" BDF ".json", "/proc/4000000/comm", "/proc/4000000/maps",
	"/proc/4000000/fdinfo/3", "/sys/class/net/eth0/operstate", DISK "nvme0n1p1/partition",
};

static const char *const links[][2] = {
	{ "/sys/block/nvme0n1", "../devices/pci0000:00/" BDF "/nvme/nvme0/nvme0n1" },
	{ DEVICE "driver", "../../drivers/p2p-vfio-pci" },
	{ DEVICE "iommu_group", "../../../../kernel/iommu_groups/17" },
	{ "/proc/4000000/fd/3", "anon_inode:[vfio-device]" },
	{ "/proc/4000000/fd/4", "/dev/vfio/17" },
};

static char root[64];

const char *host_root(void)
{
	return root;
}

static void remove_root(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", root);
	if (*root && system(command))
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

static void make_root(void)
{
	char path[PATH_MAX];

	snprintf(root, sizeof(root), "/dev/shm/vfio-p2p-fuzz-XXXXXX");
	HOLDS(mkdtemp(root));
	atexit(remove_root);
	for (size_t i = 0; i < sizeof(links) / sizeof(*links); i++)
		HOLDS(!symlink(links[i][1], place_anew(path, links[i][0])));
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
		place_anew(path, files[i]);
}

static void fill(const char *name, const char *content)
{
	char path[PATH_MAX];
	int fd = open(place(path, name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	HOLDS(fd >= 0);
	HOLDS(write(fd, content, strlen(content)) >= 0);
	close(fd);
}

static void look(void)
{
	struct device *device = device_load(BDF);
	struct pci_path path;
	struct record record;
	const char *bits;

	if (device) {
		for (int i = 0; i < DEVICE_BARS; i++)
			HOLDS(device->bars[i].memory || !device->bars[i].size);
		vfio_users(device);
		device_group_peers(device);
		device_name(device);
	}
	vfio_mappers();
	device_users(BDF);
	mounts_find(36);
	pci_path_load(BDF, &path);
	HOLDS(path.count <= PCI_PATH_MAX);
	HOLDS(acs_state(BDF, &bits) != ACS_REDIRECTS || *bits == ' ');
	HOLDS(record_load(BDF, &record) <= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };

	if (!*root)
		make_root();
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		char *content = take_string(&in);

		fill(files[i], content);
		free(content);
	}
	look();
	return 0;
}
