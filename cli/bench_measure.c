/* SPDX-License-Identifier: MIT */
/* bench_measure.c - the order of the measurements */
#include "bench_measure.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bench_check.h"
#include "bench_engine.h"
#include "cli.h"
#include "interrupt.h"
#include "report.h"
#include "text.h"

#define MIB 1048576.0
#define GIB (1024 * MIB)

/* /proc/stat counts steps of 10 ms: two percent of this, for each CPU. */
#define BRIEF_NS 500000000u

/* struct samples - of one cell, one value a round */
struct samples {
	double gib_s[BENCH_ROUNDS];
	double iops[BENCH_ROUNDS];
	double cpu[BENCH_ROUNDS];
	double busy[BENCH_ROUNDS];
	double interrupts[BENCH_ROUNDS];
	uint64_t bytes;
	struct histogram latency;
};

/* struct group - the cells that differ in their column only */
struct group {
	const struct bench_plan *plan;
	const struct bench_target *target;
	uint64_t size;
	unsigned int depth;
	struct samples samples[BENCH_COLUMNS];
};

unsigned int plan_depth(uint64_t room, uint64_t size, unsigned int depth)
{
	uint64_t most = room / size;

	return most < depth ? (unsigned int)most : depth;
}

enum bench_column plan_column(unsigned int round, unsigned int turn)
{
	return (round + turn) % BENCH_COLUMNS;
}

static bool size_fits(const struct bench_plan *plan,
		      const struct bench_target *target, uint64_t size)
{
	return size <= plan->memory->length && size <= target->size &&
	       size % target->align == 0;
}

static bool measured(const struct bench_plan *plan, enum bench_column column)
{
	return !plan->report->skipped[column];
}

static struct engine_job job_of(const struct group *group,
				enum bench_column column)
{
	const struct bench_plan *plan = group->plan;
	const struct bench_memory *memory = plan->memory;

	return (struct engine_job){
		.fd = group->target->fd,
		.write = group->target->write,
		.size = group->size,
		.depth = group->depth,
		.span = group->target->size / group->size * group->size,
		.buffer = memory->buffer[column],
		.device = column == BENCH_BOUNCE ? memory->bar : NULL,
		.time_ns = (uint64_t)(plan->args->seconds * 1e9),
		.bytes = plan->args->bytes,
	};
}

static int fail_run(const struct group *group, enum bench_column column,
		    int error)
{
	const char *step = text("measure %s", bench_column_name(column));
	const char *path = group->target->file.path;

	if (error == EINTR)
		return interrupt_fail(path, step);
	return fail_for(error, EXIT_FAILED, path, step,
			text("a %s of %s ended %s",
			     group->target->write ? "write" : "read",
			     text_size(group->size),
			     error == ENODATA ? "short" :
				text("with: %s", strerror(error))),
			"see the end of the kernel log (dmesg), and vfio-p2p "
			"status for resets of the device");
}

static void add_sample(struct samples *samples, unsigned int round,
		       uint64_t size, const struct engine_result *result)
{
	double bytes = (double)(result->requests * size);
	double seconds = (double)result->elapsed_ns / 1e9;

	samples->gib_s[round] = bytes / GIB / seconds;
	samples->iops[round] = (double)result->requests / seconds;
	samples->cpu[round] = (double)result->process_ns / 1e3 / (bytes / MIB);
	samples->busy[round] = (double)result->busy_ns / 1e3 / (bytes / MIB);
	samples->interrupts[round] = (double)result->interrupts / (bytes / MIB);
	samples->bytes += result->requests * size;
}

/* Did the device's memory take part, and can the request still be found? */
static bool can_check(const struct engine_job *job, enum bench_column column)
{
	if (column == BENCH_THP || column == BENCH_RAM4K)
		return false;
	return !job->write || job->span >= job->depth * job->size;
}

static int measure_once(struct group *group, enum bench_column column,
			unsigned int round)
{
	struct samples *samples = &group->samples[column];
	struct engine_job job = job_of(group, column);
	struct engine_result result = { .latency = &samples->latency };
	struct bench_check check = {
		.memory = group->plan->memory,
		.target = group->target,
		.place = group->plan->place,
	};
	int rc = EXIT_OK;

	if (can_check(&job, column))
		rc = check_prepare(&check, group->size);
	if (rc)
		return rc;
	rc = engine_run(&job, &result);
	if (rc)
		return fail_run(group, column, -rc);
	add_sample(samples, round, group->size, &result);
	if (result.elapsed_ns < BRIEF_NS)
		group->plan->report->brief = true;
	if (!can_check(&job, column))
		return EXIT_OK;
	return check_request(&check, group->size, result.last_offset);
}

static void add_cell(struct group *group, enum bench_column column)
{
	struct bench_report *found = group->plan->report;
	struct samples *samples = &group->samples[column];
	unsigned int rounds = group->plan->args->rounds;

	found->cells[found->count++] = (struct bench_cell){
		.target = group->target->file.path,
		.block = group->target->file.block,
		.write = group->target->write,
		.size = group->size,
		.depth = group->depth,
		.column = column,
		.gib_s = spread_of(samples->gib_s, rounds),
		.iops = spread_of(samples->iops, rounds),
		.cpu = spread_of(samples->cpu, rounds),
		.busy = spread_of(samples->busy, rounds),
		.interrupts = spread_of(samples->interrupts, rounds),
		.p50_us = (double)histogram_percentile(&samples->latency, 50) /
			  1e3,
		.p99_us = (double)histogram_percentile(&samples->latency, 99) /
			  1e3,
		.bytes = samples->bytes,
	};
}

