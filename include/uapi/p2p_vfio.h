/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * p2p_vfio.h - what the p2p-vfio-pci driver adds to a VFIO device
 *
 * WHAT IT IS FOR
 *
 * A device bound to p2p-vfio-pci is an ordinary vfio-pci device: every ioctl,
 * region, interrupt and mmap of <linux/vfio.h> works as it does there, and a
 * program that never uses this header cannot tell the difference.  The features
 * below add "windows": ranges of the device's memory BARs that are backed by
 * struct pages, so that a mapping of them is a valid buffer for O_DIRECT
 * read(2) and write(2).  The storage device then moves the data peer-to-peer.
 *
 * HOW TO CALL IT
 *
 * Everything goes through VFIO_DEVICE_FEATURE on the device's file descriptor,
 * with feature numbers from a private range far above upstream's:
 *
 *	struct {
 *		struct vfio_device_feature hdr;
 *		struct p2p_vfio_window win;
 *	} req = {
 *		.hdr.argsz = sizeof(req),
 *		.hdr.flags = VFIO_DEVICE_FEATURE_SET | P2P_VFIO_FEATURE_WINDOW,
 *		.win = { .bar = 2, .offset = 0, .length = 64 << 20 },
 *	};
 *
 *	ioctl(device_fd, VFIO_DEVICE_FEATURE, &req);
 *	p = mmap(aligned, 64 << 20, PROT_READ | PROT_WRITE,
 *		 MAP_SHARED | MAP_FIXED, device_fd, req.win.mmap_offset);
 *	read(file_opened_with_O_DIRECT, p, 1 << 20);
 *
 * VFIO_DEVICE_FEATURE_PROBE together with SET or GET answers 0 where the feature
 * can be called so, EINVAL where it exists but not in that direction, and ENOTTY
 * where it does not exist (plain vfio-pci).
 *
 * RULES FOR EVERY STRUCTURE
 *
 * argsz must cover the structure (EINVAL if it is short); bytes beyond it are
 * neither read nor written.  Every flag that is not defined and every reserved
 * field must be 0 (EINVAL).  Fields that are only "out" are not looked at, except
 * where it says so.  A call that fails has changed nothing.  (Two cases are not
 * undone: if the structure is unmapped by another thread during SET of WINDOW, the
 * call answers EFAULT with the window registered; repeating it finds the window.
 * And a POPULATE that fails half-way has populated a part.)
 *
 * REVOCATION
 *
 * Before the device is reset, powered down, closed or taken away, its windows
 * are revoked: the gate closes, the mappings are zapped, and the action waits
 * until no DMA holds a page of them.  (Nothing tells the driver of raw config
 * writes by root, of a PF's reset under its VF, or of a reset that the device
 * does to itself; a link that has failed is down before anybody can wait.)  What
 * a program sees meanwhile:
 *
 *  - a thread that touches a window waits until the gate opens (any signal
 *    interrupts the wait); it gets SIGBUS if the device has gone, or if its
 *    memory is switched off or in a low-power state once the gate is open;
 *  - a read(2) or write(2) that needs a page it has not pinned yet ends short,
 *    or with EFAULT where nothing was transferred.  (The block layer may send
 *    what it could pin and then try again: if the gate is open by then, the call
 *    succeeds, with a part of its data from before.  The generation tells.);
 *  - I/O whose pages are pinned already runs to its end, and the action waits;
 *  - VFIO_DEVICE_RESET, VFIO_DEVICE_PCI_HOT_RESET, config-space writes that can
 *    switch off or reset the device and the low-power features answer EBUSY
 *    when the pins are not released within the module parameter
 *    drain_timeout_ms; the device is then untouched and works on.  A signal ends
 *    the wait as well (EINTR, or a restart), with the same effect; a thread that
 *    calls again within a second goes on with the rest of the time;
 *  - what cannot be refused (a close, a reset from outside, error recovery) goes
 *    on after hook_timeout_ms or aer_timeout_ms.  Pages that are pinned then stay
 *    allocated, and a closed device cannot be opened again until they are free.
 *
 * Afterwards the same addresses work again; nothing has to be mapped anew.
 */
#ifndef P2P_VFIO_H
#define P2P_VFIO_H

#include <linux/types.h>

/** Windows start and end at multiples of this many bytes (a PMD folio). */
#define P2P_VFIO_GRANULE	(2UL << 20)

