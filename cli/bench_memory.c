/* SPDX-License-Identifier: MIT */
/* bench_memory.c - a buffer for each column, of pages as the column says */
#include "bench_memory.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "cli.h"
#include "report.h"
#include "sysfs.h"
#include "text.h"

#define PAGE UINT64_C(4096)
#define HUGE VP2P_GRANULE

static int fail_memory(const struct bench_memory *memory, int error)
{
	return fail_for(error, EXIT_FAILED, NULL, "get memory for the columns",
			text("%s for %s more", strerror(error),
			     text_size(memory->length)),
			"use smaller --sizes or --depths");
}

/* Bytes that /proc/meminfo calls available, UINT64_MAX if it does not say. */
static uint64_t available(void)
{
	const char *info = attribute_read(host_path("/proc/meminfo"));
	const char *at = info ? strstr(info, "MemAvailable:") : NULL;
	uint64_t kib;

	if (!at || sscanf(at, "MemAvailable: %" SCNu64, &kib) != 1)
		return UINT64_MAX;
	return kib << 10;
}

void memory_plan(struct bench_memory *memory, uint64_t wanted,
		 const bool columns[BENCH_COLUMNS])
{
	/* BOUNCE shares the memory of THP. */
	unsigned int buffers = (columns[BENCH_THP] || columns[BENCH_BOUNCE]) +
			       columns[BENCH_RAM4K];
	uint64_t room = vp2p_window_length(memory->win) - memory->window_offset;
	uint64_t ram = buffers ? available() / 2 / buffers / HUGE * HUGE :
				 UINT64_MAX;

	memory->length = (wanted + HUGE - 1) / HUGE * HUGE;
	memory->limit = "the window";
	if (room < memory->length)
		memory->length = room;
	if (ram >= memory->length)
		return;
	memory->length = ram;
	memory->limit = "half of the host's available memory";
}

/* Loads only: whoever drives the device may not want its memory changed. */
static void touch(const uint8_t *at, uint64_t length)
{
	const uint8_t *end = at + length;

	for (; at < end; at += PAGE)
		(void)*(const volatile uint8_t *)at;
}

