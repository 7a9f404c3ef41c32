// SPDX-License-Identifier: MIT
/*
 * A worker of the stress test: transfers that are verified.
 *
 * Each worker has an arena of each device to itself.  Before a read its pages
 * are marked, after it they must hold the file's pattern of that offset, also
 * when a revocation came in between: this target's memory keeps its contents
 * through all that is done to it, so a wrong byte is a transfer that went on
 * while memory was off.  When no event was near, a transfer must be whole.
 * (A worker may follow one that was killed, whose last reads may still be on
 * their way: it uses its arena only after the next revocation has ended, which
 * has waited for them.)
 */
#define _GNU_SOURCE
#include "aio.h"
#include "harness.h"
#include "pattern.h"
#include "stress.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define ARENA (ST_ARENAS_LENGTH / 8)
#define PLACES 8			/* of an arena, each with one transfer at most */
#define PLACE (128 * 1024)
#define MOST 6
#define MARK 0x6b72616d6b72616dull

static int slot, self, post;
static char *arena[ST_DEVS];
static bool ready;
static unsigned long long born[ST_DEVS];	/* generation */
static char *ram;
static uint32_t stamp;

/* Guarded access */

struct span {
	char *at;
	size_t bytes;
	uint32_t stream;
	uint64_t first;
	long wrong;
};

static void mark(void *arg)
{
	struct span *s = arg;

	for (size_t i = 0; i < s->bytes; i += ST_PAGE)
		*(volatile uint64_t *)(s->at + i) = MARK;
	*(volatile uint64_t *)(s->at + s->bytes - 8) = MARK;
}

static void fill(void *arg)
{
	struct span *s = arg;

	pattern_fill(s->at, s->bytes, s->stream, s->first);
}

static long nonzero(const char *at, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += 8)
		if (*(const volatile uint64_t *)(at + i))
			return i;
	return -1;
}

static void compare(void *arg)
{
	struct span *s = arg;

	s->wrong = s->stream ? pattern_differs(s->at, s->bytes, s->stream, s->first) :
			       nonzero(s->at, s->bytes);
}

/* A SIGBUS must have its reason. */
bool st_access(void (*fn)(void *), void *arg, unsigned int mask, const char *what)
{
	struct st_look before;

	st_look(&before);
	if (st_guarded(fn, arg))
		return true;
	if (!st_was_dark(&before, mask))
		h_fail("%s: SIGBUS while memory was on", what);
	ST_COUNT(sigbus);
	return false;
}

/* Verified transfers */

struct transfer {
	int dev;
	const struct st_disk *disk;
	struct aio io;
};

static struct transfer plan[MOST];
static int n_plan;
static unsigned int plan_mask;

const struct st_disk *st_some_disk(void)
{
	static const int often[] = { ST_RAW, ST_RAW, ST_RAW, ST_EXT4, ST_EXT4, ST_XFS, ST_XFS, ST_SLOW };

	if (!st_random(16))
		return &st_disks[ST_LAG];
	if (!st_random(3000))
		return &st_disks[ST_LATE];
	return &st_disks[often[st_random(8)]];
}

size_t st_some_bytes(size_t most)
{
	size_t bytes = ST_PAGE << st_random(6);

	if (!st_random(4))
		bytes -= ST_SECTOR * st_random(bytes / ST_SECTOR);
	return bytes < most ? bytes : most;
}

static void plan_reads(int n)
{
	int first = st_random(PLACES);

	n_plan = n;
	plan_mask = 0;
	for (int i = 0; i < n; i++) {
		struct transfer *t = &plan[i];
		size_t skip = st_random(4) ? 0 : st_random(16) * ST_SECTOR;

		t->dev = st_random(st_n_devs);
		t->disk = st_some_disk();
		t->io = (struct aio){
			.fd = t->disk->fd,
			.at = arena[t->dev] + (first + i) % PLACES * PLACE + skip,
			.bytes = st_some_bytes(PLACE - skip),
			.offset = st_random((ST_DATA - PLACE) / ST_SECTOR) * ST_SECTOR,
			.done = -EINPROGRESS,
		};
		plan_mask |= 1u << t->dev;
	}
}

