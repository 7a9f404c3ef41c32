/* SPDX-License-Identifier: MIT */
/* trace.c - vfio-p2p trace: revocations as they happen, or as they were recorded */
#include "cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"
#include "interrupt.h"
#include "operands.h"
#include "parse.h"
#include "plot.h"
#include "progress.h"
#include "text.h"
#include "trace_instance.h"
#include "trace_timeline.h"

/* The kernel wakes a reader at a time of its own; so often one looks at least. */
#define LOOK_SECONDS 0.2

struct trace_args {
	struct operands device;
	const char *svg;
	const char *input;
	double seconds;		/* 0: until a signal */
	bool json;
};

/* struct tracing - one run */
struct tracing {
	struct trace_args args;
	const char *bdf;	/* NULL: every device */
	struct plot plot;
	struct timeline timeline;
	uint64_t events;
	char pending[65536];	/* what has been read of a line */
	size_t length;
};

enum { KEY_SVG = 0x100, KEY_JSON = 'j', KEY_SECONDS = 's', KEY_INPUT = 'i' };

static const struct argp_option options[] = {
	{ "seconds", KEY_SECONDS, "N", 0,
	  "End after N seconds (default: when a signal comes)", 0 },
	{ "input", KEY_INPUT, "FILE", 0,
	  "Read the text of a recorded trace; - is standard input", 0 },
	{ "svg", KEY_SVG, "FILE", 0, "Draw the timeline; needs gnuplot", 0 },
	{ "json", KEY_JSON, NULL, 0, "Print JSON, at the end", 0 },
	{ 0 }
};

static error_t usage(const char *what, const char *cause, const char *remedy)
{
	fail(EXIT_USAGE, NULL, what, cause, remedy);
	return PARSE_FAILED;
}

static error_t parse_time(struct trace_args *args, const char *string)
{
	const char *rule = parse_seconds(string, &args->seconds);

	return rule ? usage("read --seconds", text("'%s' %s", string, rule),
			    "write it as in 10 or 0.5") : 0;
}

