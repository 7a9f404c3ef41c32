/* SPDX-License-Identifier: MIT */
/*
 * A device that does DMA to where it is told, like a GPU or a network adapter that
 * a program or a virtual machine drives: QEMU's edu, opened through VFIO beside
 * another device.  It moves up to 1 KiB a time between 4 KiB of its own and an
 * address of the IOMMU.
 */
#ifndef COPIER_H
#define COPIER_H

#include "dev.h"

#define COPIER_MOST 1024u

struct copier {
	struct dev d;
	volatile char *regs;
};

/* In the container or the ioas of the first. */
int copier_open(struct copier *c, const struct dev *first, const char *role);
/* Each: 0 or -ETIMEDOUT.  The device does not tell whether it got through. */
int copier_fetch(struct copier *c, uint64_t iova, size_t length);
int copier_store(struct copier *c, uint64_t iova, size_t length);

#endif
