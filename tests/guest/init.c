// SPDX-License-Identifier: MIT
/*
 * PID 1 of the test machine.  Runs the plan, one program at a time, and is the
 * only one to write the verdict to ttyS1:
 *
 *	KTAP version 1
 *	1..4
 *	ok 1 - set-up
 *	    KTAP version 1		what the program said, indented: whatever
 *	    1..2			it prints cannot pass for a verdict
 *	    ok 1 - reads a page
 *	    not ok 2 - writes a page # t_io.c:42: ...
 *	not ok 2 - t_io # 1 of 2 failed
 *	ok 3 - unload
 *	ok 4 - kernel log
 *	# verdict complete plan=4 ok=3 fail=1
 *
 * The last line comes after everything else has been looked at, the unloading
 * of the driver and the kernel log last of all.  A run without it has failed.
 *
 * A machine may have several lives, if its suite says so ("lives" on the kernel's
 * command line).  A program asks for the next one with h_next_life(): its result
 * is given, the host is told how far the plan has got, and the machine is reset
 * or another kernel started, with the program alive and whatever it has in
 * flight.  The next init asks the host, and goes on with the next test.  After a
 * reboot that nobody asked for the host knows nothing, the plan begins anew, and
 * that is no verdict.
 */
#define _GNU_SOURCE
#include "harness.h"
#include "klog.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define VERDICT_PORT "/dev/ttyS1"
#define PLAN "/etc/plan"	/* NAME \t SECONDS \t PROGRAM [\t ARGUMENT]... */
#define MODULES "/etc/modules"	/* NAME [PARAMETERS], in the order to load them */
#define DRIVER "p2p-vfio-pci"
#define LEAKS "/sys/kernel/debug/kmemleak"
#define LEAK_AGE_MS 5200	/* younger ones may be on their way somewhere */
#define MAX_TESTS 64
#define MAX_ARGS 32

struct test {
	char *name;
	unsigned int seconds;
	char *argv[MAX_ARGS + 1];
};

/* What a program has said. */
struct tally {
	int planned, results, failed;
	bool bailed, bad_expectation;
	int next_life;		/* for reboot(), if it wants one */
};

static struct test tests[MAX_TESTS];
static int n_tests, n_results, n_failed;
static int port = -1;
static unsigned long driver_at;	/* where its code was loaded */
static const char *wedged;	/* why nothing more can be run */
static bool lives;		/* this machine may have more than one life */

static void put(const char *fmt, ...)
{
	char text[4096];
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (len >= (int)sizeof(text))
		len = sizeof(text) - 1;
	for (int done = 0; done < len;) {
		ssize_t n = write(port, text + done, len - done);

		if (n < 0 && errno != EINTR)
			return;	/* no verdict: the runner will see that */
		done += n > 0 ? n : 0;
	}
}

static void result(const char *name, const char *why)
{
	n_failed += !!*why;
	put("%s %d - %s%s%s\n", *why ? "not ok" : "ok", ++n_results, name, *why ? " # " : "", why);
}

/* Start-up */

static void mount_all(void)
{
	static const struct { const char *type, *dir; } table[] = {
		{ "proc", "/proc" }, { "sysfs", "/sys" }, { "devtmpfs", "/dev" },
		{ "tmpfs", "/tmp" }, { "tmpfs", "/run" }, { "devpts", "/dev/pts" },
		{ "tmpfs", "/dev/shm" }, { "debugfs", "/sys/kernel/debug" },
		{ "tracefs", "/sys/kernel/tracing" },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		mkdir(table[i].dir, 0755);
		/* What is missing is missed by whoever needs it. */
		mount(table[i].type, table[i].dir, table[i].type, 0, NULL);
	}
}

static void open_port(void)
{
	struct termios raw;

	port = open(VERDICT_PORT, O_WRONLY | O_NOCTTY | O_CLOEXEC);
	tcgetattr(port, &raw);
	cfmakeraw(&raw);
	tcsetattr(port, TCSANOW, &raw);
}

static void parse_test(char *line)
{
	struct test *t = &tests[n_tests];
	char *save = NULL, *field = strtok_r(line, "\t\n", &save);

	if (!field)
		return;
	t->name = strdup(field);
	field = strtok_r(NULL, "\t\n", &save);
	t->seconds = field ? atoi(field) : 0;
	for (int i = 0; i < MAX_ARGS && (field = strtok_r(NULL, "\t\n", &save)); i++)
		t->argv[i] = strdup(field);
	n_tests++;
}

