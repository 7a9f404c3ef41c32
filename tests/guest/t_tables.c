// SPDX-License-Identifier: MIT
/*
 * Page tables that are not to be had.
 *
 * An entry of 4 KiB needs a page table.  Another thread's MADV_DONTNEED of 2 MiB may
 * free the one that the memory core has just made for a fault (PT_RECLAIM), and the
 * insertion then says that there is no memory: a direct read would fail with ENOMEM for
 * no reason.  So the driver tries some times.
 *
 * That race cannot be had at will.  But the kernel says the same when the allocation
 * fails, and that can be made to happen, at the driver's own call and nowhere else: the
 * fault injection looks for the driver's code on the stack.  One failure must not be
 * seen by anybody; if there is never a table, the read ends with ENOMEM after as many
 * tries as there are, with nothing left behind, and the next one is whole.
 *
 * And a table can be where none is wanted: an mremap() to an odd address that finds no
 * memory brings back by tables what it had moved, and the mapping is as it was, one for
 * 2 MiB entries.  So each page allocation of such a move fails in turn, and whatever has
 * become of it, each page can be touched, and belongs to the same byte of the device.
 */
#define _GNU_SOURCE
#include "dev.h"
#include "faults.h"
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096
#define LEN (3 * DEV_MIB2)	/* of the window, the same in all cases */
#define TRIES 4		/* P2P_PTE_TRIES */
#define MANY 1000

static struct dev d;
static char *win;
static int disk;

static void set_up(void)
{
	struct p2p_vfio_window w;

	H_CHECK(fault_choose(FAULT_PAGE, NULL));
	H_CHECK(fault_only_below(FAULT_PAGE, "p2p_vfio_pci"));
	fault_disarm();		/* opens what it needs, once */
	disk = open(h_disk("raw"), O_RDONLY | O_DIRECT | O_CLOEXEC);
	H_CHECK(disk >= 0);
	H_EQ(dev_open(&d, "target"), 0);
	H_EQ(dev_window_set(&d, dev_bar(&d), 0, LEN, 0, &w), 0);
	win = dev_map_skewed(&d, w.mmap_offset, LEN, PAGE);
	H_CHECK(win);
}

static void clean_up(void)
{
	dev_unmap(&d, win);
	dev_close(&d);
	dev_check_rest("target");
	close(disk);
}

static void fails_once(void)
{
	ssize_t n;

	set_up();
	fault_arm(1);
	n = pread(disk, win, PAGE, 0);
	H_CHECK(fault_disarm());
	H_EQ(n, PAGE);
	clean_up();
}

static void fails_always(void)
{
	ssize_t n;

	set_up();
	H_CHECK(fault_all(FAULT_PAGE, MANY));
	n = pread(disk, win, PAGE, 0);
	n = n < 0 ? -errno : n;
	H_EQ(fault_rest(FAULT_PAGE, MANY), TRIES);
	H_EQ(n, -ENOMEM);
	H_EQ(dev_count("target", "pinned_folios"), 0);
	H_EQ(pread(disk, win, PAGE, 0), PAGE);
	clean_up();
}

/* From the middle of a granule to the middle of the next but one: 4 KiB entries at both ends. */
#define MOVED (2 * DEV_MIB2)
#define MAX_CHANCES 100

static bool all_there(volatile unsigned int *at)
{
	for (size_t i = 0; i < MOVED / sizeof(*at); i += PAGE / sizeof(*at))
		if (at[i] != i)
			return false;
	return true;
}

/* One move, of a fresh mapping to a fresh place, with its nth chance taken.  False: it has none. */
static bool move_once(uint64_t cookie, unsigned int n, unsigned int *failed)
{
	const size_t reserved = MOVED + 6 * DEV_MIB2;	/* no neighbour shares a table */
	char *hole, *to, *now;
	bool taken;

	win = dev_map_skewed(&d, cookie + DEV_MIB2 / 2, MOVED, DEV_MIB2 / 2);
	hole = mmap(NULL, reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (!win || hole == MAP_FAILED) {
		h_fail("there is no place to move from, or to: %m");
		return false;
	}
	to = (char *)(((uintptr_t)hole + 2 * DEV_MIB2) & ~(DEV_MIB2 - 1)) + 3 * PAGE;
	for (size_t i = 0; i < MOVED / sizeof(int); i += PAGE / sizeof(int))
		((volatile unsigned int *)win)[i] = i;

	fault_arm(n);
	now = mremap(win, MOVED, MOVED, MREMAP_MAYMOVE | MREMAP_FIXED, to);
	taken = fault_disarm();
	if (now == MAP_FAILED) {
		if (!taken || errno != ENOMEM)
			h_fail("chance %u: the move failed: %m", n);
		++*failed;
		now = win;
	}
	if (!all_there((void *)now))
		h_fail("chance %u: a page is another one", n);
	if (now != win)
		munmap(now, MOVED);
	dev_unmap(&d, win);
	munmap(hole, reserved);
	return taken && !h_failed();
}

static void move_fails(void)
{
	unsigned int failed = 0, n = 1;
	struct p2p_vfio_window w;

	H_CHECK(fault_choose(FAULT_PAGE, NULL));
	fault_disarm();		/* opens what it needs, once */
	H_EQ(dev_open(&d, "target"), 0);
	H_EQ(dev_window_set(&d, dev_bar(&d), 0, LEN, 0, &w), 0);
	while (n < MAX_CHANCES && move_once(w.mmap_offset, n, &failed))
		n++;
	h_diag("%u chances, of which %u made the move fail", n - 1, failed);
	/* One for each table where it goes to, at the least. */
	H_CHECK(failed >= 2);
	dev_close(&d);
	dev_check_rest("target");
}

static const struct h_case cases[] = {
	{ "the table is not there at first", fails_once },
	{ "there is never a table", fails_always },
	{ "a move that fails", move_fails },
	{ }
};

int main(int argc, char **argv)
{
	if (!fault_choose(FAULT_PAGE, NULL)) {
		h_plan(1);
		h_skip("page tables", "this kernel has no fault injection");
		return h_done();
	}
	dev_bind("target", DEV_P2P);
	return h_main(argc, argv, cases);
}
