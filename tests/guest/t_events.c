// SPDX-License-Identifier: MIT
/*
 * Every event that revokes, one case each.
 *
 * Before it a page of the window is mapped, so that there is something to zap.
 * The event must be counted once, under its cause; the mapping must have gone;
 * the eventfd must have heard of the closing and of the opening; and the
 * generation must be one more.  Afterwards the same address works again, for
 * the CPU and for direct I/O.  Where an event leaves the memory switched off,
 * a touch is a SIGBUS and a read EFAULT until it is on again.
 *
 * Then who may not have the device meanwhile: unbinding waits for the user,
 * rmmod is refused.  And the tracepoints, which tell a revocation as a sequence.
 */
#define _GNU_SOURCE
#include "dev.h"
#include "harness.h"
#include "revoke_util.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define WINDOW (4 * DEV_MIB2)
#define SEED 88

static struct ru_target t;
static int events = -1;

/* How often the eventfd was signalled since the last look. */
static long heard(void)
{
	uint64_t n;

	return read(events, &n, sizeof(n)) == sizeof(n) ? (long)n : 0;
}

static void set_up(void)
{
	H_EQ(ru_target_open(&t, "target", WINDOW), 0);
	events = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	H_EQ(dev_events(&t.d, events, P2P_VFIO_EVENTS_ADD), 0);
}

static void clean_up(void)
{
	dev_close(&t.d);
	dev_check_rest("target");
}

static long direct_read(void)
{
	int disk = open(h_disk("raw"), O_RDONLY | O_DIRECT | O_CLOEXEC);
	long n = pread(disk, t.win + DEV_MIB2, RU_PAGE, 0);

	n = n < 0 ? -errno : n;
	close(disk);
	return n;
}

static void window_works(void)
{
	ru_fill(t.win, RU_PAGE, SEED);
	H_EQ(ru_differs(t.win, RU_PAGE, SEED), -1);
	H_EQ(ru_differs(t.raw, RU_PAGE, SEED), -1);
	H_EQ(direct_read(), RU_PAGE);
}

/* The event happens once, and is over when act returns. */
static void happens(long (*act)(void *), const char *cause)
{
	long long generation = dev_count("target", "generation");
	long long revokes = dev_revokes("target", cause);

	h_diag("%s", cause);
	t.win[0] = 1;
	H_CHECK(dev_count("target", "touched_folios") > 0);
	heard();
	H_EQ(act(&t.d), 0);
	H_EQ(dev_revokes("target", cause), revokes + 1);
	H_EQ(dev_count("target", "generation"), generation + 1);
	H_EQ(dev_count("target", "touched_folios"), 0);
	H_EQ(dev_count("target", "drain_timeouts"), 0);
	H_CHECK(dev_state_is("target", "live"));
	H_EQ(heard(), 2);
}

static void happens_and_works(long (*act)(void *), const char *cause)
{
	set_up();
	if (!h_failed())
		happens(act, cause);
	if (!h_failed())
		window_works();
	clean_up();
}

/* Resets */

static void reset(void)
{
	happens_and_works(ru_reset, "reset");
}

static void hot_reset(void)
{
	happens_and_works(ru_hot_reset, "hot_reset");
}

static long sysfs_reset(void *arg)
{
	struct dev *d = arg;

	return h_writef("1", "/sys/bus/pci/devices/%s/reset", d->bdf);
}

static void reset_from_outside(void)
{
	happens_and_works(sysfs_reset, "pci_reset");
}

/* Registers */

static long change_word(unsigned int at, uint16_t clear, uint16_t set)
{
	uint16_t word;
	ssize_t n = dev_config_read(&t.d, at, &word, sizeof(word));

	word = (word & ~clear) | set;
	if (n == sizeof(word))
		n = dev_config_write(&t.d, at, &word, sizeof(word));
	return n == sizeof(word) ? 0 : n < 0 ? n : -EIO;
}

static long flr(void *arg)
{
	return change_word(dev_capability(arg, PCI_CAP_ID_EXP) + PCI_EXP_DEVCTL, 0,
			   PCI_EXP_DEVCTL_BCR_FLR);
}

static void function_level_reset(void)
{
	set_up();
	if (!h_failed() && !dev_capability(&t.d, PCI_CAP_ID_EXP))
		h_skip_case("the device has no PCI Express capability");
	happens(flr, "config");
	window_works();
	clean_up();
}

/* While memory is off */

static sigjmp_buf back;

static void on_sigbus(int number)
{
	(void)number;
	siglongjmp(back, 1);
}

