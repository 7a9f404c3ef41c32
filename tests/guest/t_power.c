// SPDX-License-Identifier: MIT
/*
 * The system sleeps under I/O: so far, as the kernel's own test stops it (frozen;
 * devices suspended; the platform asked), or all the way: to an image on disk, and
 * back from that.  Not suspend to memory, or to idle: the emulated machine did not
 * come back from S3 (why has not been proven; the firmware seems to look for the
 * chip set where that was before the reset), and nothing woke it from idle.
 *
 * The windows are revoked before anything is frozen.  A machine that is asleep has
 * no I/O in flight; one whose I/O does not end in time is not put to sleep, and the
 * caller is told.  Without the notifier the disk's own suspend would still wait for
 * its I/O, so what fails then is the count, and the thread that touches: it must
 * have waited.
 */
#define _GNU_SOURCE
#include "dev.h"
#include "harness.h"
#include "matrix.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/swap.h>
#include <unistd.h>

/* How far: words of pm_test and of state. */
static const char *depth, *state;

static void can_sleep(const char *how, const char *word)
{
	char known[256];

	if (h_read("/sys/power/pm_test", known, sizeof(known)) || !strstr(known, how))
		h_skip_case("this kernel has no pm_test '%s'", how);
	if (h_read("/sys/power/state", known, sizeof(known)) || !strstr(known, word))
		h_skip_case("this kernel has no state '%s'", word);
	H_EQ(h_write("/sys/module/suspend/parameters/pm_test_delay", "0"), 0);
	depth = how;
	state = word;
}

static long sleep_now(void *dev)
{
	(void)dev;
	return h_write("/sys/power/pm_test", depth) ?: h_write("/sys/power/state", state);
}

static void sleeps(const char *id, const char *how, const char *word)
{
	can_sleep(how, word);
	mx_run(&(struct mx_row){ .id = id, .act = sleep_now, .cause = "sleep", .touch = MX_WAITS,
				 /* A test of hibernation stands still for five seconds. */
				 .bound_ms = 30000 });
}

static void freezer(void)
{
	sleeps("sleep-frozen", "freezer", "mem");
}

static void devices(void)
{
	sleeps("sleep-devices", "devices", "mem");
}

static void platform(void)
{
	sleeps("sleep", "platform", "mem");
}

static void hibernation(void)
{
	sleeps("hibernate-devices", "devices", "disk");
}

/* A swap space without bad pages on the raw disk, of which others read anything. */
static int swap_on(void)
{
	static char page[RU_PAGE];
	uint32_t head[2] = { 1, (128 << 20) / RU_PAGE - 1 };	/* version, last page */
	int disk = open(h_disk("raw"), O_WRONLY | O_CLOEXEC);
	ssize_t n;

	memcpy(page + 1024, head, sizeof(head));
	memcpy(page + RU_PAGE - 10, "SWAPSPACE2", 10);
	n = pwrite(disk, page, sizeof(page), 0);
	fsync(disk);
	close(disk);
	return n != sizeof(page) || swapon(h_disk("raw"), 0) ? -errno : 0;
}

/* An image is written, and then taken back instead of switching off. */
static void to_disk_and_back(void)
{
	can_sleep("none", "disk");
	H_EQ(h_write("/sys/power/disk", "test_resume"), 0);
	H_EQ(h_write("/sys/power/image_size", "0"), 0);
	H_EQ(swap_on(), 0);
	mx_run(&(struct mx_row){ .id = "hibernate", .event = "hibernation, and back from the image",
				 .act = sleep_now, .cause = "sleep", .touch = MX_WAITS,
				 .bound_ms = 20000 });
}

/* The reads take 300 ms; on a kernel with checks, which is slow to go to sleep and to come back, 1200. */
static void refused(void)
{
	unsigned int bound_ms = access("/sys/kernel/debug/kmemleak", F_OK) ? 50 : 250;

	h_expect_log("p2p: system sleep refused: I/O holds pages of a window");
	can_sleep("freezer", "mem");
	/* Or the reads end before anybody is asked. */
	H_EQ(h_write("/sys/power/sync_on_suspend", "0"), 0);
	mx_run(&(struct mx_row){ .id = "sleep-veto", .event = "system sleep, refused",
				 .act = sleep_now, .want = -EBUSY, .cause = "sleep", .kept = true,
				 .touch = MX_WAITS, .flight = MX_OUTLASTS, .bound_ms = bound_ms });
}

/* Somebody has prepared a hibernation, and another suspends meanwhile: each has its own end. */
static void within_a_hibernation(void)
{
	struct ru_target t;
	int snapshot;

	if (access("/dev/snapshot", F_OK))
		h_skip_case("this kernel has no /dev/snapshot");
	can_sleep("freezer", "mem");
	H_EQ(ru_target_open(&t, "target", MX_WINDOW), 0);
	snapshot = open("/dev/snapshot", O_RDONLY | O_CLOEXEC);
	H_CHECK(snapshot >= 0);
	H_CHECK(dev_state_is("target", "quiesced"));
	H_EQ(sleep_now(NULL), 0);
	H_CHECK(dev_state_is("target", "quiesced"));
	close(snapshot);
	H_CHECK(dev_state_is("target", "live"));
	/* A touch would wait. */
	if (!h_failed())
		H_CHECK(ru_works(&t));
	ru_close_at_rest(&t);
}

static const struct h_case cases[] = {
	{ "sleep is refused under I/O that does not end", refused, 60 },
	{ "sleep under I/O, as far as freezing", freezer, 60 },
	{ "sleep under I/O, as far as the devices", devices, 60 },
	{ "sleep under I/O, as far as the platform", platform, 60 },
	{ "hibernation under I/O, as far as the devices", hibernation, 60 },
	{ "a sleep while somebody has prepared a hibernation", within_a_hibernation },
	{ }
};

static const struct h_case disk[] = {
	{ "hibernation under I/O, and back", to_disk_and_back, 120 },
	{ }
};

int main(int argc, char **argv)
{
	dev_bind("target", DEV_P2P);
	if (argc > 1 && !strcmp(argv[1], "disk"))
		return h_main(1, argv, disk);
	return h_main(argc, argv, cases);
}
