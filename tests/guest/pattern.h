/* SPDX-License-Identifier: MIT */
/*
 * Data that tells where it belongs: word i of stream s is like no other word of
 * no other stream, so that a block in the wrong place, an old block and a
 * block of another transfer all show.
 */
#ifndef PATTERN_H
#define PATTERN_H

#include <stddef.h>
#include <stdint.h>

/* One-to-one in (stream, index) as long as the index fits 40 bits. */
static inline uint64_t pattern_word(uint32_t stream, uint64_t index)
{
	uint64_t x = ((uint64_t)stream << 40 | index) * 0x9e3779b97f4a7c15ull;

	return x ^ x >> 29;
}

/* first: the index of the first word; bytes: a multiple of 8. */
static inline void pattern_fill(void *at, size_t bytes, uint32_t stream, uint64_t first)
{
	volatile uint64_t *word = at;

	for (size_t i = 0; i < bytes / 8; i++)
		word[i] = pattern_word(stream, first + i);
}

/* The offset of the first wrong byte, or -1. */
static inline long pattern_differs(const void *at, size_t bytes, uint32_t stream, uint64_t first)
{
	const volatile uint64_t *word = at;

	for (size_t i = 0; i < bytes / 8; i++)
		if (word[i] != pattern_word(stream, first + i))
			return i * 8;
	return -1;
}

/* Of device memory and a copy of what it should hold: the first wrong byte, or -1. */
static inline long pattern_compare(const void *device, const void *copy, size_t bytes)
{
	const volatile uint64_t *a = device;
	const uint64_t *b = copy;

	for (size_t i = 0; i < bytes / 8; i++)
		if (a[i] != b[i])
			return i * 8;
	return -1;
}

#endif
