// SPDX-License-Identifier: MIT
/*
 * A read whose buffer straddles the reset.
 *
 * The danger: get_user_pages() has pinned one page of a window and faults the
 * next.  A reset has closed the gate in between and waits for the pin.  If that
 * fault waits for the gate, neither ever ends.  So a fault of the kernel's must
 * be refused at once: the read ends short, gives its pin back, and the reset
 * goes on.
 *
 * No luck is needed to get there: between the two pages of the window lies one
 * that userfaultfd holds back (ru_hold).  While it does, the pin is there; the
 * reset begins, and is seen to drain; then the page is served, and the read
 * walks into the closed gate with its pin in hand, every time.
 *
 * What waits for a lock meanwhile is part of the danger too: a thread that
 * touches the window waits for the gate, and if it waited with mmap_lock or the
 * VMA's lock held, the next writer would queue behind it and the read behind
 * the writer.  So with a toucher waiting, threads that need those locks for
 * writing must come through before anything is served.
 *
 * And once the gate has closed, whoever was on the way through it is either waited
 * for and zapped, or refused: two threads map page after page, by entries of both
 * sizes, when a reset begins.  While it waits for a pin, and both of them for the
 * gate, no page of the window may be mapped.
 */
#define _GNU_SOURCE
#include "dev.h"
#include "harness.h"
#include "revoke_util.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define WINDOW (16 * DEV_MIB2)
#define DISK_SEED 11	/* what is on the disk */
#define BAR_SEED 22	/* what is in the window beforehand */

static struct ru_target t;
static long long generation;
static long long refused_before;

static void prepare_disk(const char *path)
{
	static char block[3 * RU_PAGE] __attribute__((aligned(RU_PAGE)));
	int disk = open(path, O_RDWR | O_DIRECT | O_CREAT | O_CLOEXEC, 0600);

	H_CHECK(disk >= 0);
	ru_fill(block, sizeof(block), DISK_SEED);
	H_EQ(pwrite(disk, block, sizeof(block), 0), sizeof(block));
	close(disk);
}

static void set_up(void)
{
	/* Well below the case's deadline: a deadlock is told from slowness by EBUSY. */
	H_EQ(dev_param("drain_timeout_ms", "12000"), 0);
	prepare_disk(h_disk("raw"));
	H_EQ(ru_target_open(&t, "target", WINDOW), 0);
	ru_fill(t.raw, RU_PAGE, BAR_SEED);
	generation = dev_count("target", "generation");
}

static void clean_up(void)
{
	dev_close(&t.d);
	dev_check_rest("target");
}

/* The reset is under way, and waits. */
static void reset_begins(struct ru_hold *h, struct ru_call *reset)
{
	refused_before = dev_count("target", "faults_refused");
	ru_call(reset, ru_reset, &t.d);
	H_CHECK(ru_hold_drains(h, "target"));
	H_CHECK(!ru_done(reset));
	H_EQ(dev_count("target", "pinned_folios"), 1);
}

static void reset_ends(struct ru_call *reset)
{
	H_CHECK(ru_join(reset, 20000));
	H_EQ(reset->ret, 0);
	H_CHECK(dev_state_is("target", "live"));
	H_EQ(dev_count("target", "generation"), generation + 1);
}

/*
 * Short, or EFAULT; and what it says it has read is there.  The block layer sends
 * what it could pin, then tries the rest again.  If the reader gets the CPU for
 * that only when the reset is over, the read is whole, after a refusal all the
 * same.
 */
static void ended_short(struct ru_hold *h)
{
	long n = ru_hold_end(h);
	bool was_refused = dev_count("target", "faults_refused") > refused_before;

	h_diag("the read of %zu bytes returned %ld", h->length, n);
	H_CHECK(n == -EFAULT || (n >= 0 && n < (long)h->length) ||
		(n == (long)h->length && was_refused));
	if (h->write)
		H_EQ(ru_differs(t.raw, RU_PAGE, BAR_SEED), -1);
	else if (n > 0)
		H_EQ(ru_differs(t.raw, RU_PAGE, DISK_SEED), -1);
}

