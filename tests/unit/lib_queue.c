// SPDX-License-Identifier: MIT
/*
 * Transfers on real files: vp2p_pread(), vp2p_pwrite() and the queues.
 *
 * Theory: the device's memory is a memfd and the rest is real, the io_uring too.  The
 * fake's state is the revocation: it is set before a call and looked at by it, so the
 * order of things is the test's.  A hole behind the memfd's end makes the kernel answer
 * EFAULT, as a closed gate does.  A FIFO's end that nobody writes to is a transfer that
 * stays with the kernel for as long as the test wants.  Where this machine has no
 * io_uring, or its file system no direct I/O, the parts that need it are skipped.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../lib/transfer.h"
#include "check_error.h"
#include "fake.h"
#include "tree.h"

#define MIB	(1u << 20)
#define ROOM	16

static struct vp2p_device *dev;
static struct vp2p_window *win;
static struct vp2p_error err;
static struct vp2p_completion done[ROOM];
static uint8_t *memory;
static char dir[256];
static int file;		/* 4 MiB of a pattern, read and write */

static uint8_t pattern(uint64_t at)
{
	return (uint8_t)(at * 13 + at / 256);
}

static int holds(const uint8_t *at, uint64_t from, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		if (at[i] != pattern(from + i))
			return 0;
	return 1;
}

static void make_file(void)
{
	uint8_t *data = malloc(4 * MIB);
	char path[300];

	for (uint64_t i = 0; i < 4 * MIB; i++)
		data[i] = pattern(i);
	snprintf(path, sizeof(path), "%s/queue-file", dir);
	file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (file < 0 || write(file, data, 4 * MIB) != 4 * MIB || fsync(file)) {
		perror(path);
		exit(99);
	}
	unlink(path);
	free(data);
}

static struct vp2p_io *open_io(unsigned int flags, int timeout)
{
	struct vp2p_io *io;

	if (vp2p_io_open(win, file, flags, timeout, &io, &err)) {
		printf("Bail out! %s\n", err.cause);
		exit(99);
	}
	return io;
}

static struct vp2p_queue *open_queue(unsigned int depth)
{
	struct vp2p_queue *q;

	if (vp2p_queue_create(dev, depth, &q, &err)) {
		printf("Bail out! %s\n", err.cause);
		exit(99);
	}
	return q;
}

static struct vp2p_transfer in(struct vp2p_io *io, uint64_t at, uint64_t length, uint64_t tag)
{
	return (struct vp2p_transfer){
		.io = io, .direction = VP2P_FILE_TO_WINDOW, .window_offset = at,
		.file_offset = at, .length = length, .tag = tag,
	};
}

static int readable(struct vp2p_queue *q)
{
	struct pollfd pfd = { .fd = vp2p_queue_eventfd(q), .events = POLLIN };

	return poll(&pfd, 1, 0) == 1;
}

static int soon_readable(struct vp2p_queue *q)
{
	struct pollfd pfd = { .fd = vp2p_queue_eventfd(q), .events = POLLIN };

	return poll(&pfd, 1, 10000) == 1;
}

/* How many of this process's mappings have @name. */
static int count_maps(const char *name)
{
	FILE *f = fopen("/proc/self/maps", "re");
	char line[512];
	int n = 0;

	while (fgets(line, sizeof(line), f))
		n += !!strstr(line, name);
	fclose(f);
	return n;
}

static void begin_reset(void)
{
	fake.state.state = P2P_VFIO_STATE_DRAINING;
	fake.state.revokes[0]++;
	fake_signal();
}

static void end_reset(void)
{
	fake.state.state = P2P_VFIO_STATE_LIVE;
	fake.state.generation++;
	fake_signal();
}

static void be_live(void)
{
	fake.state.state = P2P_VFIO_STATE_LIVE;
	fake.after_look = NULL;
	memset(memory, 0, 8 * MIB);
}

/* ------------------------------------------------------------ one by one --- */

