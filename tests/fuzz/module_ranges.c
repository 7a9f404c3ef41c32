// SPDX-License-Identifier: MIT
/*
 * The driver's rules (module/ranges.c), against the same rules in 128 bits: there
 * nothing overflows, so they can be written down as they are meant.
 */
#include <errno.h>
#include <stdbool.h>

#include "fuzz.h"
#include "p2p_vfio.h"
#include "ranges.h"

__extension__ typedef unsigned __int128 wide;

#define TWO_MIB (UINT64_C(2) << 20)
#define TOP ((wide)1 << 64)

static struct p2p_range take_range(struct input *in)
{
	struct p2p_range range = { .start = take_number(in) };

	range.length = take_number(in);
	return range;
}

static wide end_of(const struct p2p_range *r)
{
	return (wide)r->start + r->length;
}

/* A range that leaves 64 bits overlaps all: better refused than wrapped. */
static bool overlap(const struct p2p_range *a, const struct p2p_range *b)
{
	if (!a->length || !b->length)
		return false;
	if (end_of(a) >= TOP || end_of(b) >= TOP)
		return true;
	return a->start < end_of(b) && b->start < end_of(a);
}

static bool breaks(const struct p2p_bar *bar, const struct p2p_range *r, bool wc, int err)
{
	switch (err) {
	case 0:
		return !(breaks(bar, r, wc, -ENXIO) || breaks(bar, r, wc, -EINVAL) ||
			 breaks(bar, r, wc, -ERANGE) || breaks(bar, r, wc, -EADDRINUSE) ||
			 breaks(bar, r, wc, -EOPNOTSUPP));
	case -ENXIO:
		return !bar->length || !bar->memory || !bar->mappable;
	case -EINVAL:
		return !r->length || r->start % TWO_MIB || r->length % TWO_MIB ||
		       bar->bus_start % TWO_MIB;
	case -ERANGE:
		return end_of(r) > bar->length || r->length > UINT64_C(1) << 40;
	case -EADDRINUSE:
		return overlap(r, &bar->msix[0]) || overlap(r, &bar->msix[1]);
	case -EOPNOTSUPP:
		return wc && !bar->prefetchable;
	}
	return false;
}

static void window(struct input *in)
{
	uint64_t bits = take(in, 1);
	struct p2p_bar bar = {
		.memory = bits & 1, .mappable = bits & 2, .prefetchable = bits & 4,
	};
	struct p2p_range range;
	const char *rule = NULL;
	int ret;

	bar.bus_start = take_number(in);
	bar.length = take_number(in);
	bar.msix[0] = take_range(in);
	bar.msix[1] = take_range(in);
	range = take_range(in);
	ret = p2p_window_rule(&bar, &range, bits & 8, &rule);
	HOLDS(breaks(&bar, &range, bits & 8, ret));
	HOLDS(!ret == !rule);
}

static void cookie(struct input *in)
{
	u64 position = take_number(in), offset = 7;
	uint32_t id = 7;
	bool wc = false;

	if (p2p_cookie_decode(position, &id, &wc, &offset)) {
		HOLDS(id < P2P_VFIO_MAX_WINDOWS);
		HOLDS(offset < UINT64_C(1) << 40);
		HOLDS(p2p_cookie(id, wc) + offset == position);
		HOLDS((int64_t)position > 0);
	} else {
		HOLDS(id == 7 && offset == 7);
	}
	id = take(in, 1) % P2P_VFIO_MAX_WINDOWS;
	wc = take(in, 1) & 1;
	position = p2p_cookie(id, wc);
	HOLDS(p2p_cookie_decode(position, &id, &wc, &offset) && !offset);
}

static void config(struct input *in)
{
	struct p2p_range regs[4], access;
	unsigned int nr = take(in, 1) % 5;
	bool wanted = false;

	for (unsigned int i = 0; i < nr; i++)
		regs[i] = take_range(in);
	access = take_range(in);
	for (unsigned int i = 0; i < nr; i++)
		wanted |= overlap(&access, &regs[i]);
	HOLDS(p2p_config_overlap(regs, nr, access.start, access.length) == wanted);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };

	switch (take(&in, 1) % 3) {
	case 0: window(&in); break;
	case 1: cookie(&in); break;
	default: config(&in);
	}
	return 0;
}
