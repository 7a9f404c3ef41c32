/* SPDX-License-Identifier: MIT */
/*
 * window.h - which parts of a BAR can be a window
 *
 * The driver has the last word; these are its rules as far as they can be known
 * beforehand, so that a command can refuse before it has changed anything.
 */
#ifndef WINDOW_H
#define WINDOW_H

#include <stdint.h>

#include "device.h"

/**
 * struct window_room - the largest window a BAR has room for
 * @length: 0 if there is none.
 * @why: what limits it; NULL if it is the whole BAR.
 */
struct window_room {
	uint64_t offset;
	uint64_t length;
	const char *why;
};

struct window_room window_room(const struct device *device, unsigned int bar);

/** text_span() - "2+16M,32M", as --window takes it. */
char *text_span(const struct span *span);

/**
 * window_resolve() - check @span against the rules and fill in its length
 * @remedy: set where the function fails.
 *
 * Return: NULL, or the cause.
 */
const char *window_resolve(const struct device *device, struct span *span,
			   const char **remedy);

#endif /* WINDOW_H */
