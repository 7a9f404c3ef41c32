/* SPDX-License-Identifier: MIT */
/* status.h - a device's attributes, as "status" and its watch read them */
#ifndef STATUS_H
#define STATUS_H

#include <stdbool.h>
#include <stdint.h>

#include "operands.h"

/** status_text() - of p2p_vfio/@name; "?" if it cannot be read. */
const char *status_text(const char *bdf, const char *name);

/** status_number() - Return: false if the attribute is missing or no number. */
bool status_number(const char *bdf, const char *name, uint64_t *value);

/**
 * status_next_revoke() - read "cause count" at @at, in the attribute "revokes"
 *
 * Return: the next line; NULL, and nothing read, after the last one.
 */
const char *status_next_revoke(const char *at, char cause[32], uint64_t *count);

/** status_all() - every device bound to the driver. */
void status_all(struct operands *operands);

/** status_has() - does the driver show attributes of this device? */
bool status_has(const char *bdf);

/** struct status_watch - what is looked at again and again */
struct status_watch {
	const struct operands *given;	/* none: whatever is bound */
	double seconds;			/* between two looks */
	bool json;
	void (*print)(const struct operands *devices);
};

/**
 * status_watch() - print the status until a signal comes
 *
 * What has changed between two looks, a device that came or went among it, is told
 * below the status; not in JSON, where the reader has both looks.
 *
 * Return: an exit code.
 */
int status_watch(const struct status_watch *watch);

#endif /* STATUS_H */
