// SPDX-License-Identifier: GPL-2.0-only
/*
 * folio.c - is a folio held, and how a drain learns that it no longer is
 *
 * The driver has one reference on each folio, the baseline.  At rest the count is
 * that one; a mapping or a DMA pin adds to it.  Nothing says when a count falls
 * back to one, so a drain has to look again and again.
 *
 * A folio whose provider can tell when it falls to 0 is waited for instead: the
 * drain gives up the baseline, the last put is then somebody else's and calls
 * p2p_folio_freed().  When the last drain ends, well or not, every baseline is
 * restored:
 *
 *			given_up  freed	 count
 *	at rest		    0	    0	   1
 *	held		    0	    0	 > 1
 *	held, waited for    1	    0	 > 0	(0 for a moment, on its way to freed)
 *	idle, waited for    1	    1	   0
 *
 * All this happens with the gate closed and the mappings zapped, so that counts
 * only fall.
 */
#include <linux/cleanup.h>
#include <linux/mm.h>

#include "p2p.h"

/**
 * p2p_folio_held - does anybody but the driver hold the folio?
 * @window: its window.
 * @nr: its number.
 *
 * A moment's view; with the gate closed a no is for good.  Either between
 * p2p_baseline_enter() and p2p_baseline_leave(), or under p2p_device.baseline_lock:
 * no baseline may be restored meanwhile.
 */
bool p2p_folio_held(const struct p2p_window *window, unsigned long nr)
{
	int count;

	if (!test_bit(nr, window->given_up)) {
		p2p_between_looks();
		count = folio_ref_count(p2p_window_folio(window, nr));
		/*
		 * Another drain may have given up the baseline in between, and one
		 * be somebody else's.  Pairs with the order in p2p_baseline_give_up():
		 * the bit, then the put.
		 */
		smp_rmb();
		if (!test_bit(nr, window->given_up))
			return count != 1;
	}
	return !test_bit(nr, window->freed);
}

/**
 * p2p_folio_references - how many references others have; a moment's view
 * @window: its window.
 * @nr: its number.
 */
int p2p_folio_references(const struct p2p_window *window, unsigned long nr)
{
	return folio_ref_count(p2p_window_folio(window, nr)) -
	       !test_bit(nr, window->given_up);
}

static void p2p_baseline_give_up(struct p2p_window *window, unsigned long nr)
{
	guard(mutex)(&window->dev->baseline_lock);

	if (!test_and_set_bit(nr, window->given_up))
		folio_put(p2p_window_folio(window, nr));
}

/**
 * p2p_folio_wait - wait until nobody holds the folio any more
 * @window: its window, of a provider with events.
 * @nr: its number.
 * @policy: a signal may end the wait.
 * @ms: and so does this, in milliseconds.
 *
 * Between p2p_baseline_enter() and p2p_baseline_leave().
 */
void p2p_folio_wait(struct p2p_window *window, unsigned long nr,
		    struct p2p_policy policy, unsigned int ms)
{
	struct p2p_device *dev = window->dev;
	long jiffies = msecs_to_jiffies(ms) + 1;

	p2p_baseline_give_up(window, nr);
	if (policy.interruptible)
		wait_event_interruptible_timeout(dev->drained,
						 !p2p_folio_held(window, nr), jiffies);
	else
		wait_event_timeout(dev->drained, !p2p_folio_held(window, nr), jiffies);
}

/**
 * p2p_folio_freed - a folio has fallen to 0
 * @window: its window.
 * @nr: its number.
 *
 * From the provider, in whatever context the last reference was dropped.
 */
void p2p_folio_freed(struct p2p_window *window, unsigned long nr)
{
	/* What was done with the folio is done before it is seen to be free. */
	smp_mb__before_atomic();
	set_bit(nr, window->freed);
	/* GUP-fast puts with interrupts off, where a real-time kernel could not wake. */
	irq_work_queue(&window->dev->folio_freed);
}

static void p2p_baseline_restore(struct p2p_window *window, unsigned long nr)
{
	struct folio *folio = p2p_window_folio(window, nr);

	if (!folio_try_get(folio)) {
		/*
		 * At 0: its last holder may still be on the way to p2p_folio_freed().
		 * Looked for again and again, since the thread that wakes us under
		 * PREEMPT_RT may be kept from running by others of higher priority.
		 */
		while (!wait_event_timeout(window->dev->drained,
					   test_bit(nr, window->freed), HZ / 10))
			;
		folio_set_count(folio, 1);
	}
	/* The count is right before p2p_folio_held() goes by it again. */
	smp_mb__before_atomic();
	clear_bit(nr, window->given_up);
	smp_mb__after_atomic();
	clear_bit(nr, window->freed);
}

/**
 * p2p_baseline_enter - a drain begins
 * @dev: the device.
 */
void p2p_baseline_enter(struct p2p_device *dev)
{
	guard(mutex)(&dev->baseline_lock);

	dev->drainers++;
}

/**
 * p2p_baseline_leave - a drain has ended; the last one restores what all gave up
 * @dev: the device.
 */
void p2p_baseline_leave(struct p2p_device *dev)
{
	struct p2p_window *window;
	unsigned long nr;
	u32 id;

	guard(mutex)(&dev->baseline_lock);

	if (--dev->drainers)
		return;
	p2p_for_each_window(dev, id, window)
		for_each_set_bit(nr, window->given_up, window->nr_folios)
			p2p_baseline_restore(window, nr);
}

static void p2p_unfreeze(struct p2p_window *window, unsigned long end)
{
	unsigned long nr;

	for (nr = 0; nr < end; nr++)
		folio_ref_unfreeze(p2p_window_folio(window, nr), 1);
}

/**
 * p2p_folios_freeze - from here on nobody can get a reference of any folio
 * @window: no mapping.
 *
 * Frozen, not put: the standard provider's handler for a folio that falls to 0
 * knows single pages only.  All or nothing: what somebody holds, were it for the
 * moment of a late GUP-fast, makes it fail.
 *
 * Under p2p_device.baseline_lock.
 *
 * Return: true if all are frozen.
 */
bool p2p_folios_freeze(struct p2p_window *window)
{
	unsigned long nr;

	lockdep_assert_held(&window->dev->baseline_lock);

	/* A drain under way looks at folios, and may give up baselines. */
	if (window->dev->drainers)
		return false;
	for (nr = 0; nr < window->nr_folios; nr++) {
		if (!folio_ref_freeze(p2p_window_folio(window, nr), 1)) {
			p2p_unfreeze(window, nr);
			return false;
		}
		cond_resched();
	}
	return true;
}

static void p2p_wake_drains(struct irq_work *work)
{
	wake_up_all(&container_of(work, struct p2p_device, folio_freed)->drained);
}

/**
 * p2p_folios_init - what drains wait by
 * @dev: the device.  irq_work_sync() of its folio_freed must come before its end.
 */
void p2p_folios_init(struct p2p_device *dev)
{
	mutex_init(&dev->baseline_lock);
	init_waitqueue_head(&dev->drained);
	init_irq_work(&dev->folio_freed, p2p_wake_drains);
}
