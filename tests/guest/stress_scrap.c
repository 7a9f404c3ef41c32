// SPDX-License-Identifier: MIT
/*
 * Mistreated mappings, for the stress test.
 *
 * The scratch window is everybody's.  There mappings of all kinds are made,
 * used with I/O in flight, cut, moved, protected and dropped, inherited by
 * children that die, and reached through descriptors that came by mail.
 * Nothing of it is compared; the errnos are.
 */
#define _GNU_SOURCE
#include "aio.h"
#include "harness.h"
#include "stress.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

struct scrap {
	struct st_dev *dev;
	unsigned int mask;
	char *map;
	size_t length;
	bool whole;	/* readable and writable from end to end */
};

static bool scrap_map(struct scrap *s)
{
	size_t off = st_random(ST_SCRATCH_LENGTH / ST_PAGE / 2) * ST_PAGE, skew;
	int dev = st_random(st_n_devs);
	uint64_t cookie;

	*s = (struct scrap){ .dev = &st_devs[dev], .mask = 1u << dev, .whole = true };
	if (st_random(3))
		off &= ~(DEV_MIB2 - 1);
	s->length = st_random(3) ? (1 + st_random(2)) * DEV_MIB2 : (1 + st_random(96)) * ST_PAGE;
	/* Congruent addresses get 2 MiB entries, others 4 KiB entries. */
	skew = st_random(3) ? off & (DEV_MIB2 - 1) : st_random(512) * ST_PAGE;
	cookie = s->dev->wc[ST_SCRATCH] && !st_random(3) ? s->dev->wc[ST_SCRATCH] :
							    s->dev->cookie[ST_SCRATCH];
	s->map = dev_map_skewed(&s->dev->d, cookie + off, s->length, skew);
	if (!s->map)
		h_fail("mmap of a window: %s", strerrorname_np(errno));
	ST_COUNT(maps);
	return s->map;
}

static void touch_one(void *arg)
{
	char *at = arg;

	*(volatile char *)at = *(volatile char *)at + 1;
}

static void scrap_touch(struct scrap *s)
{
	for (unsigned int i = 1 + st_random(4); i && s->whole; i--) {
		st_access(touch_one, s->map + st_random(s->length), s->mask, "touching");
		ST_COUNT(touches);
	}
}

static void may_fail(const char *what, long ret, const int *errnos)
{
	int err = errno;

	if (ret >= 0)
		return;
	for (; *errnos; errnos++)
		if (err == *errnos)
			return;
	h_fail("%s: %s", what, strerrorname_np(err));
}

static size_t some_page(const struct scrap *s)
{
	return st_random(s->length / ST_PAGE) * ST_PAGE;
}

static size_t pages_from(const struct scrap *s, size_t from)
{
	return (1 + st_random((s->length - from) / ST_PAGE)) * ST_PAGE;
}

static void cut(struct scrap *s)
{
	size_t from = some_page(s);

	may_fail("munmap", munmap(s->map + from, pages_from(s, from)), (int[]){ 0 });
	s->whole = false;
}

static void protect(struct scrap *s)
{
	size_t from = some_page(s);
	int prot = st_random(2) ? PROT_READ : PROT_NONE;
	size_t bytes = pages_from(s, from);

	may_fail("mprotect", mprotect(s->map + from, bytes, prot), (int[]){ 0 });
	s->whole = false;
	if (st_random(2))
		return;
	may_fail("mprotect", mprotect(s->map + from, bytes, PROT_READ | PROT_WRITE), (int[]){ 0 });
	s->whole = true;
}