/** Most windows one device can have. */
#define P2P_VFIO_MAX_WINDOWS	64

/** Most eventfds one device can signal. */
#define P2P_VFIO_MAX_EVENTS	16

/* Feature numbers: bits 0..15 of vfio_device_feature.flags. */
#define P2P_VFIO_FEATURE_WINDOW	0xf2f0
#define P2P_VFIO_FEATURE_STATE	0xf2f1
#define P2P_VFIO_FEATURE_EVENTS	0xf2f2
#define P2P_VFIO_FEATURE_PEER	0xf2f3
#define P2P_VFIO_FEATURE_POPULATE 0xf2f4
#define P2P_VFIO_FEATURE_EXPORT	0xf2f5

/** enum p2p_vfio_provider - where a window's folios come from */
enum p2p_vfio_provider {
	P2P_VFIO_PROVIDER_STANDARD = 1,	/* the kernel's pool: kept until unbind */
	P2P_VFIO_PROVIDER_OWN = 2,	/* the driver's own dev_pagemap */
};

/**
 * enum p2p_vfio_provider_reason - why the newest window has the provider it has
 *
 * The driver's own provider relies on how the kernel lays out what it keeps of
 * peer-to-peer pages, and serves only where that has been proven.
 */
enum p2p_vfio_provider_reason {
	P2P_VFIO_PROVIDER_UNTRIED = 0,	/* no window has been registered yet */
	P2P_VFIO_PROVIDER_PROVEN = 1,	/* own: the kernel's layout is as expected */
	P2P_VFIO_PROVIDER_UNPROVEN = 2,	/* standard: the layout could not be learnt */
	P2P_VFIO_PROVIDER_DIFFERS = 3,	/* standard: the layout is another one */
	P2P_VFIO_PROVIDER_ASKED = 4,	/* standard: by a module parameter */
};

/**
 * struct p2p_vfio_window - VFIO_DEVICE_FEATURE_SET and _GET
 * @bar: SET in, GET out: PCI BAR number, 0 to 5, of a memory BAR.
 * @flags: SET in: P2P_VFIO_WINDOW_WC or 0; or P2P_VFIO_WINDOW_UNREGISTER.  GET in:
 *	P2P_VFIO_WINDOW_WC or 0, choosing which cookie to return.
 * @offset: SET in, GET out: first byte of the window, from the start of the
 *	BAR; a multiple of P2P_VFIO_GRANULE.
 * @length: SET in, GET out: bytes, a non-zero multiple of P2P_VFIO_GRANULE.
 * @mmap_offset: out: the cookie, to be given to mmap(2) on the device's fd as
 *	the file offset of the window's first byte.  Part of a window is mapped
 *	by adding a multiple of the page size to it.
 * @id: SET out, GET and UNREGISTER in: the window's number, 0 to
 *	P2P_VFIO_MAX_WINDOWS - 1.  A new window gets the lowest that is free; one that
 *	has been unregistered leaves a hole.
 * @provider: out: enum p2p_vfio_provider.
 *
 * SET registers a window.  It lasts until it is unregistered or the driver is
 * unbound, whoever closes or opens the device in between.  SET of a range that is
 * registered already returns that same window, so that a privileged helper can
 * register and an unprivileged owner find it; flags are no part of a window's
 * identity, they only choose how the cookie's mappings are cached by the CPU.
 * Registering allocates host memory, hence the privilege: for every 4 KiB of the
 * window 64 bytes if its provider is the standard one, 16 if it is the driver's own.
 *
 * GET describes window @id.
 *
 * UNREGISTER is SET with the flag P2P_VFIO_WINDOW_UNREGISTER alone, and all fields
 * but @id 0.  It gives window @id back: its number, its range and its host memory.
 * The window must have the driver's own provider, and be neither mapped, by any
 * process, nor exported, nor pinned; the privilege is that of registering.  (An mmap(2) of it in
 * another thread at the moment of a refusal may answer EINVAL.)  Nothing is written
 * back.  A cookie that is still around leads nowhere, or to the window that gets the
 * number next.
 *
 * The mapping must be MAP_SHARED.  Addresses congruent to the offset modulo
 * P2P_VFIO_GRANULE are mapped by 2 MiB entries, others by 4 KiB entries: they
 * work, and cost more.  The BAR's ordinary mapping (VFIO_DEVICE_GET_REGION_INFO)
 * stays as it is and may be used at the same time; it is the one to give to
 * KVM, to IOMMU mapping ioctls and to RDMA registration, which all refuse
 * page-backed peer-to-peer memory.
 *
 * MAP_POPULATE, MADV_POPULATE_* and mlock(2) cannot fault peer-to-peer pages in:
 * the kernel refuses them (EREMOTEIO, ENOMEM), and the mapping is none the worse.
 * Use POPULATE, or touch the pages.
 *
 * Register before the device is handed out, and do not register or unregister while
 * the BAR's ordinary mapping is being put into or taken out of a type1 container:
 * type1 looks at struct pages that come or go meanwhile (docs/safety.md).
 *
 * Errors of SET (the kernel log names the rule and the numbers):
 *  EINVAL	undefined flag, bar above 5, length 0, or offset, length or the
 *		BAR's bus address not a multiple of the granule
 *  EPERM	a new window without CAP_SYS_ADMIN while the module parameter
 *		unprivileged_windows is off
 *  ENXIO	the BAR is absent, an I/O BAR, or one that cannot be mapped
 *  ERANGE	the window ends beyond the BAR, or is larger than 1 TiB
 *  EADDRINUSE	the window overlaps the MSI-X table or pending bits
 *  EEXIST	the window overlaps another one without being identical to it
 *  EXDEV	a function that is reset together with this one is bound to another
 *		VFIO driver, whose resets could not be held back
 *  EOPNOTSUPP	P2P_VFIO_WINDOW_WC on a BAR that is not prefetchable
 *  ENOSPC	P2P_VFIO_MAX_WINDOWS are registered
 *  ENODEV	the device has gone
 *  ENOMEM	no memory for the window's struct pages
 *		(and what else the kernel's memremap_pages() answers)
 *  EFAULT	the structure cannot be read or written
 * Errors of GET: ENOENT (no window of that id), EINVAL, EOPNOTSUPP, EFAULT.
 * Errors of UNREGISTER:
 *  EINVAL	another flag beside it, or a field that must be 0 is not
 *  EPERM	without CAP_SYS_ADMIN while unprivileged_windows is off
 *  ENOENT	no window of that id
 *  EOPNOTSUPP	its provider is the standard one, which keeps it until unbind
 *  EBUSY	it is mapped, exported or pinned, or a revocation of the device waits
 *		for pins
 *  EFAULT	the structure cannot be read
 */
