/* SPDX-License-Identifier: MIT */
/*
 * transfer.h - single transfers: what vp2p_pread() and the queues share
 *
 * A transfer is one or more requests to the kernel.  Before each the device is looked
 * at while it is live, and again after it: what was seen decides what comes next.
 * Nothing here waits or does I/O, so both the blocking call and the queue, which must
 * never block, are driven by it, and tests play every sequence.
 */
#ifndef VP2P_TRANSFER_H
#define VP2P_TRANSFER_H

#include "file.h"
#include "internal.h"

/** struct vp2p_io - immutable once it is open */
struct vp2p_io {
	struct vp2p_window *window;
	struct vp2p__file file[2];	/* of reads, of writes */
	uint32_t flags;
	uint32_t route;
	int32_t live_timeout_ms;	/* -1: no limit */
	char *base;			/* of the window's mapping */
};

/** struct vp2p__transfer - one transfer, under way */
struct vp2p__transfer {
	struct vp2p_io *io;
	bool out;		/* from the window to the file */
	bool direct;		/* else through the page cache */
	bool looked;		/* generation and begun are valid */
	bool eof;
	bool cancelled;
	unsigned int stalls;
	unsigned int restarts;
	uint64_t window_offset;
	uint64_t file_offset;
	uint64_t length;
	uint64_t pos;		/* bytes in place */
	uint64_t generation;	/* of the look before the last request */
	uint64_t begun;		/* revocations begun until then */
	struct vp2p_io_report report;
};

/** enum vp2p__next - what to do with a transfer now */
enum vp2p__next {
	VP2P__SUBMIT,	/* make its next request */
	VP2P__PARK,	/* look again when the device may be live */
	VP2P__END,	/* it has ended with the result */
};

/* 0, or why it breaks a rule. */
int vp2p__transfer_init(struct vp2p__transfer *t, struct vp2p_io *io,
			const struct vp2p_transfer *what, struct vp2p_error *err);

/* The next request's buffer and size; where it goes is pos further on in the file. */
void *vp2p__transfer_buffer(const struct vp2p__transfer *t, uint64_t *length);
int vp2p__transfer_fd(const struct vp2p__transfer *t);

/*
 * Before a request, and whenever a parked one may go on.  @result is 0 or -errno if
 * the transfer ends, and then @err says why.
 */
enum vp2p__next vp2p__transfer_resume(struct vp2p__transfer *t,
				      const struct vp2p_state *look, int *result,
				      struct vp2p_error *err);

/* After a request that answered @res, with a look that was taken since. */
enum vp2p__next vp2p__transfer_landed(struct vp2p__transfer *t, int64_t res,
				      const struct vp2p_state *look, int *result,
				      struct vp2p_error *err);

/* Fills in the report; returns bytes moved or @result. */
int64_t vp2p__transfer_end(struct vp2p__transfer *t, int result);

/* io.c: turns an errno of read(2) or write(2) into an error with a cause. */
int vp2p__io_explain(const struct vp2p_io *io, bool out, int code, uint64_t pos,
		     struct vp2p_error *err);

#endif /* VP2P_TRANSFER_H */
