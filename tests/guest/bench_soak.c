// SPDX-License-Identifier: MIT
/*
 * What the CPU has left, counted: see bench.h.
 *
 * A thread of the least priority there is (SCHED_IDLE) runs whenever nothing else
 * does, and counts pieces of work that all take the same.  What is not its work is
 * everybody else's: programs, workers, interrupts, and switching between them.  A
 * part of that is there all the time (the timer's tick): it is measured while nobody
 * else does anything, and left out.
 *
 * The kernel's own idle time is no match for that: what an idle CPU does while it
 * keeps its tick is sampled by the tick, and an interrupt that wakes it counts as idle.
 */
#define _GNU_SOURCE
#include "bench.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#define LOOPS 1000	/* of a piece */
#define TRIES 50
#define QUIET_MS 1000

static pthread_t thread;
static atomic_ullong pieces;
static atomic_bool ends;
static double piece_ns, background;	/* of each ns */

/* The same code wherever it is called, and no memory but the count. */
static __attribute__((noinline)) void piece(void)
{
	for (unsigned int i = 0; i < LOOPS; i++)
		__asm__ volatile("" : "+r"(i));
	atomic_fetch_add_explicit(&pieces, 1, memory_order_relaxed);
}

static void *soak(void *unused)
{
	(void)unused;
	while (!atomic_load_explicit(&ends, memory_order_relaxed))
		piece();
	return NULL;
}

/* The least of some tries: none of them was interrupted. */
static void calibrate(void)
{
	piece_ns = 0;
	for (int i = 0; i < TRIES; i++) {
		uint64_t begin = h_now_ns();
		double ns;

		for (int n = 0; n < 100; n++)
			piece();
		ns = (h_now_ns() - begin) / 100.0;
		if (!piece_ns || ns < piece_ns)
			piece_ns = ns;
	}
}

static int start(void)
{
	const struct sched_param none = { 0 };
	int err = pthread_create(&thread, NULL, soak, NULL);

	return -(err ?: pthread_setschedparam(thread, SCHED_IDLE, &none));
}

struct bench_soak bench_soak_now(void)
{
	return (struct bench_soak){ h_now_ns(), atomic_load(&pieces) };
}

/* Less than that, and the thread was not the least of all, or not counted right. */
static bool is_quiet(void)
{
	return background >= 0 && background < 0.1;
}

int bench_soak_begin(void)
{
	struct bench_soak then;
	int err;

	calibrate();
	atomic_store(&ends, false);
	background = 0;
	err = start();
	if (err)
		return err;
	h_sleep_ms(10);
	then = bench_soak_now();
	h_sleep_ms(QUIET_MS);
	background = bench_busy_ns(then) / (h_now_ns() - then.now_ns);
	return is_quiet() ? 0 : -EBUSY;
}

double bench_busy_ns(struct bench_soak then)
{
	struct bench_soak now = bench_soak_now();
	double wall = now.now_ns - then.now_ns;

	return wall * (1 - background) - (now.pieces - then.pieces) * piece_ns;
}

double bench_background(void)
{
	return background;
}

void bench_soak_end(void)
{
	atomic_store(&ends, true);
	pthread_join(thread, NULL);
}
