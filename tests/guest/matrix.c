// SPDX-License-Identifier: MIT
/* One event under running I/O, judged: see matrix.h. */
#define _GNU_SOURCE
#include "matrix.h"
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Who uses which part of the window.  The first page and the last are ru_works()'s. */
#define TOUCHED (1 * DEV_MIB2)
#define RACED (2 * DEV_MIB2)		/* two folios, and the reads straddle them */
#define RACE_SIZE (64 * 1024)
/* The emulator copies to a device without memory one page at a time, and waits for the disk each time. */
#define MMIO_READS 4
#define MMIO_READ_SIZE RU_PAGE
#define MMIO_RACE_SIZE (2 * RU_PAGE)
#define FLIGHT (4 * DEV_MIB2)
#define STRIDE (DEV_MIB2 / 2)
#define CANARY 77
#define TRIES 5				/* to have all reads in flight at once */
#define FACTOR 3

static const char *role(const struct mx *m)
{
	return m->row->role ?: "target";
}

static unsigned int bound(const struct mx *m)
{
	return m->row->bound_ms ?: MX_BOUND_MS;
}

/* Counters */

static const char *const causes[] = {
	[P2P_VFIO_CAUSE_RESET] = "reset", [P2P_VFIO_CAUSE_HOT_RESET] = "hot_reset",
	[P2P_VFIO_CAUSE_CONFIG] = "config", [P2P_VFIO_CAUSE_LOW_POWER] = "low_power",
	[P2P_VFIO_CAUSE_PCI_RESET] = "pci_reset", [P2P_VFIO_CAUSE_ERROR] = "error",
	[P2P_VFIO_CAUSE_CLOSE] = "close", [P2P_VFIO_CAUSE_REMOVE] = "remove",
	[P2P_VFIO_CAUSE_SHUTDOWN] = "shutdown", [P2P_VFIO_CAUSE_SLEEP] = "sleep",
};

/* Of one cause, or of all. */
static long long state_revokes(const struct p2p_vfio_state *s, const char *cause)
{
	long long n = 0;

	for (int i = 0; i < P2P_VFIO_CAUSES; i++)
		if (!cause || !strcmp(causes[i], cause))
			n += s->revokes[i];
	return n;
}

static long long sysfs_revokes(const char *who, const char *cause)
{
	long long n = 0;

	for (int i = 0; i < P2P_VFIO_CAUSES; i++)
		if (!cause || !strcmp(causes[i], cause))
			n += dev_revokes(who, causes[i]);
	return n;
}

struct mx_count mx_count(const char *who, const struct dev *d, const char *cause)
{
	struct p2p_vfio_state s;
	struct mx_count c = {
		.generation = dev_count(who, "generation"),
		.waited = dev_count(who, "faults_waited"),
		.timeouts = dev_count(who, "drain_timeouts"),
	};

	if (c.generation >= 0) {
		c.revokes = sysfs_revokes(who, cause);
		return c;
	}
	if (!d || dev_state(d, &s))
		return c;
	return (struct mx_count){ .generation = s.generation, .waited = s.faults_waited,
				  .timeouts = s.drain_timeouts,
				  .revokes = state_revokes(&s, cause) };
}

/* The threads */

static void nap(void)
{
	usleep(200);	/* the event's own thread wants a CPU, too */
}

static void note_touch(struct mx *m, uint64_t began, bool sigbus)
{
	uint64_t since = atomic_load(&m->since), ns;

	ns = h_now_ns() - (began > since ? began : since);
	if (ns > atomic_load(&m->longest_ns))
		atomic_store(&m->longest_ns, ns);
	atomic_fetch_add(sigbus ? &m->sigbuses : &m->touches, 1);
}

static void *touch_thread(void *arg)
{
	struct mx *m = arg;

	for (unsigned int n = 0; !atomic_load(&m->stop); n++) {
		char *at = m->t.win + TOUCHED + (size_t)n * RU_PAGE % DEV_MIB2;
		uint64_t began = h_now_ns();

		note_touch(m, began, n % 2 ? ru_sigbus_load(at) : ru_sigbus(at));
		nap();
	}
	return NULL;
}

static void note_read(struct mx *m, ssize_t n)
{
	if (n == (ssize_t)m->race_size) {
		atomic_fetch_add(&m->whole, 1);
		return;
	}
	if (n >= 0) {
		atomic_fetch_add(&m->shorts, 1);
	} else if (errno == EFAULT) {
		atomic_fetch_add(&m->efaults, 1);
	} else {
		atomic_store(&m->other_errno, errno);
		atomic_fetch_add(&m->others, 1);
	}
	h_sleep_ms(1);
}

