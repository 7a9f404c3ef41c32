// SPDX-License-Identifier: GPL-2.0-only
/*
 * mmap.c - page-backed mappings of windows, and their faults
 *
 * WHAT A FAULT MAY DO (the rules that keep revocation free of deadlock)
 *
 * Gate open: insert the page, holding the gate for just that.  No lock of
 * vfio-pci-core is needed: the device's memory enable, power and reset state
 * change with the gate closed, or are followed by a reset_prepare that zaps.
 *
 * Gate closed, fault not from user mode: SIGBUS at once.  The faulter is
 * get_user_pages() or a copy to or from user memory, and it may hold pins that
 * the revocation waits for: those of an earlier segment of the same iovec, of
 * this device or of another that the same bus reset is draining.  It must never
 * wait, not even when nothing of this device is pinned any more.
 *
 * Gate closed, fault from user mode: such a thread holds no pins.  It lets go of
 * its lock, so that nobody queues behind it, and waits for the gate.
 */
#include <linux/mm.h>
#include <linux/sched/mm.h>

#include "p2p.h"
#include "trace.h"

/*
 * VM_DONTEXPAND: with no special flag an mlock would park folio references in
 * per-CPU batches, where no drain ends.  VM_HUGEPAGE: THP policy must not turn
 * 2 MiB faults off.  Nothing that makes the VMA look like raw PFNs may be set: a
 * split of such a PMD keeps its folio reference for ever.
 */
#define P2P_VM_FLAGS	(VM_DONTEXPAND | VM_DONTDUMP | VM_HUGEPAGE)

/*
 * Each page-table entry holds a reference on its folio, 512 in one page of page
 * table.  Without an end to it a user with 33 GiB for page tables could wrap the
 * count, and a put could then be the last.  (GUP stops by itself at 2^31.)
 */
#ifndef P2P_MAX_REFS
#define P2P_MAX_REFS	(INT_MAX / 2)
#endif

/*
 * An entry of 4 KiB needs a page table, and MADV_DONTNEED of another thread may free the
 * one that was just made for it (PT_RECLAIM).  The kernel's answer is that of no memory,
 * so it is asked some more times; when there is none it says so each time.
 */
#define P2P_PTE_TRIES 4

/* Page number in the window of an address in a mapping of it. */
static unsigned long p2p_window_pgoff(const struct vm_area_struct *vma,
				      unsigned long addr)
{
	const unsigned long mask = VFIO_PCI_OFFSET_MASK >> PAGE_SHIFT;

	return (vma->vm_pgoff & mask) + ((addr - vma->vm_start) >> PAGE_SHIFT);
}

/**
 * p2p_memory_usable - would the device answer an access to its memory?
 * @core: the device.  With the gate open and held the answer stays true.
 */
bool p2p_memory_usable(struct vfio_pci_core_device *core)
{
	return !core->pm_runtime_engaged && core->pdev->current_state == PCI_D0 &&
	       __vfio_pci_memory_enabled(core);
}

static vm_fault_t p2p_insert_pte(struct vm_fault *vmf, struct folio *folio,
				 unsigned long pgoff)
{
	const unsigned int order = folio_order(folio);
	struct page *page = folio_page(folio, pgoff & ((1UL << order) - 1));
	unsigned int tries = P2P_PTE_TRIES;
	vm_fault_t ret;

	do {
		ret = vmf_insert_page_mkwrite(vmf, page, vmf->flags & FAULT_FLAG_WRITE);
	} while ((ret & VM_FAULT_OOM) && --tries);
	return ret;
}

/* Some more references may come at once, one for each CPU. */
static bool p2p_is_full(const struct folio *folio)
{
	return (unsigned int)folio_ref_count(folio) > P2P_MAX_REFS;
}

/**
 * p2p_folio_is_full - has it as many references as may be?
 * @vma: a mapping of a window.
 * @addr: an address in it.
 */
bool p2p_folio_is_full(const struct vm_area_struct *vma, unsigned long addr)
{
	const struct p2p_window *window = vma->vm_private_data;

	return p2p_is_full(p2p_window_folio(window, p2p_window_pgoff(vma, addr) >>
						    window->order));
}

