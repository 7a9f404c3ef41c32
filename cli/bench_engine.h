/* SPDX-License-Identifier: MIT */
/*
 * bench_engine.h - one measurement: requests of one size through io_uring
 *
 * As many requests as the depth says are in flight, each with a part of the buffer
 * of its own, and each goes on as soon as it has come back.  Where the CPU copies
 * too, it does so while the disk works on the other requests.
 */
#ifndef BENCH_ENGINE_H
#define BENCH_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "bench_stats.h"

/**
 * struct engine_job - what to do
 * @fd: opened with O_DIRECT.
 * @write: to the file, else from it.
 * @size: bytes of each request.
 * @depth: requests in flight.
 * @span: bytes of the file to go through, from its start and again; a multiple
 *	of @size.
 * @buffer: @depth times @size bytes, for the disk.
 * @device: as much of the BAR for the CPU to copy to or from, or NULL.
 * @time_ns: no request begins later than that after the first; 0: no limit.
 * @bytes: nor once this many bytes have been asked for; 0: no limit.
 */
struct engine_job {
	int fd;
	bool write;
	uint64_t size;
	unsigned int depth;
	uint64_t span;
	uint8_t *buffer;
	uint8_t *device;
	uint64_t time_ns;
	uint64_t bytes;
};

/** struct engine_result - what has come of it; CPU times are of all that ran */
struct engine_result {
	uint64_t requests;
	uint64_t elapsed_ns;
	uint64_t process_ns;
	uint64_t busy_ns;
	uint64_t interrupts;
	uint64_t last_offset;	/* in the file, of the buffer's first request */
	struct histogram *latency;	/* ns are added to it; the caller's */
};

/**
 * engine_run() - measure, after as many requests that do not count
 *
 * The requests before have every page of the buffer looked up once.  A latency
 * is of request and copy.
 *
 * Return: 0, -EINTR (a signal asks for the end), -ENODATA (a short transfer, or no
 * /proc/stat), or what the kernel answers a request.  Nothing is in flight then.
 */
int engine_run(const struct engine_job *job, struct engine_result *result);

#endif /* BENCH_ENGINE_H */
