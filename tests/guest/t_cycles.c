// SPDX-License-Identifier: MIT
/*
 * Circles of waiting, on one device: a reset waits for a pin, and the holder of
 * the pin waits for something that the reset holds.
 *
 * With vfio-pci-core's memory_lock (cycle a of docs/locking.md): a thread that
 * touches the *ordinary* view of the BAR waits for memory_lock with the
 * mmap_lock held, a writer of the mmap_lock queues behind it, and the reader
 * that has the pin queues behind the writer (party.h).  So nobody may wait for a
 * pin with memory_lock held, if it can be helped: the driver drains before it
 * calls core.  Seen here: while the reset waits, toucher and writer come
 * through.  A driver that leaves the waiting to reset_prepare fails.  (Where it
 * cannot be helped: t_cycles_pair.)
 *
 * With the gate itself (cycle f): while it is closed the kernel copies to and
 * from a buffer that lies in the window, for the very call that closed it, or
 * for another.  Were the gate a lock, or did such a fault wait, the thread would
 * wait for itself.  It must be EFAULT, and nothing done.
 */
#define _GNU_SOURCE
#include "dev.h"
#include "harness.h"
#include "party.h"
#include "revoke_util.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define WINDOW (4 * DEV_MIB2)

static struct ru_target t;

static void set_up(void)
{
	/* Long enough that what waits for its end is seen to wait. */
	H_EQ(dev_param("drain_timeout_ms", "15000"), 0);
	H_EQ(dev_param("hook_timeout_ms", "15000"), 0);
	H_EQ(ru_target_open(&t, "target", WINDOW), 0);
}

static void clean_up(void)
{
	dev_close(&t.d);
	dev_check_rest("target");
}

/* a: memory_lock and mmap_lock */

static void drains(struct ru_call *reset)
{
	H_CHECK(h_wait_until(dev_state_is("target", "draining"), 5000));
	H_CHECK(!ru_done(reset));
}

/* While the reset waits, those who need the locks come through. */
static void come_through(struct party *p, struct ru_call *reset)
{
	party_go(p, PARTY_TOUCHER);
	H_CHECK(party_done(p, PARTY_TOUCHER, 5000));
	party_go(p, PARTY_WRITER);
	H_CHECK(party_done(p, PARTY_WRITER, 5000));
	H_CHECK(!ru_done(reset));
	H_CHECK(dev_state_is("target", "draining"));
}

static void own_reset(bool huge)
{
	struct party p = { .t = &t, .huge = huge };
	struct ru_call reset;

	set_up();
	H_EQ(party_begin(&p), 0);
	ru_call(&reset, ru_reset, &t.d);
	drains(&reset);
	if (!h_failed())
		come_through(&p, &reset);
	if (h_failed())
		return;
	party_go(&p, PARTY_READER);
	H_CHECK(ru_join(&reset, 20000));
	H_EQ(reset.ret, 0);
	H_CHECK(party_end(&p, 10000));
	H_CHECK(ru_works(&t));
	clean_up();
}

static void with_mmap_lock(void)
{
	own_reset(false);
}

static void with_vma_lock(void)
{
	own_reset(true);
}

static long sysfs_reset(void *arg)
{
	(void)arg;
	return h_writef("1", "/sys/bus/pci/devices/%s/reset", t.d.bdf);
}

/* It cannot be refused, and the reader does not move at all. */
static void from_outside(void)
{
	struct party p = { .t = &t };
	struct ru_call reset;
	long long timeouts;

	h_expect_log("p2p: 1 folios still pinned");
	h_expect_log("p2p: a reset goes on under I/O");
	set_up();
	H_EQ(dev_param("hook_timeout_ms", "4000"), 0);
	H_EQ(party_begin(&p), 0);
	timeouts = dev_count("target", "drain_timeouts");
	ru_call(&reset, sysfs_reset, NULL);
	drains(&reset);
	if (!h_failed())
		come_through(&p, &reset);
	if (h_failed())
		return;
	H_CHECK(ru_join(&reset, 3 * 4000));
	H_EQ(reset.ret, 0);
	H_EQ(dev_count("target", "drain_timeouts"), timeouts + 1);
	H_EQ(dev_count("target", "pinned_folios"), 1);
	H_CHECK(party_end(&p, 10000));
	H_EQ(ru_reset(&t.d), 0);
	H_CHECK(ru_works(&t));
	clean_up();
}

