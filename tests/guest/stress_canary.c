// SPDX-License-Identifier: MIT
/*
 * No stale DMA, under load: the canary of the stress test.
 *
 * A reader per set keeps a few reads of a lagging disk in flight, by libaio, into
 * a window of its own that nobody else writes.  An event maker that wants to know
 *
 *	asks for many reads, and waits until they are there;
 *	sets hold, and waits until the reader is not submitting: each read is now
 *	either submitted, which with libaio means that its pages are pinned or
 *	that it has been refused, or will not be;
 *	does its event.  When that has succeeded none of them may be in flight;
 *	writes the canary over the window through the raw view;
 *	waits until the reader has reaped all of them; and looks at the canary.
 *
 * A read that was still in flight when the event returned has written over it.
 * No read that begins later may, so there is no false alarm.  Not io_uring: it
 * may pin later, from a worker of its own.  With one exception: when all
 * processes have been killed and reaped nothing can begin any more.  So, before
 * that happens, the reader sends reads that take long by io_uring, which
 * outlive it, and the first thing that the next session does is a canary.
 * (Three seconds, sometimes: closing and opening take a good part of one.)
 * Before it does so it waits for hold to go, and from then on it says that it is
 * submitting, for ever: a maker's canary and these reads never meet.
 */
#define _GNU_SOURCE
#include "harness.h"
#include "revoke_util.h"
#include "stress.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SLOTS 12	/* of each device */
#define SIZE (16 * 1024)
#define STRIDE (ST_CANARY_LENGTH / SLOTS & ~(ST_PAGE - 1))
#define FEW 2		/* as long as nobody asks for more */
#define LONG_SLOTS 4
#define SEED 77

struct slot {
	struct iocb cb;
	int nr;			/* among those of its device */
	struct st_canary *canary;
	char *at;
	bool busy;
};

static struct slot slots[ST_DEVS * SLOTS];
static int n_slots;
static aio_context_t ctx;

static void find_slots(int set)
{
	for (int i = 0; i < st_n_devs; i++) {
		char *map;

		if (st_devs[i].set != set)
			continue;
		map = dev_map(&st_devs[i].d, st_devs[i].cookie[ST_CANARY], ST_CANARY_LENGTH);
		if (!map)
			h_fail("canary: no mapping: %s", strerrorname_np(errno));
		for (int n = 0; map && n < SLOTS; n++)
			slots[n_slots++] = (struct slot){ .nr = n, .canary = &st->devs[i].canary,
							  .at = map + n * STRIDE };
	}
}

static void submit(struct slot *s)
{
	const struct st_disk *disk = &st_disks[atomic_load(&s->canary->wish) ?: ST_LAG];
	struct iocb *cb = &s->cb;

	atomic_store(&s->canary->submitting, 1);
	if (!atomic_load(&s->canary->hold)) {
		*cb = (struct iocb){
			.aio_lio_opcode = IOCB_CMD_PREAD, .aio_fildes = disk->fd,
			.aio_buf = (uintptr_t)s->at, .aio_nbytes = SIZE,
			.aio_offset = st_random(1024) * SIZE, .aio_data = (uintptr_t)s,
		};
		atomic_fetch_add(&s->canary->submitted, 1);
		s->busy = syscall(SYS_io_submit, ctx, 1, &cb) == 1;
		if (!s->busy)
			h_fail("canary: io_submit: %s", strerrorname_np(errno));
	}
	atomic_store(&s->canary->submitting, 0);
}

/* Returns how many were refused. */
static int reap(unsigned int wait_us)
{
	int refused = 0;
	struct timespec timeout = { 0, wait_us * 1000l };
	struct io_event events[ST_DEVS * SLOTS];
	long n = syscall(SYS_io_getevents, ctx, 1l, (long)n_slots, events, &timeout);

	for (long i = 0; i < n; i++) {
		struct slot *s = (struct slot *)(uintptr_t)events[i].data;
		long res = events[i].res;

		if (res == SIZE)
			ST_COUNT(whole);
		else if (res == -EFAULT)
			refused++;
		else if (res >= 0 && res < SIZE)
			ST_COUNT(cut);
		else
			h_fail("canary: a read ended with %ld", res);
		s->busy = false;
		atomic_fetch_add(&s->canary->reaped, 1);
	}
	ST_ADD(refused, refused);
	return refused;
}

/* Several times: an event may be under way, and refuse them. */
static void send_long_reads(struct ru_ring *ring, int first)
{
	bool later = atomic_load(&st->ending) == 2;
	const struct st_disk *disk = &st_disks[later ? ST_LATER : ST_LATE];

	for (int round = 0; round < 4; round++) {
		for (int i = first; i < first + SLOTS; i += SLOTS / LONG_SLOTS)
			ru_ring_read(ring, disk->fd, slots[i].at, SIZE, 0);
		st_nap_us(3000);
	}
	atomic_store(&st->long_until, h_now_ns() + (later ? 3500 : 800) * 1000000ull);
}

