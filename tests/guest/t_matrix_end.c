// SPDX-License-Identifier: MIT
/*
 * The matrix of events, fourth part: the owner ends, or the driver goes.
 *
 * A close finds no mapping any more, but reads in flight; so do unbinding and
 * unloading when a close has given up on them.  They must not return before
 * the reads have ended, and whoever opens the device must not meet any.  While
 * the device is open, unbinding waits for its user and disturbs nobody.
 *
 * An owner that is killed is a process of its own, with all of the load, and
 * io_uring for the reads in flight: they go on when it has ended.
 */
#define _GNU_SOURCE
#include "dev.h"
#include "harness.h"
#include "matrix.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct mx m;

static void step(void (*fn)(struct mx *))
{
	if (!h_failed())
		fn(&m);
}

/* Close */

static long close_it(void *dev)
{
	dev_close(dev);
	return 0;
}

static long open_again(void *target)
{
	return ru_target_open(target, "target", MX_WINDOW);
}

static void last_close(void)
{
	mx_run(&(struct mx_row){ .id = "close", .act = close_it, .undo = open_again,
				 .cause = "close", .unmapped = true });
}

/* The close gives up after a millisecond: the reads are in flight when it returns. */
static const struct mx_row stale_row = {
	.id = "stale-open", .act = close_it, .cause = "close", .unmapped = true,
	.flight = MX_OUTLASTS, .bound_ms = 1, .kept = true,
};

static void leave_stale(void)
{
	h_expect_log("p2p: [0-9]+ folios still pinned after");
	h_expect_log("p2p: closed under I/O; opening it is refused until that ends");
	mx_open(&m, &stale_row);
	step(mx_send);
	step(mx_act);
	H_CHECK(h_failed() || m.late > 0);
}

static void opened_too_early(void)
{
	uint64_t began;
	int first, late;

	h_expect_log("p2p: not opened: I/O of its last user still holds pages");
	leave_stale();
	if (h_failed())
		return;
	began = h_now_ns();
	first = dev_open(&m.t.d, "target");
	H_CHECK(h_wait_until(first != -EBUSY || !dev_open(&m.t.d, "target"), 10000));
	began = h_now_ns() - began;
	/* It opened: none may be left. */
	H_CHECK(ru_aio_reap(&m.aio, 0, 0) >= 0);
	late = m.aio.submitted - m.aio.reaped;
	dev_close(&m.t.d);
	H_EQ(open_again(&m.t), 0);
	mx_canary(&m);
	H_EQ(ru_aio_reap(&m.aio, late, 10000), late);
	mx_canary_lives(&m);
	H_EQ(late, 0);
	H_EQ(first, -EBUSY);
	H_CHECK(ru_works(&m.t));
	step(mx_close);
	if (!h_failed())
		mx_row("stale-open", NULL, MX_NONE, MX_NONE, "keeps it closed", began / 1000000,
		       MX_BOUND_MS);
}

/* Kill */

/* In the child; what it has learned goes through the pipe. */
static int load_for_ever(void)
{
	static struct ru_ring ring;
	int disk = open(h_disk("late"), O_RDONLY | O_DIRECT | O_CLOEXEC), err;
	static const struct mx_row row = { .id = "kill" };

	mx_open(&m, &row);
	step(mx_load);
	err = h_failed() || disk < 0 ? -EIO : ru_ring_open(&ring, MX_READS);
	for (int i = 0; !err && i < m.reads; i++)
		err = ru_ring_read(&ring, disk, mx_place(m.t.win, i), m.size, i * m.size);
	return err;
}

static pid_t start_owner(void)
{
	int pipefd[2], err = -EIO;
	pid_t pid;

	if (pipe2(pipefd, O_CLOEXEC))
		return 0;
	pid = fork();
	if (!pid) {
		err = load_for_ever();
		write(pipefd[1], &err, sizeof(err));
		pause();
		_exit(1);
	}
	close(pipefd[1]);
	if (read(pipefd[0], &err, sizeof(err)) != sizeof(err))
		err = -EIO;
	close(pipefd[0]);
	return err ? 0 : pid;
}

/* A read that is sent now comes after all that have been sent: each takes the same. */
static int all_have_come(void)
{
	static char page[RU_PAGE] __attribute__((aligned(RU_PAGE)));
	int disk = open(h_disk("late"), O_RDONLY | O_DIRECT | O_CLOEXEC);
	ssize_t n = disk < 0 ? -1 : pread(disk, page, RU_PAGE, 0);

	close(disk);
	return n == RU_PAGE ? 0 : -EIO;
}