/* f: arguments in the window.  Each call returns 0 or more, or -errno. */

static long get_info(void *at)
{
	struct vfio_device_info *info = at;

	return ioctl(t.d.fd, VFIO_DEVICE_GET_INFO, info) ? -errno : 0;
}

static long get_state(void *at)
{
	return ioctl(t.d.fd, VFIO_DEVICE_FEATURE, at) ? -errno : 0;
}

static long read_config(void *at)
{
	return dev_config_read(&t.d, 0, at, 64);
}

static long write_line(void *at)
{
	return dev_config_write(&t.d, PCI_INTERRUPT_LINE, at, 1);
}

static long write_command(void *at)
{
	return dev_config_write(&t.d, PCI_COMMAND, at, 2);
}

static long hot_reset(void *at)
{
	return ioctl(t.d.fd, VFIO_DEVICE_PCI_HOT_RESET, at) ? -errno : 0;
}

static long low_power(void *at)
{
	return ioctl(t.d.fd, VFIO_DEVICE_FEATURE, at) ? -errno : 0;
}

/* What is written there first, by way of the ordinary view. */
struct argument {
	long (*call)(void *at);
	const void *bytes;
	size_t length;
};

/* In a thread of its own: a call that waits for itself is not waited for. */
static void gives(const struct argument *a, size_t at, long want)
{
	struct ru_call call;

	memcpy(t.raw + at, a->bytes, a->length);
	ru_call(&call, a->call, t.win + at);
	H_CHECK(ru_join(&call, 10000));
	H_EQ(call.ret, want);
}

static const struct vfio_device_info info = { .argsz = sizeof(info) };
static const struct {
	struct vfio_device_feature hdr;
	struct p2p_vfio_state state;
} state = { { sizeof(state), VFIO_DEVICE_FEATURE_GET | P2P_VFIO_FEATURE_STATE } };

static const struct argument harmless[] = {
	{ get_info, &info, sizeof(info) },
	{ get_state, &state, sizeof(state) },
	{ read_config, "", 1 },
	{ write_line, "", 1 },
	{ }
};

/* The control: while nobody resets, a window is memory like any other. */
static void open_gate(void)
{
	static const long want[] = { 0, 0, 64, 1 };
	uint32_t id;

	set_up();
	for (int i = 0; harmless[i].call; i++)
		gives(&harmless[i], i * DEV_MIB2, want[i]);
	H_EQ(dev_config_read(&t.d, 0, &id, 4), 4);
	H_EQ(*(volatile uint32_t *)(t.raw + 2 * DEV_MIB2), id);
	H_EQ(((volatile struct vfio_device_info *)t.raw)->num_regions, VFIO_PCI_NUM_REGIONS);
	clean_up();
}

/* The call closes the gate, and then core looks for its argument. */
static void refuses_itself(const struct argument *a, const char *cause)
{
	long long revokes = dev_revokes("target", cause);

	gives(a, DEV_MIB2, -EFAULT);
	H_EQ(dev_revokes("target", cause), revokes + 1);
	H_CHECK(dev_state_is("target", "live"));
	H_CHECK(ru_works(&t));
}

static void config_write(void)
{
	uint16_t command, off, now;

	set_up();
	H_EQ(dev_config_read(&t.d, PCI_COMMAND, &command, 2), 2);
	off = command & ~PCI_COMMAND_MEMORY;
	refuses_itself(&(struct argument){ write_command, &off, 2 }, "config");
	H_EQ(dev_config_read(&t.d, PCI_COMMAND, &now, 2), 2);
	H_EQ(now, command);
	clean_up();
}

