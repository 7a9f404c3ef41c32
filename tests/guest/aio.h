/* SPDX-License-Identifier: MIT */
/*
 * Many transfers in flight at once, by libaio's system calls and by io_uring:
 * one call submits them all and waits for all; or, by libaio's, one call each.
 */
#ifndef AIO_H
#define AIO_H

#include <linux/aio_abi.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct aio {
	bool write;
	int fd;
	void *at;
	size_t bytes;
	off_t offset;
	ssize_t done;		/* out: bytes, or -errno */
};

/* Until aio_finish(), io must stay.  0 or -errno, and then nothing is in flight. */
int aio_start(aio_context_t *ctx, struct aio *io, unsigned int n);
/* 0 when all have completed; -ETIME if one has not in three quarters of a minute. */
int aio_finish(aio_context_t ctx, unsigned int n);

/* 0, or -errno if not all could be submitted, or have completed. */
int aio_all(struct aio *io, unsigned int n);
int uring_all(struct aio *io, unsigned int n);

#endif
