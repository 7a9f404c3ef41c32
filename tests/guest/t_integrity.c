// SPDX-License-Identifier: MIT
/*
 * Every byte arrives, where it belongs and nowhere else.
 *
 * Theory of operation.  A window and a region of a file each have a model in
 * RAM: what they should hold.  A transfer between them is done for real and on
 * the models.  Before each one its source and its destination get a pattern that
 * no other transfer and no other place has, so that a transfer that did nothing,
 * a block from elsewhere, a block too far or too short, all show.  After each
 * one the destination and its surroundings are compared with the model, the
 * window through the raw view, which no direct I/O can use; at the end of a case
 * the whole window and the whole file region are.
 *
 * That the data goes peer-to-peer is shown by what else could carry it and does
 * not: the buffer is page-backed (the raw view of the same bytes is refused with
 * EFAULT), direct I/O does not copy, and the driver counts the folios as pinned
 * while a slow command is in flight (that one is with the revocation tests).
 *
 * Guards whose removal must make a case fail:
 *   the offset arithmetic of p2p_insert	every case
 *   folio_unlock after zone_device_folio_init	every read: it waits for the lock
 *   the pool must give the range just added	every case
 */
#define _GNU_SOURCE
#include "aio.h"
#include "harness.h"
#include "model.h"
#include "pattern.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/* One at a time */

/*
 * Sizes from a sector to most of the window; each end within a folio, at its
 * edge, a page or a sector beside it; the file's side likewise, and not
 * congruent to the window's.
 */
static const struct place places[] = {
	{ 0, 0, PAGE },
	{ WINDOW - PAGE, REGION - PAGE, PAGE },
	{ MIB2 - PAGE, MIB2, PAGE },
	{ MIB2, MIB2 - PAGE, PAGE },
	{ 0, SECTOR, SECTOR },
	{ MIB2 - SECTOR, 7 * SECTOR, SECTOR },
	{ MIB2 - SECTOR, 3 * PAGE + SECTOR, 2 * SECTOR },
	{ 5 * SECTOR, PAGE, 3 * SECTOR },
	{ MIB2 - 3 * SECTOR, 11 * SECTOR, PAGE },
	{ 3 * PAGE, 5 * PAGE, 3 * PAGE },
	{ MIB2 - 2 * PAGE, 2 * MIB2 - PAGE, 3 * PAGE },
	{ 2 * MIB2 - 7 * PAGE, 9 * PAGE, 16 * PAGE },
	{ 2 * MIB2 - 9 * SECTOR, MIB2 + 5 * SECTOR, 16 * PAGE + 3 * SECTOR },
	{ 0, 3 * PAGE, MIB },
	{ MIB, MIB2 - MIB, MIB },
	{ MIB + PAGE, MIB, MIB },
	{ MIB2 - MIB / 2 + SECTOR, MIB - SECTOR, MIB + SECTOR },
	{ MIB2, 4 * MIB2, MIB2 },
	{ MIB2 + PAGE, 3 * MIB2, MIB2 - PAGE },
	{ 3 * MIB2 - SECTOR, 2 * MIB2 + SECTOR, MIB2 + 2 * SECTOR },
	{ MIB2 / 2, 3 * PAGE, 2 * MIB2 + PAGE },
	{ 3 * SECTOR, 5 * SECTOR, 5 * MIB + 7 * SECTOR },
	{ 3 * MIB2 + 13 * PAGE, MIB + 11 * PAGE, 4 * MIB2 + 17 * PAGE },
	{ 0, 4 * MIB - PAGE, WINDOW },
};

static void one_transfer(const struct place *p, bool write)
{
	char what[96];
	ssize_t n;

	snprintf(what, sizeof(what), "%s %#zx bytes, window %#zx, file %#zx", write ? "pwrite" : "pread",
		 p->bytes, p->win, p->file);
	stamp(p);
	n = write ? pwrite(fd, win + p->win, p->bytes, REGION_AT + p->file) :
		    pread(fd, win + p->win, p->bytes, REGION_AT + p->file);
	if (n != (ssize_t)p->bytes)
		h_fail("%s: %zd (errno: %s)", what, n, n < 0 ? strerrorname_np(errno) : "none");
	model(p, write);
	look_around(p, write, what);
}

