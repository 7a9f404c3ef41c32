// SPDX-License-Identifier: MIT
/*
 * A pin that is not given back.
 *
 * userfaultfd holds a direct read inside get_user_pages(), with a page of the
 * window pinned, for as long as the test wants (ru_hold).  Whatever its owner
 * then asks of the device that would need the pin gone must be refused when
 * drain_timeout_ms is over, and must have changed nothing: not the memory, not
 * the registers, not the generation, not the windows.  Everything else works
 * on, and when the page has been served the same call succeeds.
 *
 * A reset from outside (sysfs) cannot be refused.  It waits hook_timeout_ms,
 * says so in the log, and goes on; the page stays allocated, so the read that
 * ends after the reset harms nobody.
 */
#define _GNU_SOURCE
#include "dev.h"
#include "harness.h"
#include "revoke_util.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <string.h>
#include <unistd.h>

#define WINDOW (4 * DEV_MIB2)
#define SEED 33
#define DISK_SEED 11
#define TIMEOUT_MS 1500
#define PINNED (DEV_MIB2 + RU_PAGE)	/* offset of the page that is pinned */
#define MARK_AT (WINDOW - 64)

static struct ru_target t;
static struct ru_hold hold;

static void prepare_disk(void)
{
	static char block[2 * RU_PAGE] __attribute__((aligned(RU_PAGE)));
	int disk = open(h_disk("raw"), O_RDWR | O_DIRECT | O_CLOEXEC);

	H_CHECK(disk >= 0);
	ru_fill(block, sizeof(block), DISK_SEED);
	H_EQ(pwrite(disk, block, sizeof(block), 0), sizeof(block));
	close(disk);
}

static void set_up(void)
{
	char ms[16];

	snprintf(ms, sizeof(ms), "%d", TIMEOUT_MS);
	H_EQ(dev_param("drain_timeout_ms", ms), 0);
	H_EQ(dev_param("hook_timeout_ms", "500"), 0);
	prepare_disk();
	H_EQ(ru_target_open(&t, "target", WINDOW), 0);
	t.raw[MARK_AT] = 0;
	ru_fill(t.raw + PINNED, RU_PAGE, SEED);
	hold = (struct ru_hold){ .first = { t.d.fd, t.cookie + PINNED } };
	H_EQ(ru_hold_begin(&hold), 0);
	H_EQ(dev_count("target", "pinned_folios"), 1);
}

/* The read ends well: its page was there all the time. */
static void release(void)
{
	long n = ru_hold_end(&hold);

	H_CHECK(n >= RU_PAGE);
	H_EQ(ru_differs(t.raw + PINNED, RU_PAGE, DISK_SEED), -1);
	H_CHECK(h_wait_until(!dev_count("target", "pinned_folios"), 2000));
}

static void clean_up(void)
{
	dev_close(&t.d);
	dev_check_rest("target");
}

/* A thread that touches the window meanwhile waits, and goes on in either case. */
static long store_mark(void *arg)
{
	(void)arg;
	((volatile char *)t.win)[MARK_AT] = 1;
	return 0;
}

static bool still_draining(struct ru_call *call)
{
	return ru_hold_drains(&hold, "target") && !ru_done(call);
}

/* Refusal */

struct way {
	long (*act)(void *arg);
	enum p2p_vfio_cause cause;
};

static void check_unchanged(struct p2p_vfio_state before, enum p2p_vfio_cause cause)
{
	struct p2p_vfio_state now;

	H_EQ(dev_state(&t.d, &now), 0);
	H_EQ(now.drain_timeouts, before.drain_timeouts + 1);
	H_EQ(now.revokes[cause], before.revokes[cause] + 1);
	before.drain_timeouts = now.drain_timeouts;
	before.revokes[cause] = now.revokes[cause];
	H_CHECK(ru_same_state(&now, &before));
	H_EQ(now.state, P2P_VFIO_STATE_LIVE);
	H_EQ(now.pinned_folios, 1);
	H_EQ(ru_differs(t.raw + PINNED, RU_PAGE, SEED), -1);
}

static void is_refused(const struct way *way)
{
	struct p2p_vfio_state before;
	struct ru_call act, touch;
	uint64_t begin = h_now_ns();

	H_EQ(dev_state(&t.d, &before), 0);
	ru_call(&act, way->act, &t.d);
	H_CHECK(still_draining(&act));
	ru_call(&touch, store_mark, NULL);
	H_CHECK(ru_join(&act, 10 * TIMEOUT_MS));
	H_EQ(act.ret, -EBUSY);
	H_CHECK(h_now_ns() - begin >= TIMEOUT_MS * 1000000ull);
	H_CHECK(ru_join(&touch, 5000));
	H_EQ(t.raw[MARK_AT], 1);
	check_unchanged(before, way->cause);
}

