// SPDX-License-Identifier: MIT
/* Many transfers in flight at once: see aio.h. */
#define _GNU_SOURCE
#include "aio.h"
#include "harness.h"

#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MOST 128
#define LOST_S 45	/* longer than the kernel needs to reset a disk that does not answer */

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

/* A call sends those before the first that it refuses: the next one tells why. */
static int send_all(aio_context_t ctx, struct iocb **list, unsigned int n)
{
	unsigned int sent = 0;

	while (sent < n) {
		long now = syscall(SYS_io_submit, ctx, (long)(n - sent), list + sent);

		if (now <= 0)
			return now ? -errno : -EIO;
		sent += now;
	}
	return 0;
}

int aio_start(aio_context_t *ctx, struct aio *io, unsigned int n)
{
	struct iocb cb[MOST], *list[MOST];
	int err;

	*ctx = 0;
	if (n > MOST)
		return -EINVAL;
	if (syscall(SYS_io_setup, MOST, ctx))
		return -errno;
	for (unsigned int i = 0; i < n; i++) {
		to_iocb(&io[i], &cb[i]);
		list[i] = &cb[i];
	}
	err = send_all(*ctx, list, n);
	if (err)
		syscall(SYS_io_destroy, *ctx);	/* waits for those that were submitted */
	return err;
}

/*
 * A call may return early, with some or with EINTR, though there is no signal: the
 * end of an io_uring that this task has closed comes as work that looks like one.
 */
int aio_finish(aio_context_t ctx, unsigned int n)
{
	uint64_t end = h_now_ns() + LOST_S * 1000000000ull;
	struct io_event events[MOST];
	unsigned int done = 0;

	while (done < n) {
		struct timespec second = { 1, 0 };
		long now = syscall(SYS_io_getevents, ctx, 1l, (long)(n - done), events, &second);

		if (now < 0 && errno != EINTR)
			return -errno;
		for (long i = 0; i < now; i++)
			((struct aio *)(uintptr_t)events[i].data)->done = events[i].res;
		done += now > 0 ? now : 0;
		/* The context stays: to destroy it would wait for what is lost. */
		if (done < n && h_now_ns() > end)
			return -ETIME;
	}
	syscall(SYS_io_destroy, ctx);
	return 0;
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
