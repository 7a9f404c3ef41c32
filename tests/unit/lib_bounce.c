// SPDX-License-Identifier: MIT
/*
 * vp2p_copy() through host RAM.
 *
 * Theory: the device's memory is a memfd, files are real ones on this machine's disk
 * and in memory; what is played is read(2) and write(2) themselves.  A hook under
 * them makes each kind of bad day at an exact byte: short transfers, EINTR, EIO, a
 * layer that refuses peer-to-peer (which shows by the size of the request), a file
 * that shrinks, a reset, a disk that does not answer until somebody has looked.  In
 * the end every byte is compared, also those around the range; where a copy fails
 * the count must be the number of bytes that are in place, exactly.  Where memory is
 * missing the CPU's own access gets a real SIGBUS, and with userfaultfd it waits, as
 * it does for a device that is being reset.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../../lib/file.h"
#include "../../lib/guard.h"
#include "check_error.h"
#include "fake.h"
#include "tree.h"

#define KIB	1024u
#define MIB	(1u << 20)
#define ROOM	(8 * MIB)	/* of the window */
#define ALLOW	VP2P_COPY_BOUNCE_ALLOW
#define FORCE	VP2P_COPY_BOUNCE_FORCE

static struct vp2p_device *dev;
static struct vp2p_window *win;
static struct vp2p_error err;
static struct vp2p_copy_result res;
static uint8_t *memory;
static char dir[256];
static bool has_direct;		/* this machine's file system */

static uint8_t byte_at(uint64_t i)
{
	return (uint8_t)(i * 13 + i / 256 + 5);
}

/* On a disk, or in memory if @name is NULL. */
static int make_file(const char *name, uint64_t size)
{
	uint8_t *data = malloc(size + 1);
	char path[300];
	int fd;

	for (uint64_t i = 0; i < size; i++)
		data[i] = byte_at(i);
	snprintf(path, sizeof(path), "%s/%s", dir, name ? name : "");
	fd = name ? open(path, O_RDWR | O_CREAT | O_TRUNC, 0600) :
		    memfd_create("tmpfs", 0);
	if (fd < 0 || write(fd, data, size) != (ssize_t)size || fsync(fd)) {
		perror(path);
		exit(99);
	}
	if (name)
		unlink(path);
	free(data);
	return fd;
}

static bool holds(const uint8_t *at, uint64_t from, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		if (at[i] != byte_at(from + i))
			return false;
	return true;
}

static bool only(uint8_t byte, const uint8_t *at, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		if (at[i] != byte)
			return false;
	return true;
}

static struct vp2p_copy_request in(int fd, uint64_t window_offset, uint64_t file_offset,
				   uint64_t length, uint32_t flags)
{
	memset(memory, 0xcc, ROOM);
	return (struct vp2p_copy_request){
		.window = win, .fd = fd, .direction = VP2P_FILE_TO_WINDOW, .flags = flags,
		.window_offset = window_offset, .file_offset = file_offset,
		.length = length,
	};
}

/* The window holds what byte_at() says from its offset on. */
static struct vp2p_copy_request out(int fd, uint64_t window_offset, uint64_t file_offset,
				    uint64_t length, uint32_t flags)
{
	struct vp2p_copy_request c = in(fd, window_offset, file_offset, length, flags);

	c.direction = VP2P_WINDOW_TO_FILE;
	for (uint64_t i = 0; i < length; i++)
		memory[window_offset + i] = byte_at(i);
	return c;
}

/* ------------------------------------------------ what happens to transfers --- */

static ssize_t (*real)(int fd, bool to, void *buf, size_t length, off_t at);

