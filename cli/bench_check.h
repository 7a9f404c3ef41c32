/* SPDX-License-Identifier: MIT */
/*
 * bench_check.h - is what was moved what should have been moved?
 *
 * Before a transfer into the device, what lies there is overwritten by the CPU, so
 * that what an earlier one has left cannot pass for its data.
 */
#ifndef BENCH_CHECK_H
#define BENCH_CHECK_H

#include <vfio-p2p.h>

#include "bench_memory.h"
#include "bench_target.h"

/** struct bench_check - what is compared with a target */
struct bench_check {
	const struct bench_memory *memory;
	const struct bench_target *target;
	const char *place;	/* "0000:03:00.0:2+16M", for messages */
};

/**
 * check_path() - one transfer by vp2p_copy(), compared byte by byte
 *
 * The library knows, and says, what stands in the way of peer-to-peer DMA.
 *
 * Return: an exit code.
 */
int check_path(const struct bench_check *check, uint64_t size);

/** check_prepare() - overwrite the first @size bytes of the device's buffer. */
int check_prepare(const struct bench_check *check, uint64_t size);

/**
 * check_request() - compare them with the target's at @offset, at most 64 KiB
 *
 * Return: an exit code.
 */
int check_request(const struct bench_check *check, uint64_t size,
		  uint64_t offset);

#endif /* BENCH_CHECK_H */
