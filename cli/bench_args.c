/* SPDX-License-Identifier: MIT */
/* bench_args.c - the command line of "bench" */
#include "bench_args.h"

#include <stdlib.h>
#include <string.h>
#include <vfio-p2p.h>

#include "cli.h"
#include "text.h"

enum {
	KEY_SIZES = 's', KEY_DEPTHS = 'd', KEY_COLUMNS = 'c', KEY_ROUNDS = 'r',
	KEY_TIME = 't', KEY_BYTES = 'b', KEY_WRITE = 'w', KEY_QUIET = 'q',
	KEY_JSON = 'j', KEY_OP = 0x100, KEY_SCRATCH, KEY_SVG,
};

#define SECTOR 512

const struct argp_option bench_options[] = {
	{ "sizes", KEY_SIZES, "LIST", 0,
	  "Bytes of a request, 4K to 16M (default 4K,64K,1M,4M,16M)", 0 },
	{ "depths", KEY_DEPTHS, "LIST", 0,
	  "Requests in flight, 1 to 64 (default 1,8,64)", 0 },
	{ "columns", KEY_COLUMNS, "LIST", 0,
	  "Of p2p, thp, ram4k, bounce, p2p4k (default all)", 0 },
	{ "op", KEY_OP, "LIST", 0,
	  "read, write or both (default read, and write if --write or --scratch "
	  "says where to)", 0 },
	{ "write", KEY_WRITE, NULL, 0,
	  "Write to a new file without a name in the directory of each TARGET; it "
	  "is gone at the end", 0 },
	{ "scratch", KEY_SCRATCH, "PATH", 0,
	  "Write to this file or partition: WHAT IT HOLDS IS LOST", 0 },
	{ "rounds", KEY_ROUNDS, "N", 0,
	  "Measure each cell N times, 1 to 100 (default 5)", 0 },
	{ "time", KEY_TIME, "SECONDS", 0,
	  "... for so long each time, 0.001 to 3600 (default 1)", 0 },
	{ "bytes", KEY_BYTES, "N", 0,
	  "... or for N bytes: the same work in each column", 0 },
	{ "svg", KEY_SVG, "FILE", 0, "Draw the figures; needs gnuplot", 0 },
	{ "quiet", KEY_QUIET, NULL, 0, "No notes while it runs", 0 },
	{ "json", KEY_JSON, NULL, 0, "Print the report as JSON", 0 },
	{ 0 }
};

static error_t wrong(const char *option, const char *string, const char *rule,
		     const char *remedy)
{
	fail(EXIT_USAGE, NULL, text("read %s", option),
	     text("'%s' %s", string, rule), remedy);
	return PARSE_FAILED;
}

/* Return: false if it is no number from 1 to @most. */
static bool whole_number(const char *string, unsigned int most,
			 unsigned int *number)
{
	return !parse_count(string, most, number) && *number;
}

static error_t add_size(struct bench_args *args, const char *word)
{
	static const char remedy[] =
		"sizes are multiples of 512 from 4K to 16M, as in 4K,64K,1M";
	const char *rule;
	uint64_t size;

	rule = parse_size(word, &size);
	if (!rule && size % SECTOR)
		rule = "is not a multiple of 512, which direct I/O needs";
	if (!rule && (size < BENCH_LEAST || size > BENCH_MOST))
		rule = "is not from 4K to 16M";
	if (!rule && args->size_count == BENCH_LIST)
		rule = text("is one size too many, %d is the limit", BENCH_LIST);
	if (rule)
		return wrong("--sizes", word, rule, remedy);
	args->sizes[args->size_count++] = size;
	return 0;
}

static error_t add_depth(struct bench_args *args, const char *word)
{
	static const char remedy[] = "depths are from 1 to 64, as in 1,8,64";
	unsigned int depth;

	if (!whole_number(word, BENCH_DEPTH, &depth))
		return wrong("--depths", word, "is no number from 1 to 64",
			     remedy);
	if (args->depth_count == BENCH_LIST)
		return wrong("--depths", word,
			     text("is one depth too many, %d is the limit",
				  BENCH_LIST), remedy);
	args->depths[args->depth_count++] = depth;
	return 0;
}

static error_t add_column(struct bench_args *args, const char *word)
{
	enum bench_column column;

	for (column = 0; column < BENCH_COLUMNS; column++)
		if (!strcmp(word, bench_column_name(column)))
			break;
	if (column == BENCH_COLUMNS)
		return wrong("--columns", word, "is no column",
			     "choose from p2p,thp,ram4k,bounce,p2p4k");
	args->columns[column] = true;
	return 0;
}

static error_t add_op(struct bench_args *args, const char *word)
{
	if (!strcmp(word, "read"))
		args->read = true;
	else if (!strcmp(word, "write"))
		args->write = true;
	else
		return wrong("--op", word, "is neither read nor write",
			     "--op read, --op write or --op read,write");
	args->op_given = true;
	return 0;
}

static error_t parse_list(struct bench_args *args, const char *list,
			  error_t (*add)(struct bench_args *, const char *))
{
	char *rest = text("%s", list);
	error_t error = 0;
	char *word;

	while (!error && (word = strsep(&rest, ",")))
		error = add(args, word);
	return error;
}

static error_t parse_rounds(struct bench_args *args, const char *string)
{
	if (whole_number(string, BENCH_ROUNDS, &args->rounds))
		return 0;
	return wrong("--rounds", string, "is no number from 1 to 100",
		     "leave the option away for 5 rounds");
}

static error_t parse_time(struct bench_args *args, const char *string)
{
	const char *rule = parse_seconds(string, &args->seconds);

	args->time_given = true;
	return rule ? wrong("--time", string, rule, "write it as in 1 or 0.5") : 0;
}

