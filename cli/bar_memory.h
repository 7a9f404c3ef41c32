/* SPDX-License-Identifier: MIT */
/* bar_memory.h - loads and stores of device memory, by the CPU */
#ifndef BAR_MEMORY_H
#define BAR_MEMORY_H

#include <stddef.h>
#include <stdint.h>

/**
 * bar_load() - out of a mapping of a BAR
 *
 * Loads of 8 bytes, aligned: memcpy() may choose others, which some devices'
 * memory does not answer rightly.
 */
void bar_load(uint8_t *to, volatile const uint8_t *from, size_t size);

/** bar_store() - into a mapping of a BAR, likewise; @to and @size in eights. */
void bar_store(volatile uint8_t *to, const uint8_t *from, size_t size);

/**
 * bar_guarded() - call @work, which touches device memory
 *
 * Return: what @work returned, or -EIO if a bus error ended it: the device went
 * away.
 */
int bar_guarded(int (*work)(void *arg), void *arg);

#endif /* BAR_MEMORY_H */
