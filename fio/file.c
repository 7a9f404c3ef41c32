// SPDX-License-Identifier: MIT
/*
 * file.c - can this file go peer-to-peer?
 *
 * Asked once for each file a job opens, before its first request: the answer names
 * the layer or the disk that cannot, where the kernel has an errno only.
 */
#include "engine.h"

static int no_route(const struct job *job, int fd, const char *name, const char *job_name,
		    struct vp2p_error *err)
{
	struct vp2p_peer_list *list;
	int rc = vp2p_peer_for_fd(job->device->dev, fd, &list, err);
	size_t i;

	if (rc)
		return rc;
	for (i = 0; i < list->count && !rc; i++)
		if (list->peer[i].route == VP2P_ROUTE_NONE)
			rc = refuse(err, EOPNOTSUPP, job_name, list->peer[i].remedy,
				    "no peer-to-peer DMA for %s: %s at the end of %s: %s", name,
				    list->peer[i].name, list->peer[i].path,
				    list->peer[i].reason);
	vp2p_peer_list_free(list);
	return rc;
}

static int check_blocks(struct thread_data *td, const struct fio_file *f,
			const struct vp2p_io_info *info, struct vp2p_error *err)
{
	if (!(td_min_bs(td) % info->file_align))
		return 0;
	return refuse(err, EINVAL, td->o.name, "a bs= that is",
		      "bs=%llu is no multiple of the %llu bytes that direct I/O on %s moves",
		      td_min_bs(td), (unsigned long long)info->file_align, f->file_name);
}

static void tell(struct thread_data *td, const struct fio_file *f,
		 const struct vp2p_io_info *info)
{
	struct job *job = options_of(td)->job;
	uint64_t at = vp2p_window_offset(job->win) + job->mine.at;

	if (job->told)
		return;
	job->told = true;
	remark("%s: %llu bytes of buffers in BAR %u of %s, from 0x%llx on; %s: route %s",
	       td->o.name, (unsigned long long)job->mine.length, vp2p_window_bar(job->win),
	       job->device->bdf, (unsigned long long)at, f->file_name,
	       vp2p_route_name(info->route));
	if (td_write(td) && !td->subjob_number &&
	    (td->flags & (TD_F_SCRAMBLE_BUFFERS | TD_F_REFILL_BUFFERS)))
		remark("%s: the CPU writes into the window before each write, and the figures "
		       "include it; scramble_buffers=0 and refill_buffers=0 leave it out",
		       td->o.name);
}

int file_check(struct thread_data *td, const struct fio_file *f)
{
	struct job *job = options_of(td)->job;
	unsigned int flags = td_write(td) ? VP2P_IO_WRITE : 0;
	struct vp2p_io_info info;
	struct vp2p_error err;
	struct vp2p_io *io;
	int rc;

	if (td_read(td) || !flags)
		flags |= VP2P_IO_READ;
	if (vp2p_io_open(job->win, f->fd, flags, 0, &io, &err))
		return complain(td, &err);
	vp2p_io_describe(io, &info);
	vp2p_io_close(io);
	rc = info.route == VP2P_ROUTE_NONE ?
	     no_route(job, f->fd, f->file_name, td->o.name, &err) : 0;
	if (!rc)
		rc = check_blocks(td, f, &info, &err);
	if (rc)
		return complain(td, &err);
	tell(td, f, &info);
	return 0;
}
