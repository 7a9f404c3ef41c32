// SPDX-License-Identifier: MIT
/*
 * mount.c - the file server behind a file, and its failures
 *
 * Of a file on a network file system the kernel's answers are the server's, or mean
 * that it gave none (a soft mount's EIO or ETIMEDOUT): the kernel log tells little of
 * that, and nobody looks for it at a disk.  Nor may two of them be passed on: what
 * ESTALE and ETIMEDOUT mean is said of the device here.
 *
 * Who the server is must be found without asking it.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "file.h"

/* What does not fit is cut. */
#define SOURCE_LEN	80

#define SERVER_REMEDY	"see that the server runs and can be reached, then try again; a mount " \
			"that is soft gives up after timeo and retrans, a hard one waits"

static bool is_remote(const char *type)
{
	static const char *const types[] = { "nfs", "nfs4", "cifs", "smb3", "ceph" };

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (!strcmp(type, types[i]))
			return true;
	return false;
}

/* "36 35 0:50 / /mnt rw,noatime - nfs4 server:/export rw,vers=4.2" */
static bool is_served(const char *line, uint64_t id, char source[SOURCE_LEN])
{
	const char *tail = strstr(line, " - ");
	char type[32];

	return strtoull(line, NULL, 10) == id && tail &&
	       sscanf(tail, " - %31s %79s", type, source) == 2 && is_remote(type);
}

/* What the file's mount has for a source, if that is a server. */
static bool find_server(int fd, char source[SOURCE_LEN])
{
	char path[PATH_MAX], *line = NULL;
	bool found = false;
	size_t room = 0;
	struct statx stx;
	FILE *f;

	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MNT_ID, &stx) ||
	    !(stx.stx_mask & STATX_MNT_ID))
		return false;
	vp2p__path(path, sizeof(path), "/proc/self/mountinfo");
	f = fopen(path, "re");
	while (f && !found && getline(&line, &room, f) > 0)
		found = is_served(line, stx.stx_mnt_id, source);
	free(line);
	if (f)
		fclose(f);
	return found;
}

static int fail_server(const char *name, const char *step, int code, const char *server,
		       const char *when, struct vp2p_error *err)
{
	if (code == ESTALE)
		return vp2p__fail(err, EIO, name, step,
				  "%s the file server (%s) does not know the file any more "
				  "(ESTALE)" MEND
				  "somebody has removed or replaced it there: open it again by "
				  "its name", when, server);
	return vp2p__fail(err, EIO, name, step, code == ETIMEDOUT ?
			  "%s the file server (%s) did not answer in time (ETIMEDOUT)" MEND
			  SERVER_REMEDY :
			  "%s the file server (%s) did not answer in time, or answered with an "
			  "error (EIO)" MEND SERVER_REMEDY, when, server);
}

int vp2p__file_failed(int fd, const char *name, const char *step, int code,
		      const char *when, struct vp2p_error *err)
{
	char server[SOURCE_LEN];

	if (code != EIO && code != ESTALE && code != ETIMEDOUT)
		return 0;
	if (find_server(fd, server))
		return fail_server(name, step, code, server, when, err);
	if (code == EIO)
		return 0;
	return vp2p__fail(err, EIO, name, step, code == ESTALE ?
			  "%s the file system does not know the file any more (ESTALE)" MEND
			  "somebody has removed or replaced it: open it again by its name" :
			  "%s the storage did not answer in time (ETIMEDOUT)" MEND
			  "see the kernel log (dmesg) for the disk's error", when);
}

int vp2p__file_failed_at(int fd, const char *name, const char *step, int code,
			 uint64_t pos, struct vp2p_error *err)
{
	char when[48];

	snprintf(when, sizeof(when), "at byte %" PRIu64, pos);
	return vp2p__file_failed(fd, name, step, code, when, err);
}
