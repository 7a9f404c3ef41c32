// SPDX-License-Identifier: GPL-2.0-only
/*
 * window.c - registered BAR ranges
 *
 * The zap, drain and state paths, some of which must not wait for a registration,
 * find windows under RCU and hold a reference while they look at one.  The fault
 * path needs none: a window with a mapping is not unregistered.
 */
#include <linux/cleanup.h>
#include <linux/delay.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "p2p.h"
#include "trace.h"

/**
 * p2p_window_get - look a window up by number
 * @dev: the device.
 * @id: the number, from user space.
 *
 * Return: the window with a reference, for p2p_window_put(), or NULL.
 */
struct p2p_window *p2p_window_get(struct p2p_device *dev, u32 id)
{
	struct p2p_window *window;

	if (id >= P2P_VFIO_MAX_WINDOWS)
		return NULL;

	guard(rcu)();
	window = rcu_dereference(dev->windows[array_index_nospec(id, P2P_VFIO_MAX_WINDOWS)]);
	return window && refcount_inc_not_zero(&window->ref) ? window : NULL;
}

/**
 * p2p_window_from - the first window of at least this number
 * @dev: the device.
 * @id: the number, set to the window's.
 *
 * Return: the window with a reference, or NULL.
 */
struct p2p_window *p2p_window_from(struct p2p_device *dev, u32 *id)
{
	struct p2p_window *window = NULL;

	for (; *id < P2P_VFIO_MAX_WINDOWS; (*id)++) {
		window = p2p_window_get(dev, *id);
		if (window)
			break;
	}
	return window;
}

/**
 * p2p_window_put - the reader is done with it
 * @window: the window.
 */
void p2p_window_put(struct p2p_window *window)
{
	if (refcount_dec_and_test(&window->ref))
		complete(&window->unused);
}

/**
 * p2p_window_map - a VMA or an export of the window comes to be
 * @window: the window.
 *
 * Return: false if the window is being unregistered.
 */
bool p2p_window_map(struct p2p_window *window)
{
	return atomic_inc_unless_negative(&window->mappings);
}

/**
 * p2p_window_unmap - a VMA or an export has gone, and its page references with it
 * @window: the window.
 */