static void works_again(void)
{
	int disk = open(h_disk("raw"), O_RDONLY | O_DIRECT | O_CLOEXEC);

	H_EQ(pread(disk, t.win, 3 * RU_PAGE, 0), 3 * RU_PAGE);
	H_EQ(ru_differs(t.raw, 3 * RU_PAGE, DISK_SEED), -1);
	close(disk);
}

static void straddle(struct ru_hold *h)
{
	long long refused = dev_count("target", "faults_refused");
	struct ru_call reset;

	H_EQ(ru_hold_begin(h), 0);
	reset_begins(h, &reset);
	if (h_failed())
		return;
	H_EQ(ru_hold_serve(h), 0);
	reset_ends(&reset);
	ended_short(h);
	H_CHECK(dev_count("target", "faults_refused") > refused);
}

static void straddle_and_go_on(struct ru_hold h)
{
	set_up();
	if (h_failed())
		return;
	h.first.fd = t.d.fd;
	h.first.cookie += t.cookie;
	h.last.fd = t.d.fd;
	h.last.cookie += t.cookie;
	straddle(&h);
	prepare_disk(h_disk("raw"));
	works_again();
	clean_up();
}

static void one_buffer(void)
{
	straddle_and_go_on((struct ru_hold){ .last.cookie = DEV_MIB2 });
}

static void same_folio(void)
{
	straddle_and_go_on((struct ru_hold){ .last.cookie = RU_PAGE });
}

static void two_vectors(void)
{
	straddle_and_go_on((struct ru_hold){ .last.cookie = DEV_MIB2, .vectors = true });
}

static void from_the_window(void)
{
	straddle_and_go_on((struct ru_hold){ .last.cookie = DEV_MIB2, .write = true });
}

static void a_file(const char *role)
{
	const char *dir = h_mount(role, NULL);
	char path[64];

	H_CHECK(dir);
	snprintf(path, sizeof(path), "%s/straddle", dir);
	prepare_disk(path);
	straddle_and_go_on((struct ru_hold){ .file = path, .last.cookie = DEV_MIB2 });
	H_EQ(h_umount(role), 0);
}

static void on_ext4(void)
{
	a_file("ext4");
}

static void on_xfs(void)
{
	a_file("xfs");
}

/*
 * The last page has been mapped by user space, so that the reset must zap it:
 * were it left, the read would find it and pin it in the middle of the reset.
 */
static long touch_last(void *arg)
{
	struct ru_hold *h = arg;

	*(volatile char *)(h->stop + RU_PAGE) = 1;
	return 0;
}

static void zapped_page(void)
{
	struct ru_hold h = { .last.cookie = DEV_MIB2 };
	struct ru_call reset;
	long long refused;

	set_up();
	h.first = (struct ru_place){ t.d.fd, t.cookie };
	h.last = (struct ru_place){ t.d.fd, t.cookie + DEV_MIB2 };
	H_EQ(ru_hold_begin(&h), 0);
	touch_last(&h);
	refused = dev_count("target", "faults_refused");
	reset_begins(&h, &reset);
	if (h_failed())
		return;
	H_EQ(ru_hold_serve(&h), 0);
	reset_ends(&reset);
	ended_short(&h);
	H_CHECK(dev_count("target", "faults_refused") > refused);
	clean_up();
}

/* Waiting threads */

#define MARK 0x5a
#define MARK_AT (WINDOW - 64)

static long store_mark(void *arg)
{
	(void)arg;
	((volatile char *)t.win)[MARK_AT] = MARK;
	return dev_count("target", "generation");
}

static void toucher_waits(struct ru_call *toucher)
{
	long long waited = dev_count("target", "faults_waited");

	ru_call(toucher, store_mark, NULL);
	H_CHECK(h_wait_until(dev_count("target", "faults_waited") > waited, 5000));
	H_CHECK(ru_sleeps(toucher, 5000));
	H_CHECK(!ru_done(toucher));
}

