/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * compat.h - what the driver needs from the kernel, and every difference
 * between the kernels it supports
 *
 * Supported are Linux 7.2 and 7.3 on x86-64.  All that the driver uses has the
 * same form in both, so there is nothing to translate yet.  A difference that
 * appears belongs here, found by a probe in Makefile (never by a version
 * number), with the upstream commit that made it.
 *
 * What older kernels lack:
 *  vmf_insert_folio_pmd()	6.15; 2 MiB mappings that hold a folio reference
 *  zone_device_folio_init()	6.19; large ZONE_DEVICE folios
 *  vfio get_region_info_caps	6.19; region info outside of .ioctl
 *  CONFIG_PCI_P2PDMA		off in Debian's kernels up to 6.12
 */
#ifndef P2P_COMPAT_H
#define P2P_COMPAT_H

#include <linux/kconfig.h>

#ifndef CONFIG_X86_64
#error "p2p-vfio-pci: only x86-64 is supported (CPU caching and TLB rules are proven there alone)"
#endif

#ifndef CONFIG_PCI_P2PDMA
#error "p2p-vfio-pci: this kernel is built without CONFIG_PCI_P2PDMA=y; no PCI memory can have struct pages in it"
#endif

#ifndef CONFIG_TRANSPARENT_HUGEPAGE
#error "p2p-vfio-pci: this kernel is built without CONFIG_TRANSPARENT_HUGEPAGE=y; windows are made of 2 MiB folios"
#endif

#if !IS_ENABLED(CONFIG_VFIO_PCI_CORE)
#error "p2p-vfio-pci: this kernel is built without CONFIG_VFIO_PCI; there is no VFIO core to build on"
#endif

#if defined(CONFIG_PREEMPTION) && !defined(CONFIG_TASKS_RCU)
#error "p2p-vfio-pci: this preemptible kernel is built without CONFIG_TASKS_RCU (ftrace, kprobes or BPF select it); the module could not be unloaded safely"
#endif

#ifndef P2P_HAVE_INSERT_FOLIO_PMD
#error "p2p-vfio-pci: this kernel has no vmf_insert_folio_pmd(); Linux 7.2 or 7.3 is needed"
#endif

#ifndef P2P_HAVE_ZONE_DEVICE_FOLIO_INIT
#error "p2p-vfio-pci: this kernel has no zone_device_folio_init(); Linux 7.2 or 7.3 is needed"
#endif

#ifndef P2P_HAVE_REGION_INFO_CAPS
#error "p2p-vfio-pci: this kernel's VFIO has no get_region_info_caps(); Linux 7.2 or 7.3 is needed"
#endif

/* The running kernel's own type information, and the means to read it. */
#if defined(P2P_HAVE_FIND_BTF_ID) && IS_ENABLED(CONFIG_DEBUG_INFO_BTF) && \
	IS_ENABLED(CONFIG_BPF_SYSCALL)
#define P2P_HAVE_BTF_LOOKUP
#endif

#endif /* P2P_COMPAT_H */
