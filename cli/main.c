/* SPDX-License-Identifier: MIT */
/* main.c - dispatch to a command, and nothing else */
#include "cli.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

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

/*
 * A standard stream that was closed would become the next file that is opened, and
 * messages would end up in it.  Opened the wrong way round: using it still fails.
 */
static void fill_standard_streams(void)
{
	int fd;

	do
		fd = open("/dev/null", fcntl(STDIN_FILENO, F_GETFD) < 0 ?
				       O_WRONLY : O_RDONLY);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
}

int main(int argc, char **argv)
{
	const struct command *command;

	fill_standard_streams();
	if (argc < 2) {
		print_overview(stderr);
		return EXIT_USAGE;
	}
	command = command_find(command_alias(argv[1]));
	if (!command)
		return unknown_command(argv[1]);
	return output_flush(command->run(command, argc - 1, argv + 1));
}
