// SPDX-License-Identifier: MIT
/*
 * Windows: registering and finding them, and what the driver says of itself.
 *
 * Theory of operation.  The rules are tried one by one, each by a call that
 * breaks it alone; after a refusal the number of windows must be what it was.
 * What has several ways to be asked for (SET again, GET, STATE, sysfs) is asked
 * in all of them, and the answers must agree.
 *
 * Windows last until the driver is unbound, so cases that come later find those
 * of earlier ones; every case registers what it needs again, which must be
 * harmless.
 *
 * Guards whose removal must make a case fail:
 *   the capability check		"an unprivileged process"
 *   each of the rules (ranges.c)	"a window that breaks a rule"
 *   the write-combining rule		"write-combining is refused"
 *   the answer is tried first		"a call that breaks a rule"
 */
#define _GNU_SOURCE
#include "dev.h"
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB2 DEV_MIB2
#define PAGE 4096

/* The window most cases use; the rest of the BAR is for those that add some. */
#define AT MIB2
#define LEN (4 * MIB2)
#define COOKIE_WC (1ull << 40)	/* from a window's cookie to its WC cookie */

static struct dev d;
static int bar;

static void begin(void)
{
	H_EQ(dev_open(&d, "target"), 0);
	bar = dev_bar(&d);
	H_CHECK(bar >= 0);
}

static void end(void)
{
	dev_close(&d);
	dev_check_rest("target");
	H_EQ(dev_count("target", "drain_timeouts"), 0);
}

/* Registering */

static void same_window_again(void)
{
	struct p2p_vfio_window a, b, wc;
	struct dev other;

	begin();
	H_EQ(dev_window_set(&d, bar, AT, LEN, 0, &a), 0);
	H_EQ(dev_window_set(&d, bar, AT, LEN, 0, &b), 0);
	H_EQ(memcmp(&a, &b, sizeof(a)), 0);
	if (dev_prefetchable(&d, bar)) {
		H_EQ(dev_window_set(&d, bar, AT, LEN, P2P_VFIO_WINDOW_WC, &wc), 0);
		H_EQ(wc.id, a.id);
		H_CHECK(wc.mmap_offset != a.mmap_offset);
		H_EQ(wc.flags, P2P_VFIO_WINDOW_WC);
	}
	dev_close(&d);
	/* And by the next owner. */
	H_EQ(dev_open(&other, "target"), 0);
	H_EQ(dev_window_set(&other, bar, AT, LEN, 0, &b), 0);
	H_EQ(memcmp(&a, &b, sizeof(a)), 0);
	dev_close(&other);
	end();
}

static void enumeration(void)
{
	struct p2p_vfio_window win, again;
	struct p2p_vfio_state state;
	uint32_t id = 0;

	begin();
	H_EQ(dev_window_set(&d, bar, AT, LEN, 0, &win), 0);
	H_EQ(dev_window_set(&d, bar, 8 * MIB2, MIB2, 0, &win), 0);
	H_EQ(dev_state(&d, &state), 0);
	for (; !dev_window_get(&d, id, 0, &win); id++) {
		H_EQ(win.id, id);
		H_EQ(win.bar, bar);
		/* It is the one that SET of its range gives. */
		H_EQ(dev_window_set(&d, win.bar, win.offset, win.length, 0, &again), 0);
		H_EQ(memcmp(&win, &again, sizeof(win)), 0);
	}
	H_EQ(state.windows, id);
	H_CHECK(id >= 2);
	H_EQ(dev_window_get(&d, id, 0, &win), -ENOENT);
	H_EQ(dev_window_get(&d, ~0u, 0, &win), -ENOENT);
	end();
}

static void survives_close(void)
{
	struct p2p_vfio_window win, found;
	char text[256], want[96];
	char *map;

	begin();
	H_EQ(dev_window_set(&d, bar, AT, LEN, 0, &win), 0);
	dev_close(&d);
	snprintf(want, sizeof(want), "%u %d %#llx %#llx 0 0 %s", win.id, bar, win.offset, win.length,
		 win.provider == P2P_VFIO_PROVIDER_OWN ? "own" : "standard");
	H_EQ(h_readf(text, sizeof(text), "/sys/bus/pci/devices/%s/p2p_vfio/windows", h_pci("target")), 0);
	H_CHECK(strstr(text, want));

	begin();
	H_EQ(dev_window_get(&d, win.id, 0, &found), 0);
	H_EQ(memcmp(&found, &win, sizeof(win)), 0);
	map = dev_map(&d, found.mmap_offset, found.length);
	H_CHECK(map);
	*(volatile char *)map = 1;
	end();
}

