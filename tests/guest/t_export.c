// SPDX-License-Identifier: MIT
/*
 * A file that is a part of a window: what its holder can do, and what he cannot.
 *
 * It is tried by a process that was there before the device was opened, has no
 * privilege, and gets the file and a disk's fd through a socket, nothing else.  It
 * has to move data with it; and each thing that the device's own fd can do must be
 * refused.  Ways out of the range are tried one by one: each mmap offset of the
 * device's own address space, growing, remap_file_pages(2), opening the file anew by
 * /proc for more rights than it has.
 *
 * Its mappings must be revoked like all others: the zap looks for them by address
 * space and position, and both are not what the file says.  A pin taken through the
 * file is the witness (ru_hold), of the ordinary and of the write-combining view.
 *
 * It gives no more than its maker has: what is mapped of a device that was opened for
 * reading (possible by its character device alone), or of a read-only export, can be
 * lent for reading only.
 *
 * It holds the device and its window, alone and by a mapping alone; and when the
 * last of it has gone, all is given back.  The command finds who has it, also one who
 * has only a mapping: the name of the file, which /proc shows, has the device's address.
 *
 * Mutants: export-*.
 */
#define _GNU_SOURCE
#include "command.h"
#include "dev.h"
#include "harness.h"
#include "pagetable.h"
#include "pattern.h"
#include "revoke_util.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/vfio.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define WINDOW (8 * DEV_MIB2)
#define AT (2 * DEV_MIB2)	/* of the exported range, in the window */
#define LEN (4 * DEV_MIB2)
#define STREAM 7
#define NOBODY 65534
#define SET VFIO_DEVICE_FEATURE_SET
#define GET VFIO_DEVICE_FEATURE_GET

static struct ru_target t;

/* EXPORT of an address: the fd, or -errno. */
static int export_at(const void *at, size_t length, uint32_t flags)
{
	struct p2p_vfio_export arg = { (uintptr_t)at, length, flags, -1 };
	int ret = dev_feature(&t.d, SET | P2P_VFIO_FEATURE_EXPORT, &arg, sizeof(arg));

	return ret ?: arg.fd;
}

static char *map_fd(int fd, off_t offset, size_t length, int prot)
{
	void *at = mmap(NULL, length, prot, MAP_SHARED, fd, offset);

	return at == MAP_FAILED ? NULL : at;
}

static void set_up(void)
{
	H_EQ(dev_param("drain_timeout_ms", "60000"), 0);
	H_EQ(dev_param("hook_timeout_ms", "60000"), 0);
	H_EQ(ru_target_open(&t, "target", WINDOW), 0);
}

/* Of a file alone, which is asked as the device would be. */
static int feature_of(int fd, uint32_t flags, void *data, size_t size)
{
	const struct dev as_device = { .fd = fd };

	return dev_feature(&as_device, flags, data, size);
}

/* Somebody else */

static int sockets[2];

static void send_fds(const int *fds, size_t n)
{
	char byte = 0, control[CMSG_SPACE(4 * sizeof(int))] = { 0 };
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			      .msg_controllen = CMSG_SPACE(n * sizeof(int)) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(n * sizeof(int));
	memcpy(CMSG_DATA(c), fds, n * sizeof(int));
	H_EQ(sendmsg(sockets[0], &msg, 0), 1);
}

static bool receive_fds(int *fds, size_t n)
{
	char byte, control[CMSG_SPACE(4 * sizeof(int))];
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			      .msg_controllen = sizeof(control) };

	if (recvmsg(sockets[1], &msg, 0) != 1 || !CMSG_FIRSTHDR(&msg))
		return false;
	memcpy(fds, CMSG_DATA(CMSG_FIRSTHDR(&msg)), n * sizeof(int));
	return true;
}

static bool drop_privileges(void)
{
	return !setgroups(0, NULL) && !setresgid(NOBODY, NOBODY, NOBODY) &&
	       !setresuid(NOBODY, NOBODY, NOBODY);
}

