// SPDX-License-Identifier: MIT
/*
 * From a file to the NVMe controllers below it.
 *
 * Theory: the walk sees nothing but sysfs, so a recorded tree is as good as the
 * machine.  Every layout is one short tree, and the whole list of peers is compared
 * as one line of text: name, address, route, path of each.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "../../lib/file.h"
#include "../../lib/peer.h"
#include "check_error.h"
#include "fake.h"
#include "tree.h"

#define EXT4	0xef53
#define TMPFS	0x01021994
#define XFS	0x58465342
#define F2FS	0xf2f52010
#define OVERLAY	0x794c7630

/* Two NVMe disks, one with two partitions; a virtio disk; an NVMe over TCP. */
static const char disks[] =
	"/sys/dev/block/259:0 -> ../../devices/pci0000:00/0000:01:00.0/nvme/nvme0/nvme0n1\n"
	"/sys/dev/block/259:2 -> ../../devices/pci0000:00/0000:01:00.0/nvme/nvme0/nvme0n1/nvme0n1p2\n"
	"/sys/class/block/nvme0n1 -> ../../devices/pci0000:00/0000:01:00.0/nvme/nvme0/nvme0n1\n"
	"/sys/class/block/nvme0n1p2 -> ../../devices/pci0000:00/0000:01:00.0/nvme/nvme0/nvme0n1/nvme0n1p2\n"
	"/sys/devices/pci0000:00/0000:01:00.0/nvme/nvme0/nvme0n1/device -> ../../nvme0\n"
	"/sys/devices/pci0000:00/0000:01:00.0/nvme/nvme0/nvme0n1/nvme0n1p2/partition = 2\n"
	"/sys/class/nvme/nvme0/transport = pcie\n"
	"/sys/class/nvme/nvme0/device -> ../../../0000:01:00.0\n"
	"/sys/class/block/nvme1n1 -> ../../devices/pci0000:00/0000:02:00.0/nvme/nvme1/nvme1n1\n"
	"/sys/devices/pci0000:00/0000:02:00.0/nvme/nvme1/nvme1n1/device -> ../../nvme1\n"
	"/sys/class/nvme/nvme1/transport = pcie\n"
	"/sys/class/nvme/nvme1/device -> ../../../0000:02:00.0\n"
	"/sys/dev/block/254:0 -> ../../devices/pci0000:00/0000:00:05.0/virtio2/block/vda\n"
	"/sys/class/block/vda -> ../../devices/pci0000:00/0000:00:05.0/virtio2/block/vda\n"
	"/sys/devices/pci0000:00/0000:00:05.0/virtio2/block/vda/device/driver -> ../../virtio_blk\n"
	"/sys/dev/block/259:9 -> ../../devices/virtual/nvme9n1\n"
	"/sys/class/block/nvme9n1 -> ../../devices/virtual/nvme9n1\n"
	"/sys/devices/virtual/nvme9n1/device -> ../../nvme9\n"
	"/sys/class/nvme/nvme9/transport = tcp\n"
	"/sys/dev/block/7:0 -> ../../devices/virtual/block/loop0\n"
	"/sys/class/block/loop0/queue/\n";

static struct vp2p_peer_list *collect(uint64_t magic, unsigned int maj, unsigned int min,
				      bool is_block, bool no_dio)
{
	struct vp2p__where where = { magic, makedev(maj, min), is_block, no_dio };
	struct vp2p__peers peers = { calloc(1, sizeof(struct vp2p_peer_list)), 0 };

	if (!peers.list || vp2p__peer_collect(&peers, &where))
		exit(99);
	return peers.list;
}

static void describe(const struct vp2p_peer_list *list, char *buf, size_t size)
{
	size_t n = 0;

	n += (size_t)snprintf(buf, size, "%s/%s", list->fs, list->disk);
	for (size_t i = 0; i < list->count && n < size; i++) {
		const struct vp2p_peer_info *p = &list->peer[i];

		n += (size_t)snprintf(buf + n, size - n, "; %s %s %s [%s]", p->name,
				      p->bdf, vp2p_route_name(p->route), p->path);
	}
}

