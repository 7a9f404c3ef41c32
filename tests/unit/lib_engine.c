// SPDX-License-Identifier: MIT
/*
 * The copy engine against revocations.
 *
 * Theory: the backend here is a model of a device and a file.  The device knows,
 * for each byte of its memory, what it holds; a reset wipes all of it.  Revocations
 * happen inside requests, at their end, or between looks, as a script or a random
 * number says.  What counts is what is true at the end: if the engine returned 0
 * then every byte in the target must be right, however the resets fell.  A model
 * that forgets one of the engine's checks ends with wrong bytes.
 */
#include <errno.h>
#include <stdlib.h>

#include "../../lib/internal.h"
#include "check_error.h"
#include "engine_model.h"

static struct vp2p_copy_request copy;
static struct vp2p_copy_result result;
static struct vp2p_error err;

/* A fresh model and a copy of @length bytes in chunks of 4 blocks. */
static void start(uint32_t direction, uint64_t length, const enum event *script,
		  size_t n_script)
{
	uint64_t direct = length - length % BLOCK;

	memset(&m, 0, sizeof(m));
	m.script = script;
	m.n_script = n_script;
	m.direction = direction;
	m.file_size = length;
	m.state.state = VP2P_STATE_LIVE;
	m.state.generation = 40;
	m.plan = (struct vp2p__copy_plan){ length, direct, direct, 4 * BLOCK, BLOCK, 4 * BLOCK };
	for (uint64_t i = 0; i < length; i++) {
		m.device[i] = direction == VP2P_WINDOW_TO_FILE ? source_byte(i) : 0xdd;
		m.file[i] = direction == VP2P_FILE_TO_WINDOW ? source_byte(i) : 0xff;
	}
	memset(&copy, 0, sizeof(copy));
	memset(&result, 0, sizeof(result));
	memset(&err, 0, sizeof(err));
	copy.direction = direction;
}

static int run(void)
{
	struct vp2p__copy_run r = {
		.ops = &ops, .copy = &copy, .plan = m.plan, .device = "0000:03:00.0",
		.result = &result, .err = &err,
	};

	return vp2p__copy_run(&r);
}

/* Is all the data where the copy was to bring it? */
static int arrived(void)
{
	const uint8_t *to = m.direction == VP2P_FILE_TO_WINDOW ? m.device : m.file;

	for (uint64_t i = 0; i < m.plan.total; i++)
		if (to[i] != source_byte(i))
			return 0;
	return 1;
}

#define START(dir, len, ...) do {						\
	static const enum event script_[] = { __VA_ARGS__ };			\
	start(dir, len, script_, sizeof(script_) / sizeof(script_[0]));		\
} while (0)

#define IN	VP2P_FILE_TO_WINDOW
#define OUT	VP2P_WINDOW_TO_FILE

static void succeeds(uint64_t retries, uint64_t restarts, const char *name)
{
	int rc = run();

	if (!ok(!rc && arrived() && result.bytes_p2p == m.plan.direct &&
		result.bytes_bounced == m.plan.total - m.plan.direct &&
		result.retries == retries && result.restarts == restarts && !m.outside,
		"%s", name))
		printf("# rc %d (%s) arrived %d p2p %llu bounced %llu retries %llu restarts "
		       "%llu outside %d\n", rc, rc ? err.cause : "", arrived(),
		       (unsigned long long)result.bytes_p2p,
		       (unsigned long long)result.bytes_bounced,
		       (unsigned long long)result.retries,
		       (unsigned long long)result.restarts, (int)m.outside);
	ok(result.generation_after == m.state.generation, "%s: the generation", name);
}

static void test_quiet(void)
{
	START(IN, 256, NONE);
	succeeds(0, 0, "from a file");
	is_num(m.requests, 4, "in chunks");
	is_num(m.waits, 0, "without a wait");
	is_num((long long)result.generation_before, 40, "the generation before");
	START(OUT, 256, NONE);
	succeeds(0, 0, "to a file");
	START(IN, 0, NONE);
	succeeds(0, 0, "nothing at all");
	is_num(m.requests, 0, "... without a request");
	START(IN, 260, NONE);
	succeeds(0, 0, "with a tail");
	is_num(m.tails, 1, "... moved by the CPU");
	START(IN, 200, SHORT, NONE, SHORT_ODD);
	succeeds(0, 0, "short requests are continued");

	START(IN, 100, NONE);
	m.plan = (struct vp2p__copy_plan){ 100, 100, 112, 64, BLOCK, 64 };
	succeeds(0, 0, "the last block reaches beyond the file's end");
	is_num(m.tails, 0, "... all of it direct");
}