/* In a process with the export and the disk: the number of the step that failed. */
static int run_elsewhere(int (*steps)(int export, int disk))
{
	int fds[2];

	close(sockets[0]);
	if (!drop_privileges() || !receive_fds(fds, 2))
		return 1;
	return steps(fds[0], fds[1]);
}

/* The owner's part: a file of AT + LEN, given to that process. */
static pid_t lend_begin(int (*steps)(int export, int disk), uint32_t flags, void (*prepare)(void))
{
	int fds[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sockets))
		h_fail("no socket pair");
	pid = fork();
	if (!pid)
		_exit(run_elsewhere(steps));
	close(sockets[1]);
	set_up();
	if (!h_failed())
		prepare();
	fds[0] = export_at(t.win + AT, LEN, flags);
	fds[1] = open(h_disk("raw"), O_RDWR | O_DIRECT | O_CLOEXEC);
	if (fds[0] >= 0 && fds[1] >= 0) {
		send_fds(fds, 2);
	} else {
		h_fail("no export, or no disk: %d, %d", fds[0], fds[1]);
		shutdown(sockets[0], SHUT_RDWR);
	}
	close(fds[0]);
	close(fds[1]);
	return pid;
}

/* The status of that process must be 0. */
static void lend_end(pid_t pid)
{
	int status = -1;

	H_EQ(waitpid(pid, &status, 0), pid);
	H_EQ(WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status), 0);
}

static void lend(int (*steps)(int export, int disk), uint32_t flags, void (*prepare)(void))
{
	lend_end(lend_begin(steps, flags, prepare));
	close(sockets[0]);
}

/* From the first half of the range to the disk, and from there into the second. */
static int copy_within(char *at, int disk)
{
	if (pwrite(disk, at, LEN / 2, 0) != LEN / 2)
		return 3;
	if (pread(disk, at + LEN / 2, LEN / 2, 0) != LEN / 2)
		return 4;
	((volatile char *)at)[LEN - 1] ^= 1;
	return 0;
}

static int copies(int export, int disk)
{
	char *at = map_fd(export, 0, LEN, PROT_READ | PROT_WRITE);

	return at ? copy_within(at, disk) : 2;
}

/* He maps, his child uses: the mapping alone, when all else has gone. */
static int childs_copy(int export, int disk)
{
	char *at = map_fd(export, 0, LEN, PROT_READ | PROT_WRITE);
	int status = -1;
	pid_t pid;

	if (!at)
		return 2;
	close(export);
	pid = fork();
	if (!pid)
		_exit(copy_within(at, disk));
	munmap(at, LEN);
	if (waitpid(pid, &status, 0) != pid)
		return 5;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 6;
}

static void with_pattern(void)
{
	pattern_fill(t.raw + AT, LEN / 2, STREAM, 0);
	memset(t.raw + AT + LEN / 2, 0, LEN / 2);
	memset(t.raw + AT + LEN, 0, RU_PAGE);
}

static void data_has_moved(int (*steps)(int export, int disk))
{
	lend(steps, 0, with_pattern);
	if (h_failed())
		return;
	H_EQ(pattern_differs(t.raw + AT, LEN / 2, STREAM, 0), -1);
	t.raw[AT + LEN - 1] ^= 1;
	H_EQ(pattern_differs(t.raw + AT + LEN / 2, LEN / 2, STREAM, 0), -1);
	H_EQ(t.raw[AT + LEN], 0);
	ru_close_at_rest(&t);
}

static void moves_data(void)
{
	data_has_moved(copies);
}

static void childs_move_data(void)
{
	data_has_moved(childs_copy);
}

