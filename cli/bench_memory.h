/* SPDX-License-Identifier: MIT */
/*
 * bench_memory.h - a buffer for each column, of pages as the column says
 *
 * All are of one length, and every page is touched before anything is measured.
 * What the pages turned out to be is looked up afterwards, not assumed.
 */
#ifndef BENCH_MEMORY_H
#define BENCH_MEMORY_H

#include <vfio-p2p.h>

#include "bench.h"

/**
 * struct bench_memory - mappings of @length bytes, NULL where there is none
 * @window_offset: first byte of the device's mappings, from the window's start.
 * @buffer: what the disk reads into and writes from, by column; BOUNCE has THP's.
 * @bar: the view the CPU copies to and from.
 * @limit: what has room for no more than that, for sentences.
 */
struct bench_memory {
	struct vp2p_device *dev;
	struct vp2p_window *win;
	uint64_t window_offset;
	uint64_t length;
	const char *limit;
	uint8_t *buffer[BENCH_COLUMNS];
	uint8_t *bar;
};

/**
 * memory_plan() - how long the mappings can be: @wanted, or less
 * @columns: those that are wanted.
 *
 * The window limits them, and half of the host memory that is available: a
 * machine that swaps, or kills, measures nothing.  @memory has its window and
 * window_offset; gets length and limit.
 */
void memory_plan(struct bench_memory *memory, uint64_t wanted,
		 const bool columns[BENCH_COLUMNS]);

/**
 * memory_map() - map the buffers of the columns that are wanted, and touch them
 * @found: gets what the pages are, and the reasons of columns that are skipped.
 *
 * Return: an exit code.
 */
int memory_map(struct bench_memory *memory, const bool wanted[BENCH_COLUMNS],
	       struct bench_report *found);

void memory_unmap(struct bench_memory *memory);

/** memory_huge_bytes() - AnonHugePages of the mapping that begins at @address. */
uint64_t memory_huge_bytes(const char *smaps, const void *address);

#endif /* BENCH_MEMORY_H */
