// SPDX-License-Identifier: MIT
/* options.c - io_uring's options and ours, in one table */
#include "engine.h"
#include "verify.h"

#define AT(field) .off1 = offsetof(struct options, field)
#define ENGINE .category = FIO_OPT_C_ENGINE, .group = FIO_OPT_G_INVALID

static const struct fio_option ours[] = {
	{
		.name = "device", .lname = "PCI address", .type = FIO_OPT_STR_STORE,
		AT(device), ENGINE,
		.help = "PCI address of the device with the window, as in 0000:03:00.0; bound "
			"to p2p-vfio-pci (required)",
	},
	{
		.name = "bar", .lname = "BAR", .type = FIO_OPT_STR, AT(bar), ENGINE,
		.help = "BAR with the window",
		.def = "any",
		.posval = {
			{ .ival = "any", .oval = 0, .help = "That of the device's first window" },
			{ .ival = "0", .oval = 1, .help = "BAR 0" },
			{ .ival = "1", .oval = 2, .help = "BAR 1" },
			{ .ival = "2", .oval = 3, .help = "BAR 2" },
			{ .ival = "3", .oval = 4, .help = "BAR 3" },
			{ .ival = "4", .oval = 5, .help = "BAR 4" },
			{ .ival = "5", .oval = 6, .help = "BAR 5" },
		},
	},
	{
		.name = "window_offset", .lname = "First byte", .type = FIO_OPT_STR_VAL,
		AT(window_offset), ENGINE,
		.help = "Where buffers may begin, in bytes from the start of the BAR; without "
			"it and window_size anywhere in the first window that bar= has",
		.def = "0",
	},
	{
		.name = "window_size", .lname = "Bytes", .type = FIO_OPT_STR_VAL,
		AT(window_size), ENGINE,
		.help = "How many bytes from window_offset on buffers may use, 0 for all up to "
			"the window's end; jobs share them without overlapping",
		.def = "0",
	},
	{
		.name = "region_align", .lname = "Alignment of buffers",
		.type = FIO_OPT_STR_VAL, AT(region_align), ENGINE,
		.help = "Each job's buffers begin at a multiple of it, a power of 2 from 4k; "
			"2m keeps jobs out of each other's 2 MiB pages, 4k packs them",
		.def = "2m",
	},
	{
		.name = "populate", .lname = "Fault in beforehand", .type = FIO_OPT_BOOL,
		AT(populate), ENGINE,
		.help = "Make the page-table entries before the job starts, so that no request "
			"pays for a page fault",
		.def = "1",
	},
	{
		.name = "write_combining", .lname = "Write-combining", .type = FIO_OPT_BOOL,
		AT(write_combining), ENGINE,
		.help = "Map the window write-combining for the CPU, which fills buffers; DMA "
			"does not care.  Prefetchable BARs only",
		.def = "0",
	},
	{
		.name = "on_reset", .lname = "When a reset cuts a request",
		.type = FIO_OPT_STR, AT(on_reset), ENGINE,
		.help = "What becomes of a request that fails because the window is revoked",
		.def = "fail",
		.posval = {
			{ .ival = "fail", .oval = ON_RESET_FAIL,
			  .help = "Report it as an error (EFAULT)" },
			{ .ival = "wait", .oval = ON_RESET_WAIT,
			  .help = "Wait until the device is back, send it again, and count it; "
				  "its latency includes the wait" },
		},
	},
	{
		.name = "reset_timeout", .lname = "Longest wait for a reset",
		.type = FIO_OPT_STR_VAL_TIME, AT(reset_timeout), ENGINE,
		.is_seconds = 1,
		.help = "on_reset=wait: the longest wait for one reset, in seconds",
		.def = "60",
	},
	{
		.name = "memory_kept", .lname = "Memory outlives resets",
		.type = FIO_OPT_BOOL, AT(memory_kept), ENGINE,
		.help = "The device's memory keeps its contents across resets: allows "
			"on_reset=wait together with verify",
		.def = "0",
	},
	{ .name = NULL },
};

#define OURS (sizeof(ours) / sizeof(ours[0]))

/* Where ours begin in td->eo. */
static size_t base;
/* Where io_uring has fixedbufs, 0 if it has not. */
static unsigned int fixedbufs;

struct fio_option *options_build(const struct ioengine_ops *inner, int *struct_size)
{
	struct fio_option *table;
	size_t theirs = 0;
	size_t i;

	while (inner->options && inner->options[theirs].name)
		theirs++;
	table = calloc(theirs + OURS, sizeof(*table));
	if (!table)
		return NULL;
	base = ((size_t)inner->option_struct_size + 15) & ~(size_t)15;
	for (i = 0; i < theirs; i++) {
		table[i] = inner->options[i];
		if (!strcmp(table[i].name, "fixedbufs"))
			fixedbufs = table[i].off1;
	}
	for (i = 0; i < OURS; i++) {
		table[theirs + i] = ours[i];
		table[theirs + i].off1 += base;
	}
	*struct_size = (int)(base + sizeof(struct options));
	return table;
}

struct options *options_of(const struct thread_data *td)
{
	return td->eo ? (struct options *)((char *)td->eo + base) : NULL;
}

static bool pins_for_long(const struct thread_data *td)
{
	return fixedbufs && *(const unsigned int *)((const char *)td->eo + fixedbufs);
}

static int check_memory(struct thread_data *td, struct vp2p_error *err)
{
	const struct options *o = options_of(td);
	const char *job = td->o.name;

	if (!td->o.odirect)
		return refuse(err, EINVAL, job, "direct=1",
			      "direct=0: through the page cache the CPU would copy, and nothing "
			      "would go peer-to-peer");
	if (pins_for_long(td))
		return refuse(err, EOPNOTSUPP, job, "fixedbufs=0",
			      "fixedbufs=1: registered buffers are long-term pins, which the kernel "
			      "refuses for peer-to-peer memory");
	if (fio_option_is_set(&td->o, mem_type))
		return refuse(err, EINVAL, job, "leave mem= to jobs in host RAM (ioengine=io_uring)",
			      "mem= (iomem=): the buffers of this engine lie in the window");
	if (o->reset_timeout / 1000 > INT_MAX)
		return refuse(err, EINVAL, job, "reset_timeout=60",
			      "reset_timeout=%llus is longer than can be waited for",
			      o->reset_timeout / 1000000);
	if (o->region_align < page_size || (o->region_align & (o->region_align - 1)))
		return refuse(err, EINVAL, job, "region_align=2m, or 4k",
			      "region_align=%llu is no power of 2 from %lu on", o->region_align,
			      (unsigned long)page_size);
	return 0;
}

int options_check(struct thread_data *td, struct vp2p_error *err)
{
	const struct options *o = options_of(td);
	const char *job = td->o.name;

	if (!o->device || !*o->device)
		return refuse(err, EINVAL, job, "device=0000:03:00.0; vfio-p2p status shows which "
			      "have windows", "device= does not say whose window to use");
	if (o->on_reset == ON_RESET_WAIT && td->o.verify != VERIFY_NONE && !o->memory_kept)
		return refuse(err, EINVAL, job, "on_reset=fail; or memory_kept=1 if the device's "
			      "memory outlives a reset",
			      "on_reset=wait with verify=: a reset may lose what is in the window, "
			      "and good data would be called wrong");
	return check_memory(td, err);
}
