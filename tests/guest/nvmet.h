/* SPDX-License-Identifier: MIT */
/*
 * nvmet.h - an NVMe target in this kernel, and a connection to it
 *
 * Over "tcp", "rdma" or "loop"; what is exported is a block device of this machine.  TCP
 * goes over the loopback device; RDMA is rxe on a dummy network device.
 */
#ifndef NVMET_H
#define NVMET_H

/* The disk that the connection gives, such as "/dev/nvme2n1", or NULL. */
const char *nvmet_connect(const char *transport, const char *disk);

/* Everything away again, the connection first.  0 or -errno. */
int nvmet_disconnect(void);

#endif
