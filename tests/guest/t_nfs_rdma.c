// SPDX-License-Identifier: MIT
/*
 * t_nfs_rdma.c - files of an NFS server over RDMA
 *
 * Theory of operation: the adapter is one of software (rxe), so its "RDMA" is a copy by
 * the CPU; what is the kernel's own, and tried here, is the client's direct I/O, its
 * transport and its memory registration.  As in t_nfs.c the raw interface says first
 * what the kernel does with peer-to-peer memory.
 *
 * The server can be silenced: for reads its disk gives next to nothing, for writes its
 * file system is frozen, so that nfsd stands in the middle of a READ or WRITE.  Where a kernel module hands the device's pages to this
 * client, a killed process's writes have been seen to carry the next owner's bytes, and
 * late answers to its reads to overwrite them; a bounce has its own pages, and must not.
 */
#define _GNU_SOURCE
#include "command.h"
#include "dev.h"
#include "harness.h"
#include "nfs_case.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define SIZE (8 * NFS_MIB)
#define LONG_MS 60000

static char served[64];		/* the file, as the server sees it */
static const struct nfs_mount rdma = { .version = NFS_V4, .rdma = true };

static void refuses(void)
{
	nfs_refuses_and_bounces(nfs_mount(&rdma));
	H_EQ(nfs_umount(), 0);
}

static bool freeze(bool on)
{
	int fd = open(nfs_exported(), O_RDONLY);
	bool done = !ioctl(fd, on ? FIFREEZE : FITHAW, 0);

	close(fd);
	return done;
}

/* Does a thread of nfsd stand in both functions, having got a request whole? */
static bool server_stands(const char *request, const char *wait)
{
	char name[32];

	for (int pid = 2; pid < 32768; pid++)
		if (!h_readf(name, sizeof(name), "/proc/%d/comm", pid) && !strcmp(name, "nfsd") &&
		    nfs_stands_in(pid, request) && nfs_stands_in(pid, wait))
			return true;
	return false;
}

static bool stands_reading(void)
{
	return server_stands("nfsd4_encode_read", "folio_wait_bit");
}

/* One MiB lasts longer than the test needs, and not so long that NVMe gives up. */
#define CRAWL (NFS_MIB / 16)

static bool crawl(bool on)
{
	return !h_limit_disk("ext4", on ? CRAWL : 0);
}

/* The next owner comes while the server is still silent.  What the process ended with. */
static int kill_and_refill(pid_t pid, bool stands)
{
	int status;

	kill(pid, SIGKILL);
	status = tool_end(pid, LONG_MS);
	if (status == -SIGKILL && stands)
		nfs_fill(0x22);
	return status;
}

static void killed_reading(void)
{
	const char *target = h_pci("target");
	bool stands, fast;
	int status;
	pid_t pid;

	H_CHECK(make_file(served, SIZE, 7));
	H_EQ(tool("bind %s --window 2", target), 0);
	H_CHECK(nfs_mount(&rdma));
	sync();
	H_EQ(h_write("/proc/sys/vm/drop_caches", "3"), 0);
	H_CHECK(crawl(true));
	pid = tool_begin("cp --bounce=allow /mnt/nfs/file %s:2", target);
	stands = h_wait_until(stands_reading(), LONG_MS);
	status = kill_and_refill(pid, stands);
	fast = crawl(false);
	H_CHECK(fast && stands);
	H_EQ(status, -SIGKILL);
	/* The answers go before the connection does. */
	H_CHECK(h_wait_until(!stands_reading(), LONG_MS));
	H_EQ(nfs_umount(), 0);
	H_EQ(nfs_server_stop(), 0);
	nfs_check_filled(0x22);
	H_EQ(nfs_server_start(), 0);
	H_EQ(tool("unbind %s", target), 0);
}

static void killed_writing(void)
{
	const char *target = h_pci("target");
	bool stands, thawed;
	uint64_t found;
	int status;
	pid_t pid;

	H_EQ(tool("bind %s --window 2", target), 0);
	nfs_owner(0x11);
	H_CHECK(nfs_mount(&rdma));
	H_CHECK(nfs_zeros(served, SIZE));
	/* nfsd stands longer now than it may, if the host is busy. */
	h_write("/proc/sys/kernel/hung_task_timeout_secs", "0");
	H_CHECK(freeze(true));
	pid = tool_begin("cp --bounce=allow --offset 0 --size %d %s:2 /mnt/nfs/file", SIZE, target);
	stands = h_wait_until(server_stands("nfsd_vfs_write", "percpu_rwsem_wait"), LONG_MS);
	status = kill_and_refill(pid, stands);
	thawed = freeze(false);
	H_CHECK(thawed && stands);
	H_EQ(status, -SIGKILL);
	H_EQ(nfs_umount(), 0);
	/* It goes when its threads have done what they are at. */
	H_EQ(nfs_server_stop(), 0);
	nfs_check_filled(0x22);
	H_CHECK(nfs_only(served, 0x11, &found));
	H_CHECK(found);
	H_EQ(nfs_server_start(), 0);
	H_EQ(tool("unbind %s", target), 0);
}

static const struct h_case cases[] = {
	{ "version 4.2: as the kernel answers, and bounced when asked", refuses, 180 },
	{ "killed while it reads of a silent server", killed_reading, 180 },
	{ "killed while it writes to a silent server", killed_writing, 180 },
	{ }
};

int main(int argc, char **argv)
{
	const char *folder = h_mount("ext4", NULL);
	int rc;

	if (!folder)
		h_bail("no ext4 to serve");
	snprintf(served, sizeof(served), "%s/file", folder);
	nfs_serve(folder, true);
	rc = h_main(argc, argv, cases);
	nfs_end();
	return rc;
}
