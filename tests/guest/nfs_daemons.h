/* SPDX-License-Identifier: MIT */
/* nfs_daemons.h - what the NFS server wants to talk to, in a process of a few lines */
#ifndef NFS_DAEMONS_H
#define NFS_DAEMONS_H

#include <stdbool.h>

/* Before the server starts, until after it has stopped. */
bool nfs_daemons_begin(void);
void nfs_daemons_end(void);

#endif