static void test_pread(void)
{
	struct vp2p_io *io = open_io(VP2P_IO_READ | VP2P_IO_WRITE, 0);
	struct vp2p_io_report report;
	struct vp2p_io_info info;
	uint8_t *back = malloc(MIB);

	be_live();
	vp2p_io_describe(io, &info);
	ok(info.file_align >= 512 && info.mem_align, "alignments are told");
	is_num(vp2p_pread(io, MIB, MIB, MIB, &report, &err), MIB, "pread");
	ok(holds(memory + MIB, MIB, MIB) && !memory[2 * MIB], "... its bytes, no more");
	ok(report.bytes_p2p == MIB && !report.bytes_bounced, "... reported as peer-to-peer");
	is_num(report.route, info.route, "... by the file's route");
	is_num(vp2p_pread(io, 0, 2 * MIB, 3 * MIB, &report, &err), MIB, "up to the file's end");
	is_num(vp2p_pread(io, 0, MIB, 8 * MIB, NULL, &err), 0, "beyond it");
	/* What lay behind the file's end has been touched too: the file system's right. */
	is_num(vp2p_pread(io, MIB, MIB, MIB, NULL, &err), MIB, "once more");
	is_num(vp2p_pwrite(io, MIB, MIB, 2 * MIB, &report, &err), MIB, "pwrite");
	is_num(pread(file, back, MIB, 2 * MIB), MIB, "read back");
	ok(holds(back, MIB, MIB), "... the same bytes");
	for (uint64_t i = 0; i < MIB; i++)
		back[i] = pattern(2 * MIB + i);
	is_num(pwrite(file, back, MIB, 2 * MIB), MIB, "put right");
	is_num(fsync(file), 0, "... on the disk");
	is_error((int)vp2p_pread(io, 0, 100, 0, &report, &err), EINVAL, &err, "an odd length");
	is_num((long long)report.bytes_p2p, 0, "... moved nothing");
	vp2p_io_close(io);

	io = open_io(VP2P_IO_READ | VP2P_IO_ALLOW_BUFFERED, 0);
	is_num(vp2p_pread(io, 3, 100, 7, &report, &err), 100, "... by the CPU");
	ok(holds(memory + 3, 7, 100) && report.bytes_bounced == 100 && !report.bytes_p2p,
	   "... reported as bounced");
	is_error((int)vp2p_pwrite(io, 0, 4096, 0, NULL, &err), EBADF, &err, "the other direction");
	vp2p_io_close(io);
	free(back);
}

static void reset_beside(int look)
{
	if (look == 2) {
		fake.state.generation++;
		fake.state.revokes[0]++;
		memset(memory, 0, MIB);
	}
}

static void live_at_third(int look)
{
	if (look == 3)
		end_reset();
}

static void test_pread_reset(void)
{
	struct vp2p_io *io = open_io(VP2P_IO_READ, 0);
	struct vp2p_io_report report;

	/* The first look is before the request, the second after it. */
	be_live();
	fake.looks = 0;
	fake.after_look = reset_beside;
	is_num(vp2p_pread(io, 0, MIB, 0, &report, &err), MIB, "a reset beside a pread");
	be_live();
	fake.state.state = P2P_VFIO_STATE_DRAINING;
	fake.looks = 0;
	fake.after_look = live_at_third;
	is_num(vp2p_pread(io, 0, MIB, 0, &report, &err), MIB, "one that begins in a reset");
	ok(holds(memory, 0, MIB) && report.generation == fake.state.generation,
	   "... reads when it is over");
	vp2p_io_close(io);

	be_live();
	io = open_io(VP2P_IO_READ, 1);
	fake.state.state = P2P_VFIO_STATE_DRAINING;
	is_error((int)vp2p_pread(io, 0, MIB, 0, &report, &err), ETIMEDOUT, &err,
		 "one that never ends");
	fake.state_errno = ENODEV;
	is_error((int)vp2p_pread(io, 0, MIB, 0, &report, &err), ENODEV, &err, "no device");
	fake.state_errno = 0;
	be_live();
	vp2p_io_close(io);
}

