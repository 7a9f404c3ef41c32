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
 * @direct: description with O_DIRECT, -1 if there is none.
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

/* What a copy asks of a file: direct I/O always, and maybe a buffered way too. */
enum vp2p__file_ways { VP2P__FILE_DIRECT, VP2P__FILE_BOTH, VP2P__FILE_ANY };

/* With VP2P__FILE_ANY a file that has no direct I/O will do: @direct is -1 then. */
int vp2p__file_open(struct vp2p__file *file, int fd, bool writing,
		    enum vp2p__file_ways ways, struct vp2p_error *err);
void vp2p__file_close(struct vp2p__file *file);

/** struct vp2p__silent - why the kernel would move direct I/O by the CPU, without a word */
struct vp2p__silent {
	const char *cause;
	const char *remedy;
};

/** struct vp2p__silent_facts - what decides it */
struct vp2p__silent_facts {
	uint64_t fs_magic;
	dev_t disk;		/* the file system's */
	bool writing;
	bool empty;
	bool flags_known;
	unsigned int flags;	/* of the file: FS_IOC_GETFLAGS */
};

/* NULL: nothing is known that would. */
const struct vp2p__silent *vp2p__silent(int fd, bool writing);
const struct vp2p__silent *vp2p__silent_case(const struct vp2p__silent_facts *facts);

/*
 * mount.c: what the file's side has answered, where that is its server's, or would mean
 * the device if it were passed on: then EIO, with the cause.  0: neither.  @when begins
 * the sentence: "at byte 12".
 */
int vp2p__file_failed(int fd, const char *name, const char *step, int code,
		      const char *when, struct vp2p_error *err);
int vp2p__file_failed_at(int fd, const char *name, const char *step, int code,
			 uint64_t pos, struct vp2p_error *err);

/* How many of these bytes lie in holes, as far as the file system tells. */
uint64_t vp2p__file_zeros(int fd, uint64_t at, uint64_t length);

#endif /* VP2P_FILE_H */
