/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * p2p.h - the driver's private structures
 *
 * Lock order, outermost first (docs/locking.md has the whole table):
 *
 *	p2p_device.window_lock  ->  dev_set->lock  ->  memory hotplug's locks
 *	mmap_lock or VMA lock   ->  p2p_gate.insert (read)  ->  page-table locks
 *	p2p_gate.insert (write) is held for a few assignments, nothing inside it
 *	p2p_device.notify_lock  ->  an eventfd's wait-queue lock
 *	p2p_device.error_lock   ->  p2p_gate.insert
 *	p2p_device.wait_lock    is a leaf
 *
 * No lock of the driver is held across a call into vfio-pci-core, a zap or a
 * drain.
 */
#ifndef P2P_H
#define P2P_H

#include "compat.h"

#include <linux/atomic.h>
#include <linux/bitmap.h>
#include <linux/kref.h>
#include <linux/ktime.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/percpu.h>
#include <linux/ratelimit.h>
#include <linux/rwsem.h>
#include <linux/spinlock.h>
#include <linux/vfio_pci_core.h>
#include <linux/wait.h>

#include "p2p_vfio.h"
#include "ranges.h"

/* 4 KiB pages in a folio */
#define P2P_FOLIO_PAGES	(1UL << PMD_ORDER)

/**
 * struct p2p_gate - may a page be inserted into a page table now?
 * @ref: the device holds one, each waiting fault another: a waiter outlives the
 *	VMA, the file and the device.
 * @insert: guards all that follows.  Read: held around the insertion of one page
 *	table entry.  Write: held to change the state, so that once it has been
 *	taken no insertion that saw the old state is in progress.
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
 */
struct p2p_gate {
	struct kref ref;
	struct rw_semaphore insert;
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

/**
 * struct p2p_window - a BAR range that has struct pages
 * @dev: its device.
 * @id: its number; index in p2p_device.windows.
 * @bar: BAR number.
 * @range: offset and length in the BAR.
 * @prefetchable: write-combining may be asked for.
 * @provider: what the provider needs to give the folios back.
 * @folios: first page of the first folio; folio i is 512 * i pages further.
 * @nr_folios: 2 MiB folios.
 * @touched: one bit a folio, set before its first insertion since the last
 *	revocation, under p2p_gate.insert; cleared by a drain that found it idle,
 *	while the gate is closed.  Zap and drain look at set bits only.
 * @parked: in p2p_device.parked, until the window is published.
 *
 * All but @touched is constant once the window is in p2p_device.windows, where
 * it stays until the driver is unbound.
 */
struct p2p_window {
	struct p2p_device *dev;
	u32 id;
	u32 bar;
	struct p2p_range range;
	bool prefetchable;
	struct {
		bool added;
		void *kaddr;
	} provider;
	struct page *folios;
	unsigned long nr_folios;
	unsigned long *touched;
	struct list_head parked;
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
 * @window_lock: serialises registration; guards writes of @windows, @nr_windows
 *	and @parked.  Readers of the first two need no lock: a window is in place
 *	before the count says so (release and acquire on @nr_windows).
 * @windows: all windows, in the order of their ids.
 * @nr_windows: how many.
 * @parked: ranges that got their struct pages although the registration failed
 *	later.  The kernel takes them back at unbind only, so the next identical
 *	registration goes on from there.
 * @opened: between open_device and close_device; written there only, which VFIO
 *	serialises.
 * @error_lock: guards the next two, and with them p2p_gate.failed.
 * @error_latched: error_detected closed the gate, and it stays so on its behalf.
 * @recovering: between error_detected and resume or permanent failure; nobody
 *	else may open the gate.
 * @sleep_nb: hears of system sleep.
 * @asleep: the gate is closed for it; written by the notifier chain only.
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
 * @log_refusals: how much refused registrations and opens may log.
 * @log_drains: the same for drains that gave up.
 */
struct p2p_device {
	struct vfio_pci_core_device core;
	struct p2p_gate *gate;

	struct mutex window_lock;
	struct p2p_window *windows[P2P_VFIO_MAX_WINDOWS];
	unsigned int nr_windows;
	struct list_head parked;

	bool opened;
	struct mutex error_lock;
	bool error_latched;
	bool recovering;

	struct notifier_block sleep_nb;
	bool asleep;

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

	struct ratelimit_state log_refusals;
	struct ratelimit_state log_drains;
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
void p2p_provider_release(struct p2p_window *window);

/* window.c */
int p2p_window_register(struct p2p_device *dev, u32 bar,
			const struct p2p_range *range, bool wc,
			struct p2p_window **out);
struct p2p_window *p2p_window_get(struct p2p_device *dev, u32 id);
unsigned int p2p_window_count(const struct p2p_device *dev);
struct folio *p2p_window_folio(const struct p2p_window *window, unsigned long nr);
unsigned long p2p_window_pinned(const struct p2p_window *window);
unsigned long p2p_window_touched(const struct p2p_window *window);
void p2p_windows_destroy(struct p2p_device *dev);
void p2p_find_msix(struct p2p_device *dev);

/* mmap.c */
int p2p_mmap(struct vfio_device *vdev, struct vm_area_struct *vma);

/* revoke.c */
void p2p_revoke_close(struct p2p_device *dev, enum p2p_vfio_cause cause);
int p2p_revoke_drain(struct p2p_device *dev, struct p2p_policy policy);
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
