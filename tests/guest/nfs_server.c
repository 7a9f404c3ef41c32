// SPDX-License-Identifier: MIT
/* The NFS server of this machine: see nfs.h. */
#define _GNU_SOURCE
#include "nfs.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness.h"
#include "nfs_daemons.h"
#include "nfs_rdma.h"

#define CONTROL	"/proc/fs/nfsd/"
#define CACHES	"/proc/net/rpc/"
#define THREADS	"4"
/* Seconds since 1970, far away: nothing expires, so nobody is asked again. */
#define NEVER	"9999999999"
/* Any port, no check for subtrees, an fsid of its own: 0, the root. */
#define FLAGS	"9218"

static bool with_rdma;
static const char *exported;

static bool loopback_up(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq req = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	bool up = !ioctl(fd, SIOCSIFFLAGS, &req);

	close(fd);
	return up;
}

/* For all clients, who are one: "here".  Nothing expires, so nobody is asked. */
static int export_folder(void)
{
	static const char *const from[] = { "127.0.0.1", NFS_RDMA_ADDRESS };
	char line[512];
	int rc = 0;

	for (int i = 0; i < 2; i++) {
		snprintf(line, sizeof(line), "nfsd %s " NEVER " here\n", from[i]);
		rc = rc ?: h_write(CACHES "auth.unix.ip/channel", line);
	}
	snprintf(line, sizeof(line), "here %s " NEVER " " FLAGS " 0 0 0\n", exported);
	rc = rc ?: h_write(CACHES "nfsd.export/channel", line);
	/* A file handle of kind 1 has a number for its file system: 0. */
	snprintf(line, sizeof(line), "here 1 \\x00000000 " NEVER " %s\n", exported);
	return rc ?: h_write(CACHES "nfsd.fh/channel", line);
}

int nfs_server_start(void)
{
	char rdma[16];
	int rc = h_write(CONTROL "portlist", "tcp 2049\n");

	snprintf(rdma, sizeof(rdma), "rdma %d\n", NFS_RDMA_PORT);
	rc = rc ?: with_rdma ? h_write(CONTROL "portlist", rdma) : 0;
	/* Its caches are empty now, whatever they were told before. */
	return rc ?: h_write(CONTROL "threads", THREADS "\n") ?: export_folder();
}

int nfs_server_stop(void)
{
	return h_write(CONTROL "threads", "0\n");
}

static bool load_modules(bool rdma)
{
	static const char *const names[] = { "nfsd", "nfsv3", "nfsv4" };

	for (int i = 0; i < 3; i++)
		if (h_modprobe(names[i], NULL))
			return false;
	return !rdma || !h_modprobe("rpcrdma", NULL);
}

void nfs_serve(const char *folder, bool rdma)
{
	int rc;

	exported = folder;
	with_rdma = rdma;
	mkdir("/mnt/nfs", 0755);
	if (!load_modules(rdma) || !loopback_up() || !nfs_daemons_begin())
		h_bail("NFS: modules, network or sockets: %m");
	if (rdma && (rc = nfs_rdma_device()))
		h_bail("NFS: no RDMA device: %s", strerror(-rc));
	if (mount("nfsd", CONTROL, "nfsd", 0, NULL) && errno != EBUSY)
		h_bail("NFS: /proc/fs/nfsd: %m");
	rc = nfs_server_start();
	if (rc)
		h_bail("NFS: the server does not start or export %s: %s", folder, strerror(-rc));
}

void nfs_end(void)
{
	nfs_server_stop();
	umount2(CONTROL, 0);
	nfs_daemons_end();
}

const char *nfs_exported(void)
{
	return exported;
}
