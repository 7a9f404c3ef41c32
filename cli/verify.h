/* SPDX-License-Identifier: MIT */
/* verify.h - reading both sides of a copy again, by the CPU */
#ifndef VERIFY_H
#define VERIFY_H

#include <stdbool.h>
#include <stdint.h>
#include <vfio-p2p.h>

#include "cp_file.h"

/** struct verify_job - what to compare */
struct verify_job {
	const struct vp2p_device *dev;
	const char *place;	/* "0000:03:00.0:2+16M", for messages */
	unsigned int bar;
	uint64_t bar_offset;
	const struct file_side *file;
	uint64_t file_offset;
	uint64_t length;
	bool progress;
};

/** struct checksums - CRC-32 of what was read from each side */
struct checksums {
	uint32_t device;
	uint32_t file;
};

/**
 * verify() - compare every byte
 * @sums: of both sides, out; also where they differ
 *
 * The device is read through the ordinary view of its BAR, not through the
 * window that the copy used; the file from its disk, not from the page cache.
 *
 * Return: an exit code, EXIT_MISMATCH if a byte differs.
 */
int verify(const struct verify_job *job, struct checksums *sums);

#endif /* VERIFY_H */
