// SPDX-License-Identifier: GPL-2.0-only
/*
 * main.c - module, parameters, operation tables, probe and remove
 *
 * p2p-vfio-pci is a VFIO PCI variant driver: vfio-pci-core does what it does for
 * vfio-pci, and this driver adds windows (<p2p_vfio.h>).
 */
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/slab.h>

#include "p2p.h"

#define P2P_MAX_TIMEOUT_MS 3600000

static int p2p_param_set_ms(const char *val, const struct kernel_param *kp)
{
	return param_set_uint_minmax(val, kp, 0, P2P_MAX_TIMEOUT_MS);
}

static const struct kernel_param_ops p2p_param_ms = {
	.set = p2p_param_set_ms,
	.get = param_get_uint,
};

static unsigned int drain_timeout_ms = 30000;
module_param_cb(drain_timeout_ms, &p2p_param_ms, &drain_timeout_ms, 0644);
MODULE_PARM_DESC(drain_timeout_ms, "How long a reset, config write or low-power call asked for by the device's owner waits for pins before it is refused with EBUSY, in milliseconds (default 30000, at most 3600000)");

static unsigned int hook_timeout_ms = 10000;
module_param_cb(hook_timeout_ms, &p2p_param_ms, &hook_timeout_ms, 0644);
MODULE_PARM_DESC(hook_timeout_ms, "How long a close, or a reset from outside that cannot be refused, waits for pins before it goes on, in milliseconds (default 10000)");

static unsigned int aer_timeout_ms = 1000;
module_param_cb(aer_timeout_ms, &p2p_param_ms, &aer_timeout_ms, 0644);
MODULE_PARM_DESC(aer_timeout_ms, "How long PCI error recovery (AER, DPC) waits for pins before it goes on, in milliseconds (default 1000)");

static bool unprivileged_windows;
module_param(unprivileged_windows, bool, 0644);
MODULE_PARM_DESC(unprivileged_windows, "Allow registering new windows without CAP_SYS_ADMIN; each costs up to 1.56 % of its size in host memory; only for owners that are trusted with the host (default N)");

static const char * const p2p_providers[] = { "auto", "standard" };
static unsigned int provider;

static int p2p_param_set_provider(const char *val, const struct kernel_param *kp)
{
	int index = sysfs_match_string(p2p_providers, val);

	if (index >= 0)
		WRITE_ONCE(provider, index);
	return index < 0 ? index : 0;
}

static int p2p_param_get_provider(char *buf, const struct kernel_param *kp)
{
	return sysfs_emit(buf, "%s\n", p2p_providers[READ_ONCE(provider)]);
}

static const struct kernel_param_ops p2p_param_provider = {
	.set = p2p_param_set_provider,
	.get = p2p_param_get_provider,
};
module_param_cb(provider, &p2p_param_provider, NULL, 0644);
MODULE_PARM_DESC(provider, "Where new windows get their struct pages: auto (the driver's own dev_pagemap where this kernel's layout is proven, else the kernel's pool) or standard (the pool)");

static bool small_folios;
module_param(small_folios, bool, 0644);
MODULE_PARM_DESC(small_folios, "Make new windows of 4 KiB pages instead of 2 MiB folios, for comparison and diagnosis (default N)");

/* What vfio-pci has as well, so that a device behaves here as it does there. */
static bool nointxmask;
module_param(nointxmask, bool, 0644);
MODULE_PARM_DESC(nointxmask, "Disable support for PCI 2.3 style INTx masking, as vfio-pci's parameter");

static bool disable_vga;
module_param(disable_vga, bool, 0444);
MODULE_PARM_DESC(disable_vga, "Disable VGA resource access, as vfio-pci's parameter");

static bool disable_idle_d3;
module_param(disable_idle_d3, bool, 0644);
MODULE_PARM_DESC(disable_idle_d3, "Keep an idle, unused device out of D3, as vfio-pci's parameter");

static bool enable_sriov;
module_param(enable_sriov, bool, 0644);
MODULE_PARM_DESC(enable_sriov, "Allow SR-IOV configuration, as vfio-pci's parameter");

struct p2p_policy p2p_policy_refusable(void)
{
	return (struct p2p_policy) {
		.timeout_ms = READ_ONCE(drain_timeout_ms),
		.interruptible = true,
	};
}