static bool touch_is_sigbus(void)
{
	struct sigaction sa = { .sa_handler = on_sigbus };

	sigaction(SIGBUS, &sa, NULL);
	if (sigsetjmp(back, 1))
		return true;
	*(volatile char *)t.win = 1;
	return false;
}

static void is_off(void)
{
	H_CHECK(touch_is_sigbus());
	H_EQ(direct_read(), -EFAULT);
	H_CHECK(dev_state_is("target", "live"));
}

static void off_and_on(long (*off)(void *), long (*on)(void *), const char *cause)
{
	long long generation, revokes;

	happens(off, cause);
	if (h_failed())
		return;
	is_off();
	generation = dev_count("target", "generation");
	revokes = dev_revokes("target", cause);
	H_EQ(on(&t.d), 0);
	H_EQ(dev_count("target", "generation"), generation + 1);
	H_EQ(dev_revokes("target", cause), revokes + 1);
	window_works();
}

static long memory_off(void *arg)
{
	(void)arg;
	return change_word(PCI_COMMAND, PCI_COMMAND_MEMORY, 0);
}

static long memory_on(void *arg)
{
	(void)arg;
	return change_word(PCI_COMMAND, 0, PCI_COMMAND_MEMORY);
}

static void command(void)
{
	set_up();
	off_and_on(memory_off, memory_on, "config");
	clean_up();
}

static long d3hot(void *arg)
{
	return change_word(dev_capability(arg, PCI_CAP_ID_PM) + PCI_PM_CTRL, 0, 3);
}

static long d0(void *arg)
{
	return change_word(dev_capability(arg, PCI_CAP_ID_PM) + PCI_PM_CTRL, 3, 0);
}

static void power_state(void)
{
	set_up();
	if (!h_failed() && !dev_capability(&t.d, PCI_CAP_ID_PM))
		h_skip_case("the device has no power management");
	off_and_on(d3hot, d0, "config");
	clean_up();
}

static long low_power_entry(void *arg)
{
	return dev_feature(arg, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY, NULL, 0);
}

static long low_power_exit(void *arg)
{
	return dev_feature(arg, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_LOW_POWER_EXIT, NULL, 0);
}

static void low_power(void)
{
	set_up();
	off_and_on(low_power_entry, low_power_exit, "low_power");
	clean_up();
}

/* The whole system goes to sleep: as far as freezing user space, and back. */
static long system_sleep(void *arg)
{
	(void)arg;
	return h_write("/sys/power/state", "freeze");
}

/* The gate is closed while all are frozen, so this is frozen where it waits for it. */
static atomic_bool enough;

static long touch_all_the_time(void *arg)
{
	volatile char *at = t.win + WINDOW - 1;

	(void)arg;
	while (!atomic_load(&enough))
		*at = 1;
	return 0;
}

static void sleeps(void)
{
	long long waited = dev_count("target", "faults_waited");
	struct ru_call toucher;

	H_EQ(h_write("/sys/power/pm_test", "freezer"), 0);
	H_EQ(h_write("/sys/module/suspend/parameters/pm_test_delay", "0"), 0);
	happens_and_works(system_sleep, "sleep");
	set_up();
	ru_call(&toucher, touch_all_the_time, NULL);
	H_CHECK(h_wait_until(ru_mapped(t.win + WINDOW - 1), 5000));
	H_EQ(system_sleep(NULL), 0);
	H_CHECK(dev_count("target", "faults_waited") > waited);
	H_CHECK(h_wait_until(ru_mapped(t.win + WINDOW - 1), 5000));
	atomic_store(&enough, true);
	H_CHECK(ru_join(&toucher, 5000));
	clean_up();
}

static void sleep_is_refused(void)
{
	struct ru_hold h;
	long long generation;

	h_expect_log("p2p: system sleep refused: I/O holds pages of a window");
	H_EQ(h_write("/sys/power/pm_test", "freezer"), 0);
	H_EQ(dev_param("drain_timeout_ms", "500"), 0);
	set_up();
	generation = dev_count("target", "generation");
	h = (struct ru_hold){ .first = { t.d.fd, t.cookie } };
	H_EQ(ru_hold_begin(&h), 0);
	H_CHECK(system_sleep(NULL) < 0);
	H_EQ(dev_count("target", "generation"), generation);
	H_CHECK(dev_state_is("target", "live"));
	ru_hold_end(&h);
	H_EQ(dev_param("drain_timeout_ms", "30000"), 0);
	window_works();
	clean_up();
}

