/* SPDX-License-Identifier: MIT */
/* fail.c - the one way the tool says that something failed */
#include "cli.h"

#include <stdarg.h>
#include <stdio.h>

#include "text.h"

static struct failure last;

/* The caller's string may be a buffer. */
static const char *copy(const char *string)
{
	return string && *string ? text("%s", string) : NULL;
}

int fail_for(int error, enum exit_code code, const char *device,
	     const char *step, const char *cause, const char *remedy)
{
	last = (struct failure){
		.code = code,
		.error = error,
		.device = copy(device),
		.step = copy(step),
		.cause = copy(cause),
		.remedy = copy(remedy),
	};
	fflush(stdout);
	note("vfio-p2p: %s%scould not %s: %s", last.device ? last.device : "",
	     last.device ? ": " : "", step, cause);
	if (last.remedy)
		note("  remedy: %s", last.remedy);
	return code;
}

int fail(enum exit_code code, const char *device, const char *step,
	 const char *cause, const char *remedy)
{
	return fail_for(0, code, device, step, cause, remedy);
}

const struct failure *last_failure(void)
{
	return last.code ? &last : NULL;
}

void note(const char *format, ...)
{
	va_list args;
	char *line;

	va_start(args, format);
	line = text_v(format, args);
	va_end(args);
	fprintf(stderr, "%s\n", text_printable(line));
}

int output_flush(int rc)
{
	if (!fflush(stdout) && !ferror(stdout))
		return rc;
	return fail(rc ? rc : EXIT_FAILED, NULL, "write the output",
		    "standard output does not take it", NULL);
}
