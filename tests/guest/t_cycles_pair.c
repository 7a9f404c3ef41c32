// SPDX-License-Identifier: MIT
/*
 * Circles of waiting between two functions that are reset together.
 *
 * With vfio-pci-core's memory_lock (cycle a of docs/locking.md), where it cannot
 * be avoided: a plain vfio-pci drives the sibling, and resets both through it.
 * The driver hears of that by reset_prepare only, when the memory_lock of both is
 * held, and waits for the pin there.  A thread that touches the ordinary view
 * now waits for memory_lock with the mmap_lock held, a writer queues behind it,
 * and the reader with the pin behind the writer, although its page has come
 * (party.h).  Nobody in this circle can move: only the end of its time can free
 * the reset, and that is what must be seen.
 *
 * Between two devices (cycle d): a read has pinned a page of one and wants one
 * of the other; a second read the other way round; and one hot reset drains
 * both.  Neither read may wait for a gate.  And that reset has one bound, not one
 * for each function.
 *
 * With the locks of a close (cycle g): the last close of one function waits for
 * a pin with the locks of the group and of the set held.  Whoever opens, closes
 * or resets the sibling waits as long, and no longer; who only uses it does not
 * wait at all; and the end of the I/O needs none of these locks.
 */
#define _GNU_SOURCE
#include "dev.h"
#include "harness.h"
#include "party.h"
#include "revoke_util.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#define WINDOW (4 * DEV_MIB2)

static struct ru_target t;
static struct dev sibling;
static struct ru_place a, b;	/* a page of the target's window, and of the sibling's */

static void set_up(void)
{
	struct p2p_vfio_window w;

	H_EQ(dev_param("drain_timeout_ms", "15000"), 0);
	H_EQ(dev_param("hook_timeout_ms", "15000"), 0);
	H_EQ(ru_target_open(&t, "target", WINDOW), 0);
	H_EQ(ru_sibling_open(&sibling, &t, "sibling"), 0);
	H_EQ(dev_window_set(&sibling, dev_bar(&sibling), 0, WINDOW, 0, &w), 0);
	a = (struct ru_place){ t.d.fd, t.cookie };
	b = (struct ru_place){ sibling.fd, w.mmap_offset };
}

static void clean_up(void)
{
	dev_close(&sibling);
	dev_close(&t.d);
	dev_check_rest("target");
	dev_check_rest("sibling");
}

/* a: memory_lock, where it is held */

static void circle_closes(struct party *p, struct ru_call *reset)
{
	party_go(p, PARTY_TOUCHER);
	H_CHECK(party_stuck(p, PARTY_TOUCHER, 3000));
	party_go(p, PARTY_WRITER);
	H_CHECK(party_stuck(p, PARTY_WRITER, 3000));
	party_go(p, PARTY_READER);
	H_CHECK(!party_done(p, PARTY_READER, 500));
	H_CHECK(!party_done(p, PARTY_TOUCHER, 0));
	H_CHECK(!party_done(p, PARTY_WRITER, 0));
	H_CHECK(!ru_done(reset));
	H_CHECK(dev_state_is("target", "draining"));
}

static void foreign_reset(bool huge)
{
	struct party p = { .t = &t, .huge = huge };
	long long timeouts, revokes;
	struct ru_call reset;

	H_EQ(ru_sibling_open(&sibling, &t, "sibling"), 0);
	sibling.group = t.d.group;
	H_EQ(party_begin(&p), 0);
	timeouts = dev_count("target", "drain_timeouts");
	revokes = dev_revokes("target", "pci_reset");
	ru_call(&reset, ru_hot_reset, &sibling);
	H_CHECK(h_wait_until(dev_revokes("target", "pci_reset") == revokes + 1, 5000));
	circle_closes(&p, &reset);
	if (h_failed())
		return;
	H_CHECK(ru_join(&reset, 3 * 8000));
	H_EQ(reset.ret, 0);
	/* Not the pin has ended it. */
	H_EQ(dev_count("target", "drain_timeouts"), timeouts + 1);
	H_CHECK(party_end(&p, 10000));
	sibling.group = -1;
}

/* The target's window is registered while the sibling is the driver's own. */
static void foreign_sibling(bool huge)
{
	h_expect_log("p2p: 1 folios still pinned");
	h_expect_log("p2p: a reset goes on under I/O");
	H_EQ(ru_target_open(&t, "target", WINDOW), 0);
	H_EQ(dev_param("hook_timeout_ms", "8000"), 0);
	dev_bind("sibling", DEV_PLAIN);
	foreign_reset(huge);
	if (h_failed())
		return;
	H_CHECK(dev_state_is("target", "live"));
	H_CHECK(ru_works(&t));
	dev_close(&sibling);
	dev_close(&t.d);
	dev_check_rest("target");
	dev_bind("sibling", DEV_P2P);
}

static void with_mmap_lock(void)
{
	foreign_sibling(false);
}

static void with_vma_lock(void)
{
	foreign_sibling(true);
}

/* d: a page of each */

