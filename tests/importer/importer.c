// SPDX-License-Identifier: GPL-2.0-only
/*
 * importer.c - an importer of dma-bufs that a test commands (importer.h)
 *
 * Never loaded but by the tests.  It starts no DMA: what it shows is when the
 * exporter tells an importer what.
 */
#include <linux/dma-buf.h>
#include <linux/dma-resv.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "importer.h"

/**
 * struct importer - one open file
 * @lock: serialises the calls of user space.
 * @attach: the attachment, once there is one.
 * @pdev: whose.
 * @sgt: the mapping, or NULL; guarded by the dma-buf's reservation lock.
 * @lazy: does not unmap by itself.
 * @phys: memory to look at.
 * @length: of it.
 * @mark: a register of the exporter's, or NULL.
 * @seen: guarded by the reservation lock, too.
 */
struct importer {
	struct mutex lock;
	struct dma_buf_attachment *attach;
	struct pci_dev *pdev;
	struct sg_table *sgt;
	bool lazy;
	u64 phys;
	u64 length;
	void __iomem *mark;
	struct imp_seen seen;
};

/* The pages exist as long as the test leaves the windows in peace. */
static void imp_look(const struct importer *imp, struct imp_notice *notice)
{
	u64 at = imp->phys, step;

	*notice = (struct imp_notice) {
		.mapped = !!imp->sgt,
		.mark = imp->mark ? readl(imp->mark) : 0,
	};
	for (; at < imp->phys + imp->length; at += step) {
		unsigned long pfn = PHYS_PFN(at);
		struct folio *folio;

		step = PAGE_SIZE;
		if (!pfn_valid(pfn))
			continue;
		folio = page_folio(pfn_to_page(pfn));
		step = folio_size(folio);
		notice->folios++;
		notice->held += folio_ref_count(folio) != 1;
		notice->pinned += folio_maybe_dma_pinned(folio);
	}
}

static void imp_unmap(struct importer *imp)
{
	dma_resv_assert_held(imp->attach->dmabuf->resv);

	if (!imp->sgt)
		return;
	/*
	 * dma_buf_phys_vec_to_sgt() leaves 0 here (7.3), and by this sg_free_table()
	 * frees: nothing.  The leak is the kernel's; others are to be seen.
	 */
	if (!imp->sgt->orig_nents)
		imp->sgt->orig_nents = imp->sgt->nents;
	dma_buf_unmap_attachment(imp->attach, imp->sgt, DMA_BIDIRECTIONAL);
	imp->sgt = NULL;
}

/* The reservation lock is held. */
static int imp_map(struct importer *imp, struct imp_map *map)
{
	struct scatterlist *sg;
	struct sg_table *sgt;
	unsigned int i;

	if (imp->sgt)
		return -EBUSY;
	sgt = dma_buf_map_attachment(imp->attach, DMA_BIDIRECTIONAL);
	if (IS_ERR(sgt))
		return PTR_ERR(sgt);
	imp->sgt = sgt;
	map->address = sg_dma_address(sgt->sgl);
	for_each_sgtable_dma_sg(sgt, sg, i)
		map->length += sg_dma_len(sg);
	return 0;
}

/* As an importer that cannot wait for its next use. */
static int imp_map_again(struct importer *imp)
{
	struct imp_map map = {};
	int ret;

	imp_unmap(imp);
	ret = imp_map(imp, &map);
	imp_unmap(imp);
	return ret;
}

static void imp_told(struct dma_buf_attachment *attach)
{
	struct importer *imp = attach->importer_priv;
	struct imp_notice beyond;
	struct imp_notice *notice = imp->seen.notices < IMP_NOTICES ?
					    &imp->seen.at[imp->seen.notices] : &beyond;

	imp_look(imp, notice);
	imp->seen.notices++;
	if (!imp->lazy)
		notice->again = imp_map_again(imp);
}

static const struct dma_buf_attach_ops imp_attach_ops = {
	.allow_peer2peer = true,
	.invalidate_mappings = imp_told,
};