static void read_plan(void)
{
	char line[4096];
	FILE *f = fopen(PLAN, "re");

	while (f && n_tests < MAX_TESTS && fgets(line, sizeof(line), f))
		parse_test(line);
	if (f)
		fclose(f);
}

static void load_modules(char *why, size_t n)
{
	char line[512];
	FILE *f = fopen(MODULES, "re");

	while (f && !*why && fgets(line, sizeof(line), f)) {
		char *params;
		int err;

		line[strcspn(line, "\n")] = 0;
		params = strchr(line, ' ');
		if (params)
			*params++ = 0;
		err = h_modprobe(line, params);
		if (err)
			snprintf(why, n, "module %.200s: %s", line, strerrorname_np(-err));
	}
	if (f)
		fclose(f);
}

static void set_up(void)
{
	char why[512] = "";

	load_modules(why, sizeof(why));
	if (!*why)
		klog_check(why, sizeof(why));
	/* In a later life it has its result already; another one is a failure. */
	if (!n_results || *why)
		result("set-up", why);
}

/* Lives */

static bool has_lives(void)
{
	char words[4096];

	return !h_read("/proc/cmdline", words, sizeof(words)) && strstr(words, " lives");
}

/* How far the lives before this one have got; nothing in the first. */
static void remember(void)
{
	char reply[128] = "";

	if (!h_host("{\"kept\": \"\"}", reply, sizeof(reply)))
		sscanf(reply, "{\"return\": \"%d %d\"}", &n_results, &n_failed);
}

/* Does not return, if all goes well. */
static void next_life(int how)
{
	int err = h_hostf(NULL, 0, "{\"keep\": \"%d %d\"}", n_results, n_failed);

	klog_mark("test: the next life begins");
	tcdrain(port);
	sync();
	if (!err && reboot(how))
		err = -errno;
	put("Bail out! the next life: %s\n", strerrorname_np(-err) ?: "?");
}

/* One program */

static void spawn(struct test *t, int out)
{
	int null = open("/dev/null", O_RDONLY);

	setsid();
	dup2(null, 0);
	dup2(out, 1);
	dup2(out, 2);
	chdir("/tmp");
	execv(t->argv[0], t->argv);
	printf("Bail out! %s: %s\n", t->argv[0], strerror(errno));
	fflush(stdout);
	_exit(127);
}

static int way_to_next_life(const char *word)
{
	return !strcmp(word, "reset") ? RB_AUTOBOOT : !strcmp(word, "kexec") ? RB_KEXEC : 0;
}

static void take_line(struct tally *tally, const char *line)
{
	static const char expect[] = "# expect-log: ", life[] = "# next-life: ";

	put("    %s\n", line);
	if (!strncmp(line, "1..", 3))
		tally->planned = atoi(line + 3);
	else if (!strncmp(line, "ok ", 3))
		tally->results++;
	else if (!strncmp(line, "not ok ", 7))
		tally->results++, tally->failed++;
	else if (!strncmp(line, "Bail out!", 9))
		tally->bailed = true;
	else if (!strncmp(line, expect, sizeof(expect) - 1))
		tally->bad_expectation |= !klog_expect(line + sizeof(expect) - 1);
	else if (lives && !strncmp(line, life, sizeof(life) - 1))
		tally->next_life = way_to_next_life(line + sizeof(life) - 1);
}

/* Take the program's output until it closes it or wants a next life.  False when its time is over. */
static bool listen_to(int in, unsigned int seconds, struct tally *tally)
{
	uint64_t end = h_now_ns() + seconds * 1000000000ull;
	struct pollfd p = { .fd = in, .events = POLLIN };
	char line[2048];
	size_t len = 0;
	ssize_t n;
	char c[512];

	for (;;) {
		int64_t left = (int64_t)(end - h_now_ns()) / 1000000;

		if (left <= 0 || !poll(&p, 1, left))
			return false;
		n = read(in, c, sizeof(c));
		if (n < 0)
			continue;
		for (ssize_t i = 0; i < n; i++) {
			if (c[i] != '\n' && len < sizeof(line) - 1) {
				line[len++] = c[i] >= ' ' || c[i] == '\t' || c[i] & 0x80 ? c[i] : ' ';
				continue;
			}
			line[len] = 0;
			take_line(tally, line);
			len = 0;
			if (tally->next_life)
				return true;
		}
		if (!n) {
			line[len] = 0;
			if (len)
				take_line(tally, line);
			return true;
		}
	}
}

