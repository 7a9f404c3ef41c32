// SPDX-License-Identifier: MIT
/* io.c - a file and a window, ready for transfers */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "transfer.h"

#define STEP	"prepare transfers"
#define LIVE_MS	60000
#define DIRECTIONS	(VP2P_IO_READ | VP2P_IO_WRITE)

static int check_args(const struct vp2p_window *win, unsigned int flags, int timeout,
		      struct vp2p_error *err)
{
	const unsigned int known = DIRECTIONS | VP2P_IO_ALLOW_BUFFERED |
				   VP2P_IO_MEMORY_KEPT | VP2P_IO_NO_RETRY;

	if (!(flags & DIRECTIONS) || (flags & ~known))
		return vp2p__fail(err, EINVAL, win->dev->name, STEP,
				  "flags 0x%x have no direction, or undefined bits" MEND
				  "give VP2P_IO_READ, VP2P_IO_WRITE or both", flags);
	if (timeout < -1)
		return vp2p__fail(err, EINVAL, win->dev->name, STEP,
				  "a timeout of %d ms makes no sense" MEND
				  "give milliseconds, -1 for no limit or 0 for the default",
				  timeout);
	return 0;
}

/* One that fails is left as one that was never opened. */
static int open_file(struct vp2p__file *file, int fd, bool writing, bool plain,
		     struct vp2p_error *err)
{
	struct vp2p__file opened;
	int rc = vp2p__file_open(&opened, fd, writing, plain, err);

	if (!rc)
		*file = opened;
	return rc;
}

static int open_files(struct vp2p_io *io, int fd, struct vp2p_error *err)
{
	static const unsigned int flag[2] = { VP2P_IO_READ, VP2P_IO_WRITE };
	bool plain = io->flags & VP2P_IO_ALLOW_BUFFERED;
	int rc = 0;

	for (int out = 0; out < 2 && !rc; out++)
		if (io->flags & flag[out])
			rc = open_file(&io->file[out], fd, out, plain, err);
	return rc;
}

/* The worst of the routes, since the layers above stripe over all members. */
static uint32_t worst_route(const struct vp2p_io *io, int fd)
{
	struct vp2p_peer_list *list;
	uint32_t worst = VP2P_ROUTE_SWITCH;

	if (vp2p_peer_for_fd(io->window->dev, fd, &list, NULL))
		return VP2P_ROUTE_UNKNOWN;
	for (size_t i = 0; i < list->count; i++) {
		uint32_t route = list->peer[i].route;

		if (route == VP2P_ROUTE_NONE)
			worst = route;
		else if (worst != VP2P_ROUTE_NONE && route > worst)
			worst = route;
	}
	vp2p_peer_list_free(list);
	return worst;
}

int vp2p_io_open(struct vp2p_window *win, int fd, unsigned int flags,
		 int live_timeout_ms, struct vp2p_io **out, struct vp2p_error *err)
{
	struct vp2p_io *io;
	void *base;
	int rc = check_args(win, flags, live_timeout_ms, err);

	if (rc)
		return rc;
	io = calloc(1, sizeof(*io));
	if (!io)
		return vp2p__fail(err, ENOMEM, win->dev->name, STEP, "no memory" MEND
				  "free some");
	io->window = win;
	io->flags = flags;
	io->live_timeout_ms = live_timeout_ms ? live_timeout_ms : LIVE_MS;
	rc = open_files(io, fd, err);
	if (!rc)
		rc = vp2p_map(win, 0, 0, flags & VP2P_IO_READ ? 0 : VP2P_MAP_RDONLY, &base,
			      err);
	if (rc) {
		vp2p_io_close(io);
		return rc;
	}
	io->base = base;
	io->route = worst_route(io, fd);
	*out = io;
	return 0;
}

void vp2p_io_close(struct vp2p_io *io)
{
	if (!io)
		return;
	if (io->base)
		vp2p_unmap(io->base, io->window->length, NULL);
	vp2p__file_close(&io->file[0]);
	vp2p__file_close(&io->file[1]);
	free(io);
}

void vp2p_io_describe(const struct vp2p_io *io, struct vp2p_io_info *info)
{
	const struct vp2p__dio *dio =
		&io->file[io->flags & VP2P_IO_READ ? 0 : 1].dio;

	*info = (struct vp2p_io_info){
		.mem_align = dio->mem_align,
		.file_align = dio->file_align,
		.route = io->route,
	};
}

/* ------------------------------------------------------- what went wrong --- */

/* The member below the file that cannot do it, if there is one; 0 if not. */
static int blame_member(const struct vp2p_io *io, const struct vp2p__file *file,
			const char *step, int code, struct vp2p_error *err)
{
	struct vp2p_peer_list *list;
	int rc = 0;

	if (vp2p_peer_for_fd(io->window->dev, file->direct, &list, NULL))
		return 0;
	for (size_t i = 0; i < list->count && !rc; i++)
		if (list->peer[i].route == VP2P_ROUTE_NONE)
			rc = vp2p__fail(err, EOPNOTSUPP, file->name, step,
					"no peer-to-peer DMA (%s): %s at the end of %s: %s" MEND
					"%s", vp2p__errno_name(code), list->peer[i].name,
					list->peer[i].path, list->peer[i].reason,
					list->peer[i].remedy);
	vp2p_peer_list_free(list);
	return rc;
}

int vp2p__io_explain(const struct vp2p_io *io, bool out, int code, uint64_t pos,
		     struct vp2p_error *err)
{
	const struct vp2p__file *file = &io->file[out];
	const char *step = out ? "write from a window" : "read into a window";
	int rc = vp2p__file_failed_at(file->direct, file->name, step, code, pos, err);

	if (!rc && (code == EREMOTEIO || code == EINVAL || code == EOPNOTSUPP))
		rc = blame_member(io, file, step, code, err);
	if (rc)
		return rc;
	if (code == EFAULT)
		return vp2p__fail(err, EFAULT, file->name, step,
				  "at byte %" PRIu64 " the window's pages could not be used, though "
				  "no reset is under way" MEND
				  "enable memory in the device's PCI command register and leave low "
				  "power; see the kernel log (dmesg)", pos);
	if (code == EREMOTEIO)
		return vp2p__fail(err, EOPNOTSUPP, file->name, step,
				  "a layer below the file refuses peer-to-peer memory "
				  "(EREMOTEIO), as this request has shown" MEND
				  "use vp2p_copy() instead, and " VP2P__BOUNCE_REMEDY);
	return vp2p__fail(err, code, file->name, step,
			  "at byte %" PRIu64 " the kernel answered: %s" MEND
			  "see the kernel log (dmesg); vp2p_peer_for_fd() lists every member "
			  "below the file", pos, strerror(code));
}
