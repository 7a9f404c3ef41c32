// SPDX-License-Identifier: MIT
/*
 * share BDF BAR FILE - a privileged parent opens the device and registers a window; a child
 * that is executed gets the device by its file descriptor and reads a file into the window
 *
 * The child needs no right to /dev/vfio and none to register windows.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "example.h"

#define LENGTH	(UINT64_C(1) << 20)
#define SOCKET	3	/* where the child finds its end */

/* One fd and one number over a socket; @send or receive. */
static int pass(int socket, int *fd, unsigned int *id, int send)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .room = { 0 } };
	struct iovec iov = { id, sizeof(*id) };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	if (send) {
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), fd, sizeof(int));
		return sendmsg(socket, &msg, 0) == sizeof(*id) ? 0 : -1;
	}
	if (recvmsg(socket, &msg, MSG_CMSG_CLOEXEC) != sizeof(*id))
		return -1;
	c = CMSG_FIRSTHDR(&msg);
	if (!c || c->cmsg_type != SCM_RIGHTS)
		return -1;
	memcpy(fd, CMSG_DATA(c), sizeof(int));
	return 0;
}

static int child(const char *path)
{
	int device, fd = open(path, O_RDONLY | O_CLOEXEC);
	struct vp2p_device *dev;
	struct vp2p_window *win;
	struct vp2p_error err;
	struct vp2p_io *io;
	unsigned int id;

	if (fd < 0 || pass(SOCKET, &device, &id, 0))
		return perror("child"), 1;
	if (vp2p_attach(device, NULL, &dev, &err) ||
	    vp2p_window_find(dev, id, 0, &win, &err) ||
	    vp2p_io_open(win, fd, VP2P_IO_READ, 0, &io, &err) ||
	    vp2p_pread(io, 0, LENGTH, 0, NULL, &err) < 0)
		die(&err);
	vp2p_io_close(io);
	vp2p_window_destroy(win);
	vp2p_close(dev);
	close(device);
	return 0;
}

static pid_t start_child(char **argv, int socket)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	if (dup2(socket, SOCKET) == SOCKET)
		execl("/proc/self/exe", argv[0], "--child", argv[3], (char *)NULL);
	_exit(127);
}

int main(int argc, char **argv)
{
	int sockets[2], status = 1, device;
	struct vp2p_device *dev;
	struct vp2p_window *win;
	struct vp2p_error err;
	unsigned int id;
	void *p;

	if (argc == 3 && !strcmp(argv[1], "--child"))
		return child(argv[2]);
	if (argc != 4)
		return fprintf(stderr, "usage: %s BDF BAR FILE\n", argv[0]), 2;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sockets))
		return perror("socketpair"), 1;
	if (vp2p_open(argv[1], 0, &dev, &err) ||
	    vp2p_window_create(dev, (unsigned int)atoi(argv[2]), 0, 0, 0, &win, &err))
		die(&err);
	start_child(argv, sockets[1]);
	device = vp2p_device_fd(dev);
	id = vp2p_window_id(win);
	if (pass(sockets[0], &device, &id, 1) || wait(&status) < 0 || status)
		return fprintf(stderr, "the child failed\n"), 1;

	/* What the child's read has put there. */
	if (vp2p_map(win, 0, LENGTH, VP2P_MAP_RDONLY, &p, &err))
		die(&err);
	printf("%" PRIu64 " bytes by the child, sum %016" PRIx64 "\n", LENGTH, sum_of(p, LENGTH));
	vp2p_unmap(p, LENGTH, NULL);
	vp2p_window_destroy(win);
	vp2p_close(dev);
	return 0;
}
