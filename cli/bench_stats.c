/* SPDX-License-Identifier: MIT */
/* bench_stats.c - medians of rounds, percentiles of latencies */
#include "bench_stats.h"

#include <stdlib.h>

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

struct spread spread_of(double *values, unsigned int count)
{
	unsigned int half = count / 2;

	qsort(values, count, sizeof(*values), compare);
	return (struct spread){
		.median = count % 2 ? values[half] :
				      (values[half - 1] + values[half]) / 2,
		.min = values[0],
		.max = values[count - 1],
	};
}

/* Up to HISTOGRAM_STEPS each value has a step; then the steps grow. */
static unsigned int step_of(uint64_t value)
{
	unsigned int shift;

	if (value < HISTOGRAM_STEPS)
		return (unsigned int)value;
	shift = 63 - (unsigned int)__builtin_clzll(value) - HISTOGRAM_BITS;
	return shift * HISTOGRAM_STEPS + (unsigned int)(value >> shift);
}

static uint64_t last_of(unsigned int step)
{
	unsigned int shift = step / HISTOGRAM_STEPS;
	uint64_t first;

	if (shift < 2)
		return step;
	shift--;
	first = (uint64_t)(step - shift * HISTOGRAM_STEPS) << shift;
	return first + ((UINT64_C(1) << shift) - 1);
}

void histogram_add(struct histogram *histogram, uint64_t value)
{
	histogram->count[step_of(value)]++;
	histogram->total++;
}

uint64_t histogram_percentile(const struct histogram *histogram,
			      unsigned int percent)
{
	uint64_t wanted = (histogram->total * percent + 99) / 100;
	uint64_t seen = 0;
	unsigned int step;

	if (!histogram->total)
		return 0;
	if (!wanted)
		wanted = 1;
	for (step = 0; step + 1 < HISTOGRAM_SIZE; step++) {
		seen += histogram->count[step];
		if (seen >= wanted)
			break;
	}
	return last_of(step);
}
