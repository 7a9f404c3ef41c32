/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * p2p.h - the driver's private structures
 *
 * Lock order, outermost first (docs/locking.md has the whole table):
 *
 *	p2p_device.window_lock  ->  dev_set->lock  ->  memory hotplug's locks
 *	mmap_lock or VMA lock   ->  an insertion (p2p_gate.dep_map)  ->  page-table locks
 *	p2p_device.notify_lock  ->  an eventfd's wait-queue lock
 *	p2p_device.error_lock   ->  p2p_gate.lock
 *	p2p_device.baseline_lock, p2p_device.wait_lock and p2p_gate.lock are leaves
 *
 * No lock of the driver is held across a call into vfio-pci-core, a zap or a
 * drain.
 */
#ifndef P2P_H
#define P2P_H

#include "compat.h"

#include <linux/atomic.h>
#include <linux/bitmap.h>
#include <linux/cleanup.h>
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/irq_work.h>
#include <linux/kref.h>
#include <linux/ktime.h>
#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/percpu.h>
#include <linux/ratelimit.h>
#include <linux/rcupdate.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/vfio_pci_core.h>
#include <linux/wait.h>

#include "p2p_vfio.h"
#include "ranges.h"

/**
 * struct p2p_insertions - insertions of page-table entries, one of these per CPU
 * @begun: on this CPU; counted before the gate is looked at.
 * @ended: on this CPU, wherever it began.
 */
struct p2p_insertions {
	unsigned long begun;
	unsigned long ended;
};

/**
 * struct p2p_gate - may a page be inserted into a page table now?
 * @ref: the device holds one, each waiting fault another: a waiter outlives the
 *	VMA, the file and the device.
 * @lock: guards all that follows but @insertions; held for a few assignments.
 * @insertions: how many began and ended, on each CPU; see p2p_gate_enter().
 * @closed: how many revocations are under way, plus one while the device is not
 *	open.  They nest: VFIO_DEVICE_RESET contains a reset_prepare.
 * @dead: the device has gone; never cleared.
 * @failed: error recovery failed; cleared when the owner has mended the device.
 * @session: counts last closes.
 * @acted: one of the revocations under way did its deed.
 * @generation: how often the gate has opened after a deed.
 * @cause: what closed it: of revocations that overlap the first.
 * @since: when that was; CLOCK_BOOTTIME.
 * @waitq: user threads whose fault met the closed gate.
 * @dep_map: an insertion, as a lock: lockdep sees what is taken inside.
 */
struct p2p_gate {
	struct kref ref;
	spinlock_t lock;
	struct p2p_insertions __percpu *insertions;
	struct lockdep_map dep_map;
	unsigned int closed;
	bool dead;
	bool failed;
	bool acted;
	u64 session;
	u64 generation;
	enum p2p_vfio_cause cause;
	ktime_t since;
	wait_queue_head_t waitq;
};

/**
 * struct p2p_gate_view - what p2p_gate_look() saw
 * @closed: see struct p2p_gate.
 * @gone: dead or failed.
 * @generation: see struct p2p_gate.
 * @cause: what closed the gate; P2P_VFIO_CAUSE_NONE if it is open, and before
 *	the first open of the device.
 * @closed_us: for how long it has been closed, 0 if it is open.
 */
struct p2p_gate_view {
	unsigned int closed;
	bool gone;
	u64 generation;
	enum p2p_vfio_cause cause;
	u64 closed_us;
};

struct p2p_own;
struct p2p_window;

/**
 * struct p2p_provider - where a window's folios come from
 * @id: as user space sees it.
 * @claim: give a window its folios: @folios, each with the baseline reference.
 *	Caller holds p2p_device.window_lock.  0 or -errno, with nothing left behind
 *	but what @provider of the window says.
 * @release: give them back; all frozen, no mapping, no reader of the window.
 *	Must be done before remove() returns.
 * @events: a folio may fall to 0 and says so (p2p_folio_freed()), and a window
 *	can be released while the device stays bound.
 */
