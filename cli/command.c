/* SPDX-License-Identifier: MIT */
/* command.c - from a row of the command table to a parsed command line */
#include "cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

enum { KEY_HELP = '?', KEY_SHORT_HELP = 'h', KEY_USAGE = 0x1000 };

/* argp's own options would end the process without a look at its output. */
static void help_and_exit(const struct argp_state *state, unsigned int what)
{
	argp_state_help(state, stdout, what & ~ARGP_HELP_EXIT_OK);
	exit(output_flush(EXIT_OK));
}

static error_t parse_common(int key, char *arg, struct argp_state *state)
{
	(void)arg;
	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = state->input;
		return 0;
	case KEY_HELP:
	case KEY_SHORT_HELP:
		help_and_exit(state, ARGP_HELP_STD_HELP);
		return 0;
	case KEY_USAGE:
		help_and_exit(state, ARGP_HELP_USAGE);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* struct parser - argp's view of a command; -h comes on top of its options. */
struct parser {
	struct argp top;
	struct argp own;
	struct argp_child children[2];
};

const struct argp_option command_common[] = {
	{ "help", KEY_HELP, NULL, 0, "Give this help list", -1 },
	{ "usage", KEY_USAGE, NULL, 0, "Give a short usage message", 0 },
	{ .key = KEY_SHORT_HELP, .flags = OPTION_HIDDEN, .name = NULL },
	{ 0 }
};

static void parser_init(struct parser *parser, const struct command *command)
{
	/* No paragraph on "mandatory or optional arguments"; users may differ. */
	setenv("ARGP_HELP_FMT", "no-dup-args-note", 0);
	*parser = (struct parser){
		/* argp loses memory over a table of no options. */
		.own = { .options = command->options->name ? command->options : NULL,
			 .parser = command->parse },
		.top = {
			.options = command_common,
			.parser = parse_common,
			.args_doc = command->usage,
			.doc = text("%s.\n\nExamples:\n%s\v%s",
				    command->summary, command->examples,
				    command->details),
		},
	};
	parser->children[0].argp = &parser->own;
	parser->top.children = parser->children;
}

/* getopt() would print an option that it does not know as it is. */
static int check_options(char **argv)
{
	for (; *argv && strcmp(*argv, "--"); argv++)
		if (**argv == '-' && strcmp(text_printable(*argv), *argv))
			return fail(EXIT_USAGE, NULL, "read an option",
				    text("'%s' has control characters", *argv),
				    "write -- before a file of such a name");
	return EXIT_OK;
}

int command_parse(const struct command *command, int argc, char **argv,
		  void *input)
{
	struct parser parser;

	if (check_options(argv + 1))
		return EXIT_USAGE;
	parser_init(&parser, command);
	argp_err_exit_status = EXIT_USAGE;
	argv[0] = text("vfio-p2p %s", command->name);
	if (argp_parse(&parser.top, argc, argv, ARGP_NO_HELP, NULL,
		       input))
		return EXIT_USAGE;
	return EXIT_OK;
}

void command_help(const struct command *command)
{
	struct parser parser;

	parser_init(&parser, command);
	argp_help(&parser.top, stdout, ARGP_HELP_STD_HELP & ~ARGP_HELP_EXIT_OK,
		  text("vfio-p2p %s", command->name));
}

const struct command *command_find(const char *name)
{
	const struct command *command;
	size_t i;

	for (i = 0; (command = command_at(i)); i++)
		if (!strcmp(command->name, name))
			return command;
	return NULL;
}
