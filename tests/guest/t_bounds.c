// SPDX-License-Identifier: MIT
/*
 * The bounds: how long anybody waits, and what is left when all is over.
 *
 * A pin is held by userfaultfd (ru_hold), so a drain has only its bound to end
 * it.  A time is measured several times and the best counts: an idle moment of
 * the machine is all that is needed, while a driver that waits too long waits
 * too long every time.  Upper limits are the documented bound and a second.
 *
 * That a revocation with nothing in flight does not sleep is counted, not
 * timed: the kernel counts how often a thread has given up its CPU of its own
 * accord.  Two hundred config writes that revoke must not add to it what two
 * hundred sleeps would.
 *
 * What is left after bind, window, transfer, unbind and unload, again and
 * again, is looked for in the kernel's own books: a leak grows by the same in
 * every round, and so in the round in which everything else happened to be
 * quiet.  The smallest growth of any round counts, for each slab cache, for the
 * list of vmalloc areas and for free memory.  A kernel with kmemleak is asked
 * too.
 *
 * Fails without: the bound of a drain (bound-forgotten), the fineness of its
 * sleep (drain-oversleeps), the interruptible wait at the gate
 * (gate-deaf-for-seconds); and with a sleep in every drain
 * (idle-drain-sleeps), an object that is not freed (gate-leaks).
 */
#define _GNU_SOURCE
#include "dev.h"
#include "harness.h"
#include "revoke_util.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WINDOW (4 * DEV_MIB2)
#define BOUND_MS 700
#define TRIES 3
#define MS 1000000ull

static struct ru_target t;
static struct ru_hold hold;

static void set_up(unsigned int timeout_ms)
{
	H_EQ(ru_timeouts(timeout_ms, timeout_ms), 0);
	H_EQ(ru_target_open(&t, "target", WINDOW), 0);
	hold = (struct ru_hold){ .first = { t.d.fd, t.cookie } };
	H_EQ(ru_hold_begin(&hold), 0);
}

static void clean_up(void)
{
	H_CHECK(ru_hold_end(&hold) >= RU_PAGE);
	dev_close(&t.d);
	dev_check_rest("target");
}

/* Drains */

static long memory_off(void *arg)
{
	uint16_t command;
	ssize_t n;

	dev_config_read(arg, PCI_COMMAND, &command, sizeof(command));
	command &= ~PCI_COMMAND_MEMORY;
	n = dev_config_write(arg, PCI_COMMAND, &command, sizeof(command));
	return n == sizeof(command) ? 0 : n;
}

static long low_power(void *arg)
{
	return dev_feature(arg, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY, NULL, 0);
}

static long sysfs_reset(void *arg)
{
	struct dev *d = arg;

	return h_writef("1", "/sys/bus/pci/devices/%s/reset", d->bdf);
}

/* The bound is waited for, always; and at most a second more, at best. */
static void ends_in_time(long (*act)(void *), long want)
{
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < TRIES; i++) {
		uint64_t begin = h_now_ns(), took;
		struct ru_call call;

		ru_call(&call, act, &t.d);
		H_CHECK(ru_join(&call, 25000));
		took = h_now_ns() - begin;
		H_EQ(call.ret, want);
		H_CHECK(took >= BOUND_MS * MS);
		best = took < best ? took : best;
	}
	h_diag("%llu ms with a bound of %u ms", (unsigned long long)(best / MS), BOUND_MS);
	H_CHECK(best < (BOUND_MS + 1000) * MS);
}

static void refusals_are_in_time(void)
{
	set_up(BOUND_MS);
	if (h_failed())
		return;
	ends_in_time(ru_reset, -EBUSY);
	ends_in_time(ru_hot_reset, -EBUSY);
	ends_in_time(memory_off, -EBUSY);
	ends_in_time(low_power, -EBUSY);
	clean_up();
}

static void outside_is_in_time(void)
{
	h_expect_log("p2p: a reset goes on under I/O");
	set_up(BOUND_MS);
	if (h_failed())
		return;
	ends_in_time(sysfs_reset, 0);
	clean_up();
}

static long close_device(void *arg)
{
	dev_close(arg);
	return 0;
}

