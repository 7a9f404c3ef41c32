// SPDX-License-Identifier: MIT
/*
 * Several devices at once.
 *
 * Data goes from one device to another by way of a file on a disk of neither: a
 * write from a window of the one, a read into a window of the other, many in flight.
 * What has arrived is looked at through the ordinary view; that no page of the file
 * was ever in host memory is what the kernel says of its page cache (cachestat), and
 * that it was the disk that reached into both windows, of what it mapped for DMA (way.h).
 * One iovec may hold windows of several devices, and RAM.
 *
 * A revocation is one device's affair (I7).  Eight devices have a process each; four
 * of these reset theirs again and again while they use it, and the other four may
 * not notice: each transfer whole, no fault refused, no generation counted.  The
 * four stop only when each of the others has done its resets, so there is no luck in
 * that these happen meanwhile.  And while one device waits for a pin (ru_hold), the
 * seven others are reset and used as ever.
 *
 * Mutant: drain-of-all.
 */
#define _GNU_SOURCE
#include "aio.h"
#include "command.h"
#include "dev.h"
#include "harness.h"
#include "pattern.h"
#include "revoke_util.h"
#include "way.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define N 8
#define WINDOW (4 * DEV_MIB2)	/* all of the BAR */
#define CHUNK ((size_t)256 << 10)
#define CHUNKS (WINDOW / CHUNK)
#define RESETS 3		/* of each device that is reset, at least */
#define TRANSFERS 24		/* of each that is not, at least */

static struct ru_target t[N];

static const char *role(int n)
{
	static char names[N][8];

	snprintf(names[n], sizeof(names[n]), "eight%d", n);
	return names[n];
}

static void open_some(int n)
{
	H_EQ(dev_param("drain_timeout_ms", "60000"), 0);
	for (int i = 0; i < n; i++)
		H_EQ(ru_target_open(&t[i], role(i), WINDOW), 0);
}

static void close_some(int n)
{
	for (int i = 0; i < n; i++)
		dev_close(&t[i].d);
	for (int i = 0; i < n; i++)
		dev_check_rest(role(i));
}

static bool works(int n)
{
	return ru_works(&t[n]);
}

/* From one to the other */

struct cachestat_range {
	uint64_t off, len;
};

struct cachestat {
	uint64_t nr_cache, nr_dirty, nr_writeback, nr_evicted, nr_recently_evicted;
};

/* Pages of the file in host memory, now and a while ago. */
static long long cached(int fd)
{
	struct cachestat_range all = { 0, WINDOW };
	struct cachestat c;

	if (syscall(451 /* cachestat */, fd, &all, &c, 0))
		return -errno;
	return c.nr_cache + c.nr_evicted;
}

static void aio_chunk(struct aio *io, bool write, int fd, char *at, size_t chunk)
{
	*io = (struct aio){ write, fd, at + chunk * CHUNK, CHUNK, chunk * CHUNK, 0 };
}

/* Chunk n is written while chunk n - 1 is read: two in flight, one at each device. */
static void by_way_of(int fd, char *from, char *to)
{
	struct aio io[2];

	for (size_t n = 0; n <= CHUNKS; n++) {
		unsigned int count = 0;

		if (n < CHUNKS)
			aio_chunk(&io[count++], true, fd, from, n);
		if (n)
			aio_chunk(&io[count++], false, fd, to, n - 1);
		H_EQ(aio_all(io, count), 0);
		while (count--)
			H_EQ(io[count].done, CHUNK);
	}
}

