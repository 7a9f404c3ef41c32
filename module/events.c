// SPDX-License-Identifier: GPL-2.0-only
/*
 * events.c - which VFIO and PCI events revoke
 *
 * Two kinds of hook:
 *
 *  - wrappers around what the device's owner asks for (ioctl, write, feature).
 *    No lock is held and the call may fail, so they wait long, let a signal end
 *    the wait, and refuse with EBUSY;
 *  - void hooks that the PCI core calls (reset_prepare, error_detected, close,
 *    shutdown).  Locks are held that the end of the in-flight I/O may depend on:
 *    an NVMe under the same bridge has requeued its requests already when our
 *    reset_prepare comes, and ends them after the reset.  So they wait a bounded
 *    time and go on.  Pages stay allocated as long as they are pinned.
 *
 * The wrappers come first in time: within VFIO_DEVICE_RESET, the reset_prepare
 * finds everything idle.
 */
#include <linux/pci.h>

#include "p2p.h"

/**
 * p2p_find_regs - note where the dangerous config-space registers are
 * @dev: the device, at probe.
 */
void p2p_find_regs(struct p2p_device *dev)
{
	struct pci_dev *pdev = dev->core.pdev;
	const struct p2p_caps caps = {
		.pm = pdev->pm_cap,
		.express = pdev->pcie_cap,
		.af = pci_find_capability(pdev, PCI_CAP_ID_AF),
	};

	dev->nr_regs = p2p_config_regs(&caps, dev->regs);
}

/**
 * p2p_open_device - first open
 * @vdev: the device; VFIO holds group and dev_set locks.
 *
 * A close may have given up on pins.  Until they have gone their DMA could still
 * write, and it must not write into the next user's memory.
 *
 * Return: 0, -EBUSY, or what vfio-pci-core answers.
 */
int p2p_open_device(struct vfio_device *vdev)
{
	struct p2p_device *dev = p2p_from_vfio(vdev);
	int ret;

	if (!p2p_revoke_idle(dev)) {
		p2p_log_limited(dev, log_refusals, pci_warn,
				"p2p: not opened: I/O of its last user still holds pages of a window\n");
		return -EBUSY;
	}

	ret = vfio_pci_core_enable(&dev->core);
	if (ret)
		return ret;
	vfio_pci_core_finish_enable(&dev->core);

	WRITE_ONCE(dev->opened, true);
	p2p_error_mended(dev);
	p2p_revoke_open(dev, false);
	return 0;
}

/**
 * p2p_close_device - last close
 * @vdev: the device; VFIO holds group and dev_set locks.
 *
 * Core switches decoding off and resets, so the pins must go first; they can
 * outlive the process.  Not interruptible: the closer may have been killed.
 */
void p2p_close_device(struct vfio_device *vdev)
{
	struct p2p_device *dev = p2p_from_vfio(vdev);

	p2p_revoke_close(dev, P2P_VFIO_CAUSE_CLOSE);
	if (p2p_revoke_drain(dev, p2p_policy_hook()))
		p2p_log_limited(dev, log_drains, pci_warn,
				"p2p: closed under I/O; opening it is refused until that ends\n");
	p2p_gate_acted(dev->gate);
	p2p_gate_end_session(dev->gate);
	p2p_notify_clear(dev);
	WRITE_ONCE(dev->opened, false);

	vfio_pci_core_close_device(vdev);
}

static long p2p_reset(struct p2p_device *dev, unsigned long arg)
{
	long ret;

	/* Core refuses; nothing is to be disturbed for that. */
	if (!dev->core.reset_works)
		return vfio_pci_core_ioctl(&dev->core.vdev, VFIO_DEVICE_RESET, arg);

	ret = p2p_revoke_begin(dev, P2P_VFIO_CAUSE_RESET);
	if (ret)
		return ret;
	ret = vfio_pci_core_ioctl(&dev->core.vdev, VFIO_DEVICE_RESET, arg);
	p2p_error_mended(dev);
	p2p_revoke_open(dev, !ret);
	return ret;
}

/**
 * p2p_ioctl - the device's ioctls
 * @vdev: the device.
 * @cmd: which.
 * @arg: its argument.
 *
 * Return: as vfio-pci-core, and for the resets also EBUSY and ERESTARTSYS.
 */
long p2p_ioctl(struct vfio_device *vdev, unsigned int cmd, unsigned long arg)
{
	struct p2p_device *dev = p2p_from_vfio(vdev);

	switch (cmd) {
	case VFIO_DEVICE_RESET:
		return p2p_reset(dev, arg);
	case VFIO_DEVICE_PCI_HOT_RESET:
		return p2p_hot_reset(dev, arg);
	default:
		return vfio_pci_core_ioctl(vdev, cmd, arg);
	}
}

