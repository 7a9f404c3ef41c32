/* SPDX-License-Identifier: MIT */
/*
 * cp_file.h - the file side of a copy
 *
 * A file that a copy creates or replaces appears under its name only once it is
 * whole and on the disk: until then it is NAME.partial, and a copy that fails
 * removes that.  It has the permissions of the file it replaces, and the owner if
 * that is permitted, but no set-uid or set-gid bit.  Block devices, and existing files with --offset, are written in
 * place.
 */
#ifndef CP_FILE_H
#define CP_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

/** struct file_side - an open file or block device */
struct file_side {
	const char *path;	/* as the user wrote it; for messages */
	const char *target;	/* what it resolves to */
	struct stat status;	/* of what is there before the copy */
	const char *partial;	/* the unfinished file, or NULL */
	int fd;
	bool block;
	bool exists;		/* before the copy */
	uint64_t size;		/* of a source or block device, else UINT64_MAX */
};

/** file_open_source() - Return: an exit code. */
int file_open_source(struct file_side *file, const char *path);

/**
 * file_open_target() - open for writing and reading
 * @in_place: write into an existing file instead of replacing it.
 * @force: write to a block device although something uses it, or to a file that
 *	is read-only.
 *
 * Return: an exit code.
 */
int file_open_target(struct file_side *file, const char *path, bool in_place,
		     bool force);

/** file_commit() - to the disk, and under its name. Return: an exit code. */
int file_commit(struct file_side *file);

/** file_close() - after success or failure; removes what was not committed. */
void file_close(struct file_side *file);

#endif /* CP_FILE_H */
