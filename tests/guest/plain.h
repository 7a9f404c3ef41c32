/* SPDX-License-Identifier: MIT */
/*
 * The parts of t_plain: each makes calls on the open device and writes down what
 * comes of them.
 */
#ifndef PLAIN_H
#define PLAIN_H

#include "dev.h"
#include "harness.h"

#include <errno.h>
#include <setjmp.h>
#include <string.h>

extern struct dev d;

/* Writing down */
void say(const char *fmt, ...) H_PRINTF(1, 2);
void hex(const void *data, size_t n);

#define TELL(ret, ...) \
	do { \
		errno = 0; \
		long told = (long)(ret); \
		int err = errno; \
		say(__VA_ARGS__); \
		say(": %ld %s\n", told, told < 0 ? strerrorname_np(err) : ""); \
	} while (0)

/* The signal that a read of the byte raises, or 0. */
int touch_raises(volatile char *at);

/* plain_ask.c: information, features, calls that make no sense */
void information(void);
void features(void);
void low_power(void);
void dma_bufs(void);
void unknown_ioctls(void);
void file_calls(void);
void other_fds(void);

/* plain_touch.c: mappings, regions, config space */
void mappings(void);
void uses_of_mapping(void);
void regions(void);
void dump_config(const char *when);
void config_writes(void);

#endif
