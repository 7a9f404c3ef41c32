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

static void p2p_add_reg(struct p2p_device *dev, int cap, unsigned int offset,
			unsigned int length)
{
	if (cap >= 0)
		dev->regs[dev->nr_regs++] = (struct p2p_range) {
			.start = cap + offset,
			.length = length,
		};
}

/* A capability's position, or -1: position 0 is no capability but the header. */
static int p2p_cap(int position)
{
	return position ?: -1;
}

/**
 * p2p_find_regs - note where the dangerous config-space registers are
 * @dev: the device, at probe.
 *
 * Memory enable, self test, power state, function level reset of both kinds.
 */
void p2p_find_regs(struct p2p_device *dev)
{
	struct pci_dev *pdev = dev->core.pdev;

	p2p_add_reg(dev, 0, PCI_COMMAND, 2);
	p2p_add_reg(dev, 0, PCI_BIST, 1);
	p2p_add_reg(dev, p2p_cap(pdev->pm_cap), PCI_PM_CTRL, 2);
	p2p_add_reg(dev, p2p_cap(pdev->pcie_cap), PCI_EXP_DEVCTL, 2);
	p2p_add_reg(dev, p2p_cap(pci_find_capability(pdev, PCI_CAP_ID_AF)),
		    PCI_AF_CTRL, 1);
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
		pci_warn(dev->core.pdev,
			 "p2p: not opened: I/O of its last user still holds pages of a window\n");
		return -EBUSY;
	}

	ret = vfio_pci_core_enable(&dev->core);
	if (ret)
		return ret;
	vfio_pci_core_finish_enable(&dev->core);

	WRITE_ONCE(dev->opened, true);
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
		pci_warn(dev->core.pdev,
			 "p2p: closed under I/O; opening it is refused until that ends\n");
	p2p_gate_acted(dev->gate);
	p2p_error_unlatch(dev);
	p2p_notify_clear(dev);
	WRITE_ONCE(dev->opened, false);

	vfio_pci_core_close_device(vdev);
}

static long p2p_reset(struct p2p_device *dev, unsigned long arg)
{
	long ret = p2p_revoke_begin(dev, P2P_VFIO_CAUSE_RESET);

	if (ret)
		return ret;
	ret = vfio_pci_core_ioctl(&dev->core.vdev, VFIO_DEVICE_RESET, arg);
	if (!ret)
		p2p_error_unlatch(dev);
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
	if (ret > 0)
		p2p_error_unlatch(dev);
	p2p_revoke_open(dev, ret > 0);
	return ret;
}

/**
 * p2p_low_power - VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY, with or without wakeup
 * @vdev: the device.
 * @flags: of the feature call.
 * @arg: its data.
 * @argsz: its size.
 *
 * The gate is open again afterwards: faults then find pm_runtime_engaged set,
 * and are refused by that until core clears it, for which there is no hook.
 *
 * Return: as vfio-pci-core, and EBUSY and ERESTARTSYS.
 */
int p2p_low_power(struct vfio_device *vdev, u32 flags, void __user *arg,
		  size_t argsz)
{
	struct p2p_device *dev = p2p_from_vfio(vdev);
	int ret;

	if ((flags & VFIO_DEVICE_FEATURE_PROBE) ||
	    !(flags & VFIO_DEVICE_FEATURE_SET))
		return vfio_pci_core_ioctl_feature(vdev, flags, arg, argsz);

	ret = p2p_revoke_begin(dev, P2P_VFIO_CAUSE_LOW_POWER);
	if (ret)
		return ret;
	ret = vfio_pci_core_ioctl_feature(vdev, flags, arg, argsz);
	p2p_revoke_open(dev, !ret);
	return ret;
}

/* The bounded drain of a hook that cannot refuse. */
static void p2p_drain_or_warn(struct p2p_device *dev, struct p2p_policy policy,
			      const char *what)
{
	if (p2p_revoke_drain(dev, policy))
		pci_warn(dev->core.pdev,
			 "p2p: %s goes on under I/O; its data may be lost, its pages stay allocated\n",
			 what);
}

/*
 * Called with device_lock and config access blocked, and with memory_lock held
 * for writing when the reset comes through VFIO.  At first open there is no
 * vconfig yet.  Neither may be touched here.
 */
static void p2p_reset_prepare(struct pci_dev *pdev)
{
	struct p2p_device *dev = p2p_from_pci(pdev);

	p2p_revoke_close(dev, P2P_VFIO_CAUSE_PCI_RESET);
	p2p_drain_or_warn(dev, p2p_policy_hook(), "a reset");
}

static void p2p_reset_done(struct pci_dev *pdev)
{
	p2p_revoke_open(p2p_from_pci(pdev), true);
}

static bool p2p_error_latch(struct p2p_device *dev, bool latched)
{
	guard(spinlock)(&dev->latch_lock);

	if (dev->error_latched == latched)
		return false;
	dev->error_latched = latched;
	return true;
}

/**
 * p2p_error_unlatch - an error's revocation ends
 * @dev: the device.
 *
 * By the PCI core's resume, or because the owner has reset the device.
 */
void p2p_error_unlatch(struct p2p_device *dev)
{
	if (p2p_error_latch(dev, false))
		p2p_revoke_open(dev, true);
}

/*
 * An NVMe under the same port ends its I/O only after recovery has gone through
 * all devices, us included, so the wait is short.
 */
static pci_ers_result_t p2p_error_detected(struct pci_dev *pdev,
					   pci_channel_state_t state)
{
	struct p2p_device *dev = p2p_from_pci(pdev);

	if (p2p_error_latch(dev, true)) {
		p2p_revoke_close(dev, P2P_VFIO_CAUSE_ERROR);
		p2p_drain_or_warn(dev, p2p_policy_error(), "error recovery");
	}
	if (state == pci_channel_io_perm_failure)
		p2p_gate_kill(dev->gate);

	return vfio_pci_core_aer_err_detected(pdev, state);
}

/*
 * A bus reset during recovery leaves the BARs cleared, since no config space is
 * restored.  The gate then stays closed until the owner resets the device.
 */
static void p2p_resume(struct pci_dev *pdev)
{
	u16 command = 0;

	pci_read_config_word(pdev, PCI_COMMAND, &command);
	if (PCI_POSSIBLE_ERROR(command) || !(command & PCI_COMMAND_MEMORY)) {
		pci_warn(pdev, "p2p: memory decoding is off after error recovery; windows wait for a reset by the device's owner\n");
		return;
	}
	p2p_error_unlatch(p2p_from_pci(pdev));
}

const struct pci_error_handlers p2p_err_handlers = {
	.error_detected = p2p_error_detected,
	.resume = p2p_resume,
	.reset_prepare = p2p_reset_prepare,
	.reset_done = p2p_reset_done,
};
