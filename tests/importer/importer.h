/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * importer.h - /dev/dma-buf-importer: a dma-buf's importer that a test commands
 *
 * Each open of it attaches one dma-buf to one PCI device of the machine, as that
 * device's driver would.  It maps when it is told to.  When the exporter says that
 * the mapping has become invalid it writes down what it sees at that moment, and
 * unmaps: at once, or, if it is lazy, when it is told to.  One that has unmapped at
 * once tries to map again at once, and writes down what it is told.
 */
#ifndef IMPORTER_H
#define IMPORTER_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define IMP_NOTICES 16	/* the first so many are kept */

/*
 * @dmabuf: its fd.  @domain, @bus, @devfn: on whose behalf.
 * @phys, @length: the memory that is looked at when a notice comes.
 * @mark: address of a register of the exporting device that a reset clears, or 0.
 */
struct imp_attach {
	__s32 dmabuf;
	__u32 domain;
	__u8 bus;
	__u8 devfn;
	__u8 lazy;
	__u8 reserved;
	__u32 reserved2;
	__aligned_u64 phys;
	__aligned_u64 length;
	__aligned_u64 mark;
};

/* What map() gave: the first segment, and how long all are. */
struct imp_map {
	__aligned_u64 address;
	__aligned_u64 length;
};

/*
 * @mapped: was it, when the notice came?
 * @folios: with a struct page, in the memory that is looked at.
 * @held: of these, how many had another reference than the one of their owner.
 * @pinned: of these, how many looked pinned for DMA.
 * @mark: what the register holds.
 * @again: a new mapping's errno, negative; 0: it was there, and has been undone.
 */
struct imp_notice {
	__u32 mapped;
	__u32 folios;
	__u32 held;
	__u32 pinned;
	__u32 mark;
	__s32 again;
};

struct imp_seen {
	__u32 notices;
	__u32 reserved;
	struct imp_notice now;
	struct imp_notice at[IMP_NOTICES];
};

#define IMP_ATTACH	_IOW('i', 1, struct imp_attach)
#define IMP_MAP		_IOR('i', 2, struct imp_map)
#define IMP_UNMAP	_IO('i', 3)
#define IMP_SEEN	_IOR('i', 4, struct imp_seen)

#endif /* IMPORTER_H */
