// SPDX-License-Identifier: MIT
/*
 * Windows: the rules of registering and mapping them, and the views of a BAR
 * beside each other.
 *
 * Theory of operation.  A BAR has three views: its ordinary mapping (raw page
 * frames), and of each window an uncached and, where the BAR is prefetchable,
 * a write-combining one (both page-backed).  They lead to the same bytes, so
 * whatever is written through one is looked for through the others.  What no
 * byte tells, how the CPU caches a view, is read from the page tables by the
 * host.  The rules are tried one by one, each by a call that breaks it alone;
 * after a refusal the number of windows must be what it was.
 *
 * Windows last until the driver is unbound, so cases that come later find those
 * of earlier ones; every case registers what it needs again, which must be
 * harmless.
 *
 * Guards whose removal must make a case fail:
 *   the caching of the two views (mmap.c)	"no view is cached by the CPU"
 *   the zap of the write-combining cookie	"a reset takes both views away"
 *   the end-of-window check in mmap		"a mapping that breaks a rule"
 *   the MAP_SHARED check			"a mapping that breaks a rule"
 *   VM_DONTEXPAND				"a mapping cannot grow"
 *   the capability check			"an unprivileged process"
 */
#define _GNU_SOURCE
#include "dev.h"
#include "harness.h"
#include "pagetable.h"
#include "pattern.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>
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

static void need_wc(void)
{
	if (!dev_prefetchable(&d, bar))
		h_skip_case("BAR %d is not prefetchable", bar);
}

/* Views */

enum { UC, WC, RAW, VIEWS };
static char *view[VIEWS];
static const char *const view_name[] = { "the uncached view", "the write-combining view", "the raw view" };

static void map_views(void)
{
	view[UC] = dev_window(&d, bar, AT, LEN);
	view[WC] = dev_prefetchable(&d, bar) ? dev_window_wc(&d, bar, AT, LEN) : view[UC];
	view[RAW] = dev_map_raw(&d, bar, AT, LEN);
	H_CHECK(view[UC] && view[WC] && view[RAW]);
}

/* Write-combining buffers are not seen by others until they are drained. */
static void settle(void)
{
	__sync_synchronize();
}

static void expect_everywhere(size_t at, size_t bytes, uint32_t stream, int writer)
{
	for (int v = 0; v < VIEWS && !h_failed(); v++) {
		long wrong = pattern_differs(view[v] + at, bytes, stream, at);

		if (wrong >= 0)
			h_fail("written through %s, read through %s: wrong at %zu", view_name[writer],
			       view_name[v], at + wrong);
	}
}

static void same_bytes(void)
{
	static const size_t places[] = { 0, PAGE - 8, MIB2 - PAGE, MIB2, 3 * MIB2 - 16 * PAGE, LEN - 32 * PAGE };
	uint32_t stream = 1;

	begin();
	map_views();
	for (size_t p = 0; p < sizeof(places) / sizeof(*places); p++) {
		for (int v = 0; v < VIEWS; v++, stream++) {
			pattern_fill(view[v] + places[p], 32 * PAGE, stream, places[p]);
			settle();
			expect_everywhere(places[p], 32 * PAGE, stream, v);
		}
	}
	end();
}

/* Bytes, words and quadwords side by side: no view widens or drops an access. */
static void every_width(void)
{
	static const unsigned char want[16] = { 1, 2, 0x34, 0x12, 0x78, 0x56, 0x34, 0x12, 8, 7, 6, 5, 4, 3, 2, 1 };

	begin();
	map_views();
	for (int w = 0; w < VIEWS; w++) {
		volatile char *at = view[w] + MIB2 - 8;

		memset(view[RAW] + MIB2 - 8, 0xee, 16);
		at[0] = 1;
		at[1] = 2;
		*(volatile uint16_t *)(at + 2) = 0x1234;
		*(volatile uint32_t *)(at + 4) = 0x12345678;
		*(volatile uint64_t *)(at + 8) = 0x0102030405060708;
		settle();
		for (int r = 0; r < VIEWS; r++)
			H_EQ(memcmp(view[r] + MIB2 - 8, want, 16), 0);
	}
	end();
}

