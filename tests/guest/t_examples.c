// SPDX-License-Identifier: MIT
/*
 * t_examples.c - the programs of examples/, on a real driver, disks and a device
 *
 * Theory of operation: each example says a sum of what the CPU finds in the window after
 * it; the test has the same sum of the file, read by the CPU.  A wrong byte, a missing one
 * or one in another place gives another sum, and so does an example that read nothing:
 * each case has a file of its own bytes.  The pipeline also resets the device with its
 * reads in flight, by the thread that submitted them: the sum is right only if every read
 * that a reset met was repeated, and its line tells that the reads of before were made
 * again.  Only what DMA has moved is counted by the examples as peer-to-peer.
 */
#define _GNU_SOURCE
#include "command.h"
#include "dev.h"
#include "harness.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#define MIB (1 << 20)
#define SIZE (4 * MIB)

static char file[64];

/* A file of SIZE bytes on a disk, and the device with a window. */
static void set_up(const char *role, unsigned int seed)
{
	const char *folder = h_mount(role, NULL);

	H_CHECK(folder);
	snprintf(file, sizeof(file), "%s/data", folder);
	H_CHECK(make_file(file, SIZE, seed));
	H_EQ(tool("bind %s --window 2", h_pci("target")), 0);
}

static void clean_up(const char *role)
{
	H_EQ(tool("unbind %s", h_pci("target")), 0);
	H_EQ(h_umount(role), 0);
}

/* FNV-1a, as examples/example.h has it. */
static uint64_t sum(size_t length)
{
	static unsigned char bytes[SIZE];
	uint64_t sum = 0xcbf29ce484222325ull;
	int fd = open(file, O_RDONLY | O_CLOEXEC);

	if (read(fd, bytes, length) != (ssize_t)length)
		return 0;
	for (size_t i = 0; i < length; i++)
		sum = (sum ^ bytes[i]) * 0x100000001b3ull;
	close(fd);
	return sum;
}

static void reader(void)
{
	set_up("ext4", 11);
	H_EQ(example("reader", "%s 2 %s", h_pci("target"), file), 0);
	H_CHECK(says("%d bytes peer-to-peer by host-bridge, 0 by the CPU, sum %016" PRIx64, MIB, sum(MIB)));
	H_EQ(example("reader", "%s 2 /tmp/said", h_pci("target")), 1);
	H_CHECK(says("Remedy: "));
	clean_up("ext4");
}

static void pipeline(void)
{
	set_up("xfs", 12);
	H_EQ(example("pipeline", "%s 2 %s", h_pci("target"), file), 0);
	H_CHECK(says("%d bytes peer-to-peer, 0 requests repeated, sum %016" PRIx64, SIZE, sum(SIZE)));
	clean_up("xfs");
}

/* More bytes than the file has: what was lost has been read again. */
static void pipeline_with_resets(void)
{
	long long moved;

	set_up("ext4", 13);
	H_EQ(example("pipeline", "%s 2 %s 3", h_pci("target"), file), 0);
	H_CHECK(says("sum %016" PRIx64, sum(SIZE)));
	moved = atoll(said);
	H_CHECK(moved > SIZE);
	clean_up("ext4");
}

static void attach(void)
{
	set_up("ext4", 14);
	H_EQ(example("attach", "%s %d 2 %s", h_pci("target"), h_iommu_group(h_pci("target")), file), 0);
	H_CHECK(says("%d bytes, sum %016" PRIx64, MIB, sum(MIB)));
	clean_up("ext4");
}

static void share(void)
{
	set_up("ext4", 15);
	H_EQ(example("share", "%s 2 %s", h_pci("target"), file), 0);
	H_CHECK(says("%d bytes by the child, sum %016" PRIx64, MIB, sum(MIB)));
	clean_up("ext4");
}

static const struct h_case cases[] = {
	{ "reader", reader },
	{ "pipeline", pipeline, 60 },
	{ "pipeline, with resets in the middle", pipeline_with_resets, 60 },
	{ "attach to the fd of a program's own", attach },
	{ "share a window with a child", share },
	{ }
};

int main(int argc, char **argv)
{
	return h_main(argc, argv, cases);
}
