// SPDX-License-Identifier: MIT
/*
 * The driver's arithmetic: window rules, mmap cookies, config-space registers.
 *
 * Theory: module/ranges.c touches no kernel object, so it is compiled here as it
 * is.  Every rule is tried just inside and just outside its bound; overlap is
 * compared with a byte-by-byte definition over all small ranges; numbers near
 * 2^64 must neither wrap nor be undefined (UBSan watches).
 */
#include <errno.h>
#include <stdint.h>

#include "p2p_vfio.h"
#include "ranges.h"
#include "tap.h"

#define MIB (1ULL << 20)

static const struct p2p_bar good = {
	.bus_start = 0x4000000000, .length = 64 * MIB,
	.memory = true, .mappable = true, .prefetchable = true,
};

static int rule(const struct p2p_bar *bar, uint64_t start, uint64_t length, bool wc)
{
	const struct p2p_range range = { start, length };
	const char *text = "";
	int ret = p2p_window_rule(bar, &range, wc, &text);

	if (!!ret != !!*text)
		ok(0, "a refusal names its rule, and only a refusal does");
	return ret;
}

static void window_rules(void)
{
	struct p2p_bar bar = good;

	is_num(rule(&bar, 0, 64 * MIB, true), 0, "a whole BAR is a window");
	is_num(rule(&bar, 62 * MIB, 2 * MIB, false), 0, "and so is its last granule");
	is_num(rule(&bar, 64 * MIB, 2 * MIB, false), -ERANGE, "not the one after");
	is_num(rule(&bar, 62 * MIB, 4 * MIB, false), -ERANGE, "nor one that sticks out");
	is_num(rule(&bar, 0, 0, false), -EINVAL, "length 0");
	is_num(rule(&bar, 4096, 2 * MIB, false), -EINVAL, "misaligned offset");
	is_num(rule(&bar, 0, 2 * MIB + 4096, false), -EINVAL, "misaligned length");
	is_num(rule(&bar, -2 * MIB, 4 * MIB, false), -ERANGE, "an end beyond 64 bits");

	bar.length = 2ULL << 40;
	is_num(rule(&bar, 0, 1ULL << 40, false), 0, "1 TiB, all that a cookie can say");
	is_num(rule(&bar, 0, (1ULL << 40) + 2 * MIB, false), -ERANGE, "more than that");
	bar = good;
	bar.bus_start += 4096;
	is_num(rule(&bar, 0, 2 * MIB, false), -EINVAL, "misaligned BAR");
	bar = good;
	bar.prefetchable = false;
	is_num(rule(&bar, 0, 2 * MIB, true), -EOPNOTSUPP, "write-combining, not prefetchable");
	is_num(rule(&bar, 0, 2 * MIB, false), 0, "uncached, not prefetchable");
}

static void unusable_bars(void)
{
	struct p2p_bar bar = good;

	bar.memory = false;
	is_num(rule(&bar, 0, 2 * MIB, false), -ENXIO, "an I/O BAR");
	bar = good;
	bar.mappable = false;
	is_num(rule(&bar, 0, 2 * MIB, false), -ENXIO, "a BAR that cannot be mapped");
	bar = good;
	bar.length = 0;
	is_num(rule(&bar, 0, 2 * MIB, false), -ENXIO, "an absent BAR");
}

static void msix_rules(void)
{
	struct p2p_bar bar = good;

	bar.msix[0] = (struct p2p_range) { 4 * MIB, 16 };
	bar.msix[1] = (struct p2p_range) { 8 * MIB - 8, 8 };
	is_num(rule(&bar, 4 * MIB, 2 * MIB, false), -EADDRINUSE, "the MSI-X table inside");
	is_num(rule(&bar, 6 * MIB, 2 * MIB, false), -EADDRINUSE, "the pending bits inside");
	is_num(rule(&bar, 2 * MIB, 2 * MIB, false), 0, "just before the table");
	is_num(rule(&bar, 8 * MIB, 2 * MIB, false), 0, "just after the pending bits");
}

static bool overlap_by_bytes(const struct p2p_range *a, const struct p2p_range *b)
{
	for (uint64_t i = a->start; i < a->start + a->length; i++)
		if (i >= b->start && i < b->start + b->length)
			return true;
	return false;
}

