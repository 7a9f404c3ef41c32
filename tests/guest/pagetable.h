/* SPDX-License-Identifier: MIT */
/*
 * How the CPU maps an address, as the page tables themselves say.  The kernel
 * does not show it to user space; the host can read the machine's memory.
 */
#ifndef PAGETABLE_H
#define PAGETABLE_H

#include <stddef.h>
#include <stdint.h>

#define PT_PRESENT (1ull << 0)
#define PT_WRITE (1ull << 1)
#define PT_PWT (1ull << 3)
#define PT_PCD (1ull << 4)

/* What Linux makes of them: the PAT entries of WB, WC, UC- and UC. */
#define PT_CACHE (PT_PWT | PT_PCD)
#define PT_CACHE_WB 0
#define PT_CACHE_WC PT_PWT
#define PT_CACHE_UC_MINUS PT_PCD
#define PT_CACHE_UC (PT_PWT | PT_PCD)

/*
 * The entry that maps the address in this process, and the bytes it maps (4 KiB,
 * 2 MiB or 1 GiB).  0: nothing does, or the host did not answer.
 */
uint64_t pagetable_entry(const void *address, size_t *bytes);
/* Touches it, and fails the case unless it is mapped so: PT_CACHE_*, and that many bytes. */
void pagetable_caches(char *at, uint64_t want, size_t want_bytes);

#endif