static void one_by_one(const char *role)
{
	begin(role);
	for (size_t i = 0; i < sizeof(places) / sizeof(*places) && !h_failed(); i++) {
		/* The window to the file first: then there is something new to read. */
		one_transfer(&places[i], true);
		if (!h_failed())
			one_transfer(&places[i], false);
	}
	end(role);
}

/* Segments of RAM and of the window in one call */

static const struct { bool ram; size_t win, bytes; } segments[] = {
	{ true, 0, PAGE },
	{ false, MIB2 - PAGE, 2 * PAGE },
	{ true, 0, 3 * SECTOR },
	{ false, 5 * MIB2 + SECTOR, 5 * SECTOR },
	{ false, 0, PAGE },
	{ true, 0, 17 * PAGE },
	{ false, 2 * MIB2 + PAGE, MIB2 },
	{ true, 0, MIB },
	{ false, 6 * MIB2, PAGE },
	{ false, 4 * MIB2, PAGE },
	{ true, 0, PAGE },
};
#define SEGMENTS (int)(sizeof(segments) / sizeof(*segments))

/* The RAM segments are one behind the other in ram. */
static size_t make_iov(struct iovec *iov, char *ram)
{
	size_t total = 0;

	for (int i = 0; i < SEGMENTS; i++) {
		iov[i].iov_len = segments[i].bytes;
		iov[i].iov_base = segments[i].ram ? ram : win + segments[i].win;
		ram += segments[i].ram ? segments[i].bytes : 0;
		total += segments[i].bytes;
	}
	return total;
}

static void model_segments(size_t file, char *ram_model, bool write)
{
	for (int i = 0; i < SEGMENTS; i++) {
		char *side = segments[i].ram ? ram_model : win_model + segments[i].win;

		memcpy(write ? file_model + file : side, write ? side : file_model + file, segments[i].bytes);
		file += segments[i].bytes;
		ram_model += segments[i].ram ? segments[i].bytes : 0;
	}
}

static void stamp_segments(char *ram, char *ram_model)
{
	for (int i = 0; i < SEGMENTS; i++)
		if (!segments[i].ram)
			stamp(&(struct place){ segments[i].win, 0, segments[i].bytes });
	pattern_fill(ram, MIB2, stream, 0);
	pattern_fill(ram_model, MIB2, stream++, 0);
}

static void mixed(const char *role)
{
	char *ram = aligned_alloc(PAGE, MIB2), *ram_model = aligned_alloc(PAGE, MIB2);
	static const size_t where[] = { 0, 3 * SECTOR, MIB2 - PAGE, 9 * MIB + SECTOR };
	struct iovec iov[SEGMENTS];
	size_t total;

	begin(role);
	for (int i = 0; i < 4 && !h_failed(); i++) {
		total = make_iov(iov, ram);
		stamp_segments(ram, ram_model);
		H_EQ(pwritev(fd, iov, SEGMENTS, REGION_AT + where[i]), total);
		model_segments(where[i], ram_model, true);
		file_is(0, REGION, "pwritev");
		stamp_segments(ram, ram_model);
		H_EQ(preadv(fd, iov, SEGMENTS, REGION_AT + where[i]), total);
		model_segments(where[i], ram_model, false);
		H_EQ(memcmp(ram, ram_model, MIB2), 0);
		window_is(0, WINDOW, "preadv");
	}
	end(role);
}

/* Many at once */

#define DEPTH 32
#define SLOT (WINDOW / DEPTH)

/*
 * Each has a slot of the window and of the file to itself, of another number, so
 * that none overlaps and all could be mistaken for one another.  Half of them
 * go one way.
 */
