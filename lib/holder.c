// SPDX-License-Identifier: MIT
/*
 * holder.c - who has a device node open
 *
 * "Busy" is only half an answer.  The processes' fd links in /proc have the other
 * half, as far as the caller may look into them.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

static bool has_open(const char *pid, const char *node)
{
	struct vp2p__names fds;
	char target[128];
	bool found = false;

	if (vp2p__list(&fds, "/proc/%s/fd", pid))
		return false;
	for (int i = 0; i < fds.count && !found; i++)
		found = !vp2p__link_target(target, sizeof(target), "/proc/%s/fd/%s",
					   pid, vp2p__name(&fds, i)) &&
			!strcmp(target, node);
	vp2p__list_free(&fds);
	return found;
}

void vp2p__holder(const char *node, char *buf, size_t size)
{
	struct vp2p__names pids;
	char comm[32];
	int i;

	snprintf(buf, size, "another process");
	if (vp2p__list(&pids, "/proc"))
		return;
	for (i = 0; i < pids.count; i++) {
		const char *pid = vp2p__name(&pids, i);

		if (!isdigit((unsigned char)pid[0]) || !has_open(pid, node))
			continue;
		if (vp2p__read_line(comm, sizeof(comm), "/proc/%s/comm", pid))
			snprintf(comm, sizeof(comm), "?");
		snprintf(buf, size, "process %s (%s)", pid, comm);
		break;
	}
	vp2p__list_free(&pids);
}
