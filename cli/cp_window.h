/* SPDX-License-Identifier: MIT */
/* cp_window.h - the window that a copy goes through */
#ifndef CP_WINDOW_H
#define CP_WINDOW_H

#include <stdint.h>
#include <vfio-p2p.h>

#include "parse.h"

/**
 * window_check_range() - does @place lie in a BAR of its device?
 *
 * Looks into sysfs only: opening the device would reset it.
 *
 * Return: an exit code, also EXIT_OK where there is no such device to look at.
 */
int window_check_range(const struct place *place);

/**
 * window_obtain() - a window that covers @place, found or registered
 * @place: with the length, or 0 for "to the end of the window".
 * @win: the window, out
 * @made: what was registered, out; its length is 0 if the window was found.
 *
 * A new window is as large as the BAR allows: windows last and may not overlap,
 * so one that just fits this copy would stand in the way of the next.  Where there
 * are others in its way, it is made to fit.
 *
 * Return: 0 or a negative errno.
 */
int window_obtain(struct vp2p_device *dev, const struct place *place,
		  struct vp2p_window **win, struct span *made,
		  struct vp2p_error *err);

/**
 * window_for_range() - the same; says what it has done, and why not
 * @quiet: do not say that one was registered.
 *
 * Return: an exit code.
 */
int window_for_range(struct vp2p_device *dev, const struct place *place,
		     struct vp2p_window **win, bool quiet);

#endif /* CP_WINDOW_H */
