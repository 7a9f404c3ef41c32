// SPDX-License-Identifier: MIT
/*
 * What can happen between two looks of the driver's.
 *
 * In two places it looks twice at what others change: whether all insertions that
 * began have ended, and whether a folio is held, by a bit and a count; and what it
 * looks at must not go away meanwhile.  In between
 * pass some nanoseconds, in which nothing ever happens in a test; so the driver is
 * built to let 30 ms pass.  Whatever another thread can do to the second look then
 * does it in almost every round.
 */
#include "dev.h"
#include "harness.h"
#include "revoke_util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define WINDOW (4 * DEV_MIB2)
#define LOOKED_AT (32 * DEV_MIB2)	/* a second of looks */
#define STORMS 2
#define ROUNDS 12

static struct ru_target t;
static struct ru_hold hold;
static atomic_bool stop;

static void clean_up(void)
{
	dev_close(&t.d);
	dev_check_rest("target");
}

/* Faults of the kernel's, one after the other; with the gate closed each is refused. */
static long storm(void *arg)
{
	int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	long refused = 0;

	(void)arg;
	while (!atomic_load(&stop))
		refused += pread(zero, t.win, 1, 0) < 0;
	close(zero);
	return refused;
}

/* The gate must come to rest whatever is refused by it meanwhile. */
static void settles_in_a_storm(void)
{
	struct ru_call storms[STORMS];
	long refused = 0;

	H_EQ(ru_target_open(&t, "target", WINDOW), 0);
	atomic_store(&stop, false);
	for (int i = 0; i < STORMS; i++)
		ru_call(&storms[i], storm, NULL);
	for (int i = 0; i < ROUNDS && !h_failed(); i++)
		H_EQ(ru_reset(&t.d), 0);
	atomic_store(&stop, true);
	for (int i = 0; i < STORMS; i++) {
		H_CHECK(ru_join(&storms[i], 10000));
		refused += storms[i].ret;
	}
	h_diag("%ld faults were refused during %d resets", refused, ROUNDS);
	H_CHECK(refused > 0);
	clean_up();
}

/*
 * Each drain gives up the driver's own reference of a folio it waits for.  Another
 * one must not take the reference of the pin, which is left, for the driver's.
 */
static void two_drains(void)
{
	struct ru_call one, two;

	H_EQ(dev_param("drain_timeout_ms", "400"), 0);
	H_EQ(ru_target_open(&t, "target", WINDOW), 0);
	hold = (struct ru_hold){ .first = { t.d.fd, t.cookie + DEV_MIB2 } };
	H_EQ(ru_hold_begin(&hold), 0);
	for (int i = 0; i < ROUNDS && !h_failed(); i++) {
		ru_call(&one, ru_reset, &t.d);
		usleep(i * 3000);
		ru_call(&two, ru_reset, &t.d);
		H_CHECK(ru_join(&one, 10000) && ru_join(&two, 10000));
		H_EQ(one.ret, -EBUSY);
		H_EQ(two.ret, -EBUSY);
		H_EQ(dev_count("target", "pinned_folios"), 1);
	}
	ru_hold_end(&hold);
	H_EQ(dev_param("drain_timeout_ms", "10000"), 0);
	H_EQ(ru_reset(&t.d), 0);
	H_CHECK(ru_works(&t));
	clean_up();
}

/* A drain looks at one folio after the other, of a window that nobody maps any more. */
static void keeps_what_is_looked_at(void)
{
	int efd = eventfd(0, EFD_CLOEXEC);
	struct p2p_vfio_events ev = { .fd = efd, .flags = P2P_VFIO_EVENTS_ADD };
	struct p2p_vfio_window win = { .flags = P2P_VFIO_WINDOW_UNREGISTER };
	uint64_t signals;
	struct ru_call reset;

	H_CHECK(dev_unbind("target", 10));
	dev_bind("target", DEV_P2P);
	H_EQ(ru_target_open(&t, "target", LOOKED_AT), 0);
	for (size_t at = 0; at < LOOKED_AT; at += DEV_MIB2)
		t.win[at] = 1;
	dev_unmap(&t.d, t.win);
	H_EQ(dev_feature(&t.d, VFIO_DEVICE_FEATURE_SET | P2P_VFIO_FEATURE_EVENTS, &ev, sizeof(ev)), 0);
	ru_call(&reset, ru_reset, &t.d);
	H_EQ(read(efd, &signals, sizeof(signals)), sizeof(signals));
	h_sleep_ms(60);
	H_EQ(dev_feature(&t.d, VFIO_DEVICE_FEATURE_SET | P2P_VFIO_FEATURE_WINDOW, &win, sizeof(win)),
	     dev_standard_provider() ? -EOPNOTSUPP : -EBUSY);
	H_CHECK(!ru_done(&reset));
	H_CHECK(ru_join(&reset, 10000));
	H_EQ(reset.ret, 0);
	close(efd);
	clean_up();
}

static const struct h_case cases[] = {
	{ "a gate settles in a storm of faults", settles_in_a_storm },
	{ "two drains wait for the same pin", two_drains },
	{ "a window stays while a drain looks at it", keeps_what_is_looked_at },
	{ }
};

int main(int argc, char **argv)
{
	h_expect_log("p2p: 1 folios still pinned");
	dev_bind("target", DEV_P2P);
	return h_main(argc, argv, cases);
}
