/* SPDX-License-Identifier: MIT */
/*
 * What goes on while the device is reset: threads that read a file into the
 * window without a pause, and one that touches the window without a pause.
 */
#ifndef TRAFFIC_H
#define TRAFFIC_H

#include "display.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

enum { READERS = 4, CHUNK = 1 << 20 };

struct traffic {
	struct display *display;
	const char *path;		/* of a file of at least CHUNK bytes */
	pthread_t reader[READERS], toucher;
	atomic_bool stop;
	atomic_uint started;
	/* What read() answered. */
	atomic_ulong whole, cut, refused, other, bytes;
	/* What the toucher saw. */
	atomic_ulong touches;
	atomic_ulong longest_ns;
	bool touch_wrong;
};

void traffic_start(struct traffic *t);
void traffic_stop(struct traffic *t);
/* Where reader @i reads to: a folio of its own, far from what is on the screen. */
char *traffic_target(const struct traffic *t, unsigned int i);

#endif
