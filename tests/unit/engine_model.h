/* SPDX-License-Identifier: MIT */
/*
 * engine_model.h - a model of a device and a file: the copy engine's backend
 *
 * Each request takes the next event of the script, or a random one once the script
 * is at its end.
 */
#ifndef ENGINE_MODEL_H
#define ENGINE_MODEL_H

#include <errno.h>
#include <string.h>

#include "../../lib/internal.h"

#define BLOCK	16
#define MAX	4096

enum event {
	NONE,
	SHORT,		/* moves half, nothing else */
	SHORT_ODD,	/* moves a number that is no multiple of a block */
	ZERO,		/* moves nothing */
	FAULT,		/* EFAULT without any revocation */
	IO_ERROR,
	RESET_BEFORE,	/* a whole reset before the request, which then succeeds */
	RESET_SHORT,	/* half is moved, then a whole reset */
	RESET_FAULT,	/* EFAULT, and the reset is over by the time of the look */
	RESET_AFTER,	/* the request succeeds, then a reset is under way */
	RESET_MIDST,	/* EFAULT, and the reset is under way */
	REFUSED_FAULT,	/* EFAULT; the revocation was refused, nothing is lost */
	REFUSED_SHORT,
	REFUSED_MIDST,	/* EFAULT, the refused revocation is still under way */
	UNKNOWN_CAUSE,	/* RESET_BEFORE, for a cause that we have no counter of */
	GO_AWAY,	/* EFAULT, and the device is gone */
	EVENTS
};

static struct model {
	uint8_t device[MAX], file[MAX];
	struct vp2p_state state;
	bool wipe_at_end;	/* of the revocation under way */
	const enum event *script;
	size_t n_script, at;
	unsigned int random, odds;
	uint64_t clock, file_size, outside;
	bool may_degrade;
	uint64_t hole_begin, hole_end;
	int asked;		/* for holes */
	int requests, tails, waits, revoke_on_wait;
	struct vp2p__copy_plan plan;
	uint32_t direction;
} m;

static uint8_t source_byte(uint64_t pos)
{
	return (uint8_t)(pos * 7 + pos / 256 + 1);
}

static void revoke(bool refused)
{
	m.state.revokes[VP2P_CAUSE_RESET]++;
	m.state.state = VP2P_STATE_DRAINING;
	m.wipe_at_end = !refused;
}

static void resume(void)
{
	if (m.state.state == VP2P_STATE_GONE)
		return;
	m.state.state = VP2P_STATE_LIVE;
	if (!m.wipe_at_end)
		return;
	m.wipe_at_end = false;
	m.state.generation++;
	memset(m.device, 0xee, sizeof(m.device));
}

static void whole_revocation(bool refused)
{
	revoke(refused);
	resume();
}

static int64_t move(uint64_t pos, uint64_t length)
{
	uint64_t n = length;

	if (m.direction == VP2P_FILE_TO_WINDOW && pos + n > m.file_size)
		n = m.file_size > pos ? m.file_size - pos : 0;
	if (pos + length > m.plan.request && pos + length > m.plan.total)
		m.outside++;
	if (m.direction == VP2P_FILE_TO_WINDOW)
		memcpy(m.device + pos, m.file + pos, n);
	else
		memcpy(m.file + pos, m.device + pos, n);
	return (int64_t)n;
}

static enum event next_event(void)
{
	if (m.at < m.n_script)
		return m.script[m.at++];
	if (!m.odds)
		return NONE;
	m.random = m.random * 1103515245u + 12345u;
	if ((m.random >> 16) % m.odds)
		return NONE;
	m.random = m.random * 1103515245u + 12345u;
	/* Only what may happen to innocents: no errors, no lasting zeros. */
	switch ((m.random >> 16) % 11) {
	case 10: return UNKNOWN_CAUSE;
	case 0: return SHORT;
	case 1: return SHORT_ODD;
	case 2: return RESET_BEFORE;
	case 3: return RESET_SHORT;
	case 4: return RESET_FAULT;
	case 5: return RESET_AFTER;
	case 6: return RESET_MIDST;
	case 7: return REFUSED_FAULT;
	case 8: return REFUSED_SHORT;
	default: return REFUSED_MIDST;
	}
}

