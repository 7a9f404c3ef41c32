/* SPDX-License-Identifier: MIT */
/* cp_report.h - a copy, and what the user is told of it */
#ifndef CP_REPORT_H
#define CP_REPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <vfio-p2p.h>

#include "cp_args.h"
#include "cp_file.h"
#include "progress.h"
#include "verify.h"

/** BOUNCE_DEPTH, BOUNCE_CHUNK - the library's own defaults, in bytes that may be under way. */
#define BOUNCE_DEPTH 4
#define BOUNCE_CHUNK (UINT64_C(1) << 20)

/** struct copy - one copy, from its command line to its result */
struct copy {
	struct cp_args args;
	const char *place;		/* "0000:03:00.0:2+16M" */
	struct file_side file;
	struct vp2p_device *dev;
	struct vp2p_window *win;
	struct vp2p_copy_result result;
	struct vp2p_error err;
	uint64_t generation;		/* when it began, or began again */
	unsigned int cancels;		/* how often the library was told to end */
	bool verified;
	struct checksums checksums;	/* if verified */
	struct progress_bar bar;
};

/** bytes_copied() - those in place, whatever way they took. */
uint64_t bytes_copied(const struct copy *copy);

/** report_restart() - says so if the device was reset and the copy starts again. */
void report_restart(struct copy *copy);

/**
 * report_pending() - an interrupted copy waits for requests that nothing but the
 *	process's end breaks off: says which, and that the next signal is that end
 */
void report_pending(struct copy *copy, uint64_t done, uint64_t total);

/** report_cut() - after an interruption: how far the copy had come. */
void report_cut(const struct copy *copy);

/** report_copy() - the result line. */
void report_copy(const struct copy *copy);

/** report_copy_json() - the result, and the failure if there is one. */
void report_copy_json(const struct copy *copy, int rc);

/** report_rest() - after a failure: how to copy what is not in place, if that helps. */
void report_rest(const struct copy *copy);

#endif /* CP_REPORT_H */