static error_t parse_bytes(struct bench_args *args, const char *string)
{
	const char *rule = parse_size(string, &args->bytes);

	if (!rule && !args->bytes)
		rule = "is no amount of work";
	return rule ? wrong("--bytes", string, rule, "write it as in 64M") : 0;
}

static error_t add_place(struct bench_args *args, const char *string)
{
	static const char remedy[] =
		"write DEVICE:BAR[+OFFSET], as in 0000:03:00.0:2";
	const char *rule = parse_place(string, &args->place);

	if (!rule && args->place.span.offset % VP2P_GRANULE)
		rule = "has an offset that is not a multiple of 2M";
	if (!rule && args->place_given)
		rule = "is one device too many";
	if (rule)
		return wrong("the place in the device", string, rule, remedy);
	args->place_given = true;
	return 0;
}

static error_t add_target(struct bench_args *args, const char *path,
			  const struct argp_state *state)
{
	unsigned int i;

	for (i = 0; i < args->target_count; i++)
		if (!strcmp(args->targets[i], path))
			return wrong("the targets", path, "is given twice",
				     "name each file or block device once");
	if (!args->targets)
		args->targets = keep((size_t)state->argc *
				     sizeof(*args->targets));
	args->targets[args->target_count++] = path;
	return 0;
}

static error_t add_operand(struct bench_args *args, const char *operand,
			   const struct argp_state *state)
{
	if (!*operand)
		return wrong("an operand", operand, "is empty",
			     "name files or block devices");
	if (looks_like_place(operand))
		return add_place(args, operand);
	return add_target(args, operand, state);
}

static error_t contradiction(const char *cause, const char *remedy)
{
	fail(EXIT_USAGE, NULL, "begin", cause, remedy);
	return PARSE_FAILED;
}

static error_t check_ops(struct bench_args *args)
{
	bool somewhere = args->create || args->scratch;

	if (!args->op_given) {
		args->read = args->target_count || !args->scratch;
		args->write = somewhere;
	}
	if (args->write && !somewhere)
		return contradiction("--op write does not say what may be "
				     "written to",
				     "--write makes a file beside each TARGET; "
				     "--scratch PATH overwrites PATH");
	if (!args->write && somewhere)
		return contradiction("--op read writes nothing",
				     "leave --write and --scratch away, or use "
				     "--op read,write");
	if (args->create && args->scratch)
		return contradiction("--write and --scratch are both given",
				     "give one of them");
	if (!args->target_count && (args->read || args->create))
		return contradiction("no TARGET is given",
				     "name a file or block device on the disk "
				     "that is to be measured");
	return 0;
}

static int compare_sizes(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static int compare_depths(const void *a, const void *b)
{
	unsigned int x = *(const unsigned int *)a;
	unsigned int y = *(const unsigned int *)b;

	return (x > y) - (x < y);
}

/* In order and each once: the report and the plot count on it. */
static void sort_lists(struct bench_args *args)
{
	unsigned int i, kept = 1;

	qsort(args->sizes, args->size_count, sizeof(*args->sizes),
	      compare_sizes);
	for (i = 1; i < args->size_count; i++)
		if (args->sizes[i] != args->sizes[kept - 1])
			args->sizes[kept++] = args->sizes[i];
	args->size_count = kept;
	qsort(args->depths, args->depth_count, sizeof(*args->depths),
	      compare_depths);
	for (i = kept = 1; i < args->depth_count; i++)
		if (args->depths[i] != args->depths[kept - 1])
			args->depths[kept++] = args->depths[i];
	args->depth_count = kept;
}

static void set_defaults(struct bench_args *args)
{
	bool any = false;
	unsigned int i;

	if (!args->size_count)
		parse_list(args, "4K,64K,1M,4M,16M", add_size);
	if (!args->depth_count)
		parse_list(args, "1,8,64", add_depth);
	for (i = 0; i < BENCH_COLUMNS; i++)
		any |= args->columns[i];
	for (i = 0; i < BENCH_COLUMNS && !any; i++)
		args->columns[i] = true;
	if (!args->rounds)
		args->rounds = 5;
	if (!args->time_given && !args->bytes)
		args->seconds = 1;
}

static error_t resolve(struct bench_args *args)
{
	if (!args->place_given)
		return contradiction("no device is given",
				     "vfio-p2p bench DEVICE:BAR TARGET...");
	if (args->time_given && args->bytes)
		return contradiction("--time and --bytes contradict each other",
				     "give one of them");
	set_defaults(args);
	sort_lists(args);
	return check_ops(args);
}

static error_t set_flag(bool *flag)
{
	*flag = true;
	return 0;
}

error_t bench_parse(int key, char *arg, struct argp_state *state)
{
	struct bench_args *args = state->input;

	switch (key) {
	case KEY_SIZES:
		return parse_list(args, arg, add_size);
	case KEY_DEPTHS:
		return parse_list(args, arg, add_depth);
	case KEY_COLUMNS:
		return parse_list(args, arg, add_column);
	case KEY_OP:
		return parse_list(args, arg, add_op);
	case KEY_WRITE:
		return set_flag(&args->create);
	case KEY_SCRATCH:
		args->scratch = arg;
		return 0;
	case KEY_ROUNDS:
		return parse_rounds(args, arg);
	case KEY_TIME:
		return parse_time(args, arg);
	case KEY_BYTES:
		return parse_bytes(args, arg);
	case KEY_SVG:
		args->svg = arg;
		return 0;
	case KEY_QUIET:
		return set_flag(&args->quiet);
	case KEY_JSON:
		return set_flag(&args->json);
	case ARGP_KEY_ARG:
		return add_operand(args, arg, state);
	case ARGP_KEY_END:
		return resolve(args);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}