/* True: no maker looks at this one, and none will. */
static bool take_from_makers(struct st_canary *c)
{
	atomic_store(&c->submitting, 1);
	if (!atomic_load(&c->hold))
		return true;
	atomic_store(&c->submitting, 0);
	return false;
}

/* Nobody reaps the long ones. */
static void outlive(int slot)
{
	struct ru_ring ring;
	int err = ru_ring_open(&ring, 64);

	if (err)
		h_fail("canary: io_uring: %s", strerrorname_np(-err));
	for (int i = 0; !err && i < n_slots; i += SLOTS) {
		while (!take_from_makers(slots[i].canary)) {
			st_beat(slot);
			reap(1000);
		}
		send_long_reads(&ring, i);
	}
	atomic_fetch_add(&st->outliving, 1);
	for (;;) {
		st_beat(slot);
		reap(1000);
	}
}

static bool is_due(const struct slot *s)
{
	return !s->busy && !atomic_load(&s->canary->hold) && (s->nr < FEW || atomic_load(&s->canary->wish));
}

void st_canary_reader(int slot, int set)
{
	find_slots(set);
	if (syscall(SYS_io_setup, ST_DEVS * SLOTS, &ctx))
		h_fail("canary: io_setup: %s", strerrorname_np(errno));
	for (;;) {
		st_beat(slot);
		if (atomic_load(&st->ending))
			outlive(slot);
		for (int i = 0; i < n_slots; i++)
			if (is_due(&slots[i]))
				submit(&slots[i]);
		/* Not again and again while the gate is closed: others shall get on. */
		if (reap(500))
			st_nap_us(500);
	}
}

/* The maker's side */

#define FOR_MASK(i, mask) \
	for (int i = 0; i < st_n_devs; i++) \
		if ((mask) & 1u << i)

static unsigned long long in_flight(const struct st_canary *c)
{
	unsigned long long reaped = atomic_load(&c->reaped);

	return atomic_load(&c->submitted) - reaped;
}

/* They come one after the other: when the last is there the first are not yet done. */
static void ask_for_reads(struct st_canary *c, bool late)
{
	unsigned long long before = atomic_load(&c->submitted);

	atomic_store(&c->wish, late ? ST_LATE : ST_LAG);
	h_wait_until(atomic_load(&c->submitted) >= before + SLOTS - FEW, late ? 200 : 20);
}

/* False: the reader did not stop submitting, so there is nothing to be checked. */
bool st_canary_begin(unsigned int mask, bool late)
{
	bool quiet = true, live = false;

	FOR_MASK(i, mask)
		ask_for_reads(&st->devs[i].canary, late);
	FOR_MASK(i, mask) {
		struct st_canary *c = &st->devs[i].canary;

		atomic_store(&c->hold, 1);
		atomic_store(&c->wish, 0);
		quiet &= h_wait_until(!atomic_load(&c->submitting), 1000);
		live |= in_flight(c) > 0;
	}
	if (quiet && live)
		ST_COUNT(canaries_live);
	return quiet;
}

static void write_canary(int dev)
{
	for (int n = 0; n < SLOTS; n++)
		ru_fill(st_devs[dev].raw + n * STRIDE, SIZE, SEED + n);
}

static void look_at(int dev, const char *when)
{
	for (int n = 0; n < SLOTS; n++) {
		long at = ru_differs(st_devs[dev].raw + n * STRIDE, SIZE, SEED + n);

		if (at < 0)
			continue;
		ST_COUNT(stale);
		h_fail("stale write: %s, %s, slot %d, canary broken at %#lx", when,
		       st_devs[dev].role, n, at);
	}
}

static void check(int dev)
{
	struct st_canary *c = &st->devs[dev].canary;

	/* What it does must not spoil the canary; that it came in between is wanted. */
	if (!h_wait_until(!atomic_load(&c->disturbing), 30000))
		return h_fail("canary: the disturber does not end");
	write_canary(dev);
	if (!h_wait_until(!in_flight(c) || atomic_load(&st->stop), 20000))
		return h_fail("canary: %llu reads do not end", in_flight(c));
	/* The reader leaves when all are to leave, and reaps no more. */
	if (in_flight(c))
		return;
	look_at(dev, "after an event");
	ST_COUNT(canaries);
}

void st_canary_end(unsigned int mask, bool checked)
{
	FOR_MASK(i, mask) {
		if (checked)
			check(i);
		atomic_store(&st->devs[i].canary.hold, 0);
	}
}

/*
 * Closed and opened again, and nobody is there but us.  Not by STATE alone: a driver
 * that has forgotten pins would say that there are none.
 */
void st_canary_after_close(void)
{
	for (int i = 0; i < st_n_devs; i++)
		write_canary(i);
	h_wait_until(h_now_ns() > atomic_load(&st->long_until), 5000);
	for (int i = 0; i < st_n_devs; i++) {
		struct p2p_vfio_state s;

		if (!h_wait_until(!dev_state(&st_devs[i].d, &s) && !s.pinned_folios, 20000))
			return h_fail("canary: %s: pins do not go", st_devs[i].role);
		look_at(i, "after a close");
	}
	ST_COUNT(canaries_closed);
}
