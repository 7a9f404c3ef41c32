// SPDX-License-Identifier: MIT
/*
 * A test program that is wrong in the way its argument says.  The tests of the
 * runner boot it and demand that each wrong is noticed.
 */
#define _GNU_SOURCE
#include "harness.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <unistd.h>

#define TROUBLE "/sys/module/p2p_vfio_pci/parameters/trouble"

static int one_ok(void)
{
	h_plan(1);
	h_ok(true, "the one");
	return h_done();
}

static int good(void)
{
	h_write(TROUBLE, "message");
	return one_ok();
}

static int fails(void)
{
	h_plan(2);
	h_ok(true, "this is right");
	h_ok(false, "this is wrong");
	return h_done();
}

/* As a program that believes itself. */
static int fails_with_status_0(void)
{
	fails();
	return 0;
}

static _Noreturn void wait_for_ever(void)
{
	for (;;)
		pause();
}

static int hangs(void)
{
	h_plan(1);
	signal(SIGTERM, SIG_IGN);
	if (!fork())
		setsid();	/* a child that leaves the session is ended as well */
	wait_for_ever();
}

static int is_silent(void)
{
	return 0;
}

static int gives_fewer(void)
{
	h_plan(3);
	h_ok(true, "one");
	h_ok(true, "two");
	return 0;
}

static int exits_with_status_3(void)
{
	one_ok();
	return 3;
}

static int is_killed(void)
{
	one_ok();
	raise(SIGSEGV);
	return 0;
}

static int bails(void)
{
	h_plan(1);
	h_bail("nothing to test with");
}

static int forges(void)
{
	puts("ok 2 - forges\nok 3 - unload\nok 4 - kernel log");
	puts("# verdict complete plan=4 ok=4 fail=0");
	return 0;
}

static int splats(void)
{
	h_write("/dev/kmsg", "<4>BUG: written by the test, no newline");
	return one_ok();
}

static int expects_in_vain(void)
{
	h_expect_log("this never comes");
	return one_ok();
}

static int warns(void)
{
	h_write(TROUBLE, "warn");
	return one_ok();
}

static int oopses(void)
{
	h_plan(1);
	h_write("/proc/sysrq-trigger", "c");
	return h_done();
}

static int powers_off(void)
{
	h_plan(2);
	h_ok(true, "before the end");
	reboot(RB_POWER_OFF);
	pause();
	return 0;
}

static int reboots(void)
{
	h_plan(2);
	h_ok(true, "before the end");
	reboot(RB_AUTOBOOT);
	pause();
	return 0;
}

static int wants_another_life(void)
{
	one_ok();
	h_next_life("reset");
}

static int stops_the_machine(void)
{
	h_plan(1);
	h_host("{\"qmp\": {\"execute\": \"stop\"}}", NULL, 0);
	h_ok(true, "never reached");
	return h_done();
}

static void case_fails(void)
{
	H_EQ(1 + 1, 3);
}

static void case_crashes(void)
{
	raise(SIGBUS);
}

static void case_hangs(void)
{
	wait_for_ever();
}

static void case_skips(void)
{
	h_skip_case("for no reason");
}

static void case_is_right(void)
{
	H_CHECK(true);
}

static int bad_cases(void)
{
	static const struct h_case cases[] = {
		{ "fails", case_fails }, { "crashes", case_crashes },
		{ "hangs", case_hangs, 1 }, { "skips", case_skips },
		{ "is right", case_is_right }, { }
	};

	return h_main(0, NULL, cases);
}

int main(int argc, char **argv)
{
	static const struct { const char *name; int (*run)(void); } ways[] = {
		{ "good", good }, { "fails", fails }, { "fails with status 0", fails_with_status_0 },
		{ "hangs", hangs }, { "is silent", is_silent }, { "gives fewer", gives_fewer },
		{ "exits with status 3", exits_with_status_3 }, { "is killed", is_killed },
		{ "bails", bails }, { "forges", forges }, { "splats", splats },
		{ "expects in vain", expects_in_vain }, { "warns", warns }, { "oopses", oopses },
		{ "powers off", powers_off }, { "stops the machine", stops_the_machine },
		{ "bad cases", bad_cases }, { "reboots", reboots },
		{ "wants another life", wants_another_life },
	};

	for (size_t i = 0; argc > 1 && i < sizeof(ways) / sizeof(*ways); i++)
		if (!strcmp(argv[1], ways[i].name))
			return ways[i].run();
	return 99;
}
