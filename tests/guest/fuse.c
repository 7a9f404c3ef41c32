// SPDX-License-Identifier: MIT
/* fuse.c - the server of a file system with one file: see fuse.h */
#define _GNU_SOURCE
#include "fuse.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"

#define FILE_NODE 2
#define CHUNK (128u << 10)	/* the most that a request moves */

static int fuse;
static pid_t server;
static unsigned char data[FUSE_FILE_SIZE];

static void reply(const struct fuse_in_header *in, int error, const void *what, size_t size)
{
	struct fuse_out_header out = {
		.len = (uint32_t)(sizeof(out) + size), .error = error, .unique = in->unique,
	};
	struct iovec iov[] = { { &out, sizeof(out) }, { (void *)(uintptr_t)what, size } };

	if (writev(fuse, iov, 2) < 0)
		_exit(20);
}

static struct fuse_attr attr_of(uint64_t node)
{
	bool file = node == FILE_NODE;

	return (struct fuse_attr){
		.ino = node, .size = file ? FUSE_FILE_SIZE : 0, .nlink = 1, .blksize = 4096,
		.mode = file ? S_IFREG | 0600 : S_IFDIR | 0700,
	};
}

static size_t within(uint64_t offset, size_t size)
{
	if (offset >= FUSE_FILE_SIZE)
		return 0;
	return size < FUSE_FILE_SIZE - offset ? size : FUSE_FILE_SIZE - offset;
}

static void answer_read(const struct fuse_in_header *in, const struct fuse_read_in *req,
			void (*before_read)(uint64_t end))
{
	size_t size = within(req->offset, req->size);

	if (before_read)
		before_read(req->offset + size);
	reply(in, 0, data + req->offset, size);
}

static void answer_write(const struct fuse_in_header *in, const struct fuse_write_in *req)
{
	struct fuse_write_out out = { .size = (uint32_t)within(req->offset, req->size) };

	memcpy(data + req->offset, req + 1, out.size);
	reply(in, 0, &out, sizeof(out));
}

static void answer(const struct fuse_in_header *in, const void *arg,
		   void (*before_read)(uint64_t end))
{
	struct fuse_init_out init = {
		.major = FUSE_KERNEL_VERSION, .minor = 31, .max_readahead = CHUNK,
		.max_write = CHUNK,
	};
	struct fuse_entry_out entry = {
		.nodeid = FILE_NODE, .entry_valid = 1, .attr_valid = 1,
		.attr = attr_of(FILE_NODE),
	};
	struct fuse_attr_out attr = { .attr_valid = 1, .attr = attr_of(in->nodeid) };
	struct fuse_open_out open = { .fh = 1 };
	struct fuse_statfs_out statfs = { .st.bsize = 4096 };

	switch (in->opcode) {
	case FUSE_INIT:
		return reply(in, 0, &init, sizeof(init));
	case FUSE_LOOKUP:
		return strcmp(arg, "data") ? reply(in, -ENOENT, NULL, 0) :
					     reply(in, 0, &entry, sizeof(entry));
	case FUSE_GETATTR:
		return reply(in, 0, &attr, sizeof(attr));
	case FUSE_OPEN:
		return reply(in, 0, &open, sizeof(open));
	case FUSE_READ:
		return answer_read(in, arg, before_read);
	case FUSE_WRITE:
		return answer_write(in, arg);
	case FUSE_STATFS:
		return reply(in, 0, &statfs, sizeof(statfs));
	case FUSE_FLUSH:
	case FUSE_RELEASE:
		return reply(in, 0, NULL, 0);
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		return;
	default:
		return reply(in, -ENOSYS, NULL, 0);
	}
}

static void serve(void (*before_read)(uint64_t end))
{
	static char request[1 << 20] __attribute__((aligned(8)));

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (unsigned char)(i * 31 >> 7);
	for (;;) {
		ssize_t n = read(fuse, request, sizeof(request));

		if (n < 0 && errno != EINTR && errno != ENOENT)
			_exit(0);
		if (n > 0)
			answer((void *)request, request + sizeof(struct fuse_in_header),
			       before_read);
	}
}

int fuse_mount(void (*before_read)(uint64_t end))
{
	char options[96];
	int rc = h_modprobe("fuse", NULL);

	if (rc)
		return rc;
	mkdir(FUSE_AT, 0700);
	fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (fuse < 0)
		return -errno;
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", fuse);
	if (mount("played", FUSE_AT, "fuse", 0, options))
		return -errno;
	server = fork();
	if (!server)
		serve(before_read);
	close(fuse);
	return server < 0 ? -errno : 0;
}

int fuse_unmount(void)
{
	int rc = umount2(FUSE_AT, MNT_DETACH) ? -errno : 0;

	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	return rc;
}
