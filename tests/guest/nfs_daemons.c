// SPDX-License-Identifier: MIT
/*
 * Stand-ins for two daemons, which say yes to everything and know nothing:
 *
 *	rpcbind		lockd registers with it, and does not start otherwise
 *	nfsdcld		keeps a server's clients over its restart; one that knows of
 *			none makes the server start without a period of grace
 */
#define _GNU_SOURCE
#include "nfs_daemons.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/nfsd/cld.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define PIPES "/run/rpc_pipefs"
#define PIPE PIPES "/nfsd/cld"
#define MAX_CALLERS 16
/* The pipe comes and goes with the server, which waits a second for its reader. */
#define LOOK_MS 10

static pid_t daemons;
static int pipe_fd = -1;

static bool read_all(int fd, void *to, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t n = read(fd, (char *)to + done, size - done);

		if (n <= 0)
			return false;
		done += (size_t)n;
	}
	return true;
}

/*
 * rpcbind: one call and its answer.  A call: length, xid, 0, RPC's version, program,
 * version, procedure, credentials, ...  To procedure 0 the answer is empty, to SET
 * and UNSET it is "true".
 */
static bool answer_call(int fd)
{
	uint32_t call[1024], reply[8] = { 0 };
	uint32_t length, size;

	if (!read_all(fd, &length, 4))
		return false;
	length = ntohl(length) & 0x7fffffff;
	if (length < 24 || length > sizeof(call) || !read_all(fd, call, length))
		return false;
	size = call[5] ? 28 : 24;
	reply[0] = htonl(0x80000000 | size);
	reply[1] = call[0];
	reply[2] = htonl(1);		/* a reply; accepted, no verifier, success */
	reply[7] = htonl(1);
	return write(fd, reply, 4 + size) == (ssize_t)(4 + size);
}

/* nfsdcld: every message comes back with status 0. */
static bool answer_upcall(int fd)
{
	struct cld_msg message;

	if (read(fd, &message, sizeof(message)) != (ssize_t)sizeof(message))
		return false;
	message.cm_status = 0;
	if (message.cm_cmd == Cld_GetVersion)
		message.cm_u.cm_version = 1;
	return write(fd, &message, sizeof(message)) == (ssize_t)sizeof(message);
}

static void watch_pipe(short revents)
{
	if (pipe_fd < 0)
		pipe_fd = open(PIPE, O_RDWR | O_CLOEXEC);
	else if (revents && !answer_upcall(pipe_fd)) {
		close(pipe_fd);
		pipe_fd = -1;
	}
}

static _Noreturn void answer_all(int listener)
{
	struct pollfd fds[MAX_CALLERS + 2] = { { .fd = listener, .events = POLLIN } };
	int count = 2;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		fds[1] = (struct pollfd){ .fd = pipe_fd, .events = POLLIN };
		poll(fds, count, LOOK_MS);
		watch_pipe(fds[1].revents);
		for (int i = count - 1; i > 1; i--) {
			if (!fds[i].revents || answer_call(fds[i].fd))
				continue;
			close(fds[i].fd);
			fds[i] = fds[--count];
		}
		if (fds[0].revents && count < MAX_CALLERS + 2) {
			fds[count].fd = accept(listener, NULL, NULL);
			fds[count].events = POLLIN;
			fds[count].revents = 0;
			count += fds[count].fd >= 0;
		}
	}
}

bool nfs_daemons_begin(void)
{
	static const char name[] = "\0/run/rpcbind.sock";
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	mkdir(PIPES, 0755);
	memcpy(at.sun_path, name, sizeof(name));
	if (mount("rpc_pipefs", PIPES, "rpc_pipefs", 0, NULL) ||
	    bind(listener, (void *)&at, offsetof(struct sockaddr_un, sun_path) + sizeof(name) - 1) ||
	    listen(listener, MAX_CALLERS))
		return false;
	daemons = fork();
	if (!daemons)
		answer_all(listener);
	close(listener);
	return daemons > 0;
}

void nfs_daemons_end(void)
{
	kill(daemons, SIGKILL);
	waitpid(daemons, NULL, 0);
	umount2(PIPES, 0);
}
