// SPDX-License-Identifier: MIT
/*
 * The matrix of events, third part: what happens to a device because of its
 * sibling, a second function behind the same port.  Neither can be reset
 * alone, so what resets the one resets the other: a hot reset that the sibling
 * was asked for, by this driver or by plain vfio-pci; and VFIO's reset of the
 * whole set when the last of them is closed, while reads of the first one's
 * last user still are in flight.
 */
#define _GNU_SOURCE
#include "dev.h"
#include "harness.h"
#include "matrix.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <unistd.h>

static struct dev sibling = { .container = -1, .group = -1, .fd = -1 };

/* Both are in one group, which can be opened only once. */
static int open_other(const struct dev *first, const char *role)
{
	return dev_open_beside(&sibling, first, role);
}

static int open_sibling(const struct dev *target)
{
	return open_other(target, "sibling");
}

static long reset_through(const char *role, struct dev *loaded)
{
	struct dev asked;
	long err = open_other(loaded, role);

	asked = sibling;
	asked.group = loaded->group;
	err = err ?: ru_hot_reset(&asked);
	dev_close(&sibling);
	return err;
}

static long reset_through_sibling(void *dev)
{
	return reset_through("sibling", dev);
}

static long reset_through_target(void *dev)
{
	return reset_through("target", dev);
}

static void hot_reset_through_target(void)
{
	mx_run(&(struct mx_row){ .id = "hot-reset-own", .act = ru_hot_reset, .cause = "hot_reset",
				 .touch = MX_WAITS });
}

static void hot_reset_through_sibling(void)
{
	mx_run(&(struct mx_row){ .id = "hot-reset-sibling", .act = reset_through_sibling,
				 .cause = "hot_reset", .touch = MX_WAITS });
}

/* The other one is loaded: whichever of them the driver comes to first. */
static void hot_reset_of_sibling(void)
{
	mx_run(&(struct mx_row){ .id = "hot-reset-sibling", .role = "sibling",
				 .act = reset_through_target, .cause = "hot_reset",
				 .touch = MX_WAITS });
}

/* Windows are refused beside such a sibling: the case before has registered it. */
static void hot_reset_by_another_driver(void)
{
	struct ru_target t;

	H_EQ(ru_target_open(&t, "target", MX_WINDOW), 0);
	dev_close(&t.d);
	dev_bind("sibling", DEV_PLAIN);
	mx_run(&(struct mx_row){ .id = "hot-reset-foreign", .act = reset_through_sibling,
				 .cause = "pci_reset", .touch = MX_WAITS });
	dev_bind("sibling", DEV_P2P);
}

/* The set's last close */

static struct mx m;

static long close_sibling(void *dev)
{
	(void)dev;
	dev_close(&sibling);
	return 0;
}

static long open_again(void *target)
{
	return ru_target_open(target, "target", MX_WINDOW);
}

/* The target's own close gives up at once: its reads are in flight when it returns. */
static void close_target(void)
{
	h_expect_log("p2p: [0-9]+ folios still pinned after");
	h_expect_log("p2p: closed under I/O; opening it is refused until that ends");
	H_EQ(dev_param("hook_timeout_ms", "1"), 0);
	while (m.t.d.n_maps)
		dev_unmap(&m.t.d, m.t.d.maps[0].at);
	close(m.t.d.fd);
	m.t.d.fd = -1;
	H_CHECK(dev_state_is("target", "draining"));
	H_EQ(dev_param("hook_timeout_ms", "5000"), 0);
}

/* The group stays open, since the sibling is in it. */
static void set_is_closed(void)
{
	static const struct mx_row row = {
		/* No cause: the gate of a closed device is closed already. */
		.id = "dev-set-close", .act = close_sibling, .undo = open_again, .unmapped = true,
	};

	mx_open(&m, &row);
	H_EQ(open_sibling(&m.t.d), 0);
	mx_send(&m);
	if (!h_failed())
		close_target();
	if (!h_failed())
		mx_act(&m);
	if (!h_failed())
		mx_judge(&m);
	close(m.t.d.group);
	close(m.t.d.container);
	if (!h_failed())
		mx_after(&m);
	if (!h_failed())
		mx_close(&m);
	if (!h_failed())
		mx_print(&m);
}

static const struct h_case cases[] = {
	{ "a hot reset of both, through the target", hot_reset_through_target, 60 },
	{ "a hot reset of both, through the sibling", hot_reset_through_sibling, 60 },
	{ "a hot reset of both, through the target, with I/O of the sibling", hot_reset_of_sibling, 60 },
	{ "a hot reset of both, through another driver's sibling", hot_reset_by_another_driver, 60 },
	{ "the last close of both, with reads of the target in flight", set_is_closed, 60 },
	{ }
};

int main(int argc, char **argv)
{
	dev_bind("target", DEV_P2P);
	dev_bind("sibling", DEV_P2P);
	return h_main(argc, argv, cases);
}