static void both_drain(struct ru_hold h[2])
{
	H_CHECK(ru_hold_drains(&h[0], "target"));
	H_CHECK(ru_hold_drains(&h[1], "sibling"));
}

static void crossed_reads(struct ru_hold h[2])
{
	h[0] = (struct ru_hold){ .first = a, .last = b };
	h[1] = (struct ru_hold){ .first = b, .last = a };
	for (int i = 0; i < 2; i++)
		H_EQ(ru_hold_begin(&h[i]), 0);
}

/* Each read gives way although what it wants is held by the other, and not reset yet. */
static void give_way(struct ru_hold h[2], struct ru_call *reset)
{
	H_EQ(ru_hold_serve(&h[0]), 0);
	H_CHECK(h_wait_until(ru_done(&h[0].call), 5000));
	H_CHECK(h[0].call.ret < (long)h[0].length);
	H_CHECK(!ru_done(reset));
	H_CHECK(dev_state_is("sibling", "draining"));
	H_CHECK(h_wait_until(dev_state_is("target", "quiesced"), 5000));
	ru_hold_end(&h[0]);
	/* The gate may be open for its second try. */
	H_EQ(ru_hold_serve(&h[1]), 0);
}

static void crossed(struct dev *asked)
{
	long long was_a, was_b;
	struct ru_call reset;
	struct ru_hold h[2];

	set_up();
	asked->group = t.d.group;
	was_a = dev_count("target", "generation");
	was_b = dev_count("sibling", "generation");
	crossed_reads(h);
	if (h_failed())
		return;
	ru_call(&reset, ru_hot_reset, asked);
	both_drain(h);
	if (!h_failed())
		give_way(h, &reset);
	if (h_failed())
		return;
	H_CHECK(ru_join(&reset, 20000));
	H_EQ(reset.ret, 0);
	ru_hold_end(&h[1]);
	H_EQ(dev_count("target", "generation"), was_a + 1);
	H_EQ(dev_count("sibling", "generation"), was_b + 1);
	sibling.group = -1;
	clean_up();
}

static void through_target(void)
{
	crossed(&t.d);
}

static void through_sibling(void)
{
	crossed(&sibling);
}

/* Two resets at once: each closes both gates, and waits for both pins. */
static void through_both(void)
{
	struct ru_call one, other;
	long long revokes;
	struct ru_hold h[2];

	set_up();
	sibling.group = t.d.group;
	revokes = dev_revokes("target", "hot_reset");
	crossed_reads(h);
	if (h_failed())
		return;
	ru_call(&one, ru_hot_reset, &t.d);
	both_drain(h);
	ru_call(&other, ru_hot_reset, &sibling);
	H_CHECK(ru_sleeps(&other, 5000));
	if (!h_failed())
		give_way(h, &one);
	if (h_failed())
		return;
	H_CHECK(ru_join(&one, 20000));
	H_CHECK(ru_join(&other, 20000));
	H_EQ(one.ret, 0);
	H_EQ(other.ret, 0);
	ru_hold_end(&h[1]);
	/* The second found the gate closed: it is part of the first. */
	H_CHECK(dev_revokes("target", "hot_reset") > revokes);
	H_CHECK(dev_state_is("target", "live") && dev_state_is("sibling", "live"));
	sibling.group = -1;
	clean_up();
}

/* g: the locks of a close */

#define CLOSE_MS 8000

static long close_target(void *arg)
{
	(void)arg;
	/* The device only: its group is the sibling's as well. */
	while (t.d.n_maps)
		dev_unmap(&t.d, t.d.maps[0].at);
	return close(t.d.fd) ? -errno : 0;
}

/* A character device that is open already is not opened again, but asks that under the lock. */
static long reopen_sibling(void *arg)
{
	struct dev again;
	int err = ru_sibling_open(&again, &t, "sibling");

	(void)arg;
	if (!err)
		close(again.fd);
	return err == (dev_by_cdev() ? -EINVAL : 0) ? 0 : -EPROTO;
}

/* Through its mapping, by DMA, and by what needs no lock of the set. */
static void sibling_is_used(void)
{
	int disk = open(h_disk("raw"), O_RDONLY | O_DIRECT | O_CLOEXEC);
	char *win = dev_map(&sibling, b.cookie, WINDOW);
	uint32_t id;

	H_CHECK(win);
	win[DEV_MIB2] = 1;
	H_EQ(pread(disk, win, RU_PAGE, 0), RU_PAGE);
	H_EQ(dev_config_read(&sibling, 0, &id, 4), 4);
	H_CHECK(dev_state_is("sibling", "live"));
	dev_unmap(&sibling, win);
	close(disk);
}

static void closing_begins(struct ru_hold *h, struct ru_call *closing)
{
	set_up();
	H_EQ(dev_param("hook_timeout_ms", "8000"), 0);
	*h = (struct ru_hold){ .first = a };
	H_EQ(ru_hold_begin(h), 0);
	H_EQ(ru_hold_unmap(h), 0);
	ru_call(closing, close_target, NULL);
	H_CHECK(h_wait_until(dev_state_is("target", "draining"), 5000));
}

