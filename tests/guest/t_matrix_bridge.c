// SPDX-License-Identifier: MIT
/*
 * Rows of the matrix of events: a reset of the port above, which takes the disks
 * that do the reads as well, in the order of the bus.  See matrix.h for how an
 * event is judged, and t_cycles_bus.c for why the order matters: where the disks
 * come first, their driver has put the reads off, and they outlast the wait.
 */
#define _GNU_SOURCE
#include "dev.h"
#include "harness.h"
#include "matrix.h"
#include "revoke_util.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static long reset_port(void *dev)
{
	(void)dev;
	return h_write("/sys/bus/pci/devices/0000:00:06.0/reset_subordinate", "1");
}

#define BOUND_MS 2000

static struct ru_target t;

static long store(void *at)
{
	*(volatile char *)at = 1;
	return 0;
}

/* While it waits: a touch, and a read of another disk. */
static void meanwhile(struct ru_call *reset, struct ru_call *touch)
{
	long long waited = dev_count("target", "faults_waited");

	ru_call(reset, reset_port, NULL);
	H_CHECK(h_wait_until(dev_state_is("target", "draining"), 5000));
	ru_call(touch, store, t.win + DEV_MIB2);
	H_CHECK(h_wait_until(dev_count("target", "faults_waited") > waited, 5000));
	H_EQ(ru_read_into(&t, 2 * DEV_MIB2), -EFAULT);
	H_CHECK(!ru_done(reset) && !ru_done(touch));
}

/* The one read that QEMU can bear: see t_cycles_bus.c. */
static void before(void)
{
	int disk = open(h_disk("late"), O_RDONLY | O_DIRECT | O_CLOEXEC);
	struct ru_call reset, touch;
	struct ru_aio aio = { 0 };
	uint64_t began;

	h_expect_log("p2p: 1 folios still pinned");
	h_expect_log("p2p: a reset goes on under I/O");
	H_EQ(dev_param("hook_timeout_ms", "2000"), 0);
	H_EQ(ru_target_open(&t, "target", 4 * DEV_MIB2), 0);
	H_EQ(ru_aio_read(&aio, disk, t.win, RU_PAGE, 0), 0);
	began = h_now_ns();
	meanwhile(&reset, &touch);
	if (h_failed())
		return;
	H_CHECK(ru_join(&reset, 3 * (BOUND_MS + 1000)));
	H_EQ(reset.ret, 0);
	H_CHECK(ru_join(&touch, 5000));
	mx_row("bridge-reset-before", NULL, "waits", "short or EFAULT", "outlasts it",
	       (h_now_ns() - began) / 1000000, BOUND_MS);
	H_EQ(ru_aio_reap(&aio, 1, 5000), 1);
	H_CHECK(ru_works(&t));
	dev_close(&t.d);
	dev_check_rest("target");
	close(disk);
}

static void after(void)
{
	mx_run(&(struct mx_row){ .id = "bridge-reset-after", .act = reset_port, .cause = "pci_reset",
				 .touch = MX_WAITS });
}

static const struct h_case disks_first[] = {
	{ "reset_subordinate, the disk first", before, 60 },
	{ }
};

static const struct h_case target_first[] = {
	{ "reset_subordinate, the target first", after, 60 },
	{ }
};

int main(int argc, char **argv)
{
	char disks[16];

	dev_bind("target", DEV_P2P);
	snprintf(disks, sizeof(disks), "%s", h_pci("slow-nvme"));
	return h_main(argc, argv, strcmp(disks, h_pci("target")) < 0 ? disks_first : target_first);
}
