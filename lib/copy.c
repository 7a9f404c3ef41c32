// SPDX-License-Identifier: MIT
/*
 * copy.c - vp2p_copy(): the engine on a real file and a real window
 *
 * Whether a file can go peer-to-peer nobody is asked: the copy's first request is the
 * probe.  It moves nothing if it is refused (EREMOTEIO; EFAULT or EINVAL), and what it
 * has moved needs no second one.
 *
 * Bytes go peer-to-peer, or if that is asked for by the CPU: all of them (forced),
 * all from the one on that was refused, or the tail alone.  The tail alone is an
 * ordinary buffered read(2) or write(2) whose buffer is the same mapping of the
 * window: the kernel's own copy, so that a revocation shows as EFAULT there too,
 * where a store of ours could end in SIGBUS.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "bounce.h"
#include "file.h"
#include "internal.h"

#define STEP	"copy"

/* struct view - the copy's part of the window, mapped */
struct view {
	void *base;
	uint64_t length;
	char *addr;		/* of the copy's first byte */
};

struct copy_ctx {
	const struct vp2p_copy_request *copy;
	struct vp2p__copy_run *run;
	struct vp2p__file file;
	struct view p2p;
	struct view cpu;
	struct vp2p__bounce *bounce;	/* once bytes go through host RAM */
	bool canceled;
};

static bool to_file(const struct copy_ctx *ctx)
{
	return ctx->copy->direction == VP2P_WINDOW_TO_FILE;
}

static int64_t copy_io(void *arg, enum vp2p__how how, uint64_t pos, uint64_t length)
{
	struct copy_ctx *ctx = arg;
	int fd = how == VP2P__DIRECT ? ctx->file.direct : ctx->file.plain;
	int64_t moved;

	if (how == VP2P__DIRECT || !ctx->bounce)
		return vp2p__transfer(fd, to_file(ctx), ctx->p2p.addr + pos, length,
				      (off_t)(ctx->copy->file_offset + pos));
	if (ctx->canceled)
		return -ECANCELED;
	moved = vp2p__bounce_move(ctx->bounce, pos, length);
	/* What is in place counts; the next call ends it. */
	return ctx->canceled && moved <= 0 ? -ECANCELED : moved;
}

