// SPDX-License-Identifier: MIT
/*
 * copy-engine.c - the copy's loop, and what it does about revocations
 *
 * The backend moves bytes; the engine decides, after each request, from the bytes
 * moved and a look at the device:
 *
 *	complete, live, same generation		go on
 *	short or EFAULT, a revocation began	wait until live, repeat the rest
 *	EFAULT, no revocation, or any other
 *	errno, peer-to-peer			an error, or the CPU takes over
 *	the same otherwise			an error
 *	the generation changed			the memory may be lost: start again,
 *						fail, or go on, as vp2p_copy() says
 *
 * "A revocation began" is seen by its counters even if it is over again by the
 * time of the look.  For that the look that counts as "before" is always taken
 * while the device is live: a count taken during a revocation would hide it.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "internal.h"

#define STEP		"copy"
#define LIVE_MS		60000
#define RESTARTS	8
/* Requests without progress and without a revocation to blame, in a row. */
#define MAX_STALLS	3

static uint64_t revocations(const struct vp2p_state *state)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < sizeof(state->revokes) / sizeof(state->revokes[0]); i++)
		sum += state->revokes[i];
	return sum;
}

static int wait_timed(struct vp2p__copy_run *run)
{
	int timeout = run->copy->live_timeout_ms ? run->copy->live_timeout_ms : LIVE_MS;
	uint64_t start = run->ops->now_ns(run->ctx);
	int rc = run->ops->wait_live(run->ctx, timeout, run->err);

	run->result->waited_ns += run->ops->now_ns(run->ctx) - start;
	return rc;
}

/* Returns with a look at a live device. */
static int look_live(struct vp2p__copy_run *run, struct vp2p_state *state)
{
	int rc;

	for (;;) {
		rc = run->ops->look(run->ctx, state, run->err);
		if (rc || state->state == VP2P_STATE_LIVE)
			return rc;
		rc = wait_timed(run);
		if (rc)
			return rc;
	}
}

static int begin(struct vp2p__copy_run *run)
{
	const struct vp2p_copy_request *copy = run->copy;
	struct vp2p_state state;
	int rc = look_live(run, &state);

	if (rc)
		return rc;
	run->generation = state.generation;
	run->begun = revocations(&state);
	run->result->generation_before = state.generation;
	run->result->generation_after = state.generation;
	if (!(copy->flags & VP2P_COPY_GENERATION) || copy->generation == state.generation)
		return 0;
	return vp2p__fail(run->err, ESTALE, run->device, STEP,
			  "the device is in generation %" PRIu64 ", not %" PRIu64
			  ": it was reset meanwhile" MEND
			  "set the device's memory up again, then copy with its new generation",
			  state.generation, copy->generation);
}

/* What the window has got so far is in vain. */
static void forget(struct vp2p__copy_run *run)
{
	run->result->bytes_repeated += run->pos;
	run->pos = 0;
	if (run->degraded)
		run->plan.direct = 0;
}

static int fail_lost(struct vp2p__copy_run *run)
{
	int rc;

	if (run->copy->direction == VP2P_WINDOW_TO_FILE)
		return vp2p__fail(run->err, ESTALE, run->device, STEP,
				  "the device was reset after %" PRIu64 " of %" PRIu64
				  " bytes: its memory may be lost, what the file got must not "
				  "be trusted" MEND
				  "have the device make its data again, then copy again; or "
				  "declare that its memory survives (VP2P_COPY_MEMORY_KEPT)",
				  run->pos, run->plan.total);
	rc = vp2p__fail(run->err, ESTALE, run->device, STEP,
			"the device was reset, after %" PRIu64 " starts and %" PRIu64 " of %"
			PRIu64 " bytes: its memory may be lost" MEND
			"find what resets it, then copy again; or declare that its memory "
			"survives (VP2P_COPY_MEMORY_KEPT)", run->result->restarts + 1,
			run->pos, run->plan.total);
	forget(run);
	return rc;
}

/* The generation changed. */
static int handle_lost(struct vp2p__copy_run *run, uint64_t generation)
{
	const struct vp2p_copy_request *copy = run->copy;
	uint64_t max = copy->max_restarts ? copy->max_restarts : RESTARTS;

	run->generation = generation;
	if (copy->flags & VP2P_COPY_GENERATION)
		return fail_lost(run);
	if (copy->flags & VP2P_COPY_MEMORY_KEPT)
		return 0;
	if (copy->direction == VP2P_WINDOW_TO_FILE || run->result->restarts == max)
		return fail_lost(run);

	run->result->restarts++;
	run->result->generation_before = generation;
	forget(run);
	return 0;
}

/*
 * Looks at the device after a request. @disturbed says whether a revocation began
 * since the last look.
 */
static int check_device(struct vp2p__copy_run *run, bool *disturbed)
{
	struct vp2p_state state;
	int rc;

	rc = run->ops->look(run->ctx, &state, run->err);
	if (rc)
		return rc;
	*disturbed = state.state != VP2P_STATE_LIVE ||
		     state.generation != run->generation ||
		     revocations(&state) != run->begun;
	if (!*disturbed)
		return 0;

	rc = look_live(run, &state);
	if (rc)
		return rc;
	run->begun = revocations(&state);
	run->result->generation_after = state.generation;
	return state.generation != run->generation ?
		handle_lost(run, state.generation) : 0;
}

