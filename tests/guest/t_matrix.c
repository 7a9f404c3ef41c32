// SPDX-License-Identifier: MIT
/*
 * The matrix of events: what the owner of a device does to it, and what root
 * does, while I/O is running.  See matrix.h for how each is judged, and
 * docs/events.md for the whole table.
 */
#define _GNU_SOURCE
#include "dev.h"
#include "harness.h"
#include "matrix.h"

#include <errno.h>
#include <linux/pci_regs.h>

static void reset(void)
{
	mx_run(&(struct mx_row){ .id = "reset", .act = ru_reset, .cause = "reset",
				 .touch = MX_WAITS });
}

static const struct h_case cases[] = {
	{ "VFIO_DEVICE_RESET", reset, 60 },
	{ }
};

int main(int argc, char **argv)
{
	dev_bind("target", DEV_P2P);
	return h_main(argc, argv, cases);
}
