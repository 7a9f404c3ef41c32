/* SPDX-License-Identifier: MIT */
/* bench.c - vfio-p2p bench: peer-to-peer DMA against its alternatives */
#include "cli.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>
#include <vfio-p2p.h>

#include "bench.h"
#include "bench_args.h"
#include "bench_check.h"
#include "bench_conditions.h"
#include "bench_cpu.h"
#include "bench_measure.h"
#include "bench_memory.h"
#include "bench_target.h"
#include "cp_window.h"
#include "interrupt.h"
#include "open.h"
#include "plot.h"
#include "report.h"
#include "text.h"

#define LEAST_NEW_FILE (UINT64_C(16) << 20)

/* struct bench - one run, from its command line to its report */
struct bench {
	struct bench_args args;
	const char *place;		/* "0000:03:00.0:2+16M" */
	struct bench_target *targets;
	unsigned int target_count;
	struct vp2p_device *dev;
	struct vp2p_window *win;
	struct bench_memory memory;
	struct plot plot;
	struct bench_report report;
	struct vp2p_error err;
};

static uint64_t largest_size(const struct bench_args *args)
{
	return args->sizes[args->size_count - 1];
}

static struct bench_target *next_target(struct bench *bench)
{
	struct bench_target *target = &bench->targets[bench->target_count++];

	*target = (struct bench_target){ .fd = -1, .file.fd = -1 };
	return target;
}

static int make_new_file(struct bench *bench, const char *beside)
{
	uint64_t size = 4 * largest_size(&bench->args);

	bench_strings_add(&bench->report.notes,
			  text("writes to %s go to a new file in its directory",
			       text_printable(beside)));
	return target_create(next_target(bench), beside,
			     size > LEAST_NEW_FILE ? size : LEAST_NEW_FILE);
}

/* What is only read must not be what is overwritten. */
static int open_scratch(struct bench *bench)
{
	struct bench_target *scratch = next_target(bench);
	int rc = target_open(scratch, bench->args.scratch, true);
	const struct bench_target *other;

	for (other = bench->targets; !rc && other < scratch; other++)
		if (target_same(other, scratch))
			rc = fail(EXIT_USAGE, bench->args.scratch,
				  "use it as the scratch file",
				  text("it is the TARGET %s, which is only read",
				       other->file.path),
				  "give another --scratch, or no TARGET");
	return rc;
}

static int open_targets(struct bench *bench)
{
	const struct bench_args *args = &bench->args;
	int rc = EXIT_OK;
	unsigned int i;

	bench->targets = keep((2 * args->target_count + 1) *
			      sizeof(*bench->targets));
	for (i = 0; !rc && args->read && i < args->target_count; i++)
		rc = target_open(next_target(bench), args->targets[i], false);
	for (i = 0; !rc && args->create && i < args->target_count; i++)
		rc = make_new_file(bench, args->targets[i]);
	if (!rc && args->scratch)
		rc = open_scratch(bench);
	return rc;
}

static int open_window(struct bench *bench)
{
	const struct place *place = &bench->args.place;
	int rc = window_check_range(place);

	if (rc)
		return rc;
	if (open_device(place->bdf, &bench->dev, &bench->err))
		return report_open(&bench->err);
	return window_for_range(bench->dev, place, &bench->win,
				bench->args.quiet || bench->args.json);
}

/* As much as the largest request at the greatest depth needs, if there is room. */
static int plan_memory(struct bench *bench)
{
	const struct bench_args *args = &bench->args;
	struct bench_memory *memory = &bench->memory;

	*memory = (struct bench_memory){
		.dev = bench->dev,
		.win = bench->win,
		.window_offset = args->place.span.offset -
				 vp2p_window_offset(bench->win),
	};
	memory_plan(memory, largest_size(args) *
			    args->depths[args->depth_count - 1], args->columns);
	if (memory->length)
		return EXIT_OK;
	return fail(EXIT_FAILED, NULL, "get memory for the columns",
		    text("%s is less than the 2M that each needs", memory->limit),
		    "end other programs, or use --columns p2p,p2p4k");
}

static void note_conditions(struct bench *bench)
{
	struct bench_conditions *c = &bench->report.conditions;

	conditions_find(c, bench->args.place.bdf, bench->win);
	c->in_flight = bench->memory.length;
	c->rounds = bench->args.rounds;
	c->seconds = bench->args.seconds;
	c->bytes = bench->args.bytes;
	if (bench->args.columns[BENCH_BOUNCE])
		c->copy = vp2p_stream_name();
}

static uint64_t probe_size(const struct bench *bench,
			   const struct bench_target *target)
{
	uint64_t size = bench->memory.length < target->size ?
			bench->memory.length : target->size;

	if (size > bench->args.sizes[0])
		size = bench->args.sizes[0];
	return size / target->align * target->align;
}

/* The route first: what cannot go peer-to-peer is no target for this. */
static int check_paths(struct bench *bench)
{
	struct bench_check check = { .memory = &bench->memory,
				     .place = bench->place };
	int rc = EXIT_OK;
	unsigned int i;

	for (i = 0; !rc && i < bench->target_count; i++) {
		check.target = &bench->targets[i];
		rc = check_path(&check, probe_size(bench, check.target));
	}
	return rc;
}

