// SPDX-License-Identifier: MIT
/*
 * transfer.c - what becomes of one transfer, pure
 *
 *	complete, no revocation since the look before	it has ended
 *	short, no revocation				the file's end, or the rest
 *	complete, short or EFAULT, a revocation began	once the device is live: go on if
 *							the generation is the same, else
 *							its memory may be lost
 *	EFAULT, no revocation; any other errno		an error
 *
 * A complete request is not taken for good when a revocation began beside it: it may
 * have been several bios, and the device's memory may have been wiped between two.
 */
#include <errno.h>
#include <inttypes.h>

#include "transfer.h"

#define RESTARTS	8
/* Requests without progress and without a revocation to blame, in a row. */
#define MAX_STALLS	3

static const char *step(bool out)
{
	return out ? "write from a window" : "read into a window";
}

static const char *device_of(const struct vp2p__transfer *t)
{
	return t->io->window->dev->name;
}

static uint64_t revocations(const struct vp2p_state *state)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < sizeof(state->revokes) / sizeof(state->revokes[0]); i++)
		sum += state->revokes[i];
	return sum;
}

/* ---------------------------------------------------------------- rules --- */

static bool fits_blocks(const struct vp2p__transfer *t, const struct vp2p__dio *dio)
{
	return vp2p__aligned(t->window_offset, dio->mem_align) &&
	       vp2p__aligned(t->file_offset, dio->file_align) &&
	       vp2p__aligned(t->length, dio->file_align);
}

static int fail_blocks(const struct vp2p__transfer *t, const struct vp2p__file *file,
		       struct vp2p_error *err)
{
	return vp2p__fail(err, EINVAL, file->name, step(t->out),
			  "window offset %" PRIu64 ", file offset %" PRIu64 " and length %"
			  PRIu64 " are not multiples of %" PRIu64 ", %" PRIu64 " and %" PRIu64
			  " bytes" MEND "keep to vp2p_io_describe(), or open with "
			  "VP2P_IO_ALLOW_BUFFERED", t->window_offset, t->file_offset, t->length,
			  file->dio.mem_align, file->dio.file_align, file->dio.file_align);
}

static int check(const struct vp2p__transfer *t, const struct vp2p_transfer *what,
		 struct vp2p_error *err)
{
	const char *device = device_of(t);
	uint64_t limit = t->io->window->length;

	if ((what->direction != VP2P_FILE_TO_WINDOW &&
	     what->direction != VP2P_WINDOW_TO_FILE) || what->reserved || !t->length)
		return vp2p__fail(err, EINVAL, device, step(t->out),
				  "direction %u, length %" PRIu64 " or a reserved field makes no "
				  "sense" MEND "zero the structure first, then give a direction and "
				  "a length", what->direction, t->length);
	if (!(t->io->flags & (t->out ? VP2P_IO_WRITE : VP2P_IO_READ)))
		return vp2p__fail(err, EBADF, device, step(t->out),
				  "the file was not opened for it by vp2p_io_open()" MEND
				  "open it with %s", t->out ? "VP2P_IO_WRITE" : "VP2P_IO_READ");
	if (!vp2p__within(t->window_offset, t->length, limit))
		return vp2p__fail(err, ERANGE, device, step(t->out),
				  "offset %" PRIu64 " and length %" PRIu64 " do not lie within the "
				  "window of %" PRIu64 " bytes" MEND "transfer less",
				  t->window_offset, t->length, limit);
	if (!vp2p__within(t->file_offset, t->length, INT64_MAX))
		return vp2p__fail(err, EINVAL, device, step(t->out),
				  "file offset %" PRIu64 " and length %" PRIu64 " are beyond what "
				  "a file can be" MEND "give a lower offset", t->file_offset,
				  t->length);
	return 0;
}

int vp2p__transfer_init(struct vp2p__transfer *t, struct vp2p_io *io,
			const struct vp2p_transfer *what, struct vp2p_error *err)
{
	const struct vp2p__file *file;
	int rc;

	*t = (struct vp2p__transfer){
		.io = io,
		.out = what->direction == VP2P_WINDOW_TO_FILE,
		.window_offset = what->window_offset,
		.file_offset = what->file_offset,
		.length = what->length,
	};
	rc = check(t, what, err);
	if (rc)
		return rc;
	file = &io->file[t->out];
	t->direct = fits_blocks(t, &file->dio);
	if (t->direct || (io->flags & VP2P_IO_ALLOW_BUFFERED))
		return 0;
	return fail_blocks(t, file, err);
}

/* ------------------------------------------------------------- requests --- */

void *vp2p__transfer_buffer(const struct vp2p__transfer *t, uint64_t *length)
{
	uint64_t left = t->length - t->pos;

	*length = left < VP2P__CHUNK_MAX ? left : VP2P__CHUNK_MAX;
	return t->io->base + t->window_offset + t->pos;
}

int vp2p__transfer_fd(const struct vp2p__transfer *t)
{
	const struct vp2p__file *file = &t->io->file[t->out];

	return t->direct ? file->direct : file->plain;
}

/* ------------------------------------------------------------ decisions --- */

static int fail_lost(const struct vp2p__transfer *t, struct vp2p_error *err)
{
	return vp2p__fail(err, ESTALE, device_of(t), step(t->out),
			  "the device was reset after %" PRIu64 " of %" PRIu64 " bytes and %u "
			  "new starts: its memory may be lost" MEND
			  "have the device make its data again, then repeat; or declare that its "
			  "memory survives (VP2P_IO_MEMORY_KEPT)", t->pos, t->length,
			  t->restarts);
}

