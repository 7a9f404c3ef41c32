// SPDX-License-Identifier: MIT
/*
 * Pins that outlive the process, the mapping and the open file.
 *
 * A read that io_uring has sent to a slow disk goes on when its process is
 * killed.  The last close then waits, so that the reset that follows, and the
 * next user, find the device quiet.  If the reads take longer than
 * hook_timeout_ms the close gives up, and the device cannot be opened until
 * they have ended: or the next user's memory would be written by the last
 * one's reads.  Likewise the driver cannot be unbound, since the kernel would
 * free the struct pages.
 *
 * Two ways to such a pin: a slow disk and SIGKILL, as it happens in life; and
 * userfaultfd (ru_hold), where the test says when the pin goes.
 */
#define _GNU_SOURCE
#include "dev.h"
#include "harness.h"
#include "revoke_util.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define WINDOW (4 * DEV_MIB2)
#define READS 16
#define READ_SIZE (64 * 1024)
#define STRIDE (WINDOW / READS)
#define CANARY 66

static struct ru_target t;

/* In the child: READS reads in flight, then wait for the end. */
static int read_for_ever(void)
{
	int disk = open(h_disk("slow"), O_RDONLY | O_DIRECT | O_CLOEXEC);
	struct ru_ring ring;
	int err;

	err = disk < 0 ? -errno : ru_target_open(&t, "target", WINDOW);
	err = err ?: ru_ring_open(&ring, READS);
	for (int i = 0; !err && i < READS; i++)
		err = ru_ring_read(&ring, disk, t.win + i * STRIDE, READ_SIZE, i * READ_SIZE);
	return err;
}