static void test_io_errors(void)
{
	struct vp2p_io *io;
	int fds = open_fds(), rdonly, memfd = memfd_create("tmpfs", MFD_CLOEXEC);
	char link[64];

	snprintf(link, sizeof(link), "/proc/self/fd/%d", file);
	rdonly = open(link, O_RDONLY | O_CLOEXEC);
	is_error(vp2p_io_open(win, file, 0, 0, &io, &err), EINVAL, &err, "no direction");
	is_error(vp2p_io_open(win, file, 1 << 9, 0, &io, &err), EINVAL, &err, "undefined flag");
	is_error(vp2p_io_open(win, file, VP2P_IO_READ, -2, &io, &err), EINVAL, &err, "timeout");
	is_error(vp2p_io_open(win, memfd, VP2P_IO_READ, 0, &io, &err), EOPNOTSUPP, &err, "tmpfs");
	is_error(vp2p_io_open(win, rdonly, VP2P_IO_READ | VP2P_IO_WRITE, 0, &io, &err), EBADF,
		 &err, "a file open for one direction");
	vp2p_io_close(NULL);
	close(rdonly);
	close(memfd);
	is_num(open_fds(), fds, "no fd is left");
}

/* ------------------------------------------------------------ in batches --- */

static void test_batch(void)
{
	struct vp2p_io *io = open_io(VP2P_IO_READ | VP2P_IO_WRITE, 0);
	struct vp2p_queue *q = open_queue(8);
	struct vp2p_transfer t[ROOM];
	unsigned int seen = 0, n = 0;

	be_live();
	for (uint64_t i = 0; i < ROOM; i++)
		t[i] = in(io, i * 128 * 1024, 128 * 1024, i);
	is_num(vp2p_queue_submit(q, t, ROOM, &err), 8, "as many are taken as fit");
	is_error(vp2p_queue_submit(q, t, 1, &err), EAGAIN, &err, "then it is full");
	is_num(vp2p_queue_pending(q), 8, "all are pending");
	while (n < 8) {
		int got = vp2p_queue_reap(q, done, 3, -1, &err);

		ok(got >= 1 && got <= 3, "no more are reaped than there is room");
		for (int i = 0; i < got; i++) {
			seen |= 1u << done[i].tag;
			ok(done[i].result == 128 * 1024 && done[i].report.bytes_p2p == 128 * 1024,
			   "each tells of its bytes");
		}
		n += (unsigned int)got;
	}
	is_num(seen, 0xff, "each once");
	ok(holds(memory, 0, MIB) && !memory[MIB], "the data");
	is_num(vp2p_queue_reap(q, done, ROOM, 0, &err), 0, "then there is none");
	is_num(vp2p_queue_pending(q), 0, "and nothing is pending");
	ok(!readable(q), "and the eventfd says so");

	t[0].direction = VP2P_WINDOW_TO_FILE;
	t[1].length = 0;
	is_num(vp2p_queue_submit(q, t, 3, &err), 1, "those before one that breaks a rule");
	is_error(vp2p_queue_submit(q, t + 1, 2, &err), EINVAL, &err, "... which is told next");
	t[1].io = NULL;
	is_error(vp2p_queue_submit(q, t + 1, 2, &err), EINVAL, &err, "no file");
	is_num(vp2p_queue_reap(q, done, ROOM, -1, &err), 1, "a write");
	is_num(done[0].result, 128 * 1024, "... of all bytes");
	is_error(vp2p_queue_reap(q, done, 0, 0, &err), EINVAL, &err, "room for none");
	is_error(vp2p_queue_reap(q, done, 1, -2, &err), EINVAL, &err, "a timeout of -2");
	is_error(vp2p_queue_cancel(q, 5, &err), ENOENT, &err, "an unknown tag");
	vp2p_queue_destroy(q);
	vp2p_io_close(io);
}

static void test_left_over(void)
{
	struct vp2p_io *io = open_io(VP2P_IO_READ | VP2P_IO_NO_RETRY, 0);
	struct vp2p_queue *q = open_queue(4);
	struct vp2p_transfer t[2] = { in(io, 0, 4096, 1), in(io, 4096, 4096, 2) };

	/* These end without the kernel ever seeing them. */
	be_live();
	begin_reset();
	is_num(vp2p_queue_submit(q, t, 2, &err), 2, "two that must not be repeated");
	ok(readable(q), "the eventfd tells at once");
	is_num(vp2p_queue_reap(q, done, 1, -1, &err), 1, "one is reaped");
	is_error((int)done[0].result, EAGAIN, &done[0].err, "... which met a revocation");
	ok(readable(q), "the other one is still told");
	is_num(vp2p_queue_reap(q, done, 1, -1, &err), 1, "it is reaped too");
	is_num((long long)done[0].tag, 2, "... in the order of their ends");
	ok(!readable(q), "nothing is told any more");
	vp2p_queue_destroy(q);
	vp2p_io_close(io);
}