static struct {
	uint64_t p2p_refused;	/* requests for more than a MiB from there on; 0: none */
	int refusal;		/* 0: EREMOTEIO */
	size_t most;		/* bytes a transfer moves, 0: no limit */
	bool interrupts;	/* every other transfer */
	uint64_t fails_at;	/* the transfer that has this byte, once */
	int error;
	uint64_t shrinks_at;	/* the file ends there */
	uint64_t waits_at;	/* transfers from there on, until ... */
	bool revokes;		/* and a revocation begins with it */
	atomic_int calls, direct, buffered, released;
	atomic_int gathers;	/* transfers wait until there are so many at once */
	atomic_int inside, most_inside;
	atomic_bool failed, revoked;
} day;

#define NEVER	UINT64_MAX

static void good_day(void)
{
	memset(&day, 0, sizeof(day));
	day.fails_at = day.shrinks_at = day.waits_at = NEVER;
}

/* How many there are at once, if each waits for the others; once, and not for ever. */
static void gather(void)
{
	int inside = ++day.inside;

	for (int most = day.most_inside; inside > most;)
		if (atomic_compare_exchange_weak(&day.most_inside, &most, inside))
			break;
	for (int ms = 0; day.most_inside < day.gathers && ms < 5000; ms++)
		usleep(1000);
	if (day.most_inside < day.gathers)
		day.gathers = day.most_inside;
	/* More than that must not come, either. */
	usleep(1000);
	day.inside--;
}

static ssize_t bad_transfer(int fd, bool to, void *buf, size_t length, off_t at)
{
	uint64_t begin = (uint64_t)at;
	int call = day.calls++;

	if (day.p2p_refused && length > MIB)
		return begin >= day.p2p_refused - 1 ? -(day.refusal ? day.refusal : EREMOTEIO) :
		       real(fd, to, buf, length, at);
	if (day.interrupts && call % 2)
		return -EINTR;
	if (fcntl(fd, F_GETFL) & O_DIRECT)
		day.direct++;
	else
		day.buffered++;
	if (day.gathers)
		gather();
	if (begin >= day.waits_at && !day.released) {
		if (day.revokes && !atomic_exchange(&day.revoked, true)) {
			fake.state.revokes[0]++;
			fake.state.state = P2P_VFIO_STATE_DRAINING;
		}
		while (!day.released)
			usleep(1000);
	}
	if (day.fails_at >= begin && day.fails_at < begin + length &&
	    !atomic_exchange(&day.failed, true))
		return -day.error;
	if (begin >= day.shrinks_at)
		return 0;
	if (day.most && length > day.most)
		length = day.most;
	return real(fd, to, buf, length, at);
}

/* ------------------------------------------------------------------- tests --- */

static void copies_in(struct vp2p_copy_request *c, const char *name)
{
	uint64_t n = c->length;
	int rc = vp2p_copy(c, &res, &err);

	if (!ok(!rc && holds(memory + c->window_offset, c->file_offset, n) &&
		only(0xcc, memory, c->window_offset) &&
		only(0xcc, memory + c->window_offset + n, ROOM - c->window_offset - n),
		"%s: the bytes, and no other", name))
		printf("# rc %d: %s\n", rc, rc ? err.cause : "");
	is_num((long long)(res.bytes_p2p + res.bytes_bounced + res.bytes_zero),
	       (long long)n, "... all counted");
}

/* The file had byte_at() of its own offset everywhere. */
static void copies_out(struct vp2p_copy_request *c, const char *name)
{
	uint64_t n = c->length, at = c->file_offset, size = at + n + 64 * KIB;
	uint8_t *back = calloc(1, size);
	int rc = vp2p_copy(c, &res, &err);

	if (pread(c->fd, back, size, 0) < (ssize_t)(at + n))
		rc = -EPIPE;
	if (!ok(!rc && holds(back, 0, at) && holds(back + at, 0, n) &&
		holds(back + at + n, at + n, 64 * KIB), "%s: the bytes, and no other", name))
		printf("# rc %d: %s\n", rc, rc ? err.cause : "");
	is_num((long long)res.bytes_bounced, (long long)n, "... all counted");
	free(back);
}