static void test_refused_revocations(void)
{
	START(IN, 256, NONE, REFUSED_FAULT);
	succeeds(1, 0, "EFAULT from a revocation that was refused: repeated");
	is_num(m.requests, 5, "one request more");
	START(OUT, 256, REFUSED_SHORT, REFUSED_MIDST);
	succeeds(2, 0, "nothing is lost, so a copy to a file goes on too");
	is_num(m.waits, 1, "it waited for the one under way");
	ok(result.waited_ns >= 1000 && result.waited_ns < 2000, "... and says how long");
	START(IN, 20, NONE, REFUSED_FAULT);
	succeeds(1, 0, "during the tail");
}

static void test_resets_in(void)
{
	static const enum event each[] = {
		RESET_BEFORE, RESET_SHORT, RESET_FAULT, RESET_AFTER, RESET_MIDST,
	};

	for (size_t i = 0; i < 5; i++) {
		enum event script[] = { NONE, NONE, NONE, each[i] };

		start(IN, 256, script, 4);
		succeeds(each[i] != RESET_BEFORE && each[i] != RESET_AFTER, 1,
			 "a reset at the last request starts again");
		ok(result.bytes_repeated >= 192 && result.bytes_repeated <= 256,
		   "... %d bytes were in vain", (int)result.bytes_repeated);
		is_num((long long)result.generation_before, 41, "... the new start's "
		       "generation");
	}
	START(IN, 256, NONE, RESET_MIDST);
	m.revoke_on_wait = 2;
	succeeds(1, 1, "one reset after the other, while waiting");
	is_num((long long)m.state.generation, 43, "three in all");
	START(IN, 260, NONE, NONE, NONE, NONE, RESET_FAULT);
	succeeds(1, 1, "a reset during the tail");
}

static void test_resets_kept(void)
{
	START(OUT, 256, NONE, RESET_SHORT);
	copy.flags = VP2P_COPY_MEMORY_KEPT;
	is_num(run(), 0, "memory that survives: to a file");
	is_num((long long)result.restarts, 0, "... goes on");
	is_num((long long)result.retries, 1, "... with a retry");
	is_num((long long)result.generation_after, 41, "... in the new generation");
	START(IN, 256, NONE, RESET_MIDST, NONE, RESET_FAULT);
	copy.flags = VP2P_COPY_MEMORY_KEPT;
	is_num(run(), 0, "memory that survives: from a file");
	is_num(m.requests, 6, "... nothing is sent twice");
}

static void test_lost(void)
{
	static const enum event each[] = {
		RESET_BEFORE, RESET_SHORT, RESET_FAULT, RESET_AFTER, RESET_MIDST,
	};

	for (size_t i = 0; i < 5; i++) {
		enum event script[] = { NONE, NONE, NONE, each[i] };

		start(OUT, 256, script, 4);
		is_error(run(), ESTALE, &err, "a reset during a copy to a file");
	}
	has_str(err.cause, "192 of 256 bytes", "it says how far it got");
	has_str(err.remedy, "MEMORY_KEPT", "... and what to do");
	is_num((long long)result.bytes_p2p, 192, "the count as well");

	START(IN, 64, RESET_FAULT, RESET_FAULT, RESET_FAULT, RESET_FAULT);
	copy.max_restarts = 3;
	is_error(run(), ESTALE, &err, "too many starts");
	is_num((long long)result.restarts, 3, "three restarts");
	has_str(err.cause, "after 4 starts", "... are four starts");
	is_num((long long)result.bytes_p2p, 0, "nothing is in place");
	START(IN, 256, NONE, RESET_BEFORE, NONE, RESET_BEFORE);
	copy.max_restarts = 1;
	is_error(run(), ESTALE, &err, "too many starts, with bytes in place");
	has_str(err.cause, "2 starts and 128 of 256 bytes", "the error says how many");
	is_num((long long)result.bytes_p2p, 0, "the result, that none is");
	is_num((long long)result.bytes_repeated, 256, "... and all were in vain");
	START(IN, 256, NONE, NONE, RESET_BEFORE);
	copy.flags = VP2P_COPY_GENERATION;
	copy.generation = 40;
	is_error(run(), ESTALE, &err, "the generation asked for, lost");
	ok(!result.bytes_p2p && result.bytes_repeated == 192, "counted likewise");
}

