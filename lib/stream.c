// SPDX-License-Identifier: MIT
/*
 * stream.c - copies between host RAM and device memory as fast as the CPU can
 *
 * What a program without peer-to-peer DMA would use at its best: stores that go
 * past the caches, and loads that fetch whole lines of write-combining memory.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "stream.h"
#include "vfio-p2p.h"

/* Whole lines fill a write-combining buffer, which then leaves at once. */
#define LINE 64

/*
 * The ends of a range that is not made of lines.  Device memory is accessed as
 * the caller of these loops sees it: no memcpy(), which may touch bytes twice.
 */
static void store_bytes(volatile uint8_t *device, const uint8_t *ram,
			size_t size)
{
	for (; size; size--)
		*device++ = *ram++;
}

static void load_bytes(uint8_t *ram, const volatile uint8_t *device,
		       size_t size)
{
	for (; size; size--)
		*ram++ = *device++;
}

/* How many bytes there are before the first whole line; all, if there is none. */
static size_t head_of(const void *device, size_t size)
{
	size_t head = -(uintptr_t)device % LINE;

	return head < size ? head : size;
}

#ifdef __x86_64__
#include <immintrin.h>

__attribute__((target("avx2")))
static void lines_to_avx2(uint8_t *device, const uint8_t *ram, size_t lines)
{
	for (; lines; lines--, device += LINE, ram += LINE) {
		__m256i a = _mm256_loadu_si256((const __m256i *)ram);
		__m256i b = _mm256_loadu_si256((const __m256i *)(ram + 32));

		_mm256_stream_si256((__m256i *)device, a);
		_mm256_stream_si256((__m256i *)(device + 32), b);
	}
}

__attribute__((target("avx2")))
static void lines_from_avx2(uint8_t *ram, const uint8_t *device, size_t lines)
{
	for (; lines; lines--, device += LINE, ram += LINE) {
		__m256i a = _mm256_stream_load_si256((const __m256i *)device);
		__m256i b = _mm256_stream_load_si256((const __m256i *)(device +
								       32));

		_mm256_storeu_si256((__m256i *)ram, a);
		_mm256_storeu_si256((__m256i *)(ram + 32), b);
	}
}

static void lines_to_sse2(uint8_t *device, const uint8_t *ram, size_t lines)
{
	for (lines *= LINE / 16; lines; lines--, device += 16, ram += 16)
		_mm_stream_si128((__m128i *)device,
				 _mm_loadu_si128((const __m128i *)ram));
}

__attribute__((target("sse4.1")))
static void lines_from_sse41(uint8_t *ram, const uint8_t *device, size_t lines)
{
	for (lines *= LINE / 16; lines; lines--, device += 16, ram += 16)
		_mm_storeu_si128((__m128i *)ram,
				 _mm_stream_load_si128((__m128i *)device));
}

static void lines_from_sse2(uint8_t *ram, const uint8_t *device, size_t lines)
{
	for (lines *= LINE / 16; lines; lines--, device += 16, ram += 16)
		_mm_storeu_si128((__m128i *)ram,
				 _mm_load_si128((const __m128i *)device));
}

/* Streaming stores are ordered with nothing else. */
static void stores_done(void)
{
	_mm_sfence();
}

/* No streaming load may have been made before what came before. */
static void loads_begin(void)
{
	_mm_mfence();
}
#else
static void stores_done(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static void loads_begin(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}
#endif

/* Any CPU: words of 8 bytes, of which the device side is aligned. */
static void lines_to_words(uint8_t *device, const uint8_t *ram, size_t lines)
{
	for (lines *= LINE / 8; lines; lines--, device += 8, ram += 8) {
		uint64_t word;

		memcpy(&word, ram, 8);
		*(volatile uint64_t *)device = word;
	}
}

static void lines_from_words(uint8_t *ram, const uint8_t *device, size_t lines)
{
	for (lines *= LINE / 8; lines; lines--, device += 8, ram += 8) {
		uint64_t word = *(const volatile uint64_t *)device;

		memcpy(ram, &word, 8);
	}
}

typedef void lines_fn(uint8_t *to, const uint8_t *from, size_t lines);

static void copy_to(uint8_t *device, const uint8_t *ram, size_t size,
		    lines_fn *copy_lines)
{
	size_t head = head_of(device, size);
	size_t lines = (size - head) / LINE;
	size_t done = head + lines * LINE;

	store_bytes(device, ram, head);
	copy_lines(device + head, ram + head, lines);
	store_bytes(device + done, ram + done, size - done);
	stores_done();
}

static void copy_from(uint8_t *ram, const uint8_t *device, size_t size,
		      lines_fn *copy_lines)
{
	size_t head = head_of(device, size);
	size_t lines = (size - head) / LINE;
	size_t done = head + lines * LINE;

	loads_begin();
	load_bytes(ram, device, head);
	copy_lines(ram + head, device + head, lines);
	load_bytes(ram + done, device + done, size - done);
}

static void to_words(void *device, const void *ram, size_t size)
{
	copy_to(device, ram, size, lines_to_words);
}

static void from_words(void *ram, const void *device, size_t size)
{
	copy_from(ram, device, size, lines_from_words);
}

static bool always(void)
{
	return true;
}

#ifdef __x86_64__
static void to_avx2(void *device, const void *ram, size_t size)
{
	copy_to(device, ram, size, lines_to_avx2);
}

static void from_avx2(void *ram, const void *device, size_t size)
{
	copy_from(ram, device, size, lines_from_avx2);
}

static void to_sse2(void *device, const void *ram, size_t size)
{
	copy_to(device, ram, size, lines_to_sse2);
}

static void from_sse41(void *ram, const void *device, size_t size)
{
	copy_from(ram, device, size, lines_from_sse41);
}

static void from_sse2(void *ram, const void *device, size_t size)
{
	copy_from(ram, device, size, lines_from_sse2);
}

static bool have_avx2(void)
{
	return __builtin_cpu_supports("avx2");
}

static bool have_sse41(void)
{
	return __builtin_cpu_supports("sse4.1");
}

#endif

static const struct vp2p__stream table[] = {
#ifdef __x86_64__
	{ "AVX2", have_avx2, to_avx2, from_avx2 },
	{ "SSE4.1", have_sse41, to_sse2, from_sse41 },
	{ "SSE2", always, to_sse2, from_sse2 },
#endif
	{ "words", always, to_words, from_words },
};

const struct vp2p__stream *vp2p__stream_at(unsigned int index)
{
	return index < sizeof(table) / sizeof(table[0]) ? &table[index] : NULL;
}

static const struct vp2p__stream *best(void)
{
	const struct vp2p__stream *stream = table;

	while (!stream->supported())
		stream++;
	return stream;
}

void vp2p_stream_to_device(void *device, const void *ram, size_t size)
{
	best()->to_device(device, ram, size);
}

void vp2p_stream_from_device(void *ram, const void *device, size_t size)
{
	best()->from_device(ram, device, size);
}

const char *vp2p_stream_name(void)
{
	return best()->name;
}