static vm_fault_t p2p_insert(struct p2p_window *window, struct vm_fault *vmf,
			     unsigned long pgoff, unsigned int order, bool write)
{
	unsigned long nr = pgoff >> window->order;
	struct folio *folio = p2p_window_folio(window, nr);
	vm_fault_t ret;
	unsigned int noio;

	if (unlikely(p2p_is_full(folio)) || WARN_ON_ONCE(!folio_ref_count(folio)))
		return VM_FAULT_SIGBUS;

	/* Tested first: the bit is usually set, and its cache line shared. */
	if (!test_bit(nr, window->touched))
		set_bit(nr, window->touched);

	/*
	 * A page table may have to be allocated with the gate held, and a
	 * revocation waits for the gate.  Reclaim must not wait for a disk that
	 * the same bus reset has stopped.
	 */
	noio = memalloc_noio_save();
	if (P2P_HAVE_PMD && order)
		ret = vmf_insert_folio_pmd(vmf, folio, write);
	else
		ret = p2p_insert_pte(vmf, folio, pgoff);
	memalloc_noio_restore(noio);
	return ret;
}

static vm_fault_t p2p_fault_closed(struct p2p_window *window, struct vm_fault *vmf)
{
	struct p2p_gate *gate = window->dev->gate;
	struct p2p_fault_stats __percpu *stats = window->dev->faults;

	if (!(vmf->flags & FAULT_FLAG_USER)) {
		this_cpu_inc(stats->refused);
		return VM_FAULT_SIGBUS;
	}
	if (p2p_gate_look(gate).gone || !(vmf->flags & FAULT_FLAG_ALLOW_RETRY) ||
	    (vmf->flags & FAULT_FLAG_RETRY_NOWAIT))
		return VM_FAULT_SIGBUS;

	this_cpu_inc(stats->waited);
	return p2p_gate_wait(gate, vmf);
}

static void p2p_count_fault(struct p2p_device *dev, unsigned int order,
			    vm_fault_t ret)
{
	if (ret != VM_FAULT_NOPAGE)
		return;
	if (order)
		this_cpu_inc(dev->faults->pmd);
	else
		this_cpu_inc(dev->faults->pte);
}

static vm_fault_t p2p_fault_at(struct vm_fault *vmf, unsigned long addr,
			       unsigned int order, bool write)
{
	struct p2p_window *window = vmf->vma->vm_private_data;
	struct p2p_device *dev = window->dev;
	unsigned long pgoff = p2p_window_pgoff(vmf->vma, addr);
	vm_fault_t ret = VM_FAULT_SIGBUS;

	if (!p2p_gate_enter(dev->gate)) {
		trace_p2p_vfio_fault(window, pgoff, order, vmf->flags, false);
		return p2p_fault_closed(window, vmf);
	}
	if (p2p_memory_usable(&dev->core))
		ret = p2p_insert(window, vmf, pgoff, order, write);
	p2p_gate_leave(dev->gate);

	p2p_count_fault(dev, order, ret);
	trace_p2p_vfio_fault(window, pgoff, order, vmf->flags, true);
	return ret;
}

/* Could one PMD map the 2 MiB around the faulting address? */
static bool p2p_pmd_fits(const struct vm_fault *vmf)
{
	const struct vm_area_struct *vma = vmf->vma;
	const struct p2p_window *window = vma->vm_private_data;
	unsigned long addr = vmf->address & PMD_MASK;

	return P2P_HAVE_PMD && window->order == PMD_ORDER && addr >= vma->vm_start &&
	       addr + PMD_SIZE <= vma->vm_end &&
	       IS_ALIGNED(p2p_window_pgoff(vma, addr), 1UL << PMD_ORDER);
}

static vm_fault_t p2p_huge_fault(struct vm_fault *vmf, unsigned int order)
{
	if (order != PMD_ORDER || !p2p_pmd_fits(vmf))
		return VM_FAULT_FALLBACK;

	/* Present: a write to a write-protected entry (soft-dirty). */
	return p2p_fault_at(vmf, vmf->address & PMD_MASK, order,
			    pmd_present(vmf->orig_pmd));
}

/*
 * Where a PMD fits, a PMD it is.  The memory core comes here all the same: when
 * another thread zaps the entry between its two looks at it, and when THP is
 * switched off for the process.  A page table inserted then would race with
 * another thread's PMD for the same place.
 *
 * Where a table stands already it serves: an mremap() to an odd address that fails
 * for want of memory brings back by 4 KiB entries what it had moved.
 */
static vm_fault_t p2p_fault(struct vm_fault *vmf)
{
	if (p2p_pmd_fits(vmf)) {
		pmd_t pmd = pmdp_get_lockless(vmf->pmd);

		if (pmd_none(pmd))
			return p2p_fault_at(vmf, vmf->address & PMD_MASK,
					    PMD_ORDER, false);
		if (pmd_trans_huge(pmd))
			return VM_FAULT_NOPAGE;
	}
	return p2p_fault_at(vmf, vmf->address, 0, false);
}

