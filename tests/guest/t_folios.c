// SPDX-License-Identifier: MIT
/*
 * Folio traps: what gives a mapping another shape.  Parts of it go, change their
 * protection or place, or it is at an odd address from the first.
 *
 * Theory of operation: see trap.h.  The last case unbinds the driver, which waits
 * for every count without a bound.
 *
 * Guards whose removal must make a case fail:
 *   no VM_MIXEDMAP	"a piece is unmapped, 2 MiB entries", and all that split
 *   VM_DONTEXPAND	"mremap cannot grow it"
 *   a PMD where one fits	"the policy 'never' leaves 2 MiB entries alone"
 *   .mremap, and two kinds of mappings	"... and it stays with 4 KiB entries"
 *   folio_unlock	every case: direct I/O waits for the folio's lock
 *   set_bit(touched)	every case: a reset would wait for folios it does not zap
 */
#define _GNU_SOURCE
#include "pattern.h"
#include "trap.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define THP "/sys/kernel/mm/transparent_hugepage/enabled"

/* Pieces */

static void unmap_piece(void)
{
	H_EQ(munmap(win + MIB2 + 7 * PAGE, PAGE), 0);
}
TRAP(unmap_piece)

static void unmap_ends(void)
{
	H_EQ(munmap(win, MIB2 / 2), 0);
	H_EQ(munmap(win + LEN - MIB2 / 2, MIB2 / 2), 0);
	left = win + MIB2 / 2;
	left_at = MIB2 / 2;
}
TRAP(unmap_ends)

static void unmap_across(void)
{
	H_EQ(munmap(win + MIB2 / 2, MIB2 + PAGE), 0);
	H_EQ(munmap(win + 3 * MIB2 - PAGE, 2 * PAGE), 0);
	left_at = 2 * MIB2;
	left = win + left_at;
}
TRAP(unmap_across)

/* Page by page, the last piece of a folio last. */
static void unmap_crumbs(void)
{
	for (size_t at = 0; at < MIB2; at += 2 * PAGE)
		H_EQ(munmap(win + at, PAGE), 0);
	for (size_t at = PAGE; at < MIB2; at += 2 * PAGE)
		H_EQ(munmap(win + at, PAGE), 0);
	left_at = MIB2;
	left = win + left_at;
}
TRAP(unmap_crumbs)

