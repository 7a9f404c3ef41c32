// SPDX-License-Identifier: MIT
/*
 * What somebody who has the device's fd, and nothing else, can do to the host
 * and to others; and what ends it.
 *
 * He can cause messages as often as he likes: by registrations that break a
 * rule, by resets while he holds a pin himself, by opens of a device whose last
 * I/O has not ended.  Each is done a few hundred times in a row, and the lines
 * in the log are counted: there must be some, and not many; and another device,
 * and messages of another kind, must still be heard.
 *
 * He can call himself root in a user namespace of his own, which must not help
 * him.  He can pass the fd on, and then whoever has it has the device, with no
 * part left to the one who opened it.  Other processes' ways into an address
 * space do not lead into a window.
 *
 * He can hold a pin.  That must be seen from outside, cost the others no more
 * than a bounded refusal, and end with his processes.
 *
 * Guards whose removal must make a case fail:
 *   the limit of each of the three kinds of messages	"... do not fill the log"
 *   one limit a device, and two kinds			"nobody is silenced"
 *   capable() in the initial namespace			"root of a user namespace"
 *   no vm_ops.access					"other processes"
 *   the bound of a drain, killable holders		"ending the holder"
 */
#define _GNU_SOURCE
#include "dev.h"
#include "harness.h"
#include "revoke_util.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define WINDOW (4 * DEV_MIB2)
#define MORE (12 * DEV_MIB2)	/* a second window, above the first */
#define FREE_AT (WINDOW + MORE)	/* where no case registers any */
#define NOBODY 65534
#define SEED 55
#define TIMES 300

static struct ru_target t;

static void set_up(void)
{
	H_EQ(dev_param("unprivileged_windows", "N"), 0);
	H_EQ(ru_target_open(&t, "target", WINDOW), 0);
	ru_fill(t.raw, RU_PAGE, SEED);
}

static void clean_up(void)
{
	dev_close(&t.d);
	dev_check_rest("target");
}

static int drop_privileges(void)
{
	return setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) ||
	       setresuid(NOBODY, NOBODY, NOBODY) ? -errno : 0;
}