static int64_t fault_after(void (*what)(bool), bool refused)
{
	what(refused);
	return -EFAULT;
}

static int64_t model_io(void *ctx, enum vp2p__how how, uint64_t pos, uint64_t length)
{
	enum event event = next_event();
	int64_t n;

	(void)ctx;
	m.requests++;
	m.tails += how == VP2P__CPU;
	if (how == VP2P__DIRECT && (pos % BLOCK || length % BLOCK))
		m.outside++;
	if (m.state.state != VP2P_STATE_LIVE)
		return -EFAULT;
	switch (event) {
	case UNKNOWN_CAUSE:
		whole_revocation(false);
		m.state.revokes[VP2P_CAUSE_RESET]--;
		return move(pos, length);
	case SHORT:
		return move(pos, (length + 1) / 2);
	case SHORT_ODD:
		return move(pos, length > 3 ? length - 3 : length);
	case ZERO:
		return 0;
	case FAULT:
		return -EFAULT;
	case IO_ERROR:
		return -EIO;
	case RESET_BEFORE:
		whole_revocation(false);
		return move(pos, length);
	case RESET_SHORT:
	case REFUSED_SHORT:
		n = move(pos, length / 2);
		whole_revocation(event == REFUSED_SHORT);
		return n ? n : -EFAULT;
	case RESET_FAULT:
	case REFUSED_FAULT:
		return fault_after(whole_revocation, event == REFUSED_FAULT);
	case RESET_AFTER:
		n = move(pos, length);
		revoke(false);
		return n;
	case RESET_MIDST:
	case REFUSED_MIDST:
		return fault_after(revoke, event == REFUSED_MIDST);
	case GO_AWAY:
		m.state.state = VP2P_STATE_GONE;
		return -EFAULT;
	default:
		return move(pos, length);
	}
}

static int model_look(void *ctx, struct vp2p_state *state, struct vp2p_error *err)
{
	(void)ctx, (void)err;
	*state = m.state;
	return 0;
}

static int model_wait(void *ctx, int timeout_ms, struct vp2p_error *err)
{
	(void)ctx;
	m.waits++;
	m.clock += 1000;
	if (m.state.state == VP2P_STATE_GONE)
		return vp2p__fail(err, ENODEV, "device", "wait", "gone" MEND "plug it in");
	if (timeout_ms == 1)
		return vp2p__fail(err, ETIMEDOUT, "device", "wait", "slow" MEND "wait");
	resume();
	/* The next revocation may begin before the engine looks again. */
	if (m.revoke_on_wait-- > 0)
		revoke(false);
	return 0;
}

static int model_explain(void *ctx, int code, uint64_t pos, struct vp2p_error *err)
{
	(void)ctx;
	return vp2p__fail(err, code, "file", "copy", "at byte %d" MEND "mend", (int)pos);
}

/* The CPU takes over, in chunks of two blocks, or not. */
static int model_degrade(void *ctx, int code, uint64_t *chunk, struct vp2p_error *err)
{
	(void)ctx, (void)err;
	if (!m.may_degrade)
		return code;
	*chunk = 2 * BLOCK;
	return 0;
}

/* The file's bytes [hole_begin, hole_end) are a hole. */
static uint64_t model_zeros(void *ctx, uint64_t pos, uint64_t length)
{
	uint64_t begin = pos > m.hole_begin ? pos : m.hole_begin;
	uint64_t end = pos + length < m.hole_end ? pos + length : m.hole_end;

	(void)ctx;
	m.asked++;
	m.outside += !length;
	return begin < end ? end - begin : 0;
}

static uint64_t model_now(void *ctx)
{
	(void)ctx;
	return m.clock += 10;
}

static const struct vp2p__copy_ops ops = {
	model_io, model_look, model_wait, model_explain, model_degrade, model_zeros, model_now,
};

#endif /* ENGINE_MODEL_H */