/* Once a hold: then the device stays closed. */
static void close_is_in_time(void)
{
	uint64_t best = UINT64_MAX;

	h_expect_log("p2p: closed under I/O");
	for (int i = 0; i < TRIES; i++) {
		struct ru_call call;
		uint64_t begin;

		set_up(BOUND_MS);
		if (h_failed())
			return;
		H_EQ(ru_hold_unmap(&hold), 0);
		begin = h_now_ns();
		ru_call(&call, close_device, &t.d);
		H_CHECK(ru_join(&call, 25000));
		best = h_now_ns() - begin < best ? h_now_ns() - begin : best;
		H_CHECK(h_now_ns() - begin >= BOUND_MS * MS);
		H_CHECK(ru_hold_end(&hold) >= RU_PAGE);
		H_CHECK(h_wait_until(dev_state_is("target", "closed"), 5000));
	}
	h_diag("%llu ms with a bound of %u ms", (unsigned long long)(best / MS), BOUND_MS);
	H_CHECK(best < (BOUND_MS + 1000) * MS);
}

/* 0: a look, and no wait. */
static void zero_does_not_wait(void)
{
	uint64_t begin;

	set_up(0);
	if (h_failed())
		return;
	begin = h_now_ns();
	for (int i = 0; i < TRIES; i++)
		H_EQ(ru_reset(&t.d), -EBUSY);
	H_CHECK(h_now_ns() - begin < 3000 * MS);
	clean_up();
}

/* The end of a pin is seen soon, however long it has been waited for. */
static void end_of_pin_is_seen(void)
{
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < TRIES; i++) {
		struct ru_call call;
		uint64_t begin;

		set_up(600000);
		if (h_failed())
			return;
		ru_call(&call, ru_hot_reset, &t.d);
		H_CHECK(ru_hold_drains(&hold, "target"));
		h_sleep_ms(1500);
		begin = h_now_ns();
		H_CHECK(ru_hold_end(&hold) >= RU_PAGE);
		H_CHECK(ru_join(&call, 25000));
		best = h_now_ns() - begin < best ? h_now_ns() - begin : best;
		H_EQ(call.ret, 0);
		dev_close(&t.d);
		dev_check_rest("target");
	}
	h_diag("%llu ms from the end of the pin to that of the reset", (unsigned long long)(best / MS));
	H_CHECK(best < 1000 * MS);
}

/* Signals */

static _Atomic uint64_t handled_at;

static void on_signal(int number)
{
	(void)number;
	atomic_store(&handled_at, h_now_ns());
}

static long touch(void *arg)
{
	(void)arg;
	((volatile char *)t.win)[WINDOW - 64] = 1;
	return 0;
}

/* From the signal to its handler: nanoseconds, UINT64_MAX for never. */
static uint64_t latency(struct ru_call *call)
{
	uint64_t begin = h_now_ns();

	atomic_store(&handled_at, 0);
	pthread_kill(call->thread, SIGUSR1);
	if (!h_wait_until(atomic_load(&handled_at), 10000))
		return UINT64_MAX;
	return atomic_load(&handled_at) - begin;
}

static void signals_are_heard(void)
{
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	uint64_t at_gate = UINT64_MAX, in_drain = UINT64_MAX, took;
	struct ru_call reset, toucher;
	long long waited;

	sigaction(SIGUSR1, &sa, NULL);
	set_up(600000);
	if (h_failed())
		return;
	ru_call(&reset, ru_reset, &t.d);
	H_CHECK(ru_hold_drains(&hold, "target"));
	waited = dev_count("target", "faults_waited");
	ru_call(&toucher, touch, NULL);
	H_CHECK(h_wait_until(dev_count("target", "faults_waited") > waited, 5000));
	for (int i = 0; i < TRIES; i++) {
		took = latency(&toucher);
		at_gate = took < at_gate ? took : at_gate;
	}
	/* Now it may: a signal to the reset makes it begin anew, and the gate opens for a moment. */
	H_CHECK(!ru_done(&toucher));
	for (int i = 0; i < TRIES; i++) {
		took = latency(&reset);
		in_drain = took < in_drain ? took : in_drain;
	}
	h_diag("heard after %llu us at the gate, %llu us in the drain",
	       (unsigned long long)at_gate / 1000, (unsigned long long)in_drain / 1000);
	H_CHECK(at_gate < 1000 * MS);
	H_CHECK(in_drain < 1000 * MS);
	H_CHECK(ru_hold_end(&hold) >= RU_PAGE);
	H_CHECK(ru_join(&reset, 10000));
	H_CHECK(ru_join(&toucher, 10000));
	H_EQ(reset.ret, 0);
	dev_close(&t.d);
	dev_check_rest("target");
}

