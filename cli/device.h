/* SPDX-License-Identifier: MIT */
/* device.h - a PCI device as sysfs shows it, without opening it */
#ifndef DEVICE_H
#define DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "parse.h"

#define DEVICE_BARS 6
#define NO_GROUP (-1)

/** struct bar - one base address register */
struct bar {
	bool memory;		/* a memory BAR of a size above 0 */
	bool prefetchable;
	bool wide;		/* 64-bit */
	bool assigned;		/* has a bus address */
	uint64_t start;
	uint64_t size;
};

/** struct table_place - the MSI-X table or the pending bits inside a BAR */
struct table_place {
	unsigned int bar;
	uint64_t offset;
	uint64_t length;
};

/** enum msix_state - what is known about the device's MSI-X tables */
enum msix_state {
	MSIX_UNKNOWN,		/* config space beyond 64 bytes not readable */
	MSIX_NONE,
	MSIX_PRESENT,
};

/** struct device - all of it is a copy; nothing is freed before the exit */
struct device {
	char bdf[BDF_SIZE];
	uint16_t vendor;
	uint16_t product;
	uint32_t class;		/* 0xBBSSPP */
	const char *driver;	/* NULL: none is bound */
	const char *override;	/* driver_override; NULL: none */
	int group;		/* IOMMU group, or NO_GROUP */
	struct bar bars[DEVICE_BARS];
	enum msix_state msix;
	struct table_place tables[2];	/* table, pending bits; if MSIX_PRESENT */
};

/** device_path() - ".../bus/pci/devices/BDF/NAME" */
char *device_path(const char *bdf, const char *name);

/** device_load() - Return: NULL if there is no such device. */
struct device *device_load(const char *bdf);

/** device_group_peers() - addresses of the other devices of the IOMMU group. */
char **device_group_peers(const struct device *device);

/**
 * driver_allows_group() - would the kernel let user space own an IOMMU group while
 * @driver has a member of it?
 * @driver: NULL: none.
 */
bool driver_allows_group(const char *driver);

/** device_is_bridge() */
bool device_is_bridge(const struct device *device);

/** device_is_ours() - is it bound to p2p-vfio-pci? */
bool device_is_ours(const struct device *device);

/**
 * device_load_ours() - load a device that must be bound to p2p-vfio-pci
 * @step: what it is for, as fail() wants it.
 *
 * Return: EXIT_OK, or an exit code after the failure was printed.
 */
int device_load_ours(const char *bdf, const char *step, const struct device **device);

/** device_name() - "Red Hat, Inc. Inter-VM shared memory", or "" if unknown. */
const char *device_name(const struct device *device);

#endif /* DEVICE_H */
