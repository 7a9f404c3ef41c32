/* SPDX-License-Identifier: MIT */
/* interrupt.c - signals that ask the tool to end, at a moment that suits it */
#include "interrupt.h"

#include <signal.h>

#include "cli.h"
#include "text.h"

static volatile sig_atomic_t seen;

static void on_signal(int number)
{
	seen = number;
}

void interrupt_catch(bool restart)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction action = {
		.sa_handler = on_signal,
		.sa_flags = restart ? SA_RESTART : 0,
	};
	struct sigaction present;
	size_t i;

	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (!sigaction(numbers[i], NULL, &present) &&
		    present.sa_handler != SIG_IGN)
			sigaction(numbers[i], &action, NULL);
	signal(SIGPIPE, SIG_IGN);
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
