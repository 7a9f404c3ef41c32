// SPDX-License-Identifier: MIT
/*
 * copy.c - vp2p_copy(): the engine on a real file and a real window
 *
 * The tail is an ordinary buffered read(2) or write(2) whose buffer is the same
 * mapping of the window: the kernel's own copy, so that a revocation shows as
 * EFAULT there too, where a store of ours could end in SIGBUS.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "file.h"
#include "internal.h"

#define STEP	"copy"

struct copy_ctx {
	const struct vp2p_copy_request *copy;
	struct vp2p__file file;
	char *addr;		/* of the copy's first byte in the window */
};

static int64_t copy_io(void *arg, enum vp2p__how how, uint64_t pos, uint64_t length)
{
	struct copy_ctx *ctx = arg;
	int fd = how == VP2P__DIRECT ? ctx->file.direct : ctx->file.plain;

	return vp2p__host.transfer(fd, ctx->copy->direction == VP2P_WINDOW_TO_FILE,
				   ctx->addr + pos, length,
				   (off_t)(ctx->copy->file_offset + pos));
}

static int copy_look(void *arg, struct vp2p_state *state, struct vp2p_error *err)
{
	struct copy_ctx *ctx = arg;

	return vp2p_get_state(ctx->copy->window->dev, state, err);
}

static int copy_wait_live(void *arg, int timeout_ms, struct vp2p_error *err)
{
	struct copy_ctx *ctx = arg;

	return vp2p_wait_live(ctx->copy->window->dev, timeout_ms, err);
}

