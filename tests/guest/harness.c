// SPDX-License-Identifier: MIT
/* Cases, results, time: see harness.h. */
#define _GNU_SOURCE
#include "harness.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DEFAULT_DEADLINE_S 30

enum outcome { RUNNING, FAILED, SKIPPED };

/* Shared with the process of the running case. */
static struct {
	enum outcome outcome;
	char why[480];
} *verdict;

static int planned, done, failures;
static const char *case_name = "";

/* A result is one line: whatever a name or a reason holds. */
static void put_text(const char *text)
{
	for (; *text; text++)
		putchar(*text == '\n' || *text == '\r' ? ' ' : *text);
}

static bool result(bool ok, const char *name, const char *directive, const char *why)
{
	printf("%s %d - ", ok ? "ok" : "not ok", ++done);
	put_text(name);
	if (why && *why) {
		printf(" # %s", directive);
		put_text(why);
	}
	putchar('\n');
	fflush(stdout);
	failures += !ok;
	return ok;
}

void h_plan(int n)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	planned = n;
	printf("KTAP version 1\n1..%d\n", n);
	fflush(stdout);
}

bool h_ok(bool ok, const char *name, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, name);
	vsnprintf(text, sizeof(text), name, ap);
	va_end(ap);
	return result(ok, text, "", NULL);
}

void h_skip(const char *name, const char *why)
{
	result(true, name, "SKIP ", why);
}

void h_diag(const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	printf("# ");
	put_text(text);
	putchar('\n');
	fflush(stdout);
}

void h_bail(const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	printf("Bail out! ");
	put_text(text);
	putchar('\n');
	fflush(stdout);
	_exit(1);
}

int h_done(void)
{
	if (done != planned)
		h_diag("planned %d results, gave %d", planned, done);
	return failures || done != planned || !done;
}

void h_expect_log(const char *regex)
{
	/* init reads this line before it looks at the kernel log. */
	printf("# expect-log: %s\n", regex);
	fflush(stdout);
}

void h_next_life(const char *how)
{
	printf("# next-life: %s\n", how);
	fflush(stdout);
	for (;;)
		pause();
}

/* Cases */

static void set_verdict(enum outcome outcome, const char *fmt, va_list ap)
{
	if (!verdict)
		h_bail("h_fail or h_skip_case outside a case");
	if (verdict->outcome != RUNNING)
		return;
	vsnprintf(verdict->why, sizeof(verdict->why), fmt, ap);
	verdict->outcome = outcome;
}

void h_fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	set_verdict(FAILED, fmt, ap);
	va_end(ap);
}

void h_skip_case(const char *why, ...)
{
	va_list ap;

	va_start(ap, why);
	set_verdict(SKIPPED, why, ap);
	va_end(ap);
	_exit(0);
}

bool h_failed(void)
{
	return verdict && verdict->outcome == FAILED;
}

static const char *errno_name(void)
{
	return errno ? strerrorname_np(errno) ?: "unknown" : "none";
}

const char *h_case_name(void)
{
	return case_name;
}

void h_fail_at(const char *file, int line, const char *expr)
{
	h_fail("%s:%d: %s (errno: %s)", file, line, expr, errno_name());
}

void h_fail_cmp(const char *file, int line, const char *a, long long have,
		const char *b, long long want)
{
	h_fail("%s:%d: %s is %lld, want %s = %lld (errno: %s)", file, line, a, have, b, want,
	       errno_name());
}

bool h_errno_is(const char *file, int line, const char *call, long long ret, int want)
{
	if (ret >= 0)
		h_fail("%s:%d: %s returned %lld, want %s", file, line, call, ret,
		       strerrorname_np(want));
	else if (errno != want)
		h_fail("%s:%d: %s failed with %s, want %s", file, line, call,
		       strerrorname_np(errno), strerrorname_np(want));
	return ret < 0 && errno == want;
}

static void run_child(const struct h_case *c)
{
	setpgid(0, 0);
	errno = 0;
	c->run();
	fflush(stdout);
	_exit(0);
}

/* Nothing runs here meanwhile: what benches count is theirs. */
bool h_await(pid_t pid, int *status, unsigned int ms)
{
	struct pollfd child = { .fd = syscall(SYS_pidfd_open, pid, 0), .events = POLLIN };

	if (child.fd < 0)
		return h_wait_until(waitpid(pid, status, WNOHANG) == pid, ms);
	poll(&child, 1, (int)ms);
	close(child.fd);
	return waitpid(pid, status, WNOHANG) == pid;
}

static bool run_case(const struct h_case *c)
{
	unsigned int seconds = c->deadline_s ?: DEFAULT_DEADLINE_S;
	int status = 0;
	pid_t pid;

	verdict->outcome = RUNNING;
	case_name = c->name;
	fflush(stdout);
	pid = fork();
	if (pid < 0)
		h_bail("fork: %s", strerror(errno));
	if (!pid)
		run_child(c);
	setpgid(pid, pid);
	if (!h_await(pid, &status, seconds * 1000)) {
		h_fail("not done after %u s", seconds);
		kill(-pid, SIGKILL);
		if (!h_await(pid, &status, 5000))
			h_bail("%s: cannot be killed: %s", c->name, verdict->why);
	} else if (WIFSIGNALED(status)) {
		h_fail("killed by SIG%s", sigabbrev_np(WTERMSIG(status)));
	} else if (WEXITSTATUS(status)) {
		h_fail("left with exit status %d", WEXITSTATUS(status));
	}
	kill(-pid, SIGKILL);	/* whatever the case has forked */
	if (verdict->outcome == SKIPPED)
		return result(true, c->name, "SKIP ", verdict->why);
	return result(verdict->outcome == RUNNING, c->name, "", verdict->outcome ? verdict->why : NULL);
}

static bool named(const struct h_case *c, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], c->name))
			return true;
	return false;
}

int h_main(int argc, char **argv, const struct h_case *cases)
{
	int all = 0, chosen = 0;

	verdict = mmap(NULL, sizeof(*verdict), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (verdict == MAP_FAILED)
		h_bail("mmap: %s", strerror(errno));
	for (const struct h_case *c = cases; c->name; c++, all++)
		chosen += named(c, argc, argv);
	h_plan(chosen ?: all);
	for (const struct h_case *c = cases; c->name; c++)
		if (!chosen || named(c, argc, argv))
			run_case(c);
	return h_done();
}

/* Time */

uint64_t h_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

void h_sleep_ms(unsigned int ms)
{
	struct timespec ts = { ms / 1000, (ms % 1000) * 1000000l };

	while (nanosleep(&ts, &ts) && errno == EINTR)
		;
}
