/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * compat.h - what the driver needs from the kernel, and every difference
 * between the kernels it supports
 *
 * Supported are Linux 7.2 and 7.3 on x86-64, with and without PREEMPT_RT.  All
 * that the driver uses has the same form in both.  A difference that appears
 * belongs here, found by a probe in Kbuild (never by a version number), and cites
 * the upstream commit that made it.  docs/kernels.md lists the probes.
 */
#ifndef P2P_COMPAT_H
#define P2P_COMPAT_H

#include <linux/kconfig.h>

/*
 * P2P_UNPROVEN_ARCH is for trying another one: docs/kernels.md says what has been
 * seen on arm64.  GUP-fast against the zap, and the caching of a second view of a
 * BAR, are what has to be proven.
 */
#if !defined(CONFIG_X86_64) && !defined(P2P_UNPROVEN_ARCH)
#error "p2p-vfio-pci: only x86-64 is supported (CPU caching and TLB rules are proven there alone)"
#endif

/* Debian's kernels have it from 7.2 on, those up to 6.12 have not. */
#ifndef CONFIG_PCI_P2PDMA
#error "p2p-vfio-pci: this kernel is built without CONFIG_PCI_P2PDMA=y; no PCI memory can have struct pages in it"
#endif

#if !IS_ENABLED(CONFIG_VFIO_PCI_CORE)
#error "p2p-vfio-pci: this kernel is built without CONFIG_VFIO_PCI; there is no VFIO core to build on"
#endif

#if defined(CONFIG_PREEMPTION) && !defined(CONFIG_TASKS_RCU)
#error "p2p-vfio-pci: this preemptible kernel is built without CONFIG_TASKS_RCU (ftrace, kprobes or BPF select it); the module could not be unloaded safely"
#endif

/*
 * Windows of 2 MiB folios, mapped by PMDs.  A kernel without transparent huge
 * pages can neither map one nor keep count of one; there windows are made of
 * 4 KiB pages.  All with PREEMPT_RT are such: 554b0f3ca6f4 ("mm: disable
 * NUMA_BALANCING_DEFAULT_ENABLED and TRANSPARENT_HUGEPAGE on PREEMPT_RT").
 */
#define P2P_HAVE_PMD	IS_ENABLED(CONFIG_TRANSPARENT_HUGEPAGE)

/*
 * A place where such an entry fits.  Without them thp_get_unmapped_area() is NULL, for
 * tables of operations (include/linux/huge_mm.h), and any place will do.
 */
#if P2P_HAVE_PMD
#define p2p_get_unmapped_area	thp_get_unmapped_area
#else
#define p2p_get_unmapped_area	mm_get_unmapped_area
#endif

/* 6c88f72691f8 ("mm/huge_memory: add vmf_insert_folio_pmd()"), 6.15 */
#ifndef P2P_HAVE_INSERT_FOLIO_PMD
#error "p2p-vfio-pci: this kernel has no vmf_insert_folio_pmd(); Linux 7.2 or 7.3 is needed"
#endif

/* d245f9b4ab80 ("mm/zone_device: support large zone device private folios"), 6.19 */
#ifndef P2P_HAVE_ZONE_DEVICE_FOLIO_INIT
#error "p2p-vfio-pci: this kernel has no zone_device_folio_init(); Linux 7.2 or 7.3 is needed"
#endif

/* 775f726a742a ("vfio: Add get_region_info_caps op"): region info outside of .ioctl */
#ifndef P2P_HAVE_REGION_INFO_CAPS
#error "p2p-vfio-pci: this kernel's VFIO has no get_region_info_caps(); Linux 7.2 or 7.3 is needed"
#endif

/* 372d6d1b8ae3 ("PCI/P2PDMA: Refactor to separate core P2P functionality from memory allocation"), 6.19 */
#ifndef P2P_HAVE_P2PDMA_PROVIDER
#error "p2p-vfio-pci: this kernel has no pcim_p2pdma_provider(); Linux 7.2 or 7.3 is needed"
#endif

/* 5d74781ebc86 ("vfio/pci: Add dma-buf export support for MMIO regions"), 6.19 */
#ifndef P2P_HAVE_DMABUF_PHYS
#error "p2p-vfio-pci: this kernel's VFIO has no get_dmabuf_phys(); Linux 7.2 or 7.3 is needed"
#endif

/*
 * The running kernel's own type information, and the means to read it:
 * bpf_find_btf_id(), exported by 4e4136c64467 ("selftests/bpf: Test gen_pro/epilogue
 * that generate kfuncs"), 6.15.  Without, layout.c looks.
 */
#if defined(P2P_HAVE_FIND_BTF_ID) && IS_ENABLED(CONFIG_DEBUG_INFO_BTF) && \
	IS_ENABLED(CONFIG_BPF_SYSCALL)
#define P2P_HAVE_BTF_LOOKUP
#endif

#endif /* P2P_COMPAT_H */