struct p2p_vfio_window {
	__u32 bar;
	__u32 flags;
#define P2P_VFIO_WINDOW_WC	(1U << 0)	/* CPU mapping is write-combining */
#define P2P_VFIO_WINDOW_UNREGISTER (1U << 1)	/* SET: give it back */
	__aligned_u64 offset;
	__aligned_u64 length;
	__aligned_u64 mmap_offset;
	__u32 id;
	__u32 provider;
};

/** enum p2p_vfio_device_state - what a touch of a window would meet now */
enum p2p_vfio_device_state {
	P2P_VFIO_STATE_LIVE = 1,	/* mapped on touch, if the memory is switched on */
	P2P_VFIO_STATE_DRAINING = 2,	/* gate closed, DMA still holds pages */
	P2P_VFIO_STATE_QUIESCED = 3,	/* gate closed, nothing in flight */
	P2P_VFIO_STATE_GONE = 4,	/* removed, or error recovery failed: SIGBUS */
	P2P_VFIO_STATE_CLOSED = 5,	/* nobody has the device open (sysfs only) */
};

/**
 * enum p2p_vfio_cause - why a revocation began; index of @revokes below
 *
 * Of revocations that contain one another the outermost counts.
 */
enum p2p_vfio_cause {
	P2P_VFIO_CAUSE_NONE = -1,	/* no revocation is under way */
	P2P_VFIO_CAUSE_RESET = 0,	/* VFIO_DEVICE_RESET */
	P2P_VFIO_CAUSE_HOT_RESET = 1,	/* VFIO_DEVICE_PCI_HOT_RESET */
	P2P_VFIO_CAUSE_CONFIG = 2,	/* config write: COMMAND, PM, FLR */
	P2P_VFIO_CAUSE_LOW_POWER = 3,	/* VFIO_DEVICE_FEATURE_LOW_POWER_* */
	P2P_VFIO_CAUSE_PCI_RESET = 4,	/* reset from outside: sysfs, bridge, sibling */
	P2P_VFIO_CAUSE_ERROR = 5,	/* AER, DPC */
	P2P_VFIO_CAUSE_CLOSE = 6,	/* last close of the device */
	P2P_VFIO_CAUSE_REMOVE = 7,	/* unbind, unplug */
	P2P_VFIO_CAUSE_SHUTDOWN = 8,	/* reboot, kexec */
	P2P_VFIO_CAUSE_SLEEP = 9,	/* suspend, hibernation */
	P2P_VFIO_CAUSES = 10,
	P2P_VFIO_MAX_CAUSES = 16,	/* room for more without a new structure */
};

