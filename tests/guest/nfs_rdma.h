/* SPDX-License-Identifier: MIT */
/* nfs_rdma.h - an RDMA device of software, on an interface that leads nowhere */
#ifndef NFS_RDMA_H
#define NFS_RDMA_H

/* rxe on dummy0, which has NFS_RDMA_ADDRESS. 0 or -errno. */
int nfs_rdma_device(void);

#endif