/* Every ioctl of VFIO's, and every feature but two. */
static int is_no_device(int export, int disk)
{
	static char zeros[4096];
	struct p2p_vfio_window w = { 0 };
	uint32_t number;

	for (int nr = 100; nr < 130; nr++) {
		/* VFIO_DEVICE_FEATURE: below. */
		if (_IO(VFIO_TYPE, nr) == VFIO_DEVICE_FEATURE)
			continue;
		if (!ioctl(export, _IO(VFIO_TYPE, nr), zeros) || errno != ENOTTY)
			return 10;
	}
	for (number = 0; number < 32; number++)
		if (feature_of(export, GET | number, zeros, 64) != -ENOTTY ||
		    feature_of(export, SET | number, zeros, 64) != -ENOTTY)
			return 11;
	if (feature_of(export, GET | P2P_VFIO_FEATURE_WINDOW, &w, sizeof(w)) != -ENOTTY ||
	    feature_of(export, SET | P2P_VFIO_FEATURE_WINDOW, &w, sizeof(w)) != -ENOTTY ||
	    feature_of(export, SET | P2P_VFIO_FEATURE_EVENTS, zeros, 64) != -ENOTTY ||
	    feature_of(export, GET | P2P_VFIO_FEATURE_PEER, zeros, 64) != -ENOTTY ||
	    feature_of(export, SET | P2P_VFIO_FEATURE_EXPORT, zeros, 64) != -ENOTTY)
		return 12;
	if (pread(export, zeros, 4, (off_t)VFIO_PCI_CONFIG_REGION_INDEX << 40) >= 0 ||
	    pwrite(export, zeros, 4, (off_t)VFIO_PCI_CONFIG_REGION_INDEX << 40) >= 0 ||
	    read(export, zeros, 4) >= 0 || write(export, zeros, 4) >= 0)
		return 13;
	return disk < 0;
}

/* And beyond its range there is nothing for it. */
static int keeps_to_its_range(int export, int disk)
{
	char path[32], *at, *more;

	for (off_t index = 0; index < 8192; index++)
		for (size_t offset = 0; offset <= AT; offset += AT)
			if ((index || offset >= LEN) &&
			    map_fd(export, (index << 40) + offset, RU_PAGE, PROT_READ))
				return 20;
	for (off_t cookie = 0x7f0000; cookie < 0x7f0000 + 2 * P2P_VFIO_MAX_WINDOWS; cookie++)
		if (map_fd(export, cookie << 40, RU_PAGE, PROT_READ))
			return 27;
	if (map_fd(export, LEN, RU_PAGE, PROT_READ) || map_fd(export, RU_PAGE, LEN, PROT_READ) ||
	    map_fd(export, 0, LEN + RU_PAGE, PROT_READ))
		return 21;
	if (mmap(NULL, RU_PAGE, PROT_READ, MAP_PRIVATE, export, 0) != MAP_FAILED)
		return 22;
	at = map_fd(export, RU_PAGE, LEN - RU_PAGE, PROT_READ | PROT_WRITE);
	if (!at)
		return 23;
	more = mremap(at, LEN - RU_PAGE, LEN, MREMAP_MAYMOVE);
	if (more != MAP_FAILED || errno != EFAULT)
		return 24;
	if (!syscall(SYS_remap_file_pages, at, RU_PAGE, 0, LEN / RU_PAGE, 0))
		return 25;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", export);
	if (open(path, O_RDWR) >= 0 || open(path, O_RDONLY) >= 0)
		return 26;
	return disk < 0;
}

static int may_ask(int export, int disk)
{
	char *at = map_fd(export, 0, LEN, PROT_READ | PROT_WRITE);
	struct p2p_vfio_populate range = { (uintptr_t)at, LEN };
	struct p2p_vfio_state state;

	if (!at || feature_of(export, GET | P2P_VFIO_FEATURE_STATE, &state, sizeof(state)))
		return 30;
	if (state.state != P2P_VFIO_STATE_LIVE || state.windows != 1)
		return 31;
	if (feature_of(export, SET | P2P_VFIO_FEATURE_POPULATE, &range, sizeof(range)))
		return 32;
	/* Its own page tables are not for a process without privilege to look at. */
	if (feature_of(export, GET | P2P_VFIO_FEATURE_STATE, &state, sizeof(state)) ||
	    state.touched_folios != LEN / dev_folio())
		return 33;
	if (feature_of(export, GET | SET | P2P_VFIO_FEATURE_STATE, &state, sizeof(state)) != -EINVAL ||
	    feature_of(export, GET | P2P_VFIO_FEATURE_STATE, &state, sizeof(state) - 1) != -EINVAL ||
	    feature_of(export, GET | 1u << 20 | P2P_VFIO_FEATURE_STATE, &state, sizeof(state)) != -EINVAL ||
	    feature_of(export, VFIO_DEVICE_FEATURE_PROBE | GET | P2P_VFIO_FEATURE_STATE, NULL, 0))
		return 34;
	return disk < 0;
}

