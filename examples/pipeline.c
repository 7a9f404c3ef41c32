// SPDX-License-Identifier: MIT
/*
 * pipeline BDF BAR FILE [RESETS] - a file into a BAR, eight reads at a time, by an event
 * loop over io_uring; the device is reset RESETS times in the middle of it
 *
 * A read that a reset meets is repeated by the library.  One that ended before it has put
 * its bytes into memory that the reset may have wiped: its generation tells, and it is
 * read again.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <sys/stat.h>

#include "example.h"

#define CHUNK	(UINT64_C(256) << 10)
#define DEPTH	8
#define UNREAD	UINT64_MAX

static struct vp2p_error err;
static struct vp2p_device *dev;
static struct vp2p_queue *queue;
static struct vp2p_io *io;
static uint64_t *generation, chunks, p2p, again;
static int resets;

static void submit(uint64_t chunk)
{
	const struct vp2p_transfer t = {
		.io = io, .direction = VP2P_FILE_TO_WINDOW, .window_offset = chunk * CHUNK,
		.file_offset = chunk * CHUNK, .length = CHUNK, .tag = chunk,
	};

	if (vp2p_queue_submit(queue, &t, 1, &err) != 1)
		die(&err);
}

/* Takes what is done, when the event loop says that there is something. */
static void reap(void)
{
	struct pollfd pfd = { .fd = vp2p_queue_eventfd(queue), .events = POLLIN };
	struct vp2p_completion done[DEPTH];
	int n;

	poll(&pfd, 1, -1);	/* with whatever else the program waits for */
	n = vp2p_queue_reap(queue, done, DEPTH, 0, &err);
	if (n < 0)
		die(&err);
	for (int i = 0; i < n; i++) {
		if (done[i].result < 0)
			die(&done[i].err);
		generation[done[i].tag] = done[i].report.generation;
		p2p += done[i].report.bytes_p2p;
		again += done[i].report.retries;
	}
}

/* One pass over what is not in place in the device's present generation. */
static uint64_t pass(void)
{
	struct vp2p_state state;
	uint64_t missing = 0;

	if (vp2p_get_state(dev, &state, &err))
		die(&err);
	for (uint64_t i = 0; i < chunks; i++) {
		if (generation[i] == state.generation)
			continue;
		missing++;
		while (vp2p_queue_pending(queue) == DEPTH)
			reap();
		submit(i);
		if (missing % (DEPTH / 2) == 0 && resets > 0) {
			resets--;
			if (vp2p_reset(dev, &err))
				die(&err);
		}
	}
	while (vp2p_queue_pending(queue))
		reap();
	return missing;
}

int main(int argc, char **argv)
{
	struct vp2p_window *win;
	struct stat st;
	void *p;
	int fd = argc >= 4 ? open(argv[3], O_RDONLY | O_CLOEXEC) : -1;

	if (fd < 0 || fstat(fd, &st))
		return fprintf(stderr, "usage: %s BDF BAR FILE [RESETS]\n", argv[0]), 2;
	resets = argc > 4 ? atoi(argv[4]) : 0;
	chunks = ((uint64_t)st.st_size + CHUNK - 1) / CHUNK;
	generation = malloc((chunks + 1) * sizeof(*generation));
	for (uint64_t i = 0; i < chunks; i++)
		generation[i] = UNREAD;

	if (vp2p_open(argv[1], 0, &dev, &err) ||
	    vp2p_window_create(dev, (unsigned int)atoi(argv[2]), 0, 0, 0, &win, &err) ||
	    vp2p_io_open(win, fd, VP2P_IO_READ, 0, &io, &err) ||
	    vp2p_queue_create(dev, DEPTH, &queue, &err))
		die(&err);
	while (pass())
		;
	if (vp2p_map(win, 0, 0, VP2P_MAP_RDONLY, &p, &err))
		die(&err);
	printf("%" PRIu64 " bytes peer-to-peer, %" PRIu64 " requests repeated, sum %016" PRIx64
	       "\n", p2p, again, sum_of(p, (uint64_t)st.st_size));
	vp2p_unmap(p, vp2p_window_length(win), NULL);
	vp2p_queue_destroy(queue);
	vp2p_io_close(io);
	vp2p_window_destroy(win);
	vp2p_close(dev);
	free(generation);
	return 0;
}
