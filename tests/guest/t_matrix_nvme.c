// SPDX-License-Identifier: MIT
/*
 * The matrix of events, second part: the registers that a target with PCI
 * Express and power management has.  Its function level reset does reset it
 * alone, and D3hot does switch its memory off.
 *
 * D1 and D2 can be asked for and not be had: no device of the emulator has
 * them.  The write revokes all the same, for it is judged by its address.
 */
#define _GNU_SOURCE
#include "dev.h"
#include "harness.h"
#include "matrix.h"

#include <errno.h>
#include <linux/pci_regs.h>

static long write_field(const struct dev *d, unsigned int at, uint16_t clear, uint16_t set)
{
	uint16_t word;
	ssize_t n = dev_config_read(d, at, &word, sizeof(word));

	word = (word & ~clear) | set;
	if (n == sizeof(word))
		n = dev_config_write(d, at, &word, sizeof(word));
	return n == sizeof(word) ? 0 : n < 0 ? n : -EIO;
}

static long function_level_reset(void *dev)
{
	unsigned int cap = dev_capability(dev, PCI_CAP_ID_EXP);

	return cap ? write_field(dev, cap + PCI_EXP_DEVCTL, 0, PCI_EXP_DEVCTL_BCR_FLR) : -ENOENT;
}

static void flr(void)
{
	mx_run(&(struct mx_row){ .mmio = true, .id = "flr", .act = function_level_reset, .cause = "config",
				 .touch = MX_WAITS });
}

static long power_state(const struct dev *d, uint16_t state)
{
	unsigned int cap = dev_capability(d, PCI_CAP_ID_PM);

	return cap ? write_field(d, cap + PCI_PM_CTRL, PCI_PM_CTRL_STATE_MASK, state) : -ENOENT;
}

static long to_d0(void *dev)
{
	return power_state(dev, 0);
}

static long to_d1(void *dev)
{
	return power_state(dev, 1);
}

static long to_d2(void *dev)
{
	return power_state(dev, 2);
}

static long to_d3hot(void *dev)
{
	return power_state(dev, 3);
}

static void d3hot(void)
{
	mx_run(&(struct mx_row){ .mmio = true, .id = "d3hot", .act = to_d3hot, .undo = to_d0, .cause = "config",
				 .touch = MX_WAITS | MX_SIGBUS });
}

static void d0(void)
{
	mx_run(&(struct mx_row){ .mmio = true, .id = "d0", .act = to_d0, .cause = "config", .touch = MX_WAITS });
}

/* The device stays in D0, so its memory does. */
static void d1(void)
{
	mx_run(&(struct mx_row){ .mmio = true, .id = "d1", .act = to_d1, .undo = to_d0, .cause = "config",
				 .touch = MX_WAITS });
}

static void d2(void)
{
	mx_run(&(struct mx_row){ .mmio = true, .id = "d2", .act = to_d2, .undo = to_d0, .cause = "config",
				 .touch = MX_WAITS });
}

/* What the same device does through the ioctl is another row; here it is FLR below. */
static void reset(void)
{
	mx_run(&(struct mx_row){ .mmio = true, .id = "reset", .act = ru_reset, .cause = "reset",
				 .touch = MX_WAITS });
}

static long low_power_entry(void *dev)
{
	return dev_feature(dev, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY, NULL, 0);
}

static long low_power_exit(void *dev)
{
	return dev_feature(dev, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_LOW_POWER_EXIT, NULL, 0);
}

/* Here it does go to D3hot. */
static void low_power(void)
{
	mx_run(&(struct mx_row){ .mmio = true, .id = "low-power", .act = low_power_entry, .undo = low_power_exit,
				 .cause = "low_power", .touch = MX_WAITS | MX_SIGBUS });
}

static const struct h_case cases[] = {
	{ "FLR through config space", flr, 60 },
	{ "D3hot and D0", d3hot, 60 },
	{ "D0 in D0", d0, 60 },
	{ "D1 asked for", d1, 60 },
	{ "D2 asked for", d2, 60 },
	{ "VFIO_DEVICE_RESET by FLR", reset, 60 },
	{ "low power in D3hot", low_power, 60 },
	{ }
};

int main(int argc, char **argv)
{
	dev_bind("target", DEV_P2P);
	return h_main(argc, argv, cases);
}
