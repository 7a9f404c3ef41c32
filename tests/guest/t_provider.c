// SPDX-License-Identifier: MIT
/*
 * Where a window's folios come from, and that it can be given back.
 *
 * The suite runs with both providers (the kernel's command line says which), and
 * the driver has to give the one that was asked for: a fallback nobody noticed
 * would let all other suites test the same provider twice.  That it really is
 * another one shows in the kernel's own count of pages that hold struct pages:
 * 8 KiB for 2 MiB of window instead of 32.
 *
 * Giving back is dangerous while somebody can still reach the pages.  A mapping in
 * another process and a pin without any mapping (userfaultfd holds the read that
 * has it) each must refuse it, and change nothing; afterwards the number, the
 * range and the host memory are free again.  What the driver forgets to check
 * here, the next access to a freed struct page shows: KASAN or an oops.
 *
 * A drain that is under way has taken the driver's own reference from folios that
 * it has waited for, also of a window that leaves meanwhile.  Two windows show it:
 * the drain waits for a pin of the first, then, while the first is given back, for
 * one of the second.  And a drain may end, by a signal, while the last holder of a
 * folio is still on its way to say so: whatever came first, the next drain must
 * wait for the next pin.
 *
 * That the own provider's drain waits for an event instead of looking again and
 * again shows in how often the waiting thread has slept: once or twice for half a
 * second, not some hundred times.
 */
#define _GNU_SOURCE
#include "dev.h"
#include "harness.h"
#include "revoke_util.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB2 DEV_MIB2
#define WINDOW (8 * MIB2)
#define PAGES_OF_STRUCT_PAGES 8		/* for 2 MiB: 512 * 64 bytes */

static struct ru_target t;
static struct ru_hold hold, later;

static void needs_own(void)
{
	if (dev_standard_provider())
		h_skip_case("the kernel's pool gives nothing back before unbind");
}

static int unregister(uint32_t id)
{
	struct p2p_vfio_window win = { .flags = P2P_VFIO_WINDOW_UNREGISTER, .id = id };

	return dev_feature(&t.d, VFIO_DEVICE_FEATURE_SET | P2P_VFIO_FEATURE_WINDOW, &win, sizeof(win));
}

static int window_set(uint64_t offset, uint64_t length, struct p2p_vfio_window *win)
{
	return dev_window_set(&t.d, t.bar, offset, length, 0, win);
}

/* A device of which no window is registered yet, whatever ran before. */
static void set_up(void)
{
	H_CHECK(dev_unbind("target", 10));
	dev_bind("target", DEV_P2P);
	H_EQ(dev_param("drain_timeout_ms", "10000"), 0);
	H_EQ(dev_open(&t.d, "target"), 0);
	t.bar = dev_bar(&t.d);
}

static void map_window(const struct p2p_vfio_window *win)
{
	t.cookie = win->mmap_offset;
	t.length = win->length;
	t.win = dev_map(&t.d, t.cookie, t.length);
	t.raw = dev_map_raw(&t.d, t.bar, win->offset, win->length);
	H_CHECK(t.win && t.raw);
}

static void clean_up(void)
{
	dev_close(&t.d);
	dev_check_rest("target");
}

static void is_as_asked(void)
{
	const bool pool = dev_standard_provider();
	struct p2p_vfio_window win;
	struct p2p_vfio_state st;
	long long before, after;

	set_up();
	H_EQ(dev_state(&t.d, &st), 0);
	H_EQ(st.provider_reason, P2P_VFIO_PROVIDER_UNTRIED);
	before = dev_memmap_pages();
	H_CHECK(before >= 0);
	H_EQ(window_set(0, WINDOW, &win), 0);
	after = dev_memmap_pages();
	H_EQ(win.provider, pool ? P2P_VFIO_PROVIDER_STANDARD : P2P_VFIO_PROVIDER_OWN);
	H_EQ(dev_state(&t.d, &st), 0);
	H_EQ(st.provider_reason, pool ? P2P_VFIO_PROVIDER_ASKED : P2P_VFIO_PROVIDER_PROVEN);
	/* Only large folios can have the same page for most of their struct pages. */
	H_EQ(after - before, WINDOW / MIB2 * PAGES_OF_STRUCT_PAGES / (pool || !dev_has_pmd() ? 1 : 4));
	map_window(&win);
	H_CHECK(ru_works(&t));
	clean_up();
}

