// SPDX-License-Identifier: MIT
/* What the tests of NFS share: see nfs_case.h. */
#define _GNU_SOURCE
#include "nfs_case.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "command.h"
#include "dev.h"
#include "harness.h"

#define FILLED (16 * NFS_MIB)
#define ODD_SIZE (9 * NFS_MIB + 1234)

static struct dev d;
static char *view;

/* The window is there: the tool has registered it. */
static int try_native(const char *path, bool out)
{
	int fd = open(path, (out ? O_WRONLY : O_RDONLY) | O_DIRECT);
	struct p2p_vfio_window window;
	int rc = dev_open(&d, "target");
	ssize_t n = -1;
	char *at;

	rc = rc ?: dev_window_get(&d, 0, 0, &window);
	if (rc)
		return rc;
	at = dev_map(&d, window.mmap_offset, DEV_MIB2);
	if (at)
		n = out ? pwrite(fd, at, 4096, 0) : pread(fd, at, 4096, 0);
	rc = n < 0 ? -errno : (int)n;
	close(fd);
	dev_close(&d);
	return rc;
}

int nfs_native(const char *path)
{
	int in = try_native(path, false), out = try_native(path, true);

	h_diag("native: reading gives %s, writing gives %s", in < 0 ? strerrorname_np(-in) : "bytes",
	       out < 0 ? strerrorname_np(-out) : "bytes");
	if (in != out)
		h_fail("reading gave %d, writing %d", in, out);
	return in;
}

/* docs/nfs.md, "What a mount can do": of other kernels it says nothing. */
static void check_documented(int native)
{
	struct utsname name;

	uname(&name);
	if (!strncmp(name.release, "7.2.", 4) || !strncmp(name.release, "7.3.", 4))
		H_EQ(native, -EREMOTEIO);
}

static void check_refused(const char *path)
{
	const char *target = h_pci("target");

	H_EQ(tool("cp %s %s:2", path, target), 3);
	H_CHECK(says("this nfs mount refuses peer-to-peer memory (EREMOTEIO)"));
	H_CHECK(says("let the CPU copy (--bounce=allow)"));
	H_EQ(tool("doctor %s:2 --file %s", target, path), 3);
	H_CHECK(says("ok       file-system"));
	H_CHECK(says("FAIL     proof"));
	H_CHECK(says("refuses peer-to-peer memory (EREMOTEIO)"));
	H_CHECK(says("(--bounce=allow)"));
	H_EQ(tool("doctor --file %s", path), 7);
	H_CHECK(says("unknown  file-system"));
}

static void check_taken(const char *path)
{
	const char *target = h_pci("target");

	H_EQ(tool("cp --verify %s %s:2", path, target), 0);
	H_CHECK(says("%d bytes P2P, 0 bytes bounced", ODD_SIZE));
	H_EQ(tool("doctor %s:2 --file %s", target, path), 0);
	H_CHECK(says("proven"));
}

static void check_bounce(const char *path, const char *back, const char *ask, const char *reason)
{
	const char *target = h_pci("target");

	H_EQ(tool("cp --verify --bounce=%s %s %s:2+8M", ask, path, target), 0);
	H_CHECK(says("0 bytes P2P, %d bytes bounced by CPU (%s)", ODD_SIZE, reason));
	H_EQ(tool("cp --verify --bounce=%s --size %d %s:2+8M %s", ask, ODD_SIZE, target, back), 0);
	H_CHECK(says("0 bytes P2P, %d bytes bounced by CPU (%s)", ODD_SIZE, reason));
	H_CHECK(same(path, back, 0, ODD_SIZE));
}

void nfs_refuses_and_bounces(const char *folder)
{
	const char *target = h_pci("target");
	char path[64], back[64];
	int native;

	H_CHECK(folder);
	snprintf(path, sizeof(path), "%s/source", folder);
	snprintf(back, sizeof(back), "%s/back", folder);
	H_CHECK(make_file(path, ODD_SIZE, 1));
	H_EQ(tool("bind %s --window 2", target), 0);
	native = nfs_native(path);
	check_documented(native);
	/* Trying it may have changed the file's first page. */
	H_CHECK(make_file(path, ODD_SIZE, 2));
	if (native == -EREMOTEIO || native == -EFAULT)
		check_refused(path);
	else
		check_taken(path);
	if (h_failed())
		return;
	if (native == -EREMOTEIO)
		check_bounce(path, back, "allow", "refused");
	check_bounce(path, back, "force", "forced");
	H_EQ(tool("unbind %s", target), 0);
}

void nfs_fill(unsigned char byte)
{
	H_EQ(dev_open(&d, "target"), 0);
	view = dev_map_raw(&d, 2, 0, FILLED);
	H_CHECK(view);
	memset(view, byte, FILLED);
}

void nfs_check_filled(unsigned char byte)
{
	for (size_t i = 0; i < FILLED; i++)
		if ((unsigned char)view[i] != byte) {
			h_fail("byte %#zx of the next owner is %#x", i, (unsigned char)view[i]);
			break;
		}
	dev_close(&d);
}

void nfs_owner(unsigned char byte)
{
	nfs_fill(byte);
	dev_close(&d);
}

void nfs_check_owner(unsigned char byte)
{
	H_EQ(dev_open(&d, "target"), 0);
	view = dev_map_raw(&d, 2, 0, FILLED);
	H_CHECK(view);
	nfs_check_filled(byte);
}

bool nfs_stands_in(pid_t pid, const char *function)
{
	char stack[4096];

	return !h_readf(stack, sizeof(stack), "/proc/%d/stack", pid) && strstr(stack, function);
}

bool nfs_zeros(const char *path, uint64_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	bool fine = !posix_fallocate(fd, 0, (off_t)size) && !fsync(fd);

	close(fd);
	return fine;
}

bool nfs_only(const char *path, unsigned char byte, uint64_t *found)
{
	static unsigned char buf[NFS_MIB];
	int fd = open(path, O_RDONLY);
	bool fine = fd >= 0;
	ssize_t n;

	*found = 0;
	while (fine && (n = read(fd, buf, sizeof(buf))) > 0)
		for (ssize_t i = 0; i < n; i++) {
			*found += buf[i] == byte;
			fine = fine && (!buf[i] || buf[i] == byte);
		}
	close(fd);
	return fine;
}
