/* SPDX-License-Identifier: MIT */
/*
 * holders.h - who on this host would lose something if a device went away
 */
#ifndef HOLDERS_H
#define HOLDERS_H

#include <sys/types.h>

/**
 * device_users() - file systems, swap, arrays and interfaces on a PCI device
 *
 * Return: a list for people ("nvme0n1p2 is mounted at /home"), or NULL if
 * nothing is known to use it.
 */
const char *device_users(const char *bdf);

/** block_users() - the same for one block device and its partitions. */
const char *block_users(dev_t device);

#endif /* HOLDERS_H */
