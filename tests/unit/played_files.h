/* SPDX-License-Identifier: MIT */
/*
 * played_files.h - files that lie where the test says
 *
 * The program is linked with --wrap for fstat64, fstatfs64, statx, open64 and ioctl: files
 * below one folder are real, but lie on disk 259:0, in mount 36, in a file system of
 * the test's choice.
 */
#ifndef PLAYED_FILES_H
#define PLAYED_FILES_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

enum dio { ALIGNED, NO_DIO, SILENT };	/* what statx says of direct I/O */

struct played_files {
	char folder[PATH_MAX];	/* "": none */
	uint64_t magic;		/* of statfs */
	enum dio dio;
	bool no_extents;	/* of ext4's files */
	bool inline_data;	/* of f2fs' */
};

extern struct played_files played;

#endif /* PLAYED_FILES_H */
