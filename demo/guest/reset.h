/* SPDX-License-Identifier: MIT */
/* The device is reset while reads into its memory are in flight. */
#ifndef RESET_H
#define RESET_H

#include "traffic.h"

/* What the reset has shown; each is one line of the proof. */
struct reset_result {
	uint64_t p2p_bytes;		/* moved by the traffic */
	unsigned long reads;
	uint64_t pins_before;		/* when the reset was asked for */
	long long pins_at_reset;	/* when the PCI core began with it */
	unsigned long refused, cut, other;
	unsigned long touches;
	double longest_touch_ms, shut_ms;
	bool touch_right, data_right;
};

void reset_in_mid_stream(struct display *d, const char *path, struct reset_result *r);

#endif