/* Steps in a child; gives the number of the one that failed, 0 for none. */
static int in_child(int (*steps)(void))
{
	int status = -1;
	pid_t pid = fork();

	if (!pid)
		_exit(steps());
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

/* The log */

static int log_open(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	return fd < 0 || lseek(fd, 0, SEEK_END) < 0 ? -1 : fd;
}

/* New lines with both words in them. */
static int log_count(int fd, const char *word, const char *other)
{
	char record[2048];
	int found = 0;
	ssize_t n;

	while ((n = read(fd, record, sizeof(record) - 1)) > 0 || errno == EPIPE) {
		record[n < 0 ? 0 : n] = 0;
		found += strstr(record, word) && strstr(record, other);
		errno = 0;
	}
	return found;
}

/* Ten lines in five seconds, and a margin of five more seconds. */
static int log_limit(uint64_t since_ns)
{
	return 10 * (2 + (h_now_ns() - since_ns) / 5000000000ull);
}

/* What earlier cases have logged is no longer counted. */
static void let_limits_pass(void)
{
	h_sleep_ms(5500);
}

static void check_lines(int log, uint64_t since_ns, const char *word)
{
	int lines = log_count(log, t.d.bdf, word), limit = log_limit(since_ns);

	h_diag("%d lines for %d refusals", lines, TIMES);
	H_CHECK(lines >= 1);
	H_CHECK(lines <= limit);
	close(log);
}

static int refuse_windows(void)
{
	struct p2p_vfio_window w;

	if (drop_privileges())
		return 1;
	for (int i = 0; i < TIMES; i++)
		if (dev_window_set(&t.d, t.bar, 0, RU_PAGE, 0, &w) != -EINVAL)
			return 2;
	return 0;
}

static void log_of_windows(void)
{
	int log = log_open();
	uint64_t begin = h_now_ns();

	H_CHECK(log >= 0);
	set_up();
	H_EQ(in_child(refuse_windows), 0);
	check_lines(log, begin, "p2p: no window");
	clean_up();
}

static void hold_pin(struct ru_hold *hold)
{
	*hold = (struct ru_hold){ .first = { t.d.fd, t.cookie } };
	H_EQ(ru_hold_begin(hold), 0);
	H_EQ(dev_count("target", "pinned_folios"), 1);
}

static void log_of_drains(void)
{
	uint64_t begin = h_now_ns();
	struct ru_hold hold;
	int log = log_open();

	H_CHECK(log >= 0);
	H_EQ(dev_param("drain_timeout_ms", "0"), 0);
	set_up();
	hold_pin(&hold);
	for (int i = 0; i < TIMES && !h_failed(); i++)
		H_EQ(dev_reset(&t.d), -EBUSY);
	check_lines(log, begin, "still pinned");
	H_CHECK(ru_hold_end(&hold) > 0);
	H_EQ(dev_reset(&t.d), 0);
	clean_up();
}

static void log_of_opens(void)
{
	struct ru_hold hold;
	uint64_t begin;
	struct dev d;
	int log;

	let_limits_pass();
	begin = h_now_ns();
	log = log_open();
	H_CHECK(log >= 0);
	H_EQ(dev_param("hook_timeout_ms", "0"), 0);
	set_up();
	hold_pin(&hold);
	H_EQ(ru_hold_unmap(&hold), 0);
	dev_close(&t.d);
	for (int i = 0; i < TIMES && !h_failed(); i++)
		H_EQ(dev_open(&d, "target"), -EBUSY);
	check_lines(log, begin, "p2p: not opened");
	H_CHECK(ru_hold_end(&hold) > 0);
	H_CHECK(h_wait_until(dev_state_is("target", "closed"), 5000));
	set_up();
	clean_up();
}

/* While one device's user floods: another device, and another kind of message. */
static void nobody_is_silenced(void)
{
	struct p2p_vfio_window w;
	struct ru_hold hold;
	struct dev other;
	int log;

	H_EQ(dev_param("drain_timeout_ms", "0"), 0);
	let_limits_pass();
	set_up();
	dev_bind("target2", DEV_P2P);
	H_EQ(dev_open(&other, "target2"), 0);
	hold_pin(&hold);
	H_EQ(in_child(refuse_windows), 0);
	log = log_open();
	H_CHECK(log >= 0);
	H_EQ(dev_window_set(&other, dev_bar(&other), 0, RU_PAGE, 0, &w), -EINVAL);
	H_EQ(log_count(log, other.bdf, "p2p: no window"), 1);
	H_EQ(dev_reset(&t.d), -EBUSY);
	H_EQ(log_count(log, t.d.bdf, "still pinned"), 1);
	H_CHECK(ru_hold_end(&hold) > 0);
	close(log);
	dev_close(&other);
	clean_up();
}

/* Privilege */

static int as_root_of_a_namespace(void)
{
	struct p2p_vfio_window w;

	if (drop_privileges())
		return 1;
	if (unshare(CLONE_NEWUSER))
		return 2;
	/* It is a root's capability that he has now, if only in there. */
	if (unshare(CLONE_NEWUTS) || sethostname("mine", 4))
		return 3;
	if (dev_window_set(&t.d, t.bar, FREE_AT, DEV_MIB2, 0, &w) != -EPERM)
		return 4;
	/* What there is already he may have. */
	if (dev_window_set(&t.d, t.bar, 0, WINDOW, 0, &w))
		return 5;
	return 0;
}

static void user_namespace(void)
{
	struct p2p_vfio_state before, now;

	if (access("/proc/self/ns/user", F_OK) || access("/proc/self/ns/uts", F_OK))
		h_skip_case("this kernel has no user namespaces, or none to try one's rights in");
	set_up();
	H_EQ(dev_state(&t.d, &before), 0);
	H_EQ(in_child(as_root_of_a_namespace), 0);
	H_EQ(dev_state(&t.d, &now), 0);
	H_EQ(now.windows, before.windows);
	clean_up();
}

/*
 * Host memory for struct pages: 64 bytes a page, a quarter of that with the own
 * provider, once, and nothing for a refusal.
 */

static void cost(void)
{
	const long long pages = MORE / RU_PAGE * 64 / RU_PAGE;
	long long before, after;
	struct p2p_vfio_window w;

	set_up();
	before = dev_memmap_pages();
	if (before < 0)
		h_skip_case("this kernel does not count its struct pages");
	H_EQ(dev_window_set(&t.d, t.bar, WINDOW, MORE, 0, &w), 0);
	after = dev_memmap_pages();
	h_diag("%lld pages for a window of %zu MiB", after - before, MORE >> 20);
	H_EQ(after - before, w.provider == P2P_VFIO_PROVIDER_OWN && dev_has_pmd() ? pages / 4 : pages);
	for (int i = 0; i < TIMES; i++)
		H_EQ(dev_window_set(&t.d, t.bar, WINDOW, MORE, 0, &w), 0);
	H_EQ(in_child(refuse_windows), 0);
	H_EQ(dev_memmap_pages(), after);
	clean_up();
}

/* The fd */

static int sockets[2];

static void send_fd(int fd)
{
	char byte = 0, control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	H_EQ(sendmsg(sockets[0], &msg, 0), 1);
}

static int receive_fd(void)
{
	char byte, control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	int fd = -1;

	if (recvmsg(sockets[1], &msg, 0) == 1 && CMSG_FIRSTHDR(&msg))
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	return fd;
}

/* Somebody else: started before the device was opened, and without privilege. */
static int use_received(void)
{
	struct p2p_vfio_window w;
	struct dev mine = { 0 };
	char byte, *win;

	if (drop_privileges())
		return 1;
	mine.fd = receive_fd();
	/* The one who opened it has closed everything. */
	if (mine.fd < 0 || read(sockets[1], &byte, 1) != 1)
		return 2;
	if (dev_window_get(&mine, 0, 0, &w))
		return 3;
	win = dev_map(&mine, w.mmap_offset, RU_PAGE);
	if (!win || ru_differs(win, RU_PAGE, SEED) != -1)
		return 4;
	if (dev_reset(&mine))
		return 5;
	*(volatile char *)win = 1;
	return 0;
}

static void passed_on(void)
{
	int status;
	pid_t pid;

	H_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
	pid = fork();
	if (!pid)
		_exit(use_received());
	set_up();
	send_fd(t.d.fd);
	dev_close(&t.d);
	H_CHECK(!dev_state_is("target", "closed"));
	H_EQ(write(sockets[0], "", 1), 1);
	H_EQ(waitpid(pid, &status, 0), pid);
	H_EQ(status, 0);
	dev_check_rest("target");
}

/* A debugger: a word of another process's memory. */
static long peek(pid_t pid, void *at)
{
	long word;

	errno = 0;
	word = ptrace(PTRACE_PEEKDATA, pid, at, NULL);
	return errno ? -errno : word & 0xff;
}

static void other_processes(void)
{
	int mem, status;
	char byte = 1;
	pid_t pid;

	set_up();
	H_EQ(ru_differs(t.win, RU_PAGE, SEED), -1);
	mem = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	H_CHECK(mem >= 0);
	H_EQ(pread(mem, &byte, 1, (uintptr_t)&byte), 1);
	H_ERRNO(pread(mem, &byte, 1, (uintptr_t)t.win), EIO);
	H_ERRNO(pwrite(mem, &byte, 1, (uintptr_t)t.win), EIO);

	pid = fork();
	if (!pid) {
		pause();
		_exit(0);
	}
	H_EQ(ptrace(PTRACE_ATTACH, pid, NULL, NULL), 0);
	H_EQ(waitpid(pid, &status, 0), pid);
	H_CHECK(peek(pid, &t) >= 0);
	H_EQ(peek(pid, t.win), -EIO);
	kill(pid, SIGKILL);
	H_EQ(waitpid(pid, &status, 0), pid);
	H_EQ(ru_differs(t.win, RU_PAGE, SEED), -1);
	close(mem);
	clean_up();
}

/* A pin, and the end of it */

static void pinned_in_table(long long want)
{
	char table[256];
	unsigned long long offset, length;
	unsigned int id, bar;
	long touched, pinned;

	H_EQ(h_readf(table, sizeof(table), "/sys/bus/pci/devices/%s/p2p_vfio/windows", t.d.bdf), 0);
	H_EQ(sscanf(table, "%u %u %llx %llx %ld %ld", &id, &bar, &offset, &length, &touched, &pinned), 6);
	H_EQ(pinned, want);
}

static pid_t start_holder(void)
{
	int pipefd[2], err = -EPIPE;
	struct ru_hold hold;
	pid_t pid;

	if (pipe2(pipefd, O_CLOEXEC))
		return 0;
	pid = fork();
	if (!pid) {
		hold = (struct ru_hold){ .first = { t.d.fd, t.cookie } };
		err = ru_hold_begin(&hold);
		write(pipefd[1], &err, sizeof(err));
		pause();
		_exit(1);
	}
	close(pipefd[1]);
	read(pipefd[0], &err, sizeof(err));
	close(pipefd[0]);
	errno = -err;
	return err ? 0 : pid;
}

static void ending_the_holder(void)
{
	uint64_t begin;
	int status;
	pid_t pid;

	H_EQ(dev_param("drain_timeout_ms", "300"), 0);
	set_up();
	pid = start_holder();
	H_CHECK(pid > 0);
	/* Seen from outside, while the device works on. */
	H_EQ(dev_count("target", "pinned_folios"), 1);
	pinned_in_table(1);
	begin = h_now_ns();
	H_EQ(dev_reset(&t.d), -EBUSY);
	H_CHECK(h_now_ns() - begin < 10000000000ull);
	H_CHECK(ru_works(&t));
	kill(pid, SIGKILL);
	H_EQ(waitpid(pid, &status, 0), pid);
	H_CHECK(h_wait_until(!dev_count("target", "pinned_folios"), 5000));
	pinned_in_table(0);
	H_EQ(dev_reset(&t.d), 0);
	H_CHECK(ru_works(&t));
	clean_up();
}

static const struct h_case cases[] = {
	{ "refused windows do not fill the log", log_of_windows },
	{ "refused resets do not fill the log", log_of_drains },
	{ "a window costs what the manual says, once", cost },
	{ "root of a user namespace registers nothing", user_namespace },
	{ "whoever is passed the fd has the device", passed_on },
	{ "other processes do not get at a window", other_processes },
	{ "ending the holder of a pin ends the pin", ending_the_holder },
	{ "refused opens do not fill the log", log_of_opens },
	{ "nobody is silenced by another's messages", nobody_is_silenced },
	{ }
};

int main(int argc, char **argv)
{
	dev_bind("target", DEV_P2P);
	return h_main(argc, argv, cases);
}
