// SPDX-License-Identifier: MIT
/*
 * queue.c - many transfers at a time, and the events that move them on
 *
 * A slot is free, or holds a transfer that is
 *
 *	READY	to be requested, with a look at a live device taken before
 *	FLYING	with the kernel
 *	LANDED	back, and to be judged by a look taken after
 *	PARKED	until the device is live again, or its time is over
 *	DONE	to be reaped, in the order of their ends
 *
 * Everything happens under one lock in the caller's thread; the lock is never held
 * across a wait.  While something is parked the ring itself watches the device's
 * eventfd and runs a timer, so that the queue's eventfd tells of those as well.
 *
 * The device's eventfd is drained before the look, never after: a gate that opens
 * after the look makes it readable, and the watch ends.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

#include "ring.h"
#include "transfer.h"

#define STEP	"use a queue"

enum phase { FREE, READY, FLYING, LANDED, PARKED, DONE };

struct slot {
	enum phase phase;
	uint64_t tag;
	int64_t res;		/* the kernel's answer to the last request */
	int64_t deadline_ms;	/* of being parked; INT64_MAX: none */
	struct vp2p__transfer t;
	int64_t result;
	struct vp2p_error err;
};

struct vp2p_queue {
	pthread_mutex_t lock;	/* guards all that follows */
	struct vp2p_device *dev;
	struct vp2p__ring ring;
	int gate_fd;		/* the device's events */
	unsigned int depth;
	unsigned int count[DONE + 1];	/* slots by phase */
	unsigned int next;	/* slot to look at first for a free one */
	unsigned int done_first;	/* of done[] */
	unsigned int *done;	/* slots to be reaped, a circle */
	struct slot *slots;
};

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* ------------------------------------------------------------------ slots --- */

static void set_phase(struct vp2p_queue *q, struct slot *s, enum phase phase)
{
	q->count[s->phase]--;
	q->count[phase]++;
	s->phase = phase;
}

static void finish(struct vp2p_queue *q, struct slot *s, int result)
{
	s->result = vp2p__transfer_end(&s->t, result);
	q->done[(q->done_first + q->count[DONE]) % q->depth] = (unsigned int)(s - q->slots);
	set_phase(q, s, DONE);
}

static void park(struct vp2p_queue *q, struct slot *s)
{
	int32_t timeout = s->t.io->live_timeout_ms;

	if (s->phase != PARKED)
		s->deadline_ms = timeout < 0 ? INT64_MAX : now_ms() + timeout;
	set_phase(q, s, PARKED);
}

static void follow(struct vp2p_queue *q, struct slot *s, enum vp2p__next next, int result)
{
	switch (next) {
	case VP2P__SUBMIT:
		set_phase(q, s, READY);
		break;
	case VP2P__PARK:
		park(q, s);
		break;
	case VP2P__END:
		finish(q, s, result);
		break;
	}
}

/* A parked one whose time is over. */
static bool expire(struct vp2p_queue *q, struct slot *s, int64_t now)
{
	if (now < s->deadline_ms)
		return false;
	finish(q, s, vp2p__fail(&s->err, ETIMEDOUT, q->dev->name, "transfer",
				"it did not become live again within %d ms" MEND
				"find what resets it, or the I/O that does not end; or allow "
				"more time (vp2p_io_open())", s->t.io->live_timeout_ms));
	return true;
}

/* ----------------------------------------------------------- moving on --- */

static void decide(struct vp2p_queue *q, struct slot *s, const struct vp2p_state *look,
		   int64_t now)
{
	int result;
	enum vp2p__next next;

	if (s->phase == LANDED) {
		next = vp2p__transfer_landed(&s->t, s->res, look, &result, &s->err);
	} else {
		if (s->phase == PARKED && look->state != VP2P_STATE_LIVE &&
		    expire(q, s, now))
			return;
		next = vp2p__transfer_resume(&s->t, look, &result, &s->err);
	}
	follow(q, s, next, result);
}

static void request(struct vp2p_queue *q, struct slot *s)
{
	uint64_t length;
	void *buffer = vp2p__transfer_buffer(&s->t, &length);

	vp2p__ring_transfer(&q->ring, (unsigned int)(s - q->slots),
			    vp2p__transfer_fd(&s->t), s->t.out, buffer, length,
			    s->t.file_offset + s->t.pos);
	set_phase(q, s, FLYING);
}

/* Takes the kernel's answers, without waiting. */
static void land(struct vp2p_queue *q)
{
	eventfd_t events;
	uint64_t what;
	int res;

	vp2p__ring_called(&q->ring);
	while (vp2p__ring_take(&q->ring, &what, &res)) {
		if (what == VP2P__RING_GATE)
			eventfd_read(q->gate_fd, &events);
		if (what >= VP2P__RING_GATE)
			continue;
		q->slots[what].res = res;
		set_phase(q, &q->slots[what], LANDED);
	}
}