static void test_only_when_asked(void)
{
	int fd = make_file(NULL, 3 * MIB);
	struct vp2p_copy_request c = in(fd, 0, 0, 3 * MIB, 0);

	is_error(vp2p_copy(&c, &res, &err), EOPNOTSUPP, &err, "strict: a file in memory");
	has_str(err.remedy, "VP2P_COPY_BOUNCE_ALLOW", "... and what would do");
	ok(only(0xcc, memory, ROOM) && !res.bytes_bounced, "... nothing has moved");
	c.flags = ALLOW;
	copies_in(&c, "allowed");
	ok(res.bytes_bounced == 3 * MIB && res.bounce_reason == VP2P_BOUNCE_NO_DIRECT_IO,
	   "... by the CPU, for the file has no direct I/O");
	c.flags = ALLOW | VP2P_COPY_ALLOW_TAIL | VP2P_COPY_MEMORY_KEPT;
	c.bounce_depth = 65;
	is_error(vp2p_copy(&c, &res, &err), EINVAL, &err, "65 pieces in flight");
	close(fd);
	fd = make_file(NULL, 4 * MIB);
	c = out(fd, 4096, 4096, MIB + 77, ALLOW);
	copies_out(&c, "to a file in memory");
	close(fd);
}

static void test_forced(void)
{
	int fd = make_file("forced", 6 * MIB);
	struct vp2p_copy_request c = in(fd, 0, 0, 6 * MIB, FORCE);

	good_day();
	copies_in(&c, "forced");
	ok(res.bytes_bounced == 6 * MIB && !res.bytes_p2p &&
	   res.bounce_reason == VP2P_BOUNCE_FORCED, "... by the CPU, as was asked");
	ok(has_direct ? day.direct && !day.buffered : day.buffered && !day.direct,
	   "... by direct I/O where the file has it: %d and %d", day.direct, day.buffered);

	for (unsigned int depth = 1; depth <= 64; depth *= 8) {
		c = in(fd, 0, 0, 5 * MIB + 1, FORCE);
		c.bounce_depth = depth;
		c.chunk = 64 * KIB + 5;
		copies_in(&c, "many pieces");
	}
	c = in(fd, 4097, 4096 * 3 + 77, 2 * MIB + 5, FORCE);
	copies_in(&c, "from odd to odd");
	c = in(fd, 5, 4099, 17, FORCE);
	copies_in(&c, "inside of one page");
	c = in(fd, 5, 4095, 2, FORCE);
	c.chunk = 1;
	copies_in(&c, "across two");

	good_day();
	c = out(fd, 64, 4096 * 3, 2 * MIB + 100, FORCE);
	copies_out(&c, "to the file");
	ok(!has_direct || (day.direct && day.buffered == 1),
	   "... its last page apart: %d and %d", day.direct, day.buffered);
	close(fd);
	fd = make_file("forced", 6 * MIB);
	c = out(fd, 1, 4096 * 3 + 77, 2 * MIB + 5, FORCE);
	copies_out(&c, "to an odd place");
	close(fd);
	fd = make_file("forced", 128 * KIB);
	c = out(fd, 1, 4099, 17, FORCE);
	copies_out(&c, "into the middle of a page");
	close(fd);
}