/*
 * Where a read is in flight as long as those of the late disk, it could be so
 * from before the event to its end, and meet nothing.  It waits for the gate
 * to close then.
 */
static void hold_back(struct mx *m)
{
	while (atomic_load(&m->hold) && !atomic_load(&m->stop) && dev_state_is(role(m), "live")) {
		atomic_store(&m->held, true);
		h_sleep_ms(1);
	}
	atomic_store(&m->held, false);
}

static void *race_thread(void *arg)
{
	struct mx *m = arg;
	int disk = open(h_disk("raw"), O_RDONLY | O_DIRECT | O_CLOEXEC);
	char *buf = m->t.win + RACED + DEV_MIB2 - m->race_size / 2;

	for (unsigned int n = 0; !atomic_load(&m->stop); n++) {
		if (n % 2)
			madvise(m->t.win + RACED, 2 * DEV_MIB2, MADV_DONTNEED);
		hold_back(m);
		note_read(m, pread(disk, buf, m->race_size, 0));
		nap();
	}
	close(disk);
	return NULL;
}

/* From here on it counts. */
static void count_anew(struct mx *m)
{
	atomic_store(&m->since, h_now_ns());
	atomic_store(&m->longest_ns, 0);
	atomic_store(&m->touches, 0);
	atomic_store(&m->sigbuses, 0);
	atomic_store(&m->whole, 0);
	atomic_store(&m->shorts, 0);
	atomic_store(&m->efaults, 0);
}

/* Before */

/* Which bound is the event's; without a cause it may be any of them. */
static bool bounded_by(const char *parameter, const char *cause)
{
	const char *mine = "drain_timeout_ms";

	if (!cause)
		return true;
	if (!strcmp(cause, "pci_reset") || !strcmp(cause, "close"))
		mine = "hook_timeout_ms";
	if (!strcmp(cause, "error"))
		mine = "aer_timeout_ms";
	return !strcmp(mine, parameter);
}

/*
 * The event's own hook has the time it needs, and no other has: or the one that
 * core calls in the middle of a reset would make up for a wrapper that did not
 * wait.
 */
static void set_bounds(struct mx *m, const char *cause)
{
	static const char *const parameters[] = {
		"drain_timeout_ms", "hook_timeout_ms", "aer_timeout_ms",
	};
	char ms[16];

	for (int i = 0; i < 3; i++) {
		snprintf(ms, sizeof(ms), "%u", bounded_by(parameters[i], cause) ? bound(m) : 1);
		H_EQ(dev_param(parameters[i], ms), 0);
	}
}

void mx_open(struct mx *m, const struct mx_row *row)
{
	*m = (struct mx){
		.row = row,
		.reads = row->mmio ? MMIO_READS : MX_READS,
		.size = row->mmio ? MMIO_READ_SIZE : MX_READ_SIZE,
		.race_size = row->mmio ? MMIO_RACE_SIZE : RACE_SIZE,
	};
	set_bounds(m, row->cause);
	H_EQ(ru_target_open(&m->t, role(m), MX_WINDOW), 0);
}

/* Then whatever became of a touch before is counted, too. */
static bool touches_again(struct mx *m)
{
	long n = atomic_load(&m->touches);

	return h_wait_until(atomic_load(&m->touches) > n, 10000);
}

static bool threads_work(struct mx *m)
{
	if (!touches_again(m))
		return false;
	count_anew(m);
	return h_wait_until(atomic_load(&m->touches) > 2 && atomic_load(&m->whole) > 2, 10000);
}

void mx_load(struct mx *m)
{
	if (m->row->unmapped)
		return;
	H_EQ(pthread_create(&m->threads[0], NULL, touch_thread, m), 0);
	H_EQ(pthread_create(&m->threads[1], NULL, race_thread, m), 0);
	H_CHECK(threads_work(m));
	H_EQ(atomic_load(&m->others), 0);
}

char *mx_place(char *view, int i)
{
	return view + FLIGHT + i * STRIDE;
}

static int send_all(struct mx *m, int disk)
{
	int err = 0;

	for (int i = 0; !err && i < m->reads; i++)
		err = ru_aio_read(&m->aio, disk, mx_place(m->t.win, i), m->size, i * m->size);
	return err;
}