static bool mark_plan(void)
{
	for (int i = 0; i < n_plan; i++) {
		struct span s = { plan[i].io.at, plan[i].io.bytes };

		if (!st_access(mark, &s, 1u << plan[i].dev, "marking"))
			return false;
	}
	return true;
}

/* Documented: whole; short or EFAULT, if a revocation was near. */
static void judge(const char *what, ssize_t done, size_t bytes, bool calm)
{
	if (done == (ssize_t)bytes)
		ST_COUNT(whole);
	else if (done >= 0 && done < (ssize_t)bytes)
		ST_COUNT(cut);
	else if (done == -EFAULT)
		ST_COUNT(refused);
	else
		h_fail("%s: %zd of %zu (%s)", what, done, bytes, done < 0 ? strerrorname_np(-done) : "bytes");
	if (done != (ssize_t)bytes && calm)
		h_fail("%s: %zd of %zu, and no revocation near", what, done, bytes);
	if (!calm)
		ST_COUNT(overlapped);
}

static void verify(const char *what, struct span *s, unsigned int mask, bool calm)
{
	if (!s->bytes || !st_compares)
		return;
	if (!st_access(compare, s, mask, what)) {
		ST_COUNT(unseen);
		return;
	}
	if (s->wrong >= 0)
		h_fail("%s: wrong byte at %#lx of %#zx, stream %u word %#llx, %s", what, s->wrong, s->bytes,
		       s->stream, (unsigned long long)s->first, calm ? "no revocation near" : "under revocation");
	if (calm)
		ST_ADD(verified, s->bytes);
	else
		ST_ADD(verified_under, s->bytes);
}

static void verify_read(const char *what, int i, off_t offset, ssize_t done, bool calm)
{
	struct span s = { .at = plan[i].io.at, .bytes = done < 0 ? 0 : done & ~(ST_SECTOR - 1),
			  .stream = plan[i].disk->stream, .first = offset / 8 };

	verify(what, &s, 1u << plan[i].dev, calm);
}

static void reads(const char *what, int (*submit)(struct aio *, unsigned int), int n)
{
	struct aio io[MOST];
	struct st_look before;
	bool calm;
	int err;

	plan_reads(n);
	if (!mark_plan())
		return;
	for (int i = 0; i < n_plan; i++)
		io[i] = plan[i].io;
	st_look(&before);
	err = submit(io, n_plan);
	calm = st_calm(&before, plan_mask);
	if (err)
		return h_fail("%s: %s", what, strerrorname_np(-err));
	for (int i = 0; i < n_plan; i++) {
		judge(what, io[i].done, io[i].bytes, calm);
		verify_read(what, i, io[i].offset, io[i].done, calm);
	}
}

static int one_by_one(struct aio *io, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		io[i].done = pread(io[i].fd, io[i].at, io[i].bytes, io[i].offset);
		if (io[i].done < 0)
			io[i].done = -errno;
	}
	return 0;
}

static void read_sync(void)
{
	reads("pread", one_by_one, 1);
}

static void read_aio(void)
{
	reads("libaio", aio_all, 1 + st_random(MOST));
}

static void read_uring(void)
{
	reads("io_uring", uring_all, 1 + st_random(MOST));
}

/* One call, pages of both devices and of RAM. */
static void read_vectors(void)
{
	struct iovec iov[MOST + 1];
	struct st_look before;
	size_t total = 0, left;
	ssize_t done;
	off_t offset;
	bool calm;

	plan_reads(2 + st_random(MOST - 1));
	if (!mark_plan())
		return;
	for (int i = 0; i < n_plan; i++) {
		plan[i].disk = plan[0].disk;
		iov[i] = (struct iovec){ plan[i].io.at, plan[i].io.bytes };
		total += plan[i].io.bytes;
	}
	iov[n_plan] = (struct iovec){ ram, ST_PAGE };
	total += ST_PAGE;
	offset = st_random((ST_DATA - MOST * PLACE - ST_PAGE) / ST_SECTOR) * ST_SECTOR;
	st_look(&before);
	done = preadv(plan[0].disk->fd, iov, n_plan + 1, offset);
	if (done < 0)
		done = -errno;
	calm = st_calm(&before, plan_mask);
	judge("preadv", done, total, calm);
	left = done < 0 ? 0 : done;
	for (int i = 0; i < n_plan && left; i++) {
		size_t part = left < iov[i].iov_len ? left : iov[i].iov_len;

		verify_read("preadv", i, offset, part, calm);
		offset += part;
		left -= part;
	}
}

