/* SPDX-License-Identifier: MIT */
/*
 * bench_target.h - the files and block devices that are read, or written to
 *
 * Nothing is written but to a file that was made for it, which has no name and
 * so is gone when it is closed, or to what the user has given up (--scratch).
 */
#ifndef BENCH_TARGET_H
#define BENCH_TARGET_H

#include <stdbool.h>
#include <stdint.h>

#include "cp_file.h"

/** struct bench_target - one file, one direction */
struct bench_target {
	struct file_side file;
	int fd;			/* with O_DIRECT */
	bool write;
	uint64_t align;		/* of offsets and sizes in the file */
	uint64_t size;		/* bytes that may be used */
};

/**
 * target_open() - for reading, or as --scratch for writing
 *
 * A regular file must have no hole: the disk would not be asked for it.  Smaller than
 * the smallest request neither can be.
 *
 * Return: an exit code.
 */
int target_open(struct bench_target *target, const char *path, bool write);

/**
 * target_create() - a file without a name in the directory of @beside
 * @size: bytes, which are written.
 *
 * Return: an exit code.
 */
int target_create(struct bench_target *target, const char *beside,
		  uint64_t size);

/** target_same() - are both the same file or block device, by whatever name? */
bool target_same(const struct bench_target *a, const struct bench_target *b);

/** target_close() */
void target_close(struct bench_target *target);

#endif /* BENCH_TARGET_H */
