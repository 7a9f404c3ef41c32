// SPDX-License-Identifier: GPL-2.0-only
/*
 * ranges.c - pure arithmetic: window rules, mmap cookies, config-space registers
 */
#ifdef __KERNEL__
#include <linux/errno.h>
#include <linux/overflow.h>
#include <linux/vfio_pci_core.h>
#else
#include <errno.h>
#define check_add_overflow(a, b, d) __builtin_add_overflow(a, b, d)
#define VFIO_PCI_OFFSET_SHIFT 40
#endif
#include <linux/pci_regs.h>

#include "p2p_vfio.h"
#include "ranges.h"

/*
 * A file offset on a VFIO device is (region index << 40) | offset.  vfio-pci
 * numbers its regions from 0 upwards; windows take the top of what a positive
 * loff_t can express, two indices each, so that neither can grow into the other.
 */
#define P2P_COOKIE_INDEX	0x7f0000ULL
#define P2P_COOKIE_LAST		(P2P_COOKIE_INDEX + 2 * P2P_VFIO_MAX_WINDOWS - 1)
#define P2P_COOKIE_OFFSET_MASK	((1ULL << VFIO_PCI_OFFSET_SHIFT) - 1)

/**
 * p2p_range_end - the byte after a range
 * @range: the range.
 * @end: set to it, undefined on failure.
 *
 * Return: false if it does not fit 64 bits.
 */
bool p2p_range_end(const struct p2p_range *range, u64 *end)
{
	return !check_add_overflow(range->start, range->length, end);
}

/**
 * p2p_ranges_overlap - have two ranges a byte in common?
 * @a: a range.
 * @b: another.
 *
 * Return: true if they do, or if one of them ends beyond 64 bits.
 */
bool p2p_ranges_overlap(const struct p2p_range *a, const struct p2p_range *b)
{
	u64 a_end, b_end;

	if (!a->length || !b->length)
		return false;
	if (!p2p_range_end(a, &a_end) || !p2p_range_end(b, &b_end))
		return true;
	return a->start < b_end && b->start < a_end;
}

static bool p2p_granular(u64 value)
{
	return !(value & (P2P_VFIO_GRANULE - 1));
}

static int p2p_refuse(int errno_, const char *text, const char **rule)
{
	*rule = text;
	return -errno_;
}

/**
 * p2p_window_rule - may this range of this BAR become a window?
 * @bar: the BAR.
 * @range: the range, from the start of the BAR.
 * @wc: write-combining is asked for.
 * @rule: on refusal the rule that was broken, in words.
 *
 * The 2 MiB rule is memory hotplug's: struct pages come in sub-sections of that
 * size, and a PMD maps as much.
 *
 * Return: 0, or the errno that <p2p_vfio.h> documents for WINDOW.
 */
int p2p_window_rule(const struct p2p_bar *bar, const struct p2p_range *range,
		    bool wc, const char **rule)
{
	u64 end;
	int i;

	if (!bar->length || !bar->memory || !bar->mappable)
		return p2p_refuse(ENXIO, "is not a memory BAR that can be mapped", rule);
	if (!range->length)
		return p2p_refuse(EINVAL, "length is 0", rule);
	if (!p2p_granular(range->start) || !p2p_granular(range->length))
		return p2p_refuse(EINVAL, "offset and length must be multiples of 2 MiB", rule);
	if (!p2p_granular(bar->bus_start))
		return p2p_refuse(EINVAL, "the BAR does not start at a multiple of 2 MiB", rule);
	if (!p2p_range_end(range, &end) || end > bar->length)
		return p2p_refuse(ERANGE, "ends beyond the BAR", rule);
	if (range->length > P2P_COOKIE_OFFSET_MASK + 1)
		return p2p_refuse(ERANGE, "is larger than 1 TiB, use several windows", rule);
	for (i = 0; i < 2; i++)
		if (p2p_ranges_overlap(range, &bar->msix[i]))
			return p2p_refuse(EADDRINUSE,
					  "overlaps the MSI-X table or pending bits", rule);
	if (wc && !bar->prefetchable)
		return p2p_refuse(EOPNOTSUPP,
				  "write-combining needs a prefetchable BAR", rule);
	return 0;
}

/**
 * p2p_cookie - the mmap offset of a window
 * @id: the window's number.
 * @wc: of its write-combining view.
 */
u64 p2p_cookie(u32 id, bool wc)
{
	return (P2P_COOKIE_INDEX + 2 * id + wc) << VFIO_PCI_OFFSET_SHIFT;
}

/**
 * p2p_cookie_decode - what does a file offset point at?
 * @position: the file offset, bytes.
 * @id: set to the window's number.
 * @wc: set if it is the write-combining view.
 * @offset: set to the offset in the window, bytes.
 *
 * Return: false if it is not in the windows' range at all; then nothing is set.
 */
bool p2p_cookie_decode(u64 position, u32 *id, bool *wc, u64 *offset)
{
	u64 index = position >> VFIO_PCI_OFFSET_SHIFT;

	if (index < P2P_COOKIE_INDEX || index > P2P_COOKIE_LAST)
		return false;

	*id = (index - P2P_COOKIE_INDEX) / 2;
	*wc = (index - P2P_COOKIE_INDEX) & 1;
	*offset = position & P2P_COOKIE_OFFSET_MASK;
	return true;
}

/* Where the dangerous registers are, and how many bytes hold their bits. */
struct p2p_reg_list {
	struct p2p_range *regs;
	unsigned int nr;
};

static void p2p_add_reg(struct p2p_reg_list *list, unsigned int start,
			unsigned int length)
{
	list->regs[list->nr++] = (struct p2p_range) {
		.start = start,
		.length = length,
	};
}

/**
 * p2p_config_regs - the dangerous config-space registers
 * @caps: of the device.
 * @regs: set.
 *
 * Memory enable, self test, power state, function level reset of both kinds: the
 * bytes that hold these bits.
 *
 * Return: how many.
 */
unsigned int p2p_config_regs(const struct p2p_caps *caps,
			     struct p2p_range regs[P2P_MAX_REGS])
{
	struct p2p_reg_list list = { .regs = regs };

	p2p_add_reg(&list, PCI_COMMAND, 1);
	p2p_add_reg(&list, PCI_BIST, 1);
	if (caps->pm)
		p2p_add_reg(&list, caps->pm + PCI_PM_CTRL, 1);
	if (caps->express)
		p2p_add_reg(&list, caps->express + PCI_EXP_DEVCTL, 2);
	if (caps->af)
		p2p_add_reg(&list, caps->af + PCI_AF_CTRL, 1);
	return list.nr;
}

/**
 * p2p_config_overlap - does a config-space access touch one of some registers?
 * @regs: the registers.
 * @nr: how many.
 * @position: first byte of the access.
 * @count: its length; any value is fine, it comes from user space.
 */
bool p2p_config_overlap(const struct p2p_range *regs, unsigned int nr,
			u64 position, u64 count)
{
	const struct p2p_range access = { .start = position, .length = count };
	unsigned int i;

	for (i = 0; i < nr; i++)
		if (p2p_ranges_overlap(&access, &regs[i]))
			return true;
	return false;
}
