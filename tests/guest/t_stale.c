// SPDX-License-Identifier: MIT
/*
 * No stale DMA: what has been read for the device before its reset must not
 * arrive in it afterwards.
 *
 * A disk that serves a few reads a second, and more reads in flight than it
 * serves in two seconds.  Then the device is reset, switched off, or closed.
 * The moment that call returns, the window is filled with a canary, and the
 * disk made fast again.  When the last read has been reaped, the canary must
 * be whole, and no read may have been in flight any more when the call
 * returned.  How fast the machine is does not matter: a driver that does not
 * wait returns while the disk still holds reads back, and each of them will
 * write over the canary.
 *
 * The disk holds zeros.
 */
#define _GNU_SOURCE
#include "dev.h"
#include "harness.h"
#include "revoke_util.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <string.h>
#include <unistd.h>

#define WINDOW (4 * DEV_MIB2)
#define READS 32
#define READ_SIZE (64 * 1024)
#define STRIDE (WINDOW / READS & ~(size_t)(RU_PAGE - 1))
#define IOPS 16
#define OLD 44
#define CANARY 55

static struct ru_target t;
static struct ru_aio aio;

static void start_reads(void)
{
	int disk = open(h_disk("slow"), O_RDONLY | O_DIRECT | O_CLOEXEC);

	H_CHECK(disk >= 0);
	H_EQ(ru_throttle(IOPS), 0);
	for (int i = 0; i < READS; i++)
		H_EQ(ru_aio_read(&aio, disk, t.win + i * STRIDE, READ_SIZE, i * READ_SIZE), 0);
	close(disk);
}

static void set_up(void)
{
	/* Nothing is to be given up here. */
	H_EQ(dev_param("drain_timeout_ms", "30000"), 0);
	H_EQ(dev_param("hook_timeout_ms", "20000"), 0);
	H_EQ(ru_target_open(&t, "target", WINDOW), 0);
	ru_fill(t.raw, WINDOW, OLD);
	start_reads();
	if (h_failed())
		return;
	H_CHECK(ru_aio_reap(&aio, 0, 0) >= 0);
	H_CHECK(aio.reaped < READS);
	H_CHECK(dev_count("target", "pinned_folios") > 0);
}

/* What was in flight, and has been waited for, is there. */
static bool reads_are_there(void)
{
	for (int i = 0; i < READS; i++)
		for (int at = 0; at < READ_SIZE; at += RU_PAGE)
			if (*(volatile uint32_t *)(t.raw + i * STRIDE + at))
				return false;
	return true;
}

/* The call has returned: is there a read that has not? */
static void nothing_comes_late(void)
{
	bool there = reads_are_there();
	int late;

	H_CHECK(ru_aio_reap(&aio, 0, 0) >= 0);
	late = READS - aio.reaped;
	ru_fill(t.raw, WINDOW, CANARY);
	H_EQ(ru_throttle(0), 0);
	H_EQ(ru_aio_reap(&aio, late, 20000), late);
	H_EQ(ru_differs(t.raw, WINDOW, CANARY), -1);
	H_EQ(late, 0);
	H_EQ(aio.bad, 0);
	H_CHECK(there);
}

static void clean_up(void)
{
	dev_close(&t.d);
	dev_check_rest("target");
}

static void after(long (*act)(void *))
{
	long ret;

	set_up();
	if (h_failed()) {
		ru_throttle(0);
		return;
	}
	ret = act(&t.d);
	nothing_comes_late();
	H_EQ(ret, 0);
	clean_up();
}

static void reset(void)
{
	after(ru_reset);
}

static void hot_reset(void)
{
	after(ru_hot_reset);
}

/* The canary cannot be written while memory is off: off, and on again. */
static long memory_off_on(void *arg)
{
	struct dev *d = arg;
	uint16_t on, off;

	if (dev_config_read(d, PCI_COMMAND, &on, 2) != 2)
		return -EIO;
	off = on & ~PCI_COMMAND_MEMORY;
	if (dev_config_write(d, PCI_COMMAND, &off, 2) != 2 ||
	    dev_config_write(d, PCI_COMMAND, &on, 2) != 2)
		return -EIO;
	return 0;
}

static void memory_off(void)
{
	after(memory_off_on);
}

static long sysfs_reset(void *arg)
{
	struct dev *d = arg;

	return h_writef("1", "/sys/bus/pci/devices/%s/reset", d->bdf);
}

static void reset_from_outside(void)
{
	after(sysfs_reset);
}

static long low_power_and_back(void *arg)
{
	return dev_feature(arg, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY, NULL, 0) ?:
	       dev_feature(arg, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_LOW_POWER_EXIT, NULL, 0);
}

static void low_power(void)
{
	after(low_power_and_back);
}

/* The next to open the device is another user, and the canary is theirs. */
static long close_and_open(void *arg)
{
	dev_close(arg);
	return ru_target_open(&t, "target", WINDOW);
}

static void reopened(void)
{
	after(close_and_open);
}

static const struct h_case cases[] = {
	{ "after a reset", reset },
	{ "after a hot reset", hot_reset },
	{ "after memory was off", memory_off },
	{ "after a reset from outside", reset_from_outside },
	{ "after low power", low_power },
	{ "after a close, for the next user", reopened },
	{ }
};

int main(int argc, char **argv)
{
	dev_bind("target", DEV_P2P);
	return h_main(argc, argv, cases);
}
