/* SPDX-License-Identifier: MIT */
/*
 * Failures on demand: the kernel's fault injection, at the nth chance of this
 * thread's next system call (or page fault).
 *
 *	for (unsigned int n = 1;; n++) {
 *		fault_arm(n);
 *		ret = ioctl(...);
 *		if (!fault_disarm())
 *			break;		the call has fewer than n chances to fail
 *	}
 *
 * Needs a kernel with CONFIG_FAULT_INJECTION and its parts: the debug kernel.
 */
#ifndef FAULTS_H
#define FAULTS_H

#include <stdbool.h>

enum fault_kind {
	FAULT_SLAB,	/* kmalloc() and its like */
	FAULT_PAGE,	/* pages: page tables, vmalloc(), slabs that grow */
	FAULT_COPY,	/* copies from and to user memory */
	FAULT_KINDS
};

extern const char *const fault_names[FAULT_KINDS];	/* "slab", "page", "copy" */

/*
 * From here on failures of this kind are possible, and of no other; of all
 * allocations, those that may wait among them.  None below a kernel function of
 * that name (NULL: everywhere).  False if this kernel cannot do that.
 */
bool fault_choose(enum fault_kind kind, const char *spared);

/* Of the kind that has been chosen, only what happens below code of this module. */
bool fault_only_below(enum fault_kind kind, const char *module);

/* All chances of all threads fail, n at most, until fault_rest().  False as above. */
bool fault_all(enum fault_kind kind, unsigned int n);
/* No more.  How many have failed?  Negative: it cannot be told. */
long fault_rest(enum fault_kind kind, unsigned int n);

/* The nth chance of this thread fails, counted from here. */
void fault_arm(unsigned int n);
/* No more.  Was there an nth chance? */
bool fault_disarm(void);

#endif