static void test_generation(void)
{
	START(IN, 64, NONE);
	copy.flags = VP2P_COPY_GENERATION;
	copy.generation = 39;
	is_error(run(), ESTALE, &err, "not the generation asked for");
	has_str(err.cause, "generation 40, not 39", "... names both");
	is_num(m.requests, 0, "... before anything moved");
	START(IN, 64, NONE);
	copy.flags = VP2P_COPY_GENERATION;
	copy.generation = 40;
	succeeds(0, 0, "the generation asked for");
	START(IN, 64, RESET_FAULT);
	copy.flags = VP2P_COPY_GENERATION;
	copy.generation = 40;
	is_error(run(), ESTALE, &err, "... lost on the way: no new start");
	START(IN, 64, RESET_FAULT);
	copy.flags = VP2P_COPY_GENERATION | VP2P_COPY_MEMORY_KEPT;
	copy.generation = 40;
	is_error(run(), ESTALE, &err, "... even of memory that survives");
}

static void test_errors(void)
{
	START(IN, 256, NONE, FAULT);
	is_error(run(), EFAULT, &err, "EFAULT without a revocation is an error");
	is_num((long long)result.bytes_p2p, 64, "what arrived before is counted");
	START(IN, 256, REFUSED_FAULT, FAULT);
	is_error(run(), EFAULT, &err, "... also after a revocation that is over");
	START(IN, 256, IO_ERROR);
	is_error(run(), EIO, &err, "EIO is an error");
	START(IN, 256, NONE);
	m.file_size = 100;
	is_error(run(), EIO, &err, "a file that became shorter");
	has_str(err.cause, "became shorter", "... says so");
	START(OUT, 256, NONE, ZERO, ZERO, ZERO);
	is_error(run(), EIO, &err, "a file that takes nothing");
	START(OUT, 256, NONE, ZERO, ZERO, NONE, ZERO, ZERO);
	succeeds(0, 0, "... for a while");
	START(OUT, 256, ZERO, ZERO, REFUSED_FAULT, ZERO, ZERO);
	succeeds(1, 0, "... and begins anew after a revocation");
	START(IN, 256, NONE, GO_AWAY);
	is_error(run(), ENODEV, &err, "a device that goes away");
	START(IN, 256, RESET_MIDST);
	copy.live_timeout_ms = 1;
	is_error(run(), ETIMEDOUT, &err, "a reset that does not end");
	START(IN, 256, NONE);
	m.state.state = VP2P_STATE_QUIESCED;
	succeeds(0, 0, "a reset under way at the start is waited for");
	is_num(m.waits, 1, "... once");
	START(IN, 256, NONE);
	m.state.state = VP2P_STATE_GONE;
	is_error(run(), ENODEV, &err, "a device gone at the start");
}

