// SPDX-License-Identifier: MIT
/*
 * Circles of waiting below one port: the disks and the target are reset, or
 * recovered from an error, together (cycles b and c of docs/locking.md).
 *
 *	00:06.0 - upstream - downstream 00.0 - the first
 *			   - downstream 01.0 - the second
 *
 * The PCI core asks the drivers in the order of the bus.  Where the disks come
 * first, their driver has stopped them by the time ours is asked: a read in flight
 * is put off until after the reset, and its pin lasts as long.  Who waits for it
 * without a bound waits for ever.  Where the target comes first, the reads end
 * while we wait for them.
 *
 * The core restores the devices in the same order, and the disks' driver does not
 * return before what it has put off has ended (7.3: nvme_reset_done() flushes the
 * reset work, which waits for the queues to run empty).  So it is sent again while
 * the target below its own port has neither its registers nor its port's windows
 * back: what is sent then is lost.  But nothing comes later than that: when our
 * gate opens, all has ended.  That is what the canary looks for.  (The emulated
 * disk finishes its transfers before it lets itself be stopped, so here the data
 * has been there before the reset already.)
 *
 * The reads are certain to be in flight: the disk "late" needs 300 ms for each,
 * and "slow" serves a few a second.  With the disks first it is one read of one
 * page: this is all that QEMU could send to where nothing answers without
 * hanging itself (7.2; not tried since).
 *
 * The order is the topology's; a case knows it by the bus numbers.
 */
#define _GNU_SOURCE
#include "dev.h"
#include "harness.h"
#include "revoke_util.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define WINDOW (4 * DEV_MIB2)
#define PORT "/sys/bus/pci/devices/0000:00:06.0"
#define READS 8
#define STRIDE (WINDOW / READS)
#define CANARY 55
#define OLD 44
#define HOOK_MS 2000

static struct ru_target t;
static struct ru_aio aio;
static bool disks_first;
static int reads = READS;
static size_t read_size = 64 * 1024;

static int start_reads(const char *role)
{
	int disk = open(h_disk(role), O_RDONLY | O_DIRECT | O_CLOEXEC), err = 0;

	for (int i = 0; !err && i < reads; i++)
		err = ru_aio_read(&aio, disk, t.win + i * STRIDE, read_size, i * read_size);
	close(disk);
	return err;
}

static void set_up(const char *role)
{
	H_EQ(dev_param("drain_timeout_ms", "10000"), 0);
	H_EQ(dev_param("hook_timeout_ms", disks_first ? "2000" : "15000"), 0);
	H_EQ(dev_param("aer_timeout_ms", "1000"), 0);
	H_EQ(ru_target_open(&t, "target", WINDOW), 0);
	ru_fill(t.raw, WINDOW, OLD);
	H_EQ(start_reads(role), 0);
	H_CHECK(dev_count("target", "pinned_folios") > 0);
}

/* Both devices are as they were. */
static void works(const char *role)
{
	int disk = open(h_disk(role), O_RDONLY | O_DIRECT | O_CLOEXEC);

	t.raw[0] = 1;
	H_EQ(pread(disk, t.win, RU_PAGE, 0), RU_PAGE);
	H_EQ(t.raw[0], 0);
	close(disk);
	H_CHECK(ru_works(&t));
	H_EQ(ru_reset(&t.d), 0);
}

static void clean_up(void)
{
	dev_close(&t.d);
	dev_check_rest("target");
}

/* b: reset_subordinate of the port */

static long reset_port(void *arg)
{
	(void)arg;
	return h_write(PORT "/reset_subordinate", "1");
}

/* How many of the reads wrote over the canary. */
static int overwritten(void)
{
	int n = 0;

	for (int i = 0; i < reads; i++)
		n += ru_differs(t.raw + i * STRIDE, read_size, CANARY) >= 0;
	return n;
}

static void fill_canary(void)
{
	for (int i = 0; i < reads; i++)
		ru_fill(t.raw + i * STRIDE, read_size, CANARY);
}