struct p2p_provider {
	enum p2p_vfio_provider id;
	int (*claim)(struct p2p_window *window);
	void (*release)(struct p2p_window *window);
	bool events;
};

/**
 * struct p2p_pagemap_head - how the kernel lays out what it knows of our pages
 * @pgmap: what a page leads to.
 * @provider: what the kernel reads right behind it; see layout.c.
 */
struct p2p_pagemap_head {
	struct dev_pagemap pgmap;
#ifdef P2P_LAYOUT_GAP	/* a test looks at the wrong place */
	unsigned long gap;
#endif
	struct p2pdma_provider *provider;
};

/**
 * struct p2p_window - a BAR range that has struct pages
 * @dev: its device.
 * @id: its number; index in p2p_device.windows.
 * @bar: BAR number.
 * @range: offset and length in the BAR.
 * @prefetchable: write-combining may be asked for.
 * @provider: where the folios come from.
 * @provider_reason: why from there.
 * @pool: what the standard provider needs to give them back.
 * @own: what the own provider needs.
 * @folios: first page of the first folio.
 * @order: of each folio: PMD_ORDER; or 0, where the kernel has no PMDs for user
 *	space (compat.h) or a parameter wants it.
 * @nr_folios: how many.
 * @touched: one bit a folio, set before its first insertion since the last
 *	revocation, inside the gate; cleared by a drain that found it idle, while
 *	the gate is closed.  Zap and drain look at set bits only.
 * @given_up: one bit a folio whose baseline a drain has given up; guarded by
 *	p2p_device.baseline_lock.
 * @freed: one bit a folio that has fallen to 0 since.
 * @mappings: VMAs and exports of it; negative: leaving, no new ones.
 * @ref: the table holds one, each reader for a moment another.
 * @unused: the last of these has gone.
 * @parked: in p2p_device.parked, until the window is published.
 * @rcu: for readers of the table that come too late.
 */
struct p2p_window {
	struct p2p_device *dev;
	u32 id;
	u32 bar;
	struct p2p_range range;
	bool prefetchable;
	const struct p2p_provider *provider;
	enum p2p_vfio_provider_reason provider_reason;
	struct {
		bool added;
		void *kaddr;
	} pool;
	struct p2p_own *own;
	struct page *folios;
	unsigned int order;
	unsigned long nr_folios;
	unsigned long *touched;
	unsigned long *given_up;
	unsigned long *freed;
	atomic_t mappings;
	refcount_t ref;
	struct completion unused;
	struct list_head parked;
	struct rcu_head rcu;
};

/** struct p2p_fault_stats - one per CPU; faults never share a counter */
struct p2p_fault_stats {
	u64 pmd;
	u64 pte;
	u64 refused;
	u64 waited;
};

/**
 * struct p2p_interrupted - a drain that a signal has ended
 * @task: whose; compared only.
 * @since: when it had begun.
 * @left: when it ended.
 */
struct p2p_interrupted {
	const struct task_struct *task;
	ktime_t since;
	ktime_t left;
};

