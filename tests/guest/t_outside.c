// SPDX-License-Identifier: MIT
/*
 * What root does to the device's files in sysfs, behind its driver, under I/O.
 *
 * Most of it the kernel refuses while a driver is bound, or it touches nothing.
 * One file is a hole: "config" writes registers, and no hook tells.  Memory stays
 * safe all the same: the pages are the driver's, and the bus addresses nobody
 * else's.  What the user sees is a device that does not answer: loads give nothing,
 * stores are lost, reads from disk fail or go nowhere.  When the register has been
 * put back everything works as before, and nothing has been counted.
 */
#define _GNU_SOURCE
#include "dev.h"
#include "harness.h"
#include "matrix.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <string.h>
#include <unistd.h>

#define PRESENT 0x600df00du

static int root_file(const struct dev *d, const char *name, int flags)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", d->bdf, name);
	return open(path, flags | O_CLOEXEC);
}

/* Refused, or harmless */

static void nobody_notices(const char *id, const char *event, long (*act)(void *), long want)
{
	mx_run(&(struct mx_row){ .id = id, .event = event, .act = act, .want = want, .kept = true,
				 .racing = MX_WHOLE, .flight = MX_GOES_ON });
}

static long disable(void *dev)
{
	return h_writef("0", "/sys/bus/pci/devices/%s/enable", ((struct dev *)dev)->bdf);
}

static void enable_is_refused(void)
{
	nobody_notices("enable", "sysfs enable, refused", disable, -EBUSY);
}

static long shrink(void *dev)
{
	return h_writef("1", "/sys/bus/pci/devices/%s/resource2_resize", ((struct dev *)dev)->bdf);
}

static void resize_is_refused(void)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource2_resize", h_pci("target"));
	if (access(path, F_OK))
		h_skip_case("no emulated device has a BAR that can be resized");
	nobody_notices("resize", "sysfs resource2_resize, refused", shrink, -EBUSY);
}

static long change_method(void *dev)
{
	const struct dev *d = dev;

	return h_writef("bus", "/sys/bus/pci/devices/%s/reset_method", d->bdf) ?:
	       h_writef("default", "/sys/bus/pci/devices/%s/reset_method", d->bdf);
}

static void method_changes(void)
{
	nobody_notices("reset-method", "sysfs reset_method", change_method, 0);
}

/* The hole */

static long set_memory(const struct dev *d, bool on)
{
	int fd = root_file(d, "config", O_RDWR);
	uint16_t command;
	ssize_t n = pread(fd, &command, 2, PCI_COMMAND);

	command = on ? command | PCI_COMMAND_MEMORY : command & ~PCI_COMMAND_MEMORY;
	if (n == 2)
		n = pwrite(fd, &command, 2, PCI_COMMAND);
	close(fd);
	return n == 2 ? 0 : -EIO;
}

static long memory_off(void *dev)
{
	return set_memory(dev, false);
}

static void while_off(struct mx *m)
{
	H_EQ(m->after.revokes, m->before.revokes);
	/* Zeros from the emulator; all ones is what hardware is expected to give. */
	H_CHECK(*(volatile uint32_t *)m->t.win != PRESENT);
	*(volatile uint32_t *)m->t.win = 1;
	H_EQ(ru_aio_reap(&m->aio, m->late, 20000), m->late);
	h_diag("memory off: %d reads were in flight, %d of them failed", m->late, m->aio.bad);
}

static void on_again(struct mx *m)
{
	long touches, whole;

	H_EQ(set_memory(&m->t.d, true), 0);
	/* The store while it was off is lost. */
	H_EQ(*(volatile uint32_t *)m->t.win, PRESENT);
	touches = atomic_load(&m->touches);
	whole = atomic_load(&m->whole);
	H_CHECK(h_wait_until(atomic_load(&m->touches) > touches + 2 &&
			     atomic_load(&m->whole) > whole + 2, 10000));
	H_EQ(atomic_load(&m->sigbuses), 0);
	H_CHECK(ru_works(&m->t));
	m->after = mx_count("target", &m->t.d, NULL);
	H_EQ(m->after.revokes, m->before.revokes);
	H_EQ(m->after.waited, m->before.waited);
	H_EQ(m->after.generation, m->before.generation);
}

static void config_behind(void)
{
	static const struct mx_row row = { .id = "raw-config", .act = memory_off };
	static void (*const steps[])(struct mx *) = {
		mx_load, mx_send, mx_act, while_off, on_again, mx_close,
	};
	static struct mx m;

	mx_open(&m, &row);
	if (h_failed())
		return;
	*(volatile uint32_t *)m.t.raw = PRESENT;
	for (unsigned int i = 0; i < sizeof(steps) / sizeof(*steps) && !h_failed(); i++)
		steps[i](&m);
	if (!h_failed())
		mx_row(row.id, "root clears memory decoding through sysfs config",
		       "undisturbed (nobody answers)", "whole or fails", "goes on",
		       m.took_ns / 1000000, MX_BOUND_MS);
}

/* A device that cannot be bound leaves nothing behind */

static void probe_fails(void)
{
	char driver[32];
	char bdf[16];

	snprintf(bdf, sizeof(bdf), "%s", h_pci("target"));
	H_EQ(h_modprobe(DEV_P2P, NULL), 0);
	for (int i = 0; i < 3; i++)
		H_CHECK(h_bind(bdf, DEV_P2P) < 0);
	H_EQ(h_driver(bdf, driver, sizeof(driver)), 0);
	H_EQ(*driver, 0);
	/* Who hears of sleep is asked. */
	if (!h_write("/sys/power/pm_test", "freezer"))
		H_EQ(h_write("/sys/power/state", "mem"), 0);
	H_EQ(h_rmmod(DEV_P2P), 0);
	H_EQ(h_modprobe(DEV_P2P, NULL), 0);
	if (!h_failed())
		mx_row("probe-failure", "probe fails", "none", "none", "none", 0, 0);
}

static const struct h_case cases[] = {
	{ "sysfs enable is refused", enable_is_refused, 60 },
	{ "sysfs resource_resize is refused", resize_is_refused, 60 },
	{ "sysfs reset_method changes nothing", method_changes, 60 },
	{ "sysfs config switches memory off and on", config_behind, 60 },
	{ }
};

static const struct h_case probe[] = {
	{ "a failed probe leaves nothing behind", probe_fails },
	{ }
};

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "probe"))
		return h_main(1, argv, probe);
	dev_bind("target", DEV_P2P);
	return h_main(argc, argv, cases);
}
