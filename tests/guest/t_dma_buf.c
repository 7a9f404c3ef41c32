// SPDX-License-Identifier: MIT
/*
 * A dma-buf of a BAR that has windows: who is told of a reset, and when.
 *
 * vfio-pci-core revokes dma-bufs by itself, right before it acts: it tells the
 * importers, and waits until they have unmapped.  The driver's part is the order:
 * windows are drained before any importer is told, and a revocation that is refused
 * tells nobody (I4).
 *
 * The importer is ours (tests/importer).  It writes down what it sees when it is
 * told: how many folios of the window somebody holds, and a register of the device
 * that only a reset of the hardware clears.  And it is lazy: it stays mapped until
 * the test has it unmap, so that core stands still between the notice and the act,
 * for as long as the test wants to look at driver, device and importers.  Before
 * that, userfaultfd holds a pin of the window (ru_hold), and while it does, nobody
 * may have been told.  No sleep decides anything.
 *
 * What core does not do is here as well, since the documentation says so: a reset
 * that comes through sysfs tells no importer, nor does a system that goes to sleep; a
 * close that has waited for a pin in vain tells them all the same; and who answers the
 * second notice by mapping is refused.
 *
 * Mutants: dma-buf-before-drain, dma-buf-gate-open.
 */
#define _GNU_SOURCE
#include "dev.h"
#include "harness.h"
#include "importer.h"
#include "revoke_util.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <string.h>
#include <unistd.h>

#define WINDOW (4 * DEV_MIB2)
#define FOLIOS (WINDOW / dev_folio())
#define MARK 0x5aa5	/* in ivshmem's interrupt mask, which a reset clears */
#define MS 10000

static struct ru_target t;
static struct ru_hold hold;
static struct imp_place place;
static int dmabuf, lazy, eager;	/* both attached; the lazy one is mapped */

static int write_mark(void)
{
	uint32_t mark = MARK;

	return pwrite(t.d.fd, &mark, sizeof(mark), dev_region_offset(&t.d, 0)) == sizeof(mark) ? 0 : -EIO;
}

static int open_importer(int fd, bool is_lazy)
{
	place.lazy = is_lazy;
	return imp_open("nvme", fd, &place);
}

static void attach(void)
{
	struct imp_map map;

	place.phys = imp_bar_address(&t.d, t.bar);
	place.length = WINDOW;
	place.mark = imp_bar_address(&t.d, 0);
	H_CHECK(place.phys && place.mark);
	H_EQ(write_mark(), 0);
	dmabuf = imp_export(&t.d, t.bar, 0, WINDOW);
	H_CHECK(dmabuf >= 0);
	lazy = open_importer(dmabuf, true);
	H_CHECK(lazy >= 0);
	eager = open_importer(dmabuf, false);
	H_CHECK(eager >= 0);
	H_EQ(imp_map(lazy, &map), WINDOW);
	H_CHECK(map.address);
}

static void set_up(void)
{
	H_EQ(dev_param("drain_timeout_ms", "60000"), 0);
	H_EQ(dev_param("hook_timeout_ms", "60000"), 0);
	H_EQ(ru_target_open(&t, "target", WINDOW), 0);
	attach();
	H_CHECK(ru_works(&t));
}

static void detach(void)
{
	close(lazy);
	close(eager);
	close(dmabuf);
}

static void clean_up(void)
{
	detach();
	dev_close(&t.d);
	dev_check_rest("target");
}

static long map_of(int imp)
{
	struct imp_map map;

	return imp_map(imp, &map);
}

/* Events */

struct event {
	const char *cause;
	long (*act)(void *dev);
	bool resets;		/* the hardware */
	long (*undo)(void *dev);
};

static unsigned int hardware_command(void)
{
	uint16_t word = 0xffff;
	char path[96];
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/config", t.d.bdf);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	pread(fd, &word, sizeof(word), PCI_COMMAND);
	close(fd);
	return word;
}