static void test_revoked(void)
{
	struct vp2p_io *io = open_io(VP2P_IO_READ, 0);
	struct vp2p_queue *q = open_queue(4);
	struct vp2p_transfer t[2] = { in(io, 0, MIB, 1), in(io, MIB, MIB, 2) };

	be_live();
	begin_reset();
	is_num(vp2p_queue_submit(q, t, 2, &err), 2, "submitted in a revocation");
	is_num(vp2p_queue_reap(q, done, ROOM, 0, &err), 0, "nothing ends in it");
	is_num(vp2p_queue_reap(q, done, ROOM, 0, &err), 0, "nor later in it");
	ok(!readable(q), "its begin has been heard, and there is nothing to do");
	is_num(vp2p_queue_pending(q), 2, "they are pending");
	ok(!memory[0], "and nothing has been read");
	end_reset();
	ok(soon_readable(q), "its end makes the eventfd readable");
	for (int n = 0; n < 2;)
		n += vp2p_queue_reap(q, done + n, ROOM, -1, &err);
	ok(done[0].result == MIB && done[1].result == MIB, "its end is heard, and they run");
	is_num((long long)done[0].report.generation, (long long)fake.state.generation,
	       "... in the new generation");
	ok(holds(memory, 0, 2 * MIB), "... with the data");

	/* EFAULT of a page that is away, and a revocation to blame for it. */
	be_live();
	if (ftruncate(fake.memory, MIB))
		exit(99);
	is_num(vp2p_queue_submit(q, t, 2, &err), 2, "one that runs into a closed gate");
	begin_reset();
	for (int n = 0; n < 1;)
		n += vp2p_queue_reap(q, done, ROOM, 20, &err) + !vp2p_queue_pending(q) +
		     (vp2p_queue_pending(q) == 2);
	is_num(vp2p_queue_pending(q), 2, "does not end");
	if (ftruncate(fake.memory, FAKE_BAR_SIZE + 8 * MIB))
		exit(99);
	end_reset();
	for (int n = 0; n < 2;)
		n += vp2p_queue_reap(q, done + n, ROOM, -1, &err);
	ok(done[0].result == MIB && done[1].result == MIB && holds(memory, 0, 2 * MIB),
	   "... before it has all its bytes");
	vp2p_queue_destroy(q);
	vp2p_io_close(io);
}

static void test_time_over(void)
{
	struct vp2p_io *io = open_io(VP2P_IO_READ, 1), *longer = open_io(VP2P_IO_READ, -1);
	struct vp2p_queue *q = open_queue(4);
	struct vp2p_transfer t[2] = { in(longer, 0, MIB, 1), in(io, 0, MIB, 2) };

	be_live();
	begin_reset();
	is_num(vp2p_queue_submit(q, t, 2, &err), 2, "a revocation that does not end");
	is_num(vp2p_queue_reap(q, done, ROOM, -1, &err), 1, "one's time is over");
	is_num((long long)done[0].tag, 2, "... the one with a limit");
	is_error((int)done[0].result, ETIMEDOUT, &done[0].err, "... and it says so");
	is_num(vp2p_queue_cancel(q, 1, &err), 0, "the other one is cancelled");
	is_num(vp2p_queue_reap(q, done, ROOM, -1, &err), 1, "... and ends");
	is_error((int)done[0].result, ECANCELED, &done[0].err, "... as cancelled");
	is_num(vp2p_queue_submit(q, t, 1, &err), 1, "one more");
	fake.state.state = P2P_VFIO_STATE_GONE;
	fake_signal();
	is_num(vp2p_queue_reap(q, done, ROOM, -1, &err), 1, "a device that goes ends it");
	is_error((int)done[0].result, ENODEV, &done[0].err, "... and says so");
	be_live();
	begin_reset();
	is_num(vp2p_queue_submit(q, t, 1, &err), 1, "one is left behind");
	vp2p_queue_destroy(q);
	ok(1, "... and does not keep the queue from its end");
	fake.state_errno = EIO;
	q = open_queue(1);
	is_num(vp2p_queue_submit(q, t, 1, &err), 1, "a driver that does not answer");
	is_num(vp2p_queue_reap(q, done, ROOM, -1, &err), 1, "... ends it too");
	is_error((int)done[0].result, EIO, &done[0].err, "... with its error");
	fake.state_errno = 0;
	be_live();
	vp2p_queue_destroy(q);
	vp2p_io_close(io);
	vp2p_io_close(longer);
}

