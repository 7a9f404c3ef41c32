/* SPDX-License-Identifier: MIT */
/* vfio_users.h - which processes have a VFIO device open */
#ifndef VFIO_USERS_H
#define VFIO_USERS_H

#include "device.h"

/**
 * vfio_users() - "1234 (qemu-system-x86), 99 (spdk_tgt)", or NULL
 *
 * Looks through /proc/PID/fd and /proc/PID/maps, as far as permission reaches: everything for root,
 * the user's own processes otherwise.  Who has only mapped the device is known where it was
 * opened by its character device, and of an exported window.
 */
const char *vfio_users(const struct device *device);

/**
 * vfio_mappers() - processes that have memory of some VFIO device mapped
 *
 * A mapping keeps a device open without an fd; but where the device was opened
 * through its group, /proc/PID/maps does not tell which device it is.  These are meant; an
 * exported window's mappings name theirs.
 */
const char *vfio_mappers(void);

#endif /* VFIO_USERS_H */