static long memory_off(void *dev)
{
	uint16_t command = hardware_command() & ~PCI_COMMAND_MEMORY;
	ssize_t n = dev_config_write(dev, PCI_COMMAND, &command, sizeof(command));

	return n == sizeof(command) ? 0 : n;
}

static long memory_on(void *dev)
{
	return ru_memory_on(dev);
}

static long low_power(void *dev)
{
	return dev_feature(dev, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY, NULL, 0);
}

static long full_power(void *dev)
{
	return dev_feature(dev, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_LOW_POWER_EXIT, NULL, 0);
}

/* As far as freezing user space, and back. */
static long system_sleep(void *dev)
{
	(void)dev;
	return h_write("/sys/power/pm_test", "freezer") ?:
	       h_write("/sys/module/suspend/parameters/pm_test_delay", "0") ?:
	       h_write("/sys/power/state", "freeze");
}

static const struct event reset = { "reset", ru_reset, .resets = true };
static const struct event hot_reset = { "hot_reset", ru_hot_reset, .resets = true };
static const struct event command = { "config", memory_off, .undo = memory_on };
static const struct event power = { "low_power", low_power, .undo = full_power };
static const struct event asleep = { "sleep", system_sleep };

static bool cause_is(const char *cause)
{
	char text[32];

	return !h_readf(text, sizeof(text), "/sys/bus/pci/devices/%s/p2p_vfio/revoke_cause", t.d.bdf) &&
	       !strcmp(text, cause);
}

/* The pin is waited for, and no importer knows of it. */
static void drains_untold(struct ru_call *call)
{
	struct imp_seen seen;

	H_CHECK(ru_hold_drains(&hold, "target"));
	H_CHECK(!ru_done(call));
	seen = imp_seen(lazy);
	H_EQ(seen.notices, 0);
	H_EQ(seen.now.mapped, 1);
	H_EQ(seen.now.pinned, 1);
	H_EQ(seen.now.mark, MARK);
	H_EQ(imp_seen(eager).notices, 0);
}

/* Told, and waited for: the windows are quiet by then, and nothing has been done yet. */
static void told_when_quiet(struct ru_call *call, const char *cause, const char *state)
{
	struct imp_seen seen;

	H_CHECK(h_wait_until(imp_seen(lazy).notices, MS));
	seen = imp_seen(lazy);
	H_EQ(seen.notices, 1);
	H_EQ(seen.at[0].mapped, 1);
	H_EQ(seen.at[0].folios, FOLIOS);
	H_EQ(seen.at[0].held, 0);
	H_EQ(seen.at[0].pinned, 0);
	H_EQ(seen.at[0].mark, MARK);
	/* Core stands still; so the rest can be looked at. */
	H_CHECK(!ru_done(call));
	H_CHECK(dev_state_is("target", state));
	H_CHECK(cause_is(cause));
	H_EQ(dev_count("target", "pinned_folios"), 0);
	H_EQ(seen.now.mark, MARK);
	H_CHECK(hardware_command() & PCI_COMMAND_MEMORY);
	/* Whoever asks now is refused, also one that has not been mapped before. */
	H_EQ(map_of(eager), -ENODEV);
	H_EQ(open_importer(dmabuf, false), -ENODEV);
}

/* Of the importer that has been told once. */
static void is_told_of_the_end(const struct event *event)
{
	struct imp_seen seen = imp_seen(lazy);

	if (event->undo) {
		H_EQ(seen.notices, 1);
		H_EQ(map_of(lazy), -ENODEV);
		H_EQ(event->undo(&t.d), 0);
		seen = imp_seen(lazy);
	}
	H_EQ(seen.notices, 2);
	H_EQ(seen.at[1].mapped, 0);
	H_EQ(seen.at[1].held, 0);
	H_EQ(seen.at[1].mark, event->resets ? 0 : MARK);
	H_EQ(map_of(lazy), WINDOW);
	H_EQ(map_of(eager), WINDOW);
	H_CHECK(ru_works(&t));
}

static long touch(void *at)
{
	return ru_sigbus(at);
}

