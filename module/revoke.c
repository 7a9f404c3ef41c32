// SPDX-License-Identifier: GPL-2.0-only
/*
 * revoke.c - close the gate, zap, drain; and open it again
 *
 *	begin:	close the gate	no insertion is in progress, none can begin
 *		zap		no page table leads to a window's folio
 *		drain		no pin is left: nothing does DMA through a window
 *	act:	the caller's: vfio-pci-core zaps its own mappings, moves dma-bufs,
 *		and touches the hardware
 *	end:	open the gate, wake those who wait, tell the eventfds
 *
 * Nothing in here takes a lock that a caller of get_user_pages() can hold while
 * it waits for us, and nothing is held during the wait.
 */
#include <linux/cleanup.h>
#include <linux/hrtimer.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>

#include "p2p.h"
#include "trace.h"

#define P2P_SPIN_US	10
#define P2P_SLEEP_MAX_US 1000
#define P2P_ZAP_GAP	64	/* folios */

/* A call that is made again so soon goes on. */
#define P2P_RESTART_MS	1000

/* Takes i_mmap_rwsem and page-table locks, as any truncation does. */
static void p2p_zap_run(struct p2p_window *window, unsigned long first,
			unsigned long end)
{
	struct address_space *mapping = window->dev->core.vdev.inode->i_mapping;
	u64 start = first * p2p_folio_size(window);
	u64 length = (end - first) * p2p_folio_size(window);

	unmap_mapping_range(mapping, p2p_cookie(window->id, false) + start, length, 1);
	if (window->prefetchable)
		unmap_mapping_range(mapping, p2p_cookie(window->id, true) + start,
				    length, 1);
}

/*
 * Run by run of touched folios.  Runs that are near one another are one: to pass
 * over empty entries costs less than to begin anew.
 */
static void p2p_zap_window(struct p2p_window *window)
{
	const unsigned long nr = window->nr_folios;
	unsigned long first = find_first_bit(window->touched, nr), end, next;

	while (first < nr) {
		end = find_next_zero_bit(window->touched, nr, first);
		next = find_next_bit(window->touched, nr, end);
		while (next < nr && next - end <= P2P_ZAP_GAP) {
			end = find_next_zero_bit(window->touched, nr, next);
			next = find_next_bit(window->touched, nr, end);
		}
		/* Another drain that ends now forgets what was touched: no length means all. */
		if (first < end)
			p2p_zap_run(window, first, end);
		first = next;
	}
}

static void p2p_zap(struct p2p_device *dev)
{
	struct p2p_window *window;
	u32 id;

	p2p_for_each_window(dev, id, window)
		p2p_zap_window(window);

	/*
	 * Pairs with the atomic in GUP-fast, which takes its reference and then
	 * looks at the page-table entry again: either it sees the entry gone and
	 * gives the reference back, or the drain sees the reference.
	 */
	smp_mb();
}

static unsigned long p2p_revoke_pinned(struct p2p_device *dev)
{
	struct p2p_window *window;
	unsigned long pinned = 0;
	u32 id;

	p2p_for_each_window(dev, id, window)
		pinned += p2p_window_pinned(window);
	return pinned;
}

/**
 * p2p_revoke_close - first half of begin: gate and zap
 * @dev: the device.
 * @cause: why.
 *
 * Cannot fail.  May sleep, but waits for no I/O: fit for every hook.
 */
void p2p_revoke_close(struct p2p_device *dev, enum p2p_vfio_cause cause)
{
	bool outermost = p2p_gate_close(dev->gate, cause);

	trace_p2p_vfio_begin(dev, cause, !outermost);
	if (outermost) {
		atomic64_inc(&dev->revokes[cause]);
		p2p_notify_signal(dev);
	}
	p2p_zap(dev);
	if (trace_p2p_vfio_zapped_enabled())
		trace_p2p_vfio_zapped(dev, p2p_revoke_pinned(dev));
}

/**
 * p2p_revoke_open - the end of a revocation
 * @dev: the device.
 * @acted: the device was reset, switched off or similar meanwhile.
 */
void p2p_revoke_open(struct p2p_device *dev, bool acted)
{
	bool opened = p2p_gate_open(dev->gate, acted);

	trace_p2p_vfio_end(dev, acted, opened);
	if (opened)
		p2p_notify_signal(dev);
}

/*
 * Where a drain is.  With the gate closed and all mappings zapped a folio that
 * was idle once stays so (a late GUP-fast may take a reference, but finds no
 * entry and gives it back), so one pass is enough.
 */
struct p2p_cursor {
	u32 id;
	struct p2p_window *window;
	unsigned long nr;
};

