// SPDX-License-Identifier: MIT
/*
 * The views of a BAR beside each other, and the rules of mapping them.
 *
 * Theory of operation.  A BAR has three views: its ordinary mapping (raw page
 * frames), and of each window an uncached and, where the BAR is prefetchable,
 * a write-combining one (both page-backed).  They lead to the same bytes, so
 * whatever is written through one is looked for through the others.  What no
 * byte tells, how the CPU caches a view, is read from the page tables by the
 * host.  The rules are tried one by one, each by a call that breaks it alone.
 *
 * Guards whose removal must make a case fail:
 *   the caching of the two views (mmap.c)	"no view is cached by the CPU"
 *   the zap of the write-combining cookie	"a reset takes both views away"
 *   the end-of-window check in mmap		"a mapping that breaks a rule"
 *   the MAP_SHARED check			"a mapping that breaks a rule"
 *   the offset of the mapping in its window	"parts of a window"
 *   VM_DONTEXPAND				"a mapping cannot grow"
 */
#define _GNU_SOURCE
#include "dev.h"
#include "harness.h"
#include "pagetable.h"
#include "pattern.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
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

static void not_cached(void)
{
	struct p2p_vfio_window win;
	char *small;

	begin();
	map_views();
	pagetable_caches(view[UC], PT_CACHE_UC_MINUS, dev_folio());
	if (dev_prefetchable(&d, bar))
		pagetable_caches(view[WC] + MIB2, PT_CACHE_WC, dev_folio());
	/* A change of protection must not lose it. */
	H_EQ(mprotect(view[UC], LEN, PROT_READ), 0);
	H_EQ(mprotect(view[UC], LEN, PROT_READ | PROT_WRITE), 0);
	pagetable_caches(view[UC] + 2 * MIB2, PT_CACHE_UC_MINUS, dev_folio());
	/* And as 4 KiB entries. */
	H_EQ(dev_window_get(&d, 0, 0, &win), 0);
	small = dev_map_skewed(&d, win.mmap_offset, 2 * PAGE, PAGE);
	H_CHECK(small);
	pagetable_caches(small + PAGE, PT_CACHE_UC_MINUS, PAGE);
	if (dev_prefetchable(&d, bar)) {
		small = dev_map_skewed(&d, win.mmap_offset + COOKIE_WC, 2 * PAGE, PAGE);
		H_CHECK(small);
		pagetable_caches(small + PAGE, PT_CACHE_WC, PAGE);
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
	const char *kind = dev_has_pmd() ? "faults_pmd" : "faults_pte";
	long long before, views;

	begin();
	map_views();
	views = view[UC] == view[WC] ? 1 : 2;
	for (int round = 0; round < 3; round++) {
		before = dev_count("target", kind);
		touch_both();
		H_EQ(dev_count("target", kind) - before, views * LEN / MIB2);
		H_EQ(dev_count("target", "touched_folios"), LEN / MIB2);	/* touched once each */
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
	{ "a mapping that breaks a rule is refused", refused_maps },
	{ "a mapping cannot grow", cannot_grow },
	{ "parts of a window show their own bytes", parts },
	{ "a read-only mapping can be written from, not into", read_only_map },
	{ "unbinding ends at once", unbind },
	{ }
};

int main(int argc, char **argv)
{
	dev_bind("target", DEV_P2P);
	/* What is left behind shows soon. */
	dev_param("drain_timeout_ms", "3000");
	return h_main(argc, argv, cases);
}