/* How many of the reads the device's memory has seen, before the canary: the disk holds zeros. */
static int arrived(void)
{
	int n = 0;

	for (int i = 0; i < reads; i++)
		n += !*(volatile uint32_t *)(t.raw + i * STRIDE);
	return n;
}

static void reset_ends(long long timeouts)
{
	uint64_t begin = h_now_ns();
	struct ru_call reset;
	long long revokes;

	revokes = dev_revokes("target", "pci_reset");
	ru_call(&reset, reset_port, NULL);
	H_CHECK(ru_join(&reset, disks_first ? 3 * (HOOK_MS + 1000) : 3 * 15000));
	h_diag("the reset took %llu ms and returned %ld",
	       (unsigned long long)(h_now_ns() - begin) / 1000000, reset.ret);
	H_EQ(reset.ret, 0);
	H_EQ(dev_revokes("target", "pci_reset"), revokes + 1);
	H_EQ(dev_count("target", "drain_timeouts"), timeouts + disks_first);
	H_CHECK(dev_state_is("target", "live"));
}

/* Nothing comes late, in either order. */
static void reads_end(const char *role)
{
	int late, lost, there = arrived();

	H_CHECK(ru_aio_reap(&aio, 0, 0) >= 0);
	late = reads - aio.reaped;
	fill_canary();
	if (!strcmp(role, "slow"))
		H_EQ(ru_throttle(0), 0);
	H_EQ(ru_aio_reap(&aio, late, 20000), late);
	H_CHECK(h_wait_until(!dev_count("target", "pinned_folios"), 5000));
	lost = overwritten();
	h_diag("of %d reads %d have arrived, %d have failed, %d ended after the reset, %d wrote then",
	       reads, there, aio.bad, late, lost);
	H_EQ(late, 0);
	H_EQ(lost, 0);
	if (!disks_first) {
		H_EQ(there, reads);
		H_EQ(aio.bad, 0);
	}
}

static void port_is_reset(const char *role)
{
	long long timeouts, generation;

	if (disks_first) {
		h_expect_log("p2p: [0-9]+ folios still pinned");
		h_expect_log("p2p: a reset goes on under I/O");
	}
	set_up(role);
	timeouts = dev_count("target", "drain_timeouts");
	generation = dev_count("target", "generation");
	if (!h_failed())
		reset_ends(timeouts);
	if (!h_failed())
		reads_end(role);
	if (h_failed())
		return;
	H_EQ(dev_count("target", "generation"), generation + 1);
	works(role);
	clean_up();
}

static void late_reads(void)
{
	port_is_reset("late");
}

static void slow_reads(void)
{
	H_EQ(ru_throttle(8), 0);
	port_is_reset("slow");
	ru_throttle(0);
}

/* c: an error of the port, for which the kernel resets the bus */

static void recovery_ends(int kmsg)
{
	uint64_t begin = h_now_ns();

	H_EQ(ru_port_error("switch-port", RU_FATAL), 0);
	H_CHECK(h_wait_until(ru_recovered(kmsg), 20000));
	h_diag("recovery took %llu ms", (unsigned long long)(h_now_ns() - begin) / 1000000);
}

static void port_has_an_error(void)
{
	long long revokes;
	int kmsg = ru_kmsg();

	h_expect_log("p2p: no memory decoding after error recovery");
	if (disks_first) {
		h_expect_log("p2p: [0-9]+ folios still pinned");
		h_expect_log("p2p: error recovery goes on under I/O");
	}
	set_up("late");
	revokes = dev_revokes("target", "error");
	if (!h_failed())
		recovery_ends(kmsg);
	if (h_failed())
		return;
	H_EQ(dev_revokes("target", "error"), revokes + 1);
	H_EQ(ru_aio_reap(&aio, reads, 20000), reads);
	h_diag("%d of %d reads failed", aio.bad, reads);
	H_CHECK(h_wait_until(!dev_count("target", "pinned_folios"), 5000));
	H_CHECK(dev_state_is("target", "quiesced"));
	H_EQ(ru_memory_on(&t.d), 0);
	H_CHECK(dev_state_is("target", "live"));
	works("late");
	clean_up();
	close(kmsg);
}