static int imp_attach(struct importer *imp, const struct imp_attach *arg)
{
	struct dma_buf_attachment *attach;
	struct dma_buf *dmabuf;
	int ret;

	if (imp->pdev)
		return -EBUSY;
	imp->pdev = pci_get_domain_bus_and_slot(arg->domain, arg->bus, arg->devfn);
	if (!imp->pdev)
		return -ENODEV;
	dmabuf = dma_buf_get(arg->dmabuf);
	if (IS_ERR(dmabuf)) {
		ret = PTR_ERR(dmabuf);
		goto err_pdev;
	}
	imp->lazy = arg->lazy;
	imp->phys = arg->phys;
	imp->length = arg->length;
	if (arg->mark)
		imp->mark = ioremap(arg->mark, sizeof(u32));
	attach = dma_buf_dynamic_attach(dmabuf, &imp->pdev->dev, &imp_attach_ops, imp);
	if (IS_ERR(attach)) {
		ret = PTR_ERR(attach);
		goto err_dmabuf;
	}
	imp->attach = attach;
	return 0;

err_dmabuf:
	if (imp->mark)
		iounmap(imp->mark);
	imp->mark = NULL;
	dma_buf_put(dmabuf);
err_pdev:
	pci_dev_put(imp->pdev);
	imp->pdev = NULL;
	return ret;
}

static long imp_attached_ioctl(struct importer *imp, unsigned int cmd, void __user *user)
{
	struct dma_resv *resv = imp->attach->dmabuf->resv;
	struct imp_map map = {};
	struct imp_seen seen;
	long ret = 0;

	dma_resv_lock(resv, NULL);
	if (cmd == IMP_MAP)
		ret = imp_map(imp, &map);
	else if (cmd == IMP_UNMAP)
		imp_unmap(imp);
	imp_look(imp, &imp->seen.now);
	seen = imp->seen;
	dma_resv_unlock(resv);

	if (!ret && cmd == IMP_MAP && copy_to_user(user, &map, sizeof(map)))
		ret = -EFAULT;
	if (cmd == IMP_SEEN && copy_to_user(user, &seen, sizeof(seen)))
		ret = -EFAULT;
	return ret;
}

static long imp_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct importer *imp = file->private_data;
	void __user *user = (void __user *)arg;
	struct imp_attach attach;

	guard(mutex)(&imp->lock);

	switch (cmd) {
	case IMP_ATTACH:
		if (copy_from_user(&attach, user, sizeof(attach)))
			return -EFAULT;
		return imp_attach(imp, &attach);
	case IMP_MAP:
	case IMP_UNMAP:
	case IMP_SEEN:
		return imp->attach ? imp_attached_ioctl(imp, cmd, user) : -ENOTCONN;
	default:
		return -ENOTTY;
	}
}

static int imp_open(struct inode *inode, struct file *file)
{
	struct importer *imp = kzalloc(sizeof(*imp), GFP_KERNEL);

	if (!imp)
		return -ENOMEM;
	mutex_init(&imp->lock);
	file->private_data = imp;
	return 0;
}

static int imp_release(struct inode *inode, struct file *file)
{
	struct importer *imp = file->private_data;

	if (imp->attach) {
		struct dma_buf *dmabuf = imp->attach->dmabuf;

		dma_resv_lock(dmabuf->resv, NULL);
		imp_unmap(imp);
		dma_resv_unlock(dmabuf->resv);
		dma_buf_detach(dmabuf, imp->attach);
		dma_buf_put(dmabuf);
		pci_dev_put(imp->pdev);
		if (imp->mark)
			iounmap(imp->mark);
	}
	kfree(imp);
	return 0;
}

static const struct file_operations imp_fops = {
	.owner = THIS_MODULE,
	.open = imp_open,
	.release = imp_release,
	.unlocked_ioctl = imp_ioctl,
};

static struct miscdevice imp_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "dma-buf-importer",
	.fops = &imp_fops,
};
module_misc_device(imp_misc);

MODULE_IMPORT_NS("DMA_BUF");
MODULE_DESCRIPTION("An importer of dma-bufs, for the tests of p2p-vfio-pci");
MODULE_LICENSE("GPL");