struct p2p_policy p2p_policy_hook(void)
{
	return (struct p2p_policy) { .timeout_ms = READ_ONCE(hook_timeout_ms) };
}

struct p2p_policy p2p_policy_error(void)
{
	return (struct p2p_policy) { .timeout_ms = READ_ONCE(aer_timeout_ms) };
}

/* Repeated without end; this is how often the log says so. */
static struct p2p_policy p2p_policy_remove(void)
{
	return (struct p2p_policy) { .timeout_ms = 10000 };
}

bool p2p_unprivileged_windows(void)
{
	return READ_ONCE(unprivileged_windows);
}

bool p2p_want_own_provider(void)
{
	return !READ_ONCE(provider);
}

bool p2p_want_small_folios(void)
{
	return READ_ONCE(small_folios);
}

static int p2p_init_dev(struct vfio_device *vdev)
{
	struct p2p_device *dev = p2p_from_vfio(vdev);
	int ret;

	mutex_init(&dev->window_lock);
	p2p_folios_init(dev);
	INIT_LIST_HEAD(&dev->parked);
	mutex_init(&dev->error_lock);
	spin_lock_init(&dev->notify_lock);
	ratelimit_default_init(&dev->log_windows);
	ratelimit_default_init(&dev->log_refusals);
	ratelimit_default_init(&dev->log_drains);
	ratelimit_default_init(&dev->log_errors);
	spin_lock_init(&dev->wait_lock);
	dev->core.nointxmask = nointxmask;
	dev->core.disable_vga = disable_vga;
	dev->core.disable_idle_d3 = disable_idle_d3;

	dev->gate = p2p_gate_create();
	if (!dev->gate)
		return -ENOMEM;
	dev->faults = alloc_percpu_gfp(struct p2p_fault_stats, GFP_KERNEL_ACCOUNT);
	if (!dev->faults) {
		ret = -ENOMEM;
		goto err_gate;
	}
	ret = vfio_pci_core_init_dev(vdev);
	if (ret)
		goto err_faults;
	return 0;

err_faults:
	free_percpu(dev->faults);
err_gate:
	p2p_gate_put(dev->gate);
	return ret;
}

static void p2p_release_dev(struct vfio_device *vdev)
{
	struct p2p_device *dev = p2p_from_vfio(vdev);

	vfio_pci_core_release_dev(vdev);
	free_percpu(dev->faults);
	p2p_gate_put(dev->gate);
}

static const struct vfio_device_ops p2p_ops = {
	.name = "p2p-vfio-pci",
	.init = p2p_init_dev,
	.release = p2p_release_dev,
	.open_device = p2p_open_device,
	.close_device = p2p_close_device,
	.ioctl = p2p_ioctl,
	.get_region_info_caps = vfio_pci_ioctl_get_region_info,
	.device_feature = p2p_feature,
	.read = vfio_pci_core_read,
	.write = p2p_write,
	.mmap = p2p_mmap,
	.request = vfio_pci_core_request,
	.match = vfio_pci_core_match,
	.match_token_uuid = vfio_pci_core_match_token_uuid,
	.bind_iommufd = vfio_iommufd_physical_bind,
	.unbind_iommufd = vfio_iommufd_physical_unbind,
	.attach_ioas = vfio_iommufd_physical_attach_ioas,
	.detach_ioas = vfio_iommufd_physical_detach_ioas,
	.pasid_attach_ioas = vfio_iommufd_physical_pasid_attach_ioas,
	.pasid_detach_ioas = vfio_iommufd_physical_pasid_detach_ioas,
};

static const struct vfio_pci_device_ops p2p_pci_ops = {
	.get_dmabuf_phys = vfio_pci_core_get_dmabuf_phys,
};

bool p2p_is_ours(const struct vfio_device *vdev)
{
	return vdev->ops == &p2p_ops;
}

/* Devices that vfio-pci refuses because their errata endanger the host. */
static bool p2p_is_denied(const struct pci_dev *pdev)
{
	static const u16 intel[] = {
		PCI_DEVICE_ID_INTEL_QAT_C3XXX, PCI_DEVICE_ID_INTEL_QAT_C3XXX_VF,
		PCI_DEVICE_ID_INTEL_QAT_C62X, PCI_DEVICE_ID_INTEL_QAT_C62X_VF,
		PCI_DEVICE_ID_INTEL_QAT_DH895XCC, PCI_DEVICE_ID_INTEL_QAT_DH895XCC_VF,
		PCI_DEVICE_ID_INTEL_DSA_SPR0, PCI_DEVICE_ID_INTEL_IAX_SPR0,
	};
	int i;

	if (pdev->vendor != PCI_VENDOR_ID_INTEL)
		return false;
	for (i = 0; i < ARRAY_SIZE(intel); i++)
		if (pdev->device == intel[i])
			return true;
	return false;
}

