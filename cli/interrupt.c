/* SPDX-License-Identifier: MIT */
/* interrupt.c - signals that ask the tool to end, at a moment that suits it */
#include "interrupt.h"

#include <poll.h>
#include <signal.h>
#include <time.h>

#include "cli.h"
#include "text.h"

static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };

#define NUMBERS (sizeof(numbers) / sizeof(numbers[0]))

static volatile sig_atomic_t seen;

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

void interrupt_let_go(void)
{
	struct sigaction present;
	size_t i;

	for (i = 0; i < NUMBERS; i++)
		if (!sigaction(numbers[i], NULL, &present) &&
		    present.sa_handler == on_signal)
			signal(numbers[i], SIG_DFL);
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
			text("interrupted by signal %d", (int)seen), NULL);
}