/* A machine that stands still meanwhile gets another try. */
void mx_send(struct mx *m)
{
	int disk = open(h_disk("late"), O_RDONLY | O_DIRECT | O_CLOEXEC);

	H_CHECK(disk >= 0);
	atomic_store(&m->hold, m->row->mmio);
	H_CHECK(!m->row->mmio || m->row->unmapped || h_wait_until(atomic_load(&m->held), 10000));
	for (int i = 0; i < TRIES; i++) {
		H_EQ(send_all(m, disk), 0);
		H_CHECK(ru_aio_reap(&m->aio, 0, 0) >= 0);
		if (m->aio.reaped == i * m->reads)
			break;
		H_CHECK(ru_aio_reap(&m->aio, m->aio.submitted - m->aio.reaped, 10000) >= 0);
	}
	close(disk);
	H_EQ(m->aio.submitted - m->aio.reaped, m->reads);
	H_CHECK(dev_count(role(m), "pinned_folios") >= m->reads / 2);
}

/* The event */

void mx_act(struct mx *m)
{
	uint64_t began;
	long ret;

	m->before = mx_count(role(m), &m->t.d, m->row->cause);
	count_anew(m);
	began = h_now_ns();
	ret = m->row->act(&m->t.d);
	m->took_ns = h_now_ns() - began;
	atomic_store(&m->hold, false);
	H_CHECK(ru_aio_reap(&m->aio, 0, 0) >= 0);
	m->late = m->aio.submitted - m->aio.reaped;
	m->after = mx_count(role(m), &m->t.d, m->row->cause);
	H_EQ(ret, m->row->want);
}

/* Judgement */

static bool opens_late(const struct mx_row *r)
{
	return (r->touch & MX_HELD) || (r->unmapped && r->undo);
}

static void judge_counts(struct mx *m)
{
	const struct mx_row *r = m->row;

	H_EQ(m->after.revokes - m->before.revokes, r->cause ? 1 : 0);
	H_EQ(m->after.generation - m->before.generation, !r->kept && !r->gone && !opens_late(r));
	H_EQ(m->after.timeouts - m->before.timeouts, r->flight == MX_OUTLASTS);
	if (m->took_ns / 1000000 > (uint64_t)bound(m) * FACTOR)
		h_fail("it took %llu ms, the bound is %u", (unsigned long long)m->took_ns / 1000000,
		       bound(m));
}

static void judge_flight(struct mx *m)
{
	if (m->row->flight == MX_ENDS_FIRST)
		H_EQ(m->late, 0);
	if (m->row->flight == MX_OUTLASTS)
		H_CHECK(m->late > 0);
	H_EQ(m->aio.bad, 0);
}

static bool stands_still(struct mx *m)
{
	long n = atomic_load(&m->touches) + atomic_load(&m->sigbuses);

	h_sleep_ms(100);
	return atomic_load(&m->touches) + atomic_load(&m->sigbuses) == n;
}

/* The thread needs a moment to meet what is there. */
static void judge_touch(struct mx *m)
{
	unsigned int touch = m->row->touch;

	if (touch & MX_SIGBUS)
		H_CHECK(h_wait_until(atomic_load(&m->sigbuses), 5000));
	else if (touch & MX_HELD)
		H_CHECK(h_wait_until(stands_still(m), 5000));
	else
		H_CHECK(h_wait_until(atomic_load(&m->touches) > 2, 5000));
	m->after.waited = mx_count(role(m), &m->t.d, NULL).waited;
	if (touch & (MX_WAITS | MX_HELD))
		H_CHECK(m->after.waited > m->before.waited);
	else
		H_EQ(m->after.waited, m->before.waited);
	if (!(touch & MX_SIGBUS))
		H_EQ(atomic_load(&m->sigbuses), 0);
}

static void judge_racing(struct mx *m)
{
	long missed = atomic_load(&m->shorts) + atomic_load(&m->efaults);

	if (atomic_load(&m->others))
		h_fail("a racing read failed with %s", strerrorname_np(atomic_load(&m->other_errno)));
	/* Into memory behind registers a read takes so long that none may begin meanwhile. */
	if (m->row->racing == MX_MISSES)
		H_CHECK(missed > 0 || m->row->mmio);
	else
		H_EQ(missed, 0);
	m->missed = missed;
	m->raced = missed + atomic_load(&m->whole);
}

void mx_judge(struct mx *m)
{
	judge_counts(m);
	judge_flight(m);
	if (m->row->unmapped)
		return;
	judge_touch(m);
	judge_racing(m);
}