static int p2p_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct p2p_device *dev;
	int ret;

	if (p2p_is_denied(pdev)) {
		pci_warn(pdev, "p2p: refused: vfio-pci's deny list has this device for its errata\n");
		return -EINVAL;
	}

	dev = vfio_alloc_device(p2p_device, core.vdev, &pdev->dev, &p2p_ops);
	if (IS_ERR(dev))
		return PTR_ERR(dev);

	dev_set_drvdata(&pdev->dev, &dev->core);
	dev->core.pci_ops = &p2p_pci_ops;
	p2p_find_regs(dev);
	p2p_find_msix(dev);

	ret = p2p_sleep_register(dev);
	if (ret)
		goto err_put;
	ret = vfio_pci_core_register_device(&dev->core);
	if (ret)
		goto err_sleep;
	return 0;

err_sleep:
	p2p_sleep_unregister(dev);
err_put:
	vfio_put_device(&dev->core.vdev);
	return ret;
}

/*
 * Phases, and what is impossible after each:
 *  1. a pulled device: no new pin, no page table leads to it;
 *  2. unregister: no fd, no VMA (blocks until user space has closed);
 *  3. drain: no pin.  The one wait without a bound: returning would let the
 *     kernel free struct pages under DMA;
 *  4. windows: no folio; the kernel can take its pages back.
 */
static void p2p_remove(struct pci_dev *pdev)
{
	struct p2p_device *dev = p2p_from_pci(pdev);

	if (pci_channel_offline(pdev)) {
		p2p_revoke_close(dev, P2P_VFIO_CAUSE_REMOVE);
		p2p_gate_kill(dev->gate);
		p2p_notify_signal(dev);
	}

	vfio_pci_core_unregister_device(&dev->core);
	p2p_sleep_unregister(dev);

	p2p_gate_kill(dev->gate);
	p2p_revoke_close(dev, P2P_VFIO_CAUSE_REMOVE);
	while (p2p_revoke_drain(dev, p2p_policy_remove()))
		pci_warn(pdev, "p2p: removal waits for I/O on its memory\n");

	p2p_windows_destroy(dev);
	vfio_put_device(&dev->core.vdev);
}

/* Reboot or kexec: no new DMA.  The initiators' own shutdown ends the old one. */
static void p2p_shutdown(struct pci_dev *pdev)
{
	p2p_revoke_close(p2p_from_pci(pdev), P2P_VFIO_CAUSE_SHUTDOWN);
}

static int p2p_sriov_configure(struct pci_dev *pdev, int nr_virtfn)
{
	if (!enable_sriov)
		return -ENOENT;
	return vfio_pci_core_sriov_configure(&p2p_from_pci(pdev)->core, nr_virtfn);
}

/*
 * Bound by driver_override alone.  The table is not exported as a module alias:
 * tools that look for the best VFIO driver of a device must not find this one.
 */
static const struct pci_device_id p2p_table[] = {
	{ PCI_DRIVER_OVERRIDE_DEVICE_VFIO(PCI_ANY_ID, PCI_ANY_ID) },
	{}
};

static struct pci_driver p2p_driver = {
	.name = "p2p-vfio-pci",
	.id_table = p2p_table,
	.probe = p2p_probe,
	.remove = p2p_remove,
	.shutdown = p2p_shutdown,
	.sriov_configure = p2p_sriov_configure,
	.err_handler = &p2p_err_handlers,
	.dev_groups = p2p_sysfs_groups,
	.driver_managed_dma = true,
};

static int __init p2p_init(void)
{
	return pci_register_driver(&p2p_driver);
}
module_init(p2p_init);

static void __exit p2p_exit(void)
{
	pci_unregister_driver(&p2p_driver);
	p2p_gate_wait_for_waiters();
}
module_exit(p2p_exit);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("The vfio-p2p authors");
MODULE_DESCRIPTION("VFIO PCI with page-backed BARs: direct I/O into device memory");
MODULE_VERSION("0.1.0");