/* A reset has had the columns measure something else. */
static int check_generation(const struct bench_plan *plan)
{
	struct vp2p_state state;
	struct vp2p_error err;

	if (vp2p_get_state(plan->memory->dev, &state, &err))
		return report(&err);
	if (state.generation == plan->generation)
		return EXIT_OK;
	return fail(EXIT_FAILED, plan->place, "measure",
		    "the device was reset meanwhile",
		    "vfio-p2p status shows why; then measure again");
}

static int measure_group(struct group *group)
{
	enum bench_column column;
	unsigned int round, turn;
	int rc = EXIT_OK;

	memset(group->samples, 0, sizeof(group->samples));
	for (round = 0; round < group->plan->args->rounds; round++)
		for (turn = 0; !rc && turn < BENCH_COLUMNS; turn++) {
			column = plan_column(round, turn);
			if (measured(group->plan, column))
				rc = measure_once(group, column, round);
		}
	if (!rc)
		rc = check_generation(group->plan);
	for (column = 0; !rc && column < BENCH_COLUMNS; column++)
		if (measured(group->plan, column))
			add_cell(group, column);
	return rc;
}

/* Each depth that there is room for; those that are cut to the same one once. */
static unsigned int depths_of(const struct bench_plan *plan, uint64_t size,
			      unsigned int depths[BENCH_LIST])
{
	const struct bench_args *args = plan->args;
	unsigned int i, depth, count = 0;

	for (i = 0; i < args->depth_count; i++) {
		depth = plan_depth(plan->memory->length, size, args->depths[i]);
		if (!count || depths[count - 1] != depth)
			depths[count++] = depth;
	}
	return count;
}

static unsigned int columns_of(const struct bench_plan *plan)
{
	unsigned int count = 0;
	enum bench_column column;

	for (column = 0; column < BENCH_COLUMNS; column++)
		count += measured(plan, column);
	return count;
}

static unsigned int cell_count(const struct bench_plan *plan)
{
	const struct bench_args *args = plan->args;
	unsigned int depths[BENCH_LIST];
	unsigned int t, s, groups = 0;

	for (t = 0; t < plan->target_count; t++)
		for (s = 0; s < args->size_count; s++)
			if (size_fits(plan, &plan->targets[t], args->sizes[s]))
				groups += depths_of(plan, args->sizes[s],
						    depths);
	return groups * columns_of(plan);
}

unsigned int plan_count(const struct bench_plan *plan)
{
	return cell_count(plan) * plan->args->rounds;
}

static void note_limits(const struct bench_plan *plan, uint64_t size)
{
	const struct bench_args *args = plan->args;
	unsigned int deepest = args->depths[args->depth_count - 1];
	unsigned int depth = plan_depth(plan->memory->length, size, deepest);

	if (!depth)
		bench_strings_add(&plan->report->notes,
				  text("size %s is not measured: %s has room "
				       "for %s", text_size(size),
				       plan->memory->limit,
				       text_size(plan->memory->length)));
	else if (depth < deepest)
		bench_strings_add(&plan->report->notes,
				  text("size %s: depths above %u are measured as "
				       "%u: %s has room for %s in flight",
				       text_size(size), depth, depth,
				       plan->memory->limit,
				       text_size(plan->memory->length)));
}

static void note_misfit(const struct bench_plan *plan,
			const struct bench_target *target, uint64_t size)
{
	if (size > plan->memory->length || size_fits(plan, target, size))
		return;
	bench_strings_add(&plan->report->notes,
			  text("%s: size %s is not measured: %s",
			       text_printable(target->file.path),
			       text_size(size), size > target->size ?
			       text("it has %s", text_size(target->size)) :
			       text("direct I/O on it needs multiples of %s",
				    text_size(target->align))));
}

static void note_all(const struct bench_plan *plan)
{
	const struct bench_args *args = plan->args;
	unsigned int t, s;

	for (s = 0; s < args->size_count; s++) {
		note_limits(plan, args->sizes[s]);
		for (t = 0; t < plan->target_count; t++)
			note_misfit(plan, &plan->targets[t], args->sizes[s]);
	}
}

static int measure_size(struct group *group)
{
	unsigned int depths[BENCH_LIST];
	unsigned int count = depths_of(group->plan, group->size, depths);
	int rc = EXIT_OK;
	unsigned int i;

	for (i = 0; !rc && i < count; i++) {
		group->depth = depths[i];
		rc = measure_group(group);
	}
	return rc;
}

static int measure_target(struct group *group)
{
	const struct bench_args *args = group->plan->args;
	int rc = EXIT_OK;
	unsigned int s;

	for (s = 0; !rc && s < args->size_count; s++) {
		group->size = args->sizes[s];
		if (size_fits(group->plan, group->target, group->size))
			rc = measure_size(group);
	}
	return rc;
}

int measure_all(const struct bench_plan *plan)
{
	struct group *group = keep(sizeof(*group));
	int rc = EXIT_OK;
	unsigned int t;

	note_all(plan);
	if (!cell_count(plan))
		return fail(EXIT_IMPOSSIBLE, plan->place, "measure",
			    plan->report->notes.count ?
			    plan->report->notes.item[0] : "no column is left",
			    "use smaller --sizes, or another target");
	plan->report->cells = keep(cell_count(plan) *
				   sizeof(*plan->report->cells));
	group->plan = plan;
	for (t = 0; !rc && t < plan->target_count; t++) {
		group->target = &plan->targets[t];
		rc = measure_target(group);
	}
	return rc;
}
