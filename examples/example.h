/* SPDX-License-Identifier: MIT */
/* example.h - what each example needs and none is about */
#ifndef EXAMPLE_H
#define EXAMPLE_H

#include <stdio.h>
#include <stdlib.h>
#include <vfio-p2p.h>

/* Prints what failed, why and what to do, and ends the program. */
__attribute__((noreturn)) static inline void die(const struct vp2p_error *err)
{
	char text[VP2P_ERROR_TEXT];

	vp2p_error_format(err, text, sizeof(text));
	fprintf(stderr, "%s\n", text);
	exit(1);
}

/* A sum over bytes of a window (FNV-1a), read by the CPU: proof of what arrived. */
static inline uint64_t sum_of(const void *at, uint64_t length)
{
	const volatile uint8_t *byte = at;
	uint64_t sum = UINT64_C(0xcbf29ce484222325);

	for (uint64_t i = 0; i < length; i++)
		sum = (sum ^ byte[i]) * UINT64_C(0x100000001b3);
	return sum;
}

#endif /* EXAMPLE_H */