static void test_allowed(void)
{
	int fd = make_file("allowed", 7 * MIB);
	struct vp2p_copy_request c = in(fd, 0, 0, 7 * MIB, ALLOW);

	good_day();
	copies_in(&c, "allowed but not needed");
	ok(res.bytes_p2p == 7 * MIB && res.bounce_reason == VP2P_BOUNCE_NONE,
	   "... peer-to-peer");
	c = in(fd, 0, 0, MIB + 100, ALLOW);
	copies_in(&c, "a tail");
	ok(res.bytes_p2p == MIB && res.bytes_bounced == 100 &&
	   res.bounce_reason == VP2P_BOUNCE_TAIL, "... it alone");
	c = in(fd, 4096, 77, MIB, ALLOW);
	copies_in(&c, "an odd offset");
	ok(!res.bytes_p2p && res.bounce_reason == VP2P_BOUNCE_UNALIGNED, "... named");

	day.p2p_refused = 1;
	c = in(fd, 0, 0, 7 * MIB, ALLOW);
	copies_in(&c, "refused by a layer below");
	ok(!res.bytes_p2p && res.bounce_reason == VP2P_BOUNCE_REFUSED, "... named");
	day.p2p_refused = 1 + 4 * MIB;
	c = in(fd, 0, 0, 7 * MIB, ALLOW);
	copies_in(&c, "refused in the middle");
	ok(res.bytes_p2p == 4 * MIB && res.bytes_bounced == 3 * MIB, "... counted apart");
	c.flags = 0;
	is_error(vp2p_copy(&c, &res, &err), EOPNOTSUPP, &err, "strict: refused");
	has_str(err.remedy, "VP2P_COPY_BOUNCE_ALLOW", "... and what would do");

	/* So says a file system that only finds the address wrong. */
	day.refusal = EFAULT;
	is_error(vp2p_copy(&c, &res, &err), EFAULT, &err, "strict: EFAULT");
	has_str(err.remedy, "VP2P_COPY_BOUNCE_ALLOW", "... and what would do");
	c.flags = ALLOW;
	is_error(vp2p_copy(&c, &res, &err), EFAULT, &err, "EFAULT in the middle is no refusal");
	day.p2p_refused = 1;
	copies_in(&c, "the first request's is");
	ok(!res.bytes_p2p && res.bounce_reason == VP2P_BOUNCE_REFUSED, "... named");
	good_day();
	close(fd);
}

/* Three buffers, each of which takes many turns. */
static struct vp2p_copy_request pieces(struct vp2p_copy_request c)
{
	c.chunk = 64 * KIB;
	c.bounce_depth = 3;
	return c;
}

static void test_short(const char *file)
{
	int fd = make_file(file, 5 * MIB);
	struct vp2p_copy_request c;

	good_day();
	day.most = 16 * KIB;
	day.interrupts = true;
	c = pieces(in(fd, 0, 0, 4 * MIB + 99, FORCE));
	copies_in(&c, "short reads, and signals");
	if (!file)
		day.most = 1000;
	c = pieces(out(fd, 8, 0, 4 * MIB + 99, FORCE));
	copies_out(&c, "short writes, and signals");
	good_day();
	day.shrinks_at = 2 * MIB;
	c = pieces(in(fd, 0, 0, 4 * MIB, FORCE));
	is_error(vp2p_copy(&c, &res, &err), EIO, &err, "a file that becomes shorter");
	has_str(err.cause, "became shorter", "... says so");
	is_num((long long)res.bytes_bounced, 2 * MIB, "... and what is in place");
	good_day();
	close(fd);
}

static void test_errors(const char *file)
{
	int fd = make_file(file, 5 * MIB);
	struct vp2p_copy_request c;

	for (int to = 0; to < 2; to++) {
		good_day();
		day.fails_at = 3 * MIB + 70 * KIB;
		day.error = EIO;
		c = pieces((to ? out : in)(fd, 0, 0, 4 * MIB, FORCE));
		is_error(vp2p_copy(&c, &res, &err), EIO, &err, "EIO once, in the middle");
		has_str(err.cause, "at byte 3211264", "... says where");
		is_num((long long)res.bytes_bounced, 3 * MIB + 64 * KIB,
		       "... what is in front of it is in place");
		ok(to || holds(memory, 0, 3 * MIB + 64 * KIB), "... really");
	}
	good_day();
	day.fails_at = 0;
	day.error = ENOSPC;
	c = pieces(out(fd, 0, 0, MIB, FORCE));
	is_error(vp2p_copy(&c, &res, &err), ENOSPC, &err, "ENOSPC at the first piece");
	good_day();
	close(fd);
}