/*
 * An error while the driver is being unbound, which waits for a pin with the
 * device locked: recovery waits for that lock, and the pin for nobody.  (Did it
 * need disks that recovery has stopped, nobody would go on: see docs/locking.md.)
 *
 * By the time recovery gets the lock there is no driver, so the PCI core gives the
 * device up, as it does with any that has none.
 */
static void unbind_begins(struct ru_hold *h, struct ru_call *call)
{
	static char bdf[16];

	H_EQ(dev_param("hook_timeout_ms", "100"), 0);
	H_EQ(ru_target_open(&t, "target", WINDOW), 0);
	snprintf(bdf, sizeof(bdf), "%s", t.d.bdf);
	*h = (struct ru_hold){ .first = { t.d.fd, t.cookie } };
	H_EQ(ru_hold_begin(h), 0);
	H_EQ(ru_hold_unmap(h), 0);
	dev_close(&t.d);
	H_CHECK(dev_state_is("target", "draining"));
	ru_call(call, ru_unbind, bdf);
	H_CHECK(h_wait_until(dev_count("target", "generation") == -ENOENT, 5000));
	H_CHECK(!ru_done(call));
}

static bool recovery_has_failed(int kmsg)
{
	return ru_kmsg_says(kmsg, "AER: device recovery failed");
}

static void found_again(void)
{
	H_EQ(ru_remove((char *)h_pci("target")), 0);
	H_EQ(h_write("/sys/bus/pci/rescan", "1"), 0);
	H_CHECK(h_wait_until(h_pci("target"), 5000));
	dev_bind("target", DEV_P2P);
}

static void error_during_unbind(void)
{
	struct ru_call call;
	int kmsg = ru_kmsg();
	struct ru_hold h;

	h_expect_log("p2p: 1 folios still pinned");
	h_expect_log("p2p: closed under I/O");
	unbind_begins(&h, &call);
	if (h_failed())
		return;
	H_EQ(ru_port_error("switch-port", RU_NONFATAL), 0);
	/* Time enough for one that would not wait. */
	H_CHECK(!h_wait_until(recovery_has_failed(kmsg), 1500));
	H_CHECK(!ru_done(&call));
	ru_hold_end(&h);
	H_CHECK(ru_join(&call, 10000));
	H_EQ(call.ret, 0);
	H_CHECK(h_wait_until(recovery_has_failed(kmsg), 10000));
	found_again();
	H_EQ(ru_target_open(&t, "target", WINDOW), 0);
	H_CHECK(ru_works(&t));
	clean_up();
	close(kmsg);
}

static const struct h_case behind_disks[] = {
	{ "the port is reset under late reads", late_reads, 90 },
	{ "a fatal error of the port under late reads", port_has_an_error, 90 },
	{ }
};

static const struct h_case before_disks[] = {
	{ "the port is reset under late reads", late_reads, 90 },
	{ "the port is reset under slow reads", slow_reads, 90 },
	{ "a fatal error of the port under late reads", port_has_an_error, 90 },
	{ }
};

/* Last of all: the disks below the port are given up as well. */
static const struct h_case unbinding[] = {
	{ "an error of the port while unbinding waits for a pin", error_during_unbind, 60 },
	{ }
};

int main(int argc, char **argv)
{
	char disks[16];

	dev_bind("target", DEV_P2P);
	snprintf(disks, sizeof(disks), "%s", h_pci("slow-nvme"));
	disks_first = strcmp(disks, h_pci("target")) < 0;
	if (argc > 1 && !strcmp(argv[1], "unbinding"))
		return h_main(1, argv, unbinding);
	if (disks_first) {
		reads = 1;
		read_size = RU_PAGE;
	}
	return h_main(argc, argv, disks_first ? behind_disks : before_disks);
}
