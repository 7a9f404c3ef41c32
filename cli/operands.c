/* SPDX-License-Identifier: MIT */
/* operands.c - the PCI addresses a command is given */
#include "operands.h"

#include <string.h>

#include "cli.h"
#include "parse.h"
#include "text.h"

bool operands_have(const struct operands *operands, const char *bdf)
{
	unsigned int i;

	for (i = 0; i < operands->count; i++)
		if (!strcmp(operands->bdf[i], bdf))
			return true;
	return false;
}

error_t operands_add(struct operands *operands, const char *string,
		     const struct argp_state *state)
{
	char bdf[BDF_SIZE];
	const char *wrong = parse_bdf(string, bdf);

	if (wrong) {
		fail(EXIT_USAGE, NULL, "read the device's address",
		     text("'%s' %s", string, wrong),
		     "vfio-p2p list --all shows the addresses");
		return PARSE_FAILED;
	}
	if (!operands->bdf)
		operands->bdf = keep(state->argc * sizeof(*operands->bdf));
	if (!operands_have(operands, bdf))
		operands->bdf[operands->count++] = text("%s", bdf);
	return 0;
}

error_t operands_missing(const struct argp_state *state)
{
	fail(EXIT_USAGE, NULL, "begin", "no device is given",
	     text("name one by its PCI address (vfio-p2p list shows them): "
		  "%s 0000:03:00.0", state->name));
	return PARSE_FAILED;
}
