// SPDX-License-Identifier: MIT
/*
 * copy-plan.c - which bytes of a copy go how
 *
 *	0                     direct          total
 *	|--- peer-to-peer ---|--- the tail ---|
 *
 * Direct I/O moves whole blocks.  Where the copy ends inside a block there are
 * three cases:
 *
 *  - from a file, the block is its last, and the caller's range in the window has
 *    room for all of it: one more direct read, which ends at the end of the file.
 *    (@request is where it would end if the file went on);
 *  - otherwise, and the caller allows a tail: the CPU moves the rest;
 *  - otherwise the copy is refused before anything has moved.
 */
#include <errno.h>
#include <inttypes.h>

#include "internal.h"

#define STEP	"plan the copy"

static uint64_t gcd(uint64_t a, uint64_t b)
{
	while (b) {
		uint64_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

static int check_start(const struct vp2p__copy_rules *r, const char *device,
		       struct vp2p_error *err)
{
	if (!vp2p__aligned(r->window_offset, r->mem_align))
		return vp2p__fail(err, EINVAL, device, STEP,
				  "window offset %" PRIu64 " is not a multiple of %" PRIu64
				  ", the file's memory alignment" MEND "use %" PRIu64,
				  r->window_offset, r->mem_align,
				  vp2p__round_down(r->window_offset, r->mem_align));
	if (!vp2p__aligned(r->file_offset, r->file_align))
		return vp2p__fail(err, EINVAL, device, STEP,
				  "file offset %" PRIu64 " is not a multiple of %" PRIu64
				  ", the file's direct I/O alignment" MEND "use %" PRIu64,
				  r->file_offset, r->file_align,
				  vp2p__round_down(r->file_offset, r->file_align));
	if (r->window_offset <= r->window_length)
		return 0;
	return vp2p__fail(err, ERANGE, device, STEP,
			  "window offset %" PRIu64 " is beyond the window of %" PRIu64
			  " bytes" MEND "use a lower one", r->window_offset,
			  r->window_length);
}

static int fail_room(const char *device, uint64_t length, uint64_t room,
		     struct vp2p_error *err)
{
	return vp2p__fail(err, ERANGE, device, STEP,
			  "%" PRIu64 " bytes do not fit: the window has room for %" PRIu64
			  " from that offset on" MEND
			  "copy less at a time, or register a larger window", length, room);
}

static int check_tail(const struct vp2p__copy_rules *r,
		      const struct vp2p__copy_plan *plan, const char *device,
		      struct vp2p_error *err)
{
	if (plan->direct == plan->total || (r->flags & VP2P_COPY_ALLOW_TAIL))
		return 0;
	return vp2p__fail(err, EINVAL, device, STEP,
			  "length %" PRIu64 " is not a multiple of %" PRIu64 ", the file's "
			  "direct I/O alignment: the last %" PRIu64 " bytes cannot go "
			  "peer-to-peer" MEND
			  "copy %" PRIu64 " bytes, or allow the CPU to move the rest "
			  "(VP2P_COPY_ALLOW_TAIL)", plan->total, r->file_align,
			  plan->total - plan->direct, plan->direct);
}

/* From a file: at most to its end, which may lie inside the last block read. */
static int plan_from_file(const struct vp2p__copy_rules *r, uint64_t room,
			  struct vp2p__copy_plan *plan, const char *device,
			  struct vp2p_error *err)
{
	uint64_t rest = r->file_size > r->file_offset ?
			r->file_size - r->file_offset : 0;
	uint64_t range = r->length ? r->length : room;
	uint64_t up;

	if (r->length > room || (!r->length && rest > room))
		return fail_room(device, r->length ? r->length : rest, room, err);
	plan->total = rest < range ? rest : range;

	/*
	 * Rounding up cannot overflow: total is at most the window's length.  Where
	 * it stays within the range, total is the file's end and not the range's.
	 */
	up = vp2p__round_up(plan->total, r->file_align);
	if (up != plan->total && up <= range) {
		plan->direct = plan->total;
		plan->request = up;
		return 0;
	}
	plan->direct = vp2p__round_down(plan->total, r->file_align);
	plan->request = plan->direct;
	return check_tail(r, plan, device, err);
}

static int plan_to_file(const struct vp2p__copy_rules *r, uint64_t room,
			struct vp2p__copy_plan *plan, const char *device,
			struct vp2p_error *err)
{
	plan->total = r->length ? r->length : room;
	if (plan->total > room)
		return fail_room(device, plan->total, room, err);
	if (r->file_offset > INT64_MAX - plan->total)
		return vp2p__fail(err, EINVAL, device, STEP,
				  "file offset %" PRIu64 " is out of reach" MEND
				  "use a lower one", r->file_offset);
	plan->direct = vp2p__round_down(plan->total, r->file_align);
	plan->request = plan->direct;
	return check_tail(r, plan, device, err);
}

static int plan_for(const struct vp2p__copy_rules *r, struct vp2p__copy_plan *plan,
		    const char *device, struct vp2p_error *err)
{
	uint64_t chunk = r->chunk ? r->chunk : VP2P__CHUNK;
	uint64_t room;
	int rc;

	rc = check_start(r, device, err);
	if (rc)
		return rc;
	room = r->window_length - r->window_offset;
	plan->align = r->mem_align / gcd(r->mem_align, r->file_align) * r->file_align;
	if (chunk > VP2P__CHUNK_MAX)
		chunk = VP2P__CHUNK_MAX;
	plan->chunk = vp2p__round_down(chunk, plan->align);
	if (!plan->chunk)
		return vp2p__fail(err, EINVAL, device, STEP,
				  "chunk %" PRIu64 " is smaller than %" PRIu64 ", the file's "
				  "alignment" MEND "use a multiple of that, or 0", r->chunk,
				  plan->align);
	plan->cpu_chunk = plan->chunk;
	return r->direction == VP2P_FILE_TO_WINDOW ?
		plan_from_file(r, room, plan, device, err) :
		plan_to_file(r, room, plan, device, err);
}

/* Where the CPU moves all any alignment will do, and the tail is as good as the rest. */
int vp2p__copy_plan(const struct vp2p__copy_rules *r, struct vp2p__copy_plan *plan,
		    const char *device, struct vp2p_error *err)
{
	struct vp2p__copy_rules rules = *r;
	int rc;

	if (!r->bounce)
		return plan_for(r, plan, device, err);
	rules.mem_align = 1;
	rules.file_align = 1;
	rc = plan_for(&rules, plan, device, err);
	plan->direct = 0;
	plan->request = 0;
	return rc;
}
