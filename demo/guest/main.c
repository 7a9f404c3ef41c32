// SPDX-License-Identifier: MIT
/*
 * The demo's program in the test machine: a user-space driver for a display that
 * gets its pictures by plain read(), and a reset in the middle of such reads.
 */
#include "display.h"
#include "harness.h"
#include "picture.h"
#include "reset.h"
#include "story.h"
#include "trace.h"

#include <stdio.h>
#include <string.h>

#define FIRST "/mnt/ext4/first.xrgb"
#define SECOND "/mnt/ext4/second.xrgb"

static void tell_route(struct display *d)
{
	struct vp2p_peer_info peer;
	struct vp2p_error err;

	if (vp2p_peer(d->dev, h_pci("nvme"), &peer, &err))
		give_up(&err);
	tell("route", "%s (NVMe) to %s: %s", peer.bdf, vp2p_device_bdf(d->dev), peer.reason);
}

static void start_driver(struct display *d)
{
	const char *bdf = h_pci("target");
	struct vp2p_error err;

	tell_chapter("1  A device and its user-space driver");
	if (h_bind(bdf, "p2p-vfio-pci"))
		h_bail("could not bind %s to p2p-vfio-pci", bdf);
	if (display_open(d, bdf, &err))
		give_up(&err);
	display_set_mode(d);
	tell("device", "%s, a display (bochs-display), bound to p2p-vfio-pci", bdf);
	tell("its driver", "demo/guest/display.c is all of it");
	tell("mode", "%d x %d, set through an ordinary mapping of BAR 2", WIDTH, HEIGHT);
	tell("window", "BAR 0, its %llu MiB of video memory, page-backed in folios of 2 MiB",
	     (unsigned long long)d->size >> 20);
	tell_route(d);
}

/* The host takes a screenshot and compares it, pixel by pixel, when we are done. */
static void show(struct display *d, const char *path, const char *name)
{
	picture_show(d, path);
	if (h_hostf(NULL, 0, "{\"screendump\": \"%s\"}", name))
		h_bail("the host could not take a screenshot");
	h_ok(picture_equals(d->vram, path, PICTURE), "%s picture in video memory equals its file", name);
}

static void tell_reset(const struct reset_result *r)
{
	tell("reads", "%lu whole; %lu refused with EFAULT, %lu cut short, %lu with another error",
	     r->reads, r->refused, r->cut, r->other);
	tell("touching thread", "%s touches; the longest took %.1f ms: it waited, and went on",
	     grouped(r->touches), r->longest_touch_ms);
}

static void judge_reset(const struct reset_result *r)
{
	h_ok(r->pins_before > 0, "pages were pinned when the reset was asked for");
	h_ok(r->pins_at_reset == 0, "no page was pinned when the device was reset");
	h_ok(r->refused + r->cut > 0 && !r->other, "reads that raced with the reset failed cleanly");
	h_ok(r->touch_right && r->longest_touch_ms >= r->shut_ms / 2, "the touching thread only waited");
	h_ok(r->data_right, "reads went on after the reset, and their data is right");
}

static void fact(const char *name, uint64_t value)
{
	h_diag("= %s %llu", name, (unsigned long long)value);
}

int main(void)
{
	struct reset_result reset = { 0 };
	struct display display = { 0 };
	size_t cached;

	h_plan(8);
	if (!h_mount("ext4", NULL))
		h_bail("could not mount the disk with the pictures");

	start_driver(&display);
	if (trace_start())
		h_bail("the driver's tracepoints are not there");
	tell_chapter("2  A picture, by a plain read()");
	show(&display, FIRST, "first");

	tell_chapter("3  A reset, in the middle of a stream of reads");
	reset_in_mid_stream(&display, SECOND, &reset);
	tell_reset(&reset);
	judge_reset(&reset);

	tell_chapter("4  The next picture");
	display_set_mode(&display);
	show(&display, SECOND, "second");
	cached = picture_cached(FIRST) + picture_cached(SECOND);
	h_ok(!cached, "no byte went through the page cache");

	fact("bar_address", display.bus_address);
	fact("bar_size", display.size);
	fact("p2p_bytes", 2ull * PICTURE + reset.p2p_bytes);
	fact("reads", 2 + reset.reads);
	fact("cpu_bytes", cached);
	fact("pins_before", reset.pins_before);
	fact("pins_at_reset", reset.pins_at_reset);
	trace_stop();
	display_close(&display);
	return h_done();
}
