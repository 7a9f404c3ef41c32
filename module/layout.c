// SPDX-License-Identifier: GPL-2.0-only
/*
 * layout.c - may a dev_pagemap of ours stand in for the kernel's own?
 *
 * When the block layer maps a peer-to-peer page, the kernel goes from the page to
 * its dev_pagemap, and from there to the p2pdma_provider, which it reads from the
 * word right behind the dev_pagemap: both are members of a structure that is
 * private to drivers/pci/p2pdma.c and has nothing else in it (6.19 and later).
 *
 * We rely on that only where it has been proven for the running kernel:
 *
 *  - by its own type information (BTF), which describes that private structure;
 *  - without BTF, by looking: a range is added in the kernel's own way, the word
 *    behind its dev_pagemap is compared with what pcim_p2pdma_provider() says,
 *    and the range is given back at once.
 *
 * Not proven is no error: the standard provider serves then.
 */
#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/memremap.h>
#include <linux/pci-p2pdma.h>
#include <linux/stringify.h>

#include "p2p.h"

#ifdef P2P_HAVE_BTF_LOOKUP

/* What is looked for; a test looks for something else. */
#ifndef P2P_LAYOUT_STRUCT
#define P2P_LAYOUT_STRUCT pci_p2pdma_pagemap
#endif

/*
 * The lookup takes a reference on vmlinux's type information, and no module can
 * give it back: btf_put() is not exported.  That object is there for ever.
 */
static s32 p2p_btf_struct(const char *name, struct btf **btf)
{
	return bpf_find_btf_id(name, BTF_KIND_STRUCT, btf);
}

static bool p2p_btf_points_to(struct btf *btf, u32 id, s32 wanted)
{
	const struct btf_type *type = btf_type_by_id(btf, id);

	return type && btf_type_is_ptr(type) && type->type == wanted;
}

/* struct { struct dev_pagemap; struct p2pdma_provider *; }, as this module has it? */
static bool p2p_btf_agrees(struct btf *btf, s32 id, s32 pagemap, s32 provider)
{
	const struct btf_type *type = btf_type_by_id(btf, id);
	const struct btf_member *member;

	if (!type || btf_type_vlen(type) != 2 ||
	    type->size != sizeof(struct p2p_pagemap_head))
		return false;
	member = btf_type_member(type);
	return !__btf_member_bit_offset(type, &member[0]) &&
	       member[0].type == pagemap &&
	       __btf_member_bit_offset(type, &member[1]) ==
			BITS_PER_BYTE * offsetof(struct p2p_pagemap_head, provider) &&
	       p2p_btf_points_to(btf, member[1].type, provider);
}

static enum p2p_vfio_provider_reason p2p_layout_by_btf(void)
{
	struct btf *btf = NULL;
	s32 outer, pagemap, provider;

	pagemap = p2p_btf_struct("dev_pagemap", &btf);
	provider = p2p_btf_struct("p2pdma_provider", &btf);
	outer = p2p_btf_struct(__stringify(P2P_LAYOUT_STRUCT), &btf);
	if (outer <= 0 || pagemap <= 0 || provider <= 0)
		return P2P_VFIO_PROVIDER_UNPROVEN;
	return p2p_btf_agrees(btf, outer, pagemap, provider) ?
	       P2P_VFIO_PROVIDER_PROVEN : P2P_VFIO_PROVIDER_DIFFERS;
}

#else

static enum p2p_vfio_provider_reason p2p_layout_by_btf(void)
{
	return P2P_VFIO_PROVIDER_UNPROVEN;
}

#endif

/* The kernel keeps the pool it adds to, with a piece that nobody can allocate any more. */
static enum p2p_vfio_provider_reason p2p_layout_by_look(const struct p2p_window *window)
{
	struct pci_dev *pdev = window->dev->core.pdev;
	const struct p2p_pagemap_head *head;
	enum p2p_vfio_provider_reason reason = P2P_VFIO_PROVIDER_UNPROVEN;
	phys_addr_t start = p2p_window_phys(window);
	void *group;

	/*
	 * What is left in the kernel's pool must never be the first piece that fits
	 * a range: the next range to be added comes before it, a parked one after.
	 */
	if (!list_empty(&window->dev->parked))
		return reason;
	group = devres_open_group(&pdev->dev, NULL, GFP_KERNEL);
	if (!group)
		return reason;
	if (!p2p_pool_add(pdev, window->bar, P2P_VFIO_GRANULE, window->range.start)) {
		head = container_of(page_pgmap(phys_to_page(start)),
				    struct p2p_pagemap_head, pgmap);
		/* Should nothing be there, it is not for KASAN to say so. */
		reason = READ_ONCE_NOCHECK(*(unsigned long *)&head->provider) ==
			 (unsigned long)pcim_p2pdma_provider(pdev, window->bar) ?
			 P2P_VFIO_PROVIDER_PROVEN : P2P_VFIO_PROVIDER_DIFFERS;
	}
	devres_release_group(&pdev->dev, group);
	return reason;
}

/**
 * p2p_layout_prove - is struct p2p_pagemap_head what the kernel expects to find?
 * @window: a window about to get its struct pages; nothing has any in its range.
 *
 * The answer is the kernel's for good, so a definite one is remembered.  Two
 * windows that ask at the same time find the same.
 *
 * Return: P2P_VFIO_PROVIDER_PROVEN, _DIFFERS, or _UNPROVEN.
 */
enum p2p_vfio_provider_reason p2p_layout_prove(const struct p2p_window *window)
{
	static int known = P2P_VFIO_PROVIDER_UNPROVEN;
	int reason = READ_ONCE(known);

	if (reason == P2P_VFIO_PROVIDER_UNPROVEN)
		reason = p2p_layout_by_btf();
	if (reason == P2P_VFIO_PROVIDER_UNPROVEN)
		reason = p2p_layout_by_look(window);
	WRITE_ONCE(known, reason);
	return reason;
}
