/* SPDX-License-Identifier: MIT */
/*
 * A trap: map a window and touch it, do something to the mapping, and see that
 * the driver is sound.
 *
 * The driver knows a folio to be idle when its reference count is back at one, so
 * a reference that any path of the kernel leaves behind shows at the next
 * VFIO_DEVICE_RESET: it is refused with EBUSY after drain_timeout_ms, which is
 * 3 seconds here.  A reference too few shows as a warning or as a bad page in
 * the kernel's log.  Sound means:
 *
 *  - nothing pinned; the reset is granted; nothing is touched after it;
 *  - what the trap has left mapped faults in again and shows the right bytes;
 *  - a fresh mapping takes O_DIRECT in both directions, and another reset.
 *
 * Most traps are sprung twice: on 2 MiB entries, where they must split them, and
 * on 4 KiB entries of the same folios (at an address where no 2 MiB entry fits).
 */
#ifndef TRAP_H
#define TRAP_H

#include "dev.h"
#include "harness.h"

#define MIB2 DEV_MIB2
#define PAGE ((size_t)4096)
#define AT MIB2			/* of the window in its BAR */
#define LEN (4 * MIB2)
#define STRIDE (16 * PAGE)	/* from one touch to the next */
#define TOUCHED (dev_has_pmd() ? LEN / MIB2 : LEN / STRIDE)	/* folios, by touch(win, LEN) */

extern struct dev d;
extern struct p2p_vfio_window window;
extern char *win, *raw;		/* the window and, below it, the bytes: stream 1 */
extern int disk;

/* For the trap to set: what it has left mapped, and that address's offset in the window. */
extern char *left;
extern size_t left_at;
/* And what it has moved elsewhere. */
extern char *moved;
extern size_t moved_bytes;

/* The whole of a case; by_pte: 4 KiB entries. */
void trap(void (*spring)(void), bool by_pte);

/* Its acts, for traps that must come before the mapping. */
void open_all(void);
void touch(char *from, size_t bytes);
void touch_all(bool by_pte);
void direct_io(char *map);
void sound(void);
void end_all(void);

/* The last case of each program. */
void unbind(void);
int trap_main(int argc, char **argv, const struct h_case *cases);

#define TRAP(fn) \
	static void fn##_2m(void) { trap(fn, false); } \
	static void fn##_4k(void) { trap(fn, true); }

#define BOTH(name, fn) { name ", 2 MiB entries", fn##_2m }, { name ", 4 KiB entries", fn##_4k }

#endif