/* When the eventfd is signalled: at the beginning, and at the end. */
static void signalled_in_time(void)
{
	struct ru_call call;
	struct ru_hold h;

	set_up();
	h = (struct ru_hold){ .first = { t.d.fd, t.cookie } };
	H_EQ(ru_hold_begin(&h), 0);
	H_EQ(heard(), 0);
	ru_call(&call, ru_reset, &t.d);
	H_CHECK(ru_hold_drains(&h, "target"));
	H_EQ(heard(), 1);
	ru_hold_end(&h);
	H_CHECK(ru_join(&call, 10000));
	H_EQ(call.ret, 0);
	H_EQ(heard(), 1);
	/* One that was removed hears nothing. */
	H_EQ(dev_events(&t.d, events, P2P_VFIO_EVENTS_REMOVE), 0);
	H_EQ(ru_reset(&t.d), 0);
	H_EQ(heard(), 0);
	clean_up();
}

/* Removal */

static void unbind(const char *bdf)
{
	_exit(h_bind(bdf, NULL) ? 1 : 0);
}

static void pci_remove(const char *bdf)
{
	_exit(h_writef("1", "/sys/bus/pci/devices/%s/remove", bdf) ? 1 : 0);
}

/*
 * It waits as long as the device is open, and the device works on.  Done by
 * another process: this one could not be killed while it waits for itself.
 */
static void waits_for_user(void (*remove)(const char *bdf))
{
	int status = -1;
	pid_t pid;

	set_up();
	pid = fork();
	if (!pid) {
		dev_close(&t.d);	/* its copies would be users */
		remove(t.d.bdf);
	}
	/* The driver's attributes go first. */
	H_CHECK(h_wait_until(dev_count("target", "generation") == -ENOENT, 5000));
	window_works();
	/* The PCI core has locked the device: as with vfio-pci. */
	H_EQ(ru_reset(&t.d), -EAGAIN);
	window_works();
	H_EQ(waitpid(pid, &status, WNOHANG), 0);
	dev_close(&t.d);
	H_CHECK(h_wait_until(waitpid(pid, &status, WNOHANG) == pid, 10000));
	H_EQ(status, 0);
}

/* Bound anew it is a new device: no windows, no past. */
static void starts_afresh(void)
{
	struct p2p_vfio_window w;

	dev_bind("target", DEV_P2P);
	H_EQ(dev_open(&t.d, "target"), 0);
	H_EQ(dev_window_get(&t.d, 0, 0, &w), -ENOENT);
	H_EQ(dev_revokes("target", "reset"), 0);
	dev_close(&t.d);
	set_up();
	window_works();
	clean_up();
}

/* The host pulls the device, with notice; the guest lets go when its user does. */
static void unplugged_while_open(void)
{
	set_up();
	H_EQ(h_host("{\"qmp\": {\"execute\": \"device_del\", \"arguments\": {\"id\": \"target\"}}}", NULL, 0), 0);
	H_CHECK(h_wait_until(dev_count("target", "generation") == -ENOENT, 5000));
	window_works();
	dev_close(&t.d);
	H_CHECK(h_wait_until(!h_pci("target"), 10000));
}

#define PORT "/sys/bus/pci/devices/0000:00:05.0/config"

/* The port's slot is switched off behind the kernel's back: the device is gone. */
static int pull(void)
{
	int fd = open(PORT, O_RDWR | O_CLOEXEC);
	uint16_t control, off;
	uint8_t at = 0, cap[2] = { 0, PCI_CAPABILITY_LIST };
	ssize_t n = -1;

	pread(fd, &cap[1], 1, PCI_CAPABILITY_LIST);
	while ((at = cap[1]) && pread(fd, cap, 2, at) == 2 && cap[0] != PCI_CAP_ID_EXP)
		;
	if (at && pread(fd, &control, 2, at + PCI_EXP_SLTCTL) == 2) {
		/* It hears of it when all is as it was, and the slot is empty. */
		off = control & ~(PCI_EXP_SLTCTL_HPIE | PCI_EXP_SLTCTL_DLLSCE | PCI_EXP_SLTCTL_PDCE);
		off |= PCI_EXP_SLTCTL_PCC | PCI_EXP_SLTCTL_PWR_IND_OFF;
		n = pwrite(fd, &off, 2, at + PCI_EXP_SLTCTL);
		n = pwrite(fd, &control, 2, at + PCI_EXP_SLTCTL);
	}
	close(fd);
	return n == 2 ? 0 : -EIO;
}