static bool undecided(const struct slot *s)
{
	return s->phase == LANDED || s->phase == PARKED || s->phase == READY;
}

/* One look decides all: it is after all that has landed, before all that will fly. */
static void decide_all(struct vp2p_queue *q)
{
	struct vp2p_state look;
	struct vp2p_error err;
	int64_t now = now_ms();
	int rc = vp2p_get_state(q->dev, &look, &err);

	for (unsigned int i = 0; i < q->depth; i++) {
		struct slot *s = &q->slots[i];

		if (!undecided(s))
			continue;
		if (rc) {
			s->err = err;
			finish(q, s, rc);
			continue;
		}
		decide(q, s, &look, now);
		if (s->phase == READY)
			request(q, s);
	}
}

/* The earliest deadline of those that are parked. */
static void wait_for_gate(struct vp2p_queue *q)
{
	int64_t first = INT64_MAX;

	for (unsigned int i = 0; i < q->depth; i++)
		if (q->slots[i].phase == PARKED && q->slots[i].deadline_ms < first)
			first = q->slots[i].deadline_ms;
	vp2p__ring_watch(&q->ring, q->gate_fd);
	vp2p__ring_timer(&q->ring, first, now_ms());
}

static void move_on(struct vp2p_queue *q)
{
	land(q);
	if (q->count[LANDED] || q->count[PARKED] || q->count[READY])
		decide_all(q);
	if (q->count[PARKED])
		wait_for_gate(q);
	vp2p__ring_enter(&q->ring);
}

/* The eventfd is readable while there is something to reap that it does not know of. */
static void announce(struct vp2p_queue *q)
{
	if (q->count[DONE])
		vp2p__ring_call(&q->ring);
}

/* ---------------------------------------------------------- begin and end --- */

static int fail_memory(const struct vp2p_device *dev, struct vp2p_error *err)
{
	return vp2p__fail(err, ENOMEM, dev->name, STEP, "no memory" MEND
			  "free some, or ask for less depth");
}

static void queue_free(struct vp2p_queue *q)
{
	free(q->slots);
	free(q->done);
	free(q);
}

static struct vp2p_queue *queue_alloc(struct vp2p_device *dev, unsigned int depth)
{
	struct vp2p_queue *q = calloc(1, sizeof(*q));

	if (!q)
		return NULL;
	q->dev = dev;
	q->depth = depth;
	q->count[FREE] = depth;
	q->slots = calloc(depth, sizeof(*q->slots));
	q->done = calloc(depth, sizeof(*q->done));
	if (q->slots && q->done)
		return q;
	queue_free(q);
	return NULL;
}

int vp2p_queue_create(struct vp2p_device *dev, unsigned int depth,
		      struct vp2p_queue **queue, struct vp2p_error *err)
{
	struct vp2p_queue *q;
	int rc;

	if (!depth || depth > VP2P_MAX_DEPTH)
		return vp2p__fail(err, EINVAL, dev->name, STEP,
				  "a depth of %u makes no sense" MEND "give 1 to %d", depth,
				  VP2P_MAX_DEPTH);
	q = queue_alloc(dev, depth);
	if (!q)
		return fail_memory(dev, err);
	rc = vp2p__ring_init(&q->ring, depth, dev->name, err);
	if (rc) {
		queue_free(q);
		return rc;
	}
	rc = vp2p_eventfd(dev, &q->gate_fd, err);
	if (rc) {
		vp2p__ring_exit(&q->ring);
		queue_free(q);
		return rc;
	}
	pthread_mutex_init(&q->lock, NULL);
	*queue = q;
	return 0;
}

/* True if @s is under way and may be given up; asks the kernel if it has it. */
static bool cancel(struct vp2p_queue *q, struct slot *s)
{
	if (s->phase != FLYING && s->phase != PARKED)
		return false;
	if (s->phase == FLYING && !s->t.cancelled)
		vp2p__ring_cancel(&q->ring, (unsigned int)(s - q->slots));
	s->t.cancelled = true;
	return true;
}

void vp2p_queue_destroy(struct vp2p_queue *q)
{
	if (!q)
		return;
	pthread_mutex_lock(&q->lock);
	for (unsigned int i = 0; i < q->depth; i++)
		cancel(q, &q->slots[i]);
	for (;;) {
		move_on(q);
		if (!q->count[FLYING])
			break;
		vp2p__ring_wait(&q->ring);
	}
	vp2p__ring_exit(&q->ring);
	pthread_mutex_unlock(&q->lock);
	vp2p_eventfd_remove(q->dev, q->gate_fd, NULL);
	pthread_mutex_destroy(&q->lock);
	queue_free(q);
}

/* ---------------------------------------------------------------- submit --- */

