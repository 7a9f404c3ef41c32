// SPDX-License-Identifier: MIT
/* pread.c - one transfer at a time */
#include <errno.h>

#include "transfer.h"

static int64_t request(struct vp2p__transfer *t)
{
	uint64_t length;
	void *buffer = vp2p__transfer_buffer(t, &length);

	return vp2p__host.transfer(vp2p__transfer_fd(t), t->out, buffer, length,
				   (off_t)(t->file_offset + t->pos));
}

/* Drives a transfer to its end; 0 or -errno. */
static int run(struct vp2p__transfer *t, struct vp2p_error *err)
{
	const struct vp2p_device *dev = t->io->window->dev;
	struct vp2p_state look;
	enum vp2p__next next;
	int64_t res;
	int result;
	int rc = vp2p_get_state(dev, &look, err);

	if (rc)
		return rc;
	next = vp2p__transfer_resume(t, &look, &result, err);
	while (next != VP2P__END) {
		if (next == VP2P__PARK)
			rc = vp2p_wait_live(dev, t->io->live_timeout_ms, err);
		else
			res = request(t);
		if (!rc)
			rc = vp2p_get_state(dev, &look, err);
		if (rc)
			return rc;
		next = next == VP2P__PARK ?
			vp2p__transfer_resume(t, &look, &result, err) :
			vp2p__transfer_landed(t, res, &look, &result, err);
	}
	return result;
}

static int64_t transfer(struct vp2p_io *io, const struct vp2p_transfer *what,
			struct vp2p_io_report *report, struct vp2p_error *err)
{
	struct vp2p__transfer t;
	int rc = vp2p__transfer_init(&t, io, what, err);
	int64_t result = rc;

	if (!rc)
		result = vp2p__transfer_end(&t, run(&t, err));
	if (report)
		*report = t.report;
	return result;
}

int64_t vp2p_pread(struct vp2p_io *io, uint64_t window_offset, uint64_t length,
		   uint64_t file_offset, struct vp2p_io_report *report,
		   struct vp2p_error *err)
{
	const struct vp2p_transfer what = {
		.direction = VP2P_FILE_TO_WINDOW, .window_offset = window_offset,
		.file_offset = file_offset, .length = length,
	};

	return transfer(io, &what, report, err);
}

int64_t vp2p_pwrite(struct vp2p_io *io, uint64_t window_offset, uint64_t length,
		    uint64_t file_offset, struct vp2p_io_report *report,
		    struct vp2p_error *err)
{
	const struct vp2p_transfer what = {
		.direction = VP2P_WINDOW_TO_FILE, .window_offset = window_offset,
		.file_offset = file_offset, .length = length,
	};

	return transfer(io, &what, report, err);
}