/* When it is reaped its files are closed. */
static void killed(void)
{
	long long closes = dev_revokes("target", "close"), timeouts = dev_count("target", "drain_timeouts");
	pid_t pid = start_owner();
	uint64_t began = h_now_ns();
	int status;

	H_CHECK(pid > 0);
	H_CHECK(dev_count("target", "pinned_folios") >= MX_READS / 2);
	kill(pid, SIGKILL);
	H_EQ(waitpid(pid, &status, 0), pid);
	began = (h_now_ns() - began) / 1000000;
	H_CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	H_EQ(dev_count("target", "pinned_folios"), 0);
	H_CHECK(dev_state_is("target", "closed"));
	H_EQ(dev_revokes("target", "close"), closes + 1);
	H_EQ(dev_count("target", "drain_timeouts"), timeouts);
	H_CHECK(began <= 3 * MX_BOUND_MS);
	m = (struct mx){ .row = &stale_row, .reads = MX_READS, .size = MX_READ_SIZE };
	H_EQ(open_again(&m.t), 0);
	mx_canary(&m);
	H_EQ(all_have_come(), 0);
	mx_canary_lives(&m);
	H_CHECK(ru_works(&m.t));
	step(mx_close);
	if (!h_failed())
		mx_row("kill", NULL, "is killed", "is killed", "ends first", began, MX_BOUND_MS);
}

/* Unbinding and unloading */

static long unbind(void *bdf)
{
	return h_bind(bdf, NULL);
}

/* By another process: this one could not be killed while it waits for itself. */
static pid_t unbinder;

static long start_unbinding(void *dev)
{
	struct dev *d = dev;

	unbinder = fork();
	if (!unbinder) {
		dev_close(d);		/* its copies would be users */
		_exit(unbind(d->bdf) ? 1 : 0);
	}
	/* The driver's attributes go first. */
	return h_wait_until(dev_count("target", "generation") == -ENOENT, 5000) ? 0 : -ETIMEDOUT;
}

static void unbound_while_open(void)
{
	static struct mx_row row = {
		.id = "unbind", .act = start_unbinding, .kept = true,
		.racing = MX_WHOLE, .flight = MX_GOES_ON,
	};
	int status = -1;

	mx_open(&m, &row);
	step(mx_load);
	step(mx_send);
	step(mx_act);
	step(mx_judge);
	step(mx_after);
	H_CHECK(unbinder > 0 && !waitpid(unbinder, &status, WNOHANG));
	row.gone = true;
	step(mx_close);
	H_CHECK(h_await(unbinder, &status, 10000));
	H_EQ(status, 0);
	step(mx_print);
	dev_bind("target", DEV_P2P);
}

/* What takes the driver from a closed device whose last user's reads are in flight. */
static void goes_while_stale(const char *id, long (*go)(void *))
{
	char bdf[16];
	uint64_t began;
	long ret;

	leave_stale();
	if (h_failed())
		return;
	snprintf(bdf, sizeof(bdf), "%s", h_pci("target"));
	began = h_now_ns();
	ret = go(bdf);
	began = (h_now_ns() - began) / 1000000;
	H_CHECK(ru_aio_reap(&m.aio, 0, 0) >= 0);
	H_EQ(m.aio.submitted - m.aio.reaped, 0);
	H_EQ(m.aio.bad, 0);
	H_EQ(ret, 0);
	dev_bind("target", DEV_P2P);
	H_EQ(open_again(&m.t), 0);
	H_CHECK(ru_works(&m.t));
	step(mx_close);
	if (!h_failed())
		mx_row(id, NULL, MX_NONE, MX_NONE, "ends first", began, 0);
}

static void unbound_while_stale(void)
{
	goes_while_stale("unbind-closed", unbind);
}

static long unload(void *bdf)
{
	(void)bdf;
	return h_rmmod(DEV_P2P);
}

static void unloaded_while_stale(void)
{
	goes_while_stale("rmmod-closed", unload);
}

static const struct h_case cases[] = {
	{ "the last close, with reads in flight", last_close, 60 },
	{ "opened while the last user's reads are in flight", opened_too_early, 60 },
	{ "SIGKILL of the owner", killed, 60 },
	{ "unbound while it is open", unbound_while_open, 60 },
	{ "unbound when it is closed, with reads in flight", unbound_while_stale, 60 },
	{ "rmmod when it is closed, with reads in flight", unloaded_while_stale, 60 },
	{ }
};

int main(int argc, char **argv)
{
	dev_bind("target", DEV_P2P);
	return h_main(argc, argv, cases);
}
