/* SPDX-License-Identifier: MIT */
/* fail.c - the one way the tool says that something failed */
#include "cli.h"

#include <stdarg.h>
#include <stdio.h>

int fail(enum exit_code code, const char *device, const char *step,
	 const char *cause, const char *remedy)
{
	fflush(stdout);
	if (device)
		fprintf(stderr, "vfio-p2p: %s: could not %s: %s\n", device, step, cause);
	else
		fprintf(stderr, "vfio-p2p: could not %s: %s\n", step, cause);
	if (remedy && *remedy)
		fprintf(stderr, "  remedy: %s\n", remedy);
	return code;
}

void note(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}
