// SPDX-License-Identifier: MIT
/*
 * Which provider serves when the kernel's layout is not what the driver hopes for.
 *
 * No such kernel is at hand, so the driver is built to look for another structure
 * than the kernel's: for one that exists and is different, which must make the
 * standard provider serve; and for one that does not exist, as on a kernel without
 * type information, which must make the driver look behind a dev_pagemap of the
 * kernel's, and find there what it needs; or, built to look one word too far, must
 * not find it.  Whatever was tried to find out must be gone afterwards: the window
 * itself takes the range that was looked at.
 */
#include "dev.h"
#include "harness.h"
#include "revoke_util.h"

#define WINDOW (8 * DEV_MIB2)

static struct ru_target t;

static void served_by(enum p2p_vfio_provider provider, enum p2p_vfio_provider_reason reason)
{
	struct p2p_vfio_window win;
	struct p2p_vfio_state st;

	H_EQ(ru_target_open(&t, "target", WINDOW), 0);
	H_EQ(dev_window_get(&t.d, 0, 0, &win), 0);
	H_EQ(win.provider, provider);
	H_EQ(dev_state(&t.d, &st), 0);
	H_EQ(st.provider_reason, reason);
	H_CHECK(ru_works(&t));
	dev_close(&t.d);
	dev_check_rest("target");
	/* Unbinding finds nothing that somebody forgot. */
	H_CHECK(dev_unbind("target", 10));
	dev_bind("target", DEV_P2P);
}

static void differs(void)
{
	served_by(P2P_VFIO_PROVIDER_STANDARD, P2P_VFIO_PROVIDER_DIFFERS);
}

static void looked_behind(void)
{
	served_by(P2P_VFIO_PROVIDER_OWN, P2P_VFIO_PROVIDER_PROVEN);
	/* Known by now. */
	served_by(P2P_VFIO_PROVIDER_OWN, P2P_VFIO_PROVIDER_PROVEN);
}

static const struct h_case cases[] = {
	{ "another layout: the standard provider", differs },
	{ "no type information: the driver looks", looked_behind },
	{ }
};

int main(int argc, char **argv)
{
	dev_bind("target", DEV_P2P);
	return h_main(argc, argv, cases);
}