static void p2p_cursor_end(struct p2p_cursor *at)
{
	if (at->window)
		p2p_window_put(at->window);
	at->window = NULL;
}
DEFINE_FREE(p2p_cursor, struct p2p_cursor, p2p_cursor_end(&_T))

/* Advances over idle folios.  True at the first that is held. */
static bool p2p_next_held(struct p2p_device *dev, struct p2p_cursor *at)
{
	for (;;) {
		if (!at->window) {
			at->window = p2p_window_from(dev, &at->id);
			at->nr = 0;
		}
		if (!at->window)
			return false;
		for_each_set_bit_from(at->nr, at->window->touched, at->window->nr_folios)
			if (p2p_folio_held(at->window, at->nr))
				return true;
		p2p_cursor_end(at);
		at->id++;
	}
}

/**
 * p2p_revoke_idle - does nobody hold a folio of any window?
 * @dev: the device, its gate closed.
 */
bool p2p_revoke_idle(struct p2p_device *dev)
{
	struct p2p_cursor at __free(p2p_cursor) = {};

	guard(mutex)(&dev->baseline_lock);

	return !p2p_next_held(dev, &at);
}

/*
 * For the trace of a drain that has ended: looked up in every folio, whatever the
 * drain went by, so that a drain that did not do its work shows.
 */
static unsigned long p2p_revoke_pinned_anywhere(struct p2p_device *dev)
{
	struct p2p_window *window;
	unsigned long nr, pinned = 0;
	u32 id;

	p2p_for_each_window(dev, id, window)
		for (nr = 0; nr < window->nr_folios; nr++)
			pinned += folio_maybe_dma_pinned(p2p_window_folio(window, nr));
	return pinned;
}

/* All idle, gate closed: what was touched is forgotten. */
static void p2p_forget_touched(struct p2p_device *dev)
{
	struct p2p_window *window;
	u32 id;

	p2p_for_each_window(dev, id, window)
		bitmap_zero(window->touched, window->nr_folios);
}

/* Sleeps longer and longer. */
static void p2p_backoff(struct p2p_policy policy, u64 waited_us)
{
	u64 us = clamp_t(u64, waited_us / 4, P2P_SPIN_US, P2P_SLEEP_MAX_US);
	ktime_t delay = us_to_ktime(us);

	set_current_state(policy.interruptible ? TASK_INTERRUPTIBLE :
						 TASK_UNINTERRUPTIBLE);
	schedule_hrtimeout_range(&delay, us * NSEC_PER_USEC, HRTIMER_MODE_REL);
}

/* Spins at first, since most pins go in microseconds. */
static void p2p_wait_for_held(const struct p2p_cursor *at, struct p2p_policy policy,
			      u64 waited_us)
{
	if (waited_us < P2P_SPIN_US)
		cpu_relax();
	else if (at->window->provider->events)
		p2p_folio_wait(at->window, at->nr, policy,
			       policy.timeout_ms - waited_us / USEC_PER_MSEC);
	else
		p2p_backoff(policy, waited_us);
	cond_resched();
}

static void p2p_report_held(struct p2p_device *dev, const struct p2p_cursor *at,
			    u64 waited_us)
{
	const struct p2p_gate_view view = p2p_gate_look(dev->gate);
	const struct p2p_window *win = at->window;

	p2p_log_limited(dev, log_drains, pci_warn,
			"p2p: %lu folios still pinned after %llu ms; first: window %u, BAR %u, offset %#llx, %d references; revoked for %llu ms (%s)\n",
			p2p_revoke_pinned(dev), waited_us / USEC_PER_MSEC, win->id,
			win->bar, win->range.start + at->nr * p2p_folio_size(win),
			p2p_folio_references(win, at->nr),
			view.closed_us / USEC_PER_MSEC, p2p_cause_name(view.cause));
}

static int p2p_drain_gave_up(struct p2p_device *dev, const struct p2p_cursor *at,
			     u64 waited_us)
{
	atomic64_inc(&dev->drain_timeouts);
	trace_p2p_vfio_timeout(dev, p2p_revoke_pinned(dev), waited_us);
	p2p_report_held(dev, at, waited_us);
	return -EBUSY;
}

/*
 * A signal sends the caller back to user mode, and the kernel or the program makes
 * the same call again; so does task work, of which nobody in user mode knows.  The
 * bound is for all of these together, or a periodic signal would make an endless
 * wait of it.
 *
 * Returns when the wait began.
 */
static ktime_t p2p_wait_begin(struct p2p_device *dev)
{
	struct p2p_interrupted *last = &dev->interrupted;
	ktime_t now = ktime_get();

	guard(spinlock)(&dev->wait_lock);

	if (last->task != current)
		return now;
	last->task = NULL;
	return ktime_ms_delta(now, last->left) < P2P_RESTART_MS ? last->since : now;
}

