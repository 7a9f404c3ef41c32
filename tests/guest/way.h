/* SPDX-License-Identifier: MIT */
/*
 * way.h - which way did the bytes of a transfer go?
 *
 * read() and write() return the same whether a disk or the CPU has moved the data.  What
 * tells them apart is that a disk cannot reach a BAR before the kernel has mapped it into
 * the disk's IOMMU domain, and the kernel traces that: the event iommu:map, with physical
 * address and size.  So this needs a disk whose DMA is translated, and a route that is not
 * the inside of a switch (topologies with root ports, without iommu=pt).
 *
 *	H_EQ(way_begin("target"), 0);
 *	n = pread(fd, window, size, 0);
 *	mapped = way_end("target");	0: the CPU moved them, if anybody did
 *
 * Several devices may be asked about at once.
 */
#ifndef WAY_H
#define WAY_H

/* From now on mappings of the BARs of the role's device count.  0 or -errno. */
int way_begin(const char *role);

/* Bytes of them that were mapped for DMA since, or -errno. */
long long way_end(const char *role);

#endif