static void windows_first(const struct event *event)
{
	struct ru_call call, toucher;
	long long generation;

	set_up();
	if (h_failed())
		return;
	hold = (struct ru_hold){ .first = { t.d.fd, t.cookie + DEV_MIB2 } };
	H_EQ(ru_hold_begin(&hold), 0);
	generation = dev_count("target", "generation");
	ru_call(&call, event->act, &t.d);
	drains_untold(&call);
	ru_hold_end(&hold);
	if (!h_failed())
		told_when_quiet(&call, event->cause, "quiesced");
	ru_call(&toucher, touch, t.win);
	if (!h_failed() && !(ru_sleeps(&toucher, MS) && !ru_done(&toucher)))
		h_fail("a thread got at the window while core waited for the importer");
	if (!h_failed() && dev_count("target", "generation") != generation)
		h_fail("the gate has been open while core waited for the importer");
	/* Or core would wait for ever. */
	H_EQ(imp_unmap(lazy), 0);
	H_CHECK(ru_join(&call, MS));
	if (h_failed())
		return;
	H_EQ(call.ret, 0);
	/* When it may go on, it gets the memory, or a SIGBUS if that is off. */
	H_CHECK(ru_join(&toucher, MS));
	H_EQ(toucher.ret, event->undo ? 1 : 0);
	is_told_of_the_end(event);
	clean_up();
}

static void by_reset(void)
{
	windows_first(&reset);
}

static void by_hot_reset(void)
{
	windows_first(&hot_reset);
}

static void by_command(void)
{
	windows_first(&command);
}

static void by_low_power(void)
{
	windows_first(&power);
}

/* Refusal */

static void refused_untold(const struct event *event)
{
	struct imp_seen seen;

	H_EQ(event->act(&t.d), -EBUSY);
	seen = imp_seen(eager);
	H_EQ(seen.notices, 0);
	H_EQ(seen.now.mapped, 1);
	H_EQ(seen.now.mark, MARK);
	H_EQ(imp_seen(lazy).notices, 0);
	H_EQ(map_of(lazy), WINDOW);
	H_EQ(imp_unmap(lazy), 0);
}

static void refusals(void)
{
	const struct event *const events[] = { &reset, &hot_reset, &command, &power, &asleep };

	h_expect_log("p2p: 1 folios still pinned");
	h_expect_log("p2p: system sleep refused: I/O holds pages of a window");
	set_up();
	/* A driver that goes on all the same is not to stand still there. */
	H_EQ(imp_unmap(lazy), 0);
	H_EQ(map_of(eager), WINDOW);
	if (h_failed())
		return;
	hold = (struct ru_hold){ .first = { t.d.fd, t.cookie + DEV_MIB2 } };
	H_EQ(ru_hold_begin(&hold), 0);
	H_EQ(dev_param("drain_timeout_ms", "200"), 0);
	H_EQ(dev_param("hook_timeout_ms", "200"), 0);
	for (size_t i = 0; i < sizeof(events) / sizeof(*events); i++)
		refused_untold(events[i]);
	ru_hold_end(&hold);
	/* And when the pin has gone the same call is granted. */
	H_EQ(dev_param("drain_timeout_ms", "60000"), 0);
	H_EQ(ru_reset(&t.d), 0);
	H_EQ(imp_seen(eager).notices, 2);
	H_EQ(imp_seen(lazy).notices, 2);
	clean_up();
}

/* An importer that does as it is told at once: a reset waits for nobody. */
static void at_once(void)
{
	struct imp_seen seen;

	set_up();
	H_EQ(imp_unmap(lazy), 0);
	H_EQ(map_of(eager), WINDOW);
	H_EQ(ru_reset(&t.d), 0);
	seen = imp_seen(eager);
	H_EQ(seen.notices, 2);
	H_EQ(seen.at[0].mapped, 1);
	H_EQ(seen.at[0].held, 0);
	H_EQ(seen.at[0].mark, MARK);
	H_EQ(seen.at[1].mapped, 0);
	H_EQ(seen.at[1].mark, 0);
	/* The second notice is early: the dma-buf becomes valid after it, and nobody says so. */
	H_EQ(seen.at[0].again, -ENODEV);
	H_EQ(seen.at[1].again, -ENODEV);
	H_EQ(map_of(eager), WINDOW);
	H_CHECK(ru_works(&t));
	clean_up();
}

