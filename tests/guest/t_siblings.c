// SPDX-License-Identifier: MIT
/*
 * Two functions that are reset together.
 *
 * A hot reset takes both, through whichever of them it was asked for.  So it
 * must drain both: a read that holds a page of the sibling holds it up, and is
 * a reason to refuse it, with both gates open again afterwards.  Who does not
 * own both gets the errno that vfio-pci gives, and disturbs nobody.
 *
 * When a plain vfio-pci drives the sibling, the reset comes without warning,
 * by the PCI core's hook alone; new windows are then refused.
 *
 * Both functions are in one IOMMU group, and opened through it, or through their
 * character devices by one iommufd.
 */
#define _GNU_SOURCE
#include "dev.h"
#include "harness.h"
#include "revoke_util.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define WINDOW (4 * DEV_MIB2)
#define SEED 99

static struct ru_target t;
static struct dev sibling;
static uint64_t cookie;		/* of the sibling's window */

static void set_up(void)
{
	struct p2p_vfio_window w;

	H_EQ(dev_param("drain_timeout_ms", "500"), 0);
	H_EQ(dev_param("hook_timeout_ms", "500"), 0);
	H_EQ(ru_target_open(&t, "target", WINDOW), 0);
	H_EQ(ru_sibling_open(&sibling, &t, "sibling"), 0);
	H_EQ(dev_window_set(&sibling, dev_bar(&sibling), 0, WINDOW, 0, &w), 0);
	cookie = w.mmap_offset;
	ru_fill(t.win, RU_PAGE, SEED);
}

static void clean_up(void)
{
	dev_close(&sibling);
	dev_close(&t.d);
	dev_check_rest("target");
	dev_check_rest("sibling");
}

static void both(const char *count, long long a, long long b)
{
	H_EQ(dev_count("target", count), a);
	H_EQ(dev_count("sibling", count), b);
}

/* What the one asks for is done to both, once. */
static void takes_both(struct dev *asked)
{
	long long a, b;

	set_up();
	a = dev_count("target", "generation");
	b = dev_count("sibling", "generation");
	/* The sibling's own fd knows no group of its own. */
	asked->group = t.d.group;
	H_EQ(ru_hot_reset(asked), 0);
	sibling.group = -1;
	both("generation", a + 1, b + 1);
	H_EQ(dev_revokes("target", "hot_reset"), dev_revokes("sibling", "hot_reset"));
	H_CHECK(dev_state_is("target", "live") && dev_state_is("sibling", "live"));
	H_EQ(ru_differs(t.win, RU_PAGE, SEED), -1);
	clean_up();
}

static void through_target(void)
{
	takes_both(&t.d);
}

static void through_sibling(void)
{
	takes_both(&sibling);
}

static void pin_on_sibling(void)
{
	struct ru_hold h;
	long long a, b;

	h_expect_log("p2p: 1 folios still pinned");
	set_up();
	a = dev_count("target", "generation");
	b = dev_count("sibling", "generation");
	h = (struct ru_hold){ .first = { sibling.fd, cookie } };
	H_EQ(ru_hold_begin(&h), 0);
	H_EQ(ru_hot_reset(&t.d), -EBUSY);
	both("generation", a, b);
	H_CHECK(dev_state_is("target", "live") && dev_state_is("sibling", "live"));
	H_EQ(ru_differs(t.win, RU_PAGE, SEED), -1);
	ru_hold_end(&h);
	H_EQ(ru_hot_reset(&t.d), 0);
	both("generation", a + 1, b + 1);
	clean_up();
}

