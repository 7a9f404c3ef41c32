// SPDX-License-Identifier: MIT
/* Many transfers in flight at once: see aio.h. */
#define _GNU_SOURCE
#include "aio.h"

#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MOST 128

static void to_iocb(struct aio *io, struct iocb *cb)
{
	*cb = (struct iocb){
		.aio_data = (uintptr_t)io,
		.aio_lio_opcode = io->write ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD,
		.aio_fildes = io->fd,
		.aio_buf = (uintptr_t)io->at,
		.aio_nbytes = io->bytes,
		.aio_offset = io->offset,
	};
}

int aio_start(aio_context_t *ctx, struct aio *io, unsigned int n)
{
	struct iocb cb[MOST], *list[MOST];
	long sent;
	int err;

	*ctx = 0;
	if (n > MOST || syscall(SYS_io_setup, MOST, ctx))
		return -errno;
	for (unsigned int i = 0; i < n; i++) {
		to_iocb(&io[i], &cb[i]);
		list[i] = &cb[i];
	}
	sent = syscall(SYS_io_submit, *ctx, n, list);
	if (sent == n)
		return 0;
	err = sent < 0 ? -errno : -EIO;
	syscall(SYS_io_destroy, *ctx);	/* waits for those that were submitted */
	return err;
}

int aio_finish(aio_context_t ctx, unsigned int n)
{
	struct io_event events[MOST];
	long got = syscall(SYS_io_getevents, ctx, n, n, events, NULL);

	for (long i = 0; i < got; i++)
		((struct aio *)(uintptr_t)events[i].data)->done = events[i].res;
	syscall(SYS_io_destroy, ctx);
	return got == n ? 0 : -EIO;
}

int aio_all(struct aio *io, unsigned int n)
{
	aio_context_t ctx;

	return aio_start(&ctx, io, n) ?: aio_finish(ctx, n);
}

static void prepare(struct io_uring *ring, struct aio *io)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	if (io->write)
		io_uring_prep_write(sqe, io->fd, io->at, io->bytes, io->offset);
	else
		io_uring_prep_read(sqe, io->fd, io->at, io->bytes, io->offset);
	io_uring_sqe_set_data(sqe, io);
}

int uring_all(struct aio *io, unsigned int n)
{
	struct io_uring_cqe *cqe;
	struct io_uring ring;
	int err = io_uring_queue_init(MOST, &ring, 0);

	if (err)
		return err;
	for (unsigned int i = 0; i < n; i++)
		prepare(&ring, &io[i]);
	err = io_uring_submit_and_wait(&ring, n);
	for (unsigned int i = 0; i < n && err >= 0; i++) {
		err = io_uring_wait_cqe(&ring, &cqe);
		if (err)
			break;
		((struct aio *)io_uring_cqe_get_data(cqe))->done = cqe->res;
		io_uring_cqe_seen(&ring, cqe);
	}
	io_uring_queue_exit(&ring);
	return err < 0 ? err : 0;
}
