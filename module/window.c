// SPDX-License-Identifier: GPL-2.0-only
/*
 * window.c - registered BAR ranges
 *
 * Windows are only ever added, until the driver is unbound and takes all of them
 * away.  So the fault, zap and drain paths, some of which must not wait for a
 * registration, read the table without a lock.
 */
#include <linux/cleanup.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "p2p.h"
#include "trace.h"

/**
 * p2p_window_count - how many windows are registered
 * @dev: the device.
 *
 * Pairs with the release in p2p_window_publish(): a window below the count is
 * whole.
 */
unsigned int p2p_window_count(const struct p2p_device *dev)
{
	return smp_load_acquire(&dev->nr_windows);
}

/**
 * p2p_window_get - look a window up by number
 * @dev: the device.
 * @id: the number, from user space.
 *
 * Return: the window, good until unbind, or NULL.
 */
struct p2p_window *p2p_window_get(struct p2p_device *dev, u32 id)
{
	return id < p2p_window_count(dev) ?
	       dev->windows[array_index_nospec(id, P2P_VFIO_MAX_WINDOWS)] : NULL;
}

/**
 * p2p_window_folio - folio number @nr of a window
 */
struct folio *p2p_window_folio(const struct p2p_window *window, unsigned long nr)
{
	return page_folio(window->folios + nr * P2P_FOLIO_PAGES);
}

/**
 * p2p_window_touched - folios faulted in since the last revocation
 */
unsigned long p2p_window_touched(const struct p2p_window *window)
{
	return bitmap_weight(window->touched, window->nr_folios);
}

/**
 * p2p_window_pinned - folios that somebody pins now; a moment's view
 *
 * Large folios count their pins exactly.
 */
unsigned long p2p_window_pinned(const struct p2p_window *window)
{
	unsigned long nr, pinned = 0;

	for_each_set_bit(nr, window->touched, window->nr_folios)
		pinned += folio_maybe_dma_pinned(p2p_window_folio(window, nr));
	return pinned;
}

/**
 * p2p_find_msix - note where MSI-X table and pending bits are
 * @dev: the device, at probe.
 *
 * Once, while nobody can reset it: config space reads all ones during a reset, and
 * a table that was overlooked then would be inside a window for good.
 */
void p2p_find_msix(struct p2p_device *dev)
{
	struct pci_dev *pdev = dev->core.pdev;
	u32 table, pba;
	u16 ctrl, vectors;

	if (!pdev->msix_cap)
		return;

	pci_read_config_word(pdev, pdev->msix_cap + PCI_MSIX_FLAGS, &ctrl);
	pci_read_config_dword(pdev, pdev->msix_cap + PCI_MSIX_TABLE, &table);
	pci_read_config_dword(pdev, pdev->msix_cap + PCI_MSIX_PBA, &pba);
	vectors = (ctrl & PCI_MSIX_FLAGS_QSIZE) + 1;

	dev->msix[0].bar = table & PCI_MSIX_TABLE_BIR;
	dev->msix[0].range.start = table & PCI_MSIX_TABLE_OFFSET;
	dev->msix[0].range.length = vectors * PCI_MSIX_ENTRY_SIZE;
	dev->msix[1].bar = pba & PCI_MSIX_PBA_BIR;
	dev->msix[1].range.start = pba & PCI_MSIX_PBA_OFFSET;
	dev->msix[1].range.length = DIV_ROUND_UP(vectors, 64) * 8;
}

static void p2p_describe_bar(struct p2p_device *dev, u32 bar, struct p2p_bar *info)
{
	struct pci_dev *pdev = dev->core.pdev;
	unsigned long flags = pci_resource_flags(pdev, bar);
	unsigned int i;

	*info = (struct p2p_bar) {
		.bus_start = pci_resource_start(pdev, bar),
		.length = pci_resource_len(pdev, bar),
		.memory = flags & IORESOURCE_MEM,
		.mappable = dev->core.bar_mmap_supported[bar],
		.prefetchable = flags & IORESOURCE_PREFETCH,
	};
	for (i = 0; i < ARRAY_SIZE(info->msix); i++)
		if (dev->msix[i].bar == bar)
			info->msix[i] = dev->msix[i].range;
}

/*
 * A function that shares our reset and is driven by another VFIO driver can be
 * told by its owner to reset us too, and that driver would not wait for our pins.
 */
static bool p2p_foreign_sibling(struct p2p_device *dev)
{
	struct vfio_device_set *set = dev->core.vdev.dev_set;
	struct vfio_device *cur;

	guard(mutex)(&set->lock);
	list_for_each_entry(cur, &set->device_list, dev_set_list)
		if (!p2p_is_ours(cur))
			return true;
	return false;
}

static bool p2p_window_is(const struct p2p_window *window, u32 bar,
			  const struct p2p_range *range)
{
	return window->bar == bar && window->range.start == range->start &&
	       window->range.length == range->length;
}

/* Returns the identical window, NULL if there is nothing there, or -EEXIST. */
static struct p2p_window *p2p_window_at(struct p2p_device *dev, u32 bar,
					const struct p2p_range *range)
{
	unsigned int i;

	for (i = 0; i < dev->nr_windows; i++) {
		struct p2p_window *win = dev->windows[i];

		if (p2p_window_is(win, bar, range))
			return win;
		if (win->bar == bar && p2p_ranges_overlap(&win->range, range))
			return ERR_PTR(-EEXIST);
	}
	return NULL;
}

static void p2p_window_free(struct p2p_window *window)
{
	bitmap_free(window->touched);
	kfree(window);
}