/* One that the kernel keeps: a read from a pipe with nothing in it. */
static void test_cancel_flying(void)
{
	struct vp2p_io *io = open_io(VP2P_IO_READ, 0);
	struct vp2p_queue *q = open_queue(2);
	struct vp2p_transfer t = in(io, 0, 4096, 7);
	int pipes[2], direct = io->file[0].direct;

	be_live();
	if (pipe(pipes))
		exit(99);
	io->file[0].direct = pipes[0];
	is_num(vp2p_queue_submit(q, &t, 1, &err), 1, "one that the kernel keeps");
	is_num(vp2p_queue_reap(q, done, ROOM, 0, &err), 0, "... does not end");
	is_num(vp2p_queue_cancel(q, 7, &err), 0, "it is cancelled");
	is_num(vp2p_queue_reap(q, done, ROOM, -1, &err), 1, "... and ends");
	is_error((int)done[0].result, ECANCELED, &done[0].err, "... as cancelled");
	is_num(vp2p_queue_submit(q, &t, 1, &err), 1, "another one");
	vp2p_queue_destroy(q);
	ok(1, "is cancelled by the queue's end");
	io->file[0].direct = direct;
	close(pipes[0]);
	close(pipes[1]);
	vp2p_io_close(io);
}

static void test_queue_errors(void)
{
	struct vp2p_queue *q;
	int fds = open_fds(), status;
	pid_t child;

	is_error(vp2p_queue_create(dev, 0, &q, &err), EINVAL, &err, "no depth");
	is_error(vp2p_queue_create(dev, VP2P_MAX_DEPTH + 1, &q, &err), EINVAL, &err, "too deep");
	fake.events_errno = ENOSPC;
	is_error(vp2p_queue_create(dev, 1, &q, &err), ENOSPC, &err, "no place for an eventfd");
	fake.events_errno = 0;
	is_num(vp2p_queue_create(dev, VP2P_MAX_DEPTH, &q, &err), 0, "the deepest");
	ok(count_maps("[io_uring]") > 0, "has mappings of its io_uring");
	child = fork();
	if (!child)
		_exit(count_maps("[io_uring]"));
	ok(waitpid(child, &status, 0) == child && !status, "which a child does not inherit");
	vp2p_queue_destroy(q);
	vp2p_queue_destroy(NULL);
	is_num(open_fds(), fds, "no fd is left");
}

int main(int argc, char **argv)
{
	struct vp2p__dio dio;
	struct vp2p_queue *q;

	(void)argc;
	snprintf(dir, sizeof(dir), "%s", argv[0]);
	*strrchr(dir, '/') = '\0';
	tree_make("/sys/\n");
	fake_install();
	memory = mmap(NULL, FAKE_BAR_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fake.memory, 0);
	dev = fake_device();
	if (memory == MAP_FAILED || vp2p_window_create(dev, 2, 0, 8 * MIB, 0, &win, &err))
		return 99;
	make_file();
	if (vp2p__dio_query(file, &dio)) {
		ok(1, "transfers # SKIP the file system here does not promise direct I/O");
		return TAP_DONE();
	}
	test_pread();
	test_pread_reset();
	test_io_errors();
	if (vp2p_queue_create(dev, 1, &q, &err) == -EOPNOTSUPP) {
		ok(1, "queues # SKIP no io_uring here: %s", err.cause);
		return TAP_DONE();
	}
	vp2p_queue_destroy(q);
	test_queue_errors();
	test_batch();
	test_left_over();
	test_revoked();
	test_time_over();
	test_cancel_flying();
	is_num(count_maps("memfd:device"), 1, "only this test's own mapping is left");
	close(file);
	vp2p_window_destroy(win);
	vp2p_close(dev);
	tree_remove();
	return TAP_DONE();
}