/* Afterwards */

/* Only where nobody but the reads in flight writes. */
void mx_canary(struct mx *m)
{
	for (int i = 0; i < m->reads; i++)
		ru_fill(mx_place(m->t.raw, i), m->size, CANARY + i);
}

void mx_canary_lives(struct mx *m)
{
	for (int i = 0; i < m->reads; i++)
		H_EQ(ru_differs(mx_place(m->t.raw, i), m->size, CANARY + i), -1);
}

static void reap_rest(struct mx *m)
{
	int late = m->aio.submitted - m->aio.reaped;

	H_EQ(ru_aio_reap(&m->aio, late, 20000), late);
	H_EQ(m->aio.bad, 0);
}

static void after_flight(struct mx *m)
{
	bool waited_for = m->row->flight == MX_ENDS_FIRST && !m->row->gone;

	if (waited_for)
		mx_canary(m);
	reap_rest(m);
	if (waited_for)
		mx_canary_lives(m);
}

/* Where the gate opens in the undo only. */
static void judge_late_opening(struct mx *m)
{
	m->after = mx_count(role(m), &m->t.d, m->row->cause);
	H_EQ(m->after.generation - m->before.generation, !m->row->kept);
}

void mx_after(struct mx *m)
{
	if (m->row->undo)
		H_EQ(m->row->undo(&m->t.d), 0);
	if (opens_late(m->row))
		judge_late_opening(m);
	after_flight(m);
	m->longest_wait_ns = atomic_load(&m->longest_ns);
	if (m->row->gone || h_failed())
		return;
	if (!m->row->unmapped) {
		H_CHECK(threads_work(m));
		H_EQ(atomic_load(&m->sigbuses), 0);
		H_EQ(atomic_load(&m->others), 0);
	}
	H_CHECK(ru_works(&m->t));
}

void mx_close(struct mx *m)
{
	set_bounds(m, NULL);
	atomic_store(&m->stop, true);
	for (int i = 0; i < 2; i++)
		if (m->threads[i])
			H_EQ(pthread_join(m->threads[i], NULL), 0);
	dev_close(&m->t.d);
	if (!m->row->gone)
		dev_check_rest(role(m));
}

/* The row */

void mx_row(const char *id, const char *event, const char *touching, const char *racing,
	    const char *flight, uint64_t took_ms, unsigned int bound_ms)
{
	char took[64];

	if (bound_ms)
		snprintf(took, sizeof(took), "took %llu of %u ms", (unsigned long long)took_ms, bound_ms);
	else
		snprintf(took, sizeof(took), "took %llu ms, no bound", (unsigned long long)took_ms);
	h_diag("matrix: %s | %s | %s | %s | %s | %s | %s:%s", id, event ?: h_case_name(), touching,
	       racing, flight, took, program_invocation_short_name, h_case_name());
}

static const char *touch_words(unsigned int touch)
{
	if (touch & MX_HELD)
		return "waits until mended";
	if (touch & MX_WAITS)
		return touch & MX_SIGBUS ? "waits, then SIGBUS" : "waits";
	return touch & MX_SIGBUS ? "SIGBUS" : "undisturbed";
}

void mx_print(struct mx *m)
{
	static const char *const flights[] = {
		[MX_ENDS_FIRST] = "ends first", [MX_OUTLASTS] = "outlasts it", [MX_GOES_ON] = "goes on",
	};
	char touching[64], racing[64];

	snprintf(racing, sizeof(racing), "%s (%ld of %ld)",
		 m->row->racing == MX_MISSES ? "short or EFAULT" : "whole",
		 m->row->racing == MX_MISSES ? m->missed : m->raced, m->raced);
	snprintf(touching, sizeof(touching), "%s (longest %llu ms)", touch_words(m->row->touch),
		 (unsigned long long)m->longest_wait_ns / 1000000);
	mx_row(m->row->id, m->row->event, m->row->unmapped ? MX_NONE : touching,
	       m->row->unmapped ? MX_NONE : racing, flights[m->row->flight],
	       m->took_ns / 1000000, bound(m));
}

void mx_run(const struct mx_row *row)
{
	static void (*const steps[])(struct mx *) = {
		mx_load, mx_send, mx_act, mx_judge, mx_after, mx_close, mx_print,
	};
	static struct mx m;

	mx_open(&m, row);
	for (unsigned int i = 0; i < sizeof(steps) / sizeof(*steps) && !h_failed(); i++)
		steps[i](&m);
}