static void toucher_went_on(struct ru_call *toucher)
{
	H_CHECK(ru_join(toucher, 10000));
	H_EQ(toucher->ret, generation + 1);
	H_EQ(t.raw[MARK_AT], MARK);
}

static void begin_with_toucher(struct ru_hold *h, struct ru_call *reset, struct ru_call *toucher)
{
	set_up();
	h->first = (struct ru_place){ t.d.fd, t.cookie };
	h->last = (struct ru_place){ t.d.fd, t.cookie + DEV_MIB2 };
	t.raw[MARK_AT] = 0;
	t.win[MARK_AT] = 0;	/* mapped: what the reset zaps, the toucher faults in */
	H_EQ(ru_hold_begin(h), 0);
	reset_begins(h, reset);
	H_CHECK(h_wait_until(!ru_mapped(t.win + MARK_AT), 5000));
	if (!h_failed())
		toucher_waits(toucher);
}

static void end_with_toucher(struct ru_hold *h, struct ru_call *reset, struct ru_call *toucher)
{
	/* Nothing has landed while the pin was there. */
	H_CHECK(!ru_done(reset));
	H_CHECK(!ru_done(toucher));
	H_EQ(t.raw[MARK_AT], 0);
	H_EQ(ru_hold_serve(h), 0);
	reset_ends(reset);
	toucher_went_on(toucher);
	ended_short(h);
	clean_up();
}

static void toucher(void)
{
	struct ru_hold h = { 0 };
	struct ru_call reset, touch;

	begin_with_toucher(&h, &reset, &touch);
	if (!h_failed())
		end_with_toucher(&h, &reset, &touch);
}

#define ROUNDS 100

/* mmap_lock for writing, and that of the VMA in which the toucher waits. */
static long write_lock_mm(void *arg)
{
	char *inside = t.win + DEV_MIB2;

	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		char *p = mmap(NULL, RU_PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED || munmap(p, RU_PAGE) ||
		    mprotect(inside, DEV_MIB2, PROT_READ) ||
		    mprotect(inside, DEV_MIB2, PROT_READ | PROT_WRITE))
			return -errno;
	}
	return 0;
}

static void writers(void)
{
	struct ru_hold h = { 0 };
	struct ru_call reset, touch, writer;

	begin_with_toucher(&h, &reset, &touch);
	if (h_failed())
		return;
	ru_call(&writer, write_lock_mm, NULL);
	H_CHECK(ru_join(&writer, 10000));
	H_EQ(writer.ret, 0);
	end_with_toucher(&h, &reset, &touch);
}

/* The window's own mapping goes and comes: its file's lock, which the zap takes. */
static long map_window_again(void *arg)
{
	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		void *p = mmap(NULL, WINDOW, PROT_READ, MAP_SHARED, t.d.fd, t.cookie);

		if (p == MAP_FAILED || munmap(p, WINDOW))
			return -errno;
	}
	return 0;
}

static void mappers(void)
{
	struct ru_hold h = { 0 };
	struct ru_call reset, touch, mapper;

	begin_with_toucher(&h, &reset, &touch);
	if (h_failed())
		return;
	ru_call(&mapper, map_window_again, NULL);
	H_CHECK(ru_join(&mapper, 10000));
	H_EQ(mapper.ret, 0);
	end_with_toucher(&h, &reset, &touch);
}

