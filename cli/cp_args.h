/* SPDX-License-Identifier: MIT */
/* cp_args.h - the command line of "cp" */
#ifndef CP_ARGS_H
#define CP_ARGS_H

#include <argp.h>
#include <stdbool.h>
#include <stdint.h>

#include "parse.h"

/** enum bounce - may bytes go by the CPU, through host RAM? */
enum bounce { BOUNCE_NEVER, BOUNCE_ALLOW, BOUNCE_FORCE };

/** struct cp_args - what is to be copied, and how */
struct cp_args {
	const char *operands[2];
	unsigned int operand_count;
	struct place place;	/* the device side */
	const char *file;	/* the file side */
	bool to_device;
	uint64_t size;		/* 0: everything */
	uint64_t offset;	/* in the file */
	uint64_t chunk;		/* 0: the library's choice */
	bool offset_given;
	bool verify;
	bool no_retry;
	bool memory_kept;
	bool allow_tail;
	enum bounce bounce;
	bool force;
	bool quiet;
	bool json;
};

extern const struct argp_option cp_options[];

/** cp_parse() - argp's parser function; checks the operands at the end. */
error_t cp_parse(int key, char *arg, struct argp_state *state);

#endif /* CP_ARGS_H */
