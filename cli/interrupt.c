/* SPDX-License-Identifier: MIT */
/* interrupt.c - signals that ask the tool to end, at a moment that suits it */
#include "interrupt.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

#include "cli.h"
#include "text.h"

static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };

#define NUMBERS (sizeof(numbers) / sizeof(numbers[0]))

/* What comes so soon after the first means the same: timeout(1) sends two. */
#define ECHO_NS	300000000L
/* Ends a wait of the watched thread with EINTR, and the thread that watches. */
#define NUDGE	SIGRTMIN

static atomic_int seen;

static struct watch {
	sigset_t ends;		/* what is watched for: nothing that is ignored */
	pthread_t thread;
	pthread_t watched;
	bool runs;
} watch;

static void on_signal(int number)
{
	seen = number;
}

void interrupt_catch(bool restart)
{
	struct sigaction action = {
		.sa_handler = on_signal,
		.sa_flags = restart ? SA_RESTART : 0,
	};
	struct sigaction present;
	size_t i;

	for (i = 0; i < NUMBERS; i++)
		if (!sigaction(numbers[i], NULL, &present) &&
		    present.sa_handler != SIG_IGN)
			sigaction(numbers[i], &action, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static const sigset_t *nudge_alone(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, NUDGE);
	return set;
}

/* Everybody else has the signals blocked, so by default action the second one ends all. */
static void remember(int number)
{
	const struct timespec echo = { .tv_nsec = ECHO_NS }, now = { 0 };

	seen = number;
	pthread_kill(watch.watched, NUDGE);
	nanosleep(&echo, NULL);
	while (sigtimedwait(&watch.ends, NULL, &now) > 0)
		continue;
	pthread_sigmask(SIG_UNBLOCK, &watch.ends, NULL);
}

static void *look_out(void *arg)
{
	sigset_t wanted = watch.ends;
	int number;

	(void)arg;
	sigaddset(&wanted, NUDGE);
	sigwait(&wanted, &number);
	if (number == NUDGE)
		return NULL;
	remember(number);
	sigwait(nudge_alone(&wanted), &number);
	return NULL;
}

static void on_nudge(int number)
{
	(void)number;
}

/* The new thread must not miss its own. */
static bool start_watch(void)
{
	sigset_t nudge;
	bool runs;

	pthread_sigmask(SIG_BLOCK, nudge_alone(&nudge), NULL);
	runs = !pthread_create(&watch.thread, NULL, look_out, NULL);
	pthread_sigmask(SIG_UNBLOCK, &nudge, NULL);
	return runs;
}

void interrupt_watch(void)
{
	struct sigaction nudge = { .sa_handler = on_nudge }, present;
	size_t i;

	sigemptyset(&watch.ends);
	for (i = 0; i < NUMBERS; i++)
		if (!sigaction(numbers[i], NULL, &present) &&
		    present.sa_handler != SIG_IGN)
			sigaddset(&watch.ends, numbers[i]);
	sigaction(NUDGE, &nudge, NULL);
	signal(SIGPIPE, SIG_IGN);
	watch.watched = pthread_self();
	pthread_sigmask(SIG_BLOCK, &watch.ends, NULL);
	watch.runs = start_watch();
	/* Then a signal does what it always does. */
	if (!watch.runs)
		pthread_sigmask(SIG_UNBLOCK, &watch.ends, NULL);
}

void interrupt_unwatch(void)
{
	if (!watch.runs)
		return;
	pthread_kill(watch.thread, NUDGE);
	pthread_join(watch.thread, NULL);
	watch.runs = false;
	pthread_sigmask(SIG_UNBLOCK, &watch.ends, NULL);
	if (seen)
		raise(seen);
}

void interrupt_wait(int fd, double seconds)
{
	struct timespec most = {
		.tv_sec = (time_t)seconds,
		.tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9),
	};
	struct pollfd poll = { .fd = fd, .events = POLLIN };
	sigset_t blocked, before;
	size_t i;

	sigemptyset(&blocked);
	for (i = 0; i < NUMBERS; i++)
		sigaddset(&blocked, numbers[i]);
	sigprocmask(SIG_BLOCK, &blocked, &before);
	if (!seen)
		ppoll(&poll, 1, &most, &before);
	sigprocmask(SIG_SETMASK, &before, NULL);
}

int interrupt_seen(void)
{
	return seen;
}

int interrupt_fail(const char *device, const char *step)
{
	return fail_for(EINTR, EXIT_FAILED, device, step,
			text("interrupted by signal %d", seen), NULL);
}