static void gives_back(void)
{
	struct p2p_vfio_window win, other;
	long long before;

	needs_own();
	set_up();
	H_EQ(window_set(0, MIB2, &other), 0);
	before = dev_memmap_pages();
	for (int i = 0; i < 20; i++) {
		H_EQ(window_set(2 * MIB2, WINDOW + i % 4 * MIB2, &win), 0);
		H_EQ(win.id, 1);
		map_window(&win);
		H_CHECK(ru_works(&t));
		dev_unmap(&t.d, t.win);
		dev_unmap(&t.d, t.raw);
		H_EQ(unregister(win.id), 0);
		H_EQ(dev_memmap_pages(), before);
		H_EQ(dev_window_get(&t.d, 1, 0, &win), -ENOENT);
		H_EQ(dev_count("target", "touched_folios"), 0);
		H_CHECK(!dev_map(&t.d, t.cookie, MIB2));
		H_EQ(errno, EINVAL);
	}
	/* A window below a hole is found, and the hole is filled. */
	H_EQ(window_set(2 * MIB2, MIB2, &win), 0);
	H_EQ(unregister(0), 0);
	H_EQ(dev_window_get(&t.d, 1, 0, &win), 0);
	H_EQ(dev_reset(&t.d), 0);
	H_EQ(window_set(4 * MIB2, WINDOW, &win), 0);
	H_EQ(win.id, 0);
	map_window(&win);
	H_CHECK(ru_works(&t));
	clean_up();
}

/* What is behind a hole in the windows' numbers is waited for, and zapped. */
static void beyond_a_hole(void)
{
	struct p2p_vfio_window first, win;

	needs_own();
	set_up();
	H_EQ(dev_param("drain_timeout_ms", "200"), 0);
	H_EQ(window_set(0, MIB2, &first), 0);
	H_EQ(window_set(2 * MIB2, WINDOW, &win), 0);
	H_EQ(unregister(first.id), 0);
	map_window(&win);
	hold = (struct ru_hold){ .first = { t.d.fd, t.cookie + MIB2 } };
	H_EQ(ru_hold_begin(&hold), 0);
	H_EQ(dev_count("target", "pinned_folios"), 1);
	H_EQ(dev_reset(&t.d), -EBUSY);
	ru_hold_end(&hold);
	H_CHECK(h_wait_until(!dev_count("target", "pinned_folios"), 2000));
	t.win[0] = 1;
	H_EQ(dev_reset(&t.d), 0);
	H_CHECK(!ru_mapped(t.win));
	H_CHECK(ru_works(&t));
	clean_up();
}

static void keeps_what_is_mapped(void)
{
	struct p2p_vfio_window win;
	int status, go[2];
	pid_t child;

	needs_own();
	set_up();
	H_EQ(window_set(0, WINDOW, &win), 0);
	map_window(&win);
	H_EQ(unregister(win.id), -EBUSY);
	H_CHECK(ru_works(&t));

	/* A child has inherited the mapping: it is one as well. */
	H_EQ(pipe(go), 0);
	child = fork();
	if (!child) {
		char c;

		close(go[1]);
		_exit(read(go[0], &c, 1) != 0 || t.win[0] == t.win[1] + 256);
	}
	dev_unmap(&t.d, t.win);
	H_EQ(unregister(win.id), -EBUSY);
	close(go[1]);
	H_EQ(waitpid(child, &status, 0), child);
	H_EQ(status, 0);
	H_EQ(unregister(win.id), 0);
	clean_up();
}

