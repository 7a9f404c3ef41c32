// SPDX-License-Identifier: MIT
/* Of t_faults: the calls on an open device, and the reads of its sysfs. */
#define _GNU_SOURCE
#include "sweep.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

/*
 * Hot-adding memory on x86 does not stand failures (7.3): phys_pmd_init() writes
 * through the NULL pointer that it got for a page, add_pages() warns when there
 * are no struct pages.
 */
#define ADDS_MEMORY "arch_add_memory"

/* Features */

static struct {
	struct vfio_device_feature hdr;
	union {
		struct p2p_vfio_window win;
		struct p2p_vfio_state state;
		struct p2p_vfio_events events;
		struct p2p_vfio_peer peer;
	};
} req;
static uint32_t win_flags;
static uint64_t win_offset;
static int eventfd_;

static long feature(uint32_t flags, size_t size)
{
	req.hdr.argsz = sizeof(req.hdr) + size;
	req.hdr.flags = flags;
	return result(ioctl(t.d.fd, VFIO_DEVICE_FEATURE, &req));
}

static long window_set(void)
{
	req.win = (struct p2p_vfio_window){
		.bar = t.bar, .offset = win_offset, .length = LENGTH, .flags = win_flags,
	};
	return feature(VFIO_DEVICE_FEATURE_SET | P2P_VFIO_FEATURE_WINDOW, sizeof(req.win));
}

/* Each time a driver that knows no window: the way is the same every time. */
static void bound_anew(void)
{
	unbind_now();
	H_CHECK(bind_it() > 0);
	H_EQ(dev_open(&t.d, "target"), 0);
	t.bar = dev_bar(&t.d);
	win_offset = 0;
	note_state();
}

static void with_one_window(void)
{
	bound_anew();
	H_EQ(window_set(), 0);
	win_offset = LENGTH;
	note_state();
}

/* Bits: the first window, and another, that the caller has not been told of. */
static unsigned int not_told;

/* The last copy is of the answer; there is no way back then, as documented. */
static void not_registered(void)
{
	struct p2p_vfio_state now;

	H_EQ(dev_state(&t.d, &now), 0);
	if (kind == FAULT_COPY && now.windows == was.windows + 1) {
		H_EQ(not_told & 1u << !!win_offset, 0);
		not_told |= 1u << !!win_offset;
		was.windows++;
		was.provider_reason = now.provider_reason;
	}
	same_state();
}

static void window_works(void)
{
	struct p2p_vfio_window w;

	t.cookie = req.win.mmap_offset;
	H_EQ(dev_window_get(&t.d, req.win.id, 0, &w), 0);
	H_EQ(w.offset, win_offset);
	does_io();
}

static void window_works_then_close(void)
{
	window_works();
	H_EQ(req.win.id, win_offset ? 1 : 0);
	close_target();
}

/* Pages are taken by the kernel's pool; what the own provider needs of them is spared. */
static void registering_with(const char *provider, unsigned int must)
{
	const struct op ops[] = {
		{ "SET WINDOW, the first", bound_anew, window_set, window_works_then_close,
		  not_registered, must, ADDS_MEMORY },
		{ "SET WINDOW, another", with_one_window, window_set, window_works_then_close,
		  not_registered, must, ADDS_MEMORY },
	};

	h_diag("provider=%s", provider);
	H_EQ(dev_param("provider", provider), 0);
	not_told = 0;
	for (int i = 0; i < 2 && !h_failed(); i++)
		sweep(&ops[i]);
}

void registering(void)
{
	const bool standard = dev_standard_provider();

	be_bound();
	open_ports();
	/* vmalloc() says at length that it has no memory. */
	if (kind != FAULT_COPY)
		h_expect_log("^ *Call Trace:$");
	if (!standard)
		registering_with("auto", SLAB | COPY);
	if (!h_failed())
		registering_with("standard", SLAB | PAGES | COPY);
	if (!standard)
		H_EQ(dev_param("provider", "auto"), 0);
}

static long window_set_wc(void)
{
	win_flags = P2P_VFIO_WINDOW_WC;
	return window_set();
}

static long window_get(void)
{
	req.win = (struct p2p_vfio_window){ .id = 0 };
	return feature(VFIO_DEVICE_FEATURE_GET | P2P_VFIO_FEATURE_WINDOW, sizeof(req.win));
}

