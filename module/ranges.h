/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ranges.h - pure arithmetic: window rules, mmap cookies, config-space overlap
 *
 * No kernel object is touched here, so that the same file is built on the host
 * for its unit tests.
 */
#ifndef P2P_RANGES_H
#define P2P_RANGES_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>
typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
#endif

/** struct p2p_range - bytes [@start, @start + @length), from the start of a BAR */
struct p2p_range {
	u64 start;
	u64 length;
};

/**
 * struct p2p_bar - what the rules need to know of a BAR
 * @bus_start: CPU physical address of its first byte.
 * @length: bytes, 0 for a BAR that is absent.
 * @memory: a memory BAR, not I/O.
 * @mappable: VFIO allows mapping it.
 * @prefetchable: reads have no side effects, writes may be merged.
 * @msix: MSI-X table and pending bits where they lie in this BAR, else empty.
 */
struct p2p_bar {
	u64 bus_start;
	u64 length;
	bool memory;
	bool mappable;
	bool prefetchable;
	struct p2p_range msix[2];
};

bool p2p_range_end(const struct p2p_range *range, u64 *end);
bool p2p_ranges_overlap(const struct p2p_range *a, const struct p2p_range *b);

int p2p_window_rule(const struct p2p_bar *bar, const struct p2p_range *range,
		    bool wc, const char **rule);

u64 p2p_cookie(u32 id, bool wc);
bool p2p_cookie_decode(u64 position, u32 *id, bool *wc, u64 *offset);

/* Command, self test, power, and function level reset of both kinds. */
#define P2P_MAX_REGS 5

/**
 * struct p2p_caps - where a device's capabilities are in config space; 0: it has none
 * @pm: power management.
 * @express: PCI Express.
 * @af: advanced features, of conventional devices.
 */
struct p2p_caps {
	unsigned int pm;
	unsigned int express;
	unsigned int af;
};

unsigned int p2p_config_regs(const struct p2p_caps *caps, struct p2p_range regs[P2P_MAX_REGS]);
bool p2p_config_overlap(const struct p2p_range *regs, unsigned int nr,
			u64 position, u64 count);

#endif /* P2P_RANGES_H */
