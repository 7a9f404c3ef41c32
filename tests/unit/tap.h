/* SPDX-License-Identifier: MIT */
/*
 * tap.h - the Test Anything Protocol in a few lines
 *
 * ok() and its kin count and print one line for each check; TAP_DONE() prints the
 * plan and is main's return value. A test that dies prints no plan, which the
 * reader of the output takes as a failure.
 */
#ifndef TAP_H
#define TAP_H

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static int tap_tests, tap_failures;

__attribute__((format(printf, 2, 3)))
static inline int tap_ok(int pass, const char *format, ...)
{
	va_list ap;

	printf("%sok %d - ", pass ? "" : "not ", ++tap_tests);
	va_start(ap, format);
	vprintf(format, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
	tap_failures += !pass;
	return pass;
}

#define ok(cond, ...)	tap_ok(!!(cond), __VA_ARGS__)

static inline void is_num(long long got, long long want, const char *name)
{
	if (!ok(got == want, "%s", name))
		printf("# got %lld, want %lld\n", got, want);
}

static inline void is_str(const char *got, const char *want, const char *name)
{
	if (!ok(!strcmp(got, want), "%s", name))
		printf("# got  \"%s\"\n# want \"%s\"\n", got, want);
}

static inline void has_str(const char *got, const char *part, const char *name)
{
	if (!ok(strstr(got, part), "%s", name))
		printf("# got \"%s\"\n# without \"%s\"\n", got, part);
}

#define TAP_DONE()	(printf("1..%d\n", tap_tests), tap_failures != 0)

#endif /* TAP_H */