static void map_over(void)
{
	char *p = mmap(win + MIB2 + PAGE, MIB2, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	H_CHECK(p != MAP_FAILED);
	memset(p, 1, MIB2);
	/* And with itself, elsewhere in the window. */
	p = mmap(win, MIB2, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, d.fd, window.mmap_offset + 2 * MIB2);
	H_CHECK(p != MAP_FAILED);
	left_at = 2 * MIB2;
}
TRAP(map_over)

/* Protection */

static void protect_piece(void)
{
	H_EQ(mprotect(win + PAGE, PAGE, PROT_NONE), 0);
	H_EQ(mprotect(win + MIB2 + PAGE, PAGE, PROT_READ), 0);
	touch(win + 2 * MIB2, MIB2);
	*(volatile char *)win = 1;
}
TRAP(protect_piece)

static void protect_to_and_fro(void)
{
	for (int i = 0; i < 3; i++) {
		H_EQ(mprotect(win, LEN, PROT_READ), 0);
		*(volatile char *)(win + MIB2);
		H_EQ(mprotect(win, LEN, PROT_READ | PROT_WRITE), 0);
		touch(win, LEN);
		H_EQ(mprotect(win, LEN, PROT_NONE), 0);
		H_EQ(mprotect(win, LEN, PROT_READ | PROT_WRITE), 0);
		touch(win, LEN);
	}
}
TRAP(protect_to_and_fro)

/* mremap */

static void shrink(void)
{
	H_CHECK(mremap(win, LEN, LEN - MIB2 / 2, 0) == win);
	H_CHECK(mremap(win, LEN - MIB2 / 2, MIB2 + PAGE, 0) == win);
}
TRAP(shrink)

/* To an address skew bytes above a multiple of 2 MiB. */
static void move_by(size_t skew)
{
	char *hole = mmap(NULL, LEN + 2 * MIB2, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *to = (char *)(((uintptr_t)hole + MIB2 - 1) & ~(MIB2 - 1)) + skew;

	H_CHECK(mremap(win, LEN, LEN, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to);
	moved = left = to;
	moved_bytes = LEN;
	H_EQ(pattern_differs(moved, LEN, 1, 0), -1);
	touch(moved, LEN);
}

static void move_aligned(void)
{
	move_by(0);
}
TRAP(move_aligned)

static void move_unaligned(void)
{
	move_by(3 * PAGE);
}
TRAP(move_unaligned)

/*
 * What has been at an odd place has page tables.  Dropping its entries frees them one
 * by one, while faults go on: no 2 MiB entry may come in between.
 */
static void stays_small(void)
{
	long long pmd = dev_count("target", "faults_pmd");

	H_EQ(madvise(moved, LEN, MADV_DONTNEED), 0);
	touch(moved, LEN);
	H_EQ(dev_count("target", "faults_pmd"), pmd);
}

static void odd_from_the_first(void)
{
	move_by(0);
	stays_small();
}

static void odd_from_the_first_4k(void)
{
	trap(odd_from_the_first, true);
}

static void odd_for_a_while(void)
{
	move_by(3 * PAGE);
	win = moved;
	move_by(0);
	stays_small();
}
TRAP(odd_for_a_while)

static void move_piece(void)
{
	char *to = mmap(NULL, MIB2, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	H_CHECK(mremap(win + MIB2 / 2, MIB2, MIB2, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to);
	moved = left = to;
	moved_bytes = MIB2;
	left_at = MIB2 / 2;
	H_EQ(pattern_differs(to, MIB2, 1, MIB2 / 2 / 8), -1);
}
TRAP(move_piece)

static void no_growth(void)
{
	H_ERRNO((long)mremap(win, LEN, LEN + PAGE, MREMAP_MAYMOVE), EFAULT);
	H_ERRNO((long)mremap(win, MIB2, 2 * MIB2, MREMAP_MAYMOVE), EFAULT);
	/* A copy of a shared mapping, and one that leaves the old in place. */
	H_CHECK(mremap(win, 0, LEN, MREMAP_MAYMOVE) == MAP_FAILED);
	H_CHECK(mremap(win, LEN, LEN, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL) == MAP_FAILED);
}
TRAP(no_growth)

static void reorder(void)
{
	/* The second 2 MiB show the fourth; then the first 64 KiB the last. */
	unsigned long pgoff = window.mmap_offset / PAGE;

	H_EQ(syscall(SYS_remap_file_pages, win + MIB2, MIB2, 0, pgoff + 3 * 512, 0), 0);
	H_EQ(pattern_differs(win + MIB2, MIB2, 1, 3 * MIB2 / 8), -1);
	H_EQ(syscall(SYS_remap_file_pages, win, STRIDE, 0, pgoff + (LEN - STRIDE) / PAGE, 0), 0);
	H_EQ(pattern_differs(win, STRIDE, 1, (LEN - STRIDE) / 8), -1);
	left_at = LEN - STRIDE;
}
TRAP(reorder)

/* Huge page policy */

static void set_policy(const char *policy, void (*run)(void))
{
	char before[64], *word;

	if (!dev_has_pmd())
		h_skip_case("this kernel has no transparent huge pages");
	H_EQ(h_read(THP, before, sizeof(before)), 0);
	word = strchr(before, '[') + 1;
	*strchr(word, ']') = 0;
	H_EQ(h_write(THP, policy), 0);
	run();
	h_write(THP, word);
}

static void expect_2m(void)
{
	open_all();
	win = left = dev_map(&d, window.mmap_offset, LEN);
	H_CHECK(win);
	touch_all(false);
	if (h_failed())
		return;
	sound();
	end_all();
}

/*
 * The policy is about memory that could be had in small pages as well.  Here a
 * 4 KiB entry where a 2 MiB one fits would race with one made by another thread.
 */
static void policy_never(void)
{
	set_policy("never", expect_2m);
}

static void policy_madvise(void)
{
	set_policy("madvise", expect_2m);
}

static void policy_of_process(void)
{
	H_EQ(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0), 0);
	expect_2m();
}

/* The policy changes under a mapping that has entries of both sizes. */
static void policy_changes(void)
{
	if (!dev_has_pmd())
		h_skip_case("this kernel has no advice about huge pages");
	H_EQ(madvise(win + MIB2, MIB2, MADV_NOHUGEPAGE), 0);
	H_EQ(madvise(win, LEN, MADV_DONTNEED), 0);
	touch(win, LEN);
	H_EQ(madvise(win, LEN, MADV_HUGEPAGE), 0);
	touch(win, LEN);
	H_EQ(madvise(win + MIB2 / 2, 2 * MIB2, MADV_NOHUGEPAGE), 0);
	touch(win, LEN);
}
TRAP(policy_changes)

/* Addresses */

static void skewed(size_t skew)
{
	long long pmd;

	open_all();
	win = left = dev_map_skewed(&d, window.mmap_offset, LEN, skew);
	H_CHECK(win);
	pmd = dev_count("target", "faults_pmd");
	touch(win, LEN);
	H_EQ(dev_count("target", "faults_pmd"), pmd);
	direct_io(win);
	H_EQ(munmap(win + MIB2 - PAGE, 2 * PAGE), 0);
	sound();
	end_all();
}

static void skewed_by_a_page(void)
{
	skewed(PAGE);
}

static void skewed_by_half(void)
{
	skewed(MIB2 / 2);
}

/* Many mappings of one folio, of either entry size, going in another order. */
static void many_mappings(void)
{
	char *map[24];

	for (int i = 0; i < 24; i++) {
		map[i] = dev_map_skewed(&d, window.mmap_offset, MIB2 + PAGE, i % 3 ? 0 : i * PAGE);
		H_CHECK(map[i]);
		touch(map[i], MIB2 + PAGE);
	}
	H_EQ(dev_count("target", "touched_folios"), TOUCHED);
	H_EQ(dev_reset(&d), 0);
	for (int i = 0; i < 24; i++)
		touch(map[i], MIB2 + PAGE);
	for (int i = 0; i < 24; i += 2)
		dev_unmap(&d, map[i]);
}
TRAP(many_mappings)

/* Advice */

static void drop(void)
{
	H_EQ(madvise(win + PAGE, PAGE, MADV_DONTNEED), 0);
	H_EQ(madvise(win + MIB2 + PAGE, MIB2, MADV_DONTNEED), 0);
	touch(win, LEN);
	H_EQ(madvise(win, LEN, MADV_DONTNEED), 0);
	touch(win, LEN);
	H_EQ(madvise(win, LEN, MADV_DONTNEED), 0);
}
TRAP(drop)

/*
 * All advice there is, to pieces and to the whole.  Some is refused, which is
 * as good; none may leave a reference.  (Poisoning, 100 and 101, is no advice.)
 */
static void all_advice(void)
{
	for (int advice = 0; advice <= 103; advice++) {
		/* Not to the children: then there would be nothing to test. */
		if ((advice > 25 && advice < 102) || advice == MADV_DONTFORK)
			continue;
		madvise(win + MIB2 + 3 * PAGE, PAGE, advice);
		madvise(win + MIB2 / 2, MIB2, advice);
		madvise(win, LEN, advice);
	}
	/* The last two set up guards and remove them, where that is allowed. */
	madvise(win, LEN, 103);
	touch(win, LEN);
}
TRAP(all_advice)

static const struct h_case cases[] = {
	BOTH("a piece is unmapped", unmap_piece),
	BOTH("both ends are unmapped", unmap_ends),
	BOTH("unmapped across folios", unmap_across),
	BOTH("a folio is unmapped page by page", unmap_crumbs),
	BOTH("other mappings are put over it", map_over),
	BOTH("a piece is protected", protect_piece),
	BOTH("all is protected, to and fro", protect_to_and_fro),
	BOTH("mremap shrinks it", shrink),
	BOTH("mremap moves it to a 2 MiB boundary", move_aligned),
	BOTH("mremap moves it to an odd place", move_unaligned),
	{ "mremap moves it from an odd place, and it stays with 4 KiB entries", odd_from_the_first_4k },
	BOTH("mremap moves it to an odd place and back", odd_for_a_while),
	BOTH("mremap moves a piece", move_piece),
	BOTH("mremap cannot grow it", no_growth),
	BOTH("remap_file_pages reorders it", reorder),
	{ "the policy 'never' leaves 2 MiB entries alone", policy_never },
	{ "the policy 'madvise' leaves 2 MiB entries alone", policy_madvise },
	{ "huge pages are switched off for the process", policy_of_process },
	BOTH("huge pages are switched off and on for parts", policy_changes),
	{ "mapped at an odd multiple of 4 KiB", skewed_by_a_page },
	{ "mapped at an odd multiple of 1 MiB", skewed_by_half },
	BOTH("many mappings of the same folios", many_mappings),
	BOTH("entries are dropped (MADV_DONTNEED)", drop),
	BOTH("all advice there is", all_advice),
	{ "unbinding ends at once", unbind },
	{ }
};

int main(int argc, char **argv)
{
	return trap_main(argc, argv, cases);
}
