/* SPDX-License-Identifier: MIT */
/* findings.c - what doctor has found: one line a check */
#include "findings.h"

#include <stdio.h>

#include "text.h"

const char *verdict_name(enum verdict verdict)
{
	static const char *const names[VERDICTS] = {
		[FOUND_OK] = "ok",
		[FOUND_WARNING] = "warning",
		[FOUND_FAIL] = "FAIL",
		[FOUND_UNKNOWN] = "unknown",
	};

	return names[verdict];
}

static void append(struct json_object *array, enum verdict verdict,
		   const char *check, const char *subject, const char *seen,
		   const char *remedy)
{
	struct json_object *object = json_append_object(array);

	json_add_string(object, "check", check);
	json_add_string(object, "subject", subject);
	json_add_string(object, "verdict", verdict_name(verdict));
	json_add_string(object, "seen", seen);
	json_add_string(object, "remedy", remedy);
}

/* At once: what is done next may take its time, or the machine with it. */
static void print(enum verdict verdict, const char *check, const char *subject,
		  const char *seen, const char *remedy)
{
	const char *line = text("%-8s %-12s %s%s%s%s%s", verdict_name(verdict),
				check, subject ? subject : "",
				subject ? ": " : "", seen,
				remedy ? "; remedy: " : "",
				remedy ? remedy : "");

	puts(text_printable(line));
	fflush(stdout);
}

void found(struct findings *findings, enum verdict verdict, const char *check,
	   const char *subject, const char *seen, const char *remedy)
{
	findings->count[verdict]++;
	if (findings->array)
		append(findings->array, verdict, check, subject, seen, remedy);
	else
		print(verdict, check, subject, seen, remedy);
}
