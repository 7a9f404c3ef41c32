// SPDX-License-Identifier: MIT
/* Failures on demand: see faults.h. */
#define _GNU_SOURCE
#include "faults.h"
#include "harness.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEBUGFS "/sys/kernel/debug"

const char *const fault_names[FAULT_KINDS] = { "slab", "page", "copy" };

static const char *const folders[FAULT_KINDS] = { "failslab", "fail_page_alloc", "fail_usercopy" };

static bool set(enum fault_kind kind, const char *file, const char *value)
{
	return !h_writef(value, DEBUGFS "/%s/%s", folders[kind], file);
}

static bool set_range(enum fault_kind kind, const char *which, unsigned long start, unsigned long end)
{
	char file[32], from[32], to[32];

	snprintf(from, sizeof(from), "%#lx", start);
	snprintf(to, sizeof(to), "%#lx", end);
	snprintf(file, sizeof(file), "%s-end", which);
	if (!set(kind, file, to))
		return false;
	snprintf(file, sizeof(file), "%s-start", which);
	return set(kind, file, from);
}

/* Where a function of the kernel begins, and the next one. */
static bool find_function(const char *name, unsigned long *start, unsigned long *end)
{
	char line[256], symbol[128];
	FILE *f = fopen("/proc/kallsyms", "re");
	unsigned long at;

	*start = *end = 0;
	while (f && !*end && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx %*c %127s", &at, symbol) != 2)
			continue;
		if (!*start && !strcmp(symbol, name))
			*start = at;
		else if (*start && at > *start)
			*end = at;
	}
	if (f)
		fclose(f);
	return *end;
}

/* With fail-nth every kind counts.  What must not is given a stack that never is. */
static bool choose(enum fault_kind kind, bool on)
{
	return set(kind, "stacktrace-depth", "32") && set(kind, "verbose", "0") &&
	       set_range(kind, "require", on ? 0 : 1, on ? ~0ul : 2);
}

bool fault_choose(enum fault_kind kind, const char *spared)
{
	unsigned long start = 0, end = 0;

	if (access("/proc/thread-self/fail-nth", W_OK))
		return false;
	for (int k = 0; k < FAULT_KINDS; k++)
		if (!choose(k, k == (int)kind))
			return false;
	if (spared && !find_function(spared, &start, &end))
		return false;
	if (!set_range(kind, "reject", start, end))
		return false;
	switch (kind) {
	case FAULT_SLAB:
		return set(kind, "ignore-gfp-wait", "N");
	case FAULT_PAGE:
		return set(kind, "ignore-gfp-wait", "N") && set(kind, "ignore-gfp-highmem", "N") &&
		       set(kind, "min-order", "0");
	default:
		return true;
	}
}

bool fault_only_below(enum fault_kind kind, const char *module)
{
	char line[256], name[64];
	unsigned long starts[256], at = 0, end = ~0ul;
	FILE *f = fopen("/proc/modules", "re");
	int n = 0;

	/* Where each module's text begins; this one's ends where another's does at the latest. */
	while (f && n < 256 && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%63s %*s %*s %*s %*s %lx", name, &starts[n]) != 2)
			continue;
		if (!strcmp(name, module))
			at = starts[n];
		n++;
	}
	if (f)
		fclose(f);
	while (n--)
		if (starts[n] > at && starts[n] < end)
			end = starts[n];
	return at && set_range(kind, "require", at, end);
}

bool fault_all(enum fault_kind kind, unsigned int n)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", n);
	return set(kind, "task-filter", "N") && set(kind, "interval", "1") &&
	       set(kind, "times", text) && set(kind, "probability", "100");
}

long fault_rest(enum fault_kind kind, unsigned int n)
{
	char left[16];

	if (!set(kind, "probability", "0") ||
	    h_readf(left, sizeof(left), DEBUGFS "/%s/times", folders[kind]))
		return -1;
	return (long)n - atol(left);
}

/* Opened once in a thread: an open has chances to fail of its own. */
static int port(void)
{
	static _Thread_local int fd;
	static _Thread_local int owner;

	if (owner != gettid()) {	/* 0, or what a fork has left */
		fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
		owner = gettid();
	}
	if (fd < 0)
		h_bail("/proc/thread-self/fail-nth");
	return fd;
}

void fault_arm(unsigned int n)
{
	char text[16];
	int fd = port(), len = snprintf(text, sizeof(text), "%u", n);

	if (pwrite(fd, text, len, 0) != len)
		h_bail("fail-nth cannot be written");
}

bool fault_disarm(void)
{
	char text[16] = "";
	int fd = port();
	/* This copy may be the nth itself, and fail: then none was before. */
	bool injected = pread(fd, text, sizeof(text) - 1, 0) > 0 && !atoi(text);

	/* So may this one, with the same effect as if it did not. */
	pwrite(fd, "0", 1, 0);
	return injected;
}
