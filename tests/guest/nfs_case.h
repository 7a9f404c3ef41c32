/* SPDX-License-Identifier: MIT */
/* nfs_case.h - what the tests of NFS over TCP and over RDMA share */
#ifndef NFS_CASE_H
#define NFS_CASE_H

#include <stdint.h>
#include <sys/types.h>

#include "nfs.h"

#define NFS_MIB (1 << 20)

/*
 * What the kernel answers if the mount's file is read into, and written from, the
 * memory itself, by the raw interface: bytes or -errno.  Both must agree.
 */
int nfs_native(const char *path);
/*
 * The tool must take the kernel at its word: copy peer-to-peer, or refuse and name
 * the remedy; and bounce both ways when asked.  Of 9 MiB and some bytes.  A kernel of
 * which docs/nfs.md says what it answers has to answer that.
 */
void nfs_refuses_and_bounces(const char *folder);

/* The device's next owner, by the raw interface: 16 MiB of its memory are @byte. */
void nfs_fill(unsigned char byte);
/* Are they still?  Then it lets the device go. */
void nfs_check_filled(unsigned char byte);
/* An owner that has come and gone; does the memory still have its bytes? */
void nfs_owner(unsigned char byte);
void nfs_check_owner(unsigned char byte);

/* Does this thread stand in that function of the kernel? */
bool nfs_stands_in(pid_t pid, const char *function);

/* Has the file no byte but 0 and @byte?  *@found: how many are @byte. */
bool nfs_only(const char *path, unsigned char byte, uint64_t *found);
/* A file of zeros. */
bool nfs_zeros(const char *path, uint64_t size);

#endif
