// SPDX-License-Identifier: MIT
/*
 * Losing the device: to another driver, to the slot, to errors of the bus.
 *
 * Whoever takes the device away with notice (unbind, removal, unplug) waits
 * until its user closes it, and meanwhile it works on.  Pulled without notice
 * it is gone at once: a touch is SIGBUS, a read EFAULT, and the driver's pages
 * stay until the last pin has gone.  Bound anew it is a new device.
 *
 * The port above can have errors.  Recovery closes the gate; after a harmless
 * one it opens again, after one that made the kernel reset the bus it stays
 * closed until the device's registers have been put back, since a page of a
 * window would be a hole until then.
 */
#define _GNU_SOURCE
#include "dev.h"
#include "harness.h"
#include "revoke_util.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define WINDOW (4 * DEV_MIB2)

static struct ru_target t;
static int events = -1;

static long heard(void)
{
	return ru_heard(events);
}

static void set_up(void)
{
	H_EQ(ru_target_open(&t, "target", WINDOW), 0);
	events = ru_listen(&t);
	H_CHECK(events >= 0);
}

static void clean_up(void)
{
	dev_close(&t.d);
	dev_check_rest("target");
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
	H_CHECK(ru_works(&t));
	/* The PCI core has locked the device: as with vfio-pci. */
	H_EQ(ru_reset(&t.d), -EAGAIN);
	H_CHECK(ru_works(&t));
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
	H_CHECK(ru_works(&t));
	clean_up();
}

/* The host pulls the device, with notice; the guest lets go when its user does. */
static void unplugged_while_open(void)
{
	set_up();
	H_EQ(h_host("{\"qmp\": {\"execute\": \"device_del\", \"arguments\": {\"id\": \"target\"}}}", NULL, 0), 0);
	H_CHECK(h_wait_until(dev_count("target", "generation") == -ENOENT, 5000));
	H_CHECK(ru_works(&t));
	dev_close(&t.d);
	H_CHECK(h_wait_until(!h_pci("target"), 10000));
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
	H_EQ(ru_pull("target"), 0);
	H_CHECK(h_wait_until(is_gone(), 10000));
	H_CHECK(heard() > 0);
	H_CHECK(!ru_mapped(t.win));
	H_CHECK(ru_sigbus(t.win));
	H_EQ(ru_read_into(&t, DEV_MIB2), -EFAULT);
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
	H_CHECK(ru_works(&t));
	clean_up();
}

/* Error recovery */

/* An error of the target's port, and all that the kernel does about it. */
static void port_error(const char *what)
{
	int kmsg = ru_kmsg();

	H_EQ(ru_port_error("target-port", what), 0);
	H_CHECK(h_wait_until(ru_recovered(kmsg), 10000));
	close(kmsg);
}

/* It has harmed nobody: the gate closes, and opens. */
static void nonfatal_error(void)
{
	long long generation, revokes;

	set_up();
	generation = dev_count("target", "generation");
	revokes = dev_revokes("target", "error");
	t.win[0] = 1;
	heard();
	port_error(RU_NONFATAL);
	H_EQ(dev_revokes("target", "error"), revokes + 1);
	H_CHECK(dev_state_is("target", "live"));
	H_EQ(dev_count("target", "generation"), generation + 1);
	H_EQ(heard(), 2);
	H_CHECK(ru_works(&t));
	clean_up();
}

/* Recovery cannot be refused: it waits a little, says so, and goes on. */
static void error_under_pin(void)
{
	long long timeouts = dev_count("target", "drain_timeouts");
	struct ru_hold h;

	h_expect_log("p2p: error recovery goes on under I/O");
	H_EQ(dev_param("aer_timeout_ms", "200"), 0);
	set_up();
	h = (struct ru_hold){ .first = { t.d.fd, t.cookie } };
	H_EQ(ru_hold_begin(&h), 0);
	port_error(RU_NONFATAL);
	H_CHECK(dev_state_is("target", "live"));
	H_EQ(dev_count("target", "drain_timeouts"), timeouts + 1);
	H_EQ(dev_count("target", "pinned_folios"), 1);
	H_CHECK(ru_works(&t));
	H_CHECK(ru_hold_end(&h) >= RU_PAGE);
	H_EQ(ru_reset(&t.d), 0);
	clean_up();
}

static long touch(void *arg)
{
	(void)arg;
	*(volatile char *)t.win = 1;
	return 0;
}

/* The bus was reset: closed until the owner has the registers put back. */
static void fatal_error(void)
{
	long long revokes, waited;
	struct ru_call toucher;

	h_expect_log("p2p: no memory decoding after error recovery");
	set_up();
	revokes = dev_revokes("target", "error");
	waited = dev_count("target", "faults_waited");
	t.win[0] = 1;
	port_error(RU_FATAL);
	H_EQ(dev_revokes("target", "error"), revokes + 1);
	H_CHECK(dev_state_is("target", "quiesced"));
	/* A reset puts nothing back: it keeps what it finds. */
	H_EQ(ru_reset(&t.d), 0);
	H_CHECK(dev_state_is("target", "quiesced"));
	H_EQ(ru_read_into(&t, DEV_MIB2), -EFAULT);
	ru_call(&toucher, touch, NULL);
	H_CHECK(h_wait_until(dev_count("target", "faults_waited") > waited, 5000));
	H_EQ(ru_memory_on(&t.d), 0);
	H_CHECK(dev_state_is("target", "live"));
	H_CHECK(ru_join(&toucher, 5000));
	H_CHECK(ru_works(&t));
	clean_up();
}

/* A close mends it as well. */
static void fatal_error_then_close(void)
{
	h_expect_log("p2p: no memory decoding after error recovery");
	set_up();
	port_error(RU_FATAL);
	H_CHECK(dev_state_is("target", "quiesced"));
	clean_up();
	set_up();
	H_CHECK(dev_state_is("target", "live"));
	H_CHECK(ru_works(&t));
	clean_up();
}

/* Nobody has it open: the next user finds it mended. */
static void fatal_error_while_closed(void)
{
	set_up();
	clean_up();
	port_error(RU_FATAL);
	set_up();
	H_CHECK(dev_state_is("target", "live"));
	H_CHECK(ru_works(&t));
	clean_up();
}

static const struct h_case cases[] = {
	{ "unbinding waits for the user", unbound_while_open },
	{ "removal waits for the user, and a rescan finds the device", removed_and_found },
	{ "the module stays while the device is open", module_stays },
	{ "a non-fatal error of the port", nonfatal_error },
	{ "a fatal error of the port", fatal_error },
	{ "a fatal error of the port, then a close", fatal_error_then_close },
	{ "a non-fatal error of the port, under a pin", error_under_pin },
	{ "a fatal error of the port while nobody has the device", fatal_error_while_closed },
	{ }
};

/* There is no device after these. */
static const struct h_case unplugged[] = {
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
	if (argc > 1 && !strcmp(argv[1], "unplugged"))
		return h_main(1, argv, unplugged);
	if (argc > 1 && !strcmp(argv[1], "pulled"))
		return h_main(1, argv, pulled);
	return h_main(argc, argv, cases);
}
