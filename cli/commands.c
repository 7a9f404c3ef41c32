/* SPDX-License-Identifier: MIT */
/* commands.c - the command table, and the help made from it */
#include "cli.h"

#include <stdio.h>
#include <vfio-p2p.h>

#include "commands.h"
#include "text.h"

static int run_help(const struct command *command, int argc, char **argv);
static int run_version(const struct command *command, int argc, char **argv);

static error_t parse_nothing(int key, char *arg, struct argp_state *state)
{
	if (key != ARGP_KEY_ARG)
		return ARGP_ERR_UNKNOWN;
	fail(EXIT_USAGE, arg, "use this operand", "the command takes none",
	     text("%s --help", state->name));
	return PARSE_FAILED;
}

static error_t parse_help(int key, char *arg, struct argp_state *state)
{
	const char **topic = state->input;

	if (key != ARGP_KEY_ARG)
		return ARGP_ERR_UNKNOWN;
	if (*topic) {
		fail(EXIT_USAGE, arg, "use this operand",
		     "help explains one command at a time",
		     "vfio-p2p help COMMAND");
		return PARSE_FAILED;
	}
	*topic = arg;
	return 0;
}

static const struct argp_option no_options[] = { { 0 } };

static const struct command help_command = {
	.name = "help",
	.summary = "Explain a command, or list them all",
	.usage = "[COMMAND]",
	.examples = "  vfio-p2p help cp\n",
	.details = "",
	.options = no_options,
	.parse = parse_help,
	.run = run_help,
};

static const struct command version_command = {
	.name = "version",
	.summary = "Print the versions of the tool and of its library",
	.usage = "",
	.examples = "  vfio-p2p version\n",
	.details = "",
	.options = no_options,
	.parse = parse_nothing,
	.run = run_version,
};

/* The order of the help: as a newcomer needs them. */
static const struct command *const table[] = {
	&list_command, &bind_command, &doctor_command, &cp_command, &bench_command,
	&status_command, &trace_command, &window_command, &unbind_command, &help_command,
	&version_command,
};

#define COMMANDS (sizeof(table) / sizeof(table[0]))

const struct command *command_at(size_t index)
{
	return index < COMMANDS ? table[index] : NULL;
}

static const char introduction[] =
"Usage: vfio-p2p COMMAND [OPTION...]\n"
"\n"
"Moves data between files and the memory of a PCI device by peer-to-peer DMA:\n"
"the disk reads and writes the device's BAR, no copy in host memory.\n"
"\n"
"From nothing to a copy:\n"
"  vfio-p2p list                            which devices have memory to copy to\n"
"  vfio-p2p bind 0000:03:00.0 --window 2    take one over, with a window on BAR 2\n"
"  vfio-p2p doctor 03:00.0 --mount /data    whether it works, with a proof\n"
"  vfio-p2p cp --verify data.bin 03:00.0:2  a file into the device's memory\n"
"  vfio-p2p cp --size 64M 03:00.0:2 out.bin ... and back\n"
"  vfio-p2p bench 03:00.0:2 data.bin        what it is worth, in figures\n"
"  vfio-p2p status                          what the driver counted\n"
"  vfio-p2p trace                           what it does, as it happens\n"
"  vfio-p2p unbind 0000:03:00.0             give the device back\n"
"\n"
"Commands:\n";

static const char conclusion[] =
"\n"
"'vfio-p2p COMMAND --help' explains a command.  A device is a PCI address, with\n"
"or without its domain (0000:03:00.0, 03:00.0).  Sizes take K, M, G and T (powers\n"
"of 1024) and 0x for hexadecimal.\n"
"\n"
"Exit status:\n"
"  0  done\n"
"  1  the operation failed\n"
"  2  the command line is wrong; nothing was tried\n"
"  3  not possible with this machine, device or file\n"
"  4  in use, or a wait ran out of time\n"
"  5  --verify, bench or doctor found wrong data\n"
"  6  refused, because data or a connection in use would be lost (see --force)\n"
"  7  doctor found nothing wrong, but could not look at everything\n";

void print_overview(FILE *stream)
{
	size_t i;

	fputs(introduction, stream);
	for (i = 0; i < COMMANDS; i++)
		fprintf(stream, "  %-8s %s\n", table[i]->name,
			table[i]->summary);
	fputs(conclusion, stream);
}

int unknown_command(const char *name)
{
	const char *known = NULL;
	size_t i;

	for (i = 0; i < COMMANDS; i++)
		known = text_list(known, table[i]->name);
	return fail(EXIT_USAGE, NULL, text("run '%s'", name),
		    "there is no such command",
		    text("use one of: %s", known));
}

static int run_help(const struct command *command, int argc, char **argv)
{
	const char *topic = NULL;
	int rc = command_parse(command, argc, argv, &topic);

	if (rc)
		return rc;
	if (!topic) {
		print_overview(stdout);
		return EXIT_OK;
	}
	command = command_find(topic);
	if (!command)
		return unknown_command(topic);
	command_help(command);
	return EXIT_OK;
}

static int run_version(const struct command *command, int argc, char **argv)
{
	int rc = command_parse(command, argc, argv, NULL);

	if (!rc)
		printf("vfio-p2p %s (libvfio-p2p %s)\n", CLI_VERSION,
		       vp2p_version());
	return rc;
}
