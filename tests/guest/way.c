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

#define INSTANCE "/sys/kernel/tracing/instances/way"
#define EVENT INSTANCE "/events/iommu/map"
#define IS_MEMORY 0x200		/* as in the kernel's flags of a resource */

/* A filter that lets the memory BARs of the target pass, and nothing else. */
static int make_filter(char *filter, size_t size)
{
	unsigned long long start, end, flags;
	char path[96], line[128];
	size_t used = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource", h_pci("target"));
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

int way_begin(void)
{
	char filter[512];
	int rc = make_filter(filter, sizeof(filter));

	if (rc)
		return rc;
	rmdir(INSTANCE);	/* of a case that did not come to its end */
	if (mkdir(INSTANCE, 0700))
		return -errno;
	return h_write(EVENT "/filter", filter) ?: h_write(EVENT "/enable", "1");
}

long long way_end(void)
{
	int rc = h_write(EVENT "/enable", "0");
	long long bytes = 0;
	char line[512];
	FILE *f;

	if (rc)
		return rc;
	f = fopen(INSTANCE "/trace", "re");
	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f)) {
		const char *at = *line == '#' ? NULL : strstr(line, " size=");

		if (at)
			bytes += atoll(at + strlen(" size="));
	}
	fclose(f);
	rmdir(INSTANCE);
	return bytes;
}
