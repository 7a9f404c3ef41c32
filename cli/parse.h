/* SPDX-License-Identifier: MIT */
/*
 * parse.h - sizes, PCI addresses and places in a BAR, as a user writes them
 *
 * Each function returns NULL, or the rule that was broken as a phrase to follow
 * the value ("is empty"), and then leaves its output alone.
 */
#ifndef PARSE_H
#define PARSE_H

#include <stdbool.h>
#include <stdint.h>

#define BDF_SIZE 17	/* "10000000:00:00.0" */

/** struct span - part of a BAR; @length 0 means "to the end of the BAR". */
struct span {
	unsigned int bar;
	uint64_t offset;
	uint64_t length;
};

/** struct place - one side of a copy that lies in a device's memory. */
struct place {
	char bdf[BDF_SIZE];
	struct span span;
};

/**
 * parse_size() - "4096", "0x200000", "64M", "2G": bytes
 *
 * Suffixes K, M, G, T (also KiB...) are powers of 1024, in either case.
 */
const char *parse_size(const char *string, uint64_t *bytes);

/** parse_count() - "12": decimal digits, no sign and no unit; @most at most */
const char *parse_count(const char *string, unsigned int most, unsigned int *count);

/** parse_seconds() - "1", "0.5": a millisecond at least, an hour at most */
const char *parse_seconds(const char *string, double *seconds);

/** parse_bdf() - "0000:03:00.0" or "03:00.0" to the long form, lower case. */
const char *parse_bdf(const char *string, char bdf[BDF_SIZE]);

/** parse_window() - "BAR[+OFFSET[,LENGTH]]" */
const char *parse_window(const char *string, struct span *span);

/** parse_place() - "DEVICE:BAR[+OFFSET]"; the length becomes 0. */
const char *parse_place(const char *string, struct place *place);

/**
 * looks_like_place() - does @string begin with a PCI address?
 *
 * What does is a place and never a file: a file of such a name is written with
 * a directory ("./03:00.0:2").
 */
bool looks_like_place(const char *string);

#endif /* PARSE_H */