static struct vp2p_peer_list *last;

static void walks(const char *extra, uint64_t magic, unsigned int maj, unsigned int min,
		  const char *want, const char *name)
{
	char got[2048];
	int whole = 1;

	if (extra)
		tree_add(extra);
	vp2p_peer_list_free(last);
	last = collect(magic, maj, min, magic == 0, false);
	describe(last, got, sizeof(got));
	is_str(got, want, name);
	for (size_t i = 0; i < last->count; i++)
		whole &= last->peer[i].reason[0] &&
			 (last->peer[i].route != VP2P_ROUTE_NONE ||
			  last->peer[i].remedy[0]);
	ok(whole && last->count, "%s: reasons, and remedies where they are due", name);
}

static void test_plain(void)
{
	walks(NULL, EXT4, 259, 0,
	      "ext4/nvme0n1; nvme0 0000:01:00.0 unknown [ext4 > nvme0n1 > nvme0]", "disk");
	walks(NULL, EXT4, 259, 2, "ext4/nvme0n1; nvme0 0000:01:00.0 unknown "
	      "[ext4 > nvme0n1p2 > nvme0n1 > nvme0]", "partition");
	walks(NULL, 0, 259, 2, "block/nvme0n1; nvme0 0000:01:00.0 unknown "
	      "[nvme0n1p2 > nvme0n1 > nvme0]", "block device");
	walks(NULL, 0xabcd, 259, 0, "unknown/nvme0n1; nvme0 0000:01:00.0 unknown "
	      "[unknown > nvme0n1 > nvme0]", "a file system we do not know, on a disk");
	walks(NULL, EXT4, 254, 0, "ext4/vda; vda  none [ext4 > vda]", "virtio disk");
	has_str(last->peer[0].reason, "virtio_blk", "... names the driver");
	walks(NULL, EXT4, 7, 0, "ext4/loop0; loop0  none [ext4 > loop0]", "loop device");
	has_str(last->peer[0].reason, "driver loop ", "... names what it is");
	walks("/sys/class/block/loop0/loop/backing_file = /data/image\n", EXT4, 7, 0,
	      "ext4/loop0; loop0  none [ext4 > loop0]", "loop device of a file");
	has_str(last->peer[0].reason, "from /data/image", "... names the file");
	walks(NULL, EXT4, 259, 9, "ext4/nvme9n1; nvme9  none [ext4 > nvme9n1 > nvme9]",
	      "NVMe over TCP");
	has_str(last->peer[0].reason, "over tcp", "... says so");
	walks("/sys/class/nvme/nvme9/transport = rdma\n", EXT4, 259, 9,
	      "ext4/nvme9n1; nvme9  unknown [ext4 > nvme9n1 > nvme9]", "NVMe over RDMA");
}

static void test_file_systems(void)
{
	walks(NULL, TMPFS, 0, 25, "tmpfs/; tmpfs  none [tmpfs]", "tmpfs");
	walks(NULL, 0x6969, 0, 50, "nfs/; nfs  unknown [nfs]", "nfs");
	walks(NULL, 0x65735546, 0, 51, "fuse/; fuse  none [fuse]", "fuse");
	walks(NULL, 0x65735546, 259, 0, "fuse/; fuse  none [fuse]", "fuseblk");
	walks(NULL, 0x9123683e, 0, 52, "btrfs/; btrfs  none [btrfs]", "btrfs");
	walks(NULL, OVERLAY, 0, 53, "overlay/; overlay  unknown [overlay]", "overlay");
	walks(NULL, 0x12345678, 0, 54, "unknown/; unknown  none [unknown]", "no disk");
}

static void test_no_dio(void)
{
	struct vp2p_peer_list *list = collect(EXT4, 259, 0, false, true);
	char got[1024];

	describe(list, got, sizeof(got));
	is_str(got, "ext4/nvme0n1; ext4  none [ext4]; nvme0 0000:01:00.0 unknown "
	       "[ext4 > nvme0n1 > nvme0]", "no direct I/O on this file");
	has_str(list->peer[0].remedy, "data=ordered", "... has a remedy");
	vp2p_peer_list_free(list);
}