static long state_get(void)
{
	return feature(VFIO_DEVICE_FEATURE_GET | P2P_VFIO_FEATURE_STATE, sizeof(req.state));
}

static void state_is_right(void)
{
	was = req.state;
	same_state();
}

static long events(uint32_t flags)
{
	req.events = (struct p2p_vfio_events){ .fd = eventfd_, .flags = flags };
	return feature(VFIO_DEVICE_FEATURE_SET | P2P_VFIO_FEATURE_EVENTS, sizeof(req.events));
}

static long events_add(void)
{
	return events(P2P_VFIO_EVENTS_ADD);
}

static long events_remove(void)
{
	return events(P2P_VFIO_EVENTS_REMOVE);
}

static void was_added(void)
{
	H_EQ(events_remove(), 0);
}

static void was_not_added(void)
{
	H_EQ(events_remove(), -ENOENT);
}

static void add_first(void)
{
	H_EQ(events_add(), 0);
}

static void was_not_removed(void)
{
	H_EQ(events_add(), -EEXIST);
}

static void was_removed(void)
{
	was_not_added();
}

static long peer_get(void)
{
	unsigned int bus, slot;

	sscanf(peer, "0000:%x:%x", &bus, &slot);
	req.peer = (struct p2p_vfio_peer){ .bus = bus, .devfn = slot << 3 };
	return feature(VFIO_DEVICE_FEATURE_GET | P2P_VFIO_FEATURE_PEER, sizeof(req.peer));
}

static void peer_is_right(void)
{
	H_EQ(req.peer.route, P2P_VFIO_ROUTE_HOST_BRIDGE);
}

void asking(void)
{
	static const struct op ops[] = {
		{ "SET WINDOW, one that is there", note_state, window_set, window_works, same_state, COPY },
		{ "SET WINDOW, write-combining", note_state, window_set_wc, window_works, same_state, COPY },
		{ "GET WINDOW", note_state, window_get, window_works, same_state, COPY },
		{ "GET STATE", note_state, state_get, state_is_right, same_state, COPY },
		{ "SET EVENTS, add", note_state, events_add, was_added, was_not_added, COPY },
		{ "SET EVENTS, remove", add_first, events_remove, was_removed, was_not_removed, COPY },
		{ "GET PEER", note_state, peer_get, peer_is_right, same_state, COPY },
	};

	be_bound();
	eventfd_ = eventfd(0, EFD_CLOEXEC);
	for (size_t i = 0; i < sizeof(ops) / sizeof(*ops) && !h_failed(); i++)
		sweep_open(&ops[i]);
}

/* Mappings and I/O */

/* Where nothing else is: page tables of every level are to be had for it. */
#define FAR ((char *)0x200000000000)

static char *win, *raw;
static size_t skew;

static long map(void)
{
	win = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, MAP_SHARED, t.d.fd, t.cookie);
	return result(win == MAP_FAILED ? -1 : 0);
}

static void touch_and_unmap(void)
{
	*(volatile char *)win = 1;
	H_EQ(munmap(win, LENGTH), 0);
	does_io();
}

static void map_anew(void)
{
	win = mmap(FAR + skew, LENGTH, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE,
		   t.d.fd, t.cookie);
	H_CHECK(win != MAP_FAILED);
	memset(raw, 0x5a, IO);
	note_state();
}

static long touch(void)
{
	*(volatile char *)win = 1;
	return 0;
}

static void touched_once(void)
{
	struct p2p_vfio_state now;

	H_EQ(dev_state(&t.d, &now), 0);
	H_EQ(now.faults_pmd - was.faults_pmd, skew ? 0 : 1);
	H_EQ(now.faults_pte - was.faults_pte, skew ? 1 : 0);
	H_EQ(raw[0], 1);
	H_EQ(munmap(win, LENGTH), 0);
}

static long read_in(void)
{
	return result(pread(disk, win, IO, 0));
}

static long write_out(void)
{
	return result(pwrite(disk, win, IO, 0));
}

/* A short transfer has coped as well, if the rest can be had. */
static void all_is_there(void)
{
	H_CHECK(made > 0);
	if (made < IO)
		H_EQ(read_in(), IO);
	H_EQ(memcmp(raw, disk_data, IO), 0);
	H_EQ(munmap(win, LENGTH), 0);
	same_state();
}

