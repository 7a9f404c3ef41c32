/* SPDX-License-Identifier: MIT */
/* open.h - the device, opened the way the user wants */
#ifndef OPEN_H
#define OPEN_H

#include <vfio-p2p.h>

/**
 * open_device() - vp2p_open(), by VFIO_P2P_OPEN of the environment
 *
 * "group" and "cdev" force the one or the other; unset or empty leave the choice
 * to the library.
 *
 * Return: 0 or -errno, as vp2p_open(); -EINVAL if the variable is anything else.
 */
int open_device(const char *bdf, struct vp2p_device **dev, struct vp2p_error *err);

#endif /* OPEN_H */
