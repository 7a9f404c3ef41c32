// SPDX-License-Identifier: MIT
/*
 * A BAR of 4 GiB: all of it is usable, and what is not used costs nothing.
 *
 * Theory of operation.  The driver scans and zaps what was touched since the last
 * revocation, so its own count of that is the cost.  The count must be that of
 * the folios touched, whoever touched them, wherever they are and by whatever
 * entry, and zero after a reset.  2048 folios need offsets beyond 32 bits of
 * bytes and page numbers beyond 20 bits: data goes to both ends and to the
 * middle, and a number written into each folio must be found there through the
 * raw view.  No time is measured.
 *
 * Guards whose removal must make a case fail:
 *   set_bit(touched) in the fault handler	"populated whole"
 *   the reset of the bits after a drain	"only what was touched"
 *   the zap of each run of touched folios	"only what was touched"
 *   64-bit arithmetic of offsets		"direct I/O at both ends"
 */
#define _GNU_SOURCE
#include "dev.h"
#include "harness.h"
#include "pattern.h"
#include "revoke_util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MIB2 DEV_MIB2
#define MIB ((size_t)1 << 20)
#define GIB ((size_t)1 << 30)
#define PAGE ((size_t)4096)
#define BIG (4 * GIB)
#define FOLIOS (BIG / MIB2)

static struct dev d;
static char *win, *raw;
static int bar, disk;

static void begin(void)
{
	H_EQ(dev_open(&d, "target"), 0);
	bar = dev_bar(&d);
	H_EQ(dev_bar_size(&d, bar), BIG);
	win = dev_window(&d, bar, 0, BIG);
	raw = dev_map_raw(&d, bar, 0, BIG);
	H_CHECK(win && raw);
	disk = open(h_disk("raw"), O_RDWR | O_DIRECT);
	H_CHECK(disk >= 0);
}

static void end(void)
{
	close(disk);
	dev_close(&d);
	dev_check_rest("target");
	H_EQ(dev_count("target", "drain_timeouts"), 0);
}

static void reset_costs(size_t folios)
{
	H_EQ(dev_count("target", "touched_folios"), folios);
	H_EQ(dev_reset(&d), 0);
	H_EQ(dev_count("target", "touched_folios"), 0);
}

/* Each folio gets its number, at another place in each. */
static size_t mark_at(size_t folio)
{
	return folio * MIB2 + folio * 5 % 512 * PAGE + folio % 512 * 8;
}

static void populate(void)
{
	long long pmd;

	begin();
	pmd = dev_count("target", "faults_pmd");
	for (size_t i = 0; i < FOLIOS; i++)
		*(volatile uint64_t *)(win + mark_at(i)) = pattern_word(1, i);
	H_EQ(dev_count("target", "faults_pmd") - pmd, dev_has_pmd() ? FOLIOS : 0);
	H_EQ(dev_count("target", "faults_pte"), dev_has_pmd() ? 0 : FOLIOS);
	for (size_t i = 0; i < FOLIOS; i++)
		H_EQ(*(volatile uint64_t *)(raw + mark_at(i)), pattern_word(1, i));
	reset_costs(FOLIOS);
	end();
}

static void sparse(void)
{
	/*
	 * One; both ends; a few; the first touched twice and by both views.  Near one
	 * another and far: what lies 64 apart is zapped at once, beyond that one by one.
	 */
	static const size_t few[] = { 0, 1, 511, 512, 513, 515, 580, 1023, 1024, 1090, 2046, 2047 };
	const size_t n = sizeof(few) / sizeof(*few);
	char *wc;

	begin();
	wc = dev_window_wc(&d, bar, 0, BIG);
	H_CHECK(wc);
	reset_costs(0);
	*(volatile char *)(win + BIG - 1) = 1;
	reset_costs(1);
	*(volatile char *)win = 1;
	*(volatile char *)(win + BIG - 1) = 1;
	reset_costs(2);
	for (size_t i = 0; i < n; i++) {
		*(volatile char *)(win + few[i] * MIB2) = 1;
		*(volatile char *)(wc + few[i] * MIB2 + MIB) = 1;
	}
	/* The views were touched in different pages. */
	reset_costs(dev_has_pmd() ? n : 2 * n);
	for (size_t i = 0; i < n; i++)
		H_CHECK(!ru_mapped(win + few[i] * MIB2) && !ru_mapped(wc + few[i] * MIB2 + MIB));
	reset_costs(0);
	end();
}

static void io_at(size_t at, size_t bytes, uint32_t stream)
{
	char *ram = aligned_alloc(PAGE, bytes);

	H_CHECK(ram);
	pattern_fill(ram, bytes, stream, 0);
	H_EQ(pwrite(disk, ram, bytes, 0), bytes);
	H_EQ(pread(disk, win + at, bytes, 0), bytes);
	H_EQ(pattern_differs(raw + at, bytes, stream, 0), -1);
	pattern_fill(raw + at, bytes, stream + 1, 0);
	H_EQ(pwrite(disk, win + at, bytes, 0), bytes);
	H_EQ(pread(disk, ram, bytes, 0), bytes);
	H_EQ(pattern_differs(ram, bytes, stream + 1, 0), -1);
	free(ram);
}

static void both_ends(void)
{
	static const size_t places[] = { 0, 2 * GIB - MIB2 / 2, GIB, 4 * GIB - MIB2 };

	begin();
	for (int i = 0; i < 4; i++)
		io_at(places[i], MIB2, 10 + 2 * i);
	/* 1 + 2 + 1 + 1: the second lies across. */
	reset_costs(dev_has_pmd() ? 5 : 4 * MIB2 / PAGE);
	io_at(BIG - PAGE, PAGE, 20);
	reset_costs(1);
	end();
}

/* Across the 2 GiB line, where a signed 32-bit number ends, in one call. */
static void large_call(void)
{
	begin();
	io_at(2 * GIB - 32 * MIB, 64 * MIB, 30);
	reset_costs(32 * MIB2 / dev_folio());
	end();
}

static void unbind(void)
{
	H_CHECK(dev_unbind("target", 10));
}

static const struct h_case cases[] = {
	{ "registered and populated whole", populate },
	{ "a reset costs only what was touched", sparse },
	{ "direct I/O at both ends and between", both_ends },
	{ "64 MiB in one call", large_call },
	{ "unbinding ends at once", unbind },
	{ }
};

int main(int argc, char **argv)
{
	dev_bind("target", DEV_P2P);
	/* What is left behind shows soon. */
	dev_param("drain_timeout_ms", "3000");
	return h_main(argc, argv, cases);
}
