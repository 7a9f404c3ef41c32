// SPDX-License-Identifier: MIT
/*
 * Storage that hangs or fails, with I/O of a window in flight.  (Of a disk's
 * controller that is reset or goes away: t_controllers.c.)
 *
 * The test decides when a transfer ends.  QEMU holds a request of the disk
 * "hung" between the NVMe command and the image file, and lets it go when told
 * (blkdebug); it can also let it fail.  A cgroup's io.max keeps requests of
 * another disk in the kernel's throttle queue.  A third is throttled by QEMU,
 * and the fourth takes 30 s for everything.  In all of them the pages are pinned
 * from the submission to the end, so whatever would reset the device must find
 * them held:
 *
 *  - what its owner asks for is refused after drain_timeout_ms, changes nothing,
 *    and can be interrupted by a signal meanwhile;
 *  - or, when the storage comes back in time, it waits, and afterwards nothing
 *    of the transfer arrives any more: a canary written the moment the call has
 *    returned stays whole;
 *  - what cannot be refused goes on after hook_timeout_ms, says so, and then the
 *    documented gap is seen: the read lands late, over whatever is there, but
 *    nowhere else; the write sends what is in the window then.  Nobody can open
 *    the device until that is over.
 *
 * When the transfer has ended, well or with an error, all is at rest and the
 * same calls succeed.
 *
 * Fails without: the refusal (timeout-acts), the wait of a hook
 * (hook-in-a-hurry), the drain (no-drain), the refusal of an open with pins
 * (open-while-stale), the interruptible wait (signal-ignored).
 */
#define _GNU_SOURCE
#include "dev.h"
#include "harness.h"
#include "revoke_util.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define WINDOW (4 * DEV_MIB2)
#define AT DEV_MIB2		/* where in the window the transfer is */
#define SIZE ((size_t)65536)
#define OLD 21
#define DATA 22			/* what a read brings */
#define CANARY 23
#define DRAIN_MS 500
#define HOOK_MS 300
#define MS 1000000ull

static struct ru_target t;

/* Ways to hang.  A transfer sent between begin() and end() stays in flight. */

struct hang {
	const char *disk;	/* role */
	off_t offset;
	bool write;
	int (*begin)(const struct hang *h);
	int (*end)(const struct hang *h);
	long result;		/* what the transfer returns at last */
	bool no_data;		/* and yet it moves nothing */
};

static int hung_begin(const struct hang *h)
{
	return h_hostf(NULL, 0, "{\"hmp\": \"qemu-io hung \\\"break %s held\\\"\"}",
		       h->write ? "write_aio" : "read_aio");
}

static int hung_end(const struct hang *h)
{
	(void)h;
	return h_host("{\"hmp\": \"qemu-io hung \\\"remove_break held\\\"\"}", NULL, 0);
}

#define CGROUPS "/run/cgroup"

static int io_max(const struct hang *h, const char *limit)
{
	struct stat st;
	char text[96];

	if (stat(h_disk(h->disk), &st))
		return -errno;
	snprintf(text, sizeof(text), "%u:%u rbps=%s wbps=%s", major(st.st_rdev), minor(st.st_rdev),
		 limit, limit);
	return h_write(CGROUPS "/limited/io.max", text);
}

/* The first transfer would have to wait for more than a minute. */
static int cgroup_begin(const struct hang *h)
{
	char pid[16];

	mkdir(CGROUPS, 0755);
	if (mount("cgroup2", CGROUPS, "cgroup2", 0, NULL) && errno != EBUSY)
		return -errno;
	mkdir(CGROUPS "/limited", 0755);
	snprintf(pid, sizeof(pid), "%d", getpid());
	return h_write(CGROUPS "/cgroup.subtree_control", "+io") ?: io_max(h, "1024") ?:
	       h_write(CGROUPS "/limited/cgroup.procs", pid);
}

static int cgroup_end(const struct hang *h)
{
	return io_max(h, "max");
}

