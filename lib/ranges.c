// SPDX-License-Identifier: MIT
/*
 * ranges.c - arithmetic of offsets and alignments
 *
 * Pure functions.  An alignment need not be a power of two, since file systems
 * choose it; a granule is one.
 */
#include "internal.h"

bool vp2p__aligned(uint64_t value, uint64_t align)
{
	return value % align == 0;
}

uint64_t vp2p__round_down(uint64_t value, uint64_t align)
{
	return value - value % align;
}

uint64_t vp2p__round_up(uint64_t value, uint64_t align)
{
	return vp2p__aligned(value, align) ? value :
		vp2p__round_down(value, align) + align;
}

bool vp2p__within(uint64_t offset, uint64_t length, uint64_t limit)
{
	return offset <= limit && length <= limit - offset;
}

bool vp2p__overlap(uint64_t a, uint64_t a_len, uint64_t b, uint64_t b_len)
{
	return a < b ? b - a < a_len : a - b < b_len;
}

uintptr_t vp2p__congruent(uintptr_t base, uint64_t phase, uint64_t granule)
{
	return base + (phase - base) % granule;
}