/* A process that has reads in flight.  Returns its pid, 0 on failure. */
static pid_t start_reader(unsigned int iops)
{
	int pipefd[2], err = -1;
	pid_t pid;

	if (ru_throttle(iops) || pipe2(pipefd, O_CLOEXEC))
		return 0;
	pid = fork();
	if (!pid) {
		err = read_for_ever();
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

/* When it is reaped its files are closed: an exit closes them first. */
static void kill_reader(pid_t pid)
{
	int status;

	H_CHECK(pid > 0);
	H_CHECK(dev_count("target", "pinned_folios") > 0);
	kill(pid, SIGKILL);
	H_EQ(waitpid(pid, &status, 0), pid);
	H_CHECK(WIFSIGNALED(status));
}

static void clean_up(void)
{
	dev_close(&t.d);
	dev_check_rest("target");
}

/* Open, fill with the canary, and let come what still is on its way. */
static void canary_survives(void)
{
	ru_fill(t.raw, WINDOW, CANARY);
	H_EQ(ru_throttle(0), 0);
	H_CHECK(h_wait_until(!dev_count("target", "pinned_folios"), 20000));
	H_EQ(ru_differs(t.raw, WINDOW, CANARY), -1);
}

static void close_waits(void)
{
	long long drained;

	H_EQ(dev_param("hook_timeout_ms", "20000"), 0);
	kill_reader(start_reader(8));
	if (!h_failed()) {
		drained = dev_count("target", "drain_timeouts");
		/* Not a moment later: the close has waited for them. */
		H_CHECK(dev_state_is("target", "closed"));
		H_EQ(ru_target_open(&t, "target", WINDOW), 0);
		canary_survives();
		H_EQ(dev_count("target", "drain_timeouts"), drained);
	}
	ru_throttle(0);
	clean_up();
}

static void close_gives_up(void)
{
	long long timeouts = dev_count("target", "drain_timeouts");
	int first;

	h_expect_log("p2p: [0-9]+ folios still pinned after");
	h_expect_log("p2p: closed under I/O; opening it is refused until that ends");
	h_expect_log("p2p: not opened: I/O of its last user still holds pages");
	H_EQ(dev_param("hook_timeout_ms", "100"), 0);
	kill_reader(start_reader(4));
	first = ru_target_open(&t, "target", WINDOW);
	/* Where it is not refused, the canary shows why it should have been. */
	if (first) {
		H_CHECK(dev_state_is("target", "draining"));
		H_EQ(ru_throttle(0), 0);
		H_CHECK(h_wait_until((h_sleep_ms(50), !ru_target_open(&t, "target", WINDOW)), 20000));
	}
	canary_survives();
	H_EQ(first, -EBUSY);
	H_EQ(dev_count("target", "drain_timeouts"), timeouts + 1);
	clean_up();
}

/* Held pins */

static void close_with_pin(struct ru_hold *h)
{
	H_EQ(dev_param("hook_timeout_ms", "100"), 0);
	H_EQ(ru_target_open(&t, "target", WINDOW), 0);
	*h = (struct ru_hold){ .first = { t.d.fd, t.cookie } };
	H_EQ(ru_hold_begin(h), 0);
	H_EQ(ru_hold_unmap(h), 0);
	dev_close(&t.d);
	H_CHECK(dev_state_is("target", "draining"));
	H_EQ(dev_count("target", "pinned_folios"), 1);
}

static void refused_until_served(void)
{
	struct ru_hold h;

	close_with_pin(&h);
	for (int i = 0; i < 3; i++)
		H_EQ(dev_open(&t.d, "target"), -EBUSY);
	ru_hold_end(&h);
	H_CHECK(h_wait_until(dev_state_is("target", "closed"), 5000));
	H_EQ(ru_target_open(&t, "target", WINDOW), 0);
	ru_fill(t.raw, WINDOW, CANARY);
	H_EQ(ru_differs(t.win, WINDOW, CANARY), -1);
	clean_up();
}

/* The pages must outlast the pin, so the driver stays. */
static long unbind(void *arg)
{
	return h_bind(arg, NULL);
}

static void unbind_waits(void)
{
	char bdf[16], driver[32];
	struct ru_call call;
	struct ru_hold h;

	snprintf(bdf, sizeof(bdf), "%s", h_pci("target"));
	close_with_pin(&h);
	if (h_failed())
		return;
	ru_call(&call, unbind, bdf);
	/* The driver's attributes go first. */
	H_CHECK(h_wait_until(dev_count("target", "windows") == -ENOENT, 5000));
	/* Time enough for one that would not wait. */
	H_CHECK(!ru_join(&call, 1000));
	ru_hold_end(&h);
	H_CHECK(ru_join(&call, 10000));
	H_EQ(call.ret, 0);
	H_EQ(h_driver(bdf, driver, sizeof(driver)), 0);
	H_EQ(*driver, 0);
	dev_bind("target", DEV_P2P);
	H_EQ(ru_target_open(&t, "target", WINDOW), 0);
	t.win[0] = 1;
	clean_up();
}

/* What a close leaves, and what it does not. */
static void windows_stay(void)
{
	struct p2p_vfio_state first, second;
	struct p2p_vfio_window w;

	H_EQ(ru_target_open(&t, "target", WINDOW), 0);
	H_EQ(dev_state(&t.d, &first), 0);
	t.win[0] = 1;
	dev_close(&t.d);
	H_CHECK(dev_state_is("target", "closed"));
	H_EQ(dev_open(&t.d, "target"), 0);
	H_EQ(dev_window_get(&t.d, 0, 0, &w), 0);
	H_EQ(w.length, WINDOW);
	H_EQ(w.mmap_offset, t.cookie);
	H_EQ(dev_state(&t.d, &second), 0);
	H_EQ(second.windows, first.windows);
	H_CHECK(second.generation > first.generation);
	H_EQ(second.revokes[P2P_VFIO_CAUSE_CLOSE], first.revokes[P2P_VFIO_CAUSE_CLOSE] + 1);
	H_EQ(second.touched_folios, 0);
	clean_up();
}

static const struct h_case cases[] = {
	{ "the close of a killed process waits for its reads", close_waits },
	{ "a close that gives up keeps the next user out", close_gives_up },
	{ "the device opens when the pin has gone, not before", refused_until_served },
	{ "unbinding waits for the pin", unbind_waits },
	{ "windows stay when the device is closed", windows_stay },
	{ }
};

int main(int argc, char **argv)
{
	dev_bind("target", DEV_P2P);
	return h_main(argc, argv, cases);
}