/* Of several callers the first is remembered; its bound ends, then others are. */
static void p2p_wait_interrupted(struct p2p_device *dev, ktime_t since)
{
	struct p2p_interrupted *last = &dev->interrupted;
	ktime_t now = ktime_get();

	guard(spinlock)(&dev->wait_lock);

	if (!last->task || ktime_ms_delta(now, last->left) >= P2P_RESTART_MS)
		*last = (struct p2p_interrupted){ current, since, now };
}

static int p2p_drain_windows(struct p2p_device *dev, struct p2p_policy policy,
			     ktime_t since)
{
	struct p2p_cursor at __free(p2p_cursor) = {};

	while (p2p_next_held(dev, &at)) {
		u64 us = ktime_us_delta(ktime_get(), since);

		if (us >= (u64)policy.timeout_ms * USEC_PER_MSEC)
			return p2p_drain_gave_up(dev, &at, us);
		if (policy.interruptible && signal_pending(current))
			return -ERESTARTSYS;
		p2p_wait_for_held(&at, policy, us);
	}
	return 0;
}

static int p2p_drain_since(struct p2p_device *dev, struct p2p_policy policy,
			   ktime_t since)
{
	ktime_t begin = ktime_get();
	int ret;
	u64 us;

	p2p_baseline_enter(dev);
	ret = p2p_drain_windows(dev, policy, since);
	p2p_baseline_leave(dev);
	if (ret)
		return ret;

	/*
	 * Pairs with the release in the last put of a pin: what the DMA's owner
	 * did before it is visible to what the caller does next.
	 */
	smp_rmb();
	p2p_forget_touched(dev);
	us = ktime_us_delta(ktime_get(), begin);
	/* A reset_prepare inside of another revocation finds everything done. */
	if (p2p_gate_look(dev->gate).closed == 1)
		p2p_stats_drained(dev, us);
	if (trace_p2p_vfio_drained_enabled())
		trace_p2p_vfio_drained(dev, us, p2p_revoke_pinned_anywhere(dev));
	return 0;
}

/**
 * p2p_revoke_drain - second half of begin: wait until every pin has gone
 * @dev: the device, after p2p_revoke_close().
 * @policy: how long; not interruptible.
 *
 * Return: 0 when all folios are idle; -EBUSY at the end of the time, which has
 * been logged and counted.
 */
int p2p_revoke_drain(struct p2p_device *dev, struct p2p_policy policy)
{
	return p2p_drain_since(dev, policy, ktime_get());
}

/**
 * p2p_revoke_drain_all - the same for a caller that can refuse
 * @caller: the device that was asked; it remembers when the wait began.
 * @devices: those to drain, after p2p_revoke_close() of each.
 * @nr: how many.
 *
 * One bound for all of them together, and for all restarts of the call.
 *
 * Return: as p2p_revoke_drain(), and -ERESTARTSYS on a signal.
 */
int p2p_revoke_drain_all(struct p2p_device *caller, struct p2p_device *const *devices,
			 unsigned int nr)
{
	const struct p2p_policy policy = p2p_policy_refusable();
	const ktime_t since = p2p_wait_begin(caller);
	unsigned int i;
	int ret = 0;

	for (i = 0; i < nr && !ret; i++)
		ret = p2p_drain_since(devices[i], policy, since);
	if (ret == -ERESTARTSYS)
		p2p_wait_interrupted(caller, since);
	return ret;
}

/**
 * p2p_revoke_begin - the whole of begin, for callers that may fail
 * @dev: the device; the caller holds no lock.
 * @cause: why.
 *
 * Return: 0, and p2p_revoke_open() must follow; or -EBUSY or -ERESTARTSYS, and
 * everything is as before.
 */
int p2p_revoke_begin(struct p2p_device *dev, enum p2p_vfio_cause cause)
{
	int ret;

	p2p_revoke_close(dev, cause);
	ret = p2p_revoke_drain_all(dev, &dev, 1);
	if (ret)
		p2p_revoke_open(dev, false);
	return ret;
}

/**
 * p2p_revoke_state - enum p2p_vfio_device_state, a moment's view
 * @dev: the device.
 * @view: set to what the gate was at the same moment.
 */
u32 p2p_revoke_state(struct p2p_device *dev, struct p2p_gate_view *view)
{
	*view = p2p_gate_look(dev->gate);
	if (view->gone)
		return P2P_VFIO_STATE_GONE;
	if (!view->closed)
		return P2P_VFIO_STATE_LIVE;
	if (!p2p_revoke_idle(dev))
		return P2P_VFIO_STATE_DRAINING;
	return READ_ONCE(dev->opened) ? P2P_VFIO_STATE_QUIESCED :
					P2P_VFIO_STATE_CLOSED;
}