static int fail_stalled(struct vp2p__copy_run *run)
{
	const char *cause = run->copy->direction == VP2P_FILE_TO_WINDOW ?
		"the file ends at %" PRIu64 " of %" PRIu64 " bytes: it became shorter "
		"during the copy" MEND "copy again when nobody changes it" :
		"the file takes nothing after %" PRIu64 " of %" PRIu64 " bytes" MEND
		"check the disk's free space and the kernel log (dmesg)";

	return vp2p__fail(run->err, EIO, run->device, STEP, cause, run->pos,
			  run->plan.total);
}

/* The next request: how, and how many bytes. */
static enum vp2p__how next(const struct vp2p__copy_run *run, uint64_t *want)
{
	const struct vp2p__copy_plan *plan = &run->plan;
	enum vp2p__how how = run->pos < plan->direct ? VP2P__DIRECT : VP2P__CPU;
	uint64_t end = how == VP2P__DIRECT ? plan->request : plan->total;
	uint64_t chunk = how == VP2P__DIRECT ? plan->chunk : plan->cpu_chunk;

	*want = end - run->pos < chunk ? end - run->pos : chunk;
	return how;
}

/* How far @moved of @want bytes take us. */
static uint64_t progress(const struct vp2p__copy_run *run, enum vp2p__how how,
			 uint64_t moved, uint64_t want)
{
	uint64_t left = run->plan.total - run->pos;

	if (moved >= left)
		return left;
	/* The next direct request has to start at a block again. */
	if (how == VP2P__DIRECT && moved < want)
		return vp2p__round_down(moved, run->plan.align);
	return moved;
}

/* An I/O error at @run->pos: is it the end, or does the CPU take over from there? */
static int handle_error(struct vp2p__copy_run *run, enum vp2p__how how, int code)
{
	struct vp2p__copy_plan *plan = &run->plan;
	int rc = run->ops->explain(run->ctx, code, run->pos, run->err);

	if (how == VP2P__CPU || run->degraded)
		return rc;
	rc = run->ops->degrade(run->ctx, rc, &plan->cpu_chunk, run->err);
	if (rc)
		return rc;
	run->degraded = true;
	plan->direct = plan->request = run->pos;
	return 0;
}

static int step(struct vp2p__copy_run *run)
{
	uint64_t want, gain = 0, start = run->pos;
	enum vp2p__how how = next(run, &want);
	bool disturbed, complete;
	int64_t moved;
	int rc;

	moved = run->ops->io(run->ctx, how, run->pos, want);
	if (moved < 0 && moved != -EFAULT)
		return handle_error(run, how, (int)-moved);
	if (moved > 0)
		gain = progress(run, how, (uint64_t)moved, want);
	complete = moved > 0 && (gain == want || start + gain == run->plan.total);
	run->pos += gain;

	rc = check_device(run, &disturbed);
	if (rc)
		return rc;
	if (disturbed) {
		run->stalls = 0;
		run->result->retries += !complete;
		return 0;
	}
	if (moved == -EFAULT)
		return handle_error(run, how, EFAULT);
	run->stalls = gain ? 0 : run->stalls + 1;
	return run->stalls == MAX_STALLS ? fail_stalled(run) : 0;
}

static int report(struct vp2p__copy_run *run)
{
	const struct vp2p_copy_request *copy = run->copy;

	if (!copy->progress ||
	    !copy->progress(run->pos, run->plan.total, copy->progress_arg))
		return 0;
	return vp2p__fail(run->err, ECANCELED, run->device, STEP,
			  "the progress function ended it after %" PRIu64 " of %" PRIu64
			  " bytes" MEND "copy again if that was not meant", run->pos,
			  run->plan.total);
}

/*
 * Of a copy that failed nobody asks the file once more: its server may be silent, and
 * then the failure would be told as late again.
 */
static uint64_t zeros(const struct vp2p__copy_run *run, bool complete, uint64_t pos,
		      uint64_t length)
{
	return complete && length ? run->ops->zeros(run->ctx, pos, length) : 0;
}

/* What is in place, by the way it took. */
static void count(struct vp2p__copy_run *run, bool complete)
{
	struct vp2p_copy_result *result = run->result;
	uint64_t direct = run->pos < run->plan.direct ? run->pos : run->plan.direct;
	uint64_t cpu = run->pos - direct;
	uint64_t direct_zeros = zeros(run, complete, 0, direct);
	uint64_t cpu_zeros = zeros(run, complete, direct, cpu);

	result->bytes_p2p = direct - direct_zeros;
	result->bytes_bounced = cpu - cpu_zeros;
	result->bytes_zero = direct_zeros + cpu_zeros;
}

int vp2p__copy_run(struct vp2p__copy_run *run)
{
	int rc;

	run->pos = 0;
	run->stalls = 0;
	run->degraded = false;
	rc = begin(run);
	while (!rc && run->pos < run->plan.total) {
		rc = step(run);
		if (!rc)
			rc = report(run);
	}
	count(run, !rc);
	return rc;
}
