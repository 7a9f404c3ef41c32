/* SPDX-License-Identifier: MIT */
/*
 * fuzz.h - what the fuzzers of the parsers share
 *
 * A fuzzer is a function of bytes, LLVMFuzzerTestOneInput().  libFuzzer calls it
 * with inputs of its own (tests/fuzz/run), replay.c with those of the corpus (the
 * unit tests).  It fails by aborting: a rule that does not hold, or a sanitizer.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HOLDS(rule) \
	do { \
		if (!(rule)) { \
			fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #rule); \
			abort(); \
		} \
	} while (0)

/* The input, taken in pieces; what is missing is 0, or empty. */
struct input {
	const uint8_t *data;
	size_t size;
};

static inline uint64_t take(struct input *in, size_t bytes)
{
	uint64_t value = 0;

	if (bytes > in->size)
		bytes = in->size;
	memcpy(&value, in->data, bytes);
	in->data += bytes;
	in->size -= bytes;
	return value;
}

/* A number: of eight bytes, or around a power of two, which is where rules end. */
static inline uint64_t take_number(struct input *in)
{
	uint64_t kind = take(in, 1), bit = kind & 63;

	switch (kind >> 6) {
	case 0: return take(in, 8);
	case 1: return (UINT64_C(1) << bit) + take(in, 1) - 128;
	case 2: return take(in, 1) << 21;
	}
	return bit;
}

/* Up to the next 0xff, or the end: a new string, without zeros inside. */
static inline char *take_string(struct input *in)
{
	const uint8_t *end = in->size ? memchr(in->data, 0xff, in->size) : NULL;
	size_t length = end ? (size_t)(end - in->data) : in->size;
	char *string = malloc(length + 1);

	if (length)
		memcpy(string, in->data, length);
	string[length] = '\0';
	in->data += length + !!end;
	in->size -= length + !!end;
	return string;
}

#endif /* FUZZ_H */
