/* SPDX-License-Identifier: MIT */
/*
 * cli.h - what every part of the vfio-p2p tool shares: the command table's type,
 * the exit codes and the one way to say that something failed.
 */
#ifndef CLI_H
#define CLI_H

#include <argp.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DRIVER_NAME "p2p-vfio-pci"	/* the PCI driver, as in .../drivers/ */
#define MODULE_NAME "p2p_vfio_pci"	/* its module, as in /sys/module/ */

/** enum exit_code - what the tool's exit status says; scripts rely on these. */
enum exit_code {
	EXIT_OK = 0,
	EXIT_FAILED = 1,	/* tried, and the operation failed */
	EXIT_USAGE = 2,		/* the command line is wrong; nothing was tried */
	EXIT_IMPOSSIBLE = 3,	/* not possible on this machine or device */
	EXIT_BUSY = 4,		/* in use, or a bounded wait ran out */
	EXIT_MISMATCH = 5,	/* --verify, bench or doctor found wrong data */
	EXIT_REFUSED = 6,	/* would destroy or cut off data; see --force */
	EXIT_UNPROVEN = 7,	/* doctor: nothing is wrong, something is unknown */
};

/**
 * struct command - one row of the command table
 * @name: what the user types.
 * @summary: one line, without a full stop; shown in the list of commands.
 * @usage: the operands, for the "Usage:" line.
 * @examples: complete command lines, the main job first; each line indented by
 *	two spaces and ending in a newline.
 * @details: prose after the options.
 * @options: argp's own table; ends with an empty entry.
 * @parse: argp's own parser function; gets the handler's argument struct as
 *	state->input.
 * @run: the handler; returns an exit code.
 */
struct command {
	const char *name;
	const char *summary;
	const char *usage;
	const char *examples;
	const char *details;
	const struct argp_option *options;
	argp_parser_t parse;
	int (*run)(const struct command *command, int argc, char **argv);
};

/** command_at() - a row of the command table; NULL beyond the last one. */
const struct command *command_at(size_t index);

extern const struct command list_command;
extern const struct command bind_command;
extern const struct command unbind_command;
extern const struct command status_command;
extern const struct command cp_command;
extern const struct command window_command;
extern const struct command bench_command;
extern const struct command doctor_command;
extern const struct command trace_command;

/** command_common - the options that every command has; ends with an empty entry. */
extern const struct argp_option command_common[];

const struct command *command_find(const char *name);

/**
 * command_parse() - parse a command's arguments into @input
 *
 * Return: EXIT_OK, or EXIT_USAGE after the rule that was broken was printed.
 * Does not return where the user asked for help.
 */
int command_parse(const struct command *command, int argc, char **argv,
		  void *input);

/** command_help() - print the whole help of @command on standard output. */
void command_help(const struct command *command);

/** What a parse function returns after fail(). */
#define PARSE_FAILED EINVAL

/**
 * fail() - say on standard error what failed, where, why and what to do
 *
 * Control characters, which operands and file names may have, are printed as \xNN.
 *
 * @code: returned, so that a caller can write "return fail(...)".
 * @device: PCI address or file it is about; NULL where there is none.
 * @step: what could not be done, to follow "could not": "read the size".
 * @cause: why it did not work, with the rule and the value.
 * @remedy: what to do about it; NULL where nothing can be done.
 */
int fail(enum exit_code code, const char *device, const char *step,
	 const char *cause, const char *remedy);

/** fail_for() - the same; @error: a positive errno value that led to it, or 0. */
int fail_for(int error, enum exit_code code, const char *device,
	     const char *step, const char *cause, const char *remedy);

/** struct failure - what fail() was told last; strings are NULL where not given */
struct failure {
	enum exit_code code;
	int error;
	const char *device;
	const char *step;
	const char *cause;
	const char *remedy;
};

/** last_failure() - Return: NULL if nothing has failed. */
const struct failure *last_failure(void);

/**
 * output_flush() - a full disk or a closed pipe must not look like success
 * @rc: the exit code so far.
 *
 * Return: the exit code.
 */
int output_flush(int rc);

/** note() - a line of progress or advice on standard error. */
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif /* CLI_H */