/* Anonymous memory that begins at a multiple of 2 MiB. */
static uint8_t *map_ram(uint64_t length, int advice)
{
	uint8_t *room = mmap(NULL, length + HUGE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t slack;

	if (room == MAP_FAILED)
		return NULL;
	slack = -(uintptr_t)room % HUGE;
	if (slack)
		munmap(room, slack);
	munmap(room + slack + length, HUGE - slack);
	/* Without huge pages in the kernel there is nothing to forbid, either. */
	if (madvise(room + slack, length, advice) && errno != EINVAL)
		return NULL;
	memset(room + slack, 0x5a, length);
	return room + slack;
}

uint64_t memory_huge_bytes(const char *smaps, const void *address)
{
	const char *at = smaps;
	uint64_t kib;
	uintptr_t begin;

	for (; at; at = (at = strchr(at, '\n')) ? at + 1 : NULL)
		if (sscanf(at, "%" SCNxPTR "-", &begin) == 1 &&
		    begin == (uintptr_t)address && strchr("0123456789abcdef", *at))
			break;
	at = at ? strstr(at, "\nAnonHugePages:") : NULL;
	if (!at || sscanf(at, "\nAnonHugePages: %" SCNu64, &kib) != 1)
		return 0;
	return kib << 10;
}

static void describe_ram(const struct bench_memory *memory,
			 enum bench_column column, struct bench_mapping *mapping)
{
	const char *smaps = attribute_read("/proc/self/smaps");
	uint64_t huge = smaps ? memory_huge_bytes(smaps,
						  memory->buffer[column]) : 0;
	uint64_t wanted = column == BENCH_RAM4K ? 0 : memory->length;

	mapping->pages = huge == memory->length ? "2 MiB pages" :
			 huge ? "2 MiB and 4 KiB pages" : "4 KiB pages";
	if (huge != wanted)
		mapping->doubt = text("only %s of its %s are of %s (see "
				      "/sys/kernel/mm/transparent_hugepage/enabled)",
				      text_size(wanted ? huge :
						memory->length - huge),
				      text_size(memory->length),
				      wanted ? "2 MiB pages" : "4 KiB pages");
}

static int map_ram_column(struct bench_memory *memory, enum bench_column column,
			  struct bench_report *found)
{
	memory->buffer[column] = map_ram(memory->length,
					 column == BENCH_RAM4K ?
					 MADV_NOHUGEPAGE : MADV_HUGEPAGE);
	if (!memory->buffer[column])
		return fail_memory(memory, errno);
	describe_ram(memory, column, &found->mapping[column]);
	return EXIT_OK;
}

/*
 * At an address that is not congruent to the offset modulo 2 MiB no 2 MiB entry
 * fits.  The mapping is moved there before its first touch.
 */
static int move_off_boundary(struct bench_memory *memory, uint8_t **mapping)
{
	uint8_t *room = mmap(NULL, memory->length + 2 * HUGE, PROT_NONE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint8_t *to, *moved;
	uint64_t before, after;

	if (room == MAP_FAILED)
		return -errno;
	to = room + (-(uintptr_t)room % HUGE) + PAGE;
	moved = mremap(*mapping, memory->length, memory->length,
		       MREMAP_MAYMOVE | MREMAP_FIXED, to);
	before = (uint64_t)(to - room);
	after = memory->length + 2 * HUGE - before - memory->length;
	if (moved == MAP_FAILED) {
		int error = -errno;

		munmap(room, memory->length + 2 * HUGE);
		return error;
	}
	munmap(room, before);
	munmap(to + memory->length, after);
	*mapping = moved;
	return 0;
}

/* How the touched pages were mapped, from what the driver has counted. */
static void describe_window(const struct vp2p_state *before,
			    const struct vp2p_state *after,
			    enum bench_column column,
			    struct bench_mapping *mapping)
{
	uint64_t large = after->faults_pmd - before->faults_pmd;
	uint64_t small = after->faults_pte - before->faults_pte;

	mapping->pages = !small && large ? "2 MiB entries" :
			 !large && small ? "4 KiB entries" :
			 large ? "2 MiB and 4 KiB entries" :
				 "entries of unknown size";
	if (column == BENCH_P2P && (small || !large))
		mapping->doubt = "not all of it is mapped by 2 MiB entries";
	if (column == BENCH_P2P4K && (large || !small))
		mapping->doubt = "not all of it is mapped by 4 KiB entries";
}

static int touch_window(const struct bench_memory *memory,
			enum bench_column column, struct bench_report *found)
{
	struct vp2p_state before, after;
	struct vp2p_error err;

	if (vp2p_get_state(memory->dev, &before, &err))
		return report(&err);
	touch(memory->buffer[column], memory->length);
	if (vp2p_get_state(memory->dev, &after, &err))
		return report(&err);
	describe_window(&before, &after, column, &found->mapping[column]);
	return EXIT_OK;
}

static int map_window_column(struct bench_memory *memory,
			     enum bench_column column,
			     struct bench_report *found)
{
	struct vp2p_error err;
	void *mapping;
	uint8_t *buffer;
	int error;

	if (vp2p_map(memory->win, memory->window_offset, memory->length, 0,
		     &mapping, &err))
		return report(&err);
	buffer = mapping;
	error = column == BENCH_P2P4K ? move_off_boundary(memory, &buffer) : 0;
	if (error) {
		vp2p_unmap(mapping, memory->length, NULL);
		found->skipped[column] =
			text("the window cannot be moved to an address that has "
			     "it mapped by 4 KiB entries: %s", strerror(-error));
		return EXIT_OK;
	}
	memory->buffer[column] = buffer;
	return touch_window(memory, column, found);
}

/* The write-combining view where there is one: it is what copies like best. */
static int map_bar(struct bench_memory *memory, struct bench_report *found)
{
	unsigned int bar = vp2p_window_bar(memory->win);
	uint64_t offset = vp2p_window_offset(memory->win);
	struct vp2p_window *combining;
	struct vp2p_error err;
	void *mapping;
	int rc;

	found->conditions.view = "window, write-combining";
	rc = vp2p_window_lookup(memory->dev, bar, offset,
				vp2p_window_length(memory->win), VP2P_WINDOW_WC,
				&combining, &err);
	if (!rc) {
		rc = vp2p_map(combining, memory->window_offset, memory->length,
			      0, &mapping, &err);
		vp2p_window_destroy(combining);
	} else if (rc == -EOPNOTSUPP) {
		found->conditions.view = "BAR, uncached";
		rc = vp2p_map_bar(memory->dev, bar,
				  offset + memory->window_offset, memory->length,
				  &mapping, &err);
	}
	if (rc)
		return report(&err);
	memory->bar = mapping;
	touch(memory->bar, memory->length);
	return EXIT_OK;
}

static int map_bounce(struct bench_memory *memory, struct bench_report *found)
{
	int rc = EXIT_OK;

	if (!memory->buffer[BENCH_THP])
		rc = map_ram_column(memory, BENCH_THP, found);
	memory->buffer[BENCH_BOUNCE] = memory->buffer[BENCH_THP];
	found->mapping[BENCH_BOUNCE] = found->mapping[BENCH_THP];
	return rc ? rc : map_bar(memory, found);
}

int memory_map(struct bench_memory *memory, const bool wanted[BENCH_COLUMNS],
	       struct bench_report *found)
{
	enum bench_column column;
	int rc = EXIT_OK;

	for (column = 0; !rc && column < BENCH_COLUMNS; column++) {
		if (!wanted[column])
			found->skipped[column] = "not asked for (--columns)";
		else if (bench_column_is_p2p(column))
			rc = map_window_column(memory, column, found);
		else if (column == BENCH_BOUNCE)
			rc = map_bounce(memory, found);
		else
			rc = map_ram_column(memory, column, found);
	}
	return rc;
}

void memory_unmap(struct bench_memory *memory)
{
	enum bench_column column;

	for (column = 0; column < BENCH_COLUMNS; column++)
		if (memory->buffer[column] && column != BENCH_BOUNCE)
			munmap(memory->buffer[column], memory->length);
	if (memory->bar)
		munmap(memory->bar, memory->length);
}