static void refused_then_done(const struct way *way)
{
	long long generation;

	/* A pin of a page counts 1024 references, one of a large folio is counted beside them. */
	h_expect_log(dev_has_pmd() ?
		     "p2p: 1 folios still pinned after [0-9]+ ms; first: window 0, BAR [0-9], offset 0x20[01]000, 1 references" :
		     "p2p: 1 folios still pinned after [0-9]+ ms; first: window 0, BAR [0-9], offset 0x20[01]000, 1024 references");
	set_up();
	if (!h_failed())
		is_refused(way);
	if (h_failed())
		return;
	H_CHECK(ru_works(&t));
	generation = dev_count("target", "generation");
	release();
	H_EQ(way->act(&t.d), 0);
	H_EQ(dev_count("target", "generation"), generation + 1);
}

static void reset(void)
{
	refused_then_done(&(struct way){ ru_reset, P2P_VFIO_CAUSE_RESET });
	H_CHECK(ru_works(&t));
	clean_up();
}

static void hot_reset(void)
{
	refused_then_done(&(struct way){ ru_hot_reset, P2P_VFIO_CAUSE_HOT_RESET });
	H_CHECK(ru_works(&t));
	clean_up();
}

/* Registers: what the device says itself, not what VFIO remembers of it. */

static unsigned int hardware_word(unsigned int at)
{
	char path[96];
	uint16_t word = 0xffff;
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/config", t.d.bdf);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	pread(fd, &word, sizeof(word), at);
	close(fd);
	return word;
}

static long write_word(unsigned int at, uint16_t value)
{
	ssize_t n = dev_config_write(&t.d, at, &value, sizeof(value));

	return n == sizeof(value) ? 0 : n;
}

static long memory_off(void *arg)
{
	(void)arg;
	return write_word(PCI_COMMAND, hardware_word(PCI_COMMAND) & ~PCI_COMMAND_MEMORY);
}

static void command(void)
{
	unsigned int command;

	set_up();
	if (h_failed())
		return;
	h_expect_log("p2p: 1 folios still pinned");
	command = hardware_word(PCI_COMMAND);
	H_CHECK(command & PCI_COMMAND_MEMORY);
	is_refused(&(struct way){ memory_off, P2P_VFIO_CAUSE_CONFIG });
	if (h_failed())
		return;
	H_EQ(hardware_word(PCI_COMMAND), command);
	H_CHECK(ru_works(&t));
	release();
	H_EQ(memory_off(NULL), 0);
	H_EQ(hardware_word(PCI_COMMAND), command & ~PCI_COMMAND_MEMORY);
	H_EQ(write_word(PCI_COMMAND, command), 0);
	H_CHECK(ru_works(&t));
	clean_up();
}

/* One byte before the register, and its first byte: it overlaps. */
static long memory_off_by_overlap(void *arg)
{
	uint8_t bytes[2];
	ssize_t n;

	(void)arg;
	dev_config_read(&t.d, PCI_COMMAND - 1, bytes, sizeof(bytes));
	bytes[1] &= ~PCI_COMMAND_MEMORY;
	n = dev_config_write(&t.d, PCI_COMMAND - 1, bytes, sizeof(bytes));
	return n == sizeof(bytes) ? 0 : n;
}

static void overlap(void)
{
	unsigned int command;

	set_up();
	if (h_failed())
		return;
	command = hardware_word(PCI_COMMAND);
	is_refused(&(struct way){ memory_off_by_overlap, P2P_VFIO_CAUSE_CONFIG });
	if (h_failed())
		return;
	H_EQ(hardware_word(PCI_COMMAND), command);
	release();
	H_EQ(memory_off_by_overlap(NULL), 0);
	H_EQ(write_word(PCI_COMMAND, command), 0);
	H_CHECK(ru_works(&t));
	clean_up();
}

/* Next to the register, and reads of it: nothing of their business. */
static void harmless_config(void)
{
	long long revokes;
	uint8_t line = 0;
	uint32_t id;

	set_up();
	if (h_failed())
		return;
	revokes = dev_revokes("target", "config");
	H_EQ(dev_config_read(&t.d, PCI_VENDOR_ID, &id, 4), 4);
	H_EQ(dev_config_read(&t.d, PCI_COMMAND, &id, 2), 2);
	H_EQ(dev_config_read(&t.d, PCI_INTERRUPT_LINE, &line, 1), 1);
	H_EQ(dev_config_write(&t.d, PCI_INTERRUPT_LINE, &line, 1), 1);
	H_EQ(dev_config_write(&t.d, PCI_CACHE_LINE_SIZE, &line, 1), 1);
	H_EQ(dev_revokes("target", "config"), revokes);
	release();
	clean_up();
}

