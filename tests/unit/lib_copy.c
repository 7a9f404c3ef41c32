// SPDX-License-Identifier: MIT
/*
 * vp2p_copy() and the file side, on real files.
 *
 * Theory: with a memfd for the device's memory, everything but the peer-to-peer
 * mapping is real: O_DIRECT reads and writes, alignments that the file system
 * reports, second descriptions, ends of files.  A hole beyond the memfd's end makes
 * the kernel answer EFAULT, as a closed gate does.  Canaries around every copy show
 * what it must not touch.  Where this machine's file system does no direct I/O the
 * parts that need it are skipped, and said so.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "../../lib/file.h"
#include "check_error.h"
#include "fake.h"
#include "tree.h"

#define MIB	(1u << 20)

static struct vp2p_device *dev;
static struct vp2p_window *win;
static struct vp2p_error err;
static struct vp2p_copy_result res;
static uint8_t *memory;		/* the device's, as the device sees it */
static uint64_t block, mem_align;
static char dir[256];

static int make_file(const char *name, uint64_t size, int flags)
{
	char path[300];
	uint8_t *data = malloc(size + 1);
	int fd;

	for (uint64_t i = 0; i < size; i++)
		data[i] = (uint8_t)(i * 13 + i / 256);
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || write(fd, data, size) != (ssize_t)size || fsync(fd)) {
		perror(path);
		exit(99);
	}
	free(data);
	close(fd);
	fd = open(path, flags);
	unlink(path);
	return fd;
}

static int holds(const uint8_t *at, uint64_t from, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		if (at[i] != (uint8_t)((from + i) * 13 + (from + i) / 256))
			return 0;
	return 1;
}

static int untouched(const uint8_t *at, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		if (at[i] != 0xcc)
			return 0;
	return 1;
}

static struct vp2p_copy_request in(int fd, uint64_t window_offset, uint64_t file_offset,
			   uint64_t length, uint32_t flags)
{
	memset(memory, 0xcc, 8 * MIB);
	return (struct vp2p_copy_request){
		.window = win, .fd = fd, .direction = VP2P_FILE_TO_WINDOW, .flags = flags,
		.window_offset = window_offset, .file_offset = file_offset,
		.length = length,
	};
}

static void test_in(int open_flags, const char *name)
{
	int fd = make_file("in", 3 * MIB + 1000, open_flags), fds = open_fds();
	/* As odd an offset as the file allows. */
	const uint64_t at = 4096 + mem_align;
	struct vp2p_copy_request c = in(fd, at, 0, 2 * MIB, 0);

	c.chunk = MIB;
	is_num(vp2p_copy(&c, &res, &err), 0, name);
	ok(holds(memory + at, 0, 2 * MIB), "the data");
	ok(untouched(memory, at) && untouched(memory + at + 2 * MIB, MIB),
	   "and nothing around it");
	is_num((long long)res.bytes_p2p, 2 * MIB, "all of it peer-to-peer");

	c = in(fd, 0, MIB, 0, 0);
	is_num(vp2p_copy(&c, &res, &err), 0, "to the end of the file");
	ok(holds(memory, MIB, 2 * MIB + 1000), "the data");
	is_num((long long)res.bytes_p2p, 2 * MIB + 1000, "direct to the last byte");
	is_num((long long)res.bytes_bounced, 0, "nothing bounced");
	ok(untouched(memory + vp2p__round_up(2 * MIB + 1000, block), 4096),
	   "nothing beyond the last block");

	c = in(fd, 0, 0, block + 100, VP2P_COPY_ALLOW_TAIL);
	is_num(vp2p_copy(&c, &res, &err), 0, "with a tail");
	ok(holds(memory, 0, block + 100) && untouched(memory + block + 100, 4096),
	   "the data, to the byte");
	ok(res.bytes_p2p == block && res.bytes_bounced == 100, "counted apart");
	c.flags = 0;
	is_error(vp2p_copy(&c, &res, &err), EINVAL, &err, "a tail must be asked for");
	is_num(open_fds(), fds, "no fd is left");
	close(fd);
}

