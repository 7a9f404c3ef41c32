/* SPDX-License-Identifier: MIT */
/* findings.h - what doctor has found: one line a check */
#ifndef FINDINGS_H
#define FINDINGS_H

#include <stdbool.h>

#include "json.h"

/** enum verdict - of one check */
enum verdict {
	FOUND_OK,
	FOUND_WARNING,	/* works, but not as well as it could, or not tried by us */
	FOUND_FAIL,	/* peer-to-peer DMA cannot work like this */
	FOUND_UNKNOWN,	/* could not be looked at */
	VERDICTS,
};

/** struct findings - how many of each; in JSON they are kept, else printed at once */
struct findings {
	unsigned int count[VERDICTS];
	struct json_object *array;	/* NULL: print text */
};

/**
 * found() - one check is done
 * @check: its name, a word of docs/doctor.md.
 * @subject: what was looked at: an address, a disk, a path; NULL for the machine.
 * @seen: what was seen, with the values that decided.
 * @remedy: what to do; NULL where the verdict is FOUND_OK.
 */
void found(struct findings *findings, enum verdict verdict, const char *check,
	   const char *subject, const char *seen, const char *remedy);

/** verdict_name() - "ok", "warning", "FAIL", "unknown" */
const char *verdict_name(enum verdict verdict);

#endif /* FINDINGS_H */
