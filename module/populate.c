// SPDX-License-Identifier: GPL-2.0-only
/*
 * populate.c - map the pages of a range without touching them
 *
 * What MADV_POPULATE does for other memory; the kernel refuses it for peer-to-peer
 * pages.  A fault is asked for, for each 2 MiB or page that is not mapped, with
 * the same rules as any fault of the kernel's own: it does not wait for the gate.
 */
#include <linux/cleanup.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/sched/signal.h>

#include "p2p.h"

/*
 * Why a fault failed, as far as it can be told afterwards: a gate that has opened
 * since is a reason to try again as well.
 */
static int p2p_populate_errno(struct p2p_device *dev,
			      const struct vm_area_struct *vma, unsigned long at,
			      vm_fault_t fault)
{
	struct p2p_gate_view view = p2p_gate_look(dev->gate);

	if ((fault & VM_FAULT_OOM) || p2p_folio_is_full(vma, at))
		return -ENOMEM;
	if (fault & VM_FAULT_SIGSEGV)
		return -EACCES;
	if (view.gone || (!view.closed && !p2p_memory_usable(&dev->core)))
		return -EIO;
	return -EAGAIN;
}

/*
 * Is there one entry for the 2 MiB around the address, which allows what the mapping
 * does?  Under mmap_lock, which keeps the page tables of a mapping.
 */
static bool p2p_has_pmd(const struct vm_area_struct *vma, unsigned long at)
{
	pgd_t *pgd = pgd_offset(vma->vm_mm, at);
	p4d_t *p4d;
	pud_t *pud;
	pmd_t pmd;

	if (pgd_none(*pgd))
		return false;
	p4d = p4d_offset(pgd, at);
	if (p4d_none(*p4d))
		return false;
	pud = pud_offset(p4d, at);
	if (pud_none(*pud))
		return false;
	pmd = pmdp_get_lockless(pmd_offset(pud, at));
	return pmd_trans_huge(pmd) && (pmd_write(pmd) || !(vma->vm_flags & VM_WRITE));
}

/*
 * Under mmap_lock.  Advances *at as far as it gets before somebody waits for the
 * lock; VM_FAULT_RETRY cannot come, since it is not allowed.
 */
static int p2p_populate_locked(struct p2p_device *dev, u64 *at, u64 end)
{
	struct vm_area_struct *vma = find_vma(current->mm, *at);
	unsigned int flags;

	if (!vma || vma->vm_start > *at || !p2p_vma_is_of(vma, dev))
		return -ENOMEM;
	if (!vma_is_accessible(vma))
		return -EACCES;
	end = min_t(u64, end, vma->vm_end);
	/* To the memory core a write fault of what cannot be written is a bug. */
	flags = vma->vm_flags & VM_WRITE ? FAULT_FLAG_WRITE : 0;

	while (*at < end) {
		vm_fault_t fault = 0;

		if (!p2p_has_pmd(vma, *at))
			fault = handle_mm_fault(vma, *at, flags, NULL);
		if (fault & VM_FAULT_ERROR)
			return p2p_populate_errno(dev, vma, *at, fault);
		/* One fault maps 2 MiB where the mapping and its page tables allow it. */
		*at = p2p_has_pmd(vma, *at) ? ALIGN(*at + 1, PMD_SIZE) : *at + PAGE_SIZE;
		if (signal_pending(current))
			return -EINTR;
		if (need_resched() || mmap_lock_is_contended(current->mm))
			break;
	}
	return 0;
}

/**
 * p2p_populate - struct p2p_vfio_populate
 * @dev: the device.
 * @address: of the calling process.
 * @length: bytes.
 *
 * Takes mmap_lock for reading.
 *
 * Return: 0, or an errno of POPULATE in <p2p_vfio.h>.
 */
int p2p_populate(struct p2p_device *dev, u64 address, u64 *length)
{
	u64 at = address, end;
	int ret = 0;

	if (!*length || !PAGE_ALIGNED(address | *length) ||
	    check_add_overflow(address, *length, &end))
		return -EINVAL;

	while (!ret && at < end) {
		if (mmap_read_lock_killable(current->mm))
			return -EINTR;
		ret = p2p_populate_locked(dev, &at, end);
		mmap_read_unlock(current->mm);
		cond_resched();
	}
	return ret;
}
