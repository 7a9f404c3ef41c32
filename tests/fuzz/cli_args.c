// SPDX-License-Identifier: MIT
/* Command lines: the operands of all commands, all that "cp" and "bench" understand. */
#include "bench_args.h"
#include "cli.h"
#include "cp_args.h"
#include "fuzz.h"
#include "operands.h"

#define MOST 12

static error_t only_operands(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case ARGP_KEY_ARG:
		return operands_add(state->input, arg, state);
	case ARGP_KEY_NO_ARGS:
		return operands_missing(state);
	}
	return ARGP_ERR_UNKNOWN;
}

static int parse(const struct argp_option *options, argp_parser_t parser, int argc, char **argv,
		 void *into)
{
	const struct argp argp = { .options = options, .parser = parser };

	return argp_parse(&argp, argc, argv, ARGP_NO_EXIT | ARGP_NO_ERRS | ARGP_NO_HELP, NULL, into);
}

static void check_cp(const struct cp_args *args)
{
	HOLDS(args->operand_count == 2 && args->file && *args->file);
	HOLDS(args->place.span.bar < 6 && *args->place.bdf);
	HOLDS(args->file == args->operands[args->to_device ? 0 : 1]);
	HOLDS(!(args->no_retry && args->memory_kept));
}

static void check_bench(const struct bench_args *args)
{
	unsigned int i;

	HOLDS(args->place.span.bar < 6 && *args->place.bdf && !(args->place.span.offset % (2 << 20)));
	HOLDS(args->size_count && args->depth_count && (args->read || args->write));
	for (i = 0; i < args->size_count; i++)
		HOLDS(args->sizes[i] >= 4096 && args->sizes[i] <= 16 << 20 &&
		      !(args->sizes[i] % 512) && (!i || args->sizes[i - 1] < args->sizes[i]));
	for (i = 0; i < args->depth_count; i++)
		HOLDS(args->depths[i] && args->depths[i] <= 64 &&
		      (!i || args->depths[i - 1] < args->depths[i]));
	HOLDS(args->rounds && args->rounds <= 100);
	HOLDS((args->seconds > 0 && args->seconds <= 3600) == !args->bytes);
	/* Nothing is written that was not given up. */
	HOLDS(!args->write || args->create != !!args->scratch);
	HOLDS(args->target_count || (!args->read && !args->create));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *argv[MOST + 2] = { (char[]){ "cp" } }, *copy[MOST + 2];
	struct input in = { data, size };
	struct operands operands = { 0 };
	struct bench_args bench = { 0 };
	struct cp_args args = { 0 };
	int argc = 1;

	while (in.size && argc <= MOST)
		argv[argc++] = take_string(&in);
	/* argp moves them about. */
	memcpy(copy, argv, sizeof(copy));
	if (!parse(cp_options, cp_parse, argc, copy, &args))
		check_cp(&args);
	memcpy(copy, argv, sizeof(copy));
	if (!parse(bench_options, bench_parse, argc, copy, &bench))
		check_bench(&bench);
	memcpy(copy, argv, sizeof(copy));
	if (!parse(NULL, only_operands, argc, copy, &operands))
		for (unsigned int i = 0; i < operands.count; i++)
			HOLDS(operands_have(&operands, operands.bdf[i]));
	while (argc > 1)
		free(argv[--argc]);
	return 0;
}
