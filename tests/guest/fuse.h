/* SPDX-License-Identifier: MIT */
/*
 * fuse.h - a file system of the test's own, with one file, spoken over /dev/fuse
 *
 * The file is in the memory of a server process; what it begins with, byte i is
 * (i * 31) >> 7.  It can be read and written, not truncated.
 */
#ifndef FUSE_H
#define FUSE_H

#include <stdint.h>

#define FUSE_AT "/tmp/fuse"
#define FUSE_FILE FUSE_AT "/data"
#define FUSE_FILE_SIZE (8u << 20)

/*
 * Mount it at FUSE_AT.  @before_read runs in the server, before it answers a read that
 * ends at byte @end; NULL: nothing does.  0 or -errno.
 */
int fuse_mount(void (*before_read)(uint64_t end));

/* And away with it. */
int fuse_unmount(void);

#endif