/* There and back, or shrunk: a mapping must not grow. */
static void move(struct scrap *s)
{
	char *to;

	if (!st_random(3)) {
		may_fail("mremap, longer", (long)mremap(s->map, s->length, s->length + ST_PAGE, MREMAP_MAYMOVE) == -1 ?
			 -1 : 0, (int[]){ EFAULT, 0 });
		return;
	}
	to = mmap(NULL, s->length + DEV_MIB2, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (to == MAP_FAILED)
		return h_fail("mmap: %s", strerrorname_np(errno));
	/* EFAULT: of several parts, since a part was advised or locked. */
	may_fail("mremap", mremap(s->map, s->length, s->length, MREMAP_MAYMOVE | MREMAP_FIXED,
				  to + st_random(512) * ST_PAGE) == MAP_FAILED ? -1 : 0, (int[]){ EFAULT, 0 });
	munmap(to, s->length + DEV_MIB2);
	s->whole = false;
}

static void advise(struct scrap *s)
{
	static const int advice[] = { MADV_DONTNEED, MADV_DONTNEED, MADV_COLD, MADV_PAGEOUT, MADV_HUGEPAGE,
				      MADV_NOHUGEPAGE, MADV_POPULATE_READ, MADV_POPULATE_WRITE, MADV_WILLNEED };
	size_t from = some_page(s);

	/* Peer-to-peer pages cannot be populated; with the gate closed the fault is refused. */
	may_fail("madvise", madvise(s->map + from, pages_from(s, from), advice[st_random(9)]),
		 (int[]){ EREMOTEIO, EFAULT, ENOMEM, EINVAL, 0 });
}

static void lock(struct scrap *s)
{
	size_t from = some_page(s);

	may_fail("mlock", mlock(s->map + from, pages_from(s, from)), (int[]){ EREMOTEIO, ENOMEM, EAGAIN, 0 });
}

/* Several threads would sleep in these; here it is the process that dies. */
static void child(struct scrap *s)
{
	scrap_touch(s);
	pread(st_disks[ST_RAW].fd, s->map, ST_PAGE, 0);
	if (st_random(2))
		raise(SIGKILL);
	_exit(0);
}

static void make_child(struct scrap *s)
{
	static int children;
	pid_t pid;

	while (children && waitpid(-1, NULL, children > 2 ? 0 : WNOHANG) > 0)
		children--;
	pid = fork();
	if (!pid)
		child(s);
	children += pid > 0;
	ST_COUNT(forks);
}

static void mistreat(struct scrap *s)
{
	static void (*const all[])(struct scrap *) = {
		cut, protect, move, advise, advise, lock, make_child, scrap_touch,
	};

	if (s->whole)
		all[st_random(sizeof(all) / sizeof(*all))](s);
}

/* Documented: whole, short, EFAULT; here nobody asks why. */
static void judge_scrap(const struct aio *io)
{
	if (io->done < 0 && io->done != -EFAULT)
		h_fail("a read into scratch: %s", strerrorname_np(-io->done));
	else if (io->done == (ssize_t)io->bytes)
		ST_COUNT(whole);
	else if (io->done >= 0)
		ST_COUNT(cut);
	else
		ST_COUNT(refused);
}

static void scrap(void)
{
	struct aio io[4];
	aio_context_t ctx;
	struct scrap s;
	int n = 1 + st_random(4), err;

	if (!scrap_map(&s))
		return;
	scrap_touch(&s);
	for (int i = 0; i < n; i++) {
		size_t from = some_page(&s), most = s.length - from;

		io[i] = (struct aio){ .fd = st_some_disk()->fd, .at = s.map + from, .bytes = st_some_bytes(most),
				      .offset = st_random(1024) * ST_PAGE };
	}
	err = aio_start(&ctx, io, n);
	mistreat(&s);
	mistreat(&s);
	if (!st_random(400))
		raise(SIGKILL);
	if (!err)
		err = aio_finish(ctx, n);
	if (err)
		h_fail("libaio: %s", strerrorname_np(-err));
	for (int i = 0; i < n && !err; i++)
		judge_scrap(&io[i]);
	scrap_touch(&s);
	dev_unmap(&s.dev->d, s.map);
}

/* Descriptors by mail */

static void send_fd(int post)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	int dev = st_random(st_n_devs);
	struct iovec iov = { &dev, sizeof(dev) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &st_devs[dev].d.fd, sizeof(int));
	if (sendmsg(post, &msg, MSG_DONTWAIT) > 0)
		ST_COUNT(passed);
}

static void use_fd(int fd, int dev)
{
	char *map = mmap(NULL, DEV_MIB2, PROT_READ | PROT_WRITE, MAP_SHARED, fd, st_devs[dev].cookie[ST_SCRATCH]);

	close(fd);
	if (map == MAP_FAILED)
		return h_fail("mmap of a descriptor that was passed: %s", strerrorname_np(errno));
	st_access(touch_one, map + st_random(DEV_MIB2), 1u << dev, "touching");
	pread(st_disks[ST_RAW].fd, map, ST_PAGE, 0);
	munmap(map, DEV_MIB2);
}

static void receive_fd(int post)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	int dev, fd;
	struct iovec iov = { &dev, sizeof(dev) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	struct cmsghdr *c;

	if (recvmsg(post, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) <= 0)
		return;
	c = CMSG_FIRSTHDR(&msg);
	if (!c)
		return h_fail("a descriptor was lost in the mail");
	memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	use_fd(fd, dev);
}

/* Calls that take the driver's other locks. */
static void ask(void)
{
	int dev = st_random(st_n_devs), events = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), err;
	struct p2p_vfio_window w;

	err = dev_events(&st_devs[dev].d, events, P2P_VFIO_EVENTS_ADD);
	if (err && err != -ENOSPC)
		h_fail("EVENTS: %s", strerrorname_np(-err));
	if (!err && st_random(2))
		dev_events(&st_devs[dev].d, events, P2P_VFIO_EVENTS_REMOVE);
	close(events);
	err = dev_window_set(&st_devs[dev].d, st_devs[dev].bar, 0, ST_ARENAS_LENGTH, 0, &w);
	if (err || w.mmap_offset != st_devs[dev].cookie[ST_ARENAS])
		h_fail("WINDOW again: %s", strerrorname_np(-err) ?: "another one");
}

/* The ordinary view: its faults take core's memory_lock.  Nothing is compared. */
static void touch_raw(void)
{
	int dev = st_random(st_n_devs);
	struct st_dev *s = &st_devs[dev];
	char *map = dev_map_raw(&s->d, s->bar, ST_ARENAS_LENGTH, ST_SCRATCH_LENGTH);

	if (!map)
		return h_fail("mmap of the BAR: %s", strerrorname_np(errno));
	for (int i = 0; i < 4; i++)
		st_guarded(touch_one, map + st_random(ST_SCRATCH_LENGTH));
	dev_unmap(&s->d, map);
}

void st_scrap_turn(int post)
{
	switch (st_random(12)) {
	case 0:
		return send_fd(post);
	case 1:
		return receive_fd(post);
	case 2:
		return ask();
	case 3:
		return touch_raw();
	default:
		return scrap();
	}
}