/* End everything the test has started.  False if something does not die. */
static bool kill_all(pid_t pid, int *status)
{
	bool reaped = false;

	return h_wait_until(({
		pid_t p;

		kill(-1, SIGKILL);
		while ((p = waitpid(-1, reaped ? NULL : status, WNOHANG)) > 0)
			reaped |= p == pid;
		p < 0 && errno == ECHILD;
	}), 5000);
}

/* Wait for the program itself: it may close its output before it ends. */
static bool ended(pid_t pid, unsigned int seconds, int *status)
{
	return h_await(pid, status, seconds * 1000);
}

static void explain_hang(void)
{
	/* The blocked tasks and their stacks, for whoever reads the console.
	 * The stacks look like splats: the test has failed anyway. */
	char ignored[256];

	h_write("/proc/sysrq-trigger", "w");
	h_sleep_ms(100);
	klog_check(ignored, sizeof(ignored));
}

static void judge(const struct tally *tally, int status, char *why, size_t n)
{
	if (tally->bailed)
		snprintf(why, n, "bailed out");
	else if (tally->failed)
		snprintf(why, n, "%d of %d failed", tally->failed, tally->results);
	else if (WIFSIGNALED(status))
		snprintf(why, n, "killed by SIG%s", sigabbrev_np(WTERMSIG(status)));
	else if (tally->planned <= 0 || tally->planned != tally->results)
		snprintf(why, n, "planned %d results, gave %d", tally->planned, tally->results);
	else if (WEXITSTATUS(status))
		snprintf(why, n, "exit status %d", WEXITSTATUS(status));
	else if (tally->bad_expectation)
		snprintf(why, n, "h_expect_log: bad expression, or too many");
}

static void judge_log(char *why, size_t n)
{
	char splat[256];
	size_t len;

	/* Messages of the test's last moments may still be on their way. */
	h_sleep_ms(20);
	if (klog_check(splat, sizeof(splat))) {
		len = strlen(why);
		snprintf(why + len, n - len, "%skernel log: %s", len ? "; " : "", splat);
	} else if (!*why && klog_missing()) {
		snprintf(why, n, "the kernel did not log what was expected: %s", klog_missing());
	}
}

static void unmount_leftovers(void)
{
	char line[512], dir[256];
	FILE *f = fopen("/proc/self/mounts", "re");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%*s %255s", dir) == 1 && !strncmp(dir, "/mnt/", 5))
			umount2(dir, MNT_DETACH);
	if (f)
		fclose(f);
}

/* Returns how to reboot, if the program wants that: it lives on then. */
static int run_program(struct test *t, char *why, size_t n)
{
	struct tally tally = { .planned = -1 };
	int pipefd[2], status = 0;
	bool in_time, dead;
	pid_t pid;

	if (pipe2(pipefd, O_CLOEXEC) || (pid = fork()) < 0) {
		snprintf(why, n, "pipe or fork: %s", strerror(errno));
		return 0;
	}
	if (!pid)
		spawn(t, pipefd[1]);
	close(pipefd[1]);
	in_time = listen_to(pipefd[0], t->seconds, &tally) &&
		  (tally.next_life || ended(pid, 5, &status));
	if (in_time && tally.next_life) {
		judge(&tally, 0, why, n);
		if (!*why)
			return tally.next_life;
	}
	close(pipefd[0]);
	if (!in_time) {
		snprintf(why, n, "not done after %u s", t->seconds);
		explain_hang();
	}
	dead = kill_all(pid, in_time ? &(int){ 0 } : &status);
	if (in_time && !*why)
		judge(&tally, status, why, n);
	if (!dead) {
		wedged = "an earlier test cannot be killed";
		snprintf(why + strlen(why), n - strlen(why), "; a process cannot be killed");
	}
	return 0;
}

