// SPDX-License-Identifier: MIT
/*
 * What the bounce costs on an NFS mount: the same bytes by direct I/O into host RAM,
 * and by the library's bounce into the device's memory, in turns, in one run.
 *
 * Both have four requests of 1 MiB under way in four threads; the bounce copies each
 * piece besides.  Whether that shows depends on what else the CPU has to do.  Here the
 * same emulated machine is client, server and network, so there are two runs:
 *
 *	cpu	the server has the file in memory: the CPU is the limit, and every
 *		instruction of the copy lengthens it.  How many there are is said too:
 *		the copy alone.  On a machine whose time is a count of instructions, so
 *		that a sample is the same each time.
 *	link	the server's disk gives so many bytes a second, as a network does: the
 *		CPU has time to spare, as on a machine that moves what its network
 *		carries.
 *
 * Arguments: cpu or link, and v3, v4 or rdma.
 */
#define _GNU_SOURCE
#include "bench.h"
#include "dev.h"
#include "harness.h"
#include "nfs.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vfio-p2p.h>

#define MIB ((uint64_t)1 << 20)
#define PIECE MIB
#define THREADS 4
#define ROUNDS 3
#define LINK_RATE (16 * MIB)

static const char *kind, *transport;
/* Of one sample: as large as what limits it has done with in reasonable time. */
static uint64_t bytes;
static char file[64], served[64];
static char *buffers;
static struct vp2p_device *dev;
static struct vp2p_window *win;

/* ------------------------------------------------------- direct I/O into RAM --- */

struct plain {
	int fd;
	bool out;
	atomic_ullong next;
	atomic_bool failed;
};

static void *move(void *arg)
{
	static atomic_uint number;
	struct plain *plain = arg;
	char *buf = buffers + PIECE * (number++ % THREADS);
	uint64_t at;

	while ((at = atomic_fetch_add(&plain->next, PIECE)) < bytes) {
		ssize_t n = plain->out ? pwrite(plain->fd, buf, PIECE, (off_t)at) :
					 pread(plain->fd, buf, PIECE, (off_t)at);

		if (n != (ssize_t)PIECE)
			plain->failed = true;
	}
	return NULL;
}

static bool move_ram(bool out)
{
	struct plain plain = { .out = out, .fd = open(file, (out ? O_WRONLY : O_RDONLY) | O_DIRECT) };
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, move, &plain);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	close(plain.fd);
	return !plain.failed;
}

/* --------------------------------------------------------------- the bounce --- */

static bool move_bounce(bool out)
{
	struct vp2p_copy_request copy = {
		.window = win, .flags = VP2P_COPY_BOUNCE_FORCE, .length = bytes,
		.direction = out ? VP2P_WINDOW_TO_FILE : VP2P_FILE_TO_WINDOW,
		.fd = open(file, (out ? O_WRONLY : O_RDONLY) | O_DIRECT),
	};
	struct vp2p_copy_result result;
	struct vp2p_error err = { 0 };
	int rc = vp2p_copy(&copy, &result, &err);

	close(copy.fd);
	if (rc)
		h_diag("%s", err.cause);
	return !rc && result.bytes_bounced == bytes;
}

/* The copy alone, by one thread. */
static uint64_t copy_ns(bool out)
{
	struct vp2p_window *combining;
	struct vp2p_error err;
	uint64_t begin, ns;
	void *at;

	if (vp2p_window_find(dev, 0, VP2P_WINDOW_WC, &combining, &err) ||
	    vp2p_map(combining, 0, 0, 0, &at, &err))
		return 0;
	begin = h_now_ns();
	for (uint64_t pos = 0; pos < bytes; pos += PIECE)
		if (out)
			vp2p_stream_from_device(buffers, (char *)at + pos, PIECE);
		else
			vp2p_stream_to_device((char *)at + pos, buffers, PIECE);
	ns = h_now_ns() - begin;
	vp2p_unmap(at, vp2p_window_length(combining), NULL);
	vp2p_window_destroy(combining);
	return ns;
}

/* ------------------------------------------------------------------- the run --- */

/* What is measured is the way from the server's disk, not its cache. */
static void forget_pages(void)
{
	if (!strcmp(kind, "link")) {
		sync();
		h_write("/proc/sys/vm/drop_caches", "3");
	}
}

static uint64_t timed(bool (*moves)(bool), bool out, bool *fine)
{
	uint64_t begin;

	forget_pages();
	begin = h_now_ns();
	*fine = moves(out) && *fine;
	return h_now_ns() - begin;
}

static bool measure(bool out)
{
	bool fine = true;

	for (int round = 0; round < ROUNDS && fine; round++) {
		uint64_t ram = timed(move_ram, out, &fine);
		uint64_t bounce = timed(move_bounce, out, &fine);

		bench_say("\"what\": \"nfs\", \"limit\": \"%s\", \"mount\": \"%s\", \"to\": \"%s\", "
			  "\"bytes\": %llu, \"ram_ns\": %llu, \"bounce_ns\": %llu, \"copy_ns\": %llu",
			  kind, transport, out ? "file" : "window", (unsigned long long)bytes,
			  (unsigned long long)ram, (unsigned long long)bounce,
			  (unsigned long long)copy_ns(out));
	}
	return fine;
}

static bool make_source(void)
{
	int fd = open(served, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	bool fine = fd >= 0;

	memset(buffers, 0x5a, PIECE);
	for (uint64_t at = 0; fine && at < bytes; at += PIECE)
		fine = pwrite(fd, buffers, PIECE, (off_t)at) == (ssize_t)PIECE;
	fine = fine && !fsync(fd);
	close(fd);
	return fine;
}

static void prepare(void)
{
	struct nfs_mount how = { .version = strcmp(transport, "v3") ? NFS_V4 : NFS_V3,
				 .rdma = !strcmp(transport, "rdma") };
	const char *folder = "/tmp/served", *at;
	struct vp2p_error err = { 0 };

	buffers = aligned_alloc(2 * MIB, THREADS * PIECE);
	mkdir(folder, 0755);
	if (!strcmp(kind, "link"))
		folder = h_mount("ext4", NULL);
	snprintf(served, sizeof(served), "%s/file", folder ?: "");
	if (!folder || !make_source())
		h_bail("no file to serve");
	nfs_serve(folder, how.rdma);
	at = nfs_mount(&how);
	snprintf(file, sizeof(file), "%s/file", at ?: "");
	dev_bind("target", DEV_P2P);
	if (!at || vp2p_open(h_pci("target"), 0, &dev, &err) ||
	    vp2p_window_create(dev, 2, 0, 0, 0, &win, &err))
		h_bail("no mount or no window: %s %s", strerror(errno), err.cause);
	if (!strcmp(kind, "link") && h_limit_disk("ext4", LINK_RATE))
		h_bail("the disk cannot be limited");
}

int main(int argc, char **argv)
{
	if (argc != 3)
		h_bail("usage: bench_nfs cpu|link v3|v4|rdma");
	kind = argv[1];
	transport = argv[2];
	bytes = strcmp(kind, "link") ? 256 * MIB : 48 * MIB;
	h_plan(2);
	prepare();
	h_ok(measure(false), "from the file");
	h_ok(measure(true), "to the file");
	vp2p_window_destroy(win);
	vp2p_close(dev);
	h_limit_disk("ext4", 0);
	nfs_umount();
	nfs_end();
	return h_done();
}
