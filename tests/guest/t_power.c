// SPDX-License-Identifier: MIT
/*
 * The system sleeps under I/O: so far, as the kernel's own test stops it (frozen;
 * devices suspended; the platform asked), or all the way, and woken by the clock.
 * All the way is suspend to idle: the emulated firmware loses its way when it comes
 * back from S3 (it looks for the chip set where it was before the reset).
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
#include <string.h>
#include <unistd.h>

#define WAKE "/sys/class/rtc/rtc0/wakealarm"

/* How far: a word of pm_test, and of state. */
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
				 .bound_ms = 10000 });
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
	sleeps("sleep-platform", "platform", "mem");
}

static void hibernation(void)
{
	sleeps("hibernate-devices", "devices", "disk");
}

static long sleep_until_woken(void *dev)
{
	h_write(WAKE, "0");
	return h_write(WAKE, "+4") ?: sleep_now(dev);
}

static void all_the_way(void)
{
	can_sleep("none", "freeze");
	if (access(WAKE, F_OK))
		h_skip_case("this kernel has no clock that wakes");
	mx_run(&(struct mx_row){ .id = "sleep", .event = "system sleep (to idle, woken by the clock)",
				 .act = sleep_until_woken, .cause = "sleep", .touch = MX_WAITS,
				 .bound_ms = 10000 });
}

/* Reads of 300 ms, and a bound of 100. */
static void refused(void)
{
	h_expect_log("p2p: system sleep refused: I/O holds pages of a window");
	can_sleep("freezer", "mem");
	mx_run(&(struct mx_row){ .id = "sleep-veto", .event = "system sleep, refused",
				 .act = sleep_now, .want = -EBUSY, .cause = "sleep", .kept = true,
				 .touch = MX_WAITS, .flight = MX_OUTLASTS, .bound_ms = 100 });
}

static const struct h_case cases[] = {
	{ "sleep is refused under I/O that does not end", refused, 60 },
	{ "sleep under I/O, as far as freezing", freezer, 60 },
	{ "sleep under I/O, as far as the devices", devices, 60 },
	{ "sleep under I/O, as far as the platform", platform, 60 },
	{ "hibernation under I/O, as far as the devices", hibernation, 60 },
	{ }
};

static const struct h_case deep[] = {
	{ "sleep under I/O, all the way", all_the_way, 90 },
	{ }
};

int main(int argc, char **argv)
{
	dev_bind("target", DEV_P2P);
	if (argc > 1 && !strcmp(argv[1], "deep"))
		return h_main(1, argv, deep);
	return h_main(argc, argv, cases);
}
