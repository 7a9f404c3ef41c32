// SPDX-License-Identifier: MIT
/*
 * vfio-p2p trace and status --watch, on the driver's own events.
 *
 * Theory: userfaultfd holds a pin for as long as the case wants (ru_hold), so the
 * case knows what the timeline has to say: why the gate closed, one folio pinned, a
 * drain that has waited for at least as long as the pin was held after the gate
 * had been seen closed, and the end.  When a reset has returned, all of its events
 * are in the buffer; a trace that is then ended by a signal must have them.
 *
 * Whatever ends a trace, its tracing instance must be gone; what a killed one has
 * left must go with the next.
 */
#define _GNU_SOURCE
#include "command.h"
#include "dev.h"
#include "harness.h"
#include "revoke_util.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#define TRACING "/sys/kernel/tracing"
#define OUTPUT "/tmp/traced"
#define WINDOW (4 * DEV_MIB2)
#define HELD_MS 300

static struct ru_target t;
static struct ru_hold hold;
static char out[262144];

static bool shows(const char *part)
{
	*out = 0;
	h_read(OUTPUT, out, sizeof(out));
	return strstr(out, part);
}

/* The command in the background; returns when it has said "part". */
static pid_t start(const char *const argv[], const char *part)
{
	pid_t pid;
	int fd;

	unlink(OUTPUT);
	pid = fork();
	if (!pid) {
		fd = open(OUTPUT, O_RDWR | O_CREAT | O_TRUNC, 0600);
		dup2(fd, STDOUT_FILENO);
		dup2(fd, STDERR_FILENO);
		execv("/bin/vfio-p2p", (char *const *)argv);
		_exit(127);
	}
	return h_wait_until(shows(part), 20000) ? pid : 0;
}

static pid_t start_trace(const char *option)
{
	const char *const argv[] = { "vfio-p2p", "trace", h_pci("target"), option, NULL };

	return start(argv, "vfio-p2p: tracing ");
}

