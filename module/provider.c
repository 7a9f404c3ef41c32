// SPDX-License-Identifier: GPL-2.0-only
/*
 * provider.c - where a window's folios come from
 *
 * The standard provider: the kernel's own peer-to-peer DMA pool.  A range is
 * added to the pool and allocated from it at once and whole, so that the pool is
 * empty again and the driver is the allocator.  It is never published.
 *
 * Each 2 MiB becomes a folio with one reference of the driver's, the baseline,
 * which it keeps for the life of the window:
 *
 *  - a mapping or a DMA pin adds references; idle means exactly one;
 *  - no put of theirs can be the last, which matters because the pool's own
 *    handler for that case knows single pages only;
 *  - pins hold no reference on the dev_pagemap.  That every count is back at one
 *    is all that stands between DMA and freed struct pages.
 */
#include <linux/cleanup.h>
#include <linux/kmemleak.h>
#include <linux/memremap.h>
#include <linux/pagemap.h>
#include <linux/pci-p2pdma.h>
#include <linux/sysfs.h>

#include "p2p.h"

static_assert(P2P_VFIO_GRANULE == PMD_SIZE);

/*
 * pci_p2pdma_add_resource(), leaving nothing behind when it fails.
 *
 * When its last step fails (gen_pool_add_owner(): vmalloc() has no memory, or
 * gives up because the caller has been killed), the kernel (7.2, 7.3) frees the
 * pagemap, and forgets that a devm action for it is on the device's list:
 * unbinding would run that on freed memory.  It is the last of the list then,
 * and is taken off; the few bytes of the entry are lost.
 */
static int p2p_provider_add(struct p2p_window *window)
{
	struct pci_dev *pdev = window->dev->core.pdev;
	struct list_head *last, *stray;
	int ret;

	scoped_guard(spinlock_irqsave, &pdev->dev.devres_lock)
		last = pdev->dev.devres_head.prev;

	ret = pci_p2pdma_add_resource(pdev, window->bar, window->range.length,
				      window->range.start);
	if (!ret)
		return 0;

	scoped_guard(spinlock_irqsave, &pdev->dev.devres_lock) {
		stray = pdev->dev.devres_head.prev;
		if (stray != last)
			list_del_init(stray);
	}
	if (stray != last)
		kmemleak_not_leak(stray);
	return ret;
}

/* The pool must have given exactly the range just added, not somebody's leftovers. */
static int p2p_provider_alloc(struct p2p_window *window)
{
	struct pci_dev *pdev = window->dev->core.pdev;
	resource_size_t start = pci_resource_start(pdev, window->bar) +
				window->range.start;
	void *kaddr = pci_alloc_p2pmem(pdev, window->range.length);

	if (!kaddr)
		return -ENOMEM;
	if (virt_to_phys(kaddr) != start) {
		pci_free_p2pmem(pdev, kaddr, window->range.length);
		return -ENOMEM;
	}
	window->provider.kaddr = kaddr;
	window->folios = virt_to_page(kaddr);
	return 0;
}

/*
 * The kernel offers a pool's free pages to root through p2pmem/allocate.  Ours are
 * compound from here on, also between their release and their end, and what
 * allocates there knows single pages only.
 */
static void p2p_provider_hide_pool(struct pci_dev *pdev)
{
	static const struct attribute allocate = { .name = "allocate" };

	sysfs_remove_file_from_group(&pdev->dev.kobj, &allocate, "p2pmem");
}

static void p2p_provider_init_folios(struct p2p_window *window)
{
	struct dev_pagemap *pgmap = page_pgmap(window->folios);
	unsigned long i;

	for (i = 0; i < window->nr_folios; i++) {
		struct folio *folio = (struct folio *)
			(window->folios + i * P2P_FOLIO_PAGES);

		zone_device_folio_init(folio, pgmap, PMD_ORDER);
		/* Born locked; a direct read would wait for it when dirtying. */
		folio_unlock(folio);
		cond_resched();
	}
}

/**
 * p2p_provider_claim - give a range struct pages and turn them into folios
 * @window: with dev, bar, range and nr_folios set.
 *
 * Caller holds p2p_device.window_lock.  A failure after the first step leaves
 * provider.added set: the kernel keeps the pages until unbind, and a later claim
 * of the same window goes on from there.
 *
 * Return: 0 or -errno.
 */
int p2p_provider_claim(struct p2p_window *window)
{
	int ret;

	lockdep_assert_held(&window->dev->window_lock);

	if (!window->provider.added) {
		ret = p2p_provider_add(window);
		if (ret)
			return ret;
		window->provider.added = true;
		p2p_provider_hide_pool(window->dev->core.pdev);
	}

	ret = p2p_provider_alloc(window);
	if (ret)
		return ret;

	p2p_provider_init_folios(window);
	return 0;
}

/**
 * p2p_provider_release - give the folios back
 * @window: a window whose every folio is idle, with the gate dead.
 *
 * Must be done before remove() returns: the kernel then waits, without end, for
 * the dev_pagemap references that zone_device_folio_init() took.
 */
void p2p_provider_release(struct p2p_window *window)
{
	struct dev_pagemap *pgmap;
	unsigned long i;

	if (!window->provider.kaddr)
		return;

	pgmap = page_pgmap(window->folios);
	for (i = 0; i < window->nr_folios; i++) {
		struct folio *folio = p2p_window_folio(window, i);

		/*
		 * Frozen, not put: see the second point on top.  All that can
		 * still come is a late GUP-fast, which gives back at once.
		 */
		while (!folio_ref_freeze(folio, 1))
			cond_resched();
		percpu_ref_put_many(&pgmap->ref, P2P_FOLIO_PAGES);
		cond_resched();
	}
	pci_free_p2pmem(window->dev->core.pdev, window->provider.kaddr,
			window->range.length);
	window->provider.kaddr = NULL;
}