static void caching_of(char *at, uint64_t want, size_t want_bytes)
{
	size_t bytes = 0;
	uint64_t entry;

	*(volatile char *)at = 1;
	entry = pagetable_entry(at, &bytes);
	if (!(entry & PT_PRESENT))
		h_fail("no entry was found, or the host did not answer: %#llx", (unsigned long long)entry);
	H_EQ(bytes, want_bytes);
	if ((entry & PT_CACHE) != want)
		h_fail("cache bits of the entry are %#llx, want %#llx",
		       (unsigned long long)(entry & PT_CACHE), (unsigned long long)want);
}

static void not_cached(void)
{
	struct p2p_vfio_window win;
	char *small;

	begin();
	map_views();
	caching_of(view[UC], PT_CACHE_UC_MINUS, MIB2);
	if (dev_prefetchable(&d, bar))
		caching_of(view[WC] + MIB2, PT_CACHE_WC, MIB2);
	/* A change of protection must not lose it. */
	H_EQ(mprotect(view[UC], LEN, PROT_READ), 0);
	H_EQ(mprotect(view[UC], LEN, PROT_READ | PROT_WRITE), 0);
	caching_of(view[UC] + 2 * MIB2, PT_CACHE_UC_MINUS, MIB2);
	/* And as 4 KiB entries. */
	H_EQ(dev_window_get(&d, 0, 0, &win), 0);
	small = dev_map_skewed(&d, win.mmap_offset, 2 * PAGE, PAGE);
	H_CHECK(small);
	caching_of(small + PAGE, PT_CACHE_UC_MINUS, PAGE);
	if (dev_prefetchable(&d, bar)) {
		small = dev_map_skewed(&d, win.mmap_offset + COOKIE_WC, 2 * PAGE, PAGE);
		H_CHECK(small);
		caching_of(small + PAGE, PT_CACHE_WC, PAGE);
	}
	end();
}

/* One request whose segments are in both views: one device, one folio. */
static void both_in_one_request(void)
{
	int fd = open(h_disk("raw"), O_RDWR | O_DIRECT);
	char *ram = aligned_alloc(PAGE, 2 * MIB2);
	struct iovec iov[2];

	begin();
	need_wc();
	map_views();
	pattern_fill(ram, 2 * MIB2, 77, 0);
	H_EQ(pwrite(fd, ram, 2 * MIB2, 0), 2 * MIB2);
	iov[0] = (struct iovec){ view[UC] + PAGE, MIB2 };
	iov[1] = (struct iovec){ view[WC] + PAGE + MIB2, MIB2 };
	H_EQ(preadv(fd, iov, 2, 0), 2 * MIB2);
	H_EQ(pattern_differs(view[RAW] + PAGE, 2 * MIB2, 77, 0), -1);
	end();
}

static void touch_both(void)
{
	for (size_t at = 0; at < LEN; at += MIB2) {
		*(volatile char *)(view[UC] + at) = 1;
		*(volatile char *)(view[WC] + at) = 1;
	}
}

/*
 * After a reset no entry of either view is left: each touch is a fault again.
 * An entry left behind would hold its folio, and the reset would be refused.
 */
static void reset_takes_both(void)
{
	long long before, views;

	begin();
	map_views();
	views = view[UC] == view[WC] ? 1 : 2;
	for (int round = 0; round < 3; round++) {
		before = dev_count("target", "faults_pmd");
		touch_both();
		H_EQ(dev_count("target", "faults_pmd") - before, views * LEN / MIB2);
		H_EQ(dev_count("target", "touched_folios"), LEN / MIB2);
		H_EQ(dev_reset(&d), 0);
		H_EQ(dev_count("target", "touched_folios"), 0);
	}
	/* Each view alone as well. */
	*(volatile char *)view[WC] = 2;
	H_EQ(dev_reset(&d), 0);
	*(volatile char *)view[UC] = 3;
	H_EQ(dev_reset(&d), 0);
	end();
}

