// SPDX-License-Identifier: MIT
/*
 * t_cp.c - "vfio-p2p cp" through host RAM, on a real driver, files and a device
 *
 * Theory of operation: files in memory (tmpfs), behind a loop device and in a file
 * system of this test's own (FUSE) are three ways not to go peer-to-peer: the file
 * does not say that direct I/O is direct, or a layer below refuses at the request.
 * Each must be refused in words with the remedy, then copied and verified once that
 * is asked for, and counted as what it is.
 *
 * The file system of this test decides what happens in the middle of a copy: when it
 * is asked for a byte in the middle of its file it resets the device through sysfs,
 * and answers only when that is over.  So the reset falls between the copy's first
 * byte and its last, every time.
 */
#define _GNU_SOURCE
#include "command.h"
#include "dev.h"
#include "fuse.h"
#include "harness.h"

#include <fcntl.h>
#include <linux/loop.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MIB (1 << 20)
#define ODD_SIZE (3 * MIB + 1234)

static void begin(void)
{
	H_EQ(tool("bind %s --window 2", h_pci("target")), 0);
}

static void end(void)
{
	H_EQ(tool("unbind %s", h_pci("target")), 0);
}

/* @file is refused, and what the refusal proposes copies it. */
static void only_when_asked(const char *file, unsigned int size, const char *reason)
{
	const char *target = h_pci("target");

	H_EQ(tool("cp %s %s:2+16M", file, target), 3);
	H_CHECK(says("could not "));
	H_CHECK(says("remedy: "));
	H_CHECK(says("(--bounce=allow)"));
	H_EQ(tool("cp --verify --bounce=allow %s %s:2+16M", file, target), 0);
	H_CHECK(says("0 bytes P2P, %u bytes bounced by CPU (%s), 0 bytes zero-filled", size,
		     reason));
	H_CHECK(says("verified: CRC-32 "));
}

static void files_in_memory(void)
{
	const char *target = h_pci("target");

	H_CHECK(make_file("/tmp/source", ODD_SIZE, 1));
	begin();
	only_when_asked("/tmp/source", ODD_SIZE, "no direct I/O");
	H_EQ(tool("cp --size %d %s:2+16M /tmp/back", ODD_SIZE, target), 3);
	H_CHECK(says("(--bounce=allow)"));
	H_CHECK(access("/tmp/back", F_OK) && access("/tmp/back.partial", F_OK));
	H_EQ(tool("cp --verify --bounce=allow --size %d %s:2+16M /tmp/back", ODD_SIZE, target),
	     0);
	H_CHECK(same("/tmp/source", "/tmp/back", 0, ODD_SIZE));
	end();
}

static void files_on_ext4(void)
{
	const char *target = h_pci("target");
	const char *folder = h_mount("ext4", NULL);
	char source[64], back[64];

	H_CHECK(folder);
	snprintf(source, sizeof(source), "%s/source", folder);
	snprintf(back, sizeof(back), "%s/back", folder);
	H_CHECK(make_file(source, ODD_SIZE, 2));
	begin();
	/* What can go peer-to-peer does, if the rest may bounce; the tail is the rest. */
	H_EQ(tool("cp --verify --bounce=allow %s %s:2", source, target), 0);
	H_CHECK(says("%d bytes P2P, 0 bytes bounced by CPU, ", ODD_SIZE));
	H_EQ(tool("cp --verify --bounce=allow --size %d %s:2 %s", ODD_SIZE, target, back), 0);
	H_CHECK(says(" bytes bounced by CPU (tail), "));
	H_CHECK(same(source, back, 0, ODD_SIZE));
	H_EQ(tool("cp --verify --bounce=force %s %s:2+8M", source, target), 0);
	H_CHECK(says("0 bytes P2P, %d bytes bounced by CPU (forced), ", ODD_SIZE));
	H_EQ(tool("cp --verify --bounce=force --size %d %s:2+8M %s", ODD_SIZE, target, back), 0);
	H_CHECK(says("0 bytes P2P, %d bytes bounced by CPU (forced), ", ODD_SIZE));
	H_CHECK(same(source, back, 0, ODD_SIZE));
	/* From an odd place to an odd place. */
	H_EQ(tool("cp --offset 77 --size 64K %s %s:2+4099", source, target), 1);
	H_EQ(tool("cp --verify --bounce=allow --offset 77 --size 64K %s %s:2+4099", source,
		  target), 0);
	H_CHECK(says("65536 bytes bounced by CPU (unaligned)"));
	end();
	H_EQ(h_umount("ext4"), 0);
}