static int reopen_stuck(const char *group, const char *file)
{
	return h_hostf(NULL, 0, "{\"qmp\": {\"execute\": \"blockdev-reopen\", \"arguments\": {\"options\": "
		"[{\"driver\": \"throttle\", \"node-name\": \"stuck\", \"throttle-group\": \"%s\", "
		"\"file\": \"%s\"}]}}}", group, file);
}

static int stuck_begin(const struct hang *h)
{
	(void)h;
	return reopen_stuck("unlimited", "half-minute");
}

/* What it has begun takes its time. */
static int stuck_end(const struct hang *h)
{
	(void)h;
	return 0;
}

/* What has gone through so far is forgotten with it. */
static int set_limit(void)
{
	return h_host("{\"qmp\": {\"execute\": \"qom-set\", \"arguments\": {\"path\": \"/objects/nothing\", "
		      "\"property\": \"limits\", \"value\": {\"bps-total\": 1}}}}", NULL, 0);
}

/* A byte a second: the first read goes through, on credit, and nothing after it. */
static int throttled_begin(const struct hang *h)
{
	void *page = aligned_alloc(RU_PAGE, RU_PAGE);
	int err = set_limit() ?: reopen_stuck("nothing", "at-once"), fd;

	fd = open(h_disk(h->disk), O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (!err && pread(fd, page, RU_PAGE, 0) != RU_PAGE)
		err = -EIO;
	close(fd);
	free(page);
	return err;
}

static int throttled_end(const struct hang *h)
{
	(void)h;
	return reopen_stuck("unlimited", "at-once");
}

static const struct hang
	hung_read = { "hung", 0, false, hung_begin, hung_end, SIZE },
	hung_write = { "hung", 1 << 20, true, hung_begin, hung_end, SIZE },
	failing_read = { "hung", 16 << 20, false, hung_begin, hung_end, -ENODATA },
	failing_write = { "hung", 32 << 20, true, hung_begin, hung_end, -ENODATA },
	limited_read = { "hung", 2 << 20, false, cgroup_begin, cgroup_end, SIZE },
	limited_write = { "hung", 3 << 20, true, cgroup_begin, cgroup_end, SIZE },
	throttled_read = { "stuck", 0, false, throttled_begin, throttled_end, SIZE },
	stuck_read = { "stuck", 0, false, stuck_begin, stuck_end, SIZE, true };

/* The transfer */

static struct ru_call io;

static long transfer(void *arg)
{
	const struct hang *h = arg;
	int fd = open(h_disk(h->disk), O_RDWR | O_DIRECT | O_CLOEXEC);
	ssize_t n = h->write ? pwrite(fd, t.win + AT, SIZE, h->offset) :
			       pread(fd, t.win + AT, SIZE, h->offset);

	n = n < 0 ? -errno : n;
	close(fd);
	return n;
}

/* By way of the page cache, and not of a window. */
static void fill_disk(const struct hang *h)
{
	int fd = open(h_disk(h->disk), O_RDWR | O_SYNC | O_CLOEXEC);
	char *data = malloc(SIZE);

	ru_fill(data, SIZE, DATA);
	H_EQ(pwrite(fd, data, SIZE, h->offset), SIZE);
	free(data);
	close(fd);
}

static long disk_differs(const struct hang *h, unsigned int seed)
{
	int fd = open(h_disk(h->disk), O_RDONLY | O_DIRECT | O_CLOEXEC);
	char *data = aligned_alloc(RU_PAGE, SIZE);
	long differs = -2;

	if (pread(fd, data, SIZE, h->offset) == (ssize_t)SIZE)
		differs = ru_differs(data, SIZE, seed);
	free(data);
	close(fd);
	return differs;
}

static bool brings_data(const struct hang *h)
{
	return !h->write && h->result > 0 && !h->no_data;
}

/* stuck has no memory. */
static unsigned int data_of(const struct hang *h)
{
	return !strcmp(h->disk, "stuck") ? 0 : DATA;
}

static bool holds_data(const struct hang *h, const char *at)
{
	if (data_of(h))
		return ru_differs(at, SIZE, DATA) < 0;
	for (size_t i = 0; i < SIZE; i += 4)
		if (*(volatile const uint32_t *)(at + i))
			return false;
	return true;
}

/* The pattern begins anew where the transfer is. */
static void paint(char *window, unsigned int seed)
{
	ru_fill(window, WINDOW, seed);
	ru_fill(window + AT, SIZE, seed);
}

static bool is_painted(unsigned int seed)
{
	static char is[WINDOW], want[WINDOW];

	memcpy(is, t.raw, WINDOW);
	paint(want, seed);
	return !memcmp(is, want, WINDOW);
}

/* Folios that a transfer holds. */
static long long held(void)
{
	return (SIZE + dev_folio() - 1) / dev_folio();
}

static void send_transfer(const struct hang *h)
{
	H_EQ(ru_timeouts(DRAIN_MS, HOOK_MS), 0);
	H_EQ(ru_target_open(&t, "target", WINDOW), 0);
	if (brings_data(h) && data_of(h))
		fill_disk(h);
	paint(t.raw, OLD);
	H_EQ(h->begin(h), 0);
	ru_call(&io, transfer, (void *)h);
	H_CHECK(h_wait_until(dev_count("target", "pinned_folios") == held(), 10000));
	H_CHECK(!ru_done(&io));
}

/* A transfer in flight that does not end. */
static bool set_up(const struct hang *h)
{
	send_transfer(h);
	if (h_failed())
		h->end(h);
	return !h_failed();
}

static void let_go(const struct hang *h)
{
	H_EQ(h->end(h), 0);
	H_CHECK(ru_join(&io, 45000));
	H_EQ(io.ret, h->result);
	H_CHECK(h_wait_until(!dev_count("target", "pinned_folios"), 2000));
}

static void works_again(void)
{
	H_EQ(ru_reset(&t.d), 0);
	H_CHECK(ru_works(&t));
	dev_close(&t.d);
	dev_check_rest("target");
}

/* Refused */

static long write_command(uint16_t command)
{
	ssize_t n = dev_config_write(&t.d, PCI_COMMAND, &command, sizeof(command));

	return n == sizeof(command) ? 0 : n;
}

static long memory_off(void *arg)
{
	uint16_t command;

	dev_config_read(arg, PCI_COMMAND, &command, sizeof(command));
	return write_command(command & ~PCI_COMMAND_MEMORY);
}

static long low_power(void *arg)
{
	return dev_feature(arg, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY, NULL, 0);
}

static void is_refused(long (*act)(void *), enum p2p_vfio_cause cause)
{
	struct p2p_vfio_state before, now;
	uint64_t begin = h_now_ns();

	H_EQ(dev_state(&t.d, &before), 0);
	H_EQ(act(&t.d), -EBUSY);
	H_CHECK(h_now_ns() - begin >= DRAIN_MS * MS);
	H_EQ(dev_state(&t.d, &now), 0);
	H_EQ(now.revokes[cause]--, before.revokes[cause] + 1);
	H_EQ(now.drain_timeouts--, before.drain_timeouts + 1);
	H_CHECK(ru_same_state(&now, &before));
	H_EQ(now.state, P2P_VFIO_STATE_LIVE);
	H_EQ(now.pinned_folios, held());
	H_EQ(ru_differs(t.raw + AT, SIZE, OLD), -1);
	H_CHECK(ru_works(&t));
	H_CHECK(!ru_done(&io));
}

static atomic_int handled;

static void on_signal(int number)
{
	(void)number;
	atomic_store(&handled, 1);
}

/* Far from the end of its time. */
static void is_interrupted(void)
{
	struct sigaction sa = { .sa_handler = on_signal };
	struct ru_call act;

	H_EQ(ru_timeouts(600000, HOOK_MS), 0);
	sigaction(SIGUSR1, &sa, NULL);
	ru_call(&act, ru_reset, &t.d);
	H_CHECK(h_wait_until(dev_state_is("target", "draining"), 5000));
	pthread_kill(act.thread, SIGUSR1);
	H_CHECK(ru_join(&act, 3000));
	H_EQ(act.ret, -EINTR);
	H_CHECK(atomic_load(&handled));
	H_CHECK(dev_state_is("target", "live"));
	H_CHECK(!ru_done(&io));
}

static void expect_pinned(const char *rest)
{
	char line[256];

	snprintf(line, sizeof(line), "p2p: %lld folios still pinned after [0-9]+ ms%s", held(), rest);
	h_expect_log(line);
}

static void refused(const struct hang *h)
{
	expect_pinned("; first: window 0, BAR 2, offset 0x200000, [0-9]+ references; "
		      "revoked for [0-9]+ ms .reset.");
	if (!set_up(h))
		return;
	is_refused(ru_reset, P2P_VFIO_CAUSE_RESET);
	is_refused(ru_hot_reset, P2P_VFIO_CAUSE_HOT_RESET);
	is_refused(memory_off, P2P_VFIO_CAUSE_CONFIG);
	is_refused(low_power, P2P_VFIO_CAUSE_LOW_POWER);
	is_interrupted();
	let_go(h);
	if (h_failed())
		return;
	if (brings_data(h))
		H_CHECK(holds_data(h, t.raw + AT));
	if (h->write && h->result > 0)
		H_EQ(disk_differs(h, OLD), -1);
	works_again();
}

/* Waited for */

/* The reset has returned: what is written from now on is the next user's. */
static void waited_for(const struct hang *h)
{
	struct ru_call act;

	if (!set_up(h))
		return;
	H_EQ(ru_timeouts(600000, HOOK_MS), 0);
	ru_call(&act, ru_reset, &t.d);
	H_CHECK(h_wait_until(dev_state_is("target", "draining"), 5000));
	/* Time enough for one that would not wait. */
	H_CHECK(!ru_join(&act, 300));
	H_EQ(h->end(h), 0);
	H_CHECK(ru_join(&act, 45000));
	H_EQ(act.ret, 0);
	if (brings_data(h))
		H_CHECK(holds_data(h, t.raw + AT));
	else
		H_EQ(ru_differs(t.raw + AT, SIZE, OLD), -1);
	paint(t.raw, CANARY);
	let_go(h);
	H_CHECK(is_painted(CANARY));
	/* Sent before the reset: the canary was not there yet. */
	if (h->write && h->result > 0)
		H_EQ(disk_differs(h, OLD), -1);
	works_again();
}

/* Not refusable */

static void reset_goes_on(void)
{
	struct p2p_vfio_state before, now;
	uint64_t begin = h_now_ns();

	H_EQ(dev_state(&t.d, &before), 0);
	H_EQ(h_writef("1", "/sys/bus/pci/devices/%s/reset", t.d.bdf), 0);
	H_EQ(dev_state(&t.d, &now), 0);
	H_CHECK(h_now_ns() - begin >= HOOK_MS * MS);
	H_EQ(now.generation, before.generation + 1);
	H_EQ(now.drain_timeouts, before.drain_timeouts + 1);
	H_EQ(now.revokes[P2P_VFIO_CAUSE_PCI_RESET], before.revokes[P2P_VFIO_CAUSE_PCI_RESET] + 1);
	H_EQ(now.state, P2P_VFIO_STATE_LIVE);
	H_EQ(now.pinned_folios, held());
	H_CHECK(!ru_done(&io));
}

static bool revoke_cause_is(const char *cause)
{
	char text[32];

	return !h_readf(text, sizeof(text), "/sys/bus/pci/devices/%s/p2p_vfio/revoke_cause",
			h_pci("target")) && !strcmp(text, cause);
}

static void close_goes_on(void)
{
	long long age;

	dev_close(&t.d);
	H_CHECK(dev_state_is("target", "draining"));
	H_CHECK(revoke_cause_is("close"));
	age = dev_count("target", "revoke_us");
	H_CHECK(age >= HOOK_MS * 1000);
	H_EQ(dev_count("target", "pinned_folios"), held());
	H_EQ(dev_open(&t.d, "target"), -EBUSY);
	dev_close(&t.d);
	/* It was closed when it was closed; who knocks does not change that. */
	H_CHECK(dev_count("target", "revoke_us") > age);
	H_CHECK(!ru_done(&io));
}

/* The canary everywhere, but for what a late read has written, and that is whole. */
static void only_the_late_read(const struct hang *h)
{
	if (brings_data(h)) {
		H_CHECK(holds_data(h, t.raw + AT));
		ru_fill(t.raw + AT, SIZE, CANARY);
	}
	H_CHECK(is_painted(CANARY));
}

static void forced(const struct hang *h)
{
	expect_pinned("");
	h_expect_log("p2p: a reset goes on under I/O; its data may be lost, its pages stay allocated");
	h_expect_log("p2p: closed under I/O; opening it is refused until that ends");
	h_expect_log("p2p: not opened: I/O of its last user still holds pages");
	if (!set_up(h))
		return;
	reset_goes_on();
	paint(t.raw, CANARY);
	close_goes_on();
	let_go(h);
	if (h_failed())
		return;
	H_CHECK(h_wait_until(dev_state_is("target", "closed"), 2000));
	H_EQ(ru_target_open(&t, "target", WINDOW), 0);
	only_the_late_read(h);
	/* What was there when the disk came back, not when it was sent. */
	if (h->write && h->result > 0)
		H_EQ(disk_differs(h, CANARY), -1);
	works_again();
}

#define CASES(hang)						\
	static void hang##_refused(void) { refused(&hang); }	\
	static void hang##_waited(void) { waited_for(&hang); }	\
	static void hang##_forced(void) { forced(&hang); }

CASES(hung_read)
CASES(hung_write)
CASES(failing_read)
CASES(failing_write)
CASES(limited_read)
CASES(limited_write)
CASES(throttled_read)
CASES(stuck_read)

static const struct h_case cases[] = {
	{ "a hung read: refused", hung_read_refused },
	{ "a hung read: waited for", hung_read_waited },
	{ "a hung read: forced", hung_read_forced },
	{ "a hung write: refused", hung_write_refused },
	{ "a hung write: waited for", hung_write_waited },
	{ "a hung write: forced", hung_write_forced },
	{ "a read that fails at last: refused", failing_read_refused },
	{ "a read that fails at last: waited for", failing_read_waited },
	{ "a read that fails at last: forced", failing_read_forced },
	{ "a write that fails at last: refused", failing_write_refused },
	{ "a write that fails at last: waited for", failing_write_waited },
	{ "a write that fails at last: forced", failing_write_forced },
	{ "a read in a cgroup's queue: refused", limited_read_refused },
	{ "a read in a cgroup's queue: waited for", limited_read_waited },
	{ "a read in a cgroup's queue: forced", limited_read_forced },
	{ "a write in a cgroup's queue: refused", limited_write_refused },
	{ "a write in a cgroup's queue: waited for", limited_write_waited },
	{ "a write in a cgroup's queue: forced", limited_write_forced },
	{ "a read throttled to nothing: refused", throttled_read_refused },
	{ "a read throttled to nothing: waited for", throttled_read_waited },
	{ "a read throttled to nothing: forced", throttled_read_forced },
	{ "a read that takes 30 s: refused", stuck_read_refused, 60 },
	{ "a read that takes 30 s: waited for", stuck_read_waited, 60 },
	{ "a read that takes 30 s: forced", stuck_read_forced, 60 },
	{ }
};

int main(int argc, char **argv)
{
	dev_bind("target", DEV_P2P);
	return h_main(argc, argv, cases);
}
