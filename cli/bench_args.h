/* SPDX-License-Identifier: MIT */
/* bench_args.h - the command line of "bench" */
#ifndef BENCH_ARGS_H
#define BENCH_ARGS_H

#include <argp.h>
#include <stdbool.h>
#include <stdint.h>

#include "bench.h"
#include "parse.h"

#define BENCH_LIST 16		/* most sizes, and most depths */
#define BENCH_DEPTH 64		/* deepest queue */
#define BENCH_LEAST UINT64_C(4096)
#define BENCH_MOST (UINT64_C(16) << 20)

/** struct bench_args - what is to be measured */
struct bench_args {
	struct place place;	/* the device side; offset a multiple of 2 MiB */
	const char **targets;
	unsigned int target_count;
	const char *scratch;	/* its contents are lost; or NULL */
	uint64_t sizes[BENCH_LIST];
	unsigned int size_count;
	unsigned int depths[BENCH_LIST];
	unsigned int depth_count;
	bool columns[BENCH_COLUMNS];
	bool read;
	bool write;
	bool create;		/* measure writes on a new file beside each target */
	unsigned int rounds;
	double seconds;		/* 0: by bytes */
	uint64_t bytes;
	const char *svg;
	bool quiet;
	bool json;
	/* What was given, until bench_parse() has seen everything. */
	bool place_given;
	bool op_given;
	bool time_given;
};

extern const struct argp_option bench_options[];

/** bench_parse() - argp's parser function; fills in the defaults at the end. */
error_t bench_parse(int key, char *arg, struct argp_state *state);

#endif /* BENCH_ARGS_H */
