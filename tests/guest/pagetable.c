// SPDX-License-Identifier: MIT
/*
 * How the CPU maps an address: see pagetable.h.
 *
 * A thread spins in user mode on CPU 0, and hardly any other gets in between, so
 * that the page tables of that CPU are this process's while the host reads its
 * CR3 and walks down from there.  The kernel leaves others a twentieth of each second
 * (sched_rt_runtime_us), so an entry that is not found is looked for again.
 */
#define _GNU_SOURCE
#include "pagetable.h"
#include "harness.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define ADDRESS_BITS 0x000ffffffffff000ull
#define LARGE (1ull << 7)
#define TRIES 10

static atomic_int spinning, stop;

static void run_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static void *spin(void *arg)
{
	run_on(0);
	sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){ .sched_priority = 1 });
	spinning = 1;
	while (!stop)
		;
	return arg;
}

/* The number behind a word of the monitor's answer. */
static uint64_t ask(const char *command, const char *word)
{
	char *reply = malloc(1 << 16), *at;
	uint64_t value = 0;

	if (!h_hostf(reply, 1 << 16, "{\"hmp\": \"%s\"}", command) && (at = strstr(reply, word)))
		value = strtoull(at + strlen(word), NULL, 16);
	free(reply);
	return value;
}

static uint64_t read_entry(uint64_t table, unsigned int index)
{
	char command[64];

	snprintf(command, sizeof(command), "xp /1gx 0x%llx", (unsigned long long)(table + 8 * index));
	return ask(command, ": 0x");
}

static uint64_t walk(uint64_t va, size_t *bytes)
{
	uint64_t entry = ask("info registers", "CR3=");

	for (int shift = 39; shift >= 12; shift -= 9) {
		entry = read_entry(entry & ADDRESS_BITS, va >> shift & 511);
		*bytes = (size_t)1 << shift;
		if (!(entry & PT_PRESENT))
			return 0;
		if (shift < 39 && (entry & LARGE))
			break;
	}
	return entry;
}

uint64_t pagetable_entry(const void *address, size_t *bytes)
{
	cpu_set_t before;
	pthread_t spinner;
	uint64_t entry = 0;

	sched_getaffinity(0, sizeof(before), &before);
	run_on(1);
	spinning = stop = 0;
	if (pthread_create(&spinner, NULL, spin, NULL))
		return 0;
	while (!spinning)
		sched_yield();
	for (int tries = 0; tries < TRIES && !(entry & PT_PRESENT); tries++)
		entry = walk((uintptr_t)address, bytes);
	stop = 1;
	pthread_join(spinner, NULL);
	sched_setaffinity(0, sizeof(before), &before);
	return entry;
}

void pagetable_caches(char *at, uint64_t want, size_t want_bytes)
{
	size_t bytes = 0;
	uint64_t entry;

	*(volatile char *)at = 1;
	entry = pagetable_entry(at, &bytes);
	if (!(entry & PT_PRESENT))
		h_fail("no entry was found, or the host did not answer: %#llx", (unsigned long long)entry);
	H_EQ(bytes, want_bytes);
	if ((entry & PT_CACHE) != want)
		h_fail("cache bits of the entry are %#llx, want %#llx",
		       (unsigned long long)(entry & PT_CACHE), (unsigned long long)want);
}