static int reset_look;

/* Seen by the look after it. */
static void reset_at_look(int look)
{
	if (look != reset_look)
		return;
	fake.state.generation++;
	fake.state.revokes[0]++;
	memset(memory, 0xcc, ROOM);
}

static void test_reset(void)
{
	int fd = make_file("reset", 7 * MIB);
	struct vp2p_copy_request c = pieces(in(fd, 0, 0, 7 * MIB, FORCE));

	fake.after_look = reset_at_look;
	reset_look = 3;
	fake.looks = 0;
	copies_in(&c, "a reset in the middle");
	ok(res.restarts == 1 && res.bytes_repeated > 0 && res.bytes_bounced == 7 * MIB,
	   "... by a new start");
	fake.looks = 0;
	c.flags |= VP2P_COPY_GENERATION;
	c.generation = fake.state.generation;
	is_error(vp2p_copy(&c, &res, &err), ESTALE, &err, "... or not, as asked");
	fake.looks = 0;
	c = pieces(out(fd, 0, 0, 7 * MIB, FORCE));
	is_error(vp2p_copy(&c, &res, &err), ESTALE, &err, "... and never to a file");
	/* That file has what came of it. */
	close(fd);
	fd = make_file("reset", 7 * MIB);
	/* The CPU had taken over already: the new start is all its own. */
	good_day();
	day.p2p_refused = 1 + MIB;
	fake.looks = 0;
	reset_look = 2;
	c = in(fd, 0, 0, 7 * MIB, ALLOW);
	copies_in(&c, "a reset after the CPU took over");
	ok(res.restarts == 1 && !res.bytes_p2p, "... all by the CPU from then on");
	good_day();
	fake.after_look = NULL;
	close(fd);
}

/* The revocation ends, and the disk answers, when somebody has seen it. */
static void release_when_seen(int look)
{
	(void)look;
	if (fake.state.state == P2P_VFIO_STATE_LIVE)
		return;
	fake.state.state = P2P_VFIO_STATE_LIVE;
	day.released = 1;
}

static void test_revocation(void)
{
	int fd = make_file(NULL, 4 * MIB);
	struct vp2p_copy_request c = pieces(in(fd, 0, 0, 4 * MIB, FORCE));

	good_day();
	day.waits_at = MIB;
	day.revokes = true;
	fake.after_look = release_when_seen;
	copies_in(&c, "a revocation while a piece waits");
	ok(res.retries == 1 && !res.restarts, "... ends the batch, and the rest is repeated");
	fake.after_look = NULL;
	good_day();
	close(fd);
}

static void test_in_flight(void)
{
	static const struct { unsigned int depth; int at_once; } rows[] = {
		{ 0, 4 }, { 1, 1 }, { 3, 3 }, { 64, 64 },
	};
	int fd = make_file(NULL, 8 * MIB);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct vp2p_copy_request c = in(fd, 0, 0, 8 * MIB, FORCE);

		good_day();
		day.gathers = rows[i].at_once;
		c.chunk = 64 * KIB;
		c.bounce_depth = rows[i].depth;
		copies_in(&c, "in flight");
		is_num(day.most_inside, rows[i].at_once, "... so many pieces at once");
	}
	good_day();
	close(fd);
}

static int stop_after;
static uint64_t told;		/* bytes in place, while a piece waits */

static int on_progress(uint64_t done, uint64_t total, void *arg)
{
	(void)total, (void)arg;
	if (!day.released)
		told = done;
	if (--stop_after > 0)
		return 0;
	day.released = 1;
	return 1;
}

/* It is asked again while what it has cancelled does not end. */
static int asked;

static int on_silence(uint64_t done, uint64_t total, void *arg)
{
	(void)done, (void)total, (void)arg;
	if (++asked == 3)
		day.released = 1;
	return 1;
}