/* Its exit status; what it has said is in "out". */
static int stop(pid_t pid, int number)
{
	int status;

	kill(pid, number);
	if (!h_await(pid, &status, 20000))
		return -ETIMEDOUT;
	shows("");
	h_diag("%.6000s", out);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static int instances(void)
{
	DIR *dir = opendir(TRACING "/instances");
	struct dirent *entry;
	int n = 0;

	while (dir && (entry = readdir(dir)))
		n += !strncmp(entry->d_name, "vfio-p2p-", 9);
	if (!dir)
		return -errno;
	closedir(dir);
	return n;
}

static void set_up(const char *drain_ms)
{
	/* Names would hook into the scheduler: code that other CPUs run is patched. */
	H_EQ(h_write(TRACING "/options/record-cmd", "0"), 0);
	H_EQ(dev_param("drain_timeout_ms", drain_ms), 0);
	H_EQ(ru_target_open(&t, "target", WINDOW), 0);
	hold = (struct ru_hold){ .first = { t.d.fd, t.cookie } };
	H_EQ(ru_hold_begin(&hold), 0);
	H_EQ(instances(), 0);
}

static void clean_up(void)
{
	H_EQ(instances(), 0);
	dev_close(&t.d);
	dev_check_rest("target");
}

/* The number after NAME in the JSON's first revocation of that cause, or -1. */
static long long number(const char *cause, const char *name)
{
	char part[64];
	const char *at;

	snprintf(part, sizeof(part), "\"cause\": \"%s\"", cause);
	at = strstr(out, part);
	snprintf(part, sizeof(part), "\"%s\": ", name);
	at = at ? strstr(at, part) : NULL;
	return at ? atoll(at + strlen(part)) : -1;
}

/* Holds the pin while the reset waits for it: for how long at least, us. */
static long long reset_held(void)
{
	struct ru_call reset;
	uint64_t begin;
	long long held;

	ru_call(&reset, ru_reset, &t.d);
	if (!ru_hold_drains(&hold, "target"))
		return -1;
	begin = h_now_ns();
	h_sleep_ms(HELD_MS);
	held = (long long)(h_now_ns() - begin) / 1000;
	ru_hold_end(&hold);
	return ru_join(&reset, 20000) && !reset.ret ? held : -1;
}

static void held_as_json(void)
{
	long long held;
	pid_t pid;

	set_up("600000");
	if (h_failed())
		return;
	pid = start_trace("--json");
	H_CHECK(pid);
	H_EQ(instances(), 1);
	held = reset_held();
	H_CHECK(held >= HELD_MS * 1000);
	H_EQ(stop(pid, SIGINT), 0);
	H_EQ(number("reset", "depth"), 0);
	H_EQ(number("reset", "pinned_folios"), 1);
	H_CHECK(number("reset", "waited_us") >= held);
	H_CHECK(number("reset", "drain_us") >= held);
	H_EQ(number("reset", "left_folios"), 0);
	H_CHECK(number("reset", "end_us") >= number("reset", "drain_us"));
	H_CHECK(number("reset", "generation") > 0);
	/* The kernel's own reset, inside of it. */
	H_EQ(number("pci_reset", "depth"), 1);
	H_EQ(number("pci_reset", "pinned_folios"), 0);
	clean_up();
}

/* Told while it goes on, and whole at the end. */
static void held_as_text(void)
{
	struct ru_call reset;
	pid_t pid;

	set_up("600000");
	if (h_failed())
		return;
	pid = start_trace(NULL);
	H_CHECK(pid);
	ru_call(&reset, ru_reset, &t.d);
	H_CHECK(h_wait_until(shows("  reset: zapped, 1 folio pinned"), 20000));
	H_CHECK(!shows("drained after"));
	ru_hold_end(&hold);
	H_CHECK(ru_join(&reset, 20000));
	H_EQ(reset.ret, 0);
	H_EQ(stop(pid, SIGTERM), 0);
	H_CHECK(strstr(out, "  reset: gate closed"));
	H_CHECK(strstr(out, "  reset: drained after "));
	H_CHECK(strstr(out, "    pci_reset: gate closed before (nested)"));
	H_CHECK(strstr(out, "  reset: acted; gate open, generation "));
	clean_up();
}

static void refused(void)
{
	pid_t pid;

	h_expect_log("p2p: 1 folios still pinned after [0-9]+ ms");
	set_up("200");
	if (h_failed())
		return;
	pid = start_trace(NULL);
	H_CHECK(pid);
	H_ERRNO(dev_reset(&t.d), EBUSY);
	H_EQ(stop(pid, SIGHUP), 0);
	H_CHECK(strstr(out, "  reset: timed out after "));
	H_CHECK(strstr(out, ", 1 folio still pinned"));
	H_CHECK(strstr(out, "  reset: nothing done to the device; gate open, generation "));
	H_CHECK(!strstr(out, "drained after"));
	ru_hold_end(&hold);
	clean_up();
}

static void killed(void)
{
	pid_t pid = start_trace(NULL);

	H_CHECK(pid);
	H_EQ(stop(pid, SIGKILL), -SIGKILL);
	H_EQ(instances(), 1);
	H_EQ(tool("trace --seconds 0.1"), 0);
	H_EQ(instances(), 0);
}

static void not_mounted(void)
{
	H_EQ(umount2(TRACING, MNT_DETACH), 0);
	H_EQ(tool("trace --seconds 0.1"), 3);
	H_EQ(mount("tracefs", TRACING, "tracefs", 0, NULL), 0);
	H_CHECK(says("no tracefs is mounted there"));
	H_EQ(tool("trace --seconds 0.1"), 0);
}

/* It holds nothing that the module would have to wait for, and ends by itself. */
static void unloaded(void)
{
	pid_t pid = start_trace(NULL);
	int status;

	H_CHECK(pid);
	H_CHECK(dev_unbind("target", 20));
	H_EQ(h_rmmod("p2p-vfio-pci"), 0);
	H_CHECK(h_await(pid, &status, 20000));
	H_EQ(status, 0);
	H_CHECK(shows("the module has been unloaded"));
	H_EQ(instances(), 0);
	H_EQ(tool("trace"), 3);
	H_CHECK(says("the module p2p_vfio_pci is not loaded"));
	dev_bind("target", DEV_P2P);
}

static void watched(void)
{
	struct ru_call reset;
	const char *const argv[] = { "vfio-p2p", "status", "--watch=0.1", h_pci("target"), NULL };
	pid_t pid;

	set_up("600000");
	if (h_failed())
		return;
	pid = start(argv, "  live, generation ");
	H_CHECK(pid);
	ru_call(&reset, ru_reset, &t.d);
	H_CHECK(h_wait_until(shows("  reset +1, waits for pins"), 20000));
	H_CHECK(shows("  draining for "));
	ru_hold_end(&hold);
	H_CHECK(ru_join(&reset, 20000));
	H_EQ(reset.ret, 0);
	H_CHECK(h_wait_until(shows("  waits no longer: last drain "), 20000));
	clean_up();
	H_CHECK(dev_unbind("target", 20));
	H_CHECK(h_wait_until(shows("  has gone: unbound or removed"), 20000));
	H_EQ(stop(pid, SIGINT), 0);
	dev_bind("target", DEV_P2P);
}

static const struct h_case cases[] = {
	{ "a reset that waits for a pin, as JSON", held_as_json, 60 },
	{ "the same told as it happens", held_as_text, 60 },
	{ "a reset that is refused", refused, 60 },
	{ "what a killed trace leaves, the next removes", killed, 60 },
	{ "tracefs is not mounted", not_mounted, 60 },
	{ "the module is unloaded meanwhile", unloaded, 90 },
	{ "status --watch: a reset, and the device goes", watched, 90 },
	{ }
};

int main(int argc, char **argv)
{
	dev_bind("target", DEV_P2P);
	return h_main(argc, argv, cases);
}