/**
 * struct p2p_vfio_state - VFIO_DEVICE_FEATURE_GET
 * @state: enum p2p_vfio_device_state.
 * @windows: how many windows are registered.
 * @generation: counts how often the gate has opened after something was done to
 *	the device, since the driver was bound; an open after a close counts.  Its
 *	memory may have lost its contents if the number changed between two looks.
 *	(A system sleep that another driver has refused counts as well.)
 *	While @state is not LIVE the next one is under way; @state LIVE and the
 *	number are of one moment.
 * @pinned_folios: 2 MiB folios that DMA (or a get_user_pages() caller) holds
 *	now.  A moment's view.
 * @touched_folios: folios faulted in since the last revocation; what the next
 *	one will cost.
 * @faults_pmd: faults served with a 2 MiB entry.
 * @faults_pte: faults served with a 4 KiB entry.
 * @faults_refused: faults of the kernel's (O_DIRECT, copies) that met a closed
 *	gate and failed at once.
 * @faults_waited: faults of user threads that met a closed gate and waited.
 * @drain_timeouts: revocations that gave up waiting.  The refusable ones left
 *	the device untouched; the others went on with pages still pinned (they
 *	are never freed while pinned).
 * @drain_last_us: from the zap to the last pin gone, last completed drain,
 *	microseconds.
 * @drain_max_us: the longest of these.
 * @revokes: revocations begun, by enum p2p_vfio_cause.
 * @revoke_us: how long ago the revocation that is under way began: for how long
 *	the pins have been waited for while @state is DRAINING.  Microseconds, time
 *	in system sleep included; 0 if there is none.
 * @revoke_cause: enum p2p_vfio_cause of that revocation; of some that overlap,
 *	of the first.  A close lasts until the next open (sysfs only).
 * @provider_reason: enum p2p_vfio_provider_reason.
 *
 * Counters run from bind to unbind.  Thread-safe; waits for no I/O.
 */
struct p2p_vfio_state {
	__u32 state;
	__u32 windows;
	__aligned_u64 generation;
	__aligned_u64 pinned_folios;
	__aligned_u64 touched_folios;
	__aligned_u64 faults_pmd;
	__aligned_u64 faults_pte;
	__aligned_u64 faults_refused;
	__aligned_u64 faults_waited;
	__aligned_u64 drain_timeouts;
	__aligned_u64 drain_last_us;
	__aligned_u64 drain_max_us;
	__aligned_u64 revokes[P2P_VFIO_MAX_CAUSES];
	__aligned_u64 revoke_us;
	__s32 revoke_cause;
	__u32 provider_reason;
};

/**
 * struct p2p_vfio_events - VFIO_DEVICE_FEATURE_SET
 * @fd: an eventfd.
 * @flags: P2P_VFIO_EVENTS_ADD or P2P_VFIO_EVENTS_REMOVE, exactly one.
 *
 * The eventfd is signalled each time the gate closes and each time it opens
 * (also after a revocation that was refused).  It says "look at STATE", no more.
 * Signals coalesce, as eventfd's do.  The driver keeps its own reference; all
 * are dropped when the device is closed.
 *
 * Errors: EBADF (@fd is not open), EINVAL (not an eventfd, flags), EEXIST (added
 * already), ENOENT (not added), ENOSPC (P2P_VFIO_MAX_EVENTS added), EFAULT.
 */
struct p2p_vfio_events {
	__s32 fd;
	__u32 flags;
#define P2P_VFIO_EVENTS_ADD	(1U << 0)
#define P2P_VFIO_EVENTS_REMOVE	(1U << 1)
};

/** enum p2p_vfio_route - how a peer's DMA would reach this device's memory */
enum p2p_vfio_route {
	P2P_VFIO_ROUTE_NONE = 0,	/* the kernel will not map it */
	P2P_VFIO_ROUTE_SWITCH = 1,	/* by bus address, inside a PCIe switch */
	P2P_VFIO_ROUTE_HOST_BRIDGE = 2,	/* through an allow-listed host bridge */
};