static void place_of(int i, int round, struct place *p)
{
	p->win = (i * 13 + round) % DEPTH * SLOT + i % 3 * SECTOR;
	p->file = (i * 7 + 3 * round) % DEPTH * SLOT + i % 5 * SECTOR;
	p->bytes = SLOT - 4 * SECTOR - (size_t)(i * 37 % 64) * PAGE;
}

static void all_at_once(const char *role, int (*submit)(struct aio *, unsigned int))
{
	struct place p[DEPTH];
	struct aio io[DEPTH];

	begin(role);
	for (int round = 0; round < 4 && !h_failed(); round++) {
		for (int i = 0; i < DEPTH; i++) {
			place_of(i, round, &p[i]);
			stamp(&p[i]);
			io[i] = (struct aio){ (i + round) % 2, fd, win + p[i].win, p[i].bytes,
					      REGION_AT + p[i].file, 0 };
		}
		H_EQ(submit(io, DEPTH), 0);
		for (int i = 0; i < DEPTH; i++) {
			H_EQ(io[i].done, p[i].bytes);
			model(&p[i], io[i].write);
		}
		window_is(0, WINDOW, "all at once");
		file_is(0, REGION, "all at once");
	}
	end(role);
}

static void by_aio(const char *role)
{
	all_at_once(role, aio_all);
}

static void by_uring(const char *role)
{
	all_at_once(role, uring_all);
}

/* What only files have */

static void expect_word(const char *at, size_t bytes, uint64_t word, const char *what)
{
	for (size_t i = 0; i < bytes; i += 8)
		if (*(volatile uint64_t *)(at + i) != word) {
			h_fail("%s: wrong at %#zx", what, i);
			return;
		}
}

/* Holes and unwritten blocks read as zeros; a read ends where the file does. */
static void holes(const char *role)
{
	const size_t tail = 3 * PAGE + 100;

	begin(role);
	H_EQ(ftruncate(fd, 0), 0);
	H_EQ(ftruncate(fd, 4 * MIB2), 0);
	H_EQ(fallocate(fd, 0, MIB2, MIB2), 0);
	H_EQ(pwrite(fd, win, PAGE, MIB2 + MIB), PAGE);
	H_EQ(pread(fd, win + MIB2, 4 * MIB2, 0), 4 * MIB2);
	expect_word(raw + MIB2, MIB2 + MIB, 0, "before the data");
	H_EQ(pattern_compare(raw + 2 * MIB2 + MIB, win_model, PAGE), -1);
	expect_word(raw + 2 * MIB2 + MIB + PAGE, 3 * MIB2 - MIB - PAGE, 0, "behind the data");
	window_is(0, MIB2, "below");
	window_is(5 * MIB2, WINDOW, "above");
	/* The end of the file within a page.  A direct read may zero the rest it was given. */
	H_EQ(ftruncate(fd, tail), 0);
	H_EQ(pread(fd, win + 6 * MIB2, 8 * PAGE, 0), tail);
	window_is(5 * MIB2, 6 * MIB2, "before the last pages");
	window_is(6 * MIB2 + 8 * PAGE, WINDOW, "behind the last pages");
	H_EQ(pread(fd, win, PAGE, 4 * PAGE), 0);
	close_all(role);
}

/* A file that grows from the window, and is whole after the page cache is gone. */
static void growing(const char *role)
{
	char *ram = malloc(WINDOW);
	char path[64];
	int cached;

	begin(role);
	H_EQ(ftruncate(fd, 0), 0);
	for (size_t at = 0; at < WINDOW; at += 3 * MIB2 / 4)
		H_CHECK(pwrite(fd, win + at, at + 3 * MIB2 / 4 > WINDOW ? WINDOW - at : 3 * MIB2 / 4, at) > 0);
	close(fd);
	H_EQ(h_umount(role), 0);
	snprintf(path, sizeof(path), "%s/data", h_mount(role, NULL));
	cached = open(path, O_RDONLY);
	H_EQ(read(cached, ram, WINDOW), WINDOW);
	H_EQ(memcmp(ram, win_model, WINDOW), 0);
	close(cached);
	dev_close(&d);
	H_EQ(h_umount(role), 0);
	dev_check_rest("target");
}

