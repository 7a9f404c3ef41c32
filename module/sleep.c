// SPDX-License-Identifier: GPL-2.0-only
/*
 * sleep.c - system suspend and hibernation
 *
 * The PCI core powers the device off in a late phase, when nobody can be waited
 * for any more, and vfio-pci-core has no system sleep operations.  So windows are
 * revoked before user space is frozen, while I/O can still end; sleep is refused
 * if it does not.  A thread that touches a window meanwhile waits, and is frozen
 * there.
 *
 * Sleep nests: whoever has /dev/snapshot open has prepared a hibernation, and the
 * kernel lets others suspend meanwhile.  Each preparation has its own end, and the
 * end of one that somebody else has refused counts as well: it looks like any.
 */
#include <linux/suspend.h>

#include "p2p.h"

static int p2p_sleep_prepare(struct p2p_device *dev)
{
	int ret = p2p_revoke_begin(dev, P2P_VFIO_CAUSE_SLEEP);

	if (ret) {
		pci_warn(dev->core.pdev, "p2p: system sleep refused: I/O holds pages of a window\n");
		/* Not NOTIFY_BAD, which the caller would see as EPERM. */
		return notifier_from_errno(ret == -ERESTARTSYS ? -EINTR : ret);
	}
	dev->asleep++;
	return NOTIFY_OK;
}

static int p2p_sleep_post(struct p2p_device *dev)
{
	if (!dev->asleep)
		return NOTIFY_DONE;
	dev->asleep--;
	p2p_revoke_open(dev, true);
	return NOTIFY_OK;
}

static int p2p_sleep_notify(struct notifier_block *nb, unsigned long action,
			    void *data)
{
	struct p2p_device *dev = container_of(nb, struct p2p_device, sleep_nb);

	switch (action) {
	case PM_SUSPEND_PREPARE:
	case PM_HIBERNATION_PREPARE:
	case PM_RESTORE_PREPARE:
		return p2p_sleep_prepare(dev);
	case PM_POST_SUSPEND:
	case PM_POST_HIBERNATION:
	case PM_POST_RESTORE:
		return p2p_sleep_post(dev);
	default:
		return NOTIFY_DONE;
	}
}

/**
 * p2p_sleep_register - hear of system sleep from now on
 * @dev: the device.
 *
 * Return: 0 or -errno.
 */
int p2p_sleep_register(struct p2p_device *dev)
{
	dev->sleep_nb.notifier_call = p2p_sleep_notify;
	return register_pm_notifier(&dev->sleep_nb);
}

/**
 * p2p_sleep_unregister - the device is removed
 * @dev: the device.
 */
void p2p_sleep_unregister(struct p2p_device *dev)
{
	unregister_pm_notifier(&dev->sleep_nb);
}
