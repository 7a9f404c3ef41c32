/* SPDX-License-Identifier: MIT */
/*
 * A user-space driver for QEMU's bochs-display: BAR 0 is the video memory, BAR 2
 * has the registers.  This is all of it.
 */
#ifndef DISPLAY_H
#define DISPLAY_H

#include <vfio-p2p.h>

enum { WIDTH = 1280, HEIGHT = 720, PICTURE = WIDTH * HEIGHT * 4 };

struct display {
	struct vp2p_device *dev;
	struct vp2p_window *window;
	volatile uint16_t *regs;
	char *vram;		/* the ordinary view of BAR 0 */
	char *pages;		/* the page-backed view of it */
	uint64_t size, bus_address;
};

int display_open(struct display *d, const char *bdf, struct vp2p_error *err);
void display_set_mode(struct display *d);
void display_close(struct display *d);

#endif