struct bad_window {
	uint32_t bar, flags;
	uint64_t offset, length;
	int err;
};

static int try_window(const struct bad_window *bad)
{
	struct p2p_vfio_window win = { .bar = bad->bar, .flags = bad->flags, .offset = bad->offset,
				       .length = bad->length };

	return dev_feature(&d, VFIO_DEVICE_FEATURE_SET | P2P_VFIO_FEATURE_WINDOW, &win, sizeof(win));
}

/* The first BAR that this device has not, or -1. */
static int absent_bar(void)
{
	for (int i = 0; i < 6; i++)
		if (!dev_bar_size(&d, i))
			return i;
	return -1;
}

/* Each breaks one rule alone: which of several is named is the driver's choice. */
static void refused_windows(void)
{
	struct p2p_vfio_state before, after;
	struct p2p_vfio_window win;

	begin();
	H_EQ(dev_window_set(&d, bar, AT, LEN, 0, &win), 0);
	const uint64_t size = dev_bar_size(&d, bar);
	const struct bad_window bad[] = {
		{ .bar = bar, .flags = 2, .length = MIB2, .err = EINVAL },
		{ .bar = bar, .flags = 1u << 31, .length = MIB2, .err = EINVAL },
		{ .bar = 6, .length = MIB2, .err = EINVAL },
		{ .bar = ~0u, .length = MIB2, .err = EINVAL },
		{ .bar = bar, .length = 0, .err = EINVAL },
		{ .bar = bar, .offset = 28 * MIB2 + PAGE, .length = MIB2, .err = EINVAL },
		{ .bar = bar, .offset = 28 * MIB2, .length = MIB2 + PAGE, .err = EINVAL },
		{ .bar = bar, .offset = 28 * MIB2 + 1, .length = 1, .err = EINVAL },
		{ .bar = absent_bar(), .length = MIB2, .err = ENXIO },
		{ .bar = bar, .offset = size, .length = MIB2, .err = ERANGE },
		{ .bar = bar, .offset = size - MIB2, .length = 2 * MIB2, .err = ERANGE },
		{ .bar = bar, .offset = -MIB2, .length = 2 * MIB2, .err = ERANGE },
		{ .bar = bar, .offset = 28 * MIB2, .length = -28 * MIB2, .err = ERANGE },
		{ .bar = bar, .offset = AT, .length = LEN - MIB2, .err = EEXIST },
		{ .bar = bar, .offset = AT + MIB2, .length = LEN - MIB2, .err = EEXIST },
		{ .bar = bar, .offset = AT - MIB2, .length = 2 * MIB2, .err = EEXIST },
		{ .bar = bar, .offset = AT + LEN - MIB2, .length = 2 * MIB2, .err = EEXIST },
	};
	H_EQ(dev_state(&d, &before), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		int err = try_window(&bad[i]);

		if (err != -bad[i].err)
			h_fail("window %zu of the table: %s, want %s", i,
			       err ? strerrorname_np(-err) : "success", strerrorname_np(bad[i].err));
	}
	H_EQ(dev_state(&d, &after), 0);
	H_EQ(after.windows, before.windows);
	end();
}

/* What can be wrong with the call itself, whatever is asked. */
static void refused_calls(void)
{
	struct {
		struct vfio_device_feature hdr;
		struct p2p_vfio_window win;
	} *req = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const uint32_t set = VFIO_DEVICE_FEATURE_SET | P2P_VFIO_FEATURE_WINDOW;
	struct p2p_vfio_state before, after;

	begin();
	H_EQ(dev_state(&d, &before), 0);
	*(typeof(*req) *)req = (typeof(*req)){ .hdr = { sizeof(*req) - 1, set },
					       .win = { .bar = bar, .offset = 20 * MIB2, .length = MIB2 } };
	H_ERRNO(ioctl(d.fd, VFIO_DEVICE_FEATURE, req), EINVAL);
	/* More than it needs is no mistake; nor is asking what is there. */
	req->hdr.argsz = sizeof(*req);
	req->hdr.flags = set | VFIO_DEVICE_FEATURE_PROBE;
	H_EQ(ioctl(d.fd, VFIO_DEVICE_FEATURE, req), 0);
	req->hdr.flags = VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_PROBE | P2P_VFIO_FEATURE_STATE;
	H_ERRNO(ioctl(d.fd, VFIO_DEVICE_FEATURE, req), EINVAL);
	req->hdr.flags = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_PROBE | (P2P_VFIO_FEATURE_EXPORT + 1);
	H_ERRNO(ioctl(d.fd, VFIO_DEVICE_FEATURE, req), ENOTTY);
	/* An answer that cannot be written: nothing may have been registered. */
	req->hdr.flags = set;
	mprotect(req, PAGE, PROT_READ);
	H_ERRNO(ioctl(d.fd, VFIO_DEVICE_FEATURE, req), EFAULT);
	H_EQ(dev_state(&d, &after), 0);
	H_EQ(after.windows, before.windows);
	end();
}