static void all_is_written(void)
{
	static char back[IO] __attribute__((aligned(RU_PAGE)));

	H_CHECK(made > 0);
	if (made < IO)
		H_EQ(write_out(), IO);
	H_EQ(pread(disk, back, IO, 0), IO);
	H_EQ(memcmp(back, raw, IO), 0);
	H_EQ(munmap(win, LENGTH), 0);
	same_state();
	H_EQ(pwrite(disk, disk_data, IO, 0), IO);
}

void transferring(void)
{
	static const struct op ops[] = {
		{ "mmap", NULL, map, touch_and_unmap, NULL, SLAB },
		{ "touch", map_anew, touch, touched_once, NULL, PAGES },
		{ "read()", map_anew, read_in, all_is_there, same_state, SLAB | PAGES },
		{ "write()", map_anew, write_out, all_is_written, same_state, SLAB | PAGES },
	};

	be_bound();
	for (int i = 0; i < 7 && !h_failed(); i++) {
		struct op op = ops[i < 4 ? i : i - 3];

		skew = i < 4 ? 0 : RU_PAGE;
		h_diag("%s", skew ? "by 4 KiB entries" : "by 2 MiB entries");
		open_target();
		raw = dev_map_raw(&t.d, t.bar, 0, LENGTH);
		H_CHECK(raw);
		sweep(&op);
		close_target();
	}
	if (!h_failed())
		dev_check_rest("target");
}

/* Revocations */

static long reset(void)
{
	return dev_reset(&t.d);
}

static long hot_reset(void)
{
	return ru_hot_reset(&t.d);
}

static uint16_t command;
static off_t command_at;

static long write_command(void)
{
	return result(pwrite(t.d.fd, &command, sizeof(command), command_at));
}

static void read_command(void)
{
	command_at = dev_region_offset(&t.d, VFIO_PCI_CONFIG_REGION_INDEX) + PCI_COMMAND;
	H_EQ(pread(t.d.fd, &command, sizeof(command), command_at), 2);
	H_CHECK(command & PCI_COMMAND_MEMORY);
	note_state();
}

/* It may have been written in part: that counts. */
static void still_live(void)
{
	struct p2p_vfio_state now;

	H_EQ(dev_state(&t.d, &now), 0);
	H_EQ(now.state, P2P_VFIO_STATE_LIVE);
	H_EQ(now.windows, was.windows);
}

static long low_power(void)
{
	return feature(VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY, 0);
}

static long full_power(void)
{
	return feature(VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_LOW_POWER_EXIT, 0);
}

static void wake_up(void)
{
	H_EQ(full_power(), 0);
	does_io();
}

static void asleep(void)
{
	H_EQ(low_power(), 0);
	note_state();
}

void revoking(void)
{
	static const struct op ops[] = {
		{ "RESET", note_state, reset, does_io, same_state },
		{ "HOT_RESET", note_state, hot_reset, does_io, same_state, SLAB | COPY },
		{ "config write", read_command, write_command, does_io, still_live, COPY },
		{ "LOW_POWER_ENTRY", note_state, low_power, wake_up, same_state, COPY },
		{ "LOW_POWER_EXIT", asleep, full_power, does_io, same_state, COPY },
	};

	be_bound();
	for (size_t i = 0; i < sizeof(ops) / sizeof(*ops) && !h_failed(); i++)
		sweep_open(&ops[i]);
}

/* sysfs */

static char attribute[128], text[4096], right[4096];

static long read_attribute(void)
{
	return h_read(attribute, text, sizeof(text));
}

/* Its pages are there: no failure to get one is wanted. */
static void forget_text(void)
{
	memset(text, 'x', sizeof(text));
}

static void text_is_right(void)
{
	H_EQ(strcmp(text, right), 0);
}

void reading_sysfs(void)
{
	static const char *const names[] = {
		"state", "generation", "pinned_folios", "touched_folios", "faults_pmd",
		"drain_timeouts", "revokes", "windows",
	};
	static const struct op op = { "a read of sysfs", forget_text, read_attribute, text_is_right, NULL, SLAB | COPY };

	be_bound();
	open_target();
	for (size_t i = 0; i < sizeof(names) / sizeof(*names) && !h_failed(); i++) {
		snprintf(attribute, sizeof(attribute), "/sys/bus/pci/devices/%s/p2p_vfio/%s", bdf, names[i]);
		H_EQ(h_read(attribute, right, sizeof(right)), 0);
		sweep(&op);
	}
	close_target();
}
