// SPDX-License-Identifier: MIT
/*
 * between BDF1 BAR1 BDF2 BAR2 FILE BYTES - from one device's memory into another's, by way
 * of a file that both can reach: a ring of some chunks, written from the first and read
 * into the second at the same time
 *
 * No byte passes through host memory.  FILE is made anew and is of the ring's size.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <unistd.h>

#include "example.h"

#define CHUNK	(UINT64_C(1) << 20)
#define SLOTS	4	/* of the ring */

/* A device, its window, and what is in flight between that and the file. */
struct side {
	struct vp2p_device *dev;
	struct vp2p_window *win;
	struct vp2p_io *io;
	struct vp2p_queue *queue;
	uint32_t direction;
	uint64_t submitted, done;	/* chunks; done: of all below none is missing */
	int finished[SLOTS];		/* out of order: those above done */
	uint64_t generation, p2p;
};

static struct vp2p_error err;

static void open_side(struct side *s, const char *bdf, const char *bar, int fd, uint32_t direction)
{
	struct vp2p_state state;
	unsigned int flags = direction == VP2P_FILE_TO_WINDOW ? VP2P_IO_READ : VP2P_IO_WRITE;

	s->direction = direction;
	if (vp2p_open(bdf, 0, &s->dev, &err) ||
	    vp2p_window_create(s->dev, (unsigned int)atoi(bar), 0, 0, 0, &s->win, &err) ||
	    vp2p_io_open(s->win, fd, flags, 0, &s->io, &err) ||
	    vp2p_queue_create(s->dev, SLOTS, &s->queue, &err) ||
	    vp2p_get_state(s->dev, &state, &err))
		die(&err);
	s->generation = state.generation;
}

/* A reset of either in the middle may have cost it what was there. */
static void close_side(struct side *s)
{
	struct vp2p_state state;

	if (vp2p_get_state(s->dev, &state, &err))
		die(&err);
	if (state.generation != s->generation)
		fprintf(stderr, "%s has been reset meanwhile\n", vp2p_device_bdf(s->dev)), exit(1);
	vp2p_queue_destroy(s->queue);
	vp2p_io_close(s->io);
	vp2p_window_destroy(s->win);
	vp2p_close(s->dev);
}

/* All chunks below @end that have a slot. */
static void submit(struct side *s, uint64_t end)
{
	for (; s->submitted < end; s->submitted++) {
		const struct vp2p_transfer t = {
			.io = s->io, .direction = s->direction, .length = CHUNK,
			.window_offset = s->submitted * CHUNK,
			.file_offset = s->submitted % SLOTS * CHUNK, .tag = s->submitted,
		};

		if (vp2p_queue_submit(s->queue, &t, 1, &err) != 1)
			die(&err);
	}
}

static void reap(struct side *s)
{
	struct vp2p_completion c[SLOTS];
	int n = vp2p_queue_reap(s->queue, c, SLOTS, 0, &err);

	if (n < 0)
		die(&err);
	for (int i = 0; i < n; i++) {
		if (c[i].result < 0)
			die(&c[i].err);
		s->finished[c[i].tag % SLOTS] = 1;
		s->p2p += c[i].report.bytes_p2p;
	}
	for (; s->finished[s->done % SLOTS]; s->done++)
		s->finished[s->done % SLOTS] = 0;
}

static void run(struct side *from, struct side *to, uint64_t chunks)
{
	struct pollfd pfd[2] = {
		{ .fd = vp2p_queue_eventfd(from->queue), .events = POLLIN },
		{ .fd = vp2p_queue_eventfd(to->queue), .events = POLLIN },
	};

	while (to->done < chunks) {
		/* A slot is written when it has been read, and read when it has been written. */
		submit(from, to->done + SLOTS < chunks ? to->done + SLOTS : chunks);
		submit(to, from->done);
		poll(pfd, 2, -1);
		reap(from);
		reap(to);
	}
}

int main(int argc, char **argv)
{
	struct side from = { 0 }, to = { 0 };
	uint64_t chunks = argc == 7 ? strtoull(argv[6], NULL, 0) / CHUNK : 0;
	int fd;

	if (!chunks)
		return fprintf(stderr, "usage: %s BDF1 BAR1 BDF2 BAR2 FILE BYTES (a multiple of 1 MiB)\n", argv[0]), 2;
	fd = open(argv[5], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || posix_fallocate(fd, 0, SLOTS * CHUNK))
		return perror(argv[5]), 1;
	open_side(&from, argv[1], argv[2], fd, VP2P_WINDOW_TO_FILE);
	open_side(&to, argv[3], argv[4], fd, VP2P_FILE_TO_WINDOW);
	run(&from, &to, chunks);
	printf("%" PRIu64 " bytes out and %" PRIu64 " in, peer-to-peer\n", from.p2p, to.p2p);
	close_side(&from);
	close_side(&to);
	close(fd);
	return 0;
}