static void test_cancel(void)
{
	int fd = make_file(NULL, 8 * MIB);
	struct vp2p_copy_request c = pieces(in(fd, 0, 0, 8 * MIB, FORCE));

	c.progress = on_progress;
	stop_after = 2;
	is_error(vp2p_copy(&c, &res, &err), ECANCELED, &err, "cancelled between batches");
	ok(res.bytes_bounced && res.bytes_bounced < 8 * MIB &&
	   holds(memory, 0, res.bytes_bounced), "... what it counts is in place");
	good_day();
	day.waits_at = MIB;
	stop_after = 1;
	c = pieces(in(fd, 0, MIB, MIB, FORCE));
	c.progress = on_progress;
	is_error(vp2p_copy(&c, &res, &err), ECANCELED, &err, "cancelled while a piece waits");
	good_day();
	day.waits_at = MIB + 512 * KIB;
	stop_after = 1;
	is_error(vp2p_copy(&c, &res, &err), ECANCELED, &err, "... behind others");
	ok(res.bytes_bounced >= 512 * KIB && res.bytes_bounced < MIB &&
	   holds(memory, MIB, res.bytes_bounced), "... which count");
	is_num((long long)told, 512 * KIB, "... and are told of while it waits");
	good_day();
	day.waits_at = MIB;
	c.progress = on_silence;
	is_error(vp2p_copy(&c, &res, &err), ECANCELED, &err, "cancelled, and nothing ends");
	ok(asked >= 3, "... is told until something does");
	good_day();
	close(fd);
}

static void test_holes(const char *file)
{
	int fd = make_file(file, 0);
	struct vp2p_copy_request c;
	uint8_t byte = 7;

	/* A hole, a page of data, a hole, a page with the end. */
	if (pwrite(fd, &byte, 1, 2 * MIB) != 1 || pwrite(fd, &byte, 1, 4 * MIB) != 1 ||
	    fsync(fd))
		exit(99);
	lseek(fd, 99, SEEK_SET);
	c = in(fd, 0, 0, 0, FORCE);
	is_num(vp2p_copy(&c, &res, &err), 0, "a file with holes");
	ok(only(0, memory, 2 * MIB) && memory[2 * MIB] == 7 && memory[4 * MIB] == 7 &&
	   only(0, memory + 2 * MIB + 1, 2 * MIB - 1) && memory[4 * MIB + 1] == 0xcc,
	   "... zeros, data, zeros, data, and no more");
	ok(res.bytes_zero >= 4 * MIB - 128 * KIB && res.bytes_zero <= 4 * MIB &&
	   res.bytes_zero + res.bytes_bounced == 4 * MIB + 1, "... counted apart");
	is_num((long long)lseek(fd, 0, SEEK_CUR), 99, "the file's position stays");
	if (file && has_direct) {
		c = in(fd, 0, 0, 0, 0);
		is_num(vp2p_copy(&c, &res, &err), 0, "the same peer-to-peer");
		ok(res.bytes_zero >= 4 * MIB - 128 * KIB &&
		   res.bytes_zero + res.bytes_p2p == 4 * MIB + 1, "... counted apart");
	}
	close(fd);
}

/* ------------------------------------------------------- stores that wait --- */

static int uffd = -1;
static void *(*real_mmap)(void *, size_t, int, int, int, off_t);

/* Stores to the copy's view of memory that is not there yet wait for an answer. */
static void *waiting_mmap(void *addr, size_t length, int prot, int flags, int fd, off_t at)
{
	struct uffdio_register range = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	void *map = real_mmap(addr, length, prot, flags, fd, at);

	if (map != MAP_FAILED && (flags & MAP_SHARED)) {
		range.range.start = (uintptr_t)map;
		range.range.len = length;
		if (ioctl(uffd, UFFDIO_REGISTER, &range))
			exit(99);
	}
	return map;
}