/**
 * struct p2p_device - a device bound to the driver
 * @core: vfio-pci's part; must be first, VFIO allocates and frees by it.
 * @gate: see there.
 * @window_lock: serialises registration and its end; guards writes of @windows,
 *	@nr_windows and @parked.  Readers of @windows take a reference under RCU.
 * @windows: all windows, by id; there may be holes.
 * @nr_windows: how many.
 * @parked: ranges that got their struct pages although the registration failed
 *	later.  The kernel takes them back at unbind only, so the next identical
 *	registration goes on from there.
 * @provider_reason: of the newest window.
 * @baseline_lock: guards @drainers and p2p_window.given_up; leaf.  Whoever looks
 *	at folios outside of a drain holds it.
 * @drainers: drains under way; the last one restores the baselines.
 * @drained: drains that wait for a folio to fall to 0.
 * @folio_freed: wakes them.
 * @opened: between open_device and close_device; written there only, which VFIO
 *	serialises.
 * @error_lock: guards the next two, and with them p2p_gate.failed.
 * @error_latched: error_detected closed the gate, and it stays so on its behalf.
 * @recovering: between error_detected and resume or permanent failure; nobody
 *	else may open the gate.
 * @sleep_nb: hears of system sleep.
 * @asleep: so often the gate is closed for it; written by the notifier chain only.
 * @msix: where MSI-X table and pending bits are; of no length without MSI-X.
 * @regs: config-space registers that can switch off or reset the device.
 * @nr_regs: how many.
 * @notify_lock: guards @notify.
 * @notify: eventfds of P2P_VFIO_FEATURE_EVENTS.
 * @wait_lock: guards @interrupted; leaf.
 * @interrupted: the last refusable drain that a signal ended, if its caller may
 *	still come again.
 * @faults: counters of the fault path.
 * @revokes: revocations begun, by cause.
 * @drain_timeouts: drains that gave up.
 * @drain_last_us: length of the last drain that ended.
 * @drain_max_us: length of the longest.
 * @log_windows: how much new windows, and those given back, may log.
 * @log_refusals: how much refused registrations and opens may log.
 * @log_drains: the same for drains that gave up.
 * @log_errors: the same for error recovery, which a device can be made to need.
 */
struct p2p_device {
	struct vfio_pci_core_device core;
	struct p2p_gate *gate;

	struct mutex window_lock;
	struct p2p_window __rcu *windows[P2P_VFIO_MAX_WINDOWS];
	unsigned int nr_windows;
	struct list_head parked;
	enum p2p_vfio_provider_reason provider_reason;

	struct mutex baseline_lock;
	unsigned int drainers;
	wait_queue_head_t drained;
	struct irq_work folio_freed;

	bool opened;
	struct mutex error_lock;
	bool error_latched;
	bool recovering;

	struct notifier_block sleep_nb;
	unsigned int asleep;

	struct {
		u32 bar;
		struct p2p_range range;
	} msix[2];
	struct p2p_range regs[P2P_MAX_REGS];
	unsigned int nr_regs;

	spinlock_t notify_lock;
	struct eventfd_ctx *notify[P2P_VFIO_MAX_EVENTS];

	spinlock_t wait_lock;
	struct p2p_interrupted interrupted;

	struct p2p_fault_stats __percpu *faults;
	atomic64_t revokes[P2P_VFIO_CAUSES];
	atomic64_t drain_timeouts;
	atomic64_t drain_last_us;
	atomic64_t drain_max_us;

	struct ratelimit_state log_windows;
	struct ratelimit_state log_refusals;
	struct ratelimit_state log_drains;
	struct ratelimit_state log_errors;
};

/*
 * What a user can cause at will is logged with a limit, and each device has its
 * own: its user can neither flood the log nor silence what another device says.
 */
