/* SPDX-License-Identifier: MIT */
/* bench_stats.h - medians of rounds, percentiles of latencies */
#ifndef BENCH_STATS_H
#define BENCH_STATS_H

#include <stdint.h>

#define BENCH_ROUNDS 100	/* most rounds */

/** struct spread - of one value a round */
struct spread {
	double median;
	double min;
	double max;
};

/** spread_of() - @count is 1 or more; @values is left in order of size. */
struct spread spread_of(double *values, unsigned int count);

/* 128 steps for each power of two: a value is known to 0.8 %. */
#define HISTOGRAM_BITS	7
#define HISTOGRAM_STEPS	(1u << HISTOGRAM_BITS)
#define HISTOGRAM_SIZE	((64 - HISTOGRAM_BITS + 1) * HISTOGRAM_STEPS)

/** struct histogram - how often which latency came; all zero is empty */
struct histogram {
	uint64_t total;
	uint64_t count[HISTOGRAM_SIZE];
};

/** histogram_add() - constant time, no memory taken. */
void histogram_add(struct histogram *histogram, uint64_t value);

/**
 * histogram_percentile() - the least value that @percent % do not exceed
 *
 * Return: the upper end of its step, at most 0.8 % above; 0 if nothing was added.
 */
uint64_t histogram_percentile(const struct histogram *histogram,
			      unsigned int percent);

#endif /* BENCH_STATS_H */
