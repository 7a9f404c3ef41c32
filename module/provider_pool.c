// SPDX-License-Identifier: GPL-2.0-only
/*
 * provider_pool.c - folios from the kernel's own pool: the standard provider
 *
 * A range is added to the kernel's peer-to-peer DMA pool and allocated from it at
 * once and whole, so that the pool is empty again and the driver is the allocator.
 * It is never published.
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

/*
 * The kernel offers a pool's free pages to root through p2pmem/allocate.  Ours are
 * compound from here on, also between their release and their end, and what
 * allocates there knows single pages only.
 */
static void p2p_pool_hide(struct pci_dev *pdev)
{
	static const struct attribute allocate = { .name = "allocate" };

	sysfs_remove_file_from_group(&pdev->dev.kobj, &allocate, "p2pmem");
}

/**
 * p2p_pool_add - pci_p2pdma_add_resource(), leaving nothing behind when it fails
 * @pdev: the device.
 * @bar: BAR number.
 * @length: bytes.
 * @offset: in the BAR.
 *
 * When its last step fails (gen_pool_add_owner(): vmalloc() has no memory, or
 * gives up because the caller has been killed), the kernel (7.2, 7.3) frees the
 * pagemap, and forgets that a devm action for it is on the device's list:
 * unbinding would run that on freed memory.  It is the last of the list then,
 * and is taken off; the few bytes of the entry are lost.
 */
int p2p_pool_add(struct pci_dev *pdev, u32 bar, u64 length, u64 offset)
{
	struct list_head *last, *stray;
	int ret;

	scoped_guard(spinlock_irqsave, &pdev->dev.devres_lock)
		last = pdev->dev.devres_head.prev;

	ret = pci_p2pdma_add_resource(pdev, bar, length, offset);
	if (!ret) {
		p2p_pool_hide(pdev);
		return 0;
	}

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
static int p2p_pool_alloc(struct p2p_window *window)
{
	struct pci_dev *pdev = window->dev->core.pdev;
	void *kaddr = pci_alloc_p2pmem(pdev, window->range.length);

	if (!kaddr)
		return -ENOMEM;
	if (virt_to_phys(kaddr) != p2p_window_phys(window)) {
		pci_free_p2pmem(pdev, kaddr, window->range.length);
		return -ENOMEM;
	}
	window->pool.kaddr = kaddr;
	window->folios = virt_to_page(kaddr);
	return 0;
}

static void p2p_pool_init_folios(struct p2p_window *window)
{
	struct dev_pagemap *pgmap = page_pgmap(window->folios);
	unsigned long i;

	for (i = 0; i < window->nr_folios; i++) {
		struct folio *folio = p2p_window_folio(window, i);

		zone_device_folio_init(folio, pgmap, window->order);
		/* Born locked; a direct read would wait for it when dirtying. */
		folio_unlock(folio);
		cond_resched();
	}
}

/*
 * A failure after the first step leaves pool.added set: the kernel keeps the pages
 * until unbind, and a later claim of the same window goes on from there.
 */
static int p2p_pool_claim(struct p2p_window *window)
{
	int ret;

	if (!window->pool.added) {
		ret = p2p_pool_add(window->dev->core.pdev, window->bar,
				   window->range.length, window->range.start);
		if (ret)
			return ret;
		window->pool.added = true;
	}

	ret = p2p_pool_alloc(window);
	if (ret)
		return ret;

	p2p_pool_init_folios(window);
	return 0;
}

/* Then the kernel would wait, without end, for the references of folio_init. */
static void p2p_pool_release(struct p2p_window *window)
{
	if (!window->pool.kaddr)
		return;

	percpu_ref_put_many(&page_pgmap(window->folios)->ref,
			    window->nr_folios << window->order);
	pci_free_p2pmem(window->dev->core.pdev, window->pool.kaddr,
			window->range.length);
	window->pool.kaddr = NULL;
}

const struct p2p_provider p2p_provider_pool = {
	.id = P2P_VFIO_PROVIDER_STANDARD,
	.claim = p2p_pool_claim,
	.release = p2p_pool_release,
};
