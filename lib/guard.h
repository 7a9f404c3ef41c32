/* SPDX-License-Identifier: MIT */
/* guard.h - CPU accesses to a window that may fail */
#ifndef VP2P_GUARD_H
#define VP2P_GUARD_H

#include <stddef.h>

/* Around the life of the threads that call vp2p__guarded(); they nest. */
void vp2p__guard_begin(void);
void vp2p__guard_end(void);

/*
 * A SIGBUS sent to the calling thread (pthread_kill(3)) gets it out of
 * vp2p__guarded(), and does nothing else, from now on.
 */
void vp2p__guard_member(void);

/* access(@to, @from, @size); -EFAULT if it was broken off, else 0. */
int vp2p__guarded(void (*access)(void *to, const void *from, size_t size), void *to,
		  const void *from, size_t size);

#endif /* VP2P_GUARD_H */