static bool is_gone(void)
{
	struct p2p_vfio_state state;

	return !dev_state(&t.d, &state) && state.state == P2P_VFIO_STATE_GONE;
}

/* Nothing reaches it any more; its pages stay as long as a pin is there. */
static void pulled_while_open(void)
{
	struct p2p_vfio_window w;
	struct ru_hold h;

	set_up();
	t.win[0] = 1;
	h = (struct ru_hold){ .first = { t.d.fd, t.cookie + DEV_MIB2 } };
	H_EQ(ru_hold_begin(&h), 0);
	H_EQ(heard(), 0);
	H_EQ(pull(), 0);
	H_CHECK(h_wait_until(is_gone(), 10000));
	H_CHECK(heard() > 0);
	H_CHECK(h_wait_until(!ru_mapped(t.win), 5000));
	H_CHECK(touch_is_sigbus());
	H_EQ(direct_read(), -EFAULT);
	H_EQ(dev_window_set(&t.d, t.bar, WINDOW, DEV_MIB2, 0, &w), -ENODEV);
	H_EQ(dev_param("hook_timeout_ms", "100"), 0);
	H_EQ(ru_hold_unmap(&h), 0);
	dev_close(&t.d);
	h_sleep_ms(500);
	H_CHECK(h_pci("target"));
	ru_hold_end(&h);
	H_CHECK(h_wait_until(!h_pci("target"), 10000));
}

static void unbound_while_open(void)
{
	waits_for_user(unbind);
	starts_afresh();
}

static void removed_and_found(void)
{
	waits_for_user(pci_remove);
	H_CHECK(!h_pci("target"));
	H_EQ(h_write("/sys/bus/pci/rescan", "1"), 0);
	H_CHECK(h_wait_until(h_pci("target"), 5000));
	starts_afresh();
}

static void module_stays(void)
{
	set_up();
	H_EQ(h_rmmod(DEV_P2P), -EAGAIN);
	window_works();
	clean_up();
}

/* Error recovery */

static int inject(const char *what)
{
	return h_hostf(NULL, 0, "{\"hmp\": \"pcie_aer_inject_error target-port %s\"}", what);
}

/* The port has had an error that harmed nobody: the gate closes, and opens. */
static void nonfatal_error(void)
{
	long long generation, revokes;

	set_up();
	generation = dev_count("target", "generation");
	revokes = dev_revokes("target", "error");
	t.win[0] = 1;
	heard();
	H_EQ(inject("COMP_ABORT"), 0);
	H_CHECK(h_wait_until(dev_revokes("target", "error") == revokes + 1, 5000));
	H_CHECK(h_wait_until(dev_state_is("target", "live"), 5000));
	H_EQ(dev_count("target", "generation"), generation + 1);
	H_EQ(heard(), 2);
	window_works();
	clean_up();
}

/* The bus was reset: closed until the owner has the registers put back. */
static void fatal_error(void)
{
	long long generation, revokes;

	h_expect_log("p2p: no memory decoding after error recovery");
	set_up();
	generation = dev_count("target", "generation");
	revokes = dev_revokes("target", "error");
	t.win[0] = 1;
	H_EQ(inject("DLP"), 0);
	H_CHECK(h_wait_until(dev_revokes("target", "error") == revokes + 1, 5000));
	/* Recovery goes on after it; a reset waits for that, and mends nothing. */
	H_CHECK(h_wait_until(!ru_reset(&t.d), 10000));
	H_CHECK(dev_state_is("target", "quiesced"));
	H_EQ(direct_read(), -EFAULT);
	H_EQ(memory_on(NULL), 0);
	H_CHECK(dev_state_is("target", "live"));
	H_CHECK(dev_count("target", "generation") > generation);
	window_works();
	clean_up();
}

/* A close mends it as well. */
static void fatal_error_then_close(void)
{
	long long revokes;

	h_expect_log("p2p: no memory decoding after error recovery");
	set_up();
	revokes = dev_revokes("target", "error");
	H_EQ(inject("DLP"), 0);
	H_CHECK(h_wait_until(dev_revokes("target", "error") == revokes + 1, 5000));
	H_CHECK(h_wait_until(!ru_reset(&t.d), 10000));
	dev_close(&t.d);
	set_up();
	H_CHECK(dev_state_is("target", "live"));
	window_works();
	clean_up();
}

/* Tracepoints */

#define TRACING "/sys/kernel/tracing/"
#define TRACE_SIZE (256 * 1024)