static bool p2p_write_is_dangerous(const struct p2p_device *dev, u64 position,
				   size_t count)
{
	return VFIO_PCI_OFFSET_TO_INDEX(position) == VFIO_PCI_CONFIG_REGION_INDEX &&
	       p2p_config_overlap(dev->regs, dev->nr_regs,
				  position & VFIO_PCI_OFFSET_MASK, count);
}

/**
 * p2p_write - write(2) on the device's fd
 * @vdev: the device.
 * @buf: the data.
 * @count: its length.
 * @ppos: region and offset.
 *
 * A config write that overlaps a dangerous register revokes, whatever its value:
 * core reads the value from user memory later, when it may have changed.
 *
 * Return: as vfio-pci-core, and EBUSY and ERESTARTSYS.
 */
ssize_t p2p_write(struct vfio_device *vdev, const char __user *buf,
		  size_t count, loff_t *ppos)
{
	struct p2p_device *dev = p2p_from_vfio(vdev);
	ssize_t ret;

	if (!p2p_write_is_dangerous(dev, *ppos, count))
		return vfio_pci_core_write(vdev, buf, count, ppos);

	ret = p2p_revoke_begin(dev, P2P_VFIO_CAUSE_CONFIG);
	if (ret)
		return ret;
	ret = vfio_pci_core_write(vdev, buf, count, ppos);
	p2p_error_mended(dev);
	/* Core writes piece by piece: it may fail with some of them done. */
	p2p_revoke_open(dev, true);
	return ret;
}

/* Will core act on the call, or find fault with it? */
static bool p2p_low_power_valid(u32 flags, size_t argsz)
{
	size_t size = 0;

	if ((flags & VFIO_DEVICE_FEATURE_MASK) ==
	    VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP)
		size = sizeof(struct vfio_device_low_power_entry_with_wakeup);
	return vfio_check_feature(flags, argsz, VFIO_DEVICE_FEATURE_SET, size) == 1;
}

/**
 * p2p_low_power - VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY, _WITH_WAKEUP and _EXIT
 * @vdev: the device.
 * @flags: of the feature call.
 * @arg: its data.
 * @argsz: its size.
 *
 * After an entry the gate is open again: faults then find pm_runtime_engaged set,
 * and are refused by that until core clears it, for which there is no hook.  An
 * exit counts as a revocation, since the memory may have lost its contents; a
 * wake-up by the device itself cannot be seen here.
 *
 * Return: as vfio-pci-core, and EBUSY and ERESTARTSYS.
 */
int p2p_low_power(struct vfio_device *vdev, u32 flags, void __user *arg,
		  size_t argsz)
{
	struct p2p_device *dev = p2p_from_vfio(vdev);
	int ret;

	if (!p2p_low_power_valid(flags, argsz))
		return vfio_pci_core_ioctl_feature(vdev, flags, arg, argsz);

	ret = p2p_revoke_begin(dev, P2P_VFIO_CAUSE_LOW_POWER);
	if (ret)
		return ret;
	ret = vfio_pci_core_ioctl_feature(vdev, flags, arg, argsz);
	p2p_revoke_open(dev, !ret);
	return ret;
}

/**
 * p2p_drain_or_warn - the bounded drain of a hook that cannot refuse
 * @dev: the device, after p2p_revoke_close().
 * @policy: how long.
 * @what: goes on if that was not long enough.
 */
void p2p_drain_or_warn(struct p2p_device *dev, struct p2p_policy policy,
		       const char *what)
{
	if (p2p_revoke_drain(dev, policy))
		p2p_log_limited(dev, log_drains, pci_warn,
				"p2p: %s goes on under I/O; its data may be lost, its pages stay allocated\n",
				what);
}

/**
 * p2p_reset_prepare - a reset begins, whoever asked for it
 * @pdev: the device.
 *
 * Called with device_lock and config access blocked, and with memory_lock held
 * for writing when the reset comes through VFIO.  At first open there is no
 * vconfig yet.  Neither may be touched here.
 */
void p2p_reset_prepare(struct pci_dev *pdev)
{
	struct p2p_device *dev = p2p_from_pci(pdev);

	p2p_revoke_close(dev, P2P_VFIO_CAUSE_PCI_RESET);
	p2p_drain_or_warn(dev, p2p_policy_hook(), "a reset");
}

/**
 * p2p_reset_done - it is over; always follows p2p_reset_prepare()
 * @pdev: the device.
 */
void p2p_reset_done(struct pci_dev *pdev)
{
	p2p_revoke_open(p2p_from_pci(pdev), true);
}
