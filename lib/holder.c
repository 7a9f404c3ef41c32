// SPDX-License-Identifier: MIT
/*
 * holder.c - who has a device node open
 *
 * "Busy" is only half an answer.  The processes' fd links and maps in /proc have the
 * other half, as far as the caller may look into them.  A mapping keeps a device open
 * without any fd.  Its name tells the device where that was opened by its character
 * device, and of an exported window; by a group's it may be any, and this process,
 * which can know better, is told of its own.
 */
#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

/* How many fds of the node a process has. */
static int count_open(const char *pid, const char *node)
{
	struct vp2p__names fds;
	char target[128];
	int count = 0;

	if (vp2p__list(&fds, "/proc/%s/fd", pid))
		return 0;
	for (int i = 0; i < fds.count; i++)
		count += !vp2p__link_target(target, sizeof(target), "/proc/%s/fd/%s",
					    pid, vp2p__name(&fds, i)) &&
			 !strcmp(target, node);
	vp2p__list_free(&fds);
	return count;
}

/* Has a process a file mapped whose name ends so? */
static bool has_mapped(const char *pid, const char *end)
{
	char path[PATH_MAX], line[PATH_MAX];
	bool found = false;
	FILE *f;

	vp2p__path(path, sizeof(path), "/proc/%s/maps", pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	while (!found && fgets(line, sizeof(line), f)) {
		const char *at = strstr(line, end);

		found = at && at[strlen(end)] == '\n';
	}
	fclose(f);
	return found;
}

/* A process other than this one. */
static bool find_other(const char *node, char *buf, size_t size)
{
	struct vp2p__names pids;
	bool found = false;
	char comm[32];

	if (vp2p__list(&pids, "/proc"))
		return false;
	for (int i = 0; i < pids.count && !found; i++) {
		const char *pid = vp2p__name(&pids, i);

		if (!isdigit((unsigned char)pid[0]) || atoi(pid) == getpid())
			continue;
		found = count_open(pid, node) > 0 || has_mapped(pid, node);
		if (!found)
			continue;
		if (vp2p__read_line(comm, sizeof(comm), "/proc/%s/comm", pid))
			snprintf(comm, sizeof(comm), "?");
		snprintf(buf, size, "process %s (%s)", pid, comm);
	}
	vp2p__list_free(&pids);
	return found;
}

enum vp2p__holder vp2p__holder(const char *node, int own, char *buf, size_t size)
{
	char self[16];

	if (find_other(node, buf, size))
		return VP2P__OTHER;
	snprintf(self, sizeof(self), "%d", getpid());
	if (count_open(self, node) > own || has_mapped(self, node)) {
		snprintf(buf, size, "this process");
		return VP2P__SELF;
	}
	snprintf(buf, size, "another process%s", has_mapped(self, "[vfio-device]") ?
		 ", or a mapping of this one that is not yet unmapped" : "");
	return VP2P__NOT_SEEN;
}
