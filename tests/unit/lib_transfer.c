// SPDX-License-Identifier: MIT
/*
 * What becomes of a transfer, decided without a device.
 *
 * Theory: transfer.c does no I/O and does not wait, so a test can say what each look
 * saw and what each request answered, in every order, and check the decision.  A row
 * of a table is one transfer: its policy, its script, and how it must end.  A script
 * is words: a look (L live, D draining, X gone; a digit is the generation, + one more
 * revocation begun) or an answer of the kernel (=N blocks, !E errno).
 */
#include <errno.h>
#include <stdlib.h>

#include "../../lib/transfer.h"
#include "check_error.h"

#define BLOCK	512u

static struct vp2p_device dev = { .fd = -1, .name = "0000:03:00.0" };
static struct vp2p_window win = { .dev = &dev, .length = 1 << 20 };
static struct vp2p_io io;

static const struct row {
	const char *name;
	unsigned int flags;	/* beside both directions */
	bool out;
	bool cancel;		/* before the first answer */
	const char *script;
	int result;		/* 0, or a positive errno */
	uint64_t bytes;
	unsigned int generation;
	unsigned int retries;
} rows[] = {
	{ "all at once", 0, 0, 0, "L0 =4 L0", 0, 4 * BLOCK, 0, 0 },
	{ "in two pieces", 0, 0, 0, "L0 =1 L0 =3 L0", 0, 4 * BLOCK, 0, 0 },
	{ "the file's end at a block", 0, 0, 0, "L0 =1 L0 =0 L0", 0, BLOCK, 0, 0 },
	{ "the file's end inside of one", 0, 0, 0, "L0 =1.5 L0", 0, BLOCK * 3 / 2, 0, 0 },
	{ "refused, then the rest", 0, 0, 0, "L0 =2 L0+ =2 L0+", 0, 4 * BLOCK, 0, 1 },
	{ "cut inside of a block by a revocation", 0, 0, 0, "L0 =1.5 L0+ =3 L0+", 0,
	  4 * BLOCK, 0, 1 },
	{ "EFAULT by a revocation", 0, 0, 0, "L0 !14 D0+ L1+ =4 L1+", 0, 4 * BLOCK, 1, 1 },
	{ "EFAULT by one that is over", 0, 0, 0, "L0 !14 L1+ =4 L1+", 0, 4 * BLOCK, 1, 1 },
	{ "begun while it drains", 0, 0, 0, "D0+ L1+ =4 L1+", 0, 4 * BLOCK, 1, 0 },
	{ "memory lost: from the start", 0, 0, 0, "L0 =2 L1+ =2 L1+ =2 L1+", 0, 4 * BLOCK, 1, 1 },
	{ "complete, and lost", 0, 0, 0, "L0 =4 D0+ L1+ =4 L1+", 0, 4 * BLOCK, 1, 1 },
	{ "the end, and lost", 0, 0, 0, "L0 =1.5 L1+ =3 L1+ =0 L1+", 0, 3 * BLOCK, 1, 1 },
	{ "complete, and refused", 0, 0, 0, "L0 =4 D0+ L0+", 0, 4 * BLOCK, 0, 1 },
	{ "a source that is lost", 0, 1, 0, "L0 =2 L1+", ESTALE, 2 * BLOCK, 1, 0 },
	{ "a source that is lost at the end", 0, 1, 0, "L0 =4 L1+", ESTALE, 4 * BLOCK, 1, 0 },
	{ "a source before it was read", 0, 1, 0, "L0 !14 L1+ =4 L1+", 0, 4 * BLOCK, 1, 1 },
	{ "a source that is kept", VP2P_IO_MEMORY_KEPT, 1, 0, "L0 =2 L1+ =2 L1+", 0,
	  4 * BLOCK, 1, 1 },
	{ "kept, to the window", VP2P_IO_MEMORY_KEPT, 0, 0, "L0 =2 L1+ =2 L1+", 0,
	  4 * BLOCK, 1, 1 },
	{ "lost again and again", 0, 0, 0, "L0 =1 L1 =1 L2 =1 L3 =1 L4 =1 L5 =1 L6 =1 L7 =1 L8 "
	  "=1 L9", ESTALE, 0, 9, 8 },
	{ "no retry: closed gate", VP2P_IO_NO_RETRY, 0, 0, "D0+", EAGAIN, 0, 0, 0 },
	{ "no retry: cut short", VP2P_IO_NO_RETRY, 0, 0, "L0 =2 D0+", EAGAIN, 2 * BLOCK, 0, 0 },
	{ "no retry: refused meanwhile", VP2P_IO_NO_RETRY, 0, 0, "L0 =2 L0+", EAGAIN,
	  2 * BLOCK, 0, 0 },
	{ "no retry: complete, refused", VP2P_IO_NO_RETRY, 0, 0, "L0 =4 L0+", 0, 4 * BLOCK, 0, 0 },
	{ "no retry: lost", VP2P_IO_NO_RETRY, 0, 0, "L0 =4 L1+", ESTALE, 0, 1, 0 },
	{ "no retry: pieces are no retry", VP2P_IO_NO_RETRY, 0, 0, "L0 =2 L0 =2 L0", 0,
	  4 * BLOCK, 0, 0 },
	{ "gone", 0, 0, 0, "L0 !14 X0+", ENODEV, 0, 0, 0 },
	{ "gone while parked", 0, 0, 0, "L0 !14 D0+ X0+", ENODEV, 0, 0, 1 },
	{ "EFAULT with nothing to blame", 0, 0, 0, "L0 =1 L0 !14 L0", EFAULT, BLOCK, 0, 0 },
	{ "the disk's error", 0, 0, 0, "L0 !5 D0+", EIO, 0, 0, 0 },
	{ "a layer that refuses", 0, 0, 0, "L0 !121 L0", EOPNOTSUPP, 0, 0, 0 },
	{ "a file that takes nothing", 0, 1, 0, "L0 =0 L0 =0 L0 =0 L0", EIO, 0, 0, 0 },
	{ "interrupted", 0, 0, 0, "L0 !4 L0 !11 L0 =4 L0", 0, 4 * BLOCK, 0, 0 },
	{ "cancelled by nobody", 0, 0, 0, "L0 !125 L0 =4 L0", 0, 4 * BLOCK, 0, 0 },
	{ "cancelled", 0, 0, 1, "L0 !125 L0", ECANCELED, 0, 0, 0 },
	{ "cancelled too late", 0, 0, 1, "L0 =4 L0", 0, 4 * BLOCK, 0, 0 },
	{ "cancelled in pieces", 0, 0, 1, "L0 =1 L0", ECANCELED, BLOCK, 0, 0 },
	{ "cancelled in a revocation", 0, 0, 1, "L0 !14 D0+", ECANCELED, 0, 0, 0 },
	{ "cancelled, then live", 0, 0, 1, "L0 !14 L0+", ECANCELED, 0, 0, 0 },
};

