// SPDX-License-Identifier: MIT
/*
 * The matrix of events, first part: what the owner of an open device does to
 * it, and what root does to it from outside.  See matrix.h for how each is
 * judged, and docs/events.md for the whole table.
 *
 * Some of these revoke, and must wait for the reads in flight; of others the
 * table says that they disturb nobody, which the same load shows.
 */
#define _GNU_SOURCE
#include "dev.h"
#include "harness.h"
#include "matrix.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>

/* Resets */

static void reset(void)
{
	mx_run(&(struct mx_row){ .id = "reset", .act = ru_reset, .cause = "reset",
				 .touch = MX_WAITS });
}

static void hot_reset(void)
{
	mx_run(&(struct mx_row){ .id = "hot-reset-own", .act = ru_hot_reset, .cause = "hot_reset",
				 .touch = MX_WAITS });
}

static long sysfs_file(const struct dev *d, const char *name, const char *text)
{
	return h_writef(text, "/sys/bus/pci/devices/%s/%s", d->bdf, name);
}

static long reset_from_outside(void *dev)
{
	return sysfs_file(dev, "reset", "1");
}

static void sysfs_reset(void)
{
	mx_run(&(struct mx_row){ .id = "sysfs-reset", .act = reset_from_outside,
				 .cause = "pci_reset", .touch = MX_WAITS });
}

/* Registers */

static long change_word(const struct dev *d, unsigned int at, uint16_t clear, uint16_t set)
{
	uint16_t word;
	ssize_t n = dev_config_read(d, at, &word, sizeof(word));

	word = (word & ~clear) | set;
	if (n == sizeof(word))
		n = dev_config_write(d, at, &word, sizeof(word));
	return n == sizeof(word) ? 0 : n < 0 ? n : -EIO;
}

static long memory_off(void *dev)
{
	return change_word(dev, PCI_COMMAND, PCI_COMMAND_MEMORY, 0);
}

static long memory_on(void *dev)
{
	return change_word(dev, PCI_COMMAND, 0, PCI_COMMAND_MEMORY);
}

static void command(void)
{
	mx_run(&(struct mx_row){ .id = "memory-off", .act = memory_off, .undo = memory_on,
				 .cause = "config", .touch = MX_WAITS | MX_SIGBUS });
}

/* On, while it is on: judged by its address, so it revokes as well. */
static void command_again(void)
{
	mx_run(&(struct mx_row){ .id = "memory-on", .act = memory_on, .cause = "config",
				 .touch = MX_WAITS });
}

static long self_test(void *dev)
{
	uint8_t bist = 0;

	return dev_config_write(dev, PCI_BIST, &bist, 1) == 1 ? 0 : -EIO;
}

static void bist(void)
{
	mx_run(&(struct mx_row){ .id = "bist", .act = self_test, .cause = "config",
				 .touch = MX_WAITS });
}

/* Low power */

#define LOW_POWER(op) (VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_LOW_POWER_##op)

static long low_power_entry(void *dev)
{
	return dev_feature(dev, LOW_POWER(ENTRY), NULL, 0);
}

static long low_power_exit(void *dev)
{
	return dev_feature(dev, LOW_POWER(EXIT), NULL, 0);
}

static void low_power(void)
{
	mx_run(&(struct mx_row){ .id = "low-power", .act = low_power_entry, .undo = low_power_exit,
				 .cause = "low_power", .touch = MX_WAITS | MX_SIGBUS });
}

/* Out of it when it is not in it: an exit revokes, too. */
static void low_power_end(void)
{
	mx_run(&(struct mx_row){ .id = "low-power-exit", .act = low_power_exit,
				 .cause = "low_power", .touch = MX_WAITS });
}

static int woken = -1;

static long low_power_with_wakeup(void *dev)
{
	struct vfio_device_low_power_entry_with_wakeup entry = { };

	woken = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	entry.wakeup_eventfd = woken;
	return dev_feature(dev, LOW_POWER(ENTRY_WITH_WAKEUP), &entry, sizeof(entry));
}

/* Not the owner wakes it up: no call of the driver's tells. */
static long wake_up(void *dev)
{
	long err = sysfs_file(dev, "power/control", "on");

	err = err ?: h_wait_until(ru_heard(woken), 5000) ? 0 : -ETIMEDOUT;
	return err ?: sysfs_file(dev, "power/control", "auto");
}

static void low_power_wakeup(void)
{
	mx_run(&(struct mx_row){ .id = "low-power-wakeup", .act = low_power_with_wakeup,
				 .undo = wake_up, .cause = "low_power",
				 .touch = MX_WAITS | MX_SIGBUS });
}

/* What disturbs nobody */

#define DISTURBS_NOBODY .kept = true, .racing = MX_WHOLE, .flight = MX_GOES_ON

static long rescan(void *dev)
{
	(void)dev;
	return h_write("/sys/bus/pci/rescan", "1");
}

static void bus_rescan(void)
{
	mx_run(&(struct mx_row){ .id = "rescan", .act = rescan, DISTURBS_NOBODY });
}

/*
 * Its own DMA gets a page, and loses it; its domain can be changed by nobody else.
 * By itself through the character device, and by nobody through a group.
 */
static long change_mappings(void *arg)
{
	static char page[RU_PAGE] __attribute__((aligned(RU_PAGE)));
	struct dev *d = arg;
	int err = dev_dma_map(d, page, 1 << 20, RU_PAGE) ?: dev_dma_unmap(d, 1 << 20, RU_PAGE);

	if (err)
		return err;
	if (!d->cdev && (!ioctl(d->group, VFIO_GROUP_UNSET_CONTAINER) || errno != EBUSY))
		return -EPROTO;
	if (d->cdev && dev_reattach(d))
		return -EPROTO;
	return sysfs_file(d, "iommu_group/type", "identity");
}

static void iommu_attach(void)
{
	mx_run(&(struct mx_row){ .id = "iommu-attach", .act = change_mappings, .want = -EPERM,
				 DISTURBS_NOBODY });
}

static long unload(void *dev)
{
	(void)dev;
	return h_rmmod(DEV_P2P);
}

static void rmmod(void)
{
	mx_run(&(struct mx_row){ .id = "rmmod", .act = unload, .want = -EAGAIN, DISTURBS_NOBODY });
}

static const struct h_case cases[] = {
	{ "VFIO_DEVICE_RESET", reset, 60 },
	{ "VFIO_DEVICE_PCI_HOT_RESET", hot_reset, 60 },
	{ "a reset through sysfs", sysfs_reset, 60 },
	{ "memory off and on", command, 60 },
	{ "memory on", command_again, 60 },
	{ "a write to BIST", bist, 60 },
	{ "low power and back", low_power, 60 },
	{ "the end of low power", low_power_end, 60 },
	{ "low power until somebody wakes it", low_power_wakeup, 60 },
	{ "a rescan of the bus", bus_rescan, 60 },
	{ "changes to its IOMMU mappings", iommu_attach, 60 },
	{ "rmmod while it is open", rmmod, 60 },
	{ }
};

int main(int argc, char **argv)
{
	dev_bind("target", DEV_P2P);
	return h_main(argc, argv, cases);
}
