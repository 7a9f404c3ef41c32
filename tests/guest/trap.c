// SPDX-License-Identifier: MIT
/* A trap for the driver: see trap.h. */
#define _GNU_SOURCE
#include "trap.h"
#include "pattern.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define IO (3 * MIB2 / 2)

struct dev d;
struct p2p_vfio_window window;
char *win, *raw, *left, *moved;
size_t left_at, moved_bytes;
int disk;

void touch(char *from, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += STRIDE)
		*(volatile char *)(from + i) = *(volatile char *)(from + i);
}

/* Touches each STRIDE of the window; the order of the entries must be the one wanted. */
void touch_all(bool by_pte)
{
	long long pmd = dev_count("target", "faults_pmd");
	long long pte = dev_count("target", "faults_pte");

	by_pte |= !dev_has_pmd();
	touch(win, LEN);
	H_EQ(dev_count("target", "faults_pmd") - pmd, by_pte ? 0 : LEN / MIB2);
	H_EQ(dev_count("target", "faults_pte") - pte, by_pte ? LEN / STRIDE : 0);
	H_EQ(dev_count("target", "touched_folios"), TOUCHED);
}

void open_all(void)
{
	disk = open(h_disk("raw"), O_RDWR | O_DIRECT);
	H_CHECK(disk >= 0);
	H_EQ(dev_open(&d, "target"), 0);
	H_EQ(dev_window_set(&d, dev_bar(&d), AT, LEN, 0, &window), 0);
	raw = dev_map_raw(&d, dev_bar(&d), AT, LEN);
	H_CHECK(raw);
	pattern_fill(raw, LEN, 1, 0);
}

/* File to window and back to another place of the file, both looked at. */
void direct_io(char *map)
{
	char *ram = aligned_alloc(PAGE, IO);

	pattern_fill(ram, IO, 2, 0);
	H_EQ(pwrite(disk, ram, IO, 0), IO);
	H_EQ(pread(disk, map + MIB2 / 2, IO, 0), IO);
	H_EQ(pattern_differs(raw + MIB2 / 2, IO, 2, 0), -1);
	pattern_fill(raw, LEN, 3, 0);
	H_EQ(pwrite(disk, map + MIB2 / 2, IO, IO), IO);
	H_EQ(pread(disk, ram, IO, IO), IO);
	H_EQ(pattern_differs(ram, IO, 3, MIB2 / 2 / 8), -1);
	free(ram);
}

static void reset_is_granted(void)
{
	H_EQ(dev_count("target", "pinned_folios"), 0);
	H_EQ(dev_reset(&d), 0);
	H_EQ(dev_count("target", "touched_folios"), 0);
	H_EQ(dev_count("target", "drain_timeouts"), 0);
}

void sound(void)
{
	char *fresh;

	reset_is_granted();
	if (left && !h_failed()) {
		pattern_fill(raw, LEN, 4, 0);
		H_EQ(pattern_differs(left, PAGE, 4, left_at / 8), -1);
		*(volatile char *)left = 1;
	}
	fresh = dev_map(&d, window.mmap_offset, LEN);
	H_CHECK(fresh);
	direct_io(fresh);
	reset_is_granted();
}

/* What a trap has moved away is unmapped with all else: the case's last act. */
void end_all(void)
{
	if (moved)
		munmap(moved, moved_bytes);
	close(disk);
	dev_close(&d);
	dev_check_rest("target");
}

void trap(void (*spring)(void), bool by_pte)
{
	open_all();
	win = dev_map_skewed(&d, window.mmap_offset, LEN, by_pte ? PAGE : 0);
	H_CHECK(win);
	touch_all(by_pte);
	left = win;
	if (!h_failed())
		spring();
	if (!h_failed())
		sound();
	if (!h_failed())
		end_all();
}

void unbind(void)
{
	H_CHECK(dev_unbind("target", 5));
}

int trap_main(int argc, char **argv, const struct h_case *cases)
{
	dev_bind("target", DEV_P2P);
	dev_param("drain_timeout_ms", "3000");
	return h_main(argc, argv, cases);
}
