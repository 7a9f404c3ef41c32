// SPDX-License-Identifier: MIT
/*
 * The relay between an NFS client and its server: see nfs.h.
 *
 * A process of its own, without threads.  What it shares with the test is the board:
 * how many bytes have passed, and how many may.
 */
#define _GNU_SOURCE
#include "nfs.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <signal.h>
#include <unistd.h>

#include "harness.h"

#define CHUNK (64u << 10)
#define MAX_PAIRS 8
/* How long a change on the board may go unseen. */
#define LOOK_MS 2

static struct board {
	_Atomic uint64_t passed[2];	/* by enum nfs_direction */
	_Atomic uint64_t most[2];
	atomic_bool holds;		/* nothing passes */
	atomic_bool closed;		/* nobody is connected, nobody gets a connection */
	atomic_bool seen_closed;
} *board;

/* One direction of a connection, and what it has taken and not yet given. */
struct way {
	int from, to;
	size_t begin, end;
	char buf[CHUNK];
};

static struct pair {
	struct way way[2];		/* by enum nfs_direction */
} pairs[MAX_PAIRS];
static int count;
static int listener = -1;

static int open_socket(int port, int (*act)(int, const struct sockaddr *, socklen_t))
{
	struct sockaddr_in at = {
		.sin_family = AF_INET, .sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
	if (!act(fd, (void *)&at, sizeof(at)))
		return fd;
	close(fd);
	return -1;
}

static void drop(int i)
{
	close(pairs[i].way[0].from);
	close(pairs[i].way[0].to);
	pairs[i] = pairs[--count];
}

static void take_client(void)
{
	int client = accept(listener, NULL, NULL);
	int server = count < MAX_PAIRS ? open_socket(NFS_PORT, connect) : -1;

	if (client < 0 || server < 0) {
		close(client);
		close(server);
		return;
	}
	pairs[count].way[NFS_TO_SERVER] = (struct way){ .from = client, .to = server };
	pairs[count++].way[NFS_TO_CLIENT] = (struct way){ .from = server, .to = client };
}

/* One step of a way whose side is ready; false: the connection has ended. */
static bool step(struct way *way, enum nfs_direction direction)
{
	uint64_t room = board->most[direction] - board->passed[direction];
	ssize_t n;

	if (way->begin == way->end) {
		n = recv(way->from, way->buf, room < CHUNK ? room : CHUNK, MSG_DONTWAIT);
		way->begin = 0;
		way->end = n > 0 ? (size_t)n : 0;
	} else {
		n = send(way->to, way->buf + way->begin, way->end - way->begin,
			 MSG_DONTWAIT | MSG_NOSIGNAL);
		way->begin += n > 0 ? (size_t)n : 0;
		board->passed[direction] += n > 0 ? (uint64_t)n : 0;
		if (board->passed[direction] >= board->most[direction])
			board->holds = true;
	}
	return n > 0 || (n < 0 && errno == EAGAIN);
}

static struct pollfd ready_for(const struct way *way)
{
	if (way->begin == way->end)
		return (struct pollfd){ .fd = way->from, .events = POLLIN };
	return (struct pollfd){ .fd = way->to, .events = POLLOUT };
}

static void carry_on(void)
{
	struct pollfd fds[2 * MAX_PAIRS + 1] = { { .fd = listener, .events = POLLIN } };

	for (int i = 0; i < 2 * count; i++)
		fds[1 + i] = ready_for(&pairs[i / 2].way[i % 2]);
	if (poll(fds, 1 + 2 * count, LOOK_MS) <= 0)
		return;
	for (int i = 2 * count - 1; i >= 0; i--) {
		if (!fds[1 + i].revents || board->holds)
			continue;
		if (!step(&pairs[i / 2].way[i % 2], i % 2)) {
			drop(i / 2);
			i -= i % 2;
		}
	}
	if (fds[0].revents)
		take_client();
}

static _Noreturn void relay(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		if (board->closed) {
			while (count)
				drop(count - 1);
			close(listener);
			listener = -1;
		} else if (listener < 0) {
			listener = open_socket(NFS_RELAY_PORT, bind);
			listen(listener, MAX_PAIRS);
		}
		board->seen_closed = board->closed;
		if (board->closed || board->holds)
			h_sleep_ms(LOOK_MS);
		else
			carry_on();
	}
}

void nfs_relay_begin(void)
{
	board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		     -1, 0);
	board->closed = board->seen_closed = true;
	nfs_relay_release();
	if (!fork())
		relay();
	nfs_relay_open();
}

void nfs_relay_hold(enum nfs_direction direction, uint64_t bytes)
{
	board->most[direction] = board->passed[direction] + bytes;
	if (!bytes)
		board->holds = true;
}

bool nfs_relay_holds(void)
{
	return board->holds;
}

void nfs_relay_release(void)
{
	board->most[0] = board->most[1] = UINT64_MAX;
	board->holds = false;
}

static void set_closed(bool closed)
{
	board->closed = closed;
	if (!h_wait_until(board->seen_closed == closed, 10000))
		h_fail("the relay does not answer");
}

void nfs_relay_cut(void)
{
	set_closed(true);
}

void nfs_relay_open(void)
{
	set_closed(false);
}

uint64_t nfs_relay_passed(enum nfs_direction direction)
{
	return board->passed[direction];
}
