// SPDX-License-Identifier: MIT
/*
 * How long functions of the kernel take: see bench.h.
 *
 * Two events a function, NAME_in and NAME_out, and a trace of them in text.  A
 * call within another of the same function would be counted twice: none of those
 * that are asked for calls itself.
 */
#define _GNU_SOURCE
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef __x86_64__
#include <x86intrin.h>
#endif

#define TRACING "/sys/kernel/tracing/"
#define GROUP "bench"

struct probe {
	char name[64];		/* without its module */
	uint64_t ns, entered, returned;
	unsigned int calls;
};

static struct probe probes[BENCH_MAX_PROBES];
static int n_probes;

/* The two clocks at two moments: between them a straight line. */
static struct {
	uint64_t tsc, ns;
} first, last;

/* The clock of the trace; benches are for x86-64, and elsewhere only compiled. */
static uint64_t tsc(void)
{
#ifdef __x86_64__
	return __rdtsc();
#else
	h_bail("there is no clock x86-tsc here");
#endif
}

static struct probe *probe_of(const char *function)
{
	for (int i = 0; i < n_probes; i++)
		if (!strcmp(probes[i].name, function))
			return &probes[i];
	h_bail("no probe at %s", function);
}

/* Some functions are given as MODULE:FUNCTION. */
static const char *plain_name(const char *function)
{
	const char *colon = strchr(function, ':');

	return colon ? colon + 1 : function;
}

static int add_event(const char *kind, const char *function, const char *suffix)
{
	char text[256];
	int fd, err = 0;

	snprintf(text, sizeof(text), "%s:" GROUP "/%s_%s %s\n", kind, plain_name(function),
		 suffix, function);
	fd = open(TRACING "kprobe_events", O_WRONLY | O_APPEND | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		err = -errno;
	close(fd);
	return err;
}

static int add_probe(const char *function)
{
	struct probe *p = &probes[n_probes++];

	snprintf(p->name, sizeof(p->name), "%s", plain_name(function));
	return add_event("p", function, "in") ?: add_event("r", function, "out");
}

/* What has been traced, or asked for, goes when its file is opened so. */
static void empty(const char *path)
{
	close(open(path, O_WRONLY | O_TRUNC | O_CLOEXEC));
}

int bench_probe(const char *const functions[])
{
	int err = h_write(TRACING "trace_clock", "x86-tsc");

	h_write(TRACING "tracing_on", "0");
	n_probes = 0;
	for (int i = 0; !err && functions[i]; i++)
		err = add_probe(functions[i]);
	return err ?: h_write(TRACING "events/" GROUP "/enable", "1");
}

void bench_probe_end(void)
{
	h_write(TRACING "events/" GROUP "/enable", "0");
	empty(TRACING "kprobe_events");
	n_probes = 0;
}

void bench_trace_begin(void)
{
	empty(TRACING "trace");
	first.tsc = tsc();
	first.ns = h_now_ns();
	h_write(TRACING "tracing_on", "1");
}

static uint64_t ns_at(uint64_t tsc)
{
	double rate = (double)(last.ns - first.ns) / (double)(last.tsc - first.tsc);

	return first.ns + (int64_t)(((double)tsc - (double)first.tsc) * rate);
}

static void take_event(const char *name, uint64_t ns)
{
	for (struct probe *p = probes; p < probes + n_probes; p++) {
		size_t len = strlen(p->name);

		if (strncmp(name, p->name, len))
			continue;
		if (!strncmp(name + len, "_in:", 4)) {
			p->entered = ns;
		} else if (!strncmp(name + len, "_out:", 5)) {
			p->returned = ns;
			p->ns += ns - p->entered;
			p->calls++;
		}
	}
}

/* "  task-12   [000] .....  123456: NAME_in: (function+0x4/0x10)" */
static void take_line(char *line)
{
	char *at = strstr(line, ": "), *name = at + 2;

	if (line[0] == '#' || !at)
		return;
	*at = 0;
	at = strrchr(line, ' ');
	if (at)
		take_event(name, ns_at(strtoull(at, NULL, 10)));
}

void bench_trace_end(void)
{
	char line[512];
	FILE *f;

	h_write(TRACING "tracing_on", "0");
	last.tsc = tsc();
	last.ns = h_now_ns();
	for (int i = 0; i < n_probes; i++)
		probes[i].ns = probes[i].calls = probes[i].entered = probes[i].returned = 0;
	f = fopen(TRACING "trace", "re");
	while (f && fgets(line, sizeof(line), f))
		take_line(line);
	if (f)
		fclose(f);
}

uint64_t bench_probe_ns(const char *function)
{
	return probe_of(function)->ns;
}

unsigned int bench_probe_calls(const char *function)
{
	return probe_of(function)->calls;
}

uint64_t bench_probe_entered(const char *function)
{
	return probe_of(function)->entered;
}

uint64_t bench_probe_returned(const char *function)
{
	return probe_of(function)->returned;
}

/* The tracer of functions, and a line for each call. */

int bench_calls_begin(const char *module)
{
	char filter[80];
	int err;

	snprintf(filter, sizeof(filter), ":mod:%s", module);
	h_write(TRACING "tracing_on", "0");
	err = h_write(TRACING "set_ftrace_filter", filter) ?:
	      h_write(TRACING "current_tracer", "function");
	empty(TRACING "trace");
	return err ?: h_write(TRACING "tracing_on", "1");
}

long bench_calls_end(void)
{
	char line[512];
	long calls = 0;
	FILE *f;

	h_write(TRACING "tracing_on", "0");
	f = fopen(TRACING "trace", "re");
	while (f && fgets(line, sizeof(line), f))
		calls += line[0] != '#' && line[0] != '\n';
	if (f)
		fclose(f);
	h_write(TRACING "current_tracer", "nop");
	empty(TRACING "set_ftrace_filter");
	return calls;
}
