/* SPDX-License-Identifier: MIT */
/*
 * pci_path.h - the bridges above a PCI device, and what they do with packets
 * between devices
 */
#ifndef PCI_PATH_H
#define PCI_PATH_H

#include <stdbool.h>

#include "parse.h"

#define PCI_PATH_MAX 16

/**
 * struct pci_path - a device and the bridges above it, up to the root bus
 * @bdf: the device first, its root port last.
 * @root: the root bus ("pci0000:00"), "" if the path is not known.
 */
struct pci_path {
	char bdf[PCI_PATH_MAX][BDF_SIZE];
	unsigned int count;
	char root[16];
};

/** pci_path_load() - Return: false if sysfs does not tell. */
bool pci_path_load(const char *bdf, struct pci_path *path);

/**
 * pci_path_meet() - the lowest bridge that two devices are both below
 *
 * Return: its place in @a, or -1 if they have none (a root bus is no bridge).
 */
int pci_path_meet(const struct pci_path *a, const struct pci_path *b);

/** enum acs_state - does a port send packets between devices up to the root? */
enum acs_state {
	ACS_UNKNOWN,	/* extended config space is not readable: not root */
	ACS_ABSENT,	/* no ACS capability */
	ACS_PASSES,	/* the capability, with no redirection switched on */
	ACS_REDIRECTS,
};

/**
 * acs_state() - of one port or function
 * @bits: which of the redirecting bits are set ("RR CR EC"); "" else.
 */
enum acs_state acs_state(const char *bdf, const char **bits);

#endif /* PCI_PATH_H */
