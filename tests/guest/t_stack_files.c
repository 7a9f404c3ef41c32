// SPDX-License-Identifier: MIT
/*
 * t_stack_files.c - which files and disks go peer-to-peer, and which the CPU moves
 *
 * Theory of operation: storage_row.h.  Each case is one kind of file, on a file system of
 * the stock kernel; those that copy in silence are here on purpose, each brought about by
 * what makes the kernel do so, for certain: a journal of data, a disk that is said to need
 * stable pages, a hole in a file without extents, a file that lies in its inode, checksums.
 * What the library names as a remedy is tried: the same file with blocks is a row too.
 */
#define _GNU_SOURCE
#include "dev.h"
#include "fuse.h"
#include "harness.h"
#include "stack.h"
#include "storage_row.h"
#include "vfio-p2p.h"
#include "way.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/blkpg.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static void on_a_disk(void)
{
	sr_run(&(struct sr_row){
		.id = "nvme", .what = "NVMe namespace", .disk = h_disk("raw"),
		.read = SR_P2P, .write = SR_P2P, .path = "nvmeNnN > nvmeN: host-bridge",
	});
}

/* As BLKPG makes them: the kernel does not care who has read the table. */
static const char *make_partition(const char *disk)
{
	static char path[64];
	struct blkpg_partition part = { .start = 1 << 20, .length = 16 << 20, .pno = 1 };
	struct blkpg_ioctl_arg arg = {
		.op = BLKPG_ADD_PARTITION, .datalen = sizeof(part), .data = &part,
	};
	int fd = open(disk, O_RDWR | O_CLOEXEC);
	int rc = ioctl(fd, BLKPG, &arg);

	close(fd);
	snprintf(path, sizeof(path), "%sp1", disk);
	return rc ? NULL : path;
}

static void on_a_partition(void)
{
	const char *partition = make_partition(h_disk("raw"));

	H_CHECK(partition);
	sr_run(&(struct sr_row){
		.id = "partition", .what = "partition of it", .disk = partition,
		.read = SR_P2P, .write = SR_P2P,
		.path = "nvmeNnNpN > nvmeNnN > nvmeN: host-bridge",
	});
}

/* A file "row" on the role's file system, mounted with these options. */
static void in_file_system(const char *role, const char *options, struct sr_row row)
{
	const char *folder = h_mount(role, options);
	char file[80];

	H_CHECK(folder);
	snprintf(file, sizeof(file), "%s/row", folder);
	row.file = file;
	sr_run(&row);
	unlink(file);
	H_EQ(h_umount(role), 0);
}

static void on_ext4(void)
{
	in_file_system("ext4", NULL, (struct sr_row){
		.id = "ext4", .what = "ext4, data=ordered",
		.read = SR_P2P, .write = SR_P2P, .path = "extN > nvmeNnN > nvmeN: host-bridge",
	});
}

static void on_ext4_journal(void)
{
	in_file_system("ext4", "data=journal", (struct sr_row){
		.id = "ext4-journal", .what = "ext4, data=journal",
		.read = SR_CPU, .write = SR_CPU,
		.copy_read = -EOPNOTSUPP, .copy_write = -EOPNOTSUPP,
		.path = "extN: none; extN > nvmeNnN > nvmeN: host-bridge", .doctor = 3, .finds = "journal, direct-io",
		.cause = "does no direct I/O on this file",
		.remedy = "mount with data=ordered",
	});
}

static void on_ext4_without_extents(void)
{
	in_file_system("ext4", NULL, (struct sr_row){
		.id = "ext4-hole", .what = "ext4, hole of a file without extents",
		.no_extents = true, .hole = true,
		.read = SR_P2P, .write = SR_CPU, .copy_write = -EOPNOTSUPP,
		.path = "extN > nvmeNnN > nvmeN: host-bridge", .warns = "extents",
		/* There is nothing in it to be read from the disk. */
		.doctor = 3, .finds = "proof",
		.cause = "has no extents",
		.remedy = "chattr +e",
	});
}

static void on_xfs(void)
{
	in_file_system("xfs", NULL, (struct sr_row){
		.id = "xfs", .what = "xfs",
		.read = SR_P2P, .write = SR_P2P, .path = "xfs > nvmeNnN > nvmeN: host-bridge",
	});
}