static const char md[] =
	"/sys/dev/block/9:0 -> ../../devices/virtual/block/md0\n"
	"/sys/class/block/md0/md/level = raid0\n"
	"/sys/class/block/md0/slaves/nvme0n1p2 -> ../x\n"
	"/sys/class/block/md0/slaves/nvme1n1 -> ../x\n";

static void test_md(void)
{
	walks(md, EXT4, 9, 0, "ext4/md0; nvme0 0000:01:00.0 unknown "
	      "[ext4 > md0 > nvme0n1p2 > nvme0n1 > nvme0]; nvme1 0000:02:00.0 unknown "
	      "[ext4 > md0 > nvme1n1 > nvme1]", "raid0 of two");
	walks("/sys/class/block/md0/slaves/vda -> ../x\n", EXT4, 9, 0,
	      "ext4/md0; nvme0 0000:01:00.0 unknown "
	      "[ext4 > md0 > nvme0n1p2 > nvme0n1 > nvme0]; nvme1 0000:02:00.0 unknown "
	      "[ext4 > md0 > nvme1n1 > nvme1]; vda  none [ext4 > md0 > vda]",
	      "raid0 with a member that is not NVMe");
	walks("/sys/class/block/md0/md/level = raid5\n", EXT4, 9, 0,
	      "ext4/md0; md0  none [ext4 > md0]; nvme0 0000:01:00.0 unknown "
	      "[ext4 > md0 > nvme0n1p2 > nvme0n1 > nvme0]; nvme1 0000:02:00.0 unknown "
	      "[ext4 > md0 > nvme1n1 > nvme1]; vda  none [ext4 > md0 > vda]", "raid5");
	has_str(last->peer[0].reason, "md raid5", "... names the level");
	walks("/sys/class/block/md0/md/level = raid10\n", 0, 9, 0,
	      "block/md0; nvme0 0000:01:00.0 unknown "
	      "[md0 > nvme0n1p2 > nvme0n1 > nvme0]; nvme1 0000:02:00.0 unknown "
	      "[md0 > nvme1n1 > nvme1]; vda  none [md0 > vda]", "raid10 as a block device");
	walks("/sys/dev/block/9:1 -> ../../devices/virtual/block/md1\n"
	      "/sys/class/block/md1/md/level = raid1\n", EXT4, 9, 1,
	      "ext4/md1; md1  none [ext4 > md1]", "an array without members");
	tree_add("/sys/dev/block/9:3 -> ../../devices/virtual/block/md3\n"
		 "/sys/class/block/md3/md/level = linear\n"
		 "/sys/class/block/md3/slaves/loop0 -> ../x\n"
		 "/sys/class/block/md3/slaves/nvme0n1p2 -> ../x\n"
		 "/sys/class/block/md3/slaves/nvme1n1 -> ../x\n"
		 "/sys/class/block/md3/slaves/nvme9n1 -> ../x\n"
		 "/sys/class/block/md3/slaves/vda -> ../x\n");
	vp2p_peer_list_free(last);
	last = collect(EXT4, 9, 3, false, false);
	is_num((long long)last->count, 6, "more than a handful of members");
	is_str(last->peer[5].name, "vda", "... to the last");
}

static void test_dm(void)
{
	walks("/sys/dev/block/253:0 -> ../../devices/virtual/block/dm-0\n"
	      "/sys/class/block/dm-0/dm/uuid = CRYPT-LUKS2-0123-root\n"
	      "/sys/class/block/dm-0/slaves/nvme0n1p2 -> ../x\n", EXT4, 253, 0,
	      "ext4/dm-0; dm-0  none [ext4 > dm-0]; nvme0 0000:01:00.0 unknown "
	      "[ext4 > dm-0 > nvme0n1p2 > nvme0n1 > nvme0]", "dm-crypt");
	has_str(last->peer[0].reason, "(CRYPT)", "... names the target");
}

