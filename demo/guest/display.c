// SPDX-License-Identifier: MIT
#include "display.h"

enum { VRAM = 0, REGISTERS = 2 };

/* The registers are 16 bits each. */
#define DISPI 0x500
enum { XRES = 1, YRES, BPP, ENABLE };
enum { ENABLE_ON = 0x01, ENABLE_LINEAR = 0x40 };

static int map_views(struct display *d, struct vp2p_error *err)
{
	struct vp2p_bar bar;
	void *regs, *vram, *pages;
	int ret;

	ret = vp2p_bar_info(d->dev, VRAM, &bar, err) ?:
	      vp2p_map_bar(d->dev, REGISTERS, 0, 0, &regs, err) ?:
	      vp2p_map_bar(d->dev, VRAM, 0, 0, &vram, err) ?:
	      vp2p_window_create(d->dev, VRAM, 0, 0, 0, &d->window, err) ?:
	      vp2p_map(d->window, 0, 0, 0, &pages, err);
	if (ret)
		return ret;
	d->regs = (volatile uint16_t *)((char *)regs + DISPI);
	d->vram = vram;
	d->pages = pages;
	d->size = bar.size;
	d->bus_address = bar.bus_address;
	return 0;
}

int display_open(struct display *d, const char *bdf, struct vp2p_error *err)
{
	return vp2p_open(bdf, 0, &d->dev, err) ?: map_views(d, err);
}

void display_set_mode(struct display *d)
{
	d->regs[ENABLE] = 0;
	d->regs[XRES] = WIDTH;
	d->regs[YRES] = HEIGHT;
	d->regs[BPP] = 32;
	d->regs[ENABLE] = ENABLE_ON | ENABLE_LINEAR;
}

/* The mappings end with the process. */
void display_close(struct display *d)
{
	vp2p_window_destroy(d->window);
	vp2p_close(d->dev);
}
