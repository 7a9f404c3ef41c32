/* SPDX-License-Identifier: MIT */
/* bench_check.c - is what was moved what should have been moved? */
#include "bench_check.h"

#include "cli.h"
#include "interrupt.h"
#include "report.h"
#include "verify.h"

/* The CPU reads a BAR word by word: enough to see that it is the right data. */
#define MOST (UINT64_C(64) << 10)
#define PAGE UINT64_C(4096)

static uint64_t limited(uint64_t size)
{
	return size < MOST ? size : MOST;
}

static uint64_t bar_offset(const struct bench_memory *memory)
{
	return vp2p_window_offset(memory->win) + memory->window_offset;
}

/* Each time other words; a file that has them by chance does not exist. */
static void overwrite(volatile uint64_t *at, uint64_t size)
{
	static uint64_t word;
	uint64_t i;

	for (i = 0; i < size / sizeof(*at); i++)
		at[i] = word += UINT64_C(0x9e3779b97f4a7c15);
}

int check_prepare(const struct bench_check *check, uint64_t size)
{
	const struct bench_memory *memory = check->memory;
	uint64_t length = (limited(size) + PAGE - 1) / PAGE * PAGE;
	struct vp2p_error err;
	void *mapping;

	if (vp2p_map_bar(memory->dev, vp2p_window_bar(memory->win),
			 bar_offset(memory), length, &mapping, &err))
		return report(&err);
	overwrite(mapping, limited(size));
	vp2p_unmap(mapping, length, NULL);
	return EXIT_OK;
}

int check_request(const struct bench_check *check, uint64_t size,
		  uint64_t offset)
{
	const struct bench_memory *memory = check->memory;
	struct checksums sums;
	struct verify_job job = {
		.dev = memory->dev,
		.place = check->place,
		.bar = vp2p_window_bar(memory->win),
		.bar_offset = bar_offset(memory),
		.file = &check->target->file,
		.file_offset = offset,
		.length = limited(size),
	};

	return verify(&job, &sums);
}

static int stop_at_signal(uint64_t done, uint64_t total, void *arg)
{
	(void)done, (void)total, (void)arg;
	return interrupt_seen();
}

int check_path(const struct bench_check *check, uint64_t size)
{
	struct vp2p_copy_request request = {
		.window = check->memory->win,
		.fd = check->target->file.fd,
		.direction = check->target->write ? VP2P_WINDOW_TO_FILE :
						    VP2P_FILE_TO_WINDOW,
		.window_offset = check->memory->window_offset,
		.length = limited(size),
		.progress = stop_at_signal,
	};
	struct vp2p_error err;
	int rc = check_prepare(check, size);

	if (rc)
		return rc;
	if (vp2p_copy(&request, NULL, &err))
		return report(&err);
	return check_request(check, size, 0);
}