/* Whatever it sees that is wrong the engine sees too, and knows what to do. */
static bool copy_in_time(void *arg, uint64_t pos)
{
	struct copy_ctx *ctx = arg;
	const struct vp2p_copy_request *copy = ctx->copy;
	struct vp2p_state state;

	if (copy->progress && copy->progress(pos, ctx->run->plan.total, copy->progress_arg))
		ctx->canceled = true;
	return !ctx->canceled && !vp2p_get_state(copy->window->dev, &state, NULL) &&
	       state.state == VP2P_STATE_LIVE;
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
 * A file system without a disk, of which only a try tells, and has told: of NFS about the
 * mount itself, of an overlay about whatever lies below.
 */
static int blame_mount(const struct copy_ctx *ctx, const struct vp2p_peer_list *list,
		       struct vp2p_error *err)
{
	const struct vp2p_peer_info *fs = &list->peer[0];

	if (*list->disk || strcmp(fs->name, list->fs))
		return 0;
	if (strcmp(list->fs, "nfs"))
		return vp2p__fail(err, EOPNOTSUPP, ctx->file.name, STEP,
				  "a layer below this %s refuses peer-to-peer memory (EREMOTEIO): "
				  "%s" MEND "%s; or " VP2P__BOUNCE_REMEDY, list->fs, fs->reason,
				  fs->remedy);
	return vp2p__fail(err, EOPNOTSUPP, ctx->file.name, STEP,
			  "this %s mount refuses peer-to-peer memory (EREMOTEIO), as the first "
			  "request has shown" MEND "use a file on an NVMe disk of this machine; or "
			  VP2P__BOUNCE_REMEDY, list->fs);
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
				"%s; or " VP2P__BOUNCE_REMEDY, vp2p__errno_name(code), peer->name,
				peer->bdf[0] ? " " : "", peer->bdf, peer->path,
				peer->reason, peer->remedy);
	}
	if (!rc && code == EREMOTEIO)
		rc = blame_mount(ctx, list, err);
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
				  "off, or in a low-power state%s" MEND
				  "enable memory in its PCI command register and leave low "
				  "power; see the kernel log (dmesg)%s", pos, ctx->bounce ? "" :
				  ", or the file system refuses it", ctx->bounce ? "" :
				  "; or " VP2P__BOUNCE_REMEDY);
	case EREMOTEIO:
		return vp2p__fail(err, EOPNOTSUPP, name, STEP,
				  "a layer below the file refuses peer-to-peer memory "
				  "(EREMOTEIO), though no member that does was found (%s)" MEND
				  "use a file that reaches an NVMe disk without device mapper, "
				  "loop devices or a network in between; or "
				  VP2P__BOUNCE_REMEDY, routes);
	case EINVAL:
		if (ctx->bounce)
			break;
		return vp2p__fail(err, EINVAL, name, STEP,
				  "the file system or its disk refused the request at byte %"
				  PRIu64 ", though no member without a route was found (%s)" MEND
				  "try a smaller chunk; vp2p_peer_for_fd() lists every member "
				  "below the file; or " VP2P__BOUNCE_REMEDY, pos, routes);
	case ENOSPC:
	case EDQUOT:
		return vp2p__fail(err, code, name, STEP,
				  "no space is left at byte %" PRIu64 MEND
				  "free some, or raise the quota", pos);
	case ECANCELED:
		return vp2p__fail(err, code, name, STEP,
				  "the progress function ended it after %" PRIu64 " bytes" MEND
				  "copy again if that was not meant", pos);
	case EIO:
		if (ctx->bounce)
			break;
		return vp2p__fail(err, EIO, name, STEP,
				  "the storage failed at byte %" PRIu64 " (%s)" MEND
				  "see the kernel log (dmesg) for the disk's error or an IOMMU "
				  "fault; if there is neither, suspect the platform, and verify "
				  "this route with: vfio-p2p cp --verify", pos, routes);
	}
	return vp2p__fail(err, code, name, STEP, "at byte %" PRIu64 ": %s" MEND
			  "see the kernel log (dmesg)", pos, strerror(code));
}

static int copy_explain(void *arg, int code, uint64_t pos, struct vp2p_error *err)
{
	const struct copy_ctx *ctx = arg;
	char routes[320] = "its disks are not known";
	int rc = vp2p__file_failed_at(ctx->copy->fd, ctx->file.name, STEP, code, pos, err);

	/* What host RAM meets has nothing to do with routes. */
	if (!rc && !ctx->bounce &&
	    (code == EREMOTEIO || code == EINVAL || code == EOPNOTSUPP || code == EIO))
		rc = explain_peer(ctx, code, routes, sizeof(routes), err);
	return rc ? rc : explain_errno(ctx, code, pos, routes, err);
}

static void unmap_view(struct view *view)
{
	if (view->base)
		vp2p_unmap(view->base, view->length, NULL);
}

/* What the copy touches, in whole granules. */
static int map_view(const struct copy_ctx *ctx, const struct vp2p_window *win,
		    struct view *view, struct vp2p_error *err)
{
	const struct vp2p__copy_plan *plan = &ctx->run->plan;
	uint64_t first = ctx->copy->window_offset;
	uint64_t from = vp2p__round_down(first, VP2P_GRANULE);
	uint64_t end = first + (plan->request > plan->total ? plan->request : plan->total);
	int rc;

	view->length = vp2p__round_up(end, VP2P_GRANULE) - from;
	rc = vp2p_map(win, from, view->length, to_file(ctx) ? VP2P_MAP_RDONLY : 0,
		      &view->base, err);
	if (rc)
		view->base = NULL;
	else
		view->addr = (char *)view->base + (first - from);
	return rc;
}

/* Write-combining if the BAR allows it. */
static int map_for_cpu(struct copy_ctx *ctx, struct vp2p_error *err)
{
	struct vp2p_window *own = ctx->copy->window, *combining;
	int rc;

	if (vp2p_window_find(own->dev, own->id, VP2P_WINDOW_WC, &combining, NULL))
		return map_view(ctx, own, &ctx->cpu, err);
	rc = map_view(ctx, combining, &ctx->cpu, err);
	vp2p_window_destroy(combining);
	return rc;
}

