/* SPDX-License-Identifier: MIT */
/*
 * Three threads of another process that a reset may end up waiting for.
 *
 *	reader	  a direct read into a window: it has pinned a page of it, and
 *		  stops at one that userfaultfd holds (ru_hold).  To go on it
 *		  needs the mmap_lock
 *	toucher	  touches the ordinary view of the BAR for the first time.
 *		  vfio-pci-core's fault handler waits for memory_lock, with the
 *		  mmap_lock or the lock of the VMA held
 *	writer	  wants the mmap_lock for writing, and the lock of that VMA:
 *		  behind it all readers of the mmap_lock queue
 *
 * Who resets with memory_lock held and waits for the pin closes the circle.
 *
 * A process of their own, so that the test itself, which shares no mmap_lock
 * with them, can look on and act.  All threads are there from the beginning:
 * making one needs the mmap_lock as well.
 */
#ifndef PARTY_H
#define PARTY_H

#include "revoke_util.h"

enum party_member { PARTY_READER, PARTY_TOUCHER, PARTY_WRITER, PARTY_MEMBERS };

struct party_board;

struct party {
	struct ru_target *t;
	bool huge;	/* the toucher holds its VMA's lock instead of the mmap_lock */

	pid_t pid;
	struct party_board *board;	/* shared with the process */
};

/* Returns when the reader has its pin: 0 or -errno. */
int party_begin(struct party *p);
/* The toucher touches; the writer changes its address space; the reader's page comes. */
void party_go(struct party *p, enum party_member who);
/* Has it come through? */
bool party_done(struct party *p, enum party_member who, unsigned int ms);
/* Wait until it waits for a lock in the kernel. */
bool party_stuck(struct party *p, enum party_member who, unsigned int ms);
/* All of them go on, and end: false if they do not. */
bool party_end(struct party *p, unsigned int ms);

#endif