static long flr(void *arg)
{
	unsigned int exp = dev_capability(arg, PCI_CAP_ID_EXP);

	return write_word(exp + PCI_EXP_DEVCTL,
			  hardware_word(exp + PCI_EXP_DEVCTL) | PCI_EXP_DEVCTL_BCR_FLR);
}

static void function_level_reset(void)
{
	set_up();
	if (h_failed())
		return;
	if (!dev_capability(&t.d, PCI_CAP_ID_EXP))
		h_skip_case("the device has no PCI Express capability");
	h_expect_log("p2p: 1 folios still pinned");
	is_refused(&(struct way){ flr, P2P_VFIO_CAUSE_CONFIG });
	if (h_failed())
		return;
	H_CHECK(ru_works(&t));
	release();
	H_EQ(flr(&t.d), 0);
	H_CHECK(ru_works(&t));
	clean_up();
}

static long power_state(unsigned int state)
{
	unsigned int at = dev_capability(&t.d, PCI_CAP_ID_PM) + PCI_PM_CTRL;

	return write_word(at, (hardware_word(at) & ~PCI_PM_CTRL_STATE_MASK) | state);
}

static long d3hot(void *arg)
{
	(void)arg;
	return power_state(3);
}

static void power(void)
{
	unsigned int at;

	set_up();
	if (h_failed())
		return;
	at = dev_capability(&t.d, PCI_CAP_ID_PM);
	if (!at)
		h_skip_case("the device has no power management");
	h_expect_log("p2p: 1 folios still pinned");
	is_refused(&(struct way){ d3hot, P2P_VFIO_CAUSE_CONFIG });
	if (h_failed())
		return;
	H_EQ(hardware_word(at + PCI_PM_CTRL) & PCI_PM_CTRL_STATE_MASK, 0);
	H_CHECK(ru_works(&t));
	release();
	H_EQ(d3hot(NULL), 0);
	H_EQ(hardware_word(at + PCI_PM_CTRL) & PCI_PM_CTRL_STATE_MASK, 3);
	H_EQ(power_state(0), 0);
	H_CHECK(ru_works(&t));
	clean_up();
}

static long low_power_entry(void *arg)
{
	return dev_feature(arg, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY, NULL, 0);
}

static void low_power(void)
{
	refused_then_done(&(struct way){ low_power_entry, P2P_VFIO_CAUSE_LOW_POWER });
	H_EQ(dev_feature(&t.d, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_LOW_POWER_EXIT, NULL, 0), 0);
	H_CHECK(ru_works(&t));
	clean_up();
}

/* Refused twice at once: whoever closed the gate, it is open afterwards. */
static void two_at_once(void)
{
	struct p2p_vfio_state before, now;
	struct ru_call a, b;

	set_up();
	if (h_failed())
		return;
	H_EQ(dev_state(&t.d, &before), 0);
	ru_call(&a, ru_reset, &t.d);
	ru_call(&b, memory_off, &t.d);
	H_CHECK(ru_join(&a, 10 * TIMEOUT_MS));
	H_CHECK(ru_join(&b, 10 * TIMEOUT_MS));
	H_EQ(a.ret, -EBUSY);
	H_EQ(b.ret, -EBUSY);
	H_EQ(dev_state(&t.d, &now), 0);
	H_EQ(now.state, P2P_VFIO_STATE_LIVE);
	H_EQ(now.generation, before.generation);
	H_EQ(now.drain_timeouts, before.drain_timeouts + 2);
	H_CHECK(ru_works(&t));
	release();
	H_EQ(ru_reset(&t.d), 0);
	H_CHECK(ru_works(&t));
	clean_up();
}

/* The time that a pin held the reset up is the time that STATE tells. */
static void drain_is_measured(void)
{
	long long seen, longest;
	struct ru_call act;

	set_up();
	/* No time is to run out here. */
	H_EQ(dev_param("drain_timeout_ms", "60000"), 0);
	ru_call(&act, ru_reset, &t.d);
	H_CHECK(still_draining(&act));
	h_sleep_ms(300);
	release();
	H_CHECK(ru_join(&act, 10000));
	H_EQ(act.ret, 0);
	seen = dev_count("target", "drain_last_us");
	longest = dev_count("target", "drain_max_us");
	h_diag("the drain took %lld us, the longest %lld us", seen, longest);
	H_CHECK(seen >= 300000);
	H_CHECK(longest >= seen);
	clean_up();
}

