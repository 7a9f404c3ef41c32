/* SPDX-License-Identifier: MIT */
/* bar_memory.c - loads and stores of device memory, by the CPU */
#include "bar_memory.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>

static sigjmp_buf lost;

static void on_bus_error(int signal)
{
	(void)signal;
	siglongjmp(lost, 1);
}

void bar_load(uint8_t *to, volatile const uint8_t *from, size_t size)
{
	for (; size && (uintptr_t)from % 8; size--)
		*to++ = *from++;
	for (; size >= 8; size -= 8, to += 8, from += 8) {
		uint64_t word = *(volatile const uint64_t *)from;

		memcpy(to, &word, 8);
	}
	for (; size; size--)
		*to++ = *from++;
}

void bar_store(volatile uint8_t *to, const uint8_t *from, size_t size)
{
	for (; size >= 8; size -= 8, to += 8, from += 8) {
		uint64_t word;

		memcpy(&word, from, 8);
		*(volatile uint64_t *)to = word;
	}
}

int bar_guarded(int (*work)(void *arg), void *arg)
{
	struct sigaction action = { .sa_handler = on_bus_error }, before;
	int error = -EIO;

	sigaction(SIGBUS, &action, &before);
	if (!sigsetjmp(lost, 1))
		error = work(arg);
	sigaction(SIGBUS, &before, NULL);
	return error;
}