/* A waiting thread has let go of its VMA: another may take its place under it. */
static long replace_window(void *arg)
{
	(void)arg;
	return mmap(t.win + WINDOW - DEV_MIB2, DEV_MIB2, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED ? -errno : 0;
}

static void replaced_under_toucher(void)
{
	struct ru_hold h = { 0 };
	struct ru_call reset, touch, replacer;

	begin_with_toucher(&h, &reset, &touch);
	if (h_failed())
		return;
	ru_call(&replacer, replace_window, NULL);
	H_CHECK(ru_join(&replacer, 10000));
	H_EQ(replacer.ret, 0);
	H_CHECK(!ru_done(&touch));
	H_EQ(ru_hold_serve(&h), 0);
	reset_ends(&reset);
	H_CHECK(ru_join(&touch, 10000));
	H_EQ(t.win[MARK_AT], MARK);
	H_EQ(t.raw[MARK_AT], 0);
	ended_short(&h);
	clean_up();
}

/* Threads on the way through the gate */

struct rush {
	char *at;
	size_t length, step;
};

static atomic_int rush_touches;
static int rush_wanted;

static long touch_all(void *arg)
{
	struct rush *r = arg;

	for (size_t at = 0; at < r->length; at += r->step) {
		*(volatile char *)(r->at + at) = 1;
		atomic_fetch_add(&rush_touches, 1);
	}
	return 0;
}

/* In their midst, as early as can be. */
static long reset_in_the_rush(void *dev)
{
	while (atomic_load(&rush_touches) < rush_wanted)
		sched_yield();
	return dev_reset(dev);
}

static size_t mapped_in(const struct rush *r)
{
	static uint64_t entries[WINDOW / RU_PAGE];
	const size_t n = r->length / RU_PAGE;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	size_t mapped = 0;

	if (pread(fd, entries, n * sizeof(*entries), (uintptr_t)r->at / RU_PAGE * sizeof(*entries)) !=
	    (ssize_t)(n * sizeof(*entries)))
		h_fail("pagemap cannot be read");
	close(fd);
	for (size_t i = 0; i < n; i++)
		mapped += entries[i] >> 63;
	return mapped;
}

/* Each of them waits at the gate, or came through before it closed. */
static bool rush_ended(struct ru_call touch[2], long long waited)
{
	return dev_count("target", "faults_waited") - waited + ru_done(&touch[0]) + ru_done(&touch[1]) >= 2;
}

static void rush_round(struct rush rush[2], int wanted)
{
	struct ru_hold h = { .first = { t.d.fd, t.cookie } };
	long long waited = dev_count("target", "faults_waited");
	struct ru_call touch[2], reset;

	atomic_store(&rush_touches, 0);
	rush_wanted = wanted;
	H_EQ(ru_hold_begin(&h), 0);
	ru_call(&reset, reset_in_the_rush, &t.d);
	for (int i = 0; i < 2; i++)
		ru_call(&touch[i], touch_all, &rush[i]);
	H_CHECK(ru_hold_drains(&h, "target"));
	/* The zap takes one mapping after the other; it sleeps when it has all of them. */
	H_CHECK(ru_sleeps(&reset, 5000));
	H_CHECK(h_wait_until(rush_ended(touch, waited), 5000));
	H_CHECK(!ru_done(&reset));
	H_EQ(mapped_in(&rush[0]), 0);
	H_EQ(mapped_in(&rush[1]), 0);
	ru_hold_end(&h);
	H_CHECK(ru_join(&reset, 10000));
	H_EQ(reset.ret, 0);
	for (int i = 0; i < 2; i++)
		H_CHECK(ru_join(&touch[i], 10000));
	/* The next round begins with nothing mapped or touched. */
	H_EQ(dev_reset(&t.d), 0);
}

static void rush(void)
{
	struct rush rush[2];

	H_EQ(dev_param("drain_timeout_ms", "12000"), 0);
	H_EQ(ru_target_open(&t, "target", WINDOW), 0);
	rush[0] = (struct rush){ t.win + 2 * DEV_MIB2, WINDOW - 2 * DEV_MIB2, DEV_MIB2 };
	rush[1] = (struct rush){ dev_map_skewed(&t.d, t.cookie + DEV_MIB2, DEV_MIB2, RU_PAGE),
				 32 * RU_PAGE, RU_PAGE };
	H_CHECK(rush[1].at);
	for (int i = 0; i < 10 && !h_failed(); i++)
		rush_round(rush, 1 + 2 * i);
	clean_up();
}

/* Two devices */

static struct ru_target t2;

/*
 * One read holds a page of A and wants one of B, another holds B and wants A,
 * and both devices are being reset: A B B A, if a fault waits.
 */
static void crossed_begin(struct ru_hold h[2], struct ru_call reset[2])
{
	struct ru_place a = { t.d.fd, t.cookie }, b = { t2.d.fd, t2.cookie };

	h[0] = (struct ru_hold){ .first = a, .last = b };
	h[1] = (struct ru_hold){ .first = b, .last = a };
	for (int i = 0; i < 2; i++)
		H_EQ(ru_hold_begin(&h[i]), 0);
	reset_begins(&h[0], &reset[0]);
	ru_call(&reset[1], ru_reset, &t2.d);
	H_CHECK(ru_hold_drains(&h[1], "target2"));
}

static void crossed(void)
{
	struct ru_call reset[2];
	struct ru_hold h[2];
	long n;

	set_up();
	H_EQ(ru_target_open(&t2, "target2", WINDOW), 0);
	if (!h_failed())
		crossed_begin(h, reset);
	if (h_failed())
		return;
	/* A's pin goes although what its read wants next is still draining. */
	H_EQ(ru_hold_serve(&h[0]), 0);
	reset_ends(&reset[0]);
	ended_short(&h[0]);
	H_CHECK(!ru_done(&reset[1]));
	H_CHECK(dev_state_is("target2", "draining"));
	/* By now A is open again: the second read comes through, or not. */
	n = ru_hold_end(&h[1]);
	H_CHECK(n == -EFAULT || n >= 0);
	H_CHECK(ru_join(&reset[1], 20000));
	H_EQ(reset[1].ret, 0);
	dev_close(&t2.d);
	dev_check_rest("target2");
	clean_up();
}

/* Only the other device is being reset, and a pin of this one must not wait for it. */
static void neighbour(void)
{
	struct ru_hold a = { 0 }, b = { 0 };
	struct ru_call reset;

	set_up();
	H_EQ(ru_target_open(&t2, "target2", WINDOW), 0);
	if (h_failed())
		return;
	b.first = (struct ru_place){ t2.d.fd, t2.cookie };
	a.first = (struct ru_place){ t.d.fd, t.cookie };
	a.last = b.first;
	H_EQ(ru_hold_begin(&a), 0);
	H_EQ(ru_hold_begin(&b), 0);
	ru_call(&reset, ru_reset, &t2.d);
	H_CHECK(ru_hold_drains(&b, "target2"));
	H_EQ(ru_hold_serve(&a), 0);
	H_CHECK(h_wait_until(ru_done(&a.call), 10000));
	H_CHECK(!ru_done(&reset));
	ended_short(&a);
	ru_hold_end(&b);
	H_CHECK(ru_join(&reset, 10000));
	H_EQ(reset.ret, 0);
	dev_close(&t2.d);
	clean_up();
}

static const struct h_case cases[] = {
	{ "a read straddles a reset", one_buffer },
	{ "it straddles within one folio", same_folio },
	{ "it straddles with two vectors", two_vectors },
	{ "a write from the window straddles a reset", from_the_window },
	{ "a read from ext4 straddles a reset", on_ext4 },
	{ "a read from xfs straddles a reset", on_xfs },
	{ "its last page was mapped before the reset", zapped_page },
	{ "a thread that touches the window waits for the reset", toucher },
	{ "while it waits the address space can be changed", writers },
	{ "while it waits the window can be mapped and unmapped", mappers },
	{ "while it waits its own mapping can be replaced", replaced_under_toucher },
	{ "nothing is mapped behind a closed gate", rush },
	{ "two reads and two resets, crossed", crossed },
	{ "a read gives way to the reset of another device", neighbour },
	{ }
};

int main(int argc, char **argv)
{
	dev_bind("target", DEV_P2P);
	if (h_pci("target2"))
		dev_bind("target2", DEV_P2P);
	return h_main(argc, argv, cases);
}