/* Nothing in flight */

#define WRITES 200

/* How often this thread has given up its CPU of its own accord. */
static long long given_up(void)
{
	char text[4096], *at;

	if (h_read("/proc/thread-self/status", text, sizeof(text)))
		return -1;
	at = strstr(text, "\nvoluntary_ctxt_switches:");
	return at ? atoll(at + strlen("\nvoluntary_ctxt_switches:")) : -1;
}

/* The same value again: the device does nothing, the driver revokes. */
static void idle_does_not_sleep(void)
{
	long long before, slept, drained, best = -1;
	uint16_t command;

	H_EQ(ru_target_open(&t, "target", WINDOW), 0);
	H_EQ(dev_config_read(&t.d, PCI_COMMAND, &command, 2), 2);
	before = dev_revokes("target", "config");
	slept = given_up();
	H_CHECK(slept >= 0);
	for (int i = 0; i < WRITES; i++) {
		for (size_t at = 0; at < WINDOW; at += DEV_MIB2)
			((volatile char *)t.win)[at] = 1;
		H_EQ(dev_config_write(&t.d, PCI_COMMAND, &command, 2), 2);
	}
	slept = given_up() - slept;
	H_EQ(dev_revokes("target", "config"), before + WRITES);
	for (int i = 0; i < 20; i++) {
		H_EQ(dev_config_write(&t.d, PCI_COMMAND, &command, 2), 2);
		drained = dev_count("target", "drain_last_us");
		best = best < 0 || drained < best ? drained : best;
	}
	h_diag("%d revocations, %lld sleeps; the shortest drain took %lld us", WRITES, slept, best);
	H_CHECK(slept < WRITES / 10);
	/* Four folios to look at: even this machine needs no millisecond for that. */
	H_CHECK(best < 3000);
	dev_close(&t.d);
	dev_check_rest("target");
}

/* Leaks */

#define ROUNDS 4
#define CYCLES 8
#define MAX_CACHES 512

struct books {
	struct {
		char name[48];
		long long objects;
	} cache[MAX_CACHES];
	int n_caches;
	long long areas, used_kib;
};

static struct books books[ROUNDS + 1];

static void cycle(void)
{
	int events;

	dev_bind("target", DEV_P2P);
	H_EQ(ru_target_open(&t, "target", WINDOW), 0);
	events = ru_listen(&t);
	H_CHECK(events >= 0);
	t.win[0] = 1;
	H_EQ(ru_read_into(&t, DEV_MIB2), RU_PAGE);
	H_EQ(ru_hot_reset(&t.d), 0);
	H_CHECK(ru_works(&t));
	dev_close(&t.d);
	/* From here on only a reference of the driver's could keep it. */
	close(events);
	H_CHECK(dev_unbind("target", 10));
	H_EQ(h_rmmod(DEV_P2P), 0);
}

/* What slabs keep free, and what the page cache holds, is not what is looked for. */
static void settle(void)
{
	struct dirent *entry;
	DIR *dir;

	h_write("/proc/sys/vm/drop_caches", "3");
	h_sleep_ms(300);
	dir = opendir("/sys/kernel/slab");
	while (dir && (entry = readdir(dir)))
		if (*entry->d_name != '.')
			h_writef("1", "/sys/kernel/slab/%s/shrink", entry->d_name);
	if (dir)
		closedir(dir);
	h_sleep_ms(100);
}

static void count_objects(struct books *b)
{
	FILE *f = fopen("/proc/slabinfo", "re");
	char line[512];

	while (f && fgets(line, sizeof(line), f) && b->n_caches < MAX_CACHES)
		if (sscanf(line, "%47s %lld", b->cache[b->n_caches].name,
			   &b->cache[b->n_caches].objects) == 2)
			b->n_caches++;
	if (f)
		fclose(f);
}

static void count_areas(struct books *b)
{
	FILE *f = fopen("/proc/vmallocinfo", "re");
	char line[512];

	while (f && fgets(line, sizeof(line), f))
		b->areas++;
	if (f)
		fclose(f);
}

