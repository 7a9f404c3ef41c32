// SPDX-License-Identifier: MIT
/*
 * Losing the device: to another driver, to the slot.
 *
 * Whoever takes the device away with notice (unbind, removal, unplug) waits
 * until its user closes it, and meanwhile it works on.  Pulled without notice
 * it is gone at once: a touch is SIGBUS, a read EFAULT, and the driver's pages
 * stay until the last pin has gone.  Bound anew it is a new device.
 */
#define _GNU_SOURCE
#include "dev.h"
#include "harness.h"
#include "revoke_util.h"

#include <errno.h>
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
	ru_open_and_listen(&t, WINDOW, &events);
}

static void clean_up(void)
{
	ru_close_at_rest(&t);
}

/* Removal */

/*
 * It waits as long as the device is open, and the device works on.  Done by
 * another process: this one could not be killed while it waits for itself.
 */
static void waits_for_user(long (*remove)(void *bdf))
{
	int status = -1;
	pid_t pid;

	set_up();
	pid = fork();
	if (!pid) {
		dev_close(&t.d);	/* its copies would be users */
		_exit(remove(t.d.bdf) ? 1 : 0);
	}
	/* The driver's attributes go first. */
	H_CHECK(h_wait_until(dev_count("target", "generation") == -ENOENT, 5000));
	H_CHECK(ru_works(&t));
	/* The PCI core has locked the device: as with vfio-pci. */
	H_EQ(ru_reset(&t.d), -EAGAIN);
	H_CHECK(ru_works(&t));
	H_EQ(waitpid(pid, &status, WNOHANG), 0);
	dev_close(&t.d);
	H_CHECK(h_await(pid, &status, 10000));
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
	H_CHECK(h_wait_until(dev_count("target", "generation") == -ENOENT, 15000));
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
	waits_for_user(ru_unbind);
	starts_afresh();
}

static void removed_and_found(void)
{
	waits_for_user(ru_remove);
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

static const struct h_case cases[] = {
	{ "unbinding waits for the user", unbound_while_open },
	{ "removal waits for the user, and a rescan finds the device", removed_and_found },
	{ "the module stays while the device is open", module_stays },
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