static struct vp2p_state look_of(const char *word, unsigned int *begun)
{
	struct vp2p_state look = {
		.state = *word == 'L' ? VP2P_STATE_LIVE :
			 *word == 'D' ? VP2P_STATE_DRAINING : VP2P_STATE_GONE,
		.generation = strtoull(word + 1, NULL, 10),
	};

	/* Once begun, it stays counted. */
	if (strchr(word, '+'))
		*begun = 1;
	look.revokes[VP2P_CAUSE_RESET] = *begun;
	return look;
}

static int64_t answer_of(const char *word)
{
	return *word == '!' ? -strtol(word + 1, NULL, 10) :
			      (int64_t)(strtod(word + 1, NULL) * BLOCK);
}

/* Plays a script; -1 if the decision was not what the script expects to come. */
static int play(const struct row *row, struct vp2p__transfer *t, int *result,
		struct vp2p_error *err)
{
	char script[256], *word, *save;
	enum vp2p__next next = VP2P__PARK;
	unsigned int begun = 0;
	struct vp2p_state look;
	int64_t res = 0;
	bool landed = false;

	snprintf(script, sizeof(script), "%s", row->script);
	for (word = strtok_r(script, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		if (next == VP2P__END)
			return -1;
		if (*word == '=' || *word == '!') {
			if (next != VP2P__SUBMIT)
				return -1;
			t->cancelled = row->cancel;
			res = answer_of(word);
			landed = true;
			continue;
		}
		if (next == VP2P__SUBMIT && !landed)
			return -1;
		look = look_of(word, &begun);
		next = landed ? vp2p__transfer_landed(t, res, &look, result, err) :
				vp2p__transfer_resume(t, &look, result, err);
		landed = false;
	}
	return next == VP2P__END ? 0 : -1;
}

static void test_row(const struct row *row)
{
	const struct vp2p_transfer what = {
		.direction = row->out ? VP2P_WINDOW_TO_FILE : VP2P_FILE_TO_WINDOW,
		.length = 4 * BLOCK,
	};
	struct vp2p__transfer t;
	struct vp2p_error err;
	int result = 0;
	int64_t moved;

	io.flags = VP2P_IO_READ | VP2P_IO_WRITE | row->flags;
	vp2p__transfer_init(&t, &io, &what, NULL);
	if (!ok(!play(row, &t, &result, &err), "%s", row->name))
		return;
	if (row->result)
		is_error(result, row->result, &err, row->name);
	else
		is_num(result, 0, row->name);
	moved = vp2p__transfer_end(&t, result);
	is_num(moved, row->result ? -row->result : (int64_t)row->bytes, "... what is returned");
	is_num((int64_t)t.report.bytes_p2p, (int64_t)row->bytes, "... bytes");
	is_num((int64_t)t.report.generation, row->generation, "... generation");
	is_num(t.report.retries, row->retries, "... retries");
}

static void is_refused(const char *name, struct vp2p_transfer what, int code)
{
	struct vp2p__transfer t;
	struct vp2p_error err;

	is_error(vp2p__transfer_init(&t, &io, &what, &err), code, &err, name);
}

static void test_rules(void)
{
	const struct vp2p_transfer good = { .direction = VP2P_FILE_TO_WINDOW, .length = BLOCK };
	struct vp2p_transfer what = good;
	struct vp2p__transfer t;

	io.flags = VP2P_IO_READ;
	is_num(vp2p__transfer_init(&t, &io, &good, NULL), 0, "a good one");
	what.direction = VP2P_WINDOW_TO_FILE;
	is_refused("not opened for it", what, EBADF);
	what.direction = 3;
	is_refused("no direction", what, EINVAL);
	what = good;
	what.length = 0;
	is_refused("no bytes", what, EINVAL);
	what = good;
	what.reserved = 1;
	is_refused("reserved", what, EINVAL);
	what = good;
	what.window_offset = win.length - BLOCK + 4;
	is_refused("beyond the window", what, ERANGE);
	what.window_offset = UINT64_MAX - 3;
	is_refused("around the end of numbers", what, ERANGE);
	what = good;
	what.file_offset = INT64_MAX - 511;
	is_refused("beyond any file", what, EINVAL);
	what = good;
	what.length = BLOCK + 4;
	is_refused("an odd length", what, EINVAL);
	what = good;
	what.window_offset = 2;
	is_refused("an odd place in the window", what, EINVAL);
	what.window_offset = 4;
	is_num(vp2p__transfer_init(&t, &io, &what, NULL), 0, "... within the disk's alignment");
	what.file_offset = 100;
	is_refused("an odd place in the file", what, EINVAL);
	io.flags |= VP2P_IO_ALLOW_BUFFERED;
	is_num(vp2p__transfer_init(&t, &io, &what, NULL), 0, "... by the CPU, if it may");
	ok(!t.direct && vp2p__transfer_fd(&t) == 8, "... and through the page cache");
	t.pos = 77;
	vp2p__transfer_end(&t, 0);
	ok(t.report.bytes_bounced == 77 && !t.report.bytes_p2p && !t.report.route,
	   "... and it is reported so");
}

int main(void)
{
	io = (struct vp2p_io){
		.window = &win, .route = VP2P_ROUTE_HOST_BRIDGE,
		.file = { { .direct = 7, .plain = 8, .dio = { 4, BLOCK }, .name = "file" },
			  { .direct = 7, .plain = 8, .dio = { 4, BLOCK }, .name = "file" } },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		test_row(&rows[i]);
	test_rules();
	return TAP_DONE();
}
