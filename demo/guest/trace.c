// SPDX-License-Identifier: MIT
#include "trace.h"

#include "harness.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TRACING "/sys/kernel/tracing/"
#define ENABLE TRACING "events/p2p_vfio/enable"

/*
 * Noting the names of processes would hook into the scheduler, and that means
 * patching code that other CPUs are running: the emulator sometimes trips over it.
 */
int trace_start(void)
{
	return h_write(TRACING "options/record-cmd", "0") ?: h_write(TRACING "trace_clock", "mono") ?:
	       h_write(ENABLE, "1");
}

void trace_stop(void)
{
	h_write(ENABLE, "0");
}

/* "  <...>-93  [001] .....  12.345678: p2p_vfio_zapped: 0000:02:00.0 ..." */
static bool parse(const char *line, struct trace_event *ev)
{
	static const char mark[] = ": p2p_vfio_";
	const char *at = strstr(line, mark), *time = at;

	if (*line == '#' || !at)
		return false;
	while (time > line && time[-1] != ' ')
		time--;
	ev->ns = (uint64_t)(atof(time) * 1e6 + 0.5) * 1000;
	return sscanf(at + sizeof(mark) - 1, "%31[^:]: %159[^\n]", ev->name, ev->fields) == 2;
}

int trace_read(uint64_t since_ns, struct trace_event *out, int max)
{
	FILE *f = fopen(TRACING "trace", "re");
	char line[512];
	int n = 0;

	if (!f)
		return -errno;
	while (n < max && fgets(line, sizeof(line), f))
		n += parse(line, &out[n]) && out[n].ns >= since_ns;
	fclose(f);
	return n;
}

long long trace_field(const struct trace_event *ev, const char *name, long long otherwise)
{
	size_t len = strlen(name);

	for (const char *at = ev->fields; (at = strstr(at, name)); at += len)
		if (at[len] == '=' && (at == ev->fields || at[-1] == ' '))
			return strtoll(at + len + 1, NULL, 0);
	return otherwise;
}