/* From now on the CPU moves what is left. */
static int start_bounce(struct copy_ctx *ctx, enum vp2p_bounce_reason reason,
			uint64_t *chunk, struct vp2p_error *err)
{
	struct vp2p__bounce_job job = {
		.file = &ctx->file,
		.file_offset = ctx->copy->file_offset,
		.to_file = to_file(ctx),
		.chunk = ctx->copy->chunk,
		.depth = ctx->copy->bounce_depth,
		.in_time = copy_in_time,
		.ctx = ctx,
	};
	int rc = map_for_cpu(ctx, err);

	if (rc)
		return rc;
	job.view = ctx->cpu.addr;
	rc = vp2p__bounce_start(&job, &ctx->bounce);
	if (rc)
		return vp2p__fail(err, -rc, ctx->file.name, STEP,
				  "no buffers or threads to copy through host RAM: %s" MEND
				  "use a smaller chunk or depth, or raise ulimit -u and -v",
				  strerror(-rc));
	*chunk = vp2p__bounce_batch(ctx->bounce);
	ctx->run->result->bounce_reason = reason;
	return 0;
}

static int copy_degrade(void *arg, int code, uint64_t *chunk, struct vp2p_error *err)
{
	struct copy_ctx *ctx = arg;

	/* A file system that cannot take the memory may call it a wrong address. */
	bool refused = code == -EOPNOTSUPP || code == -EINVAL ||
		       (code == -EFAULT && !ctx->run->pos);

	if (!(ctx->copy->flags & VP2P_COPY_BOUNCE_ALLOW) || !refused)
		return code;
	return start_bounce(ctx, VP2P_BOUNCE_REFUSED, chunk, err);
}

/* Only a source has holes; and who has given up does not ask its server once more. */
static uint64_t copy_zeros(void *arg, uint64_t pos, uint64_t length)
{
	struct copy_ctx *ctx = arg;

	if (to_file(ctx) || ctx->canceled)
		return 0;
	return vp2p__file_zeros(ctx->copy->fd, ctx->copy->file_offset + pos, length);
}

static const struct vp2p__copy_ops copy_ops = {
	.io = copy_io,
	.look = copy_look,
	.wait_live = copy_wait_live,
	.explain = copy_explain,
	.degrade = copy_degrade,
	.zeros = copy_zeros,
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
			       VP2P_COPY_GENERATION | VP2P_COPY_BOUNCE_ALLOW |
			       VP2P_COPY_BOUNCE_FORCE;
	const char *device = c->window ? c->window->dev->name : "window";

	if (!c->window)
		return vp2p__fail(err, EINVAL, device, STEP, "no window was given" MEND
				  "make one with vp2p_window_create()");
	if (c->direction != VP2P_FILE_TO_WINDOW && c->direction != VP2P_WINDOW_TO_FILE)
		return vp2p__fail(err, EINVAL, device, STEP,
				  "direction %u is not defined" MEND
				  "give VP2P_FILE_TO_WINDOW or VP2P_WINDOW_TO_FILE",
				  c->direction);
	if ((c->flags & ~known) ||
	    !all_zero(c->reserved, sizeof(c->reserved) / sizeof(c->reserved[0])))
		return vp2p__fail(err, EINVAL, device, STEP,
				  "flags 0x%x or a reserved field are not defined" MEND
				  "zero the structure first, set known flags only", c->flags);
	if (c->bounce_depth > VP2P__DEPTH_MAX)
		return vp2p__fail(err, EINVAL, device, STEP,
				  "%u pieces in flight are too many" MEND
				  "give at most %d, or 0 for the default", c->bounce_depth,
				  VP2P__DEPTH_MAX);
	if (c->live_timeout_ms < -1)
		return vp2p__fail(err, EINVAL, device, STEP,
				  "a timeout of %d ms makes no sense" MEND
				  "give milliseconds, -1 for no limit or 0 for the default",
				  c->live_timeout_ms);
	return 0;
}

