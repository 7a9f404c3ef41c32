// SPDX-License-Identifier: MIT
/*
 * silent.c - direct I/O that the kernel does with the CPU, without a word
 *
 * statx(2) says that direct I/O on a file is direct, read(2) and write(2) succeed, and yet
 * the data goes through RAM.  Three such cases can be known beforehand (Linux 7.2 and 7.3;
 * docs/storage.md has the measurements):
 *
 *  - XFS on a disk whose queue asks for stable pages: writes go through buffers of XFS's
 *    own.  (Reads do too, but refuse peer-to-peer pages.)
 *  - ext4 and a file without extents, as ext3 made them: what is written into a hole is
 *    written through the page cache.
 *  - f2fs and a small file that lies in its inode: it is read through the page cache.  (A
 *    direct write gives it blocks first, and what has blocks does not lose them.)  ext4 has
 *    such files too, but statx(2) tells.
 *
 * An overlay hands the file's flags on, but says neither which file system they are of nor
 * which disk it lies on.  That it lies in its inode can be known there, since what statx(2)
 * says leaves f2fs alone; of the other two nothing can.
 */
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "file.h"
#include "peer.h"

static const struct vp2p__silent stable_pages = {
	"its disk needs stable pages (queue/stable_writes), so XFS does direct I/O through "
	"buffers in RAM",
	"format the name space without protection information, or use ext4",
};

static const struct vp2p__silent no_extents = {
	"it has no extents (as files of ext3), and ext4 writes into the holes of such a file "
	"through the page cache",
	"give it extents with: chattr +e FILE",
};

static const struct vp2p__silent in_inode = {
	"it is so small that f2fs keeps it in its inode, and reads it through the page cache",
	"give it blocks with: fallocate -n -l 4096 FILE",
};

static bool needs_stable_pages(dev_t disk)
{
	char name[64], whole[64], text[16];

	return !vp2p__link_name(name, sizeof(name), "/sys/dev/block/%u:%u", major(disk),
				minor(disk)) &&
	       (vp2p__whole_disk(name, whole, sizeof(whole)), true) &&
	       !vp2p__read_line(text, sizeof(text), "/sys/class/block/%s/queue/stable_writes",
				whole) && text[0] == '1';
}

/* One that is empty has nothing to be read yet, and will have blocks. */
static bool lies_in_inode(const struct vp2p__silent_facts *facts)
{
	return (facts->fs_magic == VP2P__MAGIC_F2FS ||
		facts->fs_magic == VP2P__MAGIC_OVERLAY) && !facts->empty &&
	       facts->flags_known && facts->flags & FS_INLINE_DATA_FL;
}

const struct vp2p__silent *vp2p__silent_case(const struct vp2p__silent_facts *facts)
{
	if (facts->fs_magic == VP2P__MAGIC_XFS && needs_stable_pages(facts->disk))
		return &stable_pages;
	if (facts->fs_magic == VP2P__MAGIC_EXT4 && facts->writing && facts->flags_known &&
	    !(facts->flags & FS_EXTENT_FL))
		return &no_extents;
	if (!facts->writing && lies_in_inode(facts))
		return &in_inode;
	return NULL;
}

const struct vp2p__silent *vp2p__silent(int fd, bool writing)
{
	struct vp2p__silent_facts facts = { .writing = writing };
	struct statfs fs;
	struct stat st;
	int flags = 0;

	if (fstat(fd, &st) || fstatfs(fd, &fs) || !S_ISREG(st.st_mode))
		return NULL;
	facts.fs_magic = (uint64_t)fs.f_type & 0xffffffff;
	facts.disk = st.st_dev;
	facts.empty = !st.st_size;
	facts.flags_known = !ioctl(fd, FS_IOC_GETFLAGS, &flags);
	facts.flags = (unsigned int)flags;
	return vp2p__silent_case(&facts);
}