/* What is asked of the sibling meanwhile: waits, and then is done. */
static void siblings_wait(struct ru_call *open, struct ru_call *reset)
{
	sibling.group = t.d.group;
	ru_call(open, reopen_sibling, NULL);
	ru_call(reset, ru_hot_reset, &sibling);
	H_CHECK(ru_sleeps(open, 2000));
	H_CHECK(ru_sleeps(reset, 2000));
	sibling_is_used();
	H_CHECK(!ru_done(open) && !ru_done(reset));
}

static void all_end(struct ru_call *closing, struct ru_call *open, struct ru_call *reset, long want)
{
	H_CHECK(ru_join(closing, 3 * CLOSE_MS));
	H_EQ(closing->ret, 0);
	H_CHECK(ru_join(open, 10000));
	H_EQ(open->ret, 0);
	H_CHECK(ru_join(reset, 10000));
	H_EQ(reset->ret, want);
	sibling.group = -1;
	dev_close(&sibling);
	t.d.fd = -1;
	dev_close(&t.d);
}

/* The pin goes while the close waits for it: so the end of a read needs no lock of the close. */
static void close_in_time(void)
{
	struct ru_call closing, open, reset;
	long long timeouts;
	struct ru_hold h;

	closing_begins(&h, &closing);
	timeouts = dev_count("target", "drain_timeouts");
	if (!h_failed())
		siblings_wait(&open, &reset);
	if (h_failed())
		return;
	ru_hold_end(&h);
	all_end(&closing, &open, &reset, 0);
	H_EQ(dev_count("target", "drain_timeouts"), timeouts);
	dev_check_rest("target");
	dev_check_rest("sibling");
}

/* The pin stays: the close gives up, and all others go on. */
static void close_out_of_time(void)
{
	struct ru_call closing, open, reset;
	struct ru_hold h;

	h_expect_log("p2p: 1 folios still pinned");
	h_expect_log("p2p: closed under I/O");
	closing_begins(&h, &closing);
	H_EQ(dev_param("drain_timeout_ms", "1000"), 0);
	if (!h_failed())
		siblings_wait(&open, &reset);
	if (h_failed())
		return;
	/* The pin is in the way of a hot reset as well, although its device is closed. */
	all_end(&closing, &open, &reset, -EBUSY);
	if (h_failed())
		return;
	H_CHECK(dev_state_is("target", "draining"));
	ru_hold_end(&h);
	H_CHECK(h_wait_until(dev_state_is("target", "closed"), 5000));
	/* What was touched is forgotten by the next drain only. */
	set_up();
	H_CHECK(ru_works(&t));
	clean_up();
}

/*
 * One bound for both, also for a call that signals begin anew: the pin of one goes late,
 * that of the other does not.  Which of them is drained first is not ours to say.
 */
#define BOUND_MS 4000

static void on_alarm(int number)
{
	(void)number;
}

static void alarms_every(unsigned int ms)
{
	struct sigaction sa = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
	struct itimerval when = { .it_value.tv_usec = ms * 1000, .it_interval.tv_usec = ms * 1000 };

	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &when, NULL);
}

static long release_late(void *hold)
{
	h_sleep_ms(BOUND_MS * 3 / 4);
	return ru_hold_end(hold);
}

static void late_release(int which)
{
	struct ru_hold h[2] = { { .first = a }, { .first = b } };
	struct ru_call release;
	uint64_t began, ms;

	H_EQ(ru_hold_begin(&h[0]), 0);
	H_EQ(ru_hold_begin(&h[1]), 0);
	ru_call(&release, release_late, &h[which]);
	alarms_every(100);
	began = h_now_ns();
	H_EQ(ru_hot_reset(&t.d), -EBUSY);
	ms = (h_now_ns() - began) / 1000000;
	alarms_every(0);
	h_diag("refused after %llu ms", (unsigned long long)ms);
	H_CHECK(ms < BOUND_MS * 3 / 2);
	H_CHECK(ru_join(&release, 10000));
	ru_hold_end(&h[!which]);
}

static void one_bound_for_both(void)
{
	h_expect_log("p2p: 1 folios still pinned");
	set_up();
	H_EQ(dev_param("drain_timeout_ms", "4000"), 0);
	late_release(0);
	late_release(1);
	clean_up();
}

static const struct h_case cases[] = {
	{ "a circle over memory_lock and the mmap_lock ends", with_mmap_lock, 90 },
	{ "a circle over memory_lock and the VMA's lock ends", with_vma_lock, 90 },
	{ "two crossed reads and a hot reset through one function", through_target, 60 },
	{ "two crossed reads and a hot reset through the other", through_sibling, 60 },
	{ "two crossed reads and a hot reset through each", through_both, 60 },
	{ "one bound for both, whatever signals there are", one_bound_for_both, 60 },
	{ "the sibling waits for a close, and the close for a pin", close_in_time, 60 },
	{ "the sibling waits for a close that gives up", close_out_of_time, 90 },
	{ }
};

int main(int argc, char **argv)
{
	dev_bind("target", DEV_P2P);
	dev_bind("sibling", DEV_P2P);
	return h_main(argc, argv, cases);
}
