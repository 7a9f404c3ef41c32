// SPDX-License-Identifier: MIT
/*
 * Who is to blame when the file's side fails.
 *
 * Theory: the file is a real one, but the test says which file system it lies on
 * (played_files.h), what mount that is, and what read(2) and write(2) answer.  Every
 * way to move bytes must name the same culprit: the file server by the mount's source,
 * the layer that refuses, and never the device for what a server has said.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "../../lib/internal.h"
#include "check_error.h"
#include "fake.h"
#include "played_files.h"
#include "tree.h"

#define NFS	0x6969
#define OVERLAY	0x794c7630
#define EXT4	0xef53
#define SIZE	(3u << 20)

static struct vp2p_window *win;
static struct vp2p_error err;
static struct vp2p_copy_result res;
static int file;

static ssize_t (*real)(int fd, bool out, void *buf, size_t length, off_t at);
static int answer;		/* an errno for what lies behind the first MiB */
static int refusal;		/* the same for large requests, as peer-to-peer ones are */

static ssize_t failing_transfer(int fd, bool out, void *buf, size_t length, off_t at)
{
	if (refusal && length > 1 << 20)
		return -refusal;
	return answer && at >= 1 << 20 ? -answer : real(fd, out, buf, length, at);
}

static void lie_on(uint64_t magic, const char *mount)
{
	char line[256];

	played.magic = magic;
	played.dio = magic == NFS ? SILENT : ALIGNED;
	snprintf(line, sizeof(line), "/proc/self/mountinfo = "
		 "35 1 8:1 / / rw - nfs4 another:/ rw\\n36 35 0:50 / /mnt rw shared:1 - %s rw\n",
		 mount);
	tree_add(line);
}

/* Peer-to-peer from the file, through host RAM to it, and one by one. */
static void fails(int code, int want, const char *cause, const char *remedy)
{
	struct vp2p_copy_request c = {
		.window = win, .fd = file, .length = SIZE, .chunk = 64 << 10,
	};
	struct vp2p_io *io;

	answer = code;
	refusal = 0;
	for (int bounce = 0; bounce < 2; bounce++) {
		c.direction = bounce ? VP2P_WINDOW_TO_FILE : VP2P_FILE_TO_WINDOW;
		c.flags = bounce ? VP2P_COPY_BOUNCE_FORCE : 0;
		is_error(vp2p_copy(&c, &res, &err), want, &err, vp2p__errno_name(code));
		has_str(err.cause, cause, "... the cause");
		has_str(err.remedy, remedy, "... the remedy");
		is_num((long long)(res.bytes_p2p + res.bytes_bounced), 1 << 20,
		       "... and what is in place is counted");
	}
	if (vp2p_io_open(win, file, VP2P_IO_READ, 0, &io, &err))
		exit(99);
	is_error((int)vp2p_pread(io, 0, 4096, 1 << 20, NULL, &err), want, &err,
		 "... a single transfer");
	has_str(err.cause, cause, "... the cause");
	vp2p_io_close(io);
}

static void test_server(void)
{
	lie_on(NFS, "nfs4 10.1.2.3:/export");
	fails(EIO, EIO, "the file server (10.1.2.3:/export) did not answer in "
	      "time, or answered with an error (EIO)", "the server runs and can be reached");
	fails(ETIMEDOUT, EIO, "the file server (10.1.2.3:/export) did not answer in time "
	      "(ETIMEDOUT)", "timeo and retrans");
	fails(ESTALE, EIO, "the file server (10.1.2.3:/export) does not know the file any more "
	      "(ESTALE)", "open it again by its name");
	fails(ENOSPC, ENOSPC, "", "");
	lie_on(NFS, "cifs //box/share");
	fails(EIO, EIO, "the file server (//box/share)", "the server runs");
}

static void test_disk(void)
{
	lie_on(EXT4, "ext4 /dev/nvme0n1p2");
	fails(ETIMEDOUT, EIO, "the storage did not answer in time (ETIMEDOUT)",
	      "dmesg");
	fails(ESTALE, EIO, "the file system does not know the file any more (ESTALE)",
	      "open it again by its name");
}

static void refused(uint64_t magic, const char *mount, const char *cause, const char *remedy)
{
	struct vp2p_copy_request c = {
		.window = win, .fd = file, .length = SIZE, .direction = VP2P_FILE_TO_WINDOW,
	};

	lie_on(magic, mount);
	answer = 0;
	refusal = EREMOTEIO;
	is_error(vp2p_copy(&c, &res, &err), EOPNOTSUPP, &err, mount);
	has_str(err.cause, cause, "... the cause");
	has_str(err.remedy, remedy, "... the remedy");
}

static void test_refusals(void)
{
	refused(NFS, "nfs4 10.1.2.3:/export", "this nfs mount refuses peer-to-peer memory "
		"(EREMOTEIO), as the first request has shown", "VP2P_COPY_BOUNCE_ALLOW");
	refused(OVERLAY, "overlay overlay", "a layer below this overlay refuses peer-to-peer "
		"memory (EREMOTEIO): an overlay does not tell which disk the file lies on",
		"name the file by its path in the lower or upper directory; or let the CPU copy "
		"(VP2P_COPY_BOUNCE_ALLOW)");
}

int main(int argc, char **argv)
{
	char path[300];

	(void)argc;
	snprintf(path, sizeof(path), "%s.file", argv[0]);
	file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (file < 0 || ftruncate(file, SIZE) || !realpath(path, played.folder))
		return 99;
	tree_make("/sys/\n");
	fake_install();
	if (vp2p_window_create(fake_device(), 2, 0, 4 << 20, 0, &win, &err))
		return 99;
	real = vp2p__host.transfer;
	vp2p__host.transfer = failing_transfer;

	test_server();
	test_disk();
	test_refusals();

	tree_remove();
	unlink(played.folder);
	return TAP_DONE();
}
