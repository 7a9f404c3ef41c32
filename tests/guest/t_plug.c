// SPDX-License-Identifier: MIT
/*
 * The device is taken away under I/O.
 *
 * With notice (unbind, sysfs remove, the slot's button) nothing happens to the
 * I/O: removal waits until the device is closed, and then for every pin.  While it
 * waits for a pin the log says so every ten seconds, and so does whoever wants to
 * plug or scan anything, since removal holds the one lock of all PCI hotplug.
 *
 * Without notice the gate closes at once and for ever: a touch is a SIGBUS, a
 * direct read EFAULT, and what is in flight ends as the disk sees fit, in pages
 * that stay until it has.
 */
#define _GNU_SOURCE
#include "dev.h"
#include "harness.h"
#include "matrix.h"
#include "revoke_util.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char bdf[16];		/* of the target: its role ends with it */
static pid_t remover;

static bool has_begun(void)
{
	/* The driver's attributes go first. */
	return dev_count("target", "generation") < 0;
}

/* By another process: this one could not be killed while it waits for itself. */
static long in_child(struct dev *d, long (*remove)(void *bdf))
{
	snprintf(bdf, sizeof(bdf), "%s", d->bdf);
	remover = fork();
	if (!remover) {
		dev_close(d);	/* its copies would be users */
		_exit(remove(bdf) ? 1 : 0);
	}
	return h_wait_until(has_begun(), 10000) ? 0 : -ETIMEDOUT;
}

static bool child_is_done(void)
{
	int status = -1;

	return h_await(remover, &status, 10000) && !status;
}

static long unbind(void *dev)
{
	return in_child(dev, ru_unbind);
}

static long pci_remove(void *dev)
{
	return in_child(dev, ru_remove);
}

static long button(void *dev)
{
	int err = h_host("{\"qmp\": {\"execute\": \"device_del\", \"arguments\": {\"id\": \"target\"}}}", NULL, 0);

	snprintf(bdf, sizeof(bdf), "%s", ((struct dev *)dev)->bdf);
	/* A button is given five seconds to be pressed again. */
	return err ?: h_wait_until(has_begun(), 15000) ? 0 : -ETIMEDOUT;
}

/* It waits for the close, and nobody notices until then. */
static void with_notice(const char *id, const char *event, long (*act)(void *))
{
	mx_run(&(struct mx_row){ .id = id, .event = event, .act = act, .gone = true,
				 .racing = MX_WHOLE, .flight = MX_GOES_ON });
}

static void found_again(void)
{
	struct ru_target t;

	H_EQ(h_write("/sys/bus/pci/rescan", "1"), 0);
	H_CHECK(h_wait_until(h_pci("target"), 5000));
	dev_bind("target", DEV_P2P);
	H_EQ(ru_target_open(&t, "target", MX_WINDOW), 0);
	H_CHECK(ru_works(&t));
	dev_close(&t.d);
	dev_check_rest("target");
}

static void unbound(void)
{
	with_notice("unbind", "driver unbind", unbind);
	H_CHECK(child_is_done());
	found_again();
}

static void removed(void)
{
	with_notice("sysfs-remove", "sysfs remove", pci_remove);
	H_CHECK(child_is_done());
	H_CHECK(!h_pci("target"));
	found_again();
}

static bool by_acpi;

static void unplugged(void)
{
	if (by_acpi)
		with_notice("unplug-acpi", "hot-unplug with notice, by ACPI", button);
	else
		with_notice("unplug-orderly", "hot-unplug with notice", button);
	H_CHECK(h_wait_until(!h_pci("target"), 10000));
}

/* Closed with a pin left, which outlives the close. */
static void close_with_pin(struct ru_target *t, struct ru_hold *h)
{
	H_EQ(dev_param("hook_timeout_ms", "100"), 0);
	H_EQ(ru_target_open(t, "target", MX_WINDOW), 0);
	snprintf(bdf, sizeof(bdf), "%s", t->d.bdf);
	*h = (struct ru_hold){ .first = { t->d.fd, t->cookie } };
	H_EQ(ru_hold_begin(h), 0);
	H_EQ(ru_hold_unmap(h), 0);
	dev_close(&t->d);
	H_CHECK(dev_state_is("target", "draining"));
}