static bool stores_wait(void)
{
	struct uffdio_api api = { .api = UFFD_API };

	uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
	if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api))
		return false;
	real_mmap = vp2p__host.mmap;
	vp2p__host.mmap = waiting_mmap;
	return !fallocate(fake.memory, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, ROOM);
}

static void stores_go_on(void)
{
	if (uffd >= 0)
		close(uffd);
	uffd = -1;
}

/* The first look sees the revocation; by the second the store must be given up. */
static void live_again(int look)
{
	if (look == 2)
		fake.state.state = P2P_VFIO_STATE_LIVE;
	if (look == 3)
		stores_go_on();
}

static ssize_t revoking_transfer(int fd, bool to, void *buf, size_t length, off_t at)
{
	if (!atomic_exchange(&day.revoked, true)) {
		fake.state.revokes[0]++;
		fake.state.state = P2P_VFIO_STATE_DRAINING;
	}
	return real(fd, to, buf, length, at);
}

static void test_waiting_stores(void)
{
	int fd = make_file(NULL, 4 * MIB);
	struct vp2p_copy_request c = pieces(in(fd, 0, 0, 4 * MIB, FORCE));
	int rc;

	if (!stores_wait()) {
		ok(1, "stores that wait # SKIP no userfaultfd");
		goto out;
	}
	good_day();
	fake.looks = 0;
	fake.after_look = live_again;
	vp2p__host.transfer = revoking_transfer;
	rc = vp2p_copy(&c, &res, &err);
	ok(!rc && holds(memory, 0, 4 * MIB), "stores that wait for a revocation");
	is_num((long long)res.retries, 1, "... are given up, and repeated");
	fake.after_look = NULL;
	vp2p__host.transfer = bad_transfer;
	vp2p__host.mmap = real_mmap;

	stores_wait();
	good_day();
	c.progress = on_progress;
	stop_after = 1;
	is_error(vp2p_copy(&c, &res, &err), ECANCELED, &err, "cancelled while stores wait");
	is_num((long long)res.bytes_bounced, 0, "... nothing is in place");
	vp2p__host.mmap = real_mmap;
out:
	stores_go_on();
	good_day();
	close(fd);
}

/* --------------------------------------------------------------- the guard --- */

static atomic_int app_faults;

