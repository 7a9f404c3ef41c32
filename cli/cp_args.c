/* SPDX-License-Identifier: MIT */
/* cp_args.c - the command line of "cp" */
#include "cp_args.h"

#include <string.h>

#include "cli.h"
#include "text.h"

enum {
	KEY_SIZE = 's', KEY_OFFSET = 'o', KEY_CHUNK = 'c', KEY_VERIFY = 'v',
	KEY_FORCE = 'f', KEY_QUIET = 'q', KEY_JSON = 'j',
	KEY_NO_RETRY = 0x100, KEY_KEPT, KEY_TAIL, KEY_BOUNCE,
};

const struct argp_option cp_options[] = {
	{ "size", KEY_SIZE, "N", 0,
	  "Copy N bytes (default: the file to its end, or the window to its end)",
	  0 },
	{ "offset", KEY_OFFSET, "N", 0,
	  "Begin at byte N of FILE; an existing FILE that is the target is then "
	  "written in place, not replaced", 0 },
	{ "chunk", KEY_CHUNK, "N", 0,
	  "Bytes a single read or write moves (default 4M; 1M when bounced)", 0 },
	{ "bounce", KEY_BOUNCE, "WHEN", 0,
	  "May bytes go by the CPU, through host RAM? WHEN is 'never' (default), "
	  "'allow' (what cannot go peer-to-peer) or 'force' (everything)", 0 },
	{ "verify", KEY_VERIFY, NULL, 0,
	  "Afterwards read both sides by the CPU, compare every byte and print the "
	  "CRC-32 (slow: the CPU reads device memory word by word)", 0 },
	{ "no-retry", KEY_NO_RETRY, NULL, 0,
	  "Fail if the device is reset meanwhile, instead of starting again", 0 },
	{ "memory-kept", KEY_KEPT, NULL, 0,
	  "The device's memory outlives its resets: go on after one", 0 },
	{ "allow-tail", KEY_TAIL, NULL, 0,
	  "Let the CPU move the last bytes, fewer than one block, where direct "
	  "I/O cannot; they are counted as bounced", 0 },
	{ "force", KEY_FORCE, NULL, 0,
	  "Write to a block device although something uses it, or replace a "
	  "read-only file", 0 },
	{ "quiet", KEY_QUIET, NULL, 0,
	  "No progress bar and no result line", 0 },
	{ "json", KEY_JSON, NULL, 0, "Print the result as JSON", 0 },
	{ 0 }
};

static error_t parse_number(const char *option, const char *string,
			    uint64_t *number)
{
	const char *wrong = parse_size(string, number);

	if (!wrong)
		return 0;
	fail(EXIT_USAGE, NULL, text("read %s", option),
	     text("'%s' %s", string, wrong),
	     "write it as in 4096, 64K, 16M or 0x200000");
	return PARSE_FAILED;
}

static error_t parse_positive(const char *option, const char *string,
			      uint64_t *number)
{
	error_t error = parse_number(option, string, number);

	if (error || *number)
		return error;
	fail(EXIT_USAGE, NULL, text("read %s", option), "0 is no size",
	     "leave the option away to get its default");
	return PARSE_FAILED;
}

static error_t parse_bounce(const char *string, enum bounce *bounce)
{
	static const char *const words[] = {
		[BOUNCE_NEVER] = "never",
		[BOUNCE_ALLOW] = "allow",
		[BOUNCE_FORCE] = "force",
	};
	size_t i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (!strcmp(string, words[i])) {
			*bounce = (enum bounce)i;
			return 0;
		}
	fail(EXIT_USAGE, NULL, "read --bounce",
	     text("'%s' is none of its words", string),
	     "write never, allow or force");
	return PARSE_FAILED;
}

static error_t add_operand(struct cp_args *args, const char *operand)
{
	if (args->operand_count < 2) {
		args->operands[args->operand_count++] = operand;
		return 0;
	}
	fail(EXIT_USAGE, NULL, "begin",
	     text("'%s' is one operand too many", operand),
	     "vfio-p2p cp takes one source and one target");
	return PARSE_FAILED;
}

static error_t resolve_place(struct cp_args *args, const char *string)
{
	const char *wrong = parse_place(string, &args->place);

	if (!wrong)
		return 0;
	fail(EXIT_USAGE, NULL, "read the place in the device",
	     text("'%s' %s", string, wrong),
	     "write DEVICE:BAR[+OFFSET], as in 0000:03:00.0:2+16M; a file of "
	     "such a name is written ./NAME");
	return PARSE_FAILED;
}

/* Which operand is the device, and which the file? */
static error_t resolve(struct cp_args *args)
{
	static const char remedy[] =
		"vfio-p2p cp FILE DEVICE:BAR[+OFFSET], or the other way round";
	bool first, second;

	if (args->operand_count < 2) {
		fail(EXIT_USAGE, NULL, "begin",
		     "a source and a target are needed", remedy);
		return PARSE_FAILED;
	}
	if (!*args->operands[0] || !*args->operands[1]) {
		fail(EXIT_USAGE, NULL, "begin", "an operand is empty", remedy);
		return PARSE_FAILED;
	}
	first = looks_like_place(args->operands[0]);
	second = looks_like_place(args->operands[1]);
	if (first == second) {
		fail(EXIT_USAGE, NULL, "begin",
		     first ? "both sides are devices" :
			     text("neither '%s' nor '%s' is a place in a device",
				  args->operands[0], args->operands[1]),
		     remedy);
		return PARSE_FAILED;
	}
	if (args->no_retry && args->memory_kept) {
		fail(EXIT_USAGE, NULL, "begin",
		     "--no-retry and --memory-kept contradict each other",
		     "give one of them");
		return PARSE_FAILED;
	}
	args->to_device = second;
	args->file = args->operands[first ? 1 : 0];
	return resolve_place(args, args->operands[first ? 0 : 1]);
}

static error_t set_flag(bool *flag)
{
	*flag = true;
	return 0;
}

error_t cp_parse(int key, char *arg, struct argp_state *state)
{
	struct cp_args *args = state->input;

	switch (key) {
	case KEY_SIZE:
		return parse_positive("--size", arg, &args->size);
	case KEY_OFFSET:
		args->offset_given = true;
		return parse_number("--offset", arg, &args->offset);
	case KEY_CHUNK:
		return parse_positive("--chunk", arg, &args->chunk);
	case KEY_BOUNCE:
		return parse_bounce(arg, &args->bounce);
	case KEY_VERIFY:
		return set_flag(&args->verify);
	case KEY_NO_RETRY:
		return set_flag(&args->no_retry);
	case KEY_KEPT:
		return set_flag(&args->memory_kept);
	case KEY_TAIL:
		return set_flag(&args->allow_tail);
	case KEY_FORCE:
		return set_flag(&args->force);
	case KEY_QUIET:
		return set_flag(&args->quiet);
	case KEY_JSON:
		return set_flag(&args->json);
	case ARGP_KEY_ARG:
		return add_operand(args, arg);
	case ARGP_KEY_END:
		return resolve(args);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}