#define p2p_log_limited(dev, limit, log, fmt, ...)			\
do {									\
	if (__ratelimit(&(dev)->limit))					\
		log((dev)->core.pdev, fmt, ##__VA_ARGS__);		\
} while (0)

/*
 * Between two looks that belong together.  A test makes the time long, so that what
 * can come in between does.
 */
#ifndef P2P_LOOK_MS
#define P2P_LOOK_MS 0
#endif

static inline void p2p_between_looks(void)
{
	if (P2P_LOOK_MS)
		mdelay(P2P_LOOK_MS);
}

static inline struct p2p_device *p2p_from_vfio(struct vfio_device *vdev)
{
	return container_of(vdev, struct p2p_device, core.vdev);
}

static inline struct p2p_device *p2p_from_pci(struct pci_dev *pdev)
{
	return container_of((struct vfio_pci_core_device *)dev_get_drvdata(&pdev->dev),
			    struct p2p_device, core);
}

/**
 * struct p2p_policy - how long a drain may wait
 * @timeout_ms: milliseconds; 0 looks once and does not wait.
 * @interruptible: a signal ends it.  Only where the caller can fail and holds no
 *	lock; elsewhere a thread being killed could not wait at all.
 */
struct p2p_policy {
	unsigned int timeout_ms;
	bool interruptible;
};

/* main.c: the three policies, from the module parameters */
struct p2p_policy p2p_policy_refusable(void);
struct p2p_policy p2p_policy_hook(void);
struct p2p_policy p2p_policy_error(void);
bool p2p_unprivileged_windows(void);
bool p2p_want_own_provider(void);
bool p2p_want_small_folios(void);
bool p2p_is_ours(const struct vfio_device *vdev);

/* gate.c */
struct p2p_gate *p2p_gate_create(void);
void p2p_gate_put(struct p2p_gate *gate);
bool p2p_gate_enter(struct p2p_gate *gate);
void p2p_gate_leave(struct p2p_gate *gate);
bool p2p_gate_close(struct p2p_gate *gate, enum p2p_vfio_cause cause);
bool p2p_gate_open(struct p2p_gate *gate, bool acted);
void p2p_gate_acted(struct p2p_gate *gate);
void p2p_gate_kill(struct p2p_gate *gate);
void p2p_gate_set_failed(struct p2p_gate *gate, bool failed);
void p2p_gate_end_session(struct p2p_gate *gate);
struct p2p_gate_view p2p_gate_look(struct p2p_gate *gate);
vm_fault_t p2p_gate_wait(struct p2p_gate *gate, struct vm_fault *vmf);
void p2p_gate_wait_for_waiters(void);

/* provider.c */
int p2p_provider_claim(struct p2p_window *window);
phys_addr_t p2p_window_phys(const struct p2p_window *window);

/* provider_pool.c, provider_own.c */
int p2p_pool_add(struct pci_dev *pdev, u32 bar, u64 length, u64 offset);
extern const struct p2p_provider p2p_provider_pool;
extern const struct p2p_provider p2p_provider_own;

/* layout.c */
enum p2p_vfio_provider_reason p2p_layout_prove(const struct p2p_window *window);

/* folio.c */
bool p2p_folio_held(const struct p2p_window *window, unsigned long nr);
int p2p_folio_references(const struct p2p_window *window, unsigned long nr);
void p2p_folio_wait(struct p2p_window *window, unsigned long nr,
		    struct p2p_policy policy, unsigned int ms);
void p2p_folio_freed(struct p2p_window *window, unsigned long nr);
void p2p_baseline_enter(struct p2p_device *dev);
void p2p_baseline_leave(struct p2p_device *dev);
bool p2p_folios_freeze(struct p2p_window *window);
void p2p_folios_init(struct p2p_device *dev);

/* window.c */
int p2p_window_register(struct p2p_device *dev, u32 bar,
			const struct p2p_range *range, bool wc,
			struct p2p_window **out);
int p2p_window_unregister(struct p2p_device *dev, u32 id);
struct p2p_window *p2p_window_get(struct p2p_device *dev, u32 id);
struct p2p_window *p2p_window_from(struct p2p_device *dev, u32 *id);
void p2p_window_put(struct p2p_window *window);
bool p2p_window_map(struct p2p_window *window);
void p2p_window_unmap(struct p2p_window *window);
unsigned long p2p_window_pinned(const struct p2p_window *window);
unsigned long p2p_window_touched(const struct p2p_window *window);
void p2p_windows_destroy(struct p2p_device *dev);
void p2p_find_msix(struct p2p_device *dev);

DEFINE_FREE(p2p_window, struct p2p_window *, if (_T) p2p_window_put(_T))

/* Each window of a device, with a reference while the body runs; leaving it early keeps that. */
#define p2p_for_each_window(dev, id, window)				\
	for ((id) = 0; ((window) = p2p_window_from(dev, &(id)));	\
	     p2p_window_put(window), (id)++)

/** p2p_window_folio - folio number @nr of a window */
static inline struct folio *p2p_window_folio(const struct p2p_window *window,
					     unsigned long nr)
{
	return (struct folio *)(window->folios + (nr << window->order));
}

/** p2p_folio_size - bytes of each folio of a window */
static inline u64 p2p_folio_size(const struct p2p_window *window)
{
	return (u64)PAGE_SIZE << window->order;
}

/* mmap.c */
int p2p_mmap(struct vfio_device *vdev, struct vm_area_struct *vma);
bool p2p_memory_usable(struct vfio_pci_core_device *core);
bool p2p_folio_is_full(const struct vm_area_struct *vma, unsigned long addr);
bool p2p_vma_is_of(const struct vm_area_struct *vma, const struct p2p_device *dev);

/* populate.c */
int p2p_populate(struct p2p_device *dev, u64 address, u64 *length);

/* export.c */
int p2p_export(struct p2p_device *dev, void __user *user, struct p2p_vfio_export *arg);

/* revoke.c */
void p2p_revoke_close(struct p2p_device *dev, enum p2p_vfio_cause cause);
int p2p_revoke_drain(struct p2p_device *dev, struct p2p_policy policy);
int p2p_revoke_drain_all(struct p2p_device *caller, struct p2p_device *const *devices,
			 unsigned int nr);
void p2p_revoke_open(struct p2p_device *dev, bool acted);
int p2p_revoke_begin(struct p2p_device *dev, enum p2p_vfio_cause cause);
bool p2p_revoke_idle(struct p2p_device *dev);
u32 p2p_revoke_state(struct p2p_device *dev, struct p2p_gate_view *view);

/* events.c */
int p2p_open_device(struct vfio_device *vdev);
void p2p_close_device(struct vfio_device *vdev);
long p2p_ioctl(struct vfio_device *vdev, unsigned int cmd, unsigned long arg);
ssize_t p2p_write(struct vfio_device *vdev, const char __user *buf,
		  size_t count, loff_t *ppos);
int p2p_low_power(struct vfio_device *vdev, u32 flags, void __user *arg,
		  size_t argsz);
void p2p_find_regs(struct p2p_device *dev);
void p2p_drain_or_warn(struct p2p_device *dev, struct p2p_policy policy,
		       const char *what);
void p2p_reset_prepare(struct pci_dev *pdev);
void p2p_reset_done(struct pci_dev *pdev);

/* error.c */
void p2p_error_mended(struct p2p_device *dev);
extern const struct pci_error_handlers p2p_err_handlers;

/* sleep.c */
int p2p_sleep_register(struct p2p_device *dev);
void p2p_sleep_unregister(struct p2p_device *dev);

/* hotreset.c */
long p2p_hot_reset(struct p2p_device *dev, unsigned long arg);

/* feature.c */
int p2p_feature(struct vfio_device *vdev, u32 flags, void __user *arg,
		size_t argsz);

/* peer.c */
int p2p_peer(struct p2p_device *dev, struct p2p_vfio_peer *peer);

/* notify.c */
int p2p_notify_change(struct p2p_device *dev, const struct p2p_vfio_events *ev);
void p2p_notify_signal(struct p2p_device *dev);
void p2p_notify_clear(struct p2p_device *dev);

/* stats.c */
const char *p2p_cause_name(enum p2p_vfio_cause cause);
void p2p_stats_drained(struct p2p_device *dev, u64 us);
void p2p_stats_read(struct p2p_device *dev, struct p2p_vfio_state *state);

/* sysfs.c */
extern const struct attribute_group *p2p_sysfs_groups[];

#endif /* P2P_H */
