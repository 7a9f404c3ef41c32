/* SPDX-License-Identifier: MIT */
/*
 * A dma-buf of a BAR, and its importer: /dev/dma-buf-importer
 * (tests/importer/importer.h), of which an open file is one attachment.
 */
#ifndef GUEST_IMPORTER_H
#define GUEST_IMPORTER_H

#include "../importer/importer.h"
#include "dev.h"

#define IMP_MODULE "dma-buf-importer"

/* VFIO_DEVICE_FEATURE_DMA_BUF of a range of a BAR: the fd, or -errno. */
int imp_export(const struct dev *d, unsigned int bar, uint64_t offset, uint64_t length);
/* Where a BAR is, in physical memory; 0: there is none. */
uint64_t imp_bar_address(const struct dev *d, unsigned int bar);

/* An importer for the role's device, which looks at these bytes: its fd, or -errno. */
struct imp_place {
	uint64_t phys, length, mark;
	bool lazy;
};

int imp_open(const char *role, int dmabuf, const struct imp_place *at);
/* The mapping's length, or -errno. */
long imp_map(int imp, struct imp_map *map);
int imp_unmap(int imp);
/* How often it has been told, and what it saw. */
struct imp_seen imp_seen(int imp);

#endif