static error_t add_device(struct trace_args *args, const char *string,
			  const struct argp_state *state)
{
	error_t error = operands_add(&args->device, string, state);

	if (error || args->device.count < 2)
		return error;
	return usage("begin", "more than one device is given",
		     "name one, or none: then all of them are traced");
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct trace_args *args = state->input;

	switch (key) {
	case KEY_SVG:
		args->svg = arg;
		return 0;
	case KEY_JSON:
		args->json = true;
		return 0;
	case KEY_INPUT:
		args->input = arg;
		return 0;
	case KEY_SECONDS:
		return parse_time(args, arg);
	case ARGP_KEY_ARG:
		return add_device(args, arg, state);
	case ARGP_KEY_END:
		if (!args->input || !args->seconds)
			return 0;
		return usage("begin", "--seconds says nothing about --input",
			     "leave one of them away");
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static void take(struct tracing *tracing, const char *line)
{
	void *mark = text_mark();
	const struct revocation *revocation;
	struct trace_event event;

	if (trace_parse(line, &event) &&
	    (!tracing->bdf || event.kind == TRACE_LOST ||
	     !strcmp(event.bdf, tracing->bdf))) {
		tracing->events += event.kind != TRACE_LOST;
		revocation = timeline_add(&tracing->timeline, &event);
		if (!tracing->args.json)
			trace_print_event(&event, revocation);
	}
	text_release(mark);
}

/* Whole lines are taken; a line that does not fit is none of ours. */
static void take_pending(struct tracing *tracing)
{
	char *line = tracing->pending;
	char *end = line + tracing->length;
	char *newline;

	while ((newline = memchr(line, '\n', (size_t)(end - line)))) {
		*newline = '\0';
		take(tracing, line);
		line = newline + 1;
	}
	tracing->length = (size_t)(end - line);
	memmove(tracing->pending, line, tracing->length);
	if (tracing->length == sizeof(tracing->pending))
		tracing->length = 0;
}

/* All that is there now. Return: an exit code. */
static int read_all(struct tracing *tracing)
{
	ssize_t got;

	do {
		got = instance_read(tracing->pending + tracing->length,
				    sizeof(tracing->pending) - tracing->length);
		if (got < 0)
			return fail_for((int)-got, EXIT_FAILED, NULL, "trace",
					text("the events cannot be read: %s",
					     strerror((int)-got)), NULL);
		tracing->length += (size_t)got;
		take_pending(tracing);
	} while (got);
	return EXIT_OK;
}

static bool is_over(const struct tracing *tracing, double end)
{
	void *mark = text_mark();
	bool alive = instance_alive();

	text_release(mark);
	if (!alive)
		note("vfio-p2p: the module has been unloaded: nothing more comes");
	return !alive || interrupt_seen() || fflush(stdout) || ferror(stdout) ||
	       (tracing->args.seconds && monotonic_seconds() >= end);
}

static int follow(struct tracing *tracing)
{
	double end = monotonic_seconds() + tracing->args.seconds;
	int rc;

	note("vfio-p2p: tracing %s%s", tracing->bdf ? tracing->bdf : "all devices",
	     tracing->args.seconds ? "" : "; ctrl-C ends");
	do {
		double left = end - monotonic_seconds();

		interrupt_wait(instance_fd(), !tracing->args.seconds ||
			       left > LOOK_SECONDS ? LOOK_SECONDS :
			       left > 0 ? left : 0);
		rc = read_all(tracing);
	} while (!rc && !is_over(tracing, end));
	instance_stop();
	return rc ? rc : read_all(tracing);
}

static int run_live(struct tracing *tracing)
{
	const struct device *device;
	int rc = EXIT_OK, removed;

	if (tracing->bdf)
		rc = device_load_ours(tracing->bdf, "trace it", &device);
	if (rc)
		return rc;
	interrupt_catch(false);
	rc = instance_open(tracing->bdf);
	if (rc)
		return rc;
	rc = follow(tracing);
	removed = instance_close();
	return rc ? rc : removed;
}

static int read_lines(struct tracing *tracing, FILE *file, const char *name)
{
	char *line = NULL;
	size_t size = 0;
	int error;

	while (getline(&line, &size, file) >= 0) {
		line[strcspn(line, "\n")] = '\0';
		take(tracing, line);
	}
	error = ferror(file) ? errno : 0;
	free(line);
	if (error)
		return fail_for(error, EXIT_FAILED, name, "read it",
				strerror(error), NULL);
	if (tracing->events)
		return EXIT_OK;
	return fail(EXIT_FAILED, name, "find an event of the driver in it",
		    text("no line is one of p2p_vfio%s", tracing->bdf ?
			 text(" for %s", tracing->bdf) : ""),
		    "record with trace-cmd record -e p2p_vfio, and give the text "
		    "of trace-cmd report");
}

static int run_recorded(struct tracing *tracing)
{
	const char *name = tracing->args.input;
	bool standard = !strcmp(name, "-");
	FILE *file = standard ? stdin : fopen(name, "re");
	int rc;

	if (!file)
		return fail_for(errno, EXIT_FAILED, name, "read it",
				strerror(errno), NULL);
	rc = read_lines(tracing, file, name);
	if (!standard)
		fclose(file);
	return rc;
}

static bool is_drawable(const struct timeline *timeline)
{
	const struct revocation *r;

	for (r = timeline->first; r; r = r->next)
		if (*r->cause)
			return true;
	return false;
}

static int draw(struct tracing *tracing)
{
	if (!tracing->args.svg || is_drawable(&tracing->timeline))
		return plot_draw(&tracing->plot, trace_script,
				 &tracing->timeline);
	return fail(EXIT_FAILED, tracing->args.svg, "draw the figures",
		    "the trace has no revocation",
		    "trace while one happens: a reset, or an open and a close");
}

static int perform(struct tracing *tracing)
{
	int rc = plot_prepare(&tracing->plot, tracing->args.svg);

	if (!rc)
		rc = tracing->args.input ? run_recorded(tracing) :
					   run_live(tracing);
	if (rc)
		return rc;
	if (tracing->args.json)
		trace_print_json(&tracing->timeline, tracing->args.input);
	else
		trace_print_rest(&tracing->timeline);
	return draw(tracing);
}

static int run(const struct command *command, int argc, char **argv)
{
	static struct tracing tracing = { .plot.fd = -1 };
	int rc = command_parse(command, argc, argv, &tracing.args);

	if (rc)
		return rc;
	if (tracing.args.device.count)
		tracing.bdf = tracing.args.device.bdf[0];
	tracing.timeline.keep = tracing.args.json || tracing.args.svg;
	rc = perform(&tracing);
	plot_close(&tracing.plot);
	timeline_clear(&tracing.timeline);
	return rc;
}

const struct command trace_command = {
	.name = "trace",
	.summary = "Show the timeline of revocations as they happen",
	.usage = "[DEVICE]",
	.examples = "  vfio-p2p trace 0000:03:00.0\n"
		    "  vfio-p2p trace --seconds 10 --svg reset.svg\n"
		    "  vfio-p2p trace --json 03:00.0 >trace.json\n"
		    "  trace-cmd report | vfio-p2p trace --input -\n",
	.details = "For each revocation: the gate has closed, and why; zapped, and "
		   "how many folios are pinned then; drained, or timed out, and "
		   "after how long; acted or not; the gate is open again.  "
		   "Revocations inside of others are indented.  Times are the "
		   "trace's clock, and with + the time since the gate closed.  At "
		   "the end of one stands how many of the kernel's faults met the "
		   "closed gate and were refused, and how many of user threads "
		   "waited.\n\n"
		   "Needs root, and tracefs in /sys/kernel/tracing.  It has a "
		   "tracing instance of its own, which disturbs nobody's, and is "
		   "gone afterwards; what a killed one leaves, the next removes.  "
		   "ctrl-C ends it, with status 0.  The picture has the latest 60 "
		   "revocations, the JSON the latest 10000.",
	.options = options,
	.parse = parse,
	.run = run,
};