static struct slot *find_free(struct vp2p_queue *q)
{
	if (!q->count[FREE])
		return NULL;
	while (q->slots[q->next].phase != FREE)
		q->next = (q->next + 1) % q->depth;
	return &q->slots[q->next];
}

static int submit_one(struct vp2p_queue *q, const struct vp2p_transfer *what,
		      struct vp2p_error *err)
{
	struct slot *s = find_free(q);
	int rc;

	if (!what->io || what->io->window->dev != q->dev)
		return vp2p__fail(err, EINVAL, q->dev->name, STEP,
				  "the transfer has no file and window, or a window of another "
				  "device" MEND "give one of vp2p_io_open() on this device, and "
				  "each device a queue");
	if (!s)
		return vp2p__fail(err, EAGAIN, q->dev->name, STEP,
				  "it holds %u transfers, as many as it may" MEND
				  "call vp2p_queue_reap() first, or create it deeper", q->depth);
	rc = vp2p__transfer_init(&s->t, what->io, what, err);
	if (rc)
		return rc;
	s->tag = what->tag;
	memset(&s->err, 0, sizeof(s->err));
	set_phase(q, s, READY);
	return 0;
}

int vp2p_queue_submit(struct vp2p_queue *q, const struct vp2p_transfer *transfers,
		      unsigned int count, struct vp2p_error *err)
{
	unsigned int taken = 0;
	int rc = 0;

	pthread_mutex_lock(&q->lock);
	while (taken < count && taken < INT_MAX) {
		/* Only the first one's error is told: the others are not this call's. */
		rc = submit_one(q, &transfers[taken], taken ? NULL : err);
		if (rc)
			break;
		taken++;
	}
	if (taken)
		move_on(q);
	announce(q);
	pthread_mutex_unlock(&q->lock);
	return taken ? (int)taken : rc;
}

/* ------------------------------------------------------------------ reap --- */

static void reap_one(struct vp2p_queue *q, struct vp2p_completion *done)
{
	struct slot *s = &q->slots[q->done[q->done_first]];

	*done = (struct vp2p_completion){
		.tag = s->tag, .result = s->result, .report = s->t.report,
	};
	if (s->result < 0)
		done->err = s->err;
	q->done_first = (q->done_first + 1) % q->depth;
	set_phase(q, s, FREE);
}

static unsigned int reap(struct vp2p_queue *q, struct vp2p_completion *done,
			 unsigned int max)
{
	unsigned int n = 0;

	pthread_mutex_lock(&q->lock);
	move_on(q);
	while (n < max && q->count[DONE])
		reap_one(q, &done[n++]);
	announce(q);
	pthread_mutex_unlock(&q->lock);
	return n;
}

int vp2p_queue_reap(struct vp2p_queue *q, struct vp2p_completion *done,
		    unsigned int max, int timeout_ms, struct vp2p_error *err)
{
	int64_t deadline = now_ms() + timeout_ms, left = timeout_ms;
	struct pollfd pfd = { .fd = q->ring.eventfd, .events = POLLIN };
	unsigned int n;

	if (timeout_ms < -1 || !max || max > INT_MAX)
		return vp2p__fail(err, EINVAL, q->dev->name, STEP,
				  "a timeout of %d ms or room for %u makes no sense" MEND
				  "give milliseconds, 0 to only look or -1 for no limit, and room "
				  "for at least one", timeout_ms, max);
	for (;;) {
		n = reap(q, done, max);
		if (timeout_ms >= 0)
			left = deadline - now_ms();
		if (n || !timeout_ms || (timeout_ms > 0 && left <= 0))
			return (int)n;
		if (poll(&pfd, 1, (int)left) < 0)
			return vp2p__fail(err, errno, q->dev->name, STEP,
					  "a signal handler ran" MEND
					  "call again if it did not mean to end the wait");
	}
}

int vp2p_queue_cancel(struct vp2p_queue *q, uint64_t tag, struct vp2p_error *err)
{
	bool found = false;

	pthread_mutex_lock(&q->lock);
	for (unsigned int i = 0; i < q->depth; i++)
		if (q->slots[i].tag == tag)
			found |= cancel(q, &q->slots[i]);
	if (found)
		move_on(q);
	announce(q);
	pthread_mutex_unlock(&q->lock);
	if (found)
		return 0;
	return vp2p__fail(err, ENOENT, q->dev->name, STEP,
			  "no transfer under way has the tag %" PRIu64 MEND
			  "it has completed: reap it", tag);
}

int vp2p_queue_eventfd(const struct vp2p_queue *q)
{
	return q->ring.eventfd;
}

unsigned int vp2p_queue_pending(struct vp2p_queue *q)
{
	unsigned int pending;

	pthread_mutex_lock(&q->lock);
	pending = q->depth - q->count[FREE];
	pthread_mutex_unlock(&q->lock);
	return pending;
}