/* A mapping is split or moved, or a process forks. */
static void p2p_vma_open(struct vm_area_struct *vma)
{
	WARN_ON_ONCE(!p2p_window_map(vma->vm_private_data));
}

static void p2p_vma_close(struct vm_area_struct *vma)
{
	p2p_window_unmap(vma->vm_private_data);
}

static vm_fault_t p2p_small_fault(struct vm_fault *vmf)
{
	return p2p_fault_at(vmf, vmf->address, 0, false);
}

/* No PMD fits anywhere, or has not always done so. */
static const struct vm_operations_struct p2p_small_vm_ops = {
	.open = p2p_vma_open,
	.close = p2p_vma_close,
	.fault = p2p_small_fault,
};

/* Do addresses and pages of the window have their 2 MiB boundaries together? */
static bool p2p_vma_is_congruent(const struct vm_area_struct *vma)
{
	return IS_ALIGNED((vma->vm_start >> PAGE_SHIFT) - vma->vm_pgoff, 1UL << PMD_ORDER);
}

/*
 * A mapping that is moved to an odd place gets page tables there, and would take
 * them along to a place where a PMD fits.  MADV_DONTNEED can free one under a fault
 * that has seen it, and another's PMD come in its place.  So what was odd once stays
 * with entries of 4 KiB.  mmap_lock is held for writing, and no fault is under way.
 */
static int p2p_vma_moved(struct vm_area_struct *vma)
{
	if (!p2p_vma_is_congruent(vma))
		vma->vm_ops = &p2p_small_vm_ops;
	return 0;
}

static const struct vm_operations_struct p2p_vm_ops = {
	.open = p2p_vma_open,
	.close = p2p_vma_close,
	.mremap = p2p_vma_moved,
	.fault = p2p_fault,
	.huge_fault = p2p_huge_fault,
};

/**
 * p2p_vma_is_of - is it a mapping of a window of this device?
 * @vma: the mapping, locked.
 * @dev: the device.
 */
bool p2p_vma_is_of(const struct vm_area_struct *vma, const struct p2p_device *dev)
{
	const struct p2p_window *window = vma->vm_private_data;

	return (vma->vm_ops == &p2p_vm_ops || vma->vm_ops == &p2p_small_vm_ops) &&
	       window->dev == dev;
}

static int p2p_mmap_window(struct p2p_window *window, struct vm_area_struct *vma,
			   u64 offset, bool wc)
{
	const struct p2p_range map = {
		.start = offset,
		.length = vma->vm_end - vma->vm_start,
	};
	pgprot_t prot = vma->vm_page_prot;
	u64 end;

	/* MAP_SHARED; VM_SHARED is for files that may be written. */
	if (!(vma->vm_flags & VM_MAYSHARE))
		return -EINVAL;
	if (!p2p_range_end(&map, &end) || end > window->range.length)
		return -EINVAL;
	if (wc && !window->prefetchable)
		return -EOPNOTSUPP;
	if (!p2p_window_map(window))
		return -EINVAL;

	/* The page inserters take the protection as it is: MMIO must not be cached. */
	prot = wc ? pgprot_writecombine(prot) : pgprot_noncached(prot);
	vma->vm_page_prot = pgprot_decrypted(prot);
	vm_flags_set(vma, P2P_VM_FLAGS);
	vma->vm_private_data = window;
	vma->vm_ops = p2p_vma_is_congruent(vma) ? &p2p_vm_ops : &p2p_small_vm_ops;
	return 0;
}

/**
 * p2p_mmap - mmap of the device's fd, or of an export: a window, or core's business
 * @vdev: the device.
 * @vma: the mapping; mmap_lock is held for writing.
 *
 * Return: 0, EINVAL (no such window, beyond its end, not MAP_SHARED),
 * EOPNOTSUPP, or what vfio-pci-core answers.
 */
int p2p_mmap(struct vfio_device *vdev, struct vm_area_struct *vma)
{
	struct p2p_device *dev = p2p_from_vfio(vdev);
	u64 offset;
	bool wc;
	u32 id;

	if (!p2p_cookie_decode((u64)vma->vm_pgoff << PAGE_SHIFT, &id, &wc, &offset))
		return vfio_pci_core_mmap(vdev, vma);

	struct p2p_window *window __free(p2p_window) = p2p_window_get(dev, id);

	return window ? p2p_mmap_window(window, vma, offset, wc) : -EINVAL;
}
