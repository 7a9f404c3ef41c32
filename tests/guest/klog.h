/* SPDX-License-Identifier: MIT */
/* The gate on the kernel log: no splat goes by unseen. */
#ifndef KLOG_H
#define KLOG_H

#include <stdbool.h>
#include <stddef.h>

int klog_open(void);
/* A line in the log: where a test begins. */
void klog_mark(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Messages that are expected from here on: a POSIX extended regular expression.
 * False when it does not compile or there are too many.  Announced again, by
 * another case of the same program, it is the same one. */
bool klog_expect(const char *regex);
void klog_expect_nothing(void);
/* Read what is new.  The number of splats; the first one is quoted. */
int klog_check(char *first, size_t n);
/* An expected message that did not come, or NULL. */
const char *klog_missing(void);

#endif
