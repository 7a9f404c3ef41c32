// SPDX-License-Identifier: MIT
/*
 * Signals while a revocation waits for a pin, and while a thread waits for a
 * revocation.
 *
 * userfaultfd holds the pin (ru_hold), so both wait as long as the test wants.
 * A signal ends the wait of a reset: EINTR, nothing changed; or it goes on
 * when the handler was installed with SA_RESTART.  A thread that waits because
 * it touched the window runs its handler at once, and waits on; and it can be
 * killed.
 */
#define _GNU_SOURCE
#include "dev.h"
#include "harness.h"
#include "revoke_util.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define WINDOW (4 * DEV_MIB2)
#define MARK_AT (WINDOW - 64)

static struct ru_target t;
static struct ru_hold hold;

static void set_up(void)
{
	/* No time is to run out here. */
	H_EQ(dev_param("drain_timeout_ms", "60000"), 0);
	H_EQ(ru_target_open(&t, "target", WINDOW), 0);
	t.raw[MARK_AT] = 0;
	hold = (struct ru_hold){ .first = { t.d.fd, t.cookie } };
	H_EQ(ru_hold_begin(&hold), 0);
}

static void clean_up(void)
{
	dev_close(&t.d);
	dev_check_rest("target");
}

static bool still_draining(struct ru_call *call)
{
	return ru_hold_drains(&hold, "target") && !ru_done(call);
}

static long store_mark(void *arg)
{
	(void)arg;
	((volatile char *)t.win)[MARK_AT] = 1;
	return 0;
}

static atomic_int handled;

static void on_signal(int number)
{
	(void)number;
	atomic_fetch_add(&handled, 1);
}

static void catch_signal(int flags)
{
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = flags };

	sigaction(SIGUSR1, &sa, NULL);
	atomic_store(&handled, 0);
}

static void signal_ends_wait(void)
{
	struct p2p_vfio_state before, now;
	struct ru_call act;

	set_up();
	catch_signal(0);
	H_EQ(dev_state(&t.d, &before), 0);
	ru_call(&act, ru_reset, &t.d);
	H_CHECK(still_draining(&act));
	pthread_kill(act.thread, SIGUSR1);
	H_CHECK(ru_join(&act, 5000));
	H_EQ(act.ret, -EINTR);
	H_EQ(atomic_load(&handled), 1);
	H_EQ(dev_state(&t.d, &now), 0);
	H_EQ(now.revokes[P2P_VFIO_CAUSE_RESET]--, before.revokes[P2P_VFIO_CAUSE_RESET] + 1);
	H_CHECK(ru_same_state(&now, &before));
	H_CHECK(ru_works(&t));
	H_CHECK(ru_hold_end(&hold) >= RU_PAGE);
	H_EQ(ru_reset(&t.d), 0);
	clean_up();
}

static void signal_restarts(void)
{
	long long generation;
	struct ru_call act;

	set_up();
	catch_signal(SA_RESTART);
	generation = dev_count("target", "generation");
	ru_call(&act, ru_reset, &t.d);
	H_CHECK(still_draining(&act));
	for (int i = 1; i <= 3; i++) {
		pthread_kill(act.thread, SIGUSR1);
		H_CHECK(h_wait_until(atomic_load(&handled) == i, 5000));
		H_CHECK(still_draining(&act));
	}
	H_CHECK(ru_hold_end(&hold) >= RU_PAGE);
	H_CHECK(ru_join(&act, 10000));
	H_EQ(act.ret, 0);
	H_EQ(dev_count("target", "generation"), generation + 1);
	clean_up();
}

/* The handler runs while the gate is closed; then the thread waits on. */
static void signal_reaches_toucher(void)
{
	struct ru_call act, touch;

	set_up();
	catch_signal(0);
	ru_call(&act, ru_reset, &t.d);
	H_CHECK(still_draining(&act));
	ru_call(&touch, store_mark, NULL);
	H_CHECK(h_wait_until(dev_count("target", "faults_waited"), 5000));
	for (int i = 1; i <= 3; i++) {
		pthread_kill(touch.thread, SIGUSR1);
		H_CHECK(h_wait_until(atomic_load(&handled) == i, 5000));
		H_CHECK(still_draining(&act));
		H_CHECK(!ru_done(&touch));
	}
	H_EQ(t.raw[MARK_AT], 0);
	H_CHECK(ru_hold_end(&hold) >= RU_PAGE);
	H_CHECK(ru_join(&act, 10000));
	H_EQ(act.ret, 0);
	H_CHECK(ru_join(&touch, 5000));
	H_EQ(t.raw[MARK_AT], 1);
	clean_up();
}

static pid_t fork_toucher(void)
{
	pid_t pid = fork();

	if (!pid) {
		store_mark(NULL);
		_exit(0);
	}
	return pid;
}

static void toucher_can_be_killed(void)
{
	long long waited;
	struct ru_call act;
	int status;
	pid_t pid;

	set_up();
	waited = dev_count("target", "faults_waited");
	ru_call(&act, ru_reset, &t.d);
	H_CHECK(still_draining(&act));
	pid = fork_toucher();
	H_CHECK(h_wait_until(dev_count("target", "faults_waited") > waited, 5000));
	kill(pid, SIGKILL);
	H_CHECK(h_await(pid, &status, 5000));
	H_CHECK(WIFSIGNALED(status));
	H_CHECK(still_draining(&act));
	H_CHECK(ru_hold_end(&hold) >= RU_PAGE);
	H_CHECK(ru_join(&act, 10000));
	H_EQ(act.ret, 0);
	H_EQ(t.raw[MARK_AT], 0);
	clean_up();
}

static const struct h_case cases[] = {
	{ "a signal ends the wait", signal_ends_wait },
	{ "a signal restarts the wait", signal_restarts },
	{ "a signal reaches a thread that touches the window", signal_reaches_toucher },
	{ "a process that touches the window can be killed", toucher_can_be_killed },
	{ }
};

int main(int argc, char **argv)
{
	dev_bind("target", DEV_P2P);
	return h_main(argc, argv, cases);
}