/* A MiB of data in the middle of two of nothing; strict. */
static void holes(void)
{
	const char *folder = h_mount("ext4", NULL);
	char path[64], *data = malloc(MIB);
	int fd;

	H_CHECK(folder);
	memset(data, 0x5a, MIB);
	snprintf(path, sizeof(path), "%s/sparse", folder);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	H_EQ(ftruncate(fd, 3 * MIB), 0);
	H_EQ(pwrite(fd, data, MIB, MIB), MIB);
	H_EQ(fsync(fd), 0);
	close(fd);
	free(data);
	begin();
	H_EQ(tool("cp --verify %s %s:2", path, h_pci("target")), 0);
	H_CHECK(says("%d bytes P2P, 0 bytes bounced by CPU, %d bytes zero-filled", MIB, 2 * MIB));
	end();
	H_EQ(h_umount("ext4"), 0);
}

static void loop_devices(void)
{
	struct loop_config config = { 0 };
	int control, loop, file;
	char path[32];

	H_EQ(h_modprobe("loop", NULL), 0);
	H_CHECK(make_file("/tmp/image", 4 * MIB, 3));
	control = open("/dev/loop-control", O_RDWR);
	snprintf(path, sizeof(path), "/dev/loop%d", ioctl(control, LOOP_CTL_GET_FREE));
	loop = open(path, O_RDWR);
	file = open("/tmp/image", O_RDWR);
	config.fd = (unsigned int)file;
	H_CHECK(control >= 0 && loop >= 0 && file >= 0);
	H_EQ(ioctl(loop, LOOP_CONFIGURE, &config), 0);
	begin();
	only_when_asked(path, 4 * MIB, "refused");
	end();
	H_EQ(ioctl(loop, LOOP_CLR_FD, 0), 0);
	close(file);
	close(loop);
	close(control);
}

/* ---------------------------------- a device that is reset while its file is read --- */

#define RESET_AT (4 * MIB)

/* In memory that both processes have. */
static struct plan {
	volatile int reset;	/* at the next request for RESET_AT or later */
	volatile int resets;
	volatile int failed;	/* of the reset */
	char bdf[32];
} *plan;

/* Runs in the file system's server: the reader waits meanwhile. */
static void reset_if_planned(uint64_t end)
{
	if (!plan->reset || end <= RESET_AT)
		return;
	plan->reset = 0;
	plan->failed |= h_writef("1", "/sys/bus/pci/devices/%s/reset", plan->bdf);
	plan->resets++;
}

static void mount_fuse(void)
{
	plan = mmap(NULL, sizeof(*plan), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		    -1, 0);
	H_CHECK(plan != MAP_FAILED);
	snprintf(plan->bdf, sizeof(plan->bdf), "%s", h_pci("target"));
	H_EQ(fuse_mount(reset_if_planned), 0);
}

static void unmount_fuse(void)
{
	H_EQ(fuse_unmount(), 0);
	H_EQ(plan->failed, 0);
	munmap(plan, sizeof(*plan));
}

static void files_of_fuse(void)
{
	mount_fuse();
	begin();
	only_when_asked(FUSE_FILE, FUSE_FILE_SIZE, "no direct I/O");
	end();
	unmount_fuse();
}

/* So that the file's pages are asked for again. */
static void forget_pages(void)
{
	H_EQ(h_write("/proc/sys/vm/drop_caches", "1"), 0);
}

static void reset_in_the_middle(void)
{
	const char *target = h_pci("target");

	mount_fuse();
	begin();
	plan->reset = 1;
	H_EQ(tool("cp --verify --bounce=allow %s %s:2", FUSE_FILE, target), 0);
	H_EQ(plan->resets, 1);
	H_CHECK(says("the device was reset (generation "));
	H_CHECK(says("the copy starts again"));
	H_CHECK(says("0 bytes P2P, %d bytes bounced by CPU", FUSE_FILE_SIZE));
	H_CHECK(says("1 restarts ("));
	H_CHECK(says("verified: CRC-32 "));

	forget_pages();
	plan->reset = 1;
	H_EQ(tool("cp --no-retry --bounce=allow %s %s:2", FUSE_FILE, target), 1);
	H_EQ(plan->resets, 2);
	H_CHECK(says("its memory may be lost"));
	H_CHECK(says("remedy: "));

	forget_pages();
	plan->reset = 1;
	H_EQ(tool("cp --verify --memory-kept --bounce=allow %s %s:2", FUSE_FILE, target), 0);
	H_EQ(plan->resets, 3);
	H_CHECK(!says("starts again"));
	H_CHECK(says("verified: CRC-32 "));
	end();
	unmount_fuse();
}

static const struct h_case cases[] = {
	{ "files in memory bounce only when asked", files_in_memory, 60 },
	{ "files on ext4 bounce when forced, their tails when allowed", files_on_ext4, 60 },
	{ "holes are counted", holes },
	{ "a loop device bounces only when asked", loop_devices, 60 },
	{ "files of FUSE bounce only when asked", files_of_fuse, 60 },
	{ "a reset in the middle of a bounce", reset_in_the_middle, 90 },
	{ }
};

int main(int argc, char **argv)
{
	return h_main(argc, argv, cases);
}