/* A stack that contains itself comes to an end. */
static void test_loop(void)
{
	tree_add("/sys/dev/block/9:7 -> ../../devices/virtual/block/md7\n"
		 "/sys/class/block/md7/md/level = raid0\n"
		 "/sys/class/block/md7/slaves/md7 -> ../x\n");
	vp2p_peer_list_free(last);
	last = collect(EXT4, 9, 7, false, false);
	is_num((long long)last->count, 1, "a loop of members ends");
	has_str(last->peer[0].reason, "too deeply", "... with a reason");
}

static void test_multipath(void)
{
	walks("/sys/dev/block/259:20 -> ../../devices/virtual/nvme-subsystem/nvme-subsys3/nvme3n2\n"
	      "/sys/class/block/nvme3n2 -> ../../devices/virtual/nvme-subsystem/nvme-subsys3/nvme3n2\n"
	      "/sys/devices/virtual/nvme-subsystem/nvme-subsys3/nvme3n2/device -> ../../nvme-subsys3\n"
	      "/sys/class/nvme-subsystem/nvme-subsys3/nvme4/\n"
	      "/sys/class/nvme-subsystem/nvme-subsys3/nvme5/\n"
	      "/sys/class/nvme-subsystem/nvme-subsys3/nvme6/\n"
	      "/sys/class/nvme-subsystem/nvme-subsys3/subsysnqn = nqn\n"
	      "/sys/class/nvme/nvme4/nvme3c4n2/\n"
	      "/sys/class/nvme/nvme4/transport = pcie\n"
	      "/sys/class/nvme/nvme4/device -> ../../../0000:41:00.0\n"
	      "/sys/class/nvme/nvme5/nvme3c5n1/\n"
	      "/sys/class/nvme/nvme5/transport = pcie\n"
	      "/sys/class/nvme/nvme5/device -> ../../../0000:51:00.0\n"
	      "/sys/class/nvme/nvme6/nvme3c6n2/\n"
	      "/sys/class/nvme/nvme6/transport = pcie\n"
	      "/sys/class/nvme/nvme6/device -> ../../../0000:61:00.0\n", EXT4, 259, 20,
	      "ext4/nvme3n2; nvme4 0000:41:00.0 unknown [ext4 > nvme3n2 > nvme4]; "
	      "nvme6 0000:61:00.0 unknown [ext4 > nvme3n2 > nvme6]",
	      "multipath: the paths of this namespace only");
	tree_add("/sys/devices/virtual/nvme-subsystem/nvme-subsys3/nvme3n2/device -> "
		 "../../nvme-subsys8\n");
	walks(NULL, EXT4, 259, 20, "ext4/nvme3n2; nvme3n2  none [ext4 > nvme3n2]",
	      "multipath without a path");
}

/* The public call, on files of this machine; the tree says what their disk is. */
static void test_for_fd(void)
{
	int file = memfd_create("file", 0), pipes[2];
	struct vp2p_device *dev = fake_device();
	struct vp2p_peer_list *list = NULL;
	struct vp2p_error err;

	is_num(vp2p_peer_for_fd(dev, file, &list, &err), 0, "a file in memory");
	is_str(list->fs, "tmpfs", "... is in tmpfs");
	is_num(list->usable, 0, "... and not usable");
	vp2p_peer_list_free(list);
	vp2p_peer_list_free(NULL);
	is_error(vp2p_peer_for_fd(dev, -1, &list, &err), EBADF, &err, "a bad fd");
	if (pipe(pipes))
		exit(99);
	is_error(vp2p_peer_for_fd(NULL, pipes[0], &list, &err), EOPNOTSUPP, &err, "a pipe");
	close(pipes[0]);
	close(pipes[1]);
	close(file);
	vp2p_close(dev);
}

