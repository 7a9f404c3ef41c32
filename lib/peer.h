/* SPDX-License-Identifier: MIT */
/* peer.h - where a file lies, as far as the walk to its disks needs it */
#ifndef VP2P_PEER_H
#define VP2P_PEER_H

#include "internal.h"

#define VP2P__MAGIC_EXT4	0xef53
#define VP2P__MAGIC_XFS		0x58465342
#define VP2P__MAGIC_F2FS	0xf2f52010
#define VP2P__MAGIC_OVERLAY	0x794c7630

/**
 * struct vp2p__where
 * @fs_magic: statfs' f_type.
 * @disk: the file system's st_dev, or the block device's st_rdev.
 * @is_block: the file is a block device.
 * @no_dio: the file system says that it does no direct I/O on this file.
 */
struct vp2p__where {
	uint64_t fs_magic;
	dev_t disk;
	bool is_block;
	bool no_dio;
};

/* Fills peers->list; 0 or -ENOMEM. */
int vp2p__peer_collect(struct vp2p__peers *peers, const struct vp2p__where *where);

#endif /* VP2P_PEER_H */
