// SPDX-License-Identifier: MIT
/*
 * docs/operations.md, command by command.
 *
 * Theory: instructions that nobody follows are wrong sooner or later.  Each case
 * makes one of the situations of that page, and runs the page's commands by a
 * shell, in exactly the words of the page: a command that is not there as a line
 * of its own fails the case, and so does, at the end, a line of the page that no
 * case has run.  What each command shows, and that the last one ends the
 * waiting, is looked at here.
 *
 * The holders: a process that waits for its userfaultfd; one whose AIO a cgroup
 * holds back; one that has been killed, with io_uring requests on a slow disk;
 * and the same disk, removed.
 */
#define _GNU_SOURCE
#include "dev.h"
#include "harness.h"
#include "revoke_util.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE "/doc/operations.md"
#define RAN "/tmp/ran"		/* what the cases have run, a line each */
#define WINDOW (4 * DEV_MIB2)
#define READS 8
#define READ_SIZE 65536

static struct ru_target t;
static char said[65536];

/* Is it a line of the page, indented as commands are? */
static bool is_on_page(const char *command)
{
	FILE *f = fopen(PAGE, "re");
	bool found = false;
	char line[512];

	while (f && !found && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		found = !strncmp(line, "    ", 4) && !strcmp(line + 4, command);
	}
	if (f)
		fclose(f);
	return found;
}

static void remember(const char *command)
{
	FILE *f = fopen(RAN, "ae");

	fprintf(f, "%s\n", command);
	fclose(f);
}

static bool says(const char *part)
{
	return strstr(said, part);
}

static void listen_to(void)
{
	*said = 0;
	h_read("/tmp/said", said, sizeof(said));
}

/* A command of the page, in a process group of its own as a terminal has it; or -1. */
static pid_t page_start(const char *command)
{
	pid_t pid;
	int fd;

	if (!is_on_page(command)) {
		h_fail("%s does not say: %s", PAGE, command);
		return -1;
	}
	remember(command);
	h_diag("# %s", command);
	unlink("/tmp/said");
	pid = fork();
	if (!pid) {
		setpgid(0, 0);
		fd = open("/tmp/said", O_RDWR | O_CREAT | O_TRUNC, 0600);
		dup2(fd, STDOUT_FILENO);
		dup2(fd, STDERR_FILENO);
		execl("/bin/sh", "sh", "-c", command, NULL);
		_exit(127);
	}
	setpgid(pid, pid);
	return pid;
}

/* Runs one to its end; its exit status. */
static int page(const char *command)
{
	pid_t pid = page_start(command);
	int status;

	if (pid < 0)
		return -1;
	waitpid(pid, &status, 0);
	listen_to();
	if (*said)
		h_diag("%.2000s", said);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool will_say(const char *part)
{
	return h_wait_until((listen_to(), says(part)), 20000);
}

/* Ends, by ctrl-C, one that would go on. */
static bool page_stop(pid_t pid)
{
	int status;

	kill(-pid, SIGINT);
	if (!h_await(pid, &status, 20000))
		return false;
	listen_to();
	h_diag("%.2000s", said);
	return true;
}

static bool says_of(const char *format, int number)
{
	char part[128];

	snprintf(part, sizeof(part), format, number);
	return strstr(said, part);
}

static void set_env_pid(const char *name, pid_t pid)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", pid);
	setenv(name, text, 1);
}

static void set_up(const char *drain_ms)
{
	char path[32];

	snprintf(path, sizeof(path), "%s", h_disk("slow") ?: "");
	setenv("PATH", "/bin", 1);
	setenv("DEV", h_pci("target"), 1);
	setenv("DISK", *path ? strrchr(path, '/') + 1 : "", 1);
	H_EQ(dev_param("drain_timeout_ms", drain_ms), 0);
	H_EQ(dev_param("hook_timeout_ms", "200"), 0);
}

/* Holders: processes that say so when the pages are pinned. */

static pid_t start(int (*hold)(void), const char *name)
{
	int pipefd[2], err = -EIO;
	pid_t pid;

	pipe2(pipefd, O_CLOEXEC);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_NAME, name);
		err = hold();
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

static struct ru_hold hold;
static struct ru_call reset;

/* It has even asked for a reset itself. */
static int hold_by_userfaultfd(void)
{
	int err = ru_target_open(&t, "target", WINDOW);

	if (err)
		return err;
	hold = (struct ru_hold){ .first = { t.d.fd, t.cookie } };
	err = ru_hold_begin(&hold);
	if (!err)
		ru_call(&reset, ru_reset, &t.d);
	return err ?: ru_hold_drains(&hold, "target") ? 0 : -ETIMEDOUT;
}