static void count_memory(struct books *b)
{
	FILE *f = fopen("/proc/meminfo", "re");
	char line[128];
	long long kib;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "MemFree: %lld", &kib) == 1)
			b->used_kib = -kib;
	if (f)
		fclose(f);
}

static void keep_books(struct books *b)
{
	settle();
	count_objects(b);
	count_areas(b);
	count_memory(b);
}

static long long objects_of(const struct books *b, const char *name)
{
	for (int i = 0; i < b->n_caches; i++)
		if (!strcmp(b->cache[i].name, name))
			return b->cache[i].objects;
	return 0;
}

static long long smaller(long long a, long long b)
{
	return a < b ? a : b;
}

/* The smallest growth of any round; name NULL: of areas or, if kib, of memory. */
static long long growth(const char *name, bool kib)
{
	long long least = INT64_MAX;

	for (int i = 0; i < ROUNDS; i++) {
		const struct books *a = &books[i], *b = &books[i + 1];

		if (name)
			least = smaller(least, objects_of(b, name) - objects_of(a, name));
		else
			least = smaller(least, kib ? b->used_kib - a->used_kib : b->areas - a->areas);
	}
	return least;
}

#define KMEMLEAK "/sys/kernel/debug/kmemleak"

/* It reports what nothing has pointed to for some seconds. */
static void ask_kmemleak(void)
{
	static char text[65536];

	if (access(KMEMLEAK, F_OK)) {
		h_diag("this kernel has no kmemleak");
		return;
	}
	for (int i = 0; i < 2; i++) {
		h_sleep_ms(6000);
		H_EQ(h_write(KMEMLEAK, "scan"), 0);
	}
	H_EQ(h_read(KMEMLEAK, text, sizeof(text)), 0);
	if (*text)
		h_fail("kmemleak: %.1500s", text);
}

static void nothing_is_left(void)
{
	/* Leave it as the others want it: bound. */
	H_CHECK(dev_unbind("target", 10));
	H_EQ(h_rmmod(DEV_P2P), 0);
	for (int i = 0; i < 3 && !h_failed(); i++)
		cycle();
	h_write(KMEMLEAK, "clear");
	keep_books(&books[0]);
	if (!books[0].n_caches)
		h_diag("this kernel has no slabinfo");
	H_CHECK(books[0].n_caches > 10 || !access(KMEMLEAK, F_OK));
	for (int i = 1; i <= ROUNDS; i++) {
		for (int n = 0; n < CYCLES && !h_failed(); n++)
			cycle();
		keep_books(&books[i]);
	}
	if (h_failed())
		return;
	for (int i = 0; i < books[0].n_caches; i++) {
		const char *name = books[0].cache[i].name;
		long long grown = growth(name, false);

		if (grown > CYCLES / 2)
			h_diag("%s: %lld objects a round", name, grown);
		if (grown >= CYCLES)
			h_fail("%s grows by %lld objects every %d cycles", name, grown, CYCLES);
	}
	h_diag("every %d cycles: %lld vmalloc areas, %lld KiB", CYCLES, growth(NULL, false),
	       growth(NULL, true));
	H_CHECK(growth(NULL, false) < CYCLES);
	/* A window's struct pages are 128 KiB. */
	H_CHECK(growth(NULL, true) < CYCLES * 64);
	ask_kmemleak();
	dev_bind("target", DEV_P2P);
}

static const struct h_case cases[] = {
	{ "a refusal comes in time", refusals_are_in_time, 60 },
	{ "a reset from outside goes on in time", outside_is_in_time, 60 },
	{ "a close goes on in time", close_is_in_time, 60 },
	{ "a bound of 0 does not wait", zero_does_not_wait },
	{ "the end of a pin is seen soon", end_of_pin_is_seen, 60 },
	{ "signals are heard at once", signals_are_heard, 60 },
	{ "a revocation with nothing in flight does not sleep", idle_does_not_sleep },
	{ }
};

static const struct h_case leaks[] = {
	{ "unloading leaves no memory", nothing_is_left, 180 },
	{ }
};

int main(int argc, char **argv)
{
	dev_bind("target", DEV_P2P);
	if (argc > 1 && !strcmp(argv[1], "leaks"))
		return h_main(argc - 1, argv + 1, leaks);
	return h_main(argc, argv, cases);
}