static int check_clock(void)
{
	struct cpu_times times;

	if (!cpu_look(&times))
		return EXIT_OK;
	return fail(EXIT_IMPOSSIBLE, "/proc/stat", "read the CPUs' idle time",
		    "it cannot be read or understood", "mount /proc");
}

static int measure(struct bench *bench)
{
	struct bench_plan plan = {
		.args = &bench->args,
		.memory = &bench->memory,
		.targets = bench->targets,
		.target_count = bench->target_count,
		.place = bench->place,
		.report = &bench->report,
	};
	struct vp2p_state state;
	unsigned int count = plan_count(&plan);

	if (vp2p_get_state(bench->dev, &state, &bench->err))
		return report(&bench->err);
	if (!bench->args.quiet && !bench->args.bytes)
		note("vfio-p2p: %u measurements, about %s", count,
		     text_duration(count * bench->args.seconds));
	plan.generation = state.generation;
	return measure_all(&plan);
}

static int perform(struct bench *bench)
{
	int rc = plot_prepare(&bench->plot, bench->args.svg);

	if (!rc)
		rc = check_clock();
	if (!rc)
		rc = open_targets(bench);
	if (!rc)
		rc = open_window(bench);
	if (!rc)
		rc = plan_memory(bench);
	if (rc)
		return rc;
	note_conditions(bench);
	rc = memory_map(&bench->memory, bench->args.columns, &bench->report);
	if (!rc)
		rc = check_paths(bench);
	return rc ? rc : measure(bench);
}

static void tidy_up(struct bench *bench)
{
	unsigned int i;

	memory_unmap(&bench->memory);
	vp2p_window_destroy(bench->win);
	vp2p_close(bench->dev);
	for (i = 0; i < bench->target_count; i++)
		target_close(&bench->targets[i]);
	plot_close(&bench->plot);
}

/* The device went away, or its memory was switched off, under the CPU's hands. */
static void on_bus_error(int number)
{
	static const char message[] =
		"vfio-p2p: could not touch the device's memory: it has gone, or "
		"its memory is switched off; remedy: see the end of the kernel "
		"log (dmesg)\n";

	(void)number;
	if (write(STDERR_FILENO, message, sizeof(message) - 1) < 0)
		_exit(EXIT_FAILED);
	_exit(EXIT_FAILED);
}

/* A picture that cannot be drawn costs no figures: they are printed before. */
static int print_report(struct bench *bench)
{
	bench_verdicts(&bench->report);
	if (bench->args.json)
		bench_print_json(&bench->report);
	else
		bench_print_text(&bench->report);
	return plot_draw(&bench->plot, bench_script, &bench->report);
}

static int run(const struct command *command, int argc, char **argv)
{
	struct bench bench = { .plot.fd = -1 };
	int rc = command_parse(command, argc, argv, &bench.args);

	if (rc)
		return report_refusal(bench.args.json, rc);
	bench.place = text("%s:%u+%s", bench.args.place.bdf,
			   bench.args.place.span.bar,
			   text_size(bench.args.place.span.offset));
	interrupt_catch(false);
	signal(SIGBUS, on_bus_error);
	rc = perform(&bench);
	rc = rc ? report_refusal(bench.args.json, rc) : print_report(&bench);
	tidy_up(&bench);
	return rc;
}

const struct command bench_command = {
	.name = "bench",
	.summary = "Measure peer-to-peer DMA against host RAM and bounce buffers",
	.usage = "DEVICE:BAR[+OFFSET] TARGET...",
	.examples =
	"  vfio-p2p bench 0000:03:00.0:2 data.bin          reads of a file\n"
	"  vfio-p2p bench 03:00.0:2 /dev/nvme0n1 data.bin  ... and of its disk\n"
	"  vfio-p2p bench --write --svg b.svg 03:00.0:2 data.bin\n"
	"  vfio-p2p bench --json --sizes 4K,1M --depths 1,32 03:00.0:2 data.bin\n",
	.details =
	"Reads, and if asked for writes, by direct I/O through io_uring, in "
	"columns: p2p, the device's window by 2 MiB entries; thp, host RAM of "
	"transparent huge pages; ram4k, host RAM of 4 KiB pages; bounce, as thp, "
	"and the CPU copies to or from the BAR with streaming instructions while "
	"the disk works; p2p4k, the window by 4 KiB entries.  The columns take "
	"turns in each round.\n\n"
	"TARGET is a regular file full of data, or a block device.  It is read "
	"only.  One transfer is verified before anything is measured, and the "
	"beginning of a request after each measurement that the device's memory "
	"takes part in.  THE DEVICE'S MEMORY IS OVERWRITTEN, and opening the "
	"device resets it.\n\n"
	"CPU time is told twice: that of the process with the kernel's I/O "
	"workers, and that of the whole machine, which some kernels estimate: "
	"nothing else should run meanwhile.\n\n"
	"Exit status: 0 measured; 1 failed; 2 wrong command line; 3 the file, "
	"the route or this machine cannot do it; 4 the device is in use; 5 what "
	"arrived was not what was sent; 6 --scratch is in use.",
	.options = bench_options,
	.parse = bench_parse,
	.run = run,
};
