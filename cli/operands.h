/* SPDX-License-Identifier: MIT */
/* operands.h - the PCI addresses a command is given */
#ifndef OPERANDS_H
#define OPERANDS_H

#include <argp.h>
#include <stdbool.h>

/** struct operands - normalized addresses, each once, in the order given */
struct operands {
	const char **bdf;
	unsigned int count;
};

/** operands_add() - for ARGP_KEY_ARG. Return: 0, or what parse() returns. */
error_t operands_add(struct operands *operands, const char *string,
		     const struct argp_state *state);

/** operands_missing() - says that at least one device is needed. */
error_t operands_missing(const struct argp_state *state);

bool operands_have(const struct operands *operands, const char *bdf);

#endif /* OPERANDS_H */