static void run_test(struct test *t)
{
	char why[640] = "";
	int life = 0;

	klog_mark("test: %s begins", t->name);
	if (wedged) {
		snprintf(why, sizeof(why), "not run: %s", wedged);
	} else {
		life = run_program(t, why, sizeof(why));
		judge_log(why, sizeof(why));
		klog_expect_nothing();
		unmount_leftovers();
	}
	result(t->name, why);
	if (life && !*why)
		next_life(life);
}

/* The end */

static void unload(void)
{
	char why[256] = "";
	int status = 0;
	pid_t pid;

	if (!h_module_loaded(DRIVER)) {
		put("ok %d - unload # SKIP %s is not loaded\n", ++n_results, DRIVER);
		return;
	}
	driver_at = h_read_int("/sys/module/p2p_vfio_pci/sections/.text");
	klog_mark("test: unload begins");
	/* In a child: a removal that never ends must not take the verdict along. */
	pid = fork();
	if (!pid)
		_exit(-h_rmmod(DRIVER));
	if (!ended(pid, 30, &status)) {
		snprintf(why, sizeof(why), "%s: rmmod not done after 30 s", DRIVER);
		explain_hang();
	} else if (status) {
		snprintf(why, sizeof(why), "%s: rmmod: %s", DRIVER,
			 strerrorname_np(WEXITSTATUS(status)) ?: "killed");
	}
	result("unload", why);
}

/*
 * On a debug kernel: memory that nothing points to any more, the driver's among
 * it, which is unloaded by now.  kmemleak calls an object leaked when it is older
 * than five seconds and two scans, between which it did not change, have found
 * nothing that points to it.
 */
static bool scan_for_leaks(char *why, size_t n)
{
	int err = h_write(LEAKS, "scan");

	if (err == -ENOENT)
		return false;
	h_sleep_ms(LEAK_AGE_MS);
	err = err ?: h_write(LEAKS, "scan");
	if (err)	/* EPERM: it has run out of memory, and been off since */
		snprintf(why, n, "kmemleak cannot scan: %s", strerrorname_np(-err));
	return !err;
}

/*
 * All of the report to the verdict.  The number of objects, and the first caller
 * that is in a module, or was: an unloaded one has no names any more.
 */
static int report_leaks(FILE *f, char *who, size_t n)
{
	char line[256], *caller;
	int objects = 0;

	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		put("    # %s\n", line);
		objects += !strncmp(line, "unreferenced object", 19);
		caller = line + strspn(line, " ");
		if (!*who && (strchr(caller, '[') || !strncmp(caller, "0x", 2)))
			snprintf(who, n, "; %.150s", caller);
	}
	return objects;
}

static void judge_leaks(char *why, size_t n)
{
	char who[200] = "";
	int objects;
	FILE *f;

	if (!scan_for_leaks(why, n))
		return;
	f = fopen(LEAKS, "re");
	if (!f) {
		snprintf(why, n, "kmemleak cannot be read: %s", strerrorname_np(errno));
		return;
	}
	objects = report_leaks(f, who, sizeof(who));
	fclose(f);
	if (objects)
		snprintf(why, n, "kmemleak: %d objects that nothing points to%s (%s was at %#lx)",
			 objects, who, DRIVER, driver_at);
}

static void last_look_at_log(void)
{
	char why[512] = "", splat[256] = "";

	judge_leaks(why, sizeof(why));
	h_sleep_ms(50);
	if (klog_check(splat, sizeof(splat)) && !*why)
		snprintf(why, sizeof(why), "%s", splat);
	result("kernel log", why);
}

int main(void)
{
	mount_all();
	open_port();
	read_plan();
	lives = has_lives();
	if (lives)
		remember();
	if (!n_results)
		put("KTAP version 1\n1..%d\n", n_tests + 3);
	if (klog_open())
		put("Bail out! /dev/kmsg: %s\n", strerror(errno));
	set_up();
	/* The first result is that of set-up. */
	for (int i = n_results - 1; i < n_tests; i++)
		run_test(&tests[i]);
	unload();
	last_look_at_log();
	put("# verdict complete plan=%d ok=%d fail=%d\n", n_tests + 3, n_results - n_failed, n_failed);
	tcdrain(port);
	sync();
	reboot(RB_POWER_OFF);
}