static long rescan(void *arg)
{
	(void)arg;
	return h_write("/sys/bus/pci/rescan", "1");
}

static void waits_for_pin(void)
{
	struct ru_call removal, other;
	struct ru_target t;
	struct ru_hold h;
	int kmsg;

	close_with_pin(&t, &h);
	if (h_failed())
		return;
	kmsg = ru_kmsg();
	ru_call(&removal, ru_remove, bdf);
	H_CHECK(h_wait_until(has_begun(), 5000));
	ru_call(&other, rescan, NULL);
	for (int i = 0; i < 2; i++)
		H_CHECK(h_wait_until(ru_kmsg_says(kmsg, "p2p: removal waits for I/O on its memory"), 30000));
	H_CHECK(!ru_done(&removal));
	H_CHECK(!ru_done(&other));
	H_EQ(ru_hold_end(&h) > 0, 1);
	H_CHECK(ru_join(&removal, 10000));
	H_CHECK(ru_join(&other, 10000));
	H_EQ(removal.ret, 0);
	close(kmsg);
	found_again();
}

/* Without notice */

static bool is_gone(struct dev *d)
{
	struct p2p_vfio_state state;

	return !dev_state(d, &state) && state.state == P2P_VFIO_STATE_GONE;
}

static long pull(void *dev)
{
	long err = ru_pull("target");

	return err ?: h_wait_until(is_gone(dev), 10000) ? 0 : -ETIMEDOUT;
}

static void judge_pulled(struct mx *m)
{
	long reads, misses;

	H_EQ(m->after.revokes - m->before.revokes, 1);
	H_CHECK(h_wait_until(atomic_load(&m->sigbuses) > 2, 5000));
	H_CHECK(h_wait_until(atomic_load(&m->efaults) > 2, 5000));
	/* They end; nobody can say how. */
	H_EQ(ru_aio_reap(&m->aio, m->late, 20000), m->late);
	m->longest_wait_ns = atomic_load(&m->longest_ns);
	misses = atomic_load(&m->efaults) + atomic_load(&m->shorts);
	reads = misses + atomic_load(&m->whole) + atomic_load(&m->others);
	h_diag("pulled: %d reads in flight, %d of them failed; %ld of %ld racing reads missed",
	       m->late, m->aio.bad, misses, reads);
}

static void pulled(void)
{
	static const struct mx_row row = { .id = "unplug-surprise", .act = pull, .cause = "remove",
					   .gone = true };
	static void (*const steps[])(struct mx *) = {
		mx_load, mx_send, mx_act, judge_pulled, mx_close,
	};
	static struct mx m;

	mx_open(&m, &row);
	for (unsigned int i = 0; i < sizeof(steps) / sizeof(*steps) && !h_failed(); i++)
		steps[i](&m);
	if (h_failed())
		return;
	H_CHECK(h_wait_until(!h_pci("target"), 10000));
	mx_row(row.id, "hot-unplug without notice", "SIGBUS", "short or EFAULT", "goes on",
	       m.took_ns / 1000000, MX_BOUND_MS);
}

static const struct h_case cases[] = {
	{ "unbound under I/O", unbound, 60 },
	{ "removed under I/O", removed, 60 },
	{ "removal waits for a pin, and says so, and all hotplug waits", waits_for_pin, 120 },
	{ }
};

/* There is no device after these. */
static const struct h_case unplug[] = {
	{ "unplugged under I/O", unplugged, 60 },
	{ }
};

static const struct h_case pull_out[] = {
	{ "pulled under I/O", pulled, 60 },
	{ }
};

int main(int argc, char **argv)
{
	dev_bind("target", DEV_P2P);
	by_acpi = argc > 2 && !strcmp(argv[2], "acpi");
	if (argc > 1 && !strcmp(argv[1], "unplugged"))
		return h_main(1, argv, unplug);
	if (argc > 1 && !strcmp(argv[1], "pulled"))
		return h_main(1, argv, pull_out);
	return h_main(argc, argv, cases);
}