static void app_handler(int number, siginfo_t *info, void *context)
{
	(void)number, (void)context;
	app_faults++;
	mmap((void *)((uintptr_t)info->si_addr & ~UINT64_C(4095)), 4096,
	     PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

static volatile char *missing;

/* A program's own fault, in a thread that copies. */
static ssize_t faulting_transfer(int fd, bool to, void *buf, size_t length, off_t at)
{
	if (missing && at == 0)
		missing[0] = 1;
	return real(fd, to, buf, length, at);
}

static void test_bus_errors(void)
{
	struct sigaction action = { .sa_sigaction = app_handler, .sa_flags = SA_SIGINFO };
	struct sigaction after;
	int fd = make_file(NULL, 4 * MIB), empty = memfd_create("empty", 0);
	struct vp2p_copy_request c;

	sigaction(SIGBUS, &action, NULL);
	for (int to = 0; to < 2; to++) {
		c = pieces((to ? out : in)(fd, 2 * MIB, 0, 2 * MIB, FORCE));
		/* The window's fourth MiB is not there any more. */
		if (ftruncate(fake.memory, 3 * MIB))
			exit(99);
		is_error(vp2p_copy(&c, &res, &err), EFAULT, &err, "memory that is not there");
		is_num((long long)res.bytes_bounced, MIB, "... and what is in place");
		if (ftruncate(fake.memory, FAKE_BAR_SIZE + 8 * MIB))
			exit(99);
	}
	is_num(app_faults, 0, "the program has not heard of it");
	missing = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, empty, 0);
	vp2p__host.transfer = faulting_transfer;
	c = pieces(in(fd, 0, 0, 4 * MIB, FORCE));
	copies_in(&c, "a fault of the program's own meanwhile");
	is_num(app_faults, 1, "... is the program's");
	vp2p__host.transfer = bad_transfer;
	sigaction(SIGBUS, NULL, &after);
	ok(after.sa_sigaction == app_handler, "the program has its handler back");
	munmap((void *)(uintptr_t)missing, 4096);
	action.sa_handler = SIG_DFL;
	action.sa_flags = 0;
	sigaction(SIGBUS, &action, NULL);
	close(empty);
	close(fd);
}

static atomic_bool waiting, stopped;
static atomic_int broken_off;

/* As a store to a window that is being revoked: it would wait for ever. */
static void wait_for_ever(void *to, const void *from, size_t size)
{
	(void)to, (void)from, (void)size;
	waiting = true;
	for (;;)
		pause();
}

static void *access_that_waits(void *arg)
{
	(void)arg;
	vp2p__guard_member();
	broken_off = vp2p__guarded(wait_for_ever, NULL, NULL, 0);
	waiting = false;
	/* One that comes too late does nothing. */
	while (!stopped)
		usleep(1000);
	return NULL;
}

static void test_breaking_off(void)
{
	pthread_t thread;

	vp2p__guard_begin();
	if (pthread_create(&thread, NULL, access_that_waits, NULL))
		exit(99);
	while (!waiting)
		usleep(1000);
	while (waiting) {
		pthread_kill(thread, SIGBUS);
		usleep(1000);
	}
	pthread_kill(thread, SIGBUS);
	stopped = true;
	pthread_join(thread, NULL);
	vp2p__guard_end();
	is_num(broken_off, -EFAULT, "an access that waits can be broken off");
}

static void test_names(void)
{
	is_str(vp2p_bounce_reason_name(VP2P_BOUNCE_NONE), "none", "a name");
	is_str(vp2p_bounce_reason_name(VP2P_BOUNCE_REFUSED), "refused", "another");
	is_str(vp2p_bounce_reason_name(99), "unknown", "none");
}

static int count_threads(void)
{
	char line[256];
	int n = 0;
	FILE *f = fopen("/proc/self/status", "re");

	while (fgets(line, sizeof(line), f))
		sscanf(line, "Threads: %d", &n);
	fclose(f);
	return n;
}

int main(int argc, char **argv)
{
	struct vp2p__dio dio;
	int fd, fds, threads;

	(void)argc;
	snprintf(dir, sizeof(dir), "%s", argv[0]);
	*strrchr(dir, '/') = '\0';
	tree_make("/sys/\n");
	fake_install();
	memory = mmap(NULL, FAKE_BAR_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
		      fake.memory, 0);
	dev = fake_device();
	if (memory == MAP_FAILED || vp2p_window_create(dev, 2, 0, ROOM, 0, &win, &err))
		return 99;
	fd = make_file("probe", 10);
	has_direct = !vp2p__dio_query(fd, &dio);
	close(fd);
	real = vp2p__host.transfer;
	vp2p__host.transfer = bad_transfer;
	good_day();
	fds = open_fds();
	threads = count_threads();

	test_names();
	test_only_when_asked();
	test_forced();
	if (has_direct)
		test_allowed();
	else
		ok(1, "peer-to-peer # SKIP the file system here has no direct I/O");
	test_short("short");
	test_short(NULL);
	test_errors("errors");
	test_errors(NULL);
	test_reset();
	test_revocation();
	test_in_flight();
	test_cancel();
	test_holes("holes");
	test_holes(NULL);
	test_waiting_stores();
	test_bus_errors();
	test_breaking_off();
	is_num(open_fds(), fds, "no fd is left");
	is_num(count_threads(), threads, "no thread either");

	vp2p_window_destroy(win);
	vp2p_close(dev);
	tree_remove();
	return TAP_DONE();
}
