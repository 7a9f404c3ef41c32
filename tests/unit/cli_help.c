// SPDX-License-Identifier: MIT
/*
 * cli_help.c - the command table and the help made from it
 *
 * Theory of operation: the help of each command is printed into a pipe and searched
 * for everything that the table has for it: so an option that is added without a
 * description, or lost on its way into the help, is noticed.
 */
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli.h"
#include "tap.h"

static char help[16384];

static void capture(const struct command *command)
{
	size_t used = 0;
	ssize_t got;
	int ends[2];
	pid_t pid;

	if (pipe(ends))
		return;
	fflush(stdout);
	pid = fork();
	if (!pid) {
		dup2(ends[1], STDOUT_FILENO);
		command_help(command);
		fflush(stdout);
		_exit(0);
	}
	close(ends[1]);
	while ((got = read(ends[0], help + used, sizeof(help) - 1 - used)) > 0)
		used += (size_t)got;
	help[used] = '\0';
	close(ends[0]);
	waitpid(pid, NULL, 0);
}

static size_t longest_line(const char *text)
{
	size_t longest = 0, length;

	for (; *text; text += length + (text[length] == '\n')) {
		length = strcspn(text, "\n");
		if (length > longest)
			longest = length;
	}
	return longest;
}

static void check_options(const struct command *command)
{
	const struct argp_option *option;
	char name[64];

	for (option = command->options; option->name; option++) {
		bool optional = option->flags & OPTION_ARG_OPTIONAL;

		snprintf(name, sizeof(name), "--%s%s%s%s%s", option->name,
			 optional ? "[" : "", option->arg ? "=" : "",
			 option->arg ? option->arg : "", optional ? "]" : "");
		ok(strstr(help, name), "%s: the help has %s", command->name, name);
		ok(option->doc && *option->doc, "%s: --%s is described",
		   command->name, option->name);
	}
}

static void check_command(const struct command *command)
{
	capture(command);
	ok(strstr(help, command->summary), "%s: the help has the summary",
	   command->name);
	ok(strstr(help, command->examples), "%s: and the examples", command->name);
	ok(strstr(command->examples, "vfio-p2p "), "%s: which are whole commands",
	   command->name);
	ok(strlen(command->summary) <= 66, "%s: the summary fits a line",
	   command->name);
	ok(longest_line(help) <= 80, "%s: no line is longer than 80", command->name);
	ok(command_find(command->name) == command, "%s: is found", command->name);
	check_options(command);
}

int main(void)
{
	size_t i;

	for (i = 0; command_at(i); i++)
		check_command(command_at(i));
	ok(i >= 8, "the table has its commands");
	ok(!command_find(""), "the empty name is no command");
	return TAP_DONE();
}
