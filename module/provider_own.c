// SPDX-License-Identifier: GPL-2.0-only
/*
 * provider_own.c - folios from a dev_pagemap of our own
 *
 * memremap_pages() with a vmemmap that is made of 2 MiB compound pages from the
 * start: of the 32 KiB of struct pages that describe 2 MiB, all but 8 KiB are the
 * same page mapped again and again.  That is a quarter of the memory and a third
 * of the time of the standard provider, and the range can be given back at any
 * time.
 *
 * The page structures of the tails are therefore shared.  What the kernel counts
 * in them (a tail's mapcount, when it is mapped by a 4 KiB entry) adds up over
 * the tails that share; it is counted up and down alike, and nothing decides by
 * it for a folio of this type.  (On kernels without transparent huge pages folios
 * are single pages, and nothing is shared.)
 *
 * The kernel finds its way from our pages to their provider by a layout that is
 * proven first: layout.c.
 *
 * Here a folio may fall to 0: free_zone_device_folio() then calls p2p_own_freed(),
 * which is how a drain learns of the last pin (folio.c).
 */
#include <linux/cleanup.h>
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/pci-p2pdma.h>
#include <linux/slab.h>

#include "p2p.h"

/**
 * struct p2p_own - a window's dev_pagemap
 * @head: what the kernel sees.
 * @window: whose folios they are.
 */
struct p2p_own {
	struct p2p_pagemap_head head;
	struct p2p_window *window;
};

/*
 * From whatever context dropped the last reference.  memunmap_pages() waits for
 * readers of RCU that began before, so window and device are there.
 */
static void p2p_own_freed(struct folio *folio)
{
	struct p2p_own *own = container_of(folio->pgmap, struct p2p_own, head.pgmap);

	guard(rcu)();
	p2p_folio_freed(own->window,
			(folio_pfn(folio) - page_to_pfn(own->window->folios)) >>
				own->window->order);
}

static const struct dev_pagemap_ops p2p_own_ops = {
	.folio_free = p2p_own_freed,
};

static void p2p_own_init_folios(struct p2p_window *window)
{
	unsigned long i;

	for (i = 0; i < window->nr_folios; i++) {
		struct folio *folio = p2p_window_folio(window, i);

		if (window->order)
			folio_set_large_rmappable(folio);
		folio_set_count(folio, 1);
		cond_resched();
	}
}

static int p2p_own_claim(struct p2p_window *window)
{
	struct pci_dev *pdev = window->dev->core.pdev;
	struct p2p_own *own __free(kfree) = kzalloc(sizeof(*own), GFP_KERNEL_ACCOUNT);
	phys_addr_t start = p2p_window_phys(window);
	struct dev_pagemap *pgmap;
	void *kaddr;

	if (!own)
		return -ENOMEM;
	own->window = window;
	own->head.provider = pcim_p2pdma_provider(pdev, window->bar);
	if (!own->head.provider)
		return -ENXIO;
	pgmap = &own->head.pgmap;
	pgmap->range.start = start;
	pgmap->range.end = start + window->range.length - 1;
	pgmap->nr_range = 1;
	pgmap->type = MEMORY_DEVICE_PCI_P2PDMA;
	pgmap->vmemmap_shift = window->order;
	pgmap->ops = &p2p_own_ops;

	kaddr = memremap_pages(pgmap, dev_to_node(&pdev->dev));
	if (IS_ERR(kaddr))
		return PTR_ERR(kaddr);

	window->folios = virt_to_page(kaddr);
	window->own = no_free_ptr(own);
	p2p_own_init_folios(window);
	return 0;
}

static void p2p_own_release(struct p2p_window *window)
{
	memunmap_pages(&window->own->head.pgmap);
	kfree(window->own);
	window->own = NULL;
}

const struct p2p_provider p2p_provider_own = {
	.id = P2P_VFIO_PROVIDER_OWN,
	.claim = p2p_own_claim,
	.release = p2p_own_release,
	.events = true,
};