/*
 * As a 32-bit program asks: by i386's system calls, which every process has, and with
 * addresses below 4 GiB.
 */
#define I386_GETPID 20
#define I386_IOCTL 54
#ifndef MAP_32BIT
#define MAP_32BIT 0
#endif

static int i386_call(int number, int first, unsigned int second, unsigned int third)
{
#ifdef __x86_64__
	int ret;

	asm volatile("int $0x80"
		     : "=a"(ret) : "a"(number), "b"(first), "c"(second), "d"(third)
		     : "memory", "r8", "r9", "r10", "r11");
	return ret;
#else
	return -ENOSYS;
#endif
}

static void has_none(int sig)
{
	_exit(sig);
}

/* A kernel that has none answers with a SIGSEGV, and logs one that is not caught. */
static bool has_i386_calls(void)
{
	int status = -1;
	pid_t pid = fork();

	if (pid)
		return waitpid(pid, &status, 0) == pid && !status;
	signal(SIGSEGV, has_none);
	_exit(i386_call(I386_GETPID, 0, 0, 0) != getpid());
}

static int i386_feature(int fd, void *request)
{
	return i386_call(I386_IOCTL, fd, VFIO_DEVICE_FEATURE, (uint32_t)(uintptr_t)request);
}

static void by_32_bits(void)
{
	struct {
		struct vfio_device_feature hdr;
		struct p2p_vfio_state state;
	} *ask;
	int fd;

	if (!has_i386_calls())
		h_skip_case("this kernel has no system calls for 32-bit programs");
	set_up();
	fd = export_at(t.win + AT, LEN, 0);
	ask = mmap(NULL, RU_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	H_CHECK(fd >= 0 && ask != MAP_FAILED);
	ask->hdr = (struct vfio_device_feature){ sizeof(*ask), GET | P2P_VFIO_FEATURE_STATE };
	/* The device's own fd answers, so this one has to. */
	H_EQ(i386_feature(t.d.fd, ask), 0);
	memset(&ask->state, 0, sizeof(ask->state));
	H_EQ(i386_feature(fd, ask), 0);
	H_EQ(ask->state.state, P2P_VFIO_STATE_LIVE);
	H_EQ(ask->state.windows, 1);
	ask->hdr.flags = SET | P2P_VFIO_FEATURE_EVENTS;
	H_EQ(i386_feature(fd, ask), -ENOTTY);
	close(fd);
	ru_close_at_rest(&t);
}

static void no_device(void)
{
	lend(is_no_device, 0, with_pattern);
	if (!h_failed())
		ru_close_at_rest(&t);
}

static void its_range(void)
{
	lend(keeps_to_its_range, 0, with_pattern);
	if (!h_failed())
		ru_close_at_rest(&t);
}

static void questions(void)
{
	lend(may_ask, 0, with_pattern);
	if (!h_failed())
		ru_close_at_rest(&t);
}

/* Read-only: it can be written to a disk, and nothing can be written into it. */
static int only_reads(int export, int disk)
{
	char *at;

	if (map_fd(export, 0, LEN, PROT_READ | PROT_WRITE) || errno != EACCES ||
	    map_fd(export, 0, LEN, PROT_WRITE))
		return 40;
	at = map_fd(export, 0, LEN, PROT_READ);
	if (!at || pattern_differs(at, LEN / 2, STREAM, 0) != -1)
		return 41;
	if (!mprotect(at, LEN, PROT_READ | PROT_WRITE) || errno != EACCES)
		return 42;
	if (pread(disk, at, RU_PAGE, 0) >= 0 || errno != EFAULT)
		return 43;
	return pwrite(disk, at, LEN / 2, 0) == LEN / 2 ? 0 : 44;
}

static void read_only(void)
{
	lend(only_reads, P2P_VFIO_EXPORT_READ_ONLY, with_pattern);
	if (h_failed())
		return;
	H_EQ(pattern_differs(t.raw + AT, LEN / 2, STREAM, 0), -1);
	ru_close_at_rest(&t);
}

/* What cannot be written cannot be lent to be written. */
static void lends_only_to_read(char *at)
{
	int fd;

	H_EQ(export_at(at, LEN, 0), -EACCES);
	fd = export_at(at, LEN, P2P_VFIO_EXPORT_READ_ONLY);
	H_CHECK(fd >= 0);
	H_CHECK(!map_fd(fd, 0, LEN, PROT_READ | PROT_WRITE) && errno == EACCES);
	close(fd);
}

static void of_a_read_only_one(void)
{
	char *at;
	int fd;

	set_up();
	fd = export_at(t.win + AT, LEN, P2P_VFIO_EXPORT_READ_ONLY);
	at = map_fd(fd, 0, LEN, PROT_READ);
	H_CHECK(at);
	lends_only_to_read(at);
	munmap(at, LEN);
	close(fd);
	/* The owner's may be written, if not right now. */
	H_EQ(mprotect(t.win, WINDOW, PROT_READ), 0);
	fd = export_at(t.win + AT, LEN, 0);
	at = map_fd(fd, 0, LEN, PROT_READ | PROT_WRITE);
	H_CHECK(at);
	munmap(at, LEN);
	close(fd);
	ru_close_at_rest(&t);
}

static void of_a_reader(void)
{
	struct p2p_vfio_window win;
	char *at;

	if (!dev_by_cdev())
		h_skip_case("a group opens its devices for reading and writing alike");
	H_EQ(dev_open_to_read(&t.d, "target"), 0);
	H_EQ(dev_window_set(&t.d, dev_bar(&t.d), 0, WINDOW, 0, &win), 0);
	H_CHECK(!map_fd(t.d.fd, win.mmap_offset, WINDOW, PROT_READ | PROT_WRITE) && errno == EACCES);
	at = map_fd(t.d.fd, win.mmap_offset, WINDOW, PROT_READ);
	H_CHECK(at);
	lends_only_to_read(at + AT);
	munmap(at, WINDOW);
	ru_close_at_rest(&t);
}

/* Revocation */

static void is_revoked(char *owners)
{
	int fd = export_at(owners + AT, LEN, 0);
	struct ru_hold hold = { .first = { fd, DEV_MIB2 } };
	char *at = map_fd(fd, 0, LEN, PROT_READ | PROT_WRITE);
	long long generation = dev_count("target", "generation");
	struct ru_call reset;

	H_CHECK(fd >= 0 && at);
	for (size_t i = 0; i < LEN; i += DEV_MIB2)
		((volatile char *)at)[i] = 1;
	H_CHECK(ru_mapped(at));
	H_EQ(ru_hold_begin(&hold), 0);
	ru_call(&reset, ru_reset, &t.d);
	H_CHECK(ru_hold_drains(&hold, "target"));
	H_CHECK(!ru_done(&reset));
	/* One mapping after the other: that of the pin's may have been the first. */
	for (size_t i = 0; i < LEN; i += DEV_MIB2)
		H_CHECK(h_wait_until(!ru_mapped(at + i), 5000));
	ru_hold_end(&hold);
	H_CHECK(ru_join(&reset, 10000));
	H_EQ(reset.ret, 0);
	H_EQ(dev_count("target", "generation"), generation + 1);
	((volatile char *)at)[0] = 1;
	H_CHECK(ru_mapped(at));
	munmap(at, LEN);
	close(fd);
}

static void revoked(void)
{
	set_up();
	if (!h_failed())
		is_revoked(t.win);
	if (!h_failed())
		ru_close_at_rest(&t);
}

static void revoked_wc(void)
{
	char *wc;

	set_up();
	wc = dev_window_wc(&t.d, t.bar, 0, WINDOW);
	H_CHECK(wc);
	is_revoked(wc);
	if (!h_failed())
		ru_close_at_rest(&t);
}

/* Without MAP_FIXED or anything: the range begins at 2 MiB, so its mapping does too. */
static void large_entries(void)
{
	long long pmd, pte;
	char *at, *spoiler;
	int fd;

	if (!dev_has_pmd())
		h_skip_case("this kernel maps no 2 MiB entries");
	set_up();
	fd = export_at(t.win + AT, LEN, 0);
	pmd = dev_count("target", "faults_pmd");
	pte = dev_count("target", "faults_pte");
	/* The next free place is no longer at a multiple of 2 MiB, should it have been. */
	spoiler = map_fd(fd, 0, RU_PAGE, PROT_READ);
	H_CHECK(spoiler);
	at = map_fd(fd, 0, LEN, PROT_READ | PROT_WRITE);
	H_CHECK(at);
	for (size_t i = 0; i < LEN; i += RU_PAGE)
		((volatile char *)at)[i] = 1;
	H_EQ(dev_count("target", "faults_pmd") - pmd, LEN / DEV_MIB2);
	H_EQ(dev_count("target", "faults_pte") - pte, 0);
	munmap(spoiler, RU_PAGE);
	munmap(at, LEN);
	close(fd);
	ru_close_at_rest(&t);
}

/* As the page tables have it. */
static void export_caches(const char *owners, uint64_t want)
{
	int fd = export_at(owners + AT, LEN, 0);
	char *at = map_fd(fd, 0, LEN, PROT_READ | PROT_WRITE);

	H_CHECK(at);
	pagetable_caches(at, want, dev_folio());
	munmap(at, LEN);
	close(fd);
}

static void caches_as_its_origin(void)
{
	char *wc;

	set_up();
	wc = dev_window_wc(&t.d, t.bar, 0, WINDOW);
	H_CHECK(wc);
	export_caches(t.win, PT_CACHE_UC_MINUS);
	if (!h_failed())
		export_caches(wc, PT_CACHE_WC);
	if (!h_failed())
		ru_close_at_rest(&t);
}

/* What it keeps */

static void keeps_device(void)
{
	struct p2p_vfio_state state;
	char *at;
	int fd;

	set_up();
	t.raw[AT] = 5;
	fd = export_at(t.win + AT, LEN, 0);
	H_CHECK(fd >= 0);
	dev_close(&t.d);
	H_CHECK(dev_state_is("target", "live"));
	H_EQ(feature_of(fd, GET | P2P_VFIO_FEATURE_STATE, &state, sizeof(state)), 0);
	at = map_fd(fd, 0, LEN, PROT_READ | PROT_WRITE);
	H_CHECK(at);
	H_EQ(at[0], 5);
	/* A reset from outside revokes what the owner has left behind. */
	H_EQ(h_writef("1", "/sys/bus/pci/devices/%s/reset", h_pci("target")), 0);
	H_CHECK(!ru_mapped(at));
	H_EQ(at[0], 5);
	close(fd);
	H_CHECK(dev_state_is("target", "live"));
	H_EQ(at[DEV_MIB2 - 1] & 0, 0);
	munmap(at, LEN);
	dev_check_rest("target");
	/* The owner comes again, and is not held up. */
	H_EQ(ru_target_open(&t, "target", WINDOW), 0);
	H_CHECK(ru_works(&t));
	ru_close_at_rest(&t);
	H_CHECK(dev_unbind("target", 20));
	H_EQ(h_bind(h_pci("target"), DEV_P2P), 0);
}

static int unregister(void)
{
	struct p2p_vfio_window win = { .flags = P2P_VFIO_WINDOW_UNREGISTER };

	return dev_feature(&t.d, SET | P2P_VFIO_FEATURE_WINDOW, &win, sizeof(win));
}

static void keeps_window(void)
{
	int fd;

	set_up();
	if (dev_standard_provider())
		h_skip_case("the kernel's pool gives nothing back before unbind");
	fd = export_at(t.win + AT, LEN, 0);
	H_CHECK(fd >= 0);
	dev_unmap(&t.d, t.win);
	H_EQ(unregister(), -EBUSY);
	close(fd);
	/* A file ends when its last call has. */
	H_CHECK(h_wait_until(!unregister(), 2000));
	ru_close_at_rest(&t);
}

/* One of a mapping that is an export's itself holds the device, not the other file. */
static void of_an_export(void)
{
	int first, second;
	char *at;

	set_up();
	first = export_at(t.win + AT, LEN, 0);
	at = map_fd(first, DEV_MIB2, DEV_MIB2, PROT_READ | PROT_WRITE);
	H_CHECK(at);
	second = export_at(at + RU_PAGE, RU_PAGE, 0);
	H_CHECK(second >= 0);
	munmap(at, DEV_MIB2);
	close(first);
	t.raw[AT + DEV_MIB2 + RU_PAGE] = 9;
	at = map_fd(second, 0, RU_PAGE, PROT_READ);
	H_CHECK(at);
	H_EQ(at[0], 9);
	H_CHECK(!map_fd(second, RU_PAGE, RU_PAGE, PROT_READ));
	munmap(at, RU_PAGE);
	close(second);
	ru_close_at_rest(&t);
}

static void is_named(void)
{
	char info[512], want[64], path[32], link[64] = "";
	int fd;

	set_up();
	fd = export_at(t.win + AT, LEN, 0);
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	H_EQ(h_read(path, info, sizeof(info)), 0);
	snprintf(want, sizeof(want), "/%s\n", t.d.bdf);
	H_CHECK(strstr(info, "vfio-device-syspath:\t/sys/") || strstr(info, "vfio-device-syspath: /sys/"));
	H_CHECK(strstr(info, want));
	H_CHECK(strstr(info, "p2p-window: 0\np2p-offset: 0x400000\np2p-length: 0x800000"));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	snprintf(want, sizeof(want), "anon_inode:[vfio-p2p-window:%s]", t.d.bdf);
	readlink(path, link, sizeof(link) - 1);
	H_CHECK(!strcmp(link, want));
	H_CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
	ru_close_at_rest(&t);
}

/* The way a worker is to be: no fd is left, and it stays until it is told to end. */
static int only_maps(int export, int disk)
{
	char byte = 0, *at = map_fd(export, 0, LEN, PROT_READ | PROT_WRITE);

	if (!at)
		return 50;
	close(export);
	close(disk);
	return write(sockets[1], &byte, 1) == 1 && read(sockets[1], &byte, 1) == 1 ? 0 : 51;
}

static void mapper_is_named(void)
{
	pid_t pid = lend_begin(only_maps, 0, with_pattern);
	char byte;

	H_EQ(read(sockets[0], &byte, 1), 1);
	dev_close(&t.d);
	H_EQ(tool("status %s", t.d.bdf), 0);
	H_CHECK(says("open by      %d (t_export)\n", pid));
	H_EQ(tool("unbind %s", t.d.bdf), 4);
	H_CHECK(says("it is open by %d (t_export)", pid));
	H_CHECK(bound_to(t.d.bdf, DEV_P2P));
	H_EQ(write(sockets[0], &byte, 1), 1);
	lend_end(pid);
	close(sockets[0]);
	dev_check_rest("target");
	H_EQ(tool("status %s", t.d.bdf), 0);
	H_CHECK(!says("open by"));
}

/* Refusals */

static int without_fds(void)
{
	struct rlimit old, none;
	int ret;

	getrlimit(RLIMIT_NOFILE, &old);
	none = (struct rlimit){ 3, old.rlim_max };
	setrlimit(RLIMIT_NOFILE, &none);
	ret = export_at(t.win, RU_PAGE, 0);
	setrlimit(RLIMIT_NOFILE, &old);
	return ret;
}

/* The answer cannot be written: no file may be left, which would keep the window. */
static int without_room(void)
{
	struct {
		struct vfio_device_feature hdr;
		struct p2p_vfio_export arg;
	} *req = mmap(NULL, RU_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	req->hdr = (struct vfio_device_feature){ sizeof(*req), SET | P2P_VFIO_FEATURE_EXPORT };
	req->arg = (struct p2p_vfio_export){ (uintptr_t)t.win, RU_PAGE, 0, -1 };
	mprotect(req, RU_PAGE, PROT_READ);
	return ioctl(t.d.fd, VFIO_DEVICE_FEATURE, req) ? -errno : 0;
}

static void refusals(void)
{
	struct p2p_vfio_export arg = { 0 };
	char *ram;

	set_up();
	ram = mmap(NULL, RU_PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	H_EQ(export_at(t.win + 1, RU_PAGE, 0), -EINVAL);
	H_EQ(export_at(t.win, RU_PAGE - 1, 0), -EINVAL);
	H_EQ(export_at(t.win, 0, 0), -EINVAL);
	H_EQ(export_at(t.win, -(size_t)RU_PAGE, 0), -EINVAL);
	H_EQ(export_at(t.win, RU_PAGE, 2), -EINVAL);
	H_EQ(export_at(t.win, RU_PAGE, 1u << 31), -EINVAL);
	H_EQ(export_at(ram, RU_PAGE, 0), -ENOMEM);
	H_EQ(export_at(t.raw, RU_PAGE, 0), -ENOMEM);
	H_EQ(export_at(NULL, RU_PAGE, 0), -ENOMEM);
	H_EQ(export_at(t.win, WINDOW + RU_PAGE, 0), -ENOMEM);
	H_EQ(export_at(t.win + WINDOW - RU_PAGE, 2 * RU_PAGE, 0), -ENOMEM);
	H_EQ(dev_feature(&t.d, SET | P2P_VFIO_FEATURE_EXPORT, &arg, sizeof(arg) - 1), -EINVAL);
	H_EQ(dev_feature(&t.d, GET | P2P_VFIO_FEATURE_EXPORT, &arg, sizeof(arg)), -EINVAL);
	H_EQ(dev_feature(&t.d, VFIO_DEVICE_FEATURE_PROBE | SET | P2P_VFIO_FEATURE_EXPORT, NULL, 0), 0);
	H_EQ(without_fds(), -EMFILE);
	H_EQ(without_room(), -EFAULT);
	/* Two mappings that touch are two. */
	H_EQ(mprotect(t.win + DEV_MIB2, RU_PAGE, PROT_READ), 0);
	H_EQ(export_at(t.win, WINDOW, 0), -ENOMEM);
	dev_unmap(&t.d, t.win);
	if (!dev_standard_provider())
		H_CHECK(h_wait_until(!unregister(), 2000));
	ru_close_at_rest(&t);
}

static const struct h_case cases[] = {
	{ "somebody without the device moves data", moves_data },
	{ "a child of whoever has mapped it moves data", childs_move_data },
	{ "it is no device", no_device },
	{ "it ends where its range ends", its_range, 120 },
	{ "state and populate can be asked of it", questions },
	{ "a 32-bit program can ask, too", by_32_bits },
	{ "read-only is for ever", read_only },
	{ "of a read-only export's mapping: read-only", of_a_read_only_one },
	{ "of a device that was opened for reading: read-only", of_a_reader },
	{ "its mappings are revoked", revoked },
	{ "its write-combining mappings are revoked", revoked_wc },
	{ "it is mapped by 2 MiB entries", large_entries },
	{ "it caches as the mapping that it is made from", caches_as_its_origin },
	{ "it keeps the device open", keeps_device },
	{ "it keeps the window registered", keeps_window },
	{ "of an export's mapping", of_an_export },
	{ "it says whose it is", is_named },
	{ "the command names who has only mapped it", mapper_is_named },
	{ "what is refused leaves nothing", refusals },
	{ }
};

int main(int argc, char **argv)
{
	dev_bind("target", DEV_P2P);
	return h_main(argc, argv, cases);
}