static void keeps_what_is_pinned(void)
{
	struct p2p_vfio_window win;

	needs_own();
	set_up();
	H_EQ(window_set(0, WINDOW, &win), 0);
	map_window(&win);
	hold = (struct ru_hold){ .first = { t.d.fd, t.cookie + MIB2 } };
	H_EQ(ru_hold_begin(&hold), 0);
	H_EQ(ru_hold_unmap(&hold), 0);
	dev_unmap(&t.d, t.win);
	H_EQ(unregister(win.id), -EBUSY);
	H_EQ(dev_window_get(&t.d, win.id, 0, &win), 0);
	t.win = dev_map(&t.d, t.cookie, t.length);
	H_CHECK(t.win);
	dev_unmap(&t.d, t.win);
	ru_hold_end(&hold);
	H_CHECK(h_wait_until(!unregister(win.id), 2000));
	clean_up();
}

static void refuses_nonsense(void)
{
	const struct {
		struct p2p_vfio_window win;
		int err;
	} bad[] = {
		{ { .flags = P2P_VFIO_WINDOW_UNREGISTER, .id = 5 }, -ENOENT },
		{ { .flags = P2P_VFIO_WINDOW_UNREGISTER, .id = P2P_VFIO_MAX_WINDOWS }, -ENOENT },
		{ { .flags = P2P_VFIO_WINDOW_UNREGISTER, .id = ~0u }, -ENOENT },
		{ { .flags = P2P_VFIO_WINDOW_UNREGISTER | P2P_VFIO_WINDOW_WC }, -EINVAL },
		{ { .flags = P2P_VFIO_WINDOW_UNREGISTER, .bar = 1 }, -EINVAL },
		{ { .flags = P2P_VFIO_WINDOW_UNREGISTER, .offset = MIB2 }, -EINVAL },
		{ { .flags = P2P_VFIO_WINDOW_UNREGISTER, .length = MIB2 }, -EINVAL },
		{ { .flags = P2P_VFIO_WINDOW_UNREGISTER, .mmap_offset = 1 }, -EINVAL },
		{ { .flags = P2P_VFIO_WINDOW_UNREGISTER, .provider = P2P_VFIO_PROVIDER_OWN }, -EINVAL },
	};
	struct p2p_vfio_window win;
	int status;

	set_up();
	H_EQ(window_set(0, WINDOW, &win), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		win = bad[i].win;
		H_EQ(dev_feature(&t.d, VFIO_DEVICE_FEATURE_SET | P2P_VFIO_FEATURE_WINDOW,
				 &win, sizeof(win)), bad[i].err);
	}
	win = bad[0].win;
	H_EQ(dev_feature(&t.d, VFIO_DEVICE_FEATURE_GET | P2P_VFIO_FEATURE_WINDOW, &win, sizeof(win)),
	     -EINVAL);
	if (!fork())
		_exit(setresuid(1000, 1000, 1000) || unregister(0) != -EPERM);
	wait(&status);
	H_EQ(status, 0);
	H_EQ(dev_window_get(&t.d, 0, 0, &win), 0);
	if (dev_standard_provider())
		H_EQ(unregister(0), -EOPNOTSUPP);
	clean_up();
}

/* How often a thread has gone to sleep. */
static long sleeps_of(int tid)
{
	char text[4096], *at;

	if (h_readf(text, sizeof(text), "/proc/self/task/%d/status", tid))
		return -1;
	at = strstr(text, "\nvoluntary_ctxt_switches:");
	return at ? atol(strchr(at, ':') + 1) : -1;
}

