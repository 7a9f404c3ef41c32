/* SPDX-License-Identifier: MIT */
/*
 * bench_measure.h - the order of the measurements
 *
 * All columns of a cell are measured one after the other in each round, each round
 * beginning with another column: what changes slowly, or depends on what came
 * before, meets all of them alike.
 */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include "bench_args.h"
#include "bench_memory.h"
#include "bench_target.h"

/** struct bench_plan - what is measured, on what; the report gets the cells */
struct bench_plan {
	const struct bench_args *args;
	const struct bench_memory *memory;
	const struct bench_target *targets;
	unsigned int target_count;
	const char *place;
	uint64_t generation;	/* of the device, before the first */
	struct bench_report *report;
};

/** plan_depth() - what of @depth requests of @size bytes @room has room for. */
unsigned int plan_depth(uint64_t room, uint64_t size, unsigned int depth);

/** plan_column() - which column is the @turn-th of a round. */
enum bench_column plan_column(unsigned int round, unsigned int turn);

/** plan_count() - how many measurements there will be. */
unsigned int plan_count(const struct bench_plan *plan);

/** measure_all() - Return: an exit code. */
int measure_all(const struct bench_plan *plan);

#endif /* BENCH_MEASURE_H */
