// SPDX-License-Identifier: MIT
/*
 * t_queue.c - the library's queues during a revocation, on the real driver
 *
 * Theory of operation: a direct read that userfaultfd stops holds a page of the window, so
 * a reset drains for as long as the test wants (t_straddle.c).  Transfers submitted in that
 * time must neither fail nor be sent into the closed gate (the driver counts the faults that
 * it refuses), and must run by themselves when the reset has ended: the queue hears of it
 * by the driver's eventfd through its own, on which alone this test sleeps.  What arrived is
 * compared through the BAR's ordinary view.  A queue that does not look before it submits
 * fails the count; one that loses the wake-up sleeps for ever, until the case's deadline.
 *
 * This and t_open.c use the library inside of the machine by its functions.
 */
#define _GNU_SOURCE
#include "dev.h"
#include "harness.h"
#include "revoke_util.h"
#include "vfio-p2p.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#define WINDOW (4 * DEV_MIB2)
#define SIZE (256 << 10)
#define SEED 40
#define AT(i) (DEV_MIB2 + (i) * SIZE)

static struct ru_target t;
static struct vp2p_device *dev;
static struct vp2p_window *win;
static struct vp2p_queue *queue;
static struct vp2p_error err;
static struct ru_hold hold;
static struct ru_call reset;
static int disk;

static void fill_disk(void)
{
	static char bytes[SIZE] __attribute__((aligned(RU_PAGE)));

	disk = open(h_disk("raw"), O_RDWR | O_DIRECT | O_CLOEXEC);
	for (int i = 0; i < 2; i++) {
		ru_fill(bytes, SIZE, SEED + i);
		H_EQ(pwrite(disk, bytes, SIZE, AT(i)), SIZE);
	}
}

/* A device of this program's own, lent to the library. */
static void set_up(void)
{
	H_EQ(ru_target_open(&t, "target", WINDOW), 0);
	fill_disk();
	H_EQ(vp2p_attach(t.d.fd, h_pci("target"), &dev, &err), 0);
	H_EQ(vp2p_window_find(dev, 0, 0, &win, &err), 0);
	H_EQ(vp2p_queue_create(dev, 4, &queue, &err), 0);
	hold = (struct ru_hold){ .first = { t.d.fd, t.cookie } };
	H_EQ(ru_hold_begin(&hold), 0);
	ru_call(&reset, ru_reset, &t.d);
	H_CHECK(ru_hold_drains(&hold, "target"));
}

static void end_reset(void)
{
	H_EQ(ru_hold_serve(&hold), 0);
	H_CHECK(ru_join(&reset, 10000));
	H_EQ(reset.ret, 0);
	ru_hold_end(&hold);
}

static void clean_up(struct vp2p_io *io)
{
	vp2p_queue_destroy(queue);
	vp2p_io_close(io);
	vp2p_window_destroy(win);
	vp2p_close(dev);
	close(disk);
	dev_close(&t.d);
	dev_check_rest("target");
}

static struct vp2p_io *open_io(unsigned int flags)
{
	struct vp2p_io *io = NULL;

	vp2p_io_open(win, disk, flags, 0, &io, &err);
	return io;
}

static void submit_two(struct vp2p_io *io)
{
	struct vp2p_transfer two[2];

	for (int i = 0; i < 2; i++)
		two[i] = (struct vp2p_transfer){
			.io = io, .direction = VP2P_FILE_TO_WINDOW, .window_offset = AT(i),
			.file_offset = AT(i), .length = SIZE, .tag = i,
		};
	H_EQ(vp2p_queue_submit(queue, two, 2, &err), 2);
}

/* By the eventfd alone. */
static int reap_two(struct vp2p_completion *done)
{
	struct pollfd pfd = { .fd = vp2p_queue_eventfd(queue), .events = POLLIN };
	int n = 0, got = 0;

	while (n < 2 && got >= 0) {
		poll(&pfd, 1, -1);
		got = vp2p_queue_reap(queue, done + n, 2 - n, 0, &err);
		n += got;
	}
	return n;
}

static void waits(void)
{
	struct vp2p_completion done[2];
	struct p2p_vfio_state before;
	struct vp2p_io *io;

	set_up();
	if (h_failed())
		return;
	io = open_io(VP2P_IO_READ);
	H_CHECK(io);
	H_EQ(dev_state(&t.d, &before), 0);
	H_EQ(before.state, P2P_VFIO_STATE_DRAINING);
	submit_two(io);
	H_EQ(vp2p_queue_reap(queue, done, 2, 100, &err), 0);
	H_EQ(vp2p_queue_pending(queue), 2);
	H_EQ(dev_count("target", "faults_refused"), before.faults_refused);
	end_reset();
	H_EQ(reap_two(done), 2);
	for (int i = 0; i < 2; i++) {
		H_EQ(done[i].result, SIZE);
		H_EQ(done[i].report.bytes_p2p, SIZE);
		H_EQ(done[i].report.route, VP2P_ROUTE_HOST_BRIDGE);
		H_EQ(done[i].report.generation, before.generation + 1);
		H_EQ(ru_differs(t.raw + AT(i), SIZE, SEED + i), -1);
	}
	clean_up(io);
}

static void reports(void)
{
	struct vp2p_completion done[2];
	struct vp2p_io *io;

	set_up();
	if (h_failed())
		return;
	io = open_io(VP2P_IO_READ | VP2P_IO_NO_RETRY);
	H_CHECK(io);
	submit_two(io);
	H_EQ(reap_two(done), 2);
	H_EQ(done[0].result, -EAGAIN);
	H_EQ(done[1].result, -EAGAIN);
	H_EQ(done[1].report.bytes_p2p, 0);
	end_reset();
	submit_two(io);
	H_EQ(reap_two(done), 2);
	H_EQ(done[0].result, SIZE);
	clean_up(io);
}

static void is_cancelled(void)
{
	struct vp2p_completion done[2];
	struct vp2p_io *io;

	set_up();
	if (h_failed())
		return;
	io = open_io(VP2P_IO_READ);
	H_CHECK(io);
	submit_two(io);
	H_EQ(vp2p_queue_cancel(queue, 0, &err), 0);
	H_EQ(vp2p_queue_cancel(queue, 1, &err), 0);
	H_EQ(reap_two(done), 2);
	H_EQ(done[0].result, -ECANCELED);
	H_EQ(done[1].result, -ECANCELED);
	end_reset();
	clean_up(io);
}

static const struct h_case cases[] = {
	{ "transfers wait for a reset to end, and run", waits },
	{ "transfers that must not be repeated are reported", reports },
	{ "transfers that wait are cancelled", is_cancelled },
	{ }
};

int main(int argc, char **argv)
{
	dev_bind("target", DEV_P2P);
	return h_main(argc, argv, cases);
}
