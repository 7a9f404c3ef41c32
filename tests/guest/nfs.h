/* SPDX-License-Identifier: MIT */
/*
 * nfs.h - the kernel's own NFS server and mounts of it, in this machine
 *
 *	nfs_serve("/mnt/ext4");
 *	...
 *	folder = nfs_mount(&(struct nfs_mount){ .version = NFS_V4 });
 *	...
 *	nfs_umount();
 *	...
 *	nfs_end();
 *
 * There are no daemons: what exportfs and rpc.mountd would tell the kernel is written
 * into its caches beforehand, the root's file handle of version 3 comes from nfsd
 * itself, and a process of a few lines stands in for rpcbind and nfsdcld
 * (nfs_daemons.c).
 *
 * Between the client and the server may be a relay (nfs_relay.c): then the test says
 * at which byte nothing comes through any more, and when it does again.
 */
#ifndef NFS_H
#define NFS_H

#include <stdbool.h>
#include <stdint.h>

/* Where they listen. */
#define NFS_PORT	2049
#define NFS_RDMA_PORT	20049
#define NFS_RELAY_PORT	2050
/* The address of the interface that has an RDMA device. */
#define NFS_RDMA_ADDRESS "10.77.0.1"

/*
 * The server, which exports one folder (a string that lasts).  Ends the program if it cannot be done.  The
 * suite has the modules "nfsd", "nfsv3" and "nfsv4" available; for RDMA "rpcrdma",
 * "rdma_rxe" and "dummy" as well.
 */
void nfs_serve(const char *folder, bool rdma);
void nfs_end(void);
/* The server goes, with all it knows of its clients; and comes back. 0 or -errno. */
int nfs_server_stop(void);
int nfs_server_start(void);
const char *nfs_exported(void);

enum nfs_version { NFS_V3, NFS_V4 };	/* the latter is 4.2 */

struct nfs_mount {
	enum nfs_version version;
	bool rdma;
	bool relayed;
	bool soft;		/* gives up after NFS_SOFT_MS */
};

#define NFS_SOFT_MS 6000

/* Where it is mounted, below /mnt, or NULL with errno set; one at a time. */
const char *nfs_mount(const struct nfs_mount *how);
int nfs_umount(void);

/*
 * The relay.  nfs_relay_hold(): once so many bytes more have passed to the client,
 * or to the server, nothing passes any more in either direction.
 */
enum nfs_direction { NFS_TO_CLIENT, NFS_TO_SERVER };

void nfs_relay_begin(void);
void nfs_relay_hold(enum nfs_direction direction, uint64_t bytes);
bool nfs_relay_holds(void);
void nfs_relay_release(void);
/* Ends all connections; until _open() nobody gets a new one. */
void nfs_relay_cut(void);
void nfs_relay_open(void);
/* Bytes that have passed so far. */
uint64_t nfs_relay_passed(enum nfs_direction direction);

#endif