static void on_xfs_stable_pages(void)
{
	const char *disk = strrchr(h_disk("xfs"), '/') + 1;

	H_EQ(h_writef("1", "/sys/class/block/%s/queue/stable_writes", disk), 0);
	in_file_system("xfs", NULL, (struct sr_row){
		.id = "xfs-stable", .what = "xfs on a disk that needs stable pages",
		.read = -EREMOTEIO, .write = SR_CPU,
		.copy_read = -EOPNOTSUPP, .copy_write = -EOPNOTSUPP,
		.path = "xfs > nvmeNnN > nvmeN: host-bridge", .doctor = 3,
		.finds = "stable-pages",
		.cause = "stable pages", .remedy = "without protection information",
	});
	H_EQ(h_writef("0", "/sys/class/block/%s/queue/stable_writes", disk), 0);
}

static void on_btrfs(void)
{
	in_file_system("btrfs", NULL, (struct sr_row){
		.id = "btrfs", .what = "btrfs, with checksums",
		.read = SR_CPU, .write = SR_CPU,
		.copy_read = -EOPNOTSUPP, .copy_write = -EOPNOTSUPP,
		.path = "btrfs: none", .doctor = 3, .finds = "file-system",
		.cause = "does not say that direct I/O is direct",
		.remedy = "use a file on ext4 or xfs",
	});
}

/* It reads with page faults off, and what the page table lacks through the page cache. */
static void on_btrfs_mapped(void)
{
	in_file_system("btrfs", NULL, (struct sr_row){
		.id = "btrfs-mapped", .what = "btrfs, with checksums, pages that have been touched",
		.mapped = true, .bare = true, .read = SR_P2P, .write = SR_CPU,
		.note = "btrfs faults no page in: what is not mapped yet is copied",
		.remedy = "touch or populate the window first",
	});
}

static void on_btrfs_without_sums(void)
{
	in_file_system("btrfs", "nodatacow", (struct sr_row){
		.id = "btrfs-nodatacow", .what = "btrfs, nodatacow, which is nodatasum too",
		.read = SR_CPU, .write = SR_P2P,
		.copy_read = -EOPNOTSUPP, .copy_write = -EOPNOTSUPP,
		.path = "btrfs: none", .doctor = 3, .finds = "file-system",
		.cause = "does not say that direct I/O is direct",
		.remedy = "use a file on ext4 or xfs",
	});
}

static void on_f2fs(void)
{
	in_file_system("f2fs", NULL, (struct sr_row){
		.id = "f2fs", .what = "f2fs",
		.read = SR_P2P, .write = SR_P2P, .path = "fNfs > nvmeNnN > nvmeN: host-bridge",
	});
}

#define SMALL 2048	/* f2fs' inodes have room for some 3 KiB */

static void on_f2fs_in_inode(void)
{
	in_file_system("f2fs", NULL, (struct sr_row){
		.id = "f2fs-inline", .what = "f2fs, file of 2 KiB, which lies in its inode",
		.small = SMALL,
		.read = SR_CPU, .write = SR_P2P, .copy_read = -EOPNOTSUPP,
		.path = "fNfs > nvmeNnN > nvmeN: host-bridge", .doctor = 3,
		.finds = "inline-data",
		.cause = "keeps it in its inode", .remedy = "fallocate -n -l 4096",
	});
}

static void on_f2fs_with_blocks(void)
{
	in_file_system("f2fs", NULL, (struct sr_row){
		.id = "f2fs-small", .what = "the same after fallocate -n -l 4096",
		.small = SMALL, .blocks = true,
		.read = SR_P2P, .write = SR_P2P, .path = "fNfs > nvmeNnN > nvmeN: host-bridge",
	});
}

/* Written and read back by the library, which @fd is opened for once: while it is empty. */
static void there_and_back(int fd)
{
	struct vp2p_device *dev;
	struct vp2p_window *win;
	struct vp2p_error err = { };
	struct vp2p_io *io;

	H_EQ(vp2p_open(h_pci("target"), 0, &dev, &err), 0);
	H_EQ(vp2p_window_create(dev, 2, 0, 0, 0, &win, &err), 0);
	if (vp2p_io_open(win, fd, VP2P_IO_READ | VP2P_IO_WRITE, 0, &io, &err)) {
		h_fail("%s", err.cause);
		return;
	}
	H_EQ(vp2p_pwrite(io, 0, 4096, 0, NULL, &err), 4096);
	H_EQ(way_begin("target"), 0);
	H_EQ(vp2p_pread(io, 0, 4096, 0, NULL, &err), 4096);
	H_EQ(way_end("target"), 4096);
	vp2p_io_close(io);
	vp2p_window_destroy(win);
	vp2p_close(dev);
}