static int fail_gone(const struct vp2p__transfer *t, struct vp2p_error *err)
{
	return vp2p__fail(err, ENODEV, device_of(t), step(t->out),
			  "it was removed or has failed for good" MEND
			  "plug it in or bind it again, then open it anew");
}

/* One that must not be repeated and has met a revocation. */
static int fail_met(const struct vp2p__transfer *t, const struct vp2p_state *look,
		    struct vp2p_error *err)
{
	if (t->cancelled)
		return vp2p__fail(err, ECANCELED, device_of(t), step(t->out),
				  "it was cancelled after %" PRIu64 " of %" PRIu64 " bytes" MEND
				  "submit it again if it is needed", t->pos, t->length);
	return vp2p__fail(err, EAGAIN, device_of(t), step(t->out),
			  "the device is %s: a revocation was met after %" PRIu64 " of %" PRIu64
			  " bytes" MEND "repeat it once vp2p_wait_live() has returned",
			  vp2p_state_name(look->state), t->pos, t->length);
}

static bool complete(const struct vp2p__transfer *t)
{
	return t->eof || t->pos == t->length;
}

/* The generation has changed since the last look; 0 if that does no harm. */
static int lose(struct vp2p__transfer *t, struct vp2p_error *err)
{
	if ((t->io->flags & VP2P_IO_MEMORY_KEPT) || (!t->pos && !t->eof))
		return 0;
	if (t->out || (t->io->flags & VP2P_IO_NO_RETRY) || t->cancelled ||
	    t->restarts == RESTARTS)
		return fail_lost(t, err);
	t->restarts++;
	t->pos = 0;
	t->eof = false;
	return 0;
}

enum vp2p__next vp2p__transfer_resume(struct vp2p__transfer *t,
				      const struct vp2p_state *look, int *result,
				      struct vp2p_error *err)
{
	bool again = !(t->io->flags & VP2P_IO_NO_RETRY) && !t->cancelled;

	*result = 0;
	if (look->state == VP2P_STATE_GONE) {
		*result = fail_gone(t, err);
		return VP2P__END;
	}
	if (look->state != VP2P_STATE_LIVE) {
		if (again)
			return VP2P__PARK;
		*result = fail_met(t, look, err);
		return VP2P__END;
	}
	if (t->looked && look->generation != t->generation)
		*result = lose(t, err);
	t->generation = look->generation;
	t->begun = revocations(look);
	if (*result || complete(t))
		return VP2P__END;
	if (t->cancelled || (t->looked && !again)) {
		*result = fail_met(t, look, err);
		return VP2P__END;
	}
	t->looked = true;
	return VP2P__SUBMIT;
}

/*
 * Takes the bytes in.  A direct read that ends inside of a block has met the file's
 * end, unless a revocation cut it; else the next request starts at a block again.
 */
static void take(struct vp2p__transfer *t, uint64_t moved, bool disturbed)
{
	uint64_t align = t->io->file[t->out].dio.file_align;

	if (t->direct && !vp2p__aligned(moved, align)) {
		t->eof = !t->out && !disturbed;
		if (!t->eof)
			moved = vp2p__round_down(moved, align);
	}
	t->pos += moved;
	t->stalls = moved ? 0 : t->stalls;
}

static enum vp2p__next end_with(const struct vp2p__transfer *t, int code, int *result,
				struct vp2p_error *err)
{
	*result = vp2p__io_explain(t->io, t->out, code, t->pos, err);
	return VP2P__END;
}

/* An answer that no revocation explains; @before: bytes in place until then. */
static enum vp2p__next judge(struct vp2p__transfer *t, int64_t res, uint64_t before,
			     int *result, struct vp2p_error *err)
{
	if (res == -EFAULT)
		return end_with(t, EFAULT, result, err);
	if (!res && !t->out)
		t->eof = true;
	if (complete(t))
		return VP2P__END;
	if (t->cancelled) {
		*result = fail_met(t, NULL, err);
		return VP2P__END;
	}
	if (t->pos == before && ++t->stalls == MAX_STALLS)
		return end_with(t, res < 0 ? (int)-res : EIO, result, err);
	return VP2P__SUBMIT;
}

enum vp2p__next vp2p__transfer_landed(struct vp2p__transfer *t, int64_t res,
				      const struct vp2p_state *look, int *result,
				      struct vp2p_error *err)
{
	bool disturbed = look->state != VP2P_STATE_LIVE ||
			 look->generation != t->generation ||
			 revocations(look) != t->begun;
	uint64_t before = t->pos;
	enum vp2p__next next;

	*result = 0;
	/* The last three: the request was not made, or not to its end. */
	if (res < 0 && res != -EFAULT && res != -EINTR && res != -EAGAIN &&
	    res != -ECANCELED)
		return end_with(t, (int)-res, result, err);
	if (res > 0)
		take(t, (uint64_t)res, disturbed);
	if (!disturbed)
		return judge(t, res, before, result, err);
	next = vp2p__transfer_resume(t, look, result, err);
	t->report.retries += next != VP2P__END;
	return next;
}

int64_t vp2p__transfer_end(struct vp2p__transfer *t, int result)
{
	/* What was in place before the memory was lost is not any more. */
	uint64_t bytes = result == -ESTALE && !t->out ? 0 : t->pos;

	t->report.bytes_p2p = t->direct ? bytes : 0;
	t->report.bytes_bounced = t->direct ? 0 : bytes;
	t->report.generation = t->generation;
	t->report.route = t->direct && bytes ? t->io->route : VP2P_ROUTE_NONE;
	return result ? result : (int64_t)bytes;
}