static long sysfs_reset(void *dev)
{
	(void)dev;
	return h_writef("1", "/sys/bus/pci/devices/%s/reset", t.d.bdf);
}

/* Core tells importers of what is asked of VFIO, and of nothing else. */
static void is_told_nothing(long (*act)(void *dev), unsigned int mark)
{
	struct imp_seen seen;
	long long generation;

	set_up();
	generation = dev_count("target", "generation");
	H_EQ(act(&t.d), 0);
	H_EQ(dev_count("target", "generation"), generation + 1);
	seen = imp_seen(lazy);
	H_EQ(seen.notices, 0);
	H_EQ(seen.now.mapped, 1);
	H_EQ(seen.now.mark, mark);
	H_CHECK(ru_works(&t));
	clean_up();
}

static void from_outside(void)
{
	is_told_nothing(sysfs_reset, 0);
}

static void by_sleep(void)
{
	is_told_nothing(system_sleep, MARK);
}

/* The end */

static long close_device(void *dev)
{
	dev_close(dev);
	return 0;
}

/* It stays dead, and the next user's exports are others. */
static void dead_after_close(void)
{
	H_EQ(map_of(lazy), -ENODEV);
	H_EQ(map_of(eager), -ENODEV);
	H_EQ(open_importer(dmabuf, false), -ENODEV);
	H_EQ(ru_target_open(&t, "target", WINDOW), 0);
	H_EQ(map_of(eager), -ENODEV);
	H_CHECK(ru_works(&t));
	detach();
	attach();
	H_EQ(imp_unmap(lazy), 0);
	H_EQ(map_of(eager), WINDOW);
	H_EQ(ru_reset(&t.d), 0);
	H_EQ(imp_seen(eager).notices, 2);
	clean_up();
}

static void closed(void)
{
	struct ru_call call;

	set_up();
	if (h_failed())
		return;
	hold = (struct ru_hold){ .first = { t.d.fd, t.cookie + DEV_MIB2 } };
	H_EQ(ru_hold_begin(&hold), 0);
	H_EQ(ru_hold_unmap(&hold), 0);
	ru_call(&call, close_device, &t.d);
	drains_untold(&call);
	ru_hold_end(&hold);
	if (!h_failed())
		told_when_quiet(&call, "close", "closed");
	H_EQ(imp_unmap(lazy), 0);
	H_CHECK(ru_join(&call, MS));
	if (h_failed())
		return;
	H_EQ(imp_seen(lazy).notices, 1);
	dev_check_rest("target");
	dead_after_close();
}

/* It cannot be refused: when its time is over the importers are told, under the pin. */
static void closed_under_a_pin(void)
{
	struct imp_seen seen;

	h_expect_log("p2p: 1 folios still pinned");
	h_expect_log("p2p: closed under I/O");
	set_up();
	H_EQ(imp_unmap(lazy), 0);
	H_EQ(map_of(eager), WINDOW);
	hold = (struct ru_hold){ .first = { t.d.fd, t.cookie + DEV_MIB2 } };
	H_EQ(ru_hold_begin(&hold), 0);
	H_EQ(ru_hold_unmap(&hold), 0);
	H_EQ(dev_param("hook_timeout_ms", "200"), 0);
	dev_close(&t.d);
	seen = imp_seen(eager);
	ru_hold_end(&hold);
	H_EQ(seen.notices, 1);
	H_EQ(seen.at[0].mapped, 1);
	H_EQ(seen.at[0].pinned, 1);
	H_EQ(seen.now.mapped, 0);
	detach();
	/* A pin may go a moment after its I/O, and until then nobody can open. */
	H_CHECK(h_wait_until(!ru_target_open(&t, "target", WINDOW), MS));
	H_CHECK(ru_works(&t));
	ru_close_at_rest(&t);
}