static void test_out(int open_flags, const char *name)
{
	int fd = make_file("out", 64, open_flags), fds = open_fds();
	struct vp2p_copy_request c = in(fd, 0, 0, 0, 0);
	uint8_t *back = malloc(8 * MIB);

	for (uint64_t i = 0; i < 8 * MIB; i++)
		memory[i] = (uint8_t)(i * 13 + i / 256);
	c.direction = VP2P_WINDOW_TO_FILE;
	c.window_offset = 8192;
	c.length = MIB + 77;
	c.flags = VP2P_COPY_ALLOW_TAIL;
	is_num(vp2p_copy(&c, &res, &err), 0, name);
	is_num((long long)lseek(fd, 0, SEEK_END), MIB + 77, "the file's length, exactly");
	fcntl(fd, F_SETFL, 0);
	is_num(pread(fd, back, MIB + 77, 0), MIB + 77, "read back");
	ok(holds(back, 8192, MIB + 77), "the data");
	is_num((long long)res.bytes_bounced, (MIB + 77) % (long long)block, "the tail");

	c.length = 2 * block;
	c.file_offset = block;
	c.flags = 0;
	is_num(vp2p_copy(&c, &res, &err), 0, "into the middle of the file");
	is_num(pread(fd, back, 4 * block, 0), 4 * (long long)block, "read back");
	ok(holds(back, 8192, block) && holds(back + block, 8192, 2 * block) &&
	   holds(back + 3 * block, 8192 + 3 * block, block), "only there");
	is_num(open_fds(), fds, "no fd is left");
	free(back);
	close(fd);
}

static void test_append(void)
{
	int fd = make_file("append", 3 * block, O_WRONLY | O_APPEND | O_DIRECT);
	struct vp2p_copy_request c = in(fd, 0, 0, block, 0);

	c.direction = VP2P_WINDOW_TO_FILE;
	is_num(vp2p_copy(&c, &res, &err), 0, "a file opened to append");
	is_num((long long)lseek(fd, 0, SEEK_END), 3 * (long long)block,
	       "... is written where it was asked for");
	close(fd);
}

static void test_arguments(void)
{
	int fd = make_file("args", 8192, O_RDONLY), pipes[2];
	int memfd = memfd_create("tmpfs", 0);
	struct vp2p_copy_request c = in(fd, 0, 0, 4096, 0);

	c.direction = VP2P_WINDOW_TO_FILE;
	is_error(vp2p_copy(&c, &res, &err), EBADF, &err, "not open for writing");
	c = in(fd, 0, 0, 4096, 32);
	is_error(vp2p_copy(&c, &res, &err), EINVAL, &err, "undefined flag");
	c = in(fd, 0, 0, 4096, 0);
	c.reserved[5] = 1;
	is_error(vp2p_copy(&c, NULL, &err), EINVAL, &err, "reserved field");
	c = in(fd, 0, 0, 4096, 0);
	c.direction = 0;
	is_error(vp2p_copy(&c, &res, &err), EINVAL, &err, "no direction");
	c = in(fd, 0, 0, 4096, 0);
	c.live_timeout_ms = -2;
	is_error(vp2p_copy(&c, &res, &err), EINVAL, &err, "a timeout of -2");
	c = in(fd, 0, 0, 4096, 0);
	c.window = NULL;
	is_error(vp2p_copy(&c, &res, &err), EINVAL, &err, "no window");
	c = in(-1, 0, 0, 4096, 0);
	res.elapsed_ns = 0;
	is_error(vp2p_copy(&c, &res, &err), EBADF, &err, "no file");
	ok(res.elapsed_ns > 0, "a call that fails at once took time too");
	c = in(fd, 0, 1 << 20, 0, 0);
	is_num(vp2p_copy(&c, &res, &err), 0, "beyond the end of the file");
	ok(!res.bytes_p2p && !res.bytes_bounced && untouched(memory, 4096), "... is nothing");
	if (pipe(pipes))
		exit(99);
	c = in(pipes[0], 0, 0, 4096, 0);
	is_error(vp2p_copy(&c, &res, &err), EOPNOTSUPP, &err, "a pipe");
	c = in(memfd, 0, 0, 4096, 0);
	is_error(vp2p_copy(&c, &res, &err), EOPNOTSUPP, &err,
		 "tmpfs, which would copy in silence");
	close(pipes[0]);
	close(pipes[1]);
	close(memfd);
	close(fd);
}