/* What is waited for, since when and why: the same from STATE and sysfs. */
static bool is_revoked_by(enum p2p_vfio_cause cause, const char *name, uint64_t at_least_us)
{
	struct p2p_vfio_state state;
	char text[32];

	return !dev_state(&t.d, &state) && state.revoke_cause == (int)cause &&
	       state.revoke_us >= at_least_us &&
	       !h_readf(text, sizeof(text), "/sys/bus/pci/devices/%s/p2p_vfio/revoke_cause", t.d.bdf) &&
	       !strcmp(text, name) && dev_count("target", "revoke_us") >= (long long)state.revoke_us;
}

static void revocation_is_told(void)
{
	struct p2p_vfio_state state;
	struct ru_call act, nested;

	set_up();
	H_EQ(dev_param("drain_timeout_ms", "60000"), 0);
	H_CHECK(is_revoked_by(P2P_VFIO_CAUSE_NONE, "none", 0));
	H_EQ(dev_count("target", "revoke_us"), 0);
	ru_call(&act, ru_reset, &t.d);
	H_CHECK(still_draining(&act));
	h_sleep_ms(300);
	H_CHECK(is_revoked_by(P2P_VFIO_CAUSE_RESET, "reset", 300000));
	/* One that comes later neither takes the cause nor starts the clock anew. */
	ru_call(&nested, memory_off, &t.d);
	H_CHECK(ru_sleeps(&nested, 5000));
	H_CHECK(is_revoked_by(P2P_VFIO_CAUSE_RESET, "reset", 300000));
	/* What was read is not looked at: the memory may be off by then. */
	H_CHECK(ru_hold_end(&hold) >= RU_PAGE);
	H_CHECK(ru_join(&act, 10000));
	H_CHECK(ru_join(&nested, 10000));
	H_EQ(dev_state(&t.d, &state), 0);
	H_EQ(state.revoke_cause, P2P_VFIO_CAUSE_NONE);
	H_EQ(state.revoke_us, 0);
	clean_up();
	/* The next open ends it. */
	h_sleep_ms(2);
	H_CHECK(dev_count("target", "revoke_us") >= 2000);
	H_EQ(dev_open(&t.d, "target"), 0);
	H_EQ(dev_count("target", "revoke_us"), 0);
	clean_up();
}

/* A reset from outside */

static long sysfs_reset(void *arg)
{
	(void)arg;
	return h_writef("1", "/sys/bus/pci/devices/%s/reset", t.d.bdf);
}

static void from_outside(void)
{
	struct p2p_vfio_state before, now;

	h_expect_log("p2p: 1 folios still pinned");
	h_expect_log("p2p: a reset goes on under I/O");
	set_up();
	if (h_failed())
		return;
	H_EQ(dev_state(&t.d, &before), 0);
	H_EQ(sysfs_reset(NULL), 0);
	H_EQ(dev_state(&t.d, &now), 0);
	H_EQ(now.drain_timeouts, before.drain_timeouts + 1);
	H_EQ(now.revokes[P2P_VFIO_CAUSE_PCI_RESET], before.revokes[P2P_VFIO_CAUSE_PCI_RESET] + 1);
	H_EQ(now.generation, before.generation + 1);
	H_EQ(now.state, P2P_VFIO_STATE_LIVE);
	H_EQ(now.pinned_folios, 1);
	/* The pin is as good a reason for refusal as before. */
	H_EQ(ru_reset(&t.d), -EBUSY);
	H_CHECK(ru_works(&t));
	release();
	H_EQ(ru_reset(&t.d), 0);
	H_CHECK(ru_works(&t));
	clean_up();
}

static const struct h_case cases[] = {
	{ "a reset is refused", reset },
	{ "a hot reset is refused", hot_reset },
	{ "switching memory off is refused", command },
	{ "a write that overlaps the command register is refused", overlap },
	{ "other config accesses are not held up", harmless_config },
	{ "a function level reset is refused", function_level_reset },
	{ "D3hot is refused", power },
	{ "low power is refused", low_power },
	{ "two calls are refused at once", two_at_once },
	{ "the time of a drain is told", drain_is_measured },
	{ "cause and age of a revocation are told", revocation_is_told },
	{ "a reset from outside goes on after its time", from_outside },
	{ }
};

int main(int argc, char **argv)
{
	dev_bind("target", DEV_P2P);
	return h_main(argc, argv, cases);
}