static void drain_is_told(void)
{
	struct p2p_vfio_window win;
	struct ru_call call;
	long before, after;

	needs_own();
	set_up();
	H_EQ(window_set(0, WINDOW, &win), 0);
	map_window(&win);
	hold = (struct ru_hold){ .first = { t.d.fd, t.cookie + MIB2 } };
	H_EQ(ru_hold_begin(&hold), 0);
	ru_call(&call, ru_reset, &t.d);
	H_CHECK(ru_hold_drains(&hold, "target"));
	H_CHECK(ru_sleeps(&call, 2000));
	before = sleeps_of(call.tid);
	h_sleep_ms(500);
	after = sleeps_of(call.tid);
	H_CHECK(before > 0 && after >= before);
	h_diag("the drain slept %ld times in 500 ms", after - before);
	H_CHECK(after - before < 20);
	H_CHECK(!ru_done(&call));
	ru_hold_end(&hold);
	H_CHECK(ru_join(&call, 5000));
	H_EQ(call.ret, 0);
	H_CHECK(ru_works(&t));
	clean_up();
}

/* A drain that gave up has given the baseline up as well: it must be as it was. */
static void refusal_restores(void)
{
	struct p2p_vfio_window win;
	struct p2p_vfio_state st;

	needs_own();
	set_up();
	H_EQ(dev_param("drain_timeout_ms", "200"), 0);
	H_EQ(window_set(0, WINDOW, &win), 0);
	map_window(&win);
	hold = (struct ru_hold){ .first = { t.d.fd, t.cookie + MIB2 } };
	H_EQ(ru_hold_begin(&hold), 0);
	H_EQ(dev_reset(&t.d), -EBUSY);
	H_EQ(dev_reset(&t.d), -EBUSY);
	H_EQ(dev_state(&t.d, &st), 0);
	H_EQ(st.pinned_folios, 1);
	ru_hold_end(&hold);
	H_CHECK(h_wait_until(!dev_count("target", "pinned_folios"), 2000));
	H_CHECK(ru_works(&t));
	/* The next pin of that folio counts, and its end. */
	hold = (struct ru_hold){ .first = { t.d.fd, t.cookie + MIB2 } };
	H_EQ(ru_hold_begin(&hold), 0);
	H_EQ(dev_reset(&t.d), -EBUSY);
	ru_hold_end(&hold);
	H_CHECK(h_wait_until(!dev_reset(&t.d), 2000));
	H_CHECK(ru_works(&t));
	dev_unmap(&t.d, t.win);
	H_CHECK(h_wait_until(!unregister(win.id), 2000));
	clean_up();
}

/*
 * A drain has given up the baseline of the first window's folio, has seen it fall to
 * 0, and waits for the second window.  The first stays until the drain has put the
 * baseline back: given back before, it would be waited for without end.
 */
static void gives_back_during_a_drain(void)
{
	struct p2p_vfio_window first, second;
	struct ru_call call;

	needs_own();
	set_up();
	H_EQ(window_set(0, MIB2, &first), 0);
	H_EQ(window_set(2 * MIB2, MIB2, &second), 0);
	hold = (struct ru_hold){ .first = { t.d.fd, first.mmap_offset } };
	later = (struct ru_hold){ .first = { t.d.fd, second.mmap_offset } };
	H_EQ(ru_hold_begin(&hold), 0);
	H_EQ(ru_hold_begin(&later), 0);
	H_EQ(ru_hold_unmap(&hold), 0);
	ru_call(&call, ru_reset, &t.d);
	H_CHECK(ru_hold_drains(&later, "target"));
	H_CHECK(ru_sleeps(&call, 2000));
	H_EQ(unregister(first.id), -EBUSY);
	ru_hold_end(&hold);
	/* Nothing holds it, but the drain has not restored what it gave up. */
	H_EQ(unregister(first.id), -EBUSY);
	H_CHECK(!ru_done(&call));
	H_EQ(unregister(second.id), -EBUSY);
	ru_hold_end(&later);
	H_CHECK(ru_join(&call, 5000));
	H_EQ(call.ret, 0);
	H_EQ(unregister(first.id), 0);
	H_EQ(window_set(0, WINDOW / 8, &first), 0);
	H_EQ(first.id, 0);
	map_window(&first);
	H_CHECK(ru_works(&t));
	clean_up();
}

