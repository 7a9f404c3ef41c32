/* SPDX-License-Identifier: MIT */
/* commands.h - what the table says to a user who has not chosen a command yet */
#ifndef COMMANDS_H
#define COMMANDS_H

#include <stdio.h>

/** print_overview() - the help of the tool as a whole. */
void print_overview(FILE *stream);

/** unknown_command() - say that @name is none. Return: EXIT_USAGE. */
int unknown_command(const char *name);

#endif /* COMMANDS_H */
