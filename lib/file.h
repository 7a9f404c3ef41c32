/* SPDX-License-Identifier: MIT */
/* file.h - the file side of a copy: what direct I/O on it needs */
#ifndef VP2P_FILE_H
#define VP2P_FILE_H

#include "internal.h"

/** struct vp2p__dio - alignments of direct I/O, in bytes */
struct vp2p__dio {
	uint64_t mem_align;
	uint64_t file_align;
};

/* The end of the file's path, or "fd 5". */
void vp2p__file_name(int fd, char *buf, size_t size);

/*
 * 0; -EOPNOTSUPP if the file system says that it does no direct I/O on this file;
 * -ENODATA if it does not say.
 */
int vp2p__dio_query(int fd, struct vp2p__dio *dio);

struct statx;

/* The same from what statx(2) answered. */
int vp2p__dio_from_statx(const struct statx *stx, struct vp2p__dio *dio);

/**
 * struct vp2p__file - a file opened for a copy
 * @direct: description with O_DIRECT.
 * @plain: description without, -1 if it is not needed.
 * @own_direct: @direct was opened by us.
 * @own_plain: @plain was.
 * @size: bytes.
 */
struct vp2p__file {
	int direct;
	int plain;
	bool own_direct;
	bool own_plain;
	uint64_t size;
	struct vp2p__dio dio;
	char name[64];
};

int vp2p__file_open(struct vp2p__file *file, int fd, bool writing, bool need_plain,
		    struct vp2p_error *err);
void vp2p__file_close(struct vp2p__file *file);

#endif /* VP2P_FILE_H */