static void test_fault(void)
{
	int fd = make_file("fault", 2 * MIB, O_RDONLY);
	struct vp2p_copy_request c = in(fd, 2 * MIB, 0, 2 * MIB, 0);

	/* The window's second MiB is not there any more. */
	if (ftruncate(fake.memory, 3 * MIB))
		exit(99);
	c.chunk = MIB;
	is_error(vp2p_copy(&c, &res, &err), EFAULT, &err, "EFAULT without a reset");
	has_str(err.cause, "byte 1048576", "... says where");
	is_num((long long)res.bytes_p2p, MIB, "... and what arrived");
	if (ftruncate(fake.memory, FAKE_BAR_SIZE + 8 * MIB))
		exit(99);
	close(fd);
}

static int count_maps(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	char line[512];
	int n = 0;

	while (fgets(line, sizeof(line), f))
		n += !!strstr(line, "memfd:device");
	fclose(f);
	return n;
}

static void wipe_and_resume(int look)
{
	if (look != 3)
		return;
	fake.state.generation++;
	fake.state.revokes[0]++;
	memset(memory, 0, MIB);
}

static void test_reset(void)
{
	int fd = make_file("reset", MIB, O_RDONLY);
	struct vp2p_copy_request c = in(fd, 0, 0, 0, 0);

	c.chunk = 64 << 10;
	fake.looks = 0;
	fake.after_look = wipe_and_resume;
	is_num(vp2p_copy(&c, &res, &err), 0, "a reset in the middle");
	ok(holds(memory, 0, MIB), "the data is whole all the same");
	ok(res.restarts == 1 && res.generation_after == 1, "by a new start");
	fake.after_look = NULL;
	close(fd);
}

static ssize_t transfer_answer;
static int readonly_maps;

static ssize_t fake_transfer(int fd, bool out, void *buf, size_t length, off_t at)
{
	FILE *f = fopen("/proc/self/maps", "re");
	char line[512];

	(void)fd, (void)out, (void)buf, (void)length, (void)at;
	readonly_maps = 0;
	while (fgets(line, sizeof(line), f))
		readonly_maps += strstr(line, "memfd:device") && strstr(line, " r--s ");
	fclose(f);
	return transfer_answer;
}

static void explained(struct vp2p_copy_request *c, int code, int want, const char *cause)
{
	char name[128];

	transfer_answer = -code;
	snprintf(name, sizeof(name), "%s: %s", strerror(code), cause);
	is_error(vp2p_copy(c, &res, &err), want, &err, name);
	has_str(err.cause, cause, name);
}

/* Errors of read and write; whether the walk finds a culprit is the tree's say. */
static void test_explained(void)
{
	ssize_t (*real)(int, bool, void *, size_t, off_t) = vp2p__host.transfer;
	int fd = make_file("explain", 64 << 10, O_RDWR);
	struct vp2p_copy_request c = in(fd, 0, 0, 0, 0);
	struct stat st;
	char link[128];

	vp2p__host.transfer = fake_transfer;
	fstat(fd, &st);
	snprintf(link, sizeof(link), "/sys/dev/block/%u:%u -> ../../x/nvme0n1\n",
		 major(st.st_dev), minor(st.st_dev));
	tree_add(link);
	tree_add("/sys/class/block/nvme0n1/device -> ../../nvme0\n"
		 "/sys/class/nvme/nvme0/transport = pcie\n"
		 "/sys/class/nvme/nvme0/device -> ../../../0000:01:00.0\n");
	explained(&c, EREMOTEIO, EOPNOTSUPP, "refuses peer-to-peer memory (EREMOTEIO)");
	has_str(err.cause, "nvme0 0000:01:00.0: through a host bridge", "... and what was found");
	explained(&c, EINVAL, EINVAL, "refused the request at byte 0");
	has_str(err.cause, "nvme0 0000:01:00.0: through a host bridge", "... and what was found");
	ok(!strstr(err.remedy, "dmesg"), "the log would not tell of routes");
	explained(&c, EIO, EIO, "storage failed");
	has_str(err.cause, "nvme0 0000:01:00.0: through a host bridge", "... by which route");
	explained(&c, ENOSPC, ENOSPC, "no space is left");
	explained(&c, EDQUOT, EDQUOT, "no space is left");
	explained(&c, EROFS, EROFS, "Read-only");
	is_num(readonly_maps, 0, "a copy to the window maps it writable");
	c.direction = VP2P_WINDOW_TO_FILE;
	c.length = 4096;
	explained(&c, EIO, EIO, "storage failed");
	is_num(readonly_maps, 1, "a copy from the window only reads it");

	fake.peer.route = P2P_VFIO_ROUTE_NONE;
	explained(&c, EREMOTEIO, EOPNOTSUPP, "(EREMOTEIO): nvme0 0000:01:00.0");
	explained(&c, EIO, EOPNOTSUPP, "(EIO): nvme0 0000:01:00.0");
	explained(&c, EINVAL, EOPNOTSUPP, "the kernel knows no way");
	has_str(err.remedy, "PCIe switch", "... with the member's remedy");
	explained(&c, ENOSPC, ENOSPC, "no space is left");
	fake.peer.route = P2P_VFIO_ROUTE_HOST_BRIDGE;
	vp2p__host.transfer = real;
	close(fd);
}