static void trace_on(void)
{
	H_EQ(h_write(TRACING "events/p2p_vfio/enable", "1"), 0);
	close(open(TRACING "trace", O_WRONLY | O_TRUNC | O_CLOEXEC));
}

static char *trace_off(void)
{
	char *text = calloc(1, TRACE_SIZE);
	int fd = open(TRACING "trace", O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t n;

	h_write(TRACING "events/p2p_vfio/enable", "0");
	while ((n = read(fd, text + len, TRACE_SIZE - 1 - len)) > 0)
		len += n;
	close(fd);
	return text;
}

/* The lines must come in this order; others may come in between. */
static void in_order(const char *text, const char *const lines[])
{
	for (; *lines; lines++) {
		const char *found = strstr(text, *lines);

		if (!found)
			return h_fail("the trace has no '%s' where it should be: %.300s", *lines, text);
		text = found + strlen(*lines);
	}
}

static void trace_reset(void)
{
	static const char *const lines[] = {
		"p2p_vfio_begin:", "cause=reset nested=0",
		"p2p_vfio_zapped:", "pinned_folios=1",
		"p2p_vfio_fault:", "kernel write gate=closed",
		"p2p_vfio_drained:", "pinned_folios=0",
		"p2p_vfio_begin:", "cause=pci_reset nested=1",
		"p2p_vfio_end:", "acted=1 gate=closed",
		"p2p_vfio_end:", "acted=1 gate=open",
		NULL,
	};
	struct ru_call call;
	struct ru_hold h;

	set_up();
	h = (struct ru_hold){ .first = { t.d.fd, t.cookie }, .last = { t.d.fd, t.cookie + DEV_MIB2 } };
	H_EQ(ru_hold_begin(&h), 0);
	trace_on();
	ru_call(&call, ru_reset, &t.d);
	H_CHECK(ru_hold_drains(&h, "target"));
	ru_hold_end(&h);
	H_CHECK(ru_join(&call, 10000));
	in_order(trace_off(), lines);
	clean_up();
}

static void trace_timeout(void)
{
	static const char *const lines[] = {
		"p2p_vfio_begin:", "cause=reset nested=0",
		"p2p_vfio_zapped:", "pinned_folios=1",
		"p2p_vfio_timeout:", "pinned_folios=1",
		"p2p_vfio_end:", "acted=0 gate=open",
		NULL,
	};
	struct ru_hold h;

	H_EQ(dev_param("drain_timeout_ms", "200"), 0);
	set_up();
	h = (struct ru_hold){ .first = { t.d.fd, t.cookie } };
	H_EQ(ru_hold_begin(&h), 0);
	trace_on();
	H_EQ(ru_reset(&t.d), -EBUSY);
	in_order(trace_off(), lines);
	ru_hold_end(&h);
	H_EQ(dev_param("drain_timeout_ms", "30000"), 0);
	clean_up();
}

static const struct h_case cases[] = {
	{ "VFIO_DEVICE_RESET", reset },
	{ "VFIO_DEVICE_PCI_HOT_RESET", hot_reset },
	{ "a reset through sysfs", reset_from_outside },
	{ "a function level reset", function_level_reset },
	{ "memory off and on", command },
	{ "D3hot and D0", power_state },
	{ "low power and back", low_power },
	{ "the system sleeps", sleeps },
	{ "the system does not sleep on a pin", sleep_is_refused },
	{ "the eventfd is signalled at the beginning and at the end", signalled_in_time },
	{ "unbinding waits for the user", unbound_while_open },
	{ "removal waits for the user, and a rescan finds the device", removed_and_found },
	{ "the module stays while the device is open", module_stays },
	{ "a non-fatal error of the port", nonfatal_error },
	{ "a fatal error of the port", fatal_error },
	{ "a fatal error of the port, then a close", fatal_error_then_close },
	{ "the tracepoints of a reset", trace_reset },
	{ "the tracepoints of a refusal", trace_timeout },
	{ }
};

/* There is no device after it. */
static const struct h_case last[] = {
	{ "unplugging waits for the user", unplugged_while_open },
	{ }
};

static const struct h_case pulled[] = {
	{ "the device is pulled without notice", pulled_while_open },
	{ }
};

int main(int argc, char **argv)
{
	dev_bind("target", DEV_P2P);
	if (argc > 1 && !strcmp(argv[1], "last"))
		return h_main(1, argv, last);
	if (argc > 1 && !strcmp(argv[1], "pulled"))
		return h_main(1, argv, pulled);
	return h_main(argc, argv, cases);
}