static void device_to_device(void)
{
	char path[128];
	int fd;

	open_some(2);
	pattern_fill(t[0].raw, WINDOW, 1, 0);
	memset(t[1].raw, 0, WINDOW);
	snprintf(path, sizeof(path), "%s/between", h_mount("ext4", NULL) ?: "");
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_DIRECT | O_CLOEXEC, 0600);
	H_CHECK(fd >= 0);
	H_EQ(posix_fallocate(fd, 0, WINDOW), 0);
	H_EQ(way_begin(role(0)), 0);
	H_EQ(way_begin(role(1)), 0);
	by_way_of(fd, t[0].win, t[1].win);
	/* Each byte by the disk itself. */
	H_CHECK(way_end(role(0)) >= (long long)WINDOW);
	H_CHECK(way_end(role(1)) >= (long long)WINDOW);
	H_EQ(cached(fd), 0);
	H_EQ(pattern_differs(t[1].raw, WINDOW, 1, 0), -1);
	H_EQ(pattern_differs(t[0].raw, WINDOW, 1, 0), -1);
	/* It would have shown: a page that is read by way of host memory is counted. */
	fcntl(fd, F_SETFL, 0);
	H_EQ(pread(fd, path, 1, 0), 1);
	H_CHECK(cached(fd) > 0);
	close(fd);
	unlink("/mnt/ext4/between");
	H_EQ(h_umount("ext4"), 0);
	close_some(2);
}

/* The same by the library's queues, twice around its ring.  The memory outlives opening and closing. */
static void by_the_example(void)
{
	char *file = "/mnt/ext4/ring";

	H_CHECK(h_mount("ext4", NULL));
	open_some(2);
	pattern_fill(t[0].raw, WINDOW, 2, 0);
	memset(t[1].raw, 0, WINDOW);
	close_some(2);
	H_EQ(example("between", "%s 2 %s 2 %s %d", h_pci(role(0)), h_pci(role(1)), file, (int)WINDOW), 0);
	H_CHECK(says("8388608 bytes out and 8388608 in, peer-to-peer"));
	open_some(2);
	H_EQ(pattern_differs(t[1].raw, WINDOW, 2, 0), -1);
	close_some(2);
	unlink(file);
	H_EQ(h_umount("ext4"), 0);
}

/* One iovec */

struct piece {
	int device;		/* -1: RAM */
	size_t at, pages;
};

static const struct piece pieces[] = {
	{ 0, 0, 3 }, { -1, 0, 2 }, { 1, DEV_MIB2 - RU_PAGE, 2 }, { 0, DEV_MIB2, 1 },
	{ 1, 0, 1 }, { -1, 5 * RU_PAGE, 1 }, { 2, 3 * DEV_MIB2 - 2 * RU_PAGE, 4 },
};

#define PIECES (sizeof(pieces) / sizeof(*pieces))

static char *ram;

/* The views that a transfer uses, and those that the test looks through. */
static size_t make_iovec(struct iovec *iov, bool looks)
{
	size_t bytes = 0;

	for (size_t i = 0; i < PIECES; i++) {
		const struct piece *p = &pieces[i];
		char *base = p->device < 0 ? ram : looks ? t[p->device].raw : t[p->device].win;

		iov[i] = (struct iovec){ base + p->at, p->pages * RU_PAGE };
		bytes += iov[i].iov_len;
	}
	return bytes;
}

static void stamp(const struct iovec *iov, uint32_t stream)
{
	uint64_t word = 0;

	for (size_t i = 0; i < PIECES; i++) {
		pattern_fill(iov[i].iov_base, iov[i].iov_len, stream, word);
		word += iov[i].iov_len / 8;
	}
}

static bool is_stamped(const struct iovec *iov, uint32_t stream)
{
	uint64_t word = 0;

	for (size_t i = 0; i < PIECES; i++) {
		if (pattern_differs(iov[i].iov_base, iov[i].iov_len, stream, word) != -1)
			return false;
		word += iov[i].iov_len / 8;
	}
	return true;
}

