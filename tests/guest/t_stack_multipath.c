// SPDX-License-Identifier: MIT
/*
 * t_stack_multipath.c - a name space with two ways to it (NVMe native multipath)
 *
 * Theory of operation: storage_row.h, on a machine whose two controllers share a name
 * space and whose kernel has nvme_core.multipath=Y.  The kernel takes the two for one disk
 * only if both have the path; so the test first looks for them.
 */
#define _GNU_SOURCE
#include "dev.h"
#include "harness.h"
#include "storage_row.h"

#include <errno.h>
#include <glob.h>
#include <string.h>

static size_t matches(const char *pattern, char *last, size_t size)
{
	glob_t found;
	size_t n = 0;

	if (!glob(pattern, 0, NULL, &found)) {
		n = found.gl_pathc;
		snprintf(last, size, "%s", strrchr(found.gl_pathv[n - 1], '/') + 1);
		globfree(&found);
	}
	return n;
}

static void over_two_paths(void)
{
	char head[32], disk[64], hidden[32];

	/* A hidden disk for each path, and the head that programs use. */
	H_CHECK(h_wait_until(matches("/sys/class/nvme/nvme*/nvme*c*n1", hidden,
				     sizeof(hidden)) == 2, 10000));
	H_EQ(matches("/sys/class/nvme-subsystem/nvme-subsys*/nvme*n1", head, sizeof(head)), 1);
	snprintf(disk, sizeof(disk), "/dev/%s", head);
	sr_run(&(struct sr_row){
		.id = "multipath", .what = "NVMe multipath, two controllers", .disk = disk,
		.read = SR_P2P, .write = SR_P2P, .path = "nvmeNnN > nvmeN: host-bridge",
	});
}

static const struct h_case cases[] = {
	{ "NVMe multipath", over_two_paths, 90 },
	{ }
};

int main(int argc, char **argv)
{
	dev_bind("target", DEV_P2P);
	return h_main(argc, argv, cases);
}