static void overlap(void)
{
	const struct p2p_range top = { UINT64_MAX - 1, 4 }, low = { 0, 1 };
	int wrong = 0;

	for (unsigned int n = 0; n < 5 * 5 * 5 * 5; n++) {
		const struct p2p_range a = { n % 5, n / 5 % 5 };
		const struct p2p_range b = { n / 25 % 5, n / 125 };

		wrong += p2p_ranges_overlap(&a, &b) != overlap_by_bytes(&a, &b);
	}
	is_num(wrong, 0, "overlap agrees with its definition on all small ranges");
	ok(p2p_ranges_overlap(&top, &low), "a range that wraps overlaps everything");
}

static void cookies(void)
{
	int wrong = 0;
	u64 offset;
	uint32_t id;
	bool wc;

	for (unsigned int n = 0; n < 2 * P2P_VFIO_MAX_WINDOWS; n++) {
		uint64_t cookie = p2p_cookie(n / 2, n & 1) + 12345 * 4096ULL;

		wrong += !p2p_cookie_decode(cookie, &id, &wc, &offset) ||
			 id != n / 2 || wc != (n & 1) || offset != 12345 * 4096ULL;
	}
	is_num(wrong, 0, "every cookie decodes to what it was made from");
	ok((int64_t)p2p_cookie(P2P_VFIO_MAX_WINDOWS - 1, true) > 0,
	   "the largest is a file offset");
	ok(!p2p_cookie_decode(p2p_cookie(0, false) - 1, &id, &wc, &offset) &&
	   !p2p_cookie_decode(p2p_cookie(P2P_VFIO_MAX_WINDOWS, false), &id, &wc, &offset) &&
	   !p2p_cookie_decode(0, &id, &wc, &offset),
	   "what lies beside them is no cookie");
}

static void config_overlap(void)
{
	const struct p2p_range regs[] = { { 4, 2 }, { 0x84, 2 } };

	ok(p2p_config_overlap(regs, 2, 4, 2), "the register itself");
	ok(p2p_config_overlap(regs, 2, 5, 1), "its second byte");
	ok(p2p_config_overlap(regs, 2, 3, 2), "an access that ends in it");
	ok(p2p_config_overlap(regs, 2, 0, 4096), "an access around it");
	ok(p2p_config_overlap(regs, 2, 0x85, 1), "the last register's last byte");
	ok(p2p_config_overlap(regs, 2, 5, UINT64_MAX), "an access that wraps");
	ok(!p2p_config_overlap(regs, 2, 0, 4), "not the bytes before");
	ok(!p2p_config_overlap(regs, 2, 6, 0x7e), "nor those between");
	ok(!p2p_config_overlap(regs, 2, 4, 0), "nor an access of nothing");
}

static bool is_dangerous(const struct p2p_caps *caps, uint64_t at)
{
	struct p2p_range regs[P2P_MAX_REGS];

	return p2p_config_overlap(regs, p2p_config_regs(caps, regs), at, 1);
}

/* Bytes of config space, by the specification: nothing else must be in the set. */
static void config_regs(void)
{
	const struct p2p_caps none = {}, all = { .pm = 0x40, .express = 0x60, .af = 0xb0 };
	struct p2p_range regs[P2P_MAX_REGS];
	unsigned int more = 0, at;

	ok(is_dangerous(&none, 0x04), "memory enable, in the low byte of the command register");
	ok(is_dangerous(&none, 0x0f), "self test");
	is_num(p2p_config_regs(&none, regs), 2, "no more where there is no capability");
	ok(is_dangerous(&all, 0x44), "power state: byte 4 of power management");
	ok(is_dangerous(&all, 0x68) && is_dangerous(&all, 0x69),
	   "function level reset: bit 15 of byte 8 of PCI Express");
	ok(is_dangerous(&all, 0xb4), "function level reset of a conventional device: byte 4 of AF");
	for (at = 0; at < 4096; at++)
		more += is_dangerous(&all, at);
	is_num(more, 6, "and that is all: header, capability list and status of AF are not");
}

int main(void)
{
	window_rules();
	unusable_bars();
	msix_rules();
	overlap();
	cookies();
	config_overlap();
	config_regs();
	return TAP_DONE();
}