static void wc_refused(void)
{
	struct p2p_vfio_window win;

	begin();
	H_CHECK(!dev_prefetchable(&d, bar));
	H_EQ(dev_window_set(&d, bar, AT, LEN, P2P_VFIO_WINDOW_WC, &win), -EOPNOTSUPP);
	H_EQ(dev_window_set(&d, bar, AT, LEN, 0, &win), 0);
	H_EQ(dev_window_set(&d, bar, AT, LEN, P2P_VFIO_WINDOW_WC, &win), -EOPNOTSUPP);
	H_EQ(dev_window_get(&d, 0, P2P_VFIO_WINDOW_WC, &win), -EOPNOTSUPP);
	H_EQ(dev_window_get(&d, 0, 0, &win), 0);
	H_ERRNO((long)mmap(NULL, MIB2, PROT_READ, MAP_SHARED, d.fd, win.mmap_offset + COOKIE_WC), EOPNOTSUPP);
	end();
}

/* Privilege */

/* In a child without privileges; gives the number of the step that failed. */
static int unprivileged_steps(int disk)
{
	struct p2p_vfio_window win;
	char *map;

	if (setgroups(0, NULL) || setresgid(1000, 1000, 1000) || setresuid(1000, 1000, 1000))
		return 1;
	if (dev_window_set(&d, bar, 24 * MIB2, MIB2, 0, &win) != -EPERM)
		return 2;
	if (dev_window_set(&d, bar, AT, LEN, 0, &win))
		return 3;
	map = dev_map(&d, win.mmap_offset, LEN);
	if (!map)
		return 4;
	if (pread(disk, map, 2 * MIB2, 0) != 2 * MIB2)
		return 5;
	if (dev_reset(&d))
		return 6;
	return 0;
}

static void unprivileged(void)
{
	int disk = open(h_disk("raw"), O_RDONLY | O_DIRECT);
	struct p2p_vfio_window win;
	int status;
	pid_t pid;

	begin();
	H_EQ(dev_window_set(&d, bar, AT, LEN, 0, &win), 0);
	pid = fork();
	if (!pid)
		_exit(unprivileged_steps(disk));
	H_EQ(waitpid(pid, &status, 0), pid);
	H_EQ(status, 0);
	end();
}

/* Root may open registration to everybody. */
static void unprivileged_opened(void)
{
	struct p2p_vfio_window win;
	int status;
	pid_t pid;

	begin();
	H_EQ(dev_param("unprivileged_windows", "Y"), 0);
	pid = fork();
	if (!pid)
		_exit(setresuid(1000, 1000, 1000) || dev_window_set(&d, bar, 26 * MIB2, MIB2, 0, &win));
	H_EQ(waitpid(pid, &status, 0), pid);
	dev_param("unprivileged_windows", "N");
	H_EQ(status, 0);
	end();
}

/* What the driver says of itself */

static void state_agrees(void)
{
	static const char *const reasons[] = { "untried", "proven", "unproven", "differs", "asked" };
	struct p2p_vfio_state s;
	char *map, reason[16];

	begin();
	map = dev_window(&d, bar, AT, LEN);
	H_CHECK(map);
	*(volatile char *)(map + MIB2) = 1;
	H_EQ(dev_state(&d, &s), 0);
	H_EQ(s.state, P2P_VFIO_STATE_LIVE);
	H_CHECK(dev_state_is("target", "live"));
	H_EQ(s.touched_folios, 1);
	H_EQ(s.pinned_folios, 0);
	H_EQ(s.touched_folios, dev_count("target", "touched_folios"));
	H_EQ(s.generation, dev_count("target", "generation"));
	H_EQ(h_readf(reason, sizeof(reason), "/sys/bus/pci/devices/%s/p2p_vfio/provider_reason", h_pci("target")), 0);
	H_CHECK(s.provider_reason && s.provider_reason < sizeof(reasons) / sizeof(*reasons));
	H_CHECK(!strcmp(reason, reasons[s.provider_reason]));
	H_EQ(s.faults_pmd, dev_count("target", "faults_pmd"));
	H_EQ(s.faults_pte, dev_count("target", "faults_pte"));
	H_EQ(s.revokes[P2P_VFIO_CAUSE_RESET], dev_revokes("target", "reset"));
	H_EQ(dev_reset(&d), 0);
	H_EQ(dev_count("target", "generation"), s.generation + 1);
	H_EQ(dev_revokes("target", "reset"), s.revokes[P2P_VFIO_CAUSE_RESET] + 1);
	end();
}

