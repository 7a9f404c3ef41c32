// SPDX-License-Identifier: MIT
/*
 * ring.c - a queue's io_uring: requests, and the two things a queue waits for
 *
 * The eventfd is registered with the ring, so that every completion makes it
 * readable.  It is drained before completions are taken, never after: one that
 * arrives in between makes it readable again.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "ring.h"

#define STEP	"create a queue"

static int fail_init(const char *device, int code, struct vp2p_error *err)
{
	if (code == ENOSYS || code == EPERM)
		return vp2p__fail(err, EOPNOTSUPP, device, STEP,
				  "this kernel has no io_uring for this process (%s)" MEND
				  "see kernel.io_uring_disabled and seccomp filters, or use "
				  "vp2p_pread()", vp2p__errno_name(code));
	return vp2p__fail(err, code, device, STEP, "no io_uring or eventfd could be made: %s"
			  MEND "raise ulimit -n or -l, or ask for less depth", strerror(code));
}

int vp2p__ring_init(struct vp2p__ring *ring, unsigned int depth, const char *device,
		    struct vp2p_error *err)
{
	int rc;

	*ring = (struct vp2p__ring){
		.eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .reserved = depth + 2,
		.timer_at = INT64_MAX,
	};
	if (ring->eventfd < 0)
		return fail_init(device, errno, err);
	rc = io_uring_queue_init(2 * depth + 2, &ring->uring, 0);
	if (rc) {
		close(ring->eventfd);
		return fail_init(device, -rc, err);
	}
	/* A child has no use for it, and its copy of the queues would be confused. */
	io_uring_ring_dontfork(&ring->uring);
	rc = io_uring_register_eventfd(&ring->uring, ring->eventfd);
	if (!rc)
		return 0;
	vp2p__ring_exit(ring);
	return fail_init(device, -rc, err);
}

void vp2p__ring_exit(struct vp2p__ring *ring)
{
	io_uring_queue_exit(&ring->uring);
	close(ring->eventfd);
}

void vp2p__ring_transfer(struct vp2p__ring *ring, unsigned int slot, int fd, bool out,
			 void *buffer, uint64_t length, uint64_t at)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);

	if (out)
		io_uring_prep_write(sqe, fd, buffer, (unsigned int)length, at);
	else
		io_uring_prep_read(sqe, fd, buffer, (unsigned int)length, at);
	io_uring_sqe_set_data64(sqe, slot);
}

void vp2p__ring_watch(struct vp2p__ring *ring, int gate_fd)
{
	struct io_uring_sqe *sqe;

	if (ring->gate_watched)
		return;
	sqe = io_uring_get_sqe(&ring->uring);
	io_uring_prep_poll_add(sqe, gate_fd, POLLIN);
	io_uring_sqe_set_data64(sqe, VP2P__RING_GATE);
	ring->gate_watched = true;
}

void vp2p__ring_timer(struct vp2p__ring *ring, int64_t at_ms, int64_t now_ms)
{
	int64_t left = at_ms > now_ms ? at_ms - now_ms : 1;
	struct io_uring_sqe *sqe;

	/* One that runs for longer stays: it ends later, and finds nothing to do. */
	if (at_ms >= ring->timer_at)
		return;
	ring->when.tv_sec = left / 1000;
	ring->when.tv_nsec = left % 1000 * 1000000;
	sqe = io_uring_get_sqe(&ring->uring);
	io_uring_prep_timeout(sqe, &ring->when, 0, 0);
	io_uring_sqe_set_data64(sqe, VP2P__RING_TIMER);
	ring->timer_at = at_ms;
}

void vp2p__ring_cancel(struct vp2p__ring *ring, unsigned int slot)
{
	struct io_uring_sqe *sqe;

	/* Not in place of what must be told: then the request runs to its end. */
	if (io_uring_sq_space_left(&ring->uring) <= ring->reserved)
		return;
	sqe = io_uring_get_sqe(&ring->uring);
	io_uring_prep_cancel64(sqe, slot, 0);
	io_uring_sqe_set_data64(sqe, VP2P__RING_NOTHING);
}

/* What cannot be told to the kernel now (no memory) stays, and is told the next time. */
void vp2p__ring_enter(struct vp2p__ring *ring)
{
	if (io_uring_sq_ready(&ring->uring))
		io_uring_submit(&ring->uring);
}

bool vp2p__ring_take(struct vp2p__ring *ring, uint64_t *what, int *res)
{
	struct io_uring_cqe *cqe;

	if (io_uring_peek_cqe(&ring->uring, &cqe))
		return false;
	*what = io_uring_cqe_get_data64(cqe);
	*res = cqe->res;
	io_uring_cqe_seen(&ring->uring, cqe);
	ring->gate_watched &= *what != VP2P__RING_GATE;
	if (*what == VP2P__RING_TIMER)
		ring->timer_at = INT64_MAX;
	return true;
}

void vp2p__ring_wait(struct vp2p__ring *ring)
{
	io_uring_submit_and_wait(&ring->uring, 1);
}

void vp2p__ring_call(struct vp2p__ring *ring)
{
	eventfd_write(ring->eventfd, 1);
}

void vp2p__ring_called(struct vp2p__ring *ring)
{
	eventfd_t count;

	eventfd_read(ring->eventfd, &count);
}
