/* SPDX-License-Identifier: MIT */
/* window_add.h - windows that a user asks for: all checked, then one registered */
#ifndef WINDOW_ADD_H
#define WINDOW_ADD_H

#include <vfio-p2p.h>

#include "device.h"

/**
 * windows_check() - may each be a window, and all of them together?
 *
 * Return: EXIT_OK, or an exit code after the rule that was broken was printed.
 */
int windows_check(const struct device *device, const struct span *windows,
		  unsigned int count);

/**
 * window_add() - register @span, which windows_check() has found good
 * @news: "window 0 on BAR 2, offset 0, length 32M".
 *
 * Return: EXIT_OK, or an exit code after the failure was printed.
 */
int window_add(struct vp2p_device *dev, const struct device *device,
	       const struct span *span, const char **news);

#endif /* WINDOW_ADD_H */