static void hot_reset_argument(void)
{
	struct {
		struct vfio_pci_hot_reset hdr;
		int32_t group;
	} req = { { .argsz = sizeof(req) } };
	long long generation;

	set_up();
	req.hdr.count = !t.d.cdev;
	req.group = t.d.group;
	generation = dev_count("target", "generation");
	refuses_itself(&(struct argument){ hot_reset, &req, sizeof(req) }, "hot_reset");
	H_EQ(dev_count("target", "generation"), generation);
	clean_up();
}

/* The header before the window, the array of groups in it. */
static void hot_reset_array(void)
{
	struct vfio_pci_hot_reset hdr = { .argsz = sizeof(hdr) + 4, .count = 1 };
	struct ru_call call;
	long long revokes;
	char *at, *end;

	if (dev_by_cdev())
		h_skip_case("through the character device there is no array");
	set_up();
	revokes = dev_revokes("target", "hot_reset");
	at = mmap(NULL, 2 * RU_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	end = at + RU_PAGE;
	H_CHECK(mmap(end, RU_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		     t.d.fd, t.cookie) == end);
	memcpy(end - sizeof(hdr), &hdr, sizeof(hdr));
	*(volatile int32_t *)end = t.d.group;
	ru_call(&call, hot_reset, end - sizeof(hdr));
	H_CHECK(ru_join(&call, 10000));
	H_EQ(call.ret, -EFAULT);
	H_EQ(dev_revokes("target", "hot_reset"), revokes + 1);
	H_CHECK(dev_state_is("target", "live"));
	munmap(at, 2 * RU_PAGE);
	clean_up();
}

static void low_power_argument(void)
{
	struct {
		struct vfio_device_feature hdr;
		struct vfio_device_low_power_entry_with_wakeup entry;
	} req = { { sizeof(req), VFIO_DEVICE_FEATURE_SET |
		    VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP } };

	set_up();
	req.entry.wakeup_eventfd = eventfd(0, EFD_CLOEXEC);
	refuses_itself(&(struct argument){ low_power, &req, sizeof(req) }, "low_power");
	clean_up();
}

/* Another thread's reset has closed the gate, and waits for a pin. */
static void others_reset(void)
{
	struct ru_call reset;
	struct ru_hold h;

	set_up();
	h = (struct ru_hold){ .first = { t.d.fd, t.cookie } };
	H_EQ(ru_hold_begin(&h), 0);
	ru_call(&reset, ru_reset, &t.d);
	H_CHECK(ru_hold_drains(&h, "target"));
	for (int i = 0; harmless[i].call && !h_failed(); i++)
		gives(&harmless[i], (i + 1) % 4 * DEV_MIB2 + RU_PAGE, -EFAULT);
	H_CHECK(!ru_done(&reset));
	ru_hold_end(&h);
	H_CHECK(ru_join(&reset, 10000));
	H_EQ(reset.ret, 0);
	for (int i = 0; harmless[i].call && !h_failed(); i++)
		gives(&harmless[i], i * DEV_MIB2, (long[]){ 0, 0, 64, 1 }[i]);
	clean_up();
}

static const struct h_case cases[] = {
	{ "a reset holds nobody up who wants the mmap_lock", with_mmap_lock, 60 },
	{ "a reset holds nobody up who wants the VMA's lock", with_vma_lock, 60 },
	{ "nor does a reset from outside, which ends by itself", from_outside, 60 },
	{ "arguments may lie in the window", open_gate },
	{ "... not the value of a config write that closes the gate", config_write },
	{ "... not the argument of a hot reset", hot_reset_argument },
	{ "... nor its array of groups", hot_reset_array },
	{ "... nor that of low power", low_power_argument },
	{ "... nor any while another's reset waits", others_reset },
	{ }
};

int main(int argc, char **argv)
{
	dev_bind("target", DEV_P2P);
	return h_main(argc, argv, cases);
}