/* The CPU takes over from the request that was refused, whatever comes then. */
static void test_degraded(void)
{
	START(IN, 260, NONE, IO_ERROR, NONE);
	m.may_degrade = true;
	ok(!run() && arrived(), "the CPU takes over");
	ok(result.bytes_p2p == 64 && result.bytes_bounced == 196, "... counted apart");
	is_num(m.tails, 7, "... in requests of its own");
	START(IN, 256, FAULT);
	m.may_degrade = true;
	ok(!run() && arrived(), "the CPU takes over where the address is called wrong");
	ok(!result.bytes_p2p && result.bytes_bounced == 256, "... all of it");
	START(IN, 256, FAULT, FAULT);
	m.may_degrade = true;
	is_error(run(), EFAULT, &err, "... and if it is wrong for the CPU too, that is the end");
	START(IN, 256, NONE, IO_ERROR, IO_ERROR);
	m.may_degrade = true;
	is_error(run(), EIO, &err, "... and its error is the end");
	START(IN, 256, NONE, IO_ERROR, NONE, RESET_FAULT);
	m.may_degrade = true;
	ok(!run() && arrived() && result.restarts == 1, "a reset after that");
	ok(!result.bytes_p2p && result.bytes_bounced == 256, "... is all for the CPU");
	START(OUT, 256, IO_ERROR, REFUSED_SHORT, SHORT_ODD);
	m.may_degrade = true;
	ok(!run() && arrived() && result.retries == 1 && result.bytes_bounced == 256,
	   "to a file, with a retry");
}

static void test_zeros(void)
{
	START(IN, 260, NONE);
	m.hole_begin = 32;
	m.hole_end = 258;
	ok(!run() && arrived(), "a file with a hole");
	ok(result.bytes_p2p == 32 && result.bytes_zero == 226 && result.bytes_bounced == 2,
	   "... counted apart, in the tail too");
	START(IN, 256, NONE, NONE, FAULT);
	m.hole_begin = 100;
	m.hole_end = 200;
	is_error(run(), EFAULT, &err, "a copy that fails");
	ok(result.bytes_p2p == 128 && !result.bytes_zero, "... counts what is in place");
	is_num(m.asked, 0, "... and asks for no holes: its server may be silent");
	START(IN, 256, NONE);
	m.hole_begin = 32;
	m.hole_end = 64;
	ok(!run() && result.bytes_zero == 32 && m.asked == 1 && !m.outside,
	   "of no bytes none are asked for");
}

static uint64_t seen_done, seen_total;
static int seen, stop_at;

static int on_progress(uint64_t done, uint64_t total, void *arg)
{
	seen++;
	seen_done = done;
	seen_total = total;
	return arg == &seen && seen == stop_at;
}

static void test_progress(void)
{
	START(IN, 256, NONE);
	copy.progress = on_progress;
	copy.progress_arg = &seen;
	seen = stop_at = 0;
	succeeds(0, 0, "progress");
	ok(seen == 4 && seen_done == 256 && seen_total == 256, "four reports");
	START(IN, 256, NONE);
	copy.progress = on_progress;
	copy.progress_arg = &seen;
	seen = 0;
	stop_at = 2;
	is_error(run(), ECANCELED, &err, "cancelled");
	is_num((long long)result.bytes_p2p, 128, "... after two chunks");
}

/* Thousands of bad days: what returns 0 is right, what fails has a reason. */
static void test_random(void)
{
	int done[3] = { 0, 0, 0 }, stale = 0, bad = 0;

	for (unsigned int seed = 1; seed <= 6000; seed++) {
		uint32_t direction = seed % 2 ? IN : OUT;
		int rc;

		start(direction, 1 + seed * 37 % 1500, NULL, 0);
		m.random = seed;
		m.odds = 2 + seed % 40;
		m.revoke_on_wait = seed % 7 == 0;
		copy.max_restarts = 5;
		rc = run();
		bad += m.outside != 0;
		if (rc == 0) {
			bad += !arrived();
			bad += result.bytes_p2p + result.bytes_bounced != m.plan.total;
			done[result.restarts > 0 ? 2 : result.retries > 0]++;
		} else {
			bad += rc != -ESTALE || !complete_text(err.cause);
			stale++;
		}
	}
	is_num(bad, 0, "no copy is wrong and says otherwise");
	ok(done[0] > 100 && done[1] > 100 && done[2] > 100 && stale > 100,
	   "all kinds happened: %d quiet, %d retried, %d restarted, %d stale", done[0],
	   done[1], done[2], stale);
}

int main(void)
{
	test_quiet();
	test_refused_revocations();
	test_resets_in();
	test_resets_kept();
	test_lost();
	test_generation();
	test_errors();
	test_degraded();
	test_zeros();
	test_progress();
	test_random();
	return TAP_DONE();
}
