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
 */
#define _GNU_SOURCE
#include "dev.h"
#include "faults.h"
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAGE 4096
#define LEN (2 * DEV_MIB2)
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

static const struct h_case cases[] = {
	{ "the table is not there at first", fails_once },
	{ "there is never a table", fails_always },
	{ }
};

int main(int argc, char **argv)
{
	dev_bind("target", DEV_P2P);
	return h_main(argc, argv, cases);
}