static int hold_by_io_uring(void)
{
	int disk = open(h_disk("slow"), O_RDONLY | O_DIRECT | O_CLOEXEC);
	struct ru_ring ring;
	int err = disk < 0 ? -errno : ru_target_open(&t, "target", WINDOW);

	err = err ?: ru_ring_open(&ring, READS);
	for (int i = 0; !err && i < READS; i++)
		err = ru_ring_read(&ring, disk, t.win + i * READ_SIZE, READ_SIZE, i * READ_SIZE);
	return err;
}

static struct ru_aio aio;

static int hold_in_cgroup(void)
{
	int disk = open(h_disk("slow"), O_RDONLY | O_DIRECT | O_CLOEXEC);
	char pid[16];
	int err = disk < 0 ? -errno : ru_target_open(&t, "target", WINDOW);

	snprintf(pid, sizeof(pid), "%d", getpid());
	err = err ?: h_write("/sys/fs/cgroup/limited/cgroup.procs", pid);
	err = err ?: ru_aio_read(&aio, disk, t.win, READ_SIZE, 0);
	/* Refused: for the log. */
	return err ?: dev_reset(&t.d) == -EBUSY ? 0 : -EPROTO;
}

/* Unmounted with everything else: the page's folder is that of any system. */
static int limit_cgroup(void)
{
	char text[96];
	struct stat st;

	if (mount("cgroup2", "/sys/fs/cgroup", "cgroup2", 0, NULL))
		return -errno;
	mkdir("/sys/fs/cgroup/limited", 0755);
	if (stat(h_disk("slow"), &st))
		return -errno;
	snprintf(text, sizeof(text), "%u:%u rbps=1024", major(st.st_rdev), minor(st.st_rdev));
	return h_write("/sys/fs/cgroup/cgroup.subtree_control", "+io") ?:
	       h_write("/sys/fs/cgroup/limited/io.max", text);
}

static bool reaped(pid_t pid)
{
	int status;

	return h_await(pid, &status, 20000);
}

static void is_at_rest(void)
{
	H_CHECK(h_wait_until(dev_state_is("target", "closed"), 20000));
	H_EQ(page("vfio-p2p status \"$DEV\""), 0);
	H_CHECK(says("closed"));
	H_CHECK(says(", 0 pinned"));
	H_EQ(page("vfio-p2p unbind \"$DEV\""), 0);
	dev_bind("target", DEV_P2P);
}

/* Situations */

static void its_own_userfaultfd(void)
{
	pid_t pid, watch;

	set_up("600000");
	pid = start(hold_by_userfaultfd, "waiter");
	H_CHECK(pid);
	set_env_pid("PID", pid);
	/* Nothing but what sh makes of it. */
	H_EQ(page("DEV=0000:03:00.0"), 0);
	H_EQ(page("PID=4711"), 0);
	H_EQ(page("vfio-p2p status \"$DEV\""), 0);
	H_CHECK(says("  draining for "));
	H_CHECK(says(" (reset): 1 folios pinned: window 0 (BAR 2) 1"));
	H_CHECK(says_of("  open by      %d (waiter)", pid));
	watch = page_start("vfio-p2p status --watch \"$DEV\"");
	H_CHECK(watch > 0);
	H_CHECK(will_say("  draining for "));
	H_CHECK(page_stop(watch));
	H_EQ(page("cat \"/sys/bus/pci/devices/$DEV/p2p_vfio/windows\""), 0);
	H_CHECK(says(" 1 1"));
	H_EQ(page("vfio-p2p unbind \"$DEV\""), 4);
	H_CHECK(says_of("open by %d (waiter)", pid));
	H_EQ(page("cat /proc/\"$PID\"/task/*/stack"), 0);
	H_CHECK(says("handle_userfault"));
	H_EQ(page("kill \"$PID\""), 0);
	page("kill -9 \"$PID\"");
	H_CHECK(reaped(pid));
	is_at_rest();
}

/* A reset has been refused; the log says so. */
static void a_limit(void)
{
	pid_t pid;

	h_expect_log(dev_has_pmd() ? "p2p: 1 folios still pinned after [0-9]+ ms.*revoked for [0-9]+ ms .reset." :
				     "p2p: 16 folios still pinned after [0-9]+ ms.*revoked for [0-9]+ ms .reset.");
	set_up("200");
	H_EQ(limit_cgroup(), 0);
	pid = start(hold_in_cgroup, "limited");
	H_CHECK(pid);
	set_env_pid("PID", pid);
	H_EQ(page("vfio-p2p status \"$DEV\""), 0);
	H_CHECK(says("live"));
	H_CHECK(says(dev_has_pmd() ? "1 pinned" : "16 pinned"));
	H_EQ(page("cat \"/proc/$PID/cgroup\""), 0);
	H_CHECK(says("/limited"));
	H_EQ(page("cat \"/sys/fs/cgroup/limited/io.max\""), 0);
	H_CHECK(says("rbps=1024"));
	H_EQ(page("echo \"$(cat /sys/block/$DISK/dev) rbps=max wbps=max riops=max wiops=max\" > /sys/fs/cgroup/limited/io.max"), 0);
	H_CHECK(h_wait_until(!dev_count("target", "pinned_folios"), 10000));
	kill(pid, SIGKILL);
	H_CHECK(reaped(pid));
	is_at_rest();
}

