/* SPDX-License-Identifier: MIT */
/* Moments from several sources, told in the order in which they happened. */
#ifndef TIMELINE_H
#define TIMELINE_H

#include "story.h"

struct moment {
	uint64_t ns;		/* CLOCK_MONOTONIC */
	char what[24];
	char text[96];
};

struct timeline {
	struct moment moment[64];
	unsigned int n;
};

void timeline_add(struct timeline *t, uint64_t ns, const char *what, const char *fmt, ...) PRINTF(4, 5);
/* Times count from the first moment. */
void timeline_tell(struct timeline *t);

#endif