static void one_iovec(void)
{
	struct iovec use[PIECES], look[PIECES];
	size_t bytes;
	int disk;

	open_some(3);
	ram = mmap(NULL, 8 * RU_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	disk = open(h_disk("raw"), O_RDWR | O_DIRECT | O_CLOEXEC);
	H_CHECK(disk >= 0);
	make_iovec(look, true);
	bytes = make_iovec(use, false);
	stamp(look, 3);
	H_EQ(pwritev(disk, use, PIECES, 0), bytes);
	stamp(look, 4);
	H_EQ(preadv(disk, use, PIECES, 0), bytes);
	H_CHECK(is_stamped(look, 3));
	close(disk);
	close_some(3);
}

/* One waits */

/* A page of device 0 is pinned, and one of device 1 wanted by the same read. */
static void one_waits(void)
{
	struct ru_hold hold;
	struct ru_call reset;

	open_some(N);
	hold = (struct ru_hold){ .first = { t[0].d.fd, t[0].cookie }, .last = { t[1].d.fd, t[1].cookie } };
	H_EQ(ru_hold_begin(&hold), 0);
	ru_call(&reset, ru_reset, &t[0].d);
	H_CHECK(ru_hold_drains(&hold, role(0)));
	for (int i = 1; i < N; i++) {
		H_CHECK(dev_state_is(role(i), "live"));
		H_EQ(ru_reset(&t[i].d), 0);
		H_CHECK(works(i));
		H_EQ(dev_count(role(i), "faults_refused"), 0);
	}
	H_CHECK(!ru_done(&reset));
	H_CHECK(dev_state_is(role(0), "draining"));
	/* Its last page is there to be had: the other device's gate is no concern of it. */
	H_EQ(ru_hold_end(&hold), 3 * RU_PAGE);
	H_CHECK(ru_join(&reset, 20000));
	H_EQ(reset.ret, 0);
	H_CHECK(works(0));
	close_some(N);
}

/* Eight at once */

struct board {
	int ready, steady_done;
	int resets[N];
	bool go, stop;
};

static struct board *board;

static void wait_for_go(void)
{
	__atomic_add_fetch(&board->ready, 1, __ATOMIC_SEQ_CST);
	while (!__atomic_load_n(&board->go, __ATOMIC_SEQ_CST))
		h_sleep_ms(1);
}

static bool all_were_reset(void)
{
	for (int i = 1; i < N; i += 2)
		if (__atomic_load_n(&board->resets[i], __ATOMIC_SEQ_CST) < RESETS)
			return false;
	return true;
}

/* From the device to its own place on the disk and back: 0, or what was wrong. */
static int transfer(int n, int disk, uint64_t round)
{
	const off_t at = (off_t)n * DEV_MIB2;
	const size_t half = round % 4 * CHUNK, other = WINDOW / 2 + half;

	pattern_fill(t[n].raw + half, RU_PAGE, n + 1, round);
	if (pwrite(disk, t[n].win + half, CHUNK, at) != (ssize_t)CHUNK)
		return 1;
	if (pread(disk, t[n].win + other, CHUNK, at) != (ssize_t)CHUNK)
		return 2;
	return pattern_differs(t[n].raw + other, RU_PAGE, n + 1, round) == -1 ? 0 : 3;
}

/* Nobody resets it: everything succeeds, and the driver has counted nothing. */
static int steady(int n, int disk)
{
	long long generation = dev_count(role(n), "generation");
	long long refused = dev_count(role(n), "faults_refused");
	int wrong;

	wait_for_go();
	for (uint64_t round = 0; round < TRANSFERS || !all_were_reset(); round++) {
		wrong = transfer(n, disk, round);
		if (wrong)
			return 10 + wrong;
	}
	if (dev_count(role(n), "generation") != generation)
		return 20;
	return dev_count(role(n), "faults_refused") == refused ? 0 : 21;
}

static long reset_on(void *arg)
{
	struct ru_target *mine = arg;
	int n = mine - t;
	long ret = 0;

	while (!ret && !__atomic_load_n(&board->stop, __ATOMIC_SEQ_CST)) {
		ret = ru_reset(&mine->d);
		__atomic_add_fetch(&board->resets[n], 1, __ATOMIC_SEQ_CST);
	}
	return ret;
}

/* Reset again and again by a thread, and used by another: what fails, fails as documented. */
static int shaken(int n, int disk)
{
	long long generation = dev_count(role(n), "generation");
	struct ru_call resets;
	ssize_t got;

	wait_for_go();
	ru_call(&resets, reset_on, &t[n]);
	while (!__atomic_load_n(&board->stop, __ATOMIC_SEQ_CST)) {
		got = pread(disk, t[n].win, CHUNK, (off_t)n * DEV_MIB2);
		if (got < 0 && errno != EFAULT)
			return 30;
	}
	if (!ru_join(&resets, 30000) || resets.ret)
		return 31;
	return dev_count(role(n), "generation") == generation + board->resets[n] ? 0 : 32;
}

static int one_of_eight(int n)
{
	int disk = open(h_disk("raw"), O_RDWR | O_DIRECT | O_CLOEXEC), ret;

	if (disk < 0 || ru_target_open(&t[n], role(n), WINDOW))
		return 1;
	ret = n % 2 ? shaken(n, disk) : steady(n, disk);
	if (n % 2 == 0)
		__atomic_add_fetch(&board->steady_done, 1, __ATOMIC_SEQ_CST);
	dev_close(&t[n].d);
	return ret;
}

static void eight_at_once(void)
{
	int status[N];
	pid_t pid[N];

	board = mmap(NULL, RU_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (int i = 0; i < N; i++) {
		pid[i] = fork();
		if (!pid[i])
			_exit(one_of_eight(i));
	}
	H_CHECK(h_wait_until(board->ready == N, 20000));
	__atomic_store_n(&board->go, true, __ATOMIC_SEQ_CST);
	for (int i = 0; i < N; i += 2)
		H_EQ(waitpid(pid[i], &status[i], 0), pid[i]);
	__atomic_store_n(&board->stop, true, __ATOMIC_SEQ_CST);
	for (int i = 1; i < N; i += 2)
		H_EQ(waitpid(pid[i], &status[i], 0), pid[i]);
	for (int i = 0; i < N; i++) {
		h_diag("device %d: status %#x, %d resets", i, status[i], board->resets[i]);
		H_EQ(WIFEXITED(status[i]) ? WEXITSTATUS(status[i]) : -1, 0);
	}
	for (int i = 0; i < N; i++)
		dev_check_rest(role(i));
}

/* Exports */

static int export_of(struct ru_target *from)
{
	struct p2p_vfio_export arg = { (uintptr_t)from->win, WINDOW, 0, -1 };
	int ret = dev_feature(&from->d, VFIO_DEVICE_FEATURE_SET | P2P_VFIO_FEATURE_EXPORT, &arg,
			      sizeof(arg));

	return ret ?: arg.fd;
}

/* Neither device is this process's: it has two files of memory, and a disk. */
static int between(const int *exports, int disk)
{
	char *from = mmap(NULL, WINDOW, PROT_READ, MAP_SHARED, exports[0], 0);
	char *to = mmap(NULL, WINDOW, PROT_READ | PROT_WRITE, MAP_SHARED, exports[1], 0);

	if (setgroups(0, NULL) || setresuid(65534, 65534, 65534))
		return 1;
	if (from == MAP_FAILED || to == MAP_FAILED)
		return 2;
	if (pwrite(disk, from, WINDOW, 0) != (ssize_t)WINDOW)
		return 3;
	return pread(disk, to, WINDOW, 0) == (ssize_t)WINDOW ? 0 : 4;
}

static void without_either(void)
{
	int exports[2], disk, status = -1;
	pid_t pid;

	open_some(2);
	pattern_fill(t[0].raw, WINDOW, 6, 0);
	disk = open(h_disk("raw"), O_RDWR | O_DIRECT | O_CLOEXEC);
	for (int i = 0; i < 2; i++) {
		exports[i] = export_of(&t[i]);
		H_CHECK(exports[i] >= 0);
	}
	pid = fork();
	if (!pid) {
		/* What the fork has given it besides. */
		dev_close(&t[0].d);
		dev_close(&t[1].d);
		_exit(between(exports, disk));
	}
	H_EQ(waitpid(pid, &status, 0), pid);
	H_EQ(status, 0);
	H_EQ(pattern_differs(t[1].raw, WINDOW, 6, 0), -1);
	close(exports[0]);
	close(exports[1]);
	close(disk);
	close_some(2);
}

static const struct h_case cases[] = {
	{ "from device to device by way of a file", device_to_device, 60 },
	{ "the same by the library's queues", by_the_example, 60 },
	{ "windows of three devices and RAM in one iovec", one_iovec, 60 },
	{ "one waits for a pin, seven go on", one_waits, 60 },
	{ "eight at once, four of them reset all the time", eight_at_once, 90 },
	{ "a process with neither device copies between them", without_either, 60 },
	{ }
};

int main(int argc, char **argv)
{
	for (int i = 0; i < N; i++)
		dev_bind(role(i), DEV_P2P);
	return h_main(argc, argv, cases);
}