/* It lies in its inode, too, but is no reason to refuse a program its scratch file. */
static void on_f2fs_empty(void)
{
	const char *folder = h_mount("f2fs", NULL);
	int fd, flags = 0;

	H_CHECK(folder);
	fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	H_EQ(ioctl(fd, FS_IOC_GETFLAGS, &flags), 0);
	H_CHECK(flags & FS_INLINE_DATA_FL);
	there_and_back(fd);
	close(fd);
	H_EQ(h_umount("f2fs"), 0);
}

/* A file "row" in an overlay above the role's file system. */
static void in_overlay(const char *role, struct sr_row row)
{
	const char *folder = h_mount(role, NULL), *overlay;
	char file[80];

	H_CHECK(folder);
	overlay = stack_overlay(folder);
	H_CHECK(overlay);
	snprintf(file, sizeof(file), "%s/row", overlay);
	row.file = file;
	row.path = "overlay: unknown";
	sr_run(&row);
	H_EQ(stack_overlay_remove(), 0);
	H_EQ(h_umount(role), 0);
}

static void in_overlay_on_ext4(void)
{
	in_overlay("ext4", (struct sr_row){
		.id = "overlay", .what = "overlayfs on ext4",
		.read = SR_P2P, .write = SR_P2P, .doctor = 7, .finds = "file-system",
	});
}

static void in_overlay_on_f2fs(void)
{
	in_overlay("f2fs", (struct sr_row){
		.id = "overlay-inline", .what = "overlayfs on f2fs, file of 2 KiB",
		.small = SMALL,
		.read = SR_CPU, .write = SR_P2P, .copy_read = -EOPNOTSUPP,
		.doctor = 3, .finds = "inline-data",
		.cause = "keeps it in its inode", .remedy = "fallocate -n -l 4096",
	});
}

static void in_fuse(void)
{
	H_EQ(fuse_mount(NULL), 0);
	sr_run(&(struct sr_row){
		.id = "fuse", .what = "FUSE", .file = FUSE_FILE, .given = true,
		.read = -EREMOTEIO, .write = -EREMOTEIO,
		.copy_read = -EOPNOTSUPP, .copy_write = -EOPNOTSUPP,
		.path = "fuse: none", .doctor = 3, .finds = "file-system",
		.cause = "does not say that direct I/O is direct",
		.remedy = "use a file on ext4 or xfs",
	});
	H_EQ(fuse_unmount(), 0);
}

static void in_tmpfs(void)
{
	sr_run(&(struct sr_row){
		.id = "tmpfs", .what = "tmpfs", .file = "/tmp/row",
		.read = SR_CPU, .write = SR_CPU,
		.copy_read = -EOPNOTSUPP, .copy_write = -EOPNOTSUPP,
		.path = "tmpfs: none", .doctor = 3, .finds = "file-system",
		.cause = "does not say that direct I/O is direct",
		.remedy = "use a file on ext4 or xfs",
	});
	unlink("/tmp/row");
}

static const struct h_case cases[] = {
	{ "a disk", on_a_disk, 90 },
	{ "a partition", on_a_partition, 90 },
	{ "ext4", on_ext4, 90 },
	{ "ext4, data=journal", on_ext4_journal, 90 },
	{ "ext4, a hole of a file without extents", on_ext4_without_extents, 90 },
	{ "xfs", on_xfs, 90 },
	{ "xfs, stable pages", on_xfs_stable_pages, 90 },
	{ "btrfs", on_btrfs, 90 },
	{ "btrfs, pages that have been touched", on_btrfs_mapped, 90 },
	{ "btrfs, nodatacow", on_btrfs_without_sums, 90 },
	{ "f2fs", on_f2fs, 90 },
	{ "f2fs, a file in its inode", on_f2fs_in_inode, 90 },
	{ "f2fs, a small file with blocks", on_f2fs_with_blocks, 90 },
	{ "f2fs, an empty file", on_f2fs_empty, 90 },
	{ "overlayfs", in_overlay_on_ext4, 90 },
	{ "overlayfs, a file in its inode", in_overlay_on_f2fs, 90 },
	{ "FUSE", in_fuse, 90 },
	{ "tmpfs", in_tmpfs, 90 },
	{ }
};

int main(int argc, char **argv)
{
	dev_bind("target", DEV_P2P);
	return h_main(argc, argv, cases);
}
