// SPDX-License-Identifier: MIT
/*
 * Mounts of this machine's NFS server: see nfs.h.
 *
 * A version 3 mount would ask rpc.mountd for the root's file handle.  The old, binary
 * form of mount(2) brings it along; version 4 needs none.
 */
#define _GNU_SOURCE
#include "nfs.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/nfs_mount.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "harness.h"

#define AT "/mnt/nfs"
#define SIZE (1 << 20)
/* Tenths of a second until a call is repeated, and how often: NFS_SOFT_MS in all. */
#define PATIENCE 20
#define RETRIES 1

/* The file handle of the export's root, as nfsd makes them. */
static bool root_handle(const char *folder, struct nfs3_fh *handle)
{
	int fd = open("/proc/fs/nfsd/filehandle", O_RDWR | O_CLOEXEC);
	char text[300];
	ssize_t n = snprintf(text, sizeof(text), "here %s 64\n", folder);
	unsigned int byte;

	n = write(fd, text, (size_t)n) == n ? read(fd, text, sizeof(text) - 1) : -1;
	close(fd);
	if (n < 4)
		return false;
	text[n] = 0;
	/* \x and two digits a byte */
	handle->size = 0;
	for (const char *at = text + 2; handle->size < NFS3_FHSIZE && sscanf(at, "%2x", &byte) == 1;
	     at += 2)
		handle->data[handle->size++] = (unsigned char)byte;
	return handle->size;
}

static int mount_v3(const struct nfs_mount *how)
{
	struct nfs_mount_data data = {
		.version = NFS_MOUNT_VERSION,
		.flags = NFS_MOUNT_VER3 | NFS_MOUNT_TCP | NFS_MOUNT_NONLM | NFS_MOUNT_NOACL |
			 (how->soft ? NFS_MOUNT_SOFT : 0),
		.rsize = SIZE, .wsize = SIZE,
		.timeo = PATIENCE, .retrans = RETRIES,
		.hostname = "here",
		.addr = {
			.sin_family = AF_INET,
			.sin_port = htons(how->relayed ? NFS_RELAY_PORT : NFS_PORT),
			.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		},
	};

	if (!root_handle(nfs_exported(), &data.root)) {
		errno = ENXIO;
		return -1;
	}
	return mount("here:/", AT, "nfs", 0, &data);
}

static int mount_v4(const struct nfs_mount *how)
{
	const char *address = how->rdma ? NFS_RDMA_ADDRESS : "127.0.0.1";
	char options[256], source[64];

	snprintf(options, sizeof(options),
		 "vers=4.2,proto=%s,port=%d,addr=%s,clientaddr=%s,sec=sys,%s,timeo=%d,retrans=%d,"
		 "rsize=%d,wsize=%d",
		 how->rdma ? "rdma" : "tcp",
		 how->rdma ? NFS_RDMA_PORT : how->relayed ? NFS_RELAY_PORT : NFS_PORT,
		 address, address, how->soft ? "soft" : "hard", PATIENCE, RETRIES, SIZE, SIZE);
	snprintf(source, sizeof(source), "%s:/", address);
	return mount(source, AT, "nfs4", 0, options);
}

const char *nfs_mount(const struct nfs_mount *how)
{
	int rc;

	/* A case that has failed may have left one. */
	umount2(AT, MNT_FORCE);
	umount2(AT, MNT_DETACH);
	rc = how->version == NFS_V3 ? mount_v3(how) : mount_v4(how);
	return rc ? NULL : AT;
}

int nfs_umount(void)
{
	return umount2(AT, 0) ? -errno : 0;
}