/* Attached and open, but dead: it does not keep the driver. */
static void unbound(void)
{
	set_up();
	H_EQ(imp_unmap(lazy), 0);
	H_EQ(map_of(eager), WINDOW);
	dev_close(&t.d);
	H_EQ(imp_seen(eager).notices, 1);
	H_EQ(imp_seen(eager).now.mapped, 0);
	H_CHECK(dev_unbind("target", 20));
	H_EQ(map_of(eager), -ENODEV);
	H_EQ(h_bind(h_pci("target"), DEV_P2P), 0);
	H_EQ(map_of(eager), -ENODEV);
	detach();
	H_EQ(ru_target_open(&t, "target", WINDOW), 0);
	H_CHECK(ru_works(&t));
	ru_close_at_rest(&t);
}

/* Windows that come and go under an importer: that pages exist changes nothing for it. */
static void undisturbed(uint64_t address)
{
	struct imp_map map;

	H_EQ(imp_seen(eager).notices, 0);
	H_EQ(imp_seen(eager).now.mapped, 1);
	H_EQ(imp_unmap(eager), 0);
	H_EQ(imp_map(eager, &map), WINDOW);
	/* An address of the importer's own choice, or of the IOMMU's. */
	H_CHECK(map.address && address);
}

static void come_and_go(const char *provider)
{
	struct p2p_vfio_window win;
	struct imp_map map;

	H_CHECK(dev_unbind("target", 20));
	H_EQ(h_bind(h_pci("target"), DEV_P2P), 0);
	H_EQ(dev_param("provider", provider), 0);
	H_EQ(dev_open(&t.d, "target"), 0);
	t.bar = dev_bar(&t.d);
	attach();
	if (h_failed())
		return;
	H_EQ(imp_unmap(lazy), 0);
	H_EQ(imp_map(eager, &map), WINDOW);
	H_EQ(imp_seen(eager).now.folios, 0);
	H_EQ(dev_window_set(&t.d, t.bar, 0, WINDOW, 0, &win), 0);
	H_EQ(imp_seen(eager).now.folios, FOLIOS);
	undisturbed(map.address);
	if (win.provider == P2P_VFIO_PROVIDER_OWN) {
		win = (struct p2p_vfio_window){ .flags = P2P_VFIO_WINDOW_UNREGISTER, .id = win.id };
		H_EQ(dev_feature(&t.d, VFIO_DEVICE_FEATURE_SET | P2P_VFIO_FEATURE_WINDOW, &win, sizeof(win)), 0);
		undisturbed(map.address);
	}
	H_EQ(ru_reset(&t.d), 0);
	H_EQ(imp_seen(eager).notices, 2);
	clean_up();
}

static void registered_after(void)
{
	come_and_go("auto");
}

static void registered_after_from_pool(void)
{
	come_and_go("standard");
	if (h_failed())
		return;
	H_EQ(dev_param("provider", "auto"), 0);
	H_CHECK(dev_unbind("target", 20));
	H_EQ(h_bind(h_pci("target"), DEV_P2P), 0);
}

static const struct h_case cases[] = {
	{ "a reset: windows drained, importers told, then the device", by_reset },
	{ "a hot reset, in this order", by_hot_reset },
	{ "memory switched off, in this order", by_command },
	{ "low power, in this order", by_low_power },
	{ "what is refused is told to nobody", refusals },
	{ "an importer that unmaps at once", at_once },
	{ "a reset from outside is told to no importer", from_outside },
	{ "a system sleep is told to no importer", by_sleep },
	{ "a close, in this order, and the dma-buf is dead", closed },
	{ "a close that waits in vain goes on, and tells them", closed_under_a_pin },
	{ "unbound with a dma-buf open and attached", unbound },
	{ "a window is registered and given back under an importer", registered_after },
	{ "the same with the kernel's pool", registered_after_from_pool },
	{ }
};

int main(int argc, char **argv)
{
	if (h_modprobe(IMP_MODULE, NULL))
		h_bail("there is no module " IMP_MODULE);
	dev_bind("target", DEV_P2P);
	return h_main(argc, argv, cases);
}
