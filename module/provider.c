// SPDX-License-Identifier: GPL-2.0-only
/*
 * provider.c - which provider a new window gets, and what both share
 *
 *	own	 a dev_pagemap of the driver's: less memory, faster, can be given
 *		 back, says when a folio is idle.  Where its layout is proven
 *	standard the kernel's pool: everywhere
 */
#include <linux/mm.h>

#include "p2p.h"

static_assert(P2P_VFIO_GRANULE == PMD_SIZE);

/** p2p_window_phys - where the window begins, as the CPU addresses it */
phys_addr_t p2p_window_phys(const struct p2p_window *window)
{
	return pci_resource_start(window->dev->core.pdev, window->bar) +
	       window->range.start;
}

static enum p2p_vfio_provider_reason p2p_provider_choose(const struct p2p_window *window)
{
	if (!p2p_want_own_provider() || p2p_want_small_folios())
		return P2P_VFIO_PROVIDER_ASKED;
	return p2p_layout_prove(window);
}

/**
 * p2p_provider_claim - give a new window its folios
 * @window: with dev, bar, range, order and nr_folios set.
 *
 * A window that the standard provider has begun to serve stays with it: see
 * p2p_device.parked.
 *
 * Return: 0 or -errno.
 */
int p2p_provider_claim(struct p2p_window *window)
{
	struct p2p_device *dev = window->dev;
	int ret;

	lockdep_assert_held(&dev->window_lock);

	if (!window->provider) {
		window->provider_reason = p2p_provider_choose(window);
		window->provider = window->provider_reason == P2P_VFIO_PROVIDER_PROVEN ?
				   &p2p_provider_own : &p2p_provider_pool;
	}
	ret = window->provider->claim(window);
	if (!ret)
		WRITE_ONCE(dev->provider_reason, window->provider_reason);
	return ret;
}
