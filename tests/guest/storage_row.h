/* SPDX-License-Identifier: MIT */
/*
 * storage_row.h - one kind of storage, judged: a row of docs/storage.md
 *
 * Theory of operation.  A row is a file or disk, and what is expected of it.  Five things
 * are done with it, each with data unlike any other and compared afterwards, whether it
 * went well or not:
 *
 *   read() and write() with O_DIRECT, as any program does them.  Which way the bytes went
 *   is not what the calls say but what the kernel has mapped for DMA (way.h).  A call that
 *   fails must have left window and file as they were;
 *
 *   the library's strict copy, both ways: it must succeed where the bytes go peer-to-peer
 *   in both directions, and refuse with cause and remedy elsewhere; and it must never
 *   claim what the trace denies;
 *
 *   "vfio-p2p doctor", in a process of its own: exit status, and the checks that FAIL or
 *   are unknown.  Its verdict is held against what was seen: a proof needs a read that
 *   went peer-to-peer, a FAIL needs something that did not or that the library refuses.
 *
 * The row is printed if all of it held, for tests/vm/storage.py and the table:
 *
 *	# storage: ID | what | read | write | copy | path | doctor | cause | remedy | release | test
 *
 * Fails if the kernel, the library or doctor changes its mind; a detector that is blind
 * (way.c without the event) fails all rows that go peer-to-peer, one that counts too much
 * all that do not.
 */
#ifndef STORAGE_ROW_H
#define STORAGE_ROW_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Of each transfer: more than a chunk of an array, and no more than one NVMe command has. */
#define SR_SIZE ((size_t)128 << 10)

/* What becomes of a call: a way, or a negative errno. */
enum sr_way { SR_P2P = 1, SR_CPU };

struct sr_row;

/* How a transfer is made; NULL: pread() and pwrite().  0 or SR_SIZE bytes, or -errno. */
typedef ssize_t (*sr_transfer)(const struct sr_row *row, void *buffer, bool write);

struct sr_row {
	const char *id;		/* in docs/storage.md */
	const char *what;
	const char *file;	/* a regular file, which is made unless it is @given; */
	const char *disk;	/* or a block device */
	bool given;
	sr_transfer transfer;
	bool bare;		/* the calls only: no copy, no doctor */
	bool no_write;		/* the storage cannot be written to */
	bool hole;		/* writes go into a hole of the file */
	bool no_extents;	/* the file has none (ext4) */
	/*
	 * So many bytes of a new file, which the page cache has put there, are read; a page
	 * is asked for, and written.  0: SR_SIZE, put there by direct I/O.
	 */
	size_t small;
	bool blocks;		/* it is given blocks then: fallocate -n */
	bool mapped;		/* the window's pages are in the page table before read() */

	int read, write;	/* enum sr_way or -errno */
	int copy_read, copy_write;	/* 0 or -errno */
	const char *path;	/* as the library reports it, with N for each number */
	int doctor;		/* its exit status */
	const char *finds;	/* its checks that FAIL; of status 7, those that are unknown */
	const char *warns;	/* a check that is a warning, as of what is not so always */
	const char *cause;	/* part of what the library or doctor says, */
	const char *remedy;	/* and of its remedy; NULL: there is nothing to mend */
	const char *note;	/* cause in own words, where nobody says it */
};

/* The device is open and its window mapped only inside of this. */
void sr_run(const struct sr_row *row);

/* For transfers that are no pread(): the page-aligned place of the row's data. */
void *sr_window(void);

#endif
