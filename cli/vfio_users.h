/* SPDX-License-Identifier: MIT */
/* vfio_users.h - which processes have a VFIO device open */
#ifndef VFIO_USERS_H
#define VFIO_USERS_H

#include "device.h"

/**
 * vfio_users() - "1234 (qemu-system-x86), 99 (spdk_tgt)", or NULL
 *
 * Looks through /proc/PID/fd, as far as permission reaches: everything for root,
 * the user's own processes otherwise.
 */
const char *vfio_users(const struct device *device);

#endif /* VFIO_USERS_H */
