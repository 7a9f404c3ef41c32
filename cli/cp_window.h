/* SPDX-License-Identifier: MIT */
/* cp_window.h - the window that a copy goes through */
#ifndef CP_WINDOW_H
#define CP_WINDOW_H

#include <stdint.h>
#include <vfio-p2p.h>

#include "parse.h"

/**
 * window_for_range() - a window that covers @place, found or registered
 * @place: with the length, or 0 for "to the end of the window".
 * @win: the window, out
 * @quiet: do not say that one was registered.
 *
 * A new window is as large as the BAR allows: windows last and may not overlap,
 * so one that just fits this copy would stand in the way of the next.
 *
 * Return: an exit code.
 */
int window_for_range(struct vp2p_device *dev, const struct place *place,
		     struct vp2p_window **win, bool quiet);

#endif /* CP_WINDOW_H */