/* A page of each in one read: whichever is drained first. */
static void straddles_both(void)
{
	struct ru_call reset;
	long long refused;
	struct ru_hold h;

	set_up();
	H_EQ(dev_param("drain_timeout_ms", "12000"), 0);
	refused = dev_count("target", "faults_refused");
	h = (struct ru_hold){ .first = { sibling.fd, cookie }, .last = { t.d.fd, t.cookie } };
	H_EQ(ru_hold_begin(&h), 0);
	ru_call(&reset, ru_hot_reset, &t.d);
	H_CHECK(ru_hold_drains(&h, "sibling"));
	/* The target has nothing to wait for, and must not be reset yet. */
	H_CHECK(h_wait_until(dev_state_is("target", "quiesced"), 5000));
	H_EQ(ru_hold_serve(&h), 0);
	H_CHECK(ru_join(&reset, 20000));
	H_EQ(reset.ret, 0);
	ru_hold_end(&h);
	/* Not a short read: what was refused is asked for again, and finds an open gate at times. */
	H_CHECK(dev_count("target", "faults_refused") > refused);
	clean_up();
}

static long hot_reset_of(struct dev *d, uint32_t count, int32_t fd)
{
	struct {
		struct vfio_pci_hot_reset hdr;
		int32_t group;
	} req = { { .argsz = sizeof(req), .count = count }, fd };

	return ioctl(d->fd, VFIO_DEVICE_PCI_HOT_RESET, &req) ? -errno : 0;
}

static void not_owned(void)
{
	long long a, b;
	int pipefd[2];

	set_up();
	H_EQ(pipe(pipefd), 0);
	a = dev_revokes("target", "hot_reset");
	b = dev_count("target", "generation");
	/* Through the character device none are given: there the iommufd tells who owns both. */
	H_CHECK(t.d.cdev || hot_reset_of(&t.d, 0, 0) < 0);
	H_CHECK(hot_reset_of(&t.d, 1, -1) < 0);
	H_CHECK(hot_reset_of(&t.d, 1, pipefd[0]) < 0);
	H_CHECK(hot_reset_of(&t.d, 1, t.d.container) < 0);
	H_CHECK(hot_reset_of(&t.d, 0xffffffff, t.d.group) < 0);
	H_EQ(dev_revokes("target", "hot_reset"), a);
	H_EQ(dev_count("target", "generation"), b);
	clean_up();
}

/* A function alone cannot be reset here: then nothing is revoked for it. */
static void no_reset_of_one(void)
{
	long long a;

	set_up();
	a = dev_revokes("target", "reset");
	H_CHECK(dev_reset(&t.d) < 0);
	H_EQ(dev_revokes("target", "reset"), a);
	H_EQ(ru_differs(t.win, RU_PAGE, SEED), -1);
	clean_up();
}

static void foreign_sibling(void)
{
	struct p2p_vfio_window w;
	long long generation;

	dev_bind("sibling", DEV_PLAIN);
	H_EQ(ru_target_open(&t, "target", WINDOW), 0);	/* registered before */
	H_EQ(dev_window_set(&t.d, t.bar, WINDOW, DEV_MIB2, 0, &w), -EXDEV);
	H_EQ(ru_sibling_open(&sibling, &t, "sibling"), 0);
	ru_fill(t.win, RU_PAGE, SEED);
	generation = dev_count("target", "generation");
	sibling.group = t.d.group;
	H_EQ(dev_hot_reset(&sibling), 0);
	sibling.group = -1;
	H_EQ(dev_count("target", "generation"), generation + 1);
	H_CHECK(dev_state_is("target", "live"));
	H_EQ(ru_differs(t.win, RU_PAGE, SEED), -1);
	dev_close(&sibling);
	dev_close(&t.d);
	dev_check_rest("target");
	dev_bind("sibling", DEV_P2P);
}

static const struct h_case cases[] = {
	{ "a hot reset takes both functions", through_target },
	{ "a hot reset through the other function", through_sibling },
	{ "a pin of the sibling's page refuses it", pin_on_sibling },
	{ "a read straddles both functions", straddles_both },
	{ "who does not own both disturbs nobody", not_owned },
	{ "one function cannot be reset alone", no_reset_of_one },
	{ "the sibling is another driver's", foreign_sibling },
	{ }
};

int main(int argc, char **argv)
{
	dev_bind("target", DEV_P2P);
	dev_bind("sibling", DEV_P2P);
	return h_main(argc, argv, cases);
}
