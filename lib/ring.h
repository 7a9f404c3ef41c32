/* SPDX-License-Identifier: MIT */
/* ring.h - a queue's io_uring: requests, and the two things a queue waits for */
#ifndef VP2P_RING_H
#define VP2P_RING_H

#include <liburing.h>

#include "internal.h"

/** struct vp2p__ring - guarded by the queue's lock */
struct vp2p__ring {
	struct io_uring uring;
	unsigned int reserved;	/* entries for one request of each slot, gate and timer */
	int eventfd;		/* readable when there is something to reap */
	bool gate_watched;	/* a request waits for the device's eventfd */
	int64_t timer_at;	/* when the timer ends; INT64_MAX: none runs */
	struct __kernel_timespec when;
};

/* What a completion of the ring is about: a slot, or one of these. */
#define VP2P__RING_GATE		(UINT64_C(1) << 32)
#define VP2P__RING_TIMER	(UINT64_C(2) << 32)
#define VP2P__RING_NOTHING	(UINT64_C(3) << 32)

int vp2p__ring_init(struct vp2p__ring *ring, unsigned int depth, const char *device,
		    struct vp2p_error *err);
void vp2p__ring_exit(struct vp2p__ring *ring);

/*
 * Each of these readies one request, of which vp2p__ring_enter() tells the kernel.
 * The ring has room for one of each slot, for a watch and a timer, and for as many
 * cancellations as there are slots.
 */
void vp2p__ring_transfer(struct vp2p__ring *ring, unsigned int slot, int fd, bool out,
			 void *buffer, uint64_t length, uint64_t at);
void vp2p__ring_watch(struct vp2p__ring *ring, int gate_fd);
/* At @at_ms at the latest; INT64_MAX: never. */
void vp2p__ring_timer(struct vp2p__ring *ring, int64_t at_ms, int64_t now_ms);
void vp2p__ring_cancel(struct vp2p__ring *ring, unsigned int slot);
void vp2p__ring_enter(struct vp2p__ring *ring);

/* Takes one completion without waiting: false if there is none. */
bool vp2p__ring_take(struct vp2p__ring *ring, uint64_t *what, int *res);
/* Enters, and sleeps until there is a completion. */
void vp2p__ring_wait(struct vp2p__ring *ring);

/* Makes the eventfd readable, or not. */
void vp2p__ring_call(struct vp2p__ring *ring);
void vp2p__ring_called(struct vp2p__ring *ring);

#endif /* VP2P_RING_H */
