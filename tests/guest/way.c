// SPDX-License-Identifier: MIT
/* way.c - mappings of a BAR for DMA, as the kernel traces them: see way.h */
#define _GNU_SOURCE
#include "way.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness.h"

#define INSTANCES "/sys/kernel/tracing/instances/way-"
#define EVENT "/events/iommu/map"
#define IS_MEMORY 0x200		/* as in the kernel's flags of a resource */

/* A filter that lets the memory BARs of the device pass, and nothing else. */
static int make_filter(const char *role, char *filter, size_t size)
{
	unsigned long long start, end, flags;
	char path[96], line[128];
	size_t used = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource", h_pci(role));
	f = fopen(path, "re");
	if (!f)
		return -errno;
	for (int bar = 0; bar < 6 && fgets(line, sizeof(line), f); bar++) {
		if (sscanf(line, "%llx %llx %llx", &start, &end, &flags) != 3 ||
		    !(flags & IS_MEMORY))
			continue;
		used += (size_t)snprintf(filter + used, size - used,
					 "%s(paddr >= 0x%llx && paddr <= 0x%llx)",
					 used ? " || " : "", start, end);
	}
	fclose(f);
	return used ? 0 : -ENODEV;
}

int way_begin(const char *role)
{
	char filter[512], instance[64];
	int rc = make_filter(role, filter, sizeof(filter));

	if (rc)
		return rc;
	snprintf(instance, sizeof(instance), INSTANCES "%s", role);
	rmdir(instance);	/* of a case that did not come to its end */
	if (mkdir(instance, 0700))
		return -errno;
	return h_writef(filter, "%s" EVENT "/filter", instance) ?:
	       h_writef("1", "%s" EVENT "/enable", instance);
}

long long way_end(const char *role)
{
	int rc = h_writef("0", INSTANCES "%s" EVENT "/enable", role);
	char line[512], path[64];
	long long bytes = 0;
	FILE *f;

	if (rc)
		return rc;
	snprintf(path, sizeof(path), INSTANCES "%s/trace", role);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f)) {
		const char *at = *line == '#' ? NULL : strstr(line, " size=");

		if (at)
			bytes += atoll(at + strlen(" size="));
	}
	fclose(f);
	snprintf(path, sizeof(path), INSTANCES "%s", role);
	rmdir(path);
	return bytes;
}