/* The raw view is what it always was: O_DIRECT refuses it. */
static void raw_is_raw(void)
{
	int fd = open(h_disk("raw"), O_RDWR | O_DIRECT);
	long long pmd;

	begin();
	map_views();
	pmd = dev_count("target", "faults_pmd") + dev_count("target", "faults_pte");
	H_ERRNO(pread(fd, view[RAW], PAGE, 0), EFAULT);
	H_ERRNO(pwrite(fd, view[RAW], PAGE, 0), EFAULT);
	H_EQ(dev_count("target", "faults_pmd") + dev_count("target", "faults_pte"), pmd);
	H_EQ(pread(fd, view[UC], PAGE, 0), PAGE);
	H_EQ(dev_count("target", "faults_pmd") + dev_count("target", "faults_pte"), pmd + 1);
	end();
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
	char text[256], want[64];
	char *map;

	begin();
	H_EQ(dev_window_set(&d, bar, AT, LEN, 0, &win), 0);
	dev_close(&d);
	snprintf(want, sizeof(want), "%u %d %#llx %#llx 0 0", win.id, bar, win.offset, win.length);
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
	uint32_t bar, flags, reserved;
	uint64_t offset, length;
	int err;
};

static int try_window(const struct bad_window *bad)
{
	struct p2p_vfio_window win = { .bar = bad->bar, .flags = bad->flags, .offset = bad->offset,
				       .length = bad->length, .reserved = bad->reserved };

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
		{ .bar = bar, .reserved = 1, .length = MIB2, .err = EINVAL },
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
	req->hdr.flags = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_PROBE | (P2P_VFIO_FEATURE_PEER + 1);
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

/* Mapping */

static void refuse_map(uint64_t offset, size_t length, int flags, int err)
{
	void *map = mmap(NULL, length, PROT_READ | PROT_WRITE, flags, d.fd, offset);

	if (map != MAP_FAILED)
		h_fail("mmap of %#zx at %#llx, flags %#x: success, want %s", length,
		       (unsigned long long)offset, flags, strerrorname_np(err));
	else if (errno != err)
		h_fail("mmap of %#zx at %#llx, flags %#x: %s, want %s", length, (unsigned long long)offset,
		       flags, strerrorname_np(errno), strerrorname_np(err));
}

static void refused_maps(void)
{
	struct p2p_vfio_window win, last;
	struct p2p_vfio_state state;

	begin();
	H_EQ(dev_window_set(&d, bar, AT, LEN, 0, &win), 0);
	H_EQ(dev_state(&d, &state), 0);
	H_EQ(dev_window_get(&d, state.windows - 1, 0, &last), 0);
	refuse_map(win.mmap_offset, LEN, MAP_PRIVATE, EINVAL);
	refuse_map(win.mmap_offset, LEN + PAGE, MAP_SHARED, EINVAL);
	refuse_map(win.mmap_offset + LEN, PAGE, MAP_SHARED, EINVAL);
	refuse_map(win.mmap_offset + LEN - PAGE, 2 * PAGE, MAP_SHARED, EINVAL);
	refuse_map(win.mmap_offset + COOKIE_WC - PAGE, PAGE, MAP_SHARED, EINVAL);
	refuse_map(win.mmap_offset + COOKIE_WC - PAGE, 2 * PAGE, MAP_SHARED, EINVAL);
	/* Ids that do not exist: the next, and the last possible. */
	refuse_map(last.mmap_offset + 2 * COOKIE_WC, PAGE, MAP_SHARED, EINVAL);
	refuse_map(last.mmap_offset + 3 * COOKIE_WC, PAGE, MAP_SHARED, EINVAL);
	refuse_map(win.mmap_offset + 2 * (P2P_VFIO_MAX_WINDOWS - 1 - win.id) * COOKIE_WC, PAGE, MAP_SHARED, EINVAL);
	/* Beyond the windows' cookies, and below them: no region of the device. */
	refuse_map(win.mmap_offset + 2 * (P2P_VFIO_MAX_WINDOWS - win.id) * COOKIE_WC, PAGE, MAP_SHARED, EINVAL);
	refuse_map(win.mmap_offset - (2 * win.id + 1) * COOKIE_WC, PAGE, MAP_SHARED, EINVAL);
	H_EQ(dev_count("target", "touched_folios"), 0);
	end();
}

static void cannot_grow(void)
{
	char *map;

	begin();
	map = dev_window(&d, bar, AT, LEN);
	H_CHECK(map);
	H_ERRNO((long)mremap(map, LEN, LEN + MIB2, MREMAP_MAYMOVE), EFAULT);
	H_ERRNO((long)mremap(map + LEN - MIB2, MIB2, 2 * MIB2, MREMAP_MAYMOVE), EFAULT);
	end();
}

/* Parts of a window, from cookies with an offset: the bytes are those of that offset. */
static void parts(void)
{
	static const struct { size_t at, length; } part[] = {
		{ 0, PAGE }, { PAGE, PAGE }, { MIB2 - PAGE, 2 * PAGE }, { MIB2, MIB2 },
		{ PAGE, LEN - PAGE }, { LEN - PAGE, PAGE }, { 3 * MIB2, MIB2 },
	};
	struct p2p_vfio_window win;
	char *raw;

	begin();
	H_EQ(dev_window_set(&d, bar, AT, LEN, 0, &win), 0);
	raw = dev_map_raw(&d, bar, AT, LEN);
	H_CHECK(raw);
	pattern_fill(raw, LEN, 9, 0);
	for (size_t i = 0; i < sizeof(part) / sizeof(*part); i++) {
		/* Congruent to the offset, and not. */
		for (size_t skew = part[i].at % MIB2; skew < 3 * MIB2; skew += MIB2 + PAGE) {
			char *map = dev_map_skewed(&d, win.mmap_offset + part[i].at, part[i].length, skew % MIB2);

			H_CHECK(map);
			H_EQ(pattern_differs(map, part[i].length, 9, part[i].at / 8), -1);
			dev_unmap(&d, map);
		}
	}
	end();
}

static sigjmp_buf caught;

static void on_signal(int sig)
{
	siglongjmp(caught, sig);
}

/* The signal that a write to the address raises, or 0. */
static int write_raises(volatile char *at)
{
	int sig;

	signal(SIGSEGV, on_signal);
	signal(SIGBUS, on_signal);
	sig = sigsetjmp(caught, 1);
	if (!sig)
		*at = 1;
	return sig;
}

static void read_only_map(void)
{
	int disk = open(h_disk("raw"), O_RDWR | O_DIRECT);
	struct p2p_vfio_window win;
	char *map;

	begin();
	H_EQ(dev_window_set(&d, bar, AT, LEN, 0, &win), 0);
	map = dev_map(&d, win.mmap_offset, LEN);
	H_CHECK(map);
	H_EQ(mprotect(map, LEN, PROT_READ), 0);
	H_EQ(write_raises(map), SIGSEGV);
	H_EQ(*(volatile char *)map & 0, 0);
	H_EQ(write_raises(map), SIGSEGV);
	/* To read the file is to write the memory. */
	H_ERRNO(pread(disk, map, PAGE, 0), EFAULT);
	H_EQ(pwrite(disk, map, PAGE, 0), PAGE);
	H_EQ(mprotect(map, LEN, PROT_READ | PROT_WRITE), 0);
	H_EQ(write_raises(map), 0);
	H_EQ(pread(disk, map, PAGE, 0), PAGE);
	end();
}

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
	struct p2p_vfio_state s;
	char *map;

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
	{ "all views lead to the same bytes", same_bytes },
	{ "every width of access is itself in every view", every_width },
	{ "no view is cached by the CPU", not_cached },
	{ "one request may use both page-backed views", both_in_one_request },
	{ "a reset takes both views away, and they come back", reset_takes_both },
	{ "the raw view is no buffer for direct I/O", raw_is_raw },
	{ "registering a window again gives the same one", same_window_again },
	{ "windows are enumerated without holes", enumeration },
	{ "a window survives the close of its device", survives_close },
	{ "a window that breaks a rule is refused with the errno for it", refused_windows },
	{ "a call that breaks a rule is refused", refused_calls },
	{ "a mapping that breaks a rule is refused", refused_maps },
	{ "a mapping cannot grow", cannot_grow },
	{ "parts of a window show their own bytes", parts },
	{ "a read-only mapping can be written from, not into", read_only_map },
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