/* One folio that all reads share, or a read's 16; of these one may have ended meanwhile. */
static bool says_what_is_pinned(long long most)
{
	const char *at = strstr(said, " (close): ");
	long long all, window, least = dev_count("target", "pinned_folios");

	if (!at || sscanf(at, " (close): %lld folios pinned: window 0 (BAR 2) %lld", &all, &window) != 2)
		return false;
	return all >= least && all <= most && window >= least && window <= most;
}

/* Killed, and its requests are still there: the closed device drains. */
static void left_behind(const char *end)
{
	long long pinned;
	pid_t pid;

	h_expect_log("p2p: [0-9]+ folios still pinned after [0-9]+ ms.*revoked for [0-9]+ ms .close.");
	set_up("200");
	H_EQ(ru_throttle(2), 0);
	pid = start(hold_by_io_uring, "killed");
	H_CHECK(pid);
	kill(pid, SIGKILL);
	H_CHECK(reaped(pid));
	pinned = dev_count("target", "pinned_folios");
	if (dev_has_pmd())
		H_EQ(pinned, 1);
	H_EQ(page("vfio-p2p status \"$DEV\""), 0);
	H_CHECK(says("  draining for "));
	H_CHECK(says_what_is_pinned(pinned));
	H_CHECK(!says("open by"));
	H_EQ(page("dmesg | grep \"$DEV: p2p:\""), 0);
	H_CHECK(says("still pinned after"));
	H_EQ(page("vfio-p2p unbind \"$DEV\""), 4);
	H_CHECK(says("DMA of a former owner still holds"));
	H_EQ(page("grep . /sys/block/*/inflight"), 0);
	H_CHECK(says(getenv("DISK")));
	H_EQ(page(end), 0);
	is_at_rest();
	ru_throttle(0);
}

static void left_behind_then_reset(void)
{
	left_behind("echo 1 > /sys/block/$DISK/device/reset_controller");
}

static void left_behind_then_removed(void)
{
	left_behind("echo 1 > /sys/block/$DISK/device/device/remove");
	H_EQ(h_write("/sys/bus/pci/rescan", "1"), 0);
	H_CHECK(h_wait_until(h_disk("slow"), 10000));
}

/* A reset at rest, traced; as found, tracefs is there, and the page mounts it again. */
static void how_it_went(void)
{
	struct dev d;
	pid_t trace;

	set_up("600000");
	H_EQ(h_write("/sys/kernel/tracing/options/record-cmd", "0"), 0);
	H_EQ(umount2("/sys/kernel/tracing", MNT_DETACH), 0);
	H_EQ(page("mount -t tracefs nodev /sys/kernel/tracing"), 0);
	trace = page_start("vfio-p2p trace \"$DEV\"");
	H_CHECK(trace > 0);
	H_CHECK(will_say("vfio-p2p: tracing "));
	H_EQ(dev_open(&d, "target"), 0);
	H_EQ(dev_reset(&d), 0);
	dev_close(&d);
	H_CHECK(will_say("  close: drained after "));
	H_CHECK(says("  reset: gate closed, by "));
	H_CHECK(says("  reset: acted; gate open, generation "));
	H_CHECK(page_stop(trace));
}

static bool has_run(const char *command)
{
	FILE *f = fopen(RAN, "re");
	bool found = false;
	char line[512];

	while (f && !found && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		found = !strcmp(line, command);
	}
	if (f)
		fclose(f);
	return found;
}

/* What is indented and no command is the kernel's or the tool's word: with the device's address. */
static bool is_output(const char *line)
{
	return !strncmp(line, "0000:", 5) || *line == ' ';
}

static void nothing_is_left_out(void)
{
	FILE *f = fopen(PAGE, "re");
	char line[512];
	int n = 0;

	H_CHECK(f);
	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		if (strncmp(line, "    ", 4) || is_output(line + 4))
			continue;
		n++;
		if (!has_run(line + 4))
			h_fail("no case has run: %s", line + 4);
	}
	fclose(f);
	H_CHECK(n > 10);
}

static const struct h_case cases[] = {
	{ "a process that waits for itself", its_own_userfaultfd, 60 },
	{ "a cgroup's limit", a_limit, 60 },
	{ "requests left behind, and the controller is reset", left_behind_then_reset, 60 },
	{ "requests left behind, and the disk is removed", left_behind_then_removed, 60 },
	{ "a reset, traced", how_it_went, 60 },
	{ "no command of the page has been left out", nothing_is_left_out },
	{ }
};

int main(int argc, char **argv)
{
	dev_bind("target", DEV_P2P);
	return h_main(argc, argv, cases);
}