void p2p_window_unmap(struct p2p_window *window)
{
	/* Pairs with p2p_window_retire(): its references have gone before. */
	(void)atomic_dec_return_release(&window->mappings);
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

/* A window of the table, for its writers. */
static struct p2p_window *p2p_window_slot(struct p2p_device *dev, u32 id)
{
	return rcu_dereference_protected(dev->windows[id],
					 lockdep_is_held(&dev->window_lock));
}

/* Returns the identical window, NULL if there is nothing there, or -EEXIST. */
static struct p2p_window *p2p_window_at(struct p2p_device *dev, u32 bar,
					const struct p2p_range *range)
{
	struct p2p_window *win;
	u32 id;

	for (id = 0; id < P2P_VFIO_MAX_WINDOWS; id++) {
		win = p2p_window_slot(dev, id);
		if (!win)
			continue;
		if (p2p_window_is(win, bar, range))
			return win;
		if (win->bar == bar && p2p_ranges_overlap(&win->range, range))
			return ERR_PTR(-EEXIST);
	}
	return NULL;
}

/* Readers that found it in the table may still look at its count. */
static void p2p_window_free(struct p2p_window *window)
{
	kvfree(window->touched);
	kvfree(window->given_up);
	kvfree(window->freed);
	kfree_rcu(window, rcu);
}

static unsigned long *p2p_window_bitmap(const struct p2p_window *window)
{
	return kvcalloc(BITS_TO_LONGS(window->nr_folios), sizeof(long),
			GFP_KERNEL_ACCOUNT);
}

static struct p2p_window *p2p_window_alloc(struct p2p_device *dev, u32 bar,
					   const struct p2p_range *range)
{
	struct p2p_window *window = kzalloc(sizeof(*window), GFP_KERNEL_ACCOUNT);

	if (!window)
		return NULL;
	INIT_LIST_HEAD(&window->parked);
	refcount_set(&window->ref, 1);
	init_completion(&window->unused);
	window->dev = dev;
	window->bar = bar;
	window->range = *range;
	window->prefetchable = pci_resource_flags(dev->core.pdev, bar) &
			       IORESOURCE_PREFETCH;
	window->order = P2P_HAVE_PMD && !p2p_want_small_folios() ? PMD_ORDER : 0;
	window->nr_folios = range->length / p2p_folio_size(window);
	window->touched = p2p_window_bitmap(window);
	window->given_up = p2p_window_bitmap(window);
	window->freed = p2p_window_bitmap(window);
	if (!window->touched || !window->given_up || !window->freed) {
		p2p_window_free(window);
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
	while (p2p_window_slot(dev, window->id))
		window->id++;
	rcu_assign_pointer(dev->windows[window->id], window);
	WRITE_ONCE(dev->nr_windows, dev->nr_windows + 1);

	trace_p2p_vfio_register(window);
	p2p_log_limited(dev, log_windows, pci_info,
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
		if (window->pool.added)
			list_add(&window->parked, &dev->parked);
		else
			p2p_window_free(window);
		return ret;
	}
	refcount_inc(&window->ref);
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
	struct p2p_window *window;
	struct p2p_bar info;
	int ret;

	p2p_describe_bar(dev, bar, &info);
	ret = p2p_window_rule(&info, range, wc, rule);
	if (ret)
		return ret;

	window = p2p_window_at(dev, bar, range);
	if (IS_ERR(window)) {
		*rule = "overlaps another window";
		return PTR_ERR(window);
	}
	if (window) {
		refcount_inc(&window->ref);
		*out = window;
		return 0;
	}

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
 * @out: set to the window, with a reference.
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

/*
 * Takes the window out of the table.  With no mapping there is no new pin, and what
 * is frozen has no old one.
 *
 * Return: 0, or EBUSY with nothing changed.
 */
static int p2p_window_retire(struct p2p_device *dev, struct p2p_window *window)
{
	if (atomic_cmpxchg(&window->mappings, 0, -1))
		return -EBUSY;

	guard(mutex)(&dev->baseline_lock);

	if (!p2p_folios_freeze(window)) {
		atomic_set(&window->mappings, 0);
		return -EBUSY;
	}
	/* A drain that begins from here on does not find it. */
	RCU_INIT_POINTER(dev->windows[window->id], NULL);
	WRITE_ONCE(dev->nr_windows, dev->nr_windows - 1);
	return 0;
}

/* Those who had found it are done. */
static void p2p_window_dispose(struct p2p_window *window)
{
	p2p_window_put(window);
	wait_for_completion(&window->unused);
	window->provider->release(window);
	p2p_window_free(window);
}

/**
 * p2p_window_unregister - give the range back
 * @dev: the device, open.
 * @id: the window's number.
 *
 * Takes window_lock, and memory hotplug's locks inside it.  Waits for a grace
 * period of RCU, not for I/O.
 *
 * Return: 0, ENOENT, EBUSY (mapped, pinned, or being drained), EOPNOTSUPP (not of
 * this provider).
 */
int p2p_window_unregister(struct p2p_device *dev, u32 id)
{
	struct p2p_window *window;
	int ret;

	if (id >= P2P_VFIO_MAX_WINDOWS)
		return -ENOENT;
	id = array_index_nospec(id, P2P_VFIO_MAX_WINDOWS);

	guard(mutex)(&dev->window_lock);

	window = p2p_window_slot(dev, id);
	if (!window)
		return -ENOENT;
	if (!window->provider->events)
		return -EOPNOTSUPP;
	ret = p2p_window_retire(dev, window);
	if (ret)
		return ret;
	p2p_log_limited(dev, log_windows, pci_info, "p2p: window %u unregistered\n", id);
	p2p_window_dispose(window);
	return 0;
}

/**
 * p2p_windows_destroy - remove: take all windows away
 * @dev: the device; no fd of it is open, its gate is dead, every folio is idle.
 */
void p2p_windows_destroy(struct p2p_device *dev)
{
	struct p2p_window *window, *next;
	u32 id;

	guard(mutex)(&dev->window_lock);

	for (id = 0; id < P2P_VFIO_MAX_WINDOWS; id++) {
		window = p2p_window_slot(dev, id);
		if (!window)
			continue;
		/* A late GUP-fast gives back at once what it got. */
		while (p2p_window_retire(dev, window))
			msleep(1);
		p2p_window_dispose(window);
	}
	irq_work_sync(&dev->folio_freed);
	list_for_each_entry_safe(window, next, &dev->parked, parked)
		p2p_window_free(window);
}
