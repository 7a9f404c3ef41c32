/* SPDX-License-Identifier: MIT */
/*
 * bench_copy.h - copies between host RAM and device memory as fast as the CPU can
 *
 * What a program without peer-to-peer DMA would use at its best: stores that go
 * past the caches, and loads that fetch whole lines of write-combining memory.
 */
#ifndef BENCH_COPY_H
#define BENCH_COPY_H

#include <stdbool.h>
#include <stddef.h>

/** struct stream_copy - one way to copy; any alignment, any size */
struct stream_copy {
	const char *name;	/* "AVX2" */
	bool (*supported)(void);
	/* Ordered before whatever the caller does next. */
	void (*to_device)(void *device, const void *ram, size_t size);
	void (*from_device)(void *ram, const void *device, size_t size);
};

/** stream_copy_at() - all ways, best first; NULL beyond the last. */
const struct stream_copy *stream_copy_at(unsigned int index);

/** stream_copy_best() - the first that this CPU supports. */
const struct stream_copy *stream_copy_best(void);

#endif /* BENCH_COPY_H */