static uint64_t copy_now_ns(void *arg)
{
	struct timespec ts;

	(void)arg;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/*
 * The member below the file that cannot do it, if the walk finds one; @routes gets
 * what it finds otherwise.  (The kernel's log does not name a missing route.)
 */
static int explain_peer(const struct copy_ctx *ctx, int code, char *routes, size_t size,
			struct vp2p_error *err)
{
	struct vp2p_peer_list *list;
	int rc = 0;

	if (vp2p_peer_for_fd(ctx->copy->window->dev, ctx->copy->fd, &list, NULL))
		return 0;
	snprintf(routes, size, "%s%s%s: %s%s", list->peer[0].name,
		 list->peer[0].bdf[0] ? " " : "", list->peer[0].bdf, list->peer[0].reason,
		 list->count > 1 ? "; and more members" : "");
	for (size_t i = 0; i < list->count && !rc; i++) {
		const struct vp2p_peer_info *peer = &list->peer[i];

		if (peer->route != VP2P_ROUTE_NONE)
			continue;
		rc = vp2p__fail(err, EOPNOTSUPP, ctx->file.name, STEP,
				"no peer-to-peer DMA (%s): %s%s%s at the end of %s: %s" MEND
				"%s", vp2p__errno_name(code), peer->name,
				peer->bdf[0] ? " " : "", peer->bdf, peer->path,
				peer->reason, peer->remedy);
	}
	vp2p_peer_list_free(list);
	return rc;
}

static int explain_errno(const struct copy_ctx *ctx, int code, uint64_t pos,
			 const char *routes, struct vp2p_error *err)
{
	const char *name = ctx->file.name;

	switch (code) {
	case EFAULT:
		return vp2p__fail(err, EFAULT, name, STEP,
				  "at byte %" PRIu64 " the window's pages could not be used, "
				  "though no reset is under way: the device's memory is switched "
				  "off, or in a low-power state" MEND
				  "enable memory in its PCI command register and leave low "
				  "power; see the kernel log (dmesg)", pos);
	case EREMOTEIO:
		return vp2p__fail(err, EOPNOTSUPP, name, STEP,
				  "a layer below the file refuses peer-to-peer memory "
				  "(EREMOTEIO), though no member that does was found (%s)" MEND
				  "use a file that reaches an NVMe disk without device mapper, "
				  "loop devices or a network in between", routes);
	case EINVAL:
		return vp2p__fail(err, EINVAL, name, STEP,
				  "the file system or its disk refused the request at byte %"
				  PRIu64 ", though no member without a route was found (%s)" MEND
				  "try a smaller chunk; vp2p_peer_for_fd() lists every member "
				  "below the file", pos, routes);
	case ENOSPC:
	case EDQUOT:
		return vp2p__fail(err, code, name, STEP,
				  "no space is left at byte %" PRIu64 MEND
				  "free some, or raise the quota", pos);
	case EIO:
		return vp2p__fail(err, EIO, name, STEP,
				  "the storage failed at byte %" PRIu64 " (%s)" MEND
				  "see the kernel log (dmesg) for the disk's error or an IOMMU "
				  "fault; if there is neither, suspect the platform, and verify "
				  "this route with: vfio-p2p cp --verify", pos, routes);
	default:
		return vp2p__fail(err, code, name, STEP, "at byte %" PRIu64 ": %s" MEND
				  "see the kernel log (dmesg)", pos, strerror(code));
	}
}

static int copy_explain(void *arg, int code, uint64_t pos, struct vp2p_error *err)
{
	const struct copy_ctx *ctx = arg;
	char routes[320] = "its disks are not known";
	int rc = 0;

	if (code == EREMOTEIO || code == EINVAL || code == EOPNOTSUPP || code == EIO)
		rc = explain_peer(ctx, code, routes, sizeof(routes), err);
	return rc ? rc : explain_errno(ctx, code, pos, routes, err);
}

static const struct vp2p__copy_ops copy_ops = {
	.io = copy_io,
	.look = copy_look,
	.wait_live = copy_wait_live,
	.explain = copy_explain,
	.now_ns = copy_now_ns,
};

static bool all_zero(const uint64_t *words, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (words[i])
			return false;
	return true;
}

static int check_args(const struct vp2p_copy_request *c, struct vp2p_error *err)
{
	const uint32_t known = VP2P_COPY_ALLOW_TAIL | VP2P_COPY_MEMORY_KEPT |
			       VP2P_COPY_GENERATION;
	const char *device = c->window ? c->window->dev->name : "window";

	if (!c->window)
		return vp2p__fail(err, EINVAL, device, STEP, "no window was given" MEND
				  "make one with vp2p_window_create()");
	if (c->direction != VP2P_FILE_TO_WINDOW && c->direction != VP2P_WINDOW_TO_FILE)
		return vp2p__fail(err, EINVAL, device, STEP,
				  "direction %u is not defined" MEND
				  "give VP2P_FILE_TO_WINDOW or VP2P_WINDOW_TO_FILE",
				  c->direction);
	if ((c->flags & ~known) || c->reserved0 ||
	    !all_zero(c->reserved, sizeof(c->reserved) / sizeof(c->reserved[0])))
		return vp2p__fail(err, EINVAL, device, STEP,
				  "flags 0x%x or a reserved field are not defined" MEND
				  "zero the structure first, set known flags only", c->flags);
	if (c->live_timeout_ms < -1)
		return vp2p__fail(err, EINVAL, device, STEP,
				  "a timeout of %d ms makes no sense" MEND
				  "give milliseconds, -1 for no limit or 0 for the default",
				  c->live_timeout_ms);
	return 0;
}

static int make_plan(const struct copy_ctx *ctx, struct vp2p__copy_plan *plan,
		     struct vp2p_error *err)
{
	const struct vp2p_copy_request *c = ctx->copy;
	const struct vp2p__copy_rules rules = {
		.direction = c->direction,
		.flags = c->flags,
		.window_length = c->window->length,
		.window_offset = c->window_offset,
		.file_offset = c->file_offset,
		.length = c->length,
		.chunk = c->chunk,
		.file_size = ctx->file.size,
		.mem_align = ctx->file.dio.mem_align,
		.file_align = ctx->file.dio.file_align,
	};

	return vp2p__copy_plan(&rules, plan, ctx->file.name, err);
}

/* Maps what the copy touches, in whole granules, runs it, and unmaps. */
static int run_mapped(struct copy_ctx *ctx, struct vp2p__copy_run *run)
{
	const struct vp2p_copy_request *c = ctx->copy;
	uint64_t from = vp2p__round_down(c->window_offset, VP2P_GRANULE);
	uint64_t end = c->window_offset + (run->plan.request > run->plan.total ?
					   run->plan.request : run->plan.total);
	uint64_t length = vp2p__round_up(end, VP2P_GRANULE) - from;
	unsigned int flags = c->direction == VP2P_WINDOW_TO_FILE ? VP2P_MAP_RDONLY : 0;
	void *base;
	int rc;

	if (!run->plan.total)
		return vp2p__copy_run(run);
	rc = vp2p_map(c->window, from, length, flags, &base, run->err);
	if (rc)
		return rc;
	ctx->addr = (char *)base + (c->window_offset - from);
	rc = vp2p__copy_run(run);
	vp2p_unmap(base, length, NULL);
	return rc;
}

static int copy_all(const struct vp2p_copy_request *c, struct vp2p_copy_result *r,
		    struct vp2p_error *err)
{
	struct copy_ctx ctx = { .copy = c };
	struct vp2p__copy_run run = {
		.ops = &copy_ops, .ctx = &ctx, .copy = c, .err = err, .result = r,
	};
	int rc;

	rc = check_args(c, err);
	if (rc)
		return rc;
	run.device = c->window->dev->name;
	rc = vp2p__file_open(&ctx.file, c->fd, c->direction == VP2P_WINDOW_TO_FILE,
			     c->flags & VP2P_COPY_ALLOW_TAIL, err);
	if (rc)
		return rc;
	rc = make_plan(&ctx, &run.plan, err);
	if (!rc)
		rc = run_mapped(&ctx, &run);
	vp2p__file_close(&ctx.file);
	return rc;
}

int vp2p_copy(const struct vp2p_copy_request *c, struct vp2p_copy_result *r,
	      struct vp2p_error *err)
{
	uint64_t start = copy_now_ns(NULL);
	struct vp2p_copy_result result = { 0 };
	int rc = copy_all(c, &result, err);

	result.elapsed_ns = copy_now_ns(NULL) - start;
	if (r)
		*r = result;
	return rc;
}
