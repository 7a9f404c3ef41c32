// SPDX-License-Identifier: GPL-2.0-only
/*
 * error.c - PCI error recovery: AER, DPC, and whoever else reports errors
 *
 *	error_detected	close the gate, zap, wait a little.  From here on the gate
 *			is latched: closed on recovery's behalf
 *	(a bus reset)	of the port above, for a fatal error.  It restores nothing:
 *			BARs and memory enable read 0 afterwards
 *	resume		unlatch, if the device decodes its memory
 *	or: failure	likewise; else faults are a SIGBUS instead of a wait.  One
 *			device without a driver that takes part makes recovery fail
 *			for all that share its port
 *
 * Where a bus reset took the BARs away, the latch stays until the device's owner
 * has put them back.  Core does that at the owner's next write of PCI_COMMAND,
 * and at close.  Where there is no owner, resume puts them back itself.  Until
 * then a page of a window would be a hole that swallows DMA without an error.
 */
#include <linux/cleanup.h>
#include <linux/pci.h>

#include "p2p.h"

static bool p2p_bar_is_in_place(struct pci_dev *pdev, int bar)
{
	const struct resource *res = pci_resource_n(pdev, bar);
	pci_bus_addr_t address = pci_bus_address(pdev, bar);
	int reg = PCI_BASE_ADDRESS_0 + 4 * bar;
	u32 low, high = 0;

	if (!(resource_type(res) == IORESOURCE_MEM) || !resource_size(res))
		return true;
	pci_read_config_dword(pdev, reg, &low);
	if (res->flags & IORESOURCE_MEM_64)
		pci_read_config_dword(pdev, reg + 4, &high);
	return (low & (u32)PCI_BASE_ADDRESS_MEM_MASK) == lower_32_bits(address) &&
	       high == upper_32_bits(address);
}

/* A virtual function has neither memory enable nor BARs of its own. */
static bool p2p_bars_are_in_place(struct pci_dev *pdev)
{
	int bar;

	for (bar = 0; bar < PCI_STD_NUM_BARS && !pdev->is_virtfn; bar++)
		if (!p2p_bar_is_in_place(pdev, bar))
			return false;
	return true;
}

static bool p2p_decodes(struct pci_dev *pdev)
{
	u16 command = 0;

	pci_read_config_word(pdev, PCI_COMMAND, &command);
	if (PCI_POSSIBLE_ERROR(command))
		return false;
	if (!pdev->no_command_memory && !(command & PCI_COMMAND_MEMORY))
		return false;
	return p2p_bars_are_in_place(pdev);
}

static bool p2p_error_latch(struct p2p_device *dev)
{
	guard(mutex)(&dev->error_lock);

	dev->recovering = true;
	if (dev->error_latched)
		return false;
	dev->error_latched = true;
	return true;
}

/* With @failed, faults are a SIGBUS from now on instead of a wait. */
static void p2p_error_recovered(struct p2p_device *dev, bool failed)
{
	guard(mutex)(&dev->error_lock);

	dev->recovering = false;
	if (failed)
		p2p_gate_set_failed(dev->gate, true);
}

/**
 * p2p_error_mended - unlatch, if recovery is over and the device decodes
 * @dev: the device, its gate closed for the caller as well.
 *
 * After anything that may have mended it: the owner's resets and config writes,
 * a new open, resume.
 */
void p2p_error_mended(struct p2p_device *dev)
{
	/* One step, lest the failure of a recovery that begins now be forgotten. */
	scoped_guard(mutex, &dev->error_lock) {
		if (!dev->error_latched || dev->recovering ||
		    !p2p_decodes(dev->core.pdev))
			return;
		dev->error_latched = false;
		p2p_gate_set_failed(dev->gate, false);
	}
	p2p_revoke_open(dev, true);
}

/*
 * A closed device has nobody to write PCI_COMMAND.  Runtime suspend, which comes
 * next, would save the cleared BARs as their value, so this is the moment.
 */
static void p2p_restore_closed(struct p2p_device *dev)
{
	struct pci_dev *pdev = dev->core.pdev;

	if (p2p_bars_are_in_place(pdev) || !pci_device_is_present(pdev))
		return;
	p2p_log_limited(dev, log_errors, pci_info,
			"p2p: restoring the BARs after error recovery\n");
	pci_restore_state(pdev);
}

/* Nobody calls resume then.  A device that still decodes has lost nothing. */
static void p2p_error_failed(struct p2p_device *dev)
{
	bool lost;

	if (!READ_ONCE(dev->opened))
		p2p_restore_closed(dev);
	lost = !p2p_decodes(dev->core.pdev);
	p2p_error_recovered(dev, lost);
	if (lost)
		p2p_notify_signal(dev);
	else
		p2p_error_mended(dev);
}

/*
 * The gate closes first and is latched then: an unlatch in between must find a
 * closed gate to open.
 *
 * The wait is short: an NVMe under the same port ends its I/O only after
 * recovery has gone through all devices, this one included.
 */
static pci_ers_result_t p2p_error_detected(struct pci_dev *pdev,
					   pci_channel_state_t state)
{
	struct p2p_device *dev = p2p_from_pci(pdev);

	p2p_revoke_close(dev, P2P_VFIO_CAUSE_ERROR);
	if (p2p_error_latch(dev))
		p2p_drain_or_warn(dev, p2p_policy_error(), "error recovery");
	else
		p2p_revoke_open(dev, false);

	if (state == pci_channel_io_perm_failure)
		p2p_error_failed(dev);

	return vfio_pci_core_aer_err_detected(pdev, state);
}

static void p2p_resume(struct pci_dev *pdev)
{
	struct p2p_device *dev = p2p_from_pci(pdev);

	p2p_error_recovered(dev, false);
	if (!READ_ONCE(dev->opened))
		p2p_restore_closed(dev);
	else if (!p2p_decodes(pdev))
		p2p_log_limited(dev, log_errors, pci_warn,
				"p2p: no memory decoding after error recovery; windows wait until the device's owner writes PCI_COMMAND, or closes the device\n");
	p2p_error_mended(dev);
}

const struct pci_error_handlers p2p_err_handlers = {
	.error_detected = p2p_error_detected,
	.resume = p2p_resume,
	.reset_prepare = p2p_reset_prepare,
	.reset_done = p2p_reset_done,
};