/* A file of this machine on a disk of the tree, with routes from the kernel. */
static void test_routes(const char *path)
{
	int fd = open(path, O_RDONLY);
	struct vp2p_peer_list *list = NULL;
	struct vp2p_device *dev;
	struct stat st;
	char link[128];

	if (fd < 0 || fstat(fd, &st) || !major(st.st_dev)) {
		ok(1, "routes # SKIP %s lies on no disk", path);
		return;
	}
	snprintf(link, sizeof(link), "/sys/dev/block/%u:%u -> ../../devices/virtual/block/md0\n",
		 major(st.st_dev), minor(st.st_dev));
	tree_add(link);
	dev = fake_device();
	is_num(vp2p_peer_for_fd(dev, fd, &list, NULL), 0, "a file of this machine");
	ok(list->count >= 3 && list->peer[0].route == VP2P_ROUTE_HOST_BRIDGE &&
	   list->peer[0].distance == 4, "the kernel's route of the first member");
	is_num(list->usable, 0, "vda spoils the array");
	vp2p_peer_list_free(list);

	fake.peer_errno = EIO;
	is_num(vp2p_peer_for_fd(dev, fd, &list, NULL), 0, "the kernel does not answer");
	ok(list->peer[0].route == VP2P_ROUTE_UNKNOWN, "... the route is unknown");
	has_str(list->peer[0].reason, "did not tell", "... and says so");
	fake.peer_errno = 0;
	vp2p_peer_list_free(list);
	vp2p_close(dev);
	close(fd);
}

/* What the kernel would copy without a word, from what can be known beforehand. */
static bool in_inode(uint64_t magic, bool writing, bool empty, unsigned int flags)
{
	const struct vp2p__silent_facts facts = {
		.fs_magic = magic, .disk = makedev(259, 0), .writing = writing, .empty = empty,
		.flags_known = true, .flags = flags,
	};

	return vp2p__silent_case(&facts);
}

static bool silent(uint64_t magic, unsigned int minor, bool writing, bool known,
		   unsigned int flags)
{
	const struct vp2p__silent_facts facts = {
		.fs_magic = magic, .disk = makedev(259, minor), .writing = writing,
		.flags_known = known, .flags = flags,
	};

	return vp2p__silent_case(&facts);
}

static void test_silent(void)
{
	ok(!silent(XFS, 0, true, true, 0), "xfs, whose disk says nothing of stable pages");
	tree_add("/sys/devices/pci0000:00/0000:01:00.0/nvme/nvme0/nvme0n1/queue/stable_writes = 0\n");
	ok(!silent(XFS, 0, true, true, 0), "xfs, no stable pages");
	tree_add("/sys/devices/pci0000:00/0000:01:00.0/nvme/nvme0/nvme0n1/queue/stable_writes = 1\n");
	ok(silent(XFS, 0, true, true, 0) && silent(XFS, 0, false, true, 0),
	   "xfs on a disk that needs stable pages");
	ok(silent(XFS, 2, true, true, 0), "... on a partition of it");
	ok(!silent(EXT4, 0, true, true, FS_EXTENT_FL), "ext4 does not care");
	ok(silent(EXT4, 0, true, true, 0), "ext4, writing to a file without extents");
	ok(!silent(EXT4, 0, false, true, 0), "... reading it");
	ok(!silent(EXT4, 0, true, false, 0), "ext4, flags that could not be read");
	ok(in_inode(F2FS, false, false, FS_INLINE_DATA_FL), "f2fs, reading a file in its inode");
	ok(in_inode(OVERLAY, false, false, FS_INLINE_DATA_FL), "... through an overlay");
	ok(!in_inode(F2FS, false, false, 0), "... with blocks");
	ok(!in_inode(F2FS, false, true, FS_INLINE_DATA_FL), "... that is empty");
	ok(!in_inode(F2FS, true, false, FS_INLINE_DATA_FL), "... writing to it");
	ok(!silent(F2FS, 0, false, false, FS_INLINE_DATA_FL), "... flags that could not be read");
	ok(!in_inode(EXT4, false, false, FS_EXTENT_FL | FS_INLINE_DATA_FL), "ext4 tells by statx");
	ok(!silent(TMPFS, 0, true, true, 0), "another file system");
}

int main(int argc, char **argv)
{
	(void)argc;
	tree_make(disks);
	fake_install();
	test_plain();
	test_file_systems();
	test_no_dio();
	test_md();
	test_dm();
	test_loop();
	test_multipath();
	test_for_fd();
	test_routes(argv[0]);
	test_silent();
	vp2p_peer_list_free(last);
	tree_remove();
	return TAP_DONE();
}
