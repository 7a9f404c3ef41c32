// SPDX-License-Identifier: GPL-2.0-only
/*
 * peer.c - how would another device's DMA reach this one's memory?
 *
 * Whether it can is the kernel's answer (pci_p2pdma_distance_many(): host-bridge
 * allow-list, topology, ACS).  It does not say which way.  That follows from the
 * same rule as there: below a common bridge, with no port on the path that
 * redirects requests upstream, a switch routes by bus address.
 */
#include <linux/pci-p2pdma.h>
#include <linux/pci.h>

#include "p2p.h"

static bool p2p_redirects(struct pci_dev *pdev)
{
	u16 ctrl = 0;

	if (!pdev->acs_cap)
		return false;
	pci_read_config_word(pdev, pdev->acs_cap + PCI_ACS_CTRL, &ctrl);
	return ctrl & (PCI_ACS_RR | PCI_ACS_CR | PCI_ACS_EC);
}

static bool p2p_is_upstream_of(struct pci_dev *bridge, struct pci_dev *pdev)
{
	for (; pdev; pdev = pci_upstream_bridge(pdev))
		if (pdev == bridge)
			return true;
	return false;
}

/* The lowest device that is on both paths to the root, or NULL. */
static struct pci_dev *p2p_common_bridge(struct pci_dev *a, struct pci_dev *b)
{
	while (a && !p2p_is_upstream_of(a, b))
		a = pci_upstream_bridge(a);
	return a;
}

static bool p2p_path_redirects(struct pci_dev *pdev, struct pci_dev *top)
{
	for (; pdev != top; pdev = pci_upstream_bridge(pdev))
		if (p2p_redirects(pdev))
			return true;
	return false;
}

static u32 p2p_route(struct pci_dev *provider, struct pci_dev *client)
{
	struct pci_dev *top = p2p_common_bridge(provider, client);

	if (!top || p2p_redirects(top) || p2p_path_redirects(provider, top) ||
	    p2p_path_redirects(client, top))
		return P2P_VFIO_ROUTE_HOST_BRIDGE;
	return P2P_VFIO_ROUTE_SWITCH;
}

/**
 * p2p_peer - fill in the answer of P2P_VFIO_FEATURE_PEER
 * @dev: the device with the memory.
 * @peer: the initiator in, route and distance out.
 *
 * Return: 0, or -ENODEV.
 */
int p2p_peer(struct p2p_device *dev, struct p2p_vfio_peer *peer)
{
	struct pci_dev *provider = dev->core.pdev;
	struct device *clients[1];
	struct pci_dev *client;

	client = pci_get_domain_bus_and_slot(peer->domain, peer->bus, peer->devfn);
	if (!client)
		return -ENODEV;

	clients[0] = &client->dev;
	peer->distance = pci_p2pdma_distance_many(provider, clients, 1, false);
	peer->route = peer->distance < 0 ? P2P_VFIO_ROUTE_NONE :
					   p2p_route(provider, client);
	pci_dev_put(client);
	return 0;
}
