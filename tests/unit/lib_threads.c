// SPDX-License-Identifier: MIT
/*
 * One device, one window, one file and one queue used by several threads at once, while
 * the device is reset again and again.
 *
 * Theory: the library is compiled for this test with the thread sanitizer, which sees
 * two accesses that nothing orders, whether or not they have collided.  Two threads
 * submit to a queue, two reap from it, one reads by vp2p_pread() and asks whatever can be
 * asked, and one resets.  Each transfer must be reaped exactly once.  Nothing is timed:
 * the threads end when all that was submitted has been reaped.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "../../lib/file.h"
#include "fake.h"
#include "tap.h"
#include "tree.h"

#define EACH	200		/* transfers of one submitter */
#define ALL	(2 * EACH)
#define SIZE	4096
#define RESETS	20

static struct vp2p_device *dev;
static struct vp2p_window *win;
static struct vp2p_queue *q;
static struct vp2p_io *io;
static atomic_uint reaped, times[ALL], bad, others_bad;

static void *submits(void *arg)
{
	unsigned int first = *(unsigned int *)arg;

	for (unsigned int i = first; i < first + EACH;) {
		struct vp2p_transfer t = {
			.io = io, .direction = VP2P_FILE_TO_WINDOW,
			.window_offset = i * SIZE, .length = SIZE, .tag = i,
		};
		int rc = vp2p_queue_submit(q, &t, 1, NULL);

		if (rc == 1)
			i++;
		else if (rc == -EAGAIN)
			sched_yield();
		else
			atomic_fetch_add(&bad, 1);
	}
	/* A thread that has submitted stays until all is done. */
	while (atomic_load(&reaped) < ALL)
		usleep(1000);
	return NULL;
}

static void *reaps(void *arg)
{
	struct vp2p_completion done[4];

	(void)arg;
	while (atomic_load(&reaped) < ALL) {
		int n = vp2p_queue_reap(q, done, 4, 10, NULL);

		for (int i = 0; i < n; i++) {
			atomic_fetch_add(&times[done[i].tag], 1);
			atomic_fetch_add(&bad, done[i].result != SIZE);
		}
		atomic_fetch_add(&reaped, n > 0 ? (unsigned int)n : 0);
	}
	return NULL;
}

static void *asks(void *arg)
{
	struct vp2p_io_report report;
	struct vp2p_io_info info;
	struct vp2p_state state;
	struct vp2p_error err;
	void *p;

	(void)arg;
	while (atomic_load(&reaped) < ALL) {
		int good = vp2p_pread(io, 8 << 20, SIZE, 0, &report, &err) == SIZE;

		vp2p_io_describe(io, &info);
		good &= !vp2p_get_state(dev, &state, &err) && vp2p_queue_pending(q) <= 8;
		good &= !vp2p_map(win, 0, 0, 0, &p, &err);
		good &= !vp2p_unmap(p, vp2p_window_length(win), &err);
		good &= vp2p_queue_cancel(q, ALL, &err) == -ENOENT;
		atomic_fetch_add(&others_bad, !good);
	}
	return NULL;
}

static void *resets(void *arg)
{
	(void)arg;
	for (int i = 0; i < RESETS; i++) {
		fake_lock();
		fake.state.state = P2P_VFIO_STATE_DRAINING;
		fake.state.revokes[0]++;
		fake_signal();
		fake_unlock();
		usleep(1000);
		fake_lock();
		fake.state.state = P2P_VFIO_STATE_LIVE;
		fake.state.generation++;
		fake_signal();
		fake_unlock();
		usleep(1000);
	}
	return NULL;
}

static int make_file(const char *program)
{
	char path[300], *data = calloc(1, SIZE);
	int fd;

	snprintf(path, sizeof(path), "%s-file", program);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, data, SIZE) != SIZE || fsync(fd)) {
		perror(path);
		exit(99);
	}
	unlink(path);
	free(data);
	return fd;
}

static void run(void)
{
	void *(*const what[])(void *) = { submits, submits, reaps, reaps, asks, resets };
	unsigned int first[2] = { 0, EACH }, once = 0;
	pthread_t threads[6];

	for (int i = 0; i < 6; i++)
		if (pthread_create(&threads[i], NULL, what[i], i < 2 ? &first[i] : NULL))
			exit(99);
	for (int i = 0; i < 6; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < ALL; i++)
		once += atomic_load(&times[i]) == 1;
	is_num(once, ALL, "each transfer was reaped once");
	is_num(atomic_load(&bad), 0, "with all its bytes");
	is_num(atomic_load(&others_bad), 0, "and nothing else failed");
}

int main(int argc, char **argv)
{
	struct vp2p__dio dio;
	struct vp2p_error err;
	int fd = make_file(argv[0]), rc;

	(void)argc;
	tree_make("/sys/\n");
	fake_install();
	dev = fake_device();
	if (vp2p__dio_query(fd, &dio)) {
		ok(1, "threads # SKIP the file system here does not promise direct I/O");
		return TAP_DONE();
	}
	rc = vp2p_queue_create(dev, 8, &q, &err);
	if (rc) {
		ok(rc == -EOPNOTSUPP, "threads # SKIP no io_uring here: %s", err.cause);
		return TAP_DONE();
	}
	/* The fake keeps one eventfd, the queue's; who waits otherwise looks instead. */
	fake.events_errno = ENOSPC;
	if (vp2p_window_create(dev, 2, 0, 0, 0, &win, &err) ||
	    vp2p_io_open(win, fd, VP2P_IO_READ | VP2P_IO_MEMORY_KEPT, 0, &io, &err))
		return 99;
	run();
	fake.events_errno = 0;
	vp2p_queue_destroy(q);
	vp2p_io_close(io);
	vp2p_window_destroy(win);
	vp2p_close(dev);
	close(fd);
	tree_remove();
	return TAP_DONE();
}