/* The worker's own place on the raw disk; read back into RAM. */
static void write_and_read_back(void)
{
	off_t offset = ST_WRITES + self * (off_t)ARENA + st_random(PLACES) * PLACE;
	struct span s = { .stream = 1000 + self, .first = (uint64_t)++stamp << 20 };
	struct st_look before;
	ssize_t done;
	bool calm;

	plan_reads(1);
	s.at = plan[0].io.at;
	s.bytes = plan[0].io.bytes;
	if (!st_access(fill, &s, plan_mask, "filling"))
		return;
	st_look(&before);
	done = pwrite(st_disks[ST_RAW].fd, s.at, s.bytes, offset);
	if (done < 0)
		done = -errno;
	calm = st_calm(&before, plan_mask);
	judge("pwrite", done, s.bytes, calm);
	if (done <= 0)
		return;
	s.at = ram;
	s.bytes = done & ~(ST_SECTOR - 1);
	if (pread(st_disks[ST_RAW].fd, ram, s.bytes, offset) != (ssize_t)s.bytes)
		return h_fail("reading back: %s", strerrorname_np(errno));
	verify("read back", &s, plan_mask, calm);
}

/* The kernel copies: a fault of its own while it holds no pins. */
static void read_buffered(void)
{
	struct st_look before;
	ssize_t done = 0;
	int pipefd[2];

	plan_reads(1);
	if (pipe2(pipefd, O_CLOEXEC))
		return h_fail("pipe: %s", strerrorname_np(errno));
	write(pipefd[1], ram, ST_PAGE);
	st_look(&before);
	done = read(pipefd[0], plan[0].io.at, ST_PAGE);
	if (done < 0)
		done = -errno;
	judge("read of a pipe", done, ST_PAGE, st_calm(&before, plan_mask));
	close(pipefd[0]);
	close(pipefd[1]);
}

/* The worker */

static void map_arenas(void)
{
	for (int i = 0; i < st_n_devs; i++) {
		uint64_t cookie = st_devs[i].wc[ST_ARENAS] && !st_random(4) ? st_devs[i].wc[ST_ARENAS] :
									       st_devs[i].cookie[ST_ARENAS];

		if (arena[i])
			dev_unmap(&st_devs[i].d, arena[i]);
		arena[i] = dev_map_skewed(&st_devs[i].d, cookie + self * ARENA, ARENA,
					  st_random(3) ? 0 : (1 + st_random(511)) * ST_PAGE);
		if (!arena[i])
			h_fail("mapping the arena: %s", strerrorname_np(errno));
	}
}

static unsigned long long generation(int dev)
{
	struct p2p_vfio_state s;

	return dev_state(&st_devs[dev].d, &s) ? 0 : s.generation;
}

static bool is_ready(void)
{
	bool all = true;

	for (int i = 0; i < st_n_devs; i++)
		all &= generation(i) >= born[i] + 2;
	return all;
}

static const struct {
	unsigned int weight;	/* of 100; the rest is scrap */
	void (*run)(void);
} all[] = {
	{ 24, read_sync },
	{ 14, read_vectors },
	{ 15, read_aio },
	{ 3, read_uring },
	{ 13, write_and_read_back },
	{ 4, read_buffered },
	{ 3, map_arenas },
};

static void turn(void)
{
	int at = st_random(100);

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); at -= all[i++].weight)
		if (ready && at < (int)all[i].weight)
			return all[i].run();
	st_scrap_turn(post);
}

void st_worker(int number, int index, int socket)
{
	slot = number;
	self = index;
	post = socket;
	ram = aligned_alloc(ST_PAGE, PLACE);
	memset(ram, 0, PLACE);
	for (int i = 0; i < st_n_devs; i++)
		born[i] = generation(i);
	map_arenas();
	for (;;) {
		st_beat(slot);
		if (!ready)
			ready = is_ready();
		turn();
	}
}
