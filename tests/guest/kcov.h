/* SPDX-License-Identifier: MIT */
/*
 * Which branches of the driver a call went through.
 *
 * Needs a kernel with CONFIG_KCOV, where the driver alone is instrumented: each
 * place is one of its basic blocks.  Places are collected in a set that threads
 * and forked processes share; what grows it went somewhere new.
 *
 *	if (!kcov_init())
 *		h_skip_case("this kernel has no KCOV");
 *	kcov_enable();			once in each thread that is to be seen
 *	for (;;) {
 *		kcov_begin();
 *		ioctl(...);
 *		if (kcov_end())
 *			...		it was worth it: keep this input
 *	}
 *
 * Only what the thread itself does in the kernel is seen: no interrupts, no
 * kernel threads.
 */
#ifndef KCOV_H
#define KCOV_H

#include <stdbool.h>

/* Makes the set, empty; before any fork or thread.  False without KCOV. */
bool kcov_init(void);
/*
 * See this thread, until it ends.  After a fork the child calls it again.
 * 0 or -errno.
 */
int kcov_enable(void);

/* Between these two the thread is watched. */
void kcov_begin(void);
/*
 * How many transitions (this block after that one) were new to the set.  What
 * goes on after a buffer of 64 Ki blocks is not seen.
 */
unsigned int kcov_end(void);

/* All that the set holds: distinct blocks, distinct transitions. */
unsigned int kcov_blocks(void);
unsigned int kcov_edges(void);
/* Forget all; nobody may be between begin and end. */
void kcov_reset(void);
/* Every block, in no order: its address.  For a list of what was reached. */
void kcov_for_each(void (*fn)(unsigned long pc, void *arg), void *arg);

#endif