static void test_queries(void)
{
	struct statx stx = { .stx_mask = 0 };
	struct vp2p__dio dio;
	char name[64], accents[64];
	int fd = memfd_create("x", 0), file = make_file("a name that is too long for the "
		"device field of an error and so has to be cut", 10, O_RDONLY);

	is_num(vp2p__dio_query(fd, &dio), -ENODATA, "tmpfs does not promise direct I/O");
	vp2p__file_name(file, name, sizeof(name));
	ok(strlen(name) == sizeof(name) - 1 && !strncmp(name, "...", 3),
	   "a long path keeps its end");
	stx.stx_mask = STATX_TYPE;
	is_num(vp2p__dio_from_statx(&stx, &dio), -ENODATA, "an answer that lacks it");
	stx.stx_mask = STATX_TYPE | STATX_DIOALIGN;
	is_num(vp2p__dio_from_statx(&stx, &dio), -EOPNOTSUPP, "an answer of 0: not here");
	stx.stx_dio_mem_align = 4;
	stx.stx_dio_offset_align = 512;
	is_num(vp2p__dio_from_statx(&stx, &dio), 0, "an answer");
	ok(dio.mem_align == 4 && dio.file_align == 512, "... with its numbers");
	close(file);
	/* One of the two is cut inside of a character. */
	for (size_t odd = 0; odd < 2; odd++) {
		for (size_t i = 0; i < 31; i++)
			memcpy(accents + 2 * i, "\xc3\xa9", 2);
		strcpy(accents + 62, odd ? "x" : "");
		file = make_file(accents, 10, O_RDONLY);
		vp2p__file_name(file, name, sizeof(name));
		ok(!strncmp(name, "...\xc3\xa9", 5), "a path is cut between two characters");
		close(file);
	}
	vp2p__file_name(-1, name, sizeof(name));
	is_str(name, "fd -1", "a bad fd has a name too");
	close(fd);
}

int main(int argc, char **argv)
{
	struct vp2p__dio dio;
	int fd;

	(void)argc;
	snprintf(dir, sizeof(dir), "%s", argv[0]);
	*strrchr(dir, '/') = '\0';
	tree_make("/sys/\n");
	fake_install();
	memory = mmap(NULL, FAKE_BAR_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
		      fake.memory, 0);
	dev = fake_device();
	if (memory == MAP_FAILED ||
	    vp2p_window_create(dev, 2, 0, 8 * MIB, 0, &win, &err))
		return 99;

	fd = make_file("probe", 10, O_RDONLY);
	test_queries();
	if (vp2p__dio_query(fd, &dio)) {
		ok(1, "copies # SKIP the file system here does not promise direct I/O");
	} else {
		block = dio.file_align;
		mem_align = dio.mem_align;
		test_in(O_RDONLY, "a file opened without O_DIRECT");
		test_in(O_RDONLY | O_DIRECT, "a file opened with O_DIRECT");
		test_out(O_RDWR, "to a file opened without O_DIRECT");
		test_out(O_RDWR | O_DIRECT, "to a file opened with O_DIRECT");
		test_append();
		test_arguments();
		test_fault();
		test_reset();
		test_explained();
		is_num(count_maps(), 1, "only this test's own mapping is left");
	}
	close(fd);
	vp2p_window_destroy(win);
	vp2p_close(dev);
	tree_remove();
	return TAP_DONE();
}