/* Without O_DIRECT the CPU copies: slower, and as right. */
static void through_page_cache(const char *role)
{
	begin(role);
	H_EQ(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_DIRECT), 0);
	for (size_t i = 0; i < sizeof(places) / sizeof(*places) && !h_failed(); i += 3) {
		one_transfer(&places[i], true);
		if (!h_failed())
			one_transfer(&places[i], false);
	}
	end(role);
}

/* All of a big BAR in one call. */
static void whole_bar(void)
{
	size_t size, bytes;
	char *whole, *view;

	begin("raw");
	size = dev_bar_size(&d, dev_bar(&d));
	view = dev_map_raw(&d, dev_bar(&d), 0, size);
	/* What the other cases have not, which is one more window above theirs. */
	bytes = size - WINDOW_AT - WINDOW;
	whole = dev_window(&d, dev_bar(&d), WINDOW_AT + WINDOW, bytes);
	H_CHECK(view && whole);
	view += WINDOW_AT + WINDOW;
	pattern_fill(view, bytes, 9, 0);
	H_EQ(pwrite(fd, whole, bytes, 0), bytes);
	pattern_fill(view, bytes, 10, 0);
	H_EQ(pread(fd, whole, bytes, 0), bytes);
	H_EQ(pattern_differs(view, bytes, 9, 0), -1);
	window_is(0, WINDOW, "the window below");
	close_all("raw");
}

static void page_backed(void)
{
	long long pmd;

	begin("raw");
	pmd = dev_count("target", "faults_pmd");
	H_ERRNO(pread(fd, raw, PAGE, 0), EFAULT);
	H_EQ(dev_count("target", "faults_pmd"), pmd);
	H_EQ(dev_count("target", "touched_folios"), 0);
	/* Never touched by the CPU: it is get_user_pages() that faults it in. */
	H_EQ(pread(fd, win, WINDOW, 0), WINDOW);
	H_EQ(dev_count("target", "faults_pmd"), pmd + (dev_has_pmd() ? WINDOW / MIB2 : 0));
	H_EQ(dev_count("target", "faults_pte"), dev_has_pmd() ? 0 : WINDOW / PAGE);
	H_EQ(dev_count("target", "touched_folios"), WINDOW / dev_folio());
	close_all("raw");
}

static void unbind(void)
{
	H_CHECK(dev_unbind("target", 5));
}

#define ON(role, fn) static void fn##_##role(void) { fn(#role); }
#define ON_ALL(fn) ON(raw, fn) ON(ext4, fn) ON(xfs, fn)
ON_ALL(one_by_one)
ON_ALL(mixed)
ON_ALL(by_aio)
ON_ALL(by_uring)
ON_ALL(through_page_cache)
ON(ext4, holes) ON(xfs, holes)
ON(ext4, growing) ON(xfs, growing)

#define CASES(role) \
	{ #role ": one by one, at all kinds of places", one_by_one_##role }, \
	{ #role ": RAM and window in one call", mixed_##role }, \
	{ #role ": libaio, 32 at once", by_aio_##role }, \
	{ #role ": io_uring, 32 at once", by_uring_##role }, \
	{ #role ": through the page cache", through_page_cache_##role }

static const struct h_case cases[] = {
	{ "the window is page-backed, the raw view is not", page_backed },
	CASES(raw),
	{ "raw: most of the BAR in one call", whole_bar },
	CASES(ext4),
	{ "ext4: holes and the end of the file", holes_ext4 },
	{ "ext4: a file that grows", growing_ext4 },
	CASES(xfs),
	{ "xfs: holes and the end of the file", holes_xfs },
	{ "xfs: a file that grows", growing_xfs },
	{ "unbinding ends at once", unbind },
	{ }
};

int main(int argc, char **argv)
{
	dev_bind("target", DEV_P2P);
	return h_main(argc, argv, cases);
}