static void peer_route(int want)
{
	struct p2p_vfio_peer peer;

	begin();
	H_EQ(dev_peer(&d, h_pci("nvme"), &peer), 0);
	H_EQ(peer.route, want);
	H_EQ(peer.distance >= 0, want != P2P_VFIO_ROUTE_NONE);
	H_EQ(dev_peer(&d, "0000:ff:1f.7", &peer), -ENODEV);
	H_EQ(dev_peer(&d, "00ff:00:00.0", &peer), -ENODEV);
	end();
}

static void peer_host_bridge(void)
{
	peer_route(P2P_VFIO_ROUTE_HOST_BRIDGE);
}

static void peer_switch(void)
{
	peer_route(P2P_VFIO_ROUTE_SWITCH);
}

/* The refusal is explained in the kernel's log. */
static void peer_none(void)
{
	peer_route(P2P_VFIO_ROUTE_NONE);
}

static uint64_t signals(int fd)
{
	uint64_t n = 0;

	return read(fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

static void events(void)
{
	int fd = eventfd(0, EFD_NONBLOCK);

	begin();
	H_EQ(dev_events(&d, fd, P2P_VFIO_EVENTS_ADD), 0);
	H_EQ(dev_events(&d, fd, P2P_VFIO_EVENTS_ADD), -EEXIST);
	H_EQ(signals(fd), 0);
	H_EQ(dev_reset(&d), 0);
	H_EQ(signals(fd), 2);	/* closed, opened */
	H_EQ(dev_events(&d, fd, P2P_VFIO_EVENTS_REMOVE), 0);
	H_EQ(dev_events(&d, fd, P2P_VFIO_EVENTS_REMOVE), -ENOENT);
	H_EQ(dev_reset(&d), 0);
	H_EQ(signals(fd), 0);
	H_EQ(dev_events(&d, fd, 0), -EINVAL);
	H_EQ(dev_events(&d, fd, P2P_VFIO_EVENTS_ADD | P2P_VFIO_EVENTS_REMOVE), -EINVAL);
	H_EQ(dev_events(&d, -1, P2P_VFIO_EVENTS_ADD), -EBADF);
	H_EQ(dev_events(&d, d.container, P2P_VFIO_EVENTS_ADD), -EINVAL);
	end();
}

static void unbind(void)
{
	H_CHECK(dev_unbind("target", 5));
}

static const struct h_case cases[] = {
	{ "registering a window again gives the same one", same_window_again },
	{ "windows are enumerated without holes", enumeration },
	{ "a window survives the close of its device", survives_close },
	{ "a window that breaks a rule is refused with the errno for it", refused_windows },
	{ "a call that breaks a rule is refused", refused_calls },
	{ "an unprivileged process uses what root has registered", unprivileged },
	{ "root can let everybody register", unprivileged_opened },
	{ "STATE and sysfs agree", state_agrees },
	{ "an eventfd tells of both ends of a reset", events },
	{ "unbinding ends at once", unbind },
	{ }
};

/* Those that only some machines can show: by name only. */
static const struct h_case special[] = {
	{ "write-combining is refused on a BAR that is not prefetchable", wc_refused },
	{ "the route to the disk is the host bridge", peer_host_bridge },
	{ "the route to the disk is the switch", peer_switch },
	{ "there is no route to the disk", peer_none },
	{ }
};

int main(int argc, char **argv)
{
	dev_bind("target", DEV_P2P);
	/* What is left behind shows soon. */
	dev_param("drain_timeout_ms", "3000");
	if (argc > 1 && !strcmp(argv[1], "special"))
		return h_main(argc - 1, argv + 1, special);
	return h_main(argc, argv, cases);
}