/**
 * struct p2p_vfio_peer - VFIO_DEVICE_FEATURE_GET
 * @domain: in: PCI domain of the DMA initiator, usually an NVMe controller.
 * @bus: in: its bus number.
 * @devfn: in: its device (bits 7..3) and function (bits 2..0).
 * @reserved: 0.
 * @route: out: enum p2p_vfio_route.
 * @distance: out: hops between the two in the kernel's measure, -1 for
 *	P2P_VFIO_ROUTE_NONE.  Lower is better.
 *
 * The answer comes from the kernel's own tables (host-bridge allow-list, ACS),
 * which user space cannot see.
 *
 * Errors: ENODEV (no such PCI device), EINVAL, EFAULT.
 */
struct p2p_vfio_peer {
	__u32 domain;
	__u8 bus;
	__u8 devfn;
	__u16 reserved;
	__u32 route;
	__s32 distance;
};

/**
 * struct p2p_vfio_populate - VFIO_DEVICE_FEATURE_SET
 * @address: in: where the range begins in the calling process; a multiple of the
 *	page size.
 * @length: in: bytes, a multiple of the page size.  Out: how many are populated.
 *
 * Makes the page-table entries of the range, which lies in mappings of windows of
 * this device, as touching each page would, at less cost: no access to the device,
 * and no exception for each.  It does not wait for the gate.  The next revocation
 * takes the entries away as it does all others.
 *
 * Errors (@length is written on success only; what was populated before an error
 * stays so):
 *  EINVAL	@address or @length is not aligned, @length is 0, or the range wraps
 *  ENOMEM	a part of the range is not a mapping of a window of this device, or
 *		there is no memory for page tables, or too many entries for one folio
 *  EACCES	a part of the range may not be accessed, as mprotect(2) has it
 *  EAGAIN	the windows are being revoked
 *  EIO	the device's memory is switched off, or it has gone
 *  EINTR	a signal came
 *  EFAULT	the structure cannot be read or written
 */
struct p2p_vfio_populate {
	__aligned_u64 address;
	__aligned_u64 length;
};

/**
 * struct p2p_vfio_export - VFIO_DEVICE_FEATURE_SET
 * @address: in: where a mapping of a window of this device lies in the calling
 *	process; a multiple of the page size.
 * @length: in: bytes, a multiple of the page size, all in that one mapping.
 * @flags: in: P2P_VFIO_EXPORT_READ_ONLY or 0.
 * @fd: out: a file of those bytes, close-on-exec.
 *
 * The file is for a process that is to use the memory and not to own the device.
 * Offset 0 of it is the first byte of the range, and the CPU caches its mappings as
 * it does the one it was made from.  It can be mapped (MAP_SHARED, within the range)
 * and is a buffer for direct I/O then, like any mapping of a window; and it takes
 * VFIO_DEVICE_FEATURE with STATE and POPULATE, of the whole device and of the
 * caller's mappings.  Everything else, resets, regions, config space, EVENTS, other
 * windows, it does not have (ENOTTY, EINVAL).  With READ_ONLY its mappings cannot be
 * made writable; without it the mapping that it is made from must be one that can, if
 * not right now (mprotect(2)): that of a device opened for reading cannot.
 *
 * Its mappings are revoked with all others.  It keeps the device open, as a mapping
 * does, whatever becomes of the fd that it was made with: until it and its mappings
 * are gone the device is not closed, the window not unregistered, the driver not
 * unbound.  Nobody can take it back but by ending who has it.
 *
 * Errors:
 *  EINVAL	@address or @length is not aligned, @length is 0, the range wraps, or
 *		an undefined flag
 *  ENOMEM	the range is not in one mapping of a window of this device; or no
 *		memory for the file
 *  EACCES	the mapping can never be written, and @flags lacks READ_ONLY
 *  EMFILE, ENFILE	no fd, no file left
 *  EINTR	the process is being killed
 *  EFAULT	the structure cannot be read or written
 */
struct p2p_vfio_export {
	__aligned_u64 address;
	__aligned_u64 length;
	__u32 flags;
#define P2P_VFIO_EXPORT_READ_ONLY (1U << 0)	/* no mapping can be written */
	__s32 fd;
};

#endif /* P2P_VFIO_H */