static struct p2p_window *p2p_window_alloc(struct p2p_device *dev, u32 bar,
					   const struct p2p_range *range)
{
	struct p2p_window *window = kzalloc(sizeof(*window), GFP_KERNEL_ACCOUNT);

	if (!window)
		return NULL;
	INIT_LIST_HEAD(&window->parked);
	window->dev = dev;
	window->bar = bar;
	window->range = *range;
	window->prefetchable = pci_resource_flags(dev->core.pdev, bar) &
			       IORESOURCE_PREFETCH;
	window->nr_folios = range->length / P2P_VFIO_GRANULE;
	window->touched = bitmap_zalloc(window->nr_folios, GFP_KERNEL_ACCOUNT);
	if (!window->touched) {
		kfree(window);
		return NULL;
	}
	return window;
}

/* The parked range if it is this one; -EEXIST if one is in the way. */
static struct p2p_window *p2p_window_unpark(struct p2p_device *dev, u32 bar,
					    const struct p2p_range *range)
{
	struct p2p_window *window;

	list_for_each_entry(window, &dev->parked, parked) {
		if (p2p_window_is(window, bar, range)) {
			list_del_init(&window->parked);
			return window;
		}
		if (window->bar == bar && p2p_ranges_overlap(&window->range, range))
			return ERR_PTR(-EEXIST);
	}
	return p2p_window_alloc(dev, bar, range) ?: ERR_PTR(-ENOMEM);
}

static void p2p_window_publish(struct p2p_device *dev, struct p2p_window *window)
{
	window->id = dev->nr_windows;
	dev->windows[window->id] = window;
	/* Pairs with the acquire in p2p_window_count(). */
	smp_store_release(&dev->nr_windows, window->id + 1);

	trace_p2p_vfio_register(window);
	pci_info(dev->core.pdev,
		 "p2p: window %u: BAR %u, offset %#llx, %llu MiB\n", window->id,
		 window->bar, window->range.start, window->range.length >> 20);
}

static int p2p_window_create(struct p2p_device *dev, u32 bar,
			     const struct p2p_range *range,
			     struct p2p_window **out)
{
	struct p2p_window *window = p2p_window_unpark(dev, bar, range);
	int ret;

	if (IS_ERR(window))
		return PTR_ERR(window);

	ret = p2p_provider_claim(window);
	if (ret) {
		if (window->provider.added)
			list_add(&window->parked, &dev->parked);
		else
			p2p_window_free(window);
		return ret;
	}
	p2p_window_publish(dev, window);
	*out = window;
	return 0;
}

/*
 * What must hold for a new window beyond the rules of its range.  Privilege comes
 * first: without it nobody is told of siblings, or waits for their lock.
 */
static int p2p_window_may_create(struct p2p_device *dev, const char **rule)
{
	if (!p2p_unprivileged_windows() && !capable(CAP_SYS_ADMIN)) {
		*rule = "a new window needs CAP_SYS_ADMIN, or the module parameter unprivileged_windows";
		return -EPERM;
	}
	if (p2p_gate_look(dev->gate).gone) {
		*rule = "the device has gone";
		return -ENODEV;
	}
	if (dev->nr_windows == P2P_VFIO_MAX_WINDOWS) {
		*rule = "all window numbers are taken";
		return -ENOSPC;
	}
	if (p2p_foreign_sibling(dev)) {
		*rule = "a function reset together with this one is bound to another VFIO driver";
		return -EXDEV;
	}
	return 0;
}

static int p2p_window_find_or_create(struct p2p_device *dev, u32 bar,
				     const struct p2p_range *range, bool wc,
				     struct p2p_window **out, const char **rule)
{
	struct p2p_bar info;
	int ret;

	p2p_describe_bar(dev, bar, &info);
	ret = p2p_window_rule(&info, range, wc, rule);
	if (ret)
		return ret;

	*out = p2p_window_at(dev, bar, range);
	if (IS_ERR(*out)) {
		*rule = "overlaps another window";
		return PTR_ERR(*out);
	}
	if (*out)
		return 0;

	ret = p2p_window_may_create(dev, rule);
	if (ret)
		return ret;
	*rule = "the kernel could not make its struct pages";
	return p2p_window_create(dev, bar, range, out);
}

/**
 * p2p_window_register - find the window of this range, or make it
 * @dev: the device, open.
 * @bar: BAR number, at most 5.
 * @range: in the BAR.
 * @wc: the caller wants a write-combining view.
 * @out: set to the window.
 *
 * Takes window_lock, and memory hotplug's locks inside it.
 *
 * Return: 0, or an errno of WINDOW in <p2p_vfio.h>; a refusal is logged with the
 * rule that was broken.
 */
int p2p_window_register(struct p2p_device *dev, u32 bar,
			const struct p2p_range *range, bool wc,
			struct p2p_window **out)
{
	const char *rule = "";
	int ret;

	guard(mutex)(&dev->window_lock);

	ret = p2p_window_find_or_create(dev, bar, range, wc, out, &rule);
	if (ret)
		p2p_log_limited(dev, log_refusals, pci_notice,
				"p2p: no window of %#llx bytes at offset %#llx of BAR %u (%#llx bytes): %s\n",
				range->length, range->start, bar,
				(u64)pci_resource_len(dev->core.pdev, bar), rule);
	return ret;
}

/**
 * p2p_windows_destroy - remove: take all windows away
 * @dev: the device; no fd of it is open, its gate is dead, every folio is idle.
 */
void p2p_windows_destroy(struct p2p_device *dev)
{
	struct p2p_window *window, *next;
	unsigned int i;

	for (i = 0; i < dev->nr_windows; i++) {
		p2p_provider_release(dev->windows[i]);
		p2p_window_free(dev->windows[i]);
	}
	dev->nr_windows = 0;
	list_for_each_entry_safe(window, next, &dev->parked, parked)
		p2p_window_free(window);
}