static int make_plan(const struct copy_ctx *ctx, bool bounce, struct vp2p_error *err)
{
	const struct vp2p_copy_request *c = ctx->copy;
	const struct vp2p__copy_rules rules = {
		.direction = c->direction,
		.flags = c->flags & VP2P_COPY_BOUNCE_ALLOW ?
			 c->flags | VP2P_COPY_ALLOW_TAIL : c->flags,
		.window_length = c->window->length,
		.window_offset = c->window_offset,
		.file_offset = c->file_offset,
		.length = c->length,
		.chunk = c->chunk,
		.file_size = ctx->file.size,
		.mem_align = ctx->file.dio.mem_align,
		.file_align = ctx->file.dio.file_align,
		.bounce = bounce,
	};

	return vp2p__copy_plan(&rules, &ctx->run->plan, ctx->file.name, err);
}

/* Opens the file and makes the plan; *@reason gets why the CPU moves all, or 0. */
static int prepare(struct copy_ctx *ctx, uint32_t *reason, struct vp2p_error *err)
{
	const struct vp2p_copy_request *c = ctx->copy;
	bool allow = c->flags & VP2P_COPY_BOUNCE_ALLOW;
	enum vp2p__file_ways ways = allow || (c->flags & VP2P_COPY_ALLOW_TAIL) ?
				    VP2P__FILE_BOTH : VP2P__FILE_DIRECT;
	int rc = -EOPNOTSUPP;

	*reason = c->flags & VP2P_COPY_BOUNCE_FORCE ? VP2P_BOUNCE_FORCED :
		  VP2P_BOUNCE_NONE;
	if (!*reason) {
		rc = vp2p__file_open(&ctx->file, c->fd, to_file(ctx), ways, err);
		if (rc == -EOPNOTSUPP && allow)
			*reason = VP2P_BOUNCE_NO_DIRECT_IO;
	}
	if (*reason)
		rc = vp2p__file_open(&ctx->file, c->fd, to_file(ctx), VP2P__FILE_ANY, err);
	if (rc)
		return rc;
	rc = make_plan(ctx, *reason, err);
	if (rc != -EINVAL || *reason || !allow)
		return rc;
	*reason = VP2P_BOUNCE_UNALIGNED;
	return make_plan(ctx, true, err);
}

static int run_mapped(struct copy_ctx *ctx, uint32_t reason)
{
	struct vp2p__copy_run *run = ctx->run;
	int rc = 0;

	if (run->plan.total && reason)
		rc = start_bounce(ctx, reason, &run->plan.cpu_chunk, run->err);
	else if (run->plan.total)
		rc = map_view(ctx, ctx->copy->window, &ctx->p2p, run->err);
	if (!rc)
		rc = vp2p__copy_run(run);
	/* The tail alone needs no buffers. */
	if (run->result->bytes_bounced && !run->result->bounce_reason)
		run->result->bounce_reason = VP2P_BOUNCE_TAIL;
	vp2p__bounce_stop(ctx->bounce);
	unmap_view(&ctx->cpu);
	unmap_view(&ctx->p2p);
	return rc;
}

static int copy_all(const struct vp2p_copy_request *c, struct vp2p_copy_result *r,
		    struct vp2p_error *err)
{
	struct vp2p__copy_run run = { .ops = &copy_ops, .copy = c, .err = err, .result = r };
	struct copy_ctx ctx = {
		.copy = c, .run = &run, .file = { .direct = -1, .plain = -1 },
	};
	uint32_t reason;
	int rc = check_args(c, err);

	if (rc)
		return rc;
	run.ctx = &ctx;
	run.device = c->window->dev->name;
	rc = prepare(&ctx, &reason, err);
	if (!rc)
		rc = run_mapped(&ctx, reason);
	vp2p__file_close(&ctx.file);
	return rc;
}

const char *vp2p_bounce_reason_name(unsigned int reason)
{
	static const char *const names[] = {
		"none", "tail", "forced", "no direct I/O", "unaligned", "refused",
	};

	return reason < sizeof(names) / sizeof(names[0]) ? names[reason] : "unknown";
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