static void heard(int signal)
{
	(void)signal;
}

static void ends_while_a_pin_goes(void)
{
	const struct sigaction act = { .sa_handler = heard };
	struct p2p_vfio_window win;
	struct ru_call call;

	needs_own();
	set_up();
	H_EQ(sigaction(SIGUSR1, &act, NULL), 0);
	H_EQ(window_set(0, WINDOW, &win), 0);
	map_window(&win);
	hold = (struct ru_hold){ .first = { t.d.fd, t.cookie + MIB2 } };
	H_EQ(ru_hold_begin(&hold), 0);
	ru_call(&call, ru_reset, &t.d);
	H_CHECK(ru_hold_drains(&hold, "target"));
	H_CHECK(ru_sleeps(&call, 2000));
	H_EQ(ru_hold_serve(&hold), 0);
	H_CHECK(h_wait_until(!dev_count("target", "pinned_folios"), 2000));
	if (!ru_done(&call))
		pthread_kill(call.thread, SIGUSR1);
	H_CHECK(ru_join(&call, 5000));
	H_CHECK(call.ret == 0 || call.ret == -EINTR);
	ru_hold_end(&hold);
	H_CHECK(ru_works(&t));

	H_EQ(dev_param("drain_timeout_ms", "200"), 0);
	hold = (struct ru_hold){ .first = { t.d.fd, t.cookie + MIB2 } };
	H_EQ(ru_hold_begin(&hold), 0);
	H_EQ(dev_reset(&t.d), -EBUSY);
	ru_hold_end(&hold);
	H_CHECK(h_wait_until(!dev_reset(&t.d), 2000));
	H_CHECK(ru_works(&t));
	clean_up();
}

static void small_folios(void)
{
	struct p2p_vfio_window win;
	struct p2p_vfio_state st;

	set_up();
	H_EQ(dev_param("small_folios", "1"), 0);
	H_EQ(window_set(0, WINDOW, &win), 0);
	H_EQ(dev_param("small_folios", "0"), 0);
	H_EQ(win.provider, P2P_VFIO_PROVIDER_STANDARD);
	map_window(&win);
	memset(t.win, 5, 2 * MIB2);
	H_EQ(dev_state(&t.d, &st), 0);
	H_EQ(st.provider_reason, P2P_VFIO_PROVIDER_ASKED);
	H_EQ(st.faults_pmd, 0);
	H_EQ(st.faults_pte, 2 * MIB2 / RU_PAGE);
	H_EQ(st.touched_folios, 2 * MIB2 / RU_PAGE);
	H_CHECK(ru_works(&t));
	H_EQ(dev_reset(&t.d), 0);
	H_EQ(dev_count("target", "touched_folios"), 0);
	H_CHECK(ru_works(&t));
	clean_up();
}

static const struct h_case cases[] = {
	{ "a window has the provider that was asked for", is_as_asked },
	{ "a window is given back, with its number and memory", gives_back },
	{ "a revocation reaches windows beyond a hole", beyond_a_hole },
	{ "a mapped window is kept", keeps_what_is_mapped },
	{ "a pinned window is kept", keeps_what_is_pinned },
	{ "giving back refuses nonsense", refuses_nonsense },
	{ "a drain is told when the last pin goes", drain_is_told },
	{ "a refused drain restores what it gave up", refusal_restores },
	{ "a window that a drain has passed is given back after it", gives_back_during_a_drain },
	{ "a drain ends while the last pin goes", ends_while_a_pin_goes },
	{ "windows of 4 KiB pages", small_folios },
	{ }
};

int main(int argc, char **argv)
{
	dev_bind("target", DEV_P2P);
	return h_main(argc, argv, cases);
}
