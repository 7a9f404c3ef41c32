/* SPDX-License-Identifier: MIT */
/* main.c - dispatch to a command, and nothing else */
#include "cli.h"

#include <stdio.h>
#include <string.h>

#include "commands.h"

/* The names every tool answers to besides its commands. */
static const char *command_alias(const char *name)
{
	if (!strcmp(name, "--help") || !strcmp(name, "-h") ||
	    !strcmp(name, "-?"))
		return "help";
	if (!strcmp(name, "--version") || !strcmp(name, "-V"))
		return "version";
	return name;
}

/* A full disk or a closed pipe must not look like success. */
static int flush_output(int rc)
{
	if (!fflush(stdout) && !ferror(stdout))
		return rc;
	return fail(rc ? rc : EXIT_FAILED, NULL, "write the output",
		    "standard output does not take it", NULL);
}

int main(int argc, char **argv)
{
	const struct command *command;

	if (argc < 2) {
		print_overview(stderr);
		return EXIT_USAGE;
	}
	command = command_find(command_alias(argv[1]));
	if (!command)
		return unknown_command(argv[1]);
	return flush_output(command->run(command, argc - 1, argv + 1));
}
