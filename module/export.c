// SPDX-License-Identifier: GPL-2.0-only
/*
 * export.c - a file that is a range of a window and nothing else
 *
 * For a process that is to use memory of the device and not to own it: it can map
 * the range and ask for STATE and POPULATE, and neither reset the device nor reach
 * its registers, its config space or its other windows.
 *
 * Such a file holds the device's own file, so the device stays open as long as it
 * lives, as with a mapping.  The close that revokes therefore comes after its end,
 * and no session of the device but this one is ever seen through it.  That file is
 * taken from a mapping the owner already has: VFIO has let him map by it, which
 * cannot be said of any fd he could name.  And it can be written if that mapping may
 * be: a device that was opened for reading lends no more than that.
 *
 * Its mappings are in the address space that all mappings of the device are in, at
 * the same positions, and so are zapped with them.
 */
#include <linux/anon_inodes.h>
#include <linux/cleanup.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kobject.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "p2p.h"

/**
 * struct p2p_export - an exported range
 * @device: the device's file.
 * @window: counted among its mappings, so that it is not unregistered.
 * @position: where the range begins in the device's address space: a cookie and
 *	an offset.
 * @length: bytes.
 */
struct p2p_export {
	struct file *device;
	struct p2p_window *window;
	u64 position;
	u64 length;
};

static int p2p_export_mmap(struct file *file, struct vm_area_struct *vma)
{
	const struct p2p_export *export = file->private_data;
	const struct p2p_range map = {
		.start = (u64)vma->vm_pgoff << PAGE_SHIFT,
		.length = vma->vm_end - vma->vm_start,
	};
	u64 end;

	if (!p2p_range_end(&map, &end) || end > export->length)
		return -EINVAL;
	/* Where the zap looks for it, and p2p_mmap() too. */
	vma->vm_pgoff += export->position >> PAGE_SHIFT;
	return p2p_mmap(&export->window->dev->core.vdev, vma);
}

/* Where 2 MiB entries fit, if the range has any. */
static unsigned long p2p_export_area(struct file *file, unsigned long addr,
				     unsigned long length, unsigned long pgoff,
				     unsigned long flags)
{
	const struct p2p_export *export = file->private_data;

	return p2p_get_unmapped_area(file, addr, length,
				     pgoff + (export->position >> PAGE_SHIFT), flags);
}

/* Those features that tell or do no more than the mapping does. */
static long p2p_export_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	const struct p2p_export *export = file->private_data;
	struct vfio_device_feature __user *user = (void __user *)arg;
	struct vfio_device_feature feature;

	if (cmd != VFIO_DEVICE_FEATURE)
		return -ENOTTY;
	if (copy_from_user(&feature, user, sizeof(feature)))
		return -EFAULT;
	if (feature.argsz < sizeof(feature) ||
	    feature.flags & ~(VFIO_DEVICE_FEATURE_MASK | VFIO_DEVICE_FEATURE_GET |
			      VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_PROBE))
		return -EINVAL;

	switch (feature.flags & VFIO_DEVICE_FEATURE_MASK) {
	case P2P_VFIO_FEATURE_STATE:
	case P2P_VFIO_FEATURE_POPULATE:
		return p2p_feature(&export->window->dev->core.vdev, feature.flags,
				   user->data, feature.argsz - sizeof(feature));
	default:
		return -ENOTTY;
	}
}

static void p2p_export_free(struct p2p_export *export)
{
	p2p_window_unmap(export->window);
	/* From here on the window may go, and the device be closed. */
	fput(export->device);
	kfree(export);
}

static int p2p_export_release(struct inode *inode, struct file *file)
{
	p2p_export_free(file->private_data);
	return 0;
}

/* The line that VFIO's own file has, for who looks for the users of a device. */
static void p2p_export_show_fdinfo(struct seq_file *m, struct file *file)
{
	const struct p2p_export *export = file->private_data;
	const struct p2p_window *window = export->window;
	char *path = kobject_get_path(&window->dev->core.pdev->dev.kobj, GFP_KERNEL);

	if (path)
		seq_printf(m, "vfio-device-syspath: /sys%s\n", path);
	kfree(path);
	seq_printf(m, "p2p-window: %u\n", window->id);
	seq_printf(m, "p2p-offset: %#llx\n", export->position & VFIO_PCI_OFFSET_MASK);
	seq_printf(m, "p2p-length: %#llx\n", export->length);
}

static const struct file_operations p2p_export_fops = {
	.owner = THIS_MODULE,
	.mmap = p2p_export_mmap,
	.get_unmapped_area = p2p_export_area,
	.unlocked_ioctl = p2p_export_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.release = p2p_export_release,
	.show_fdinfo = p2p_export_show_fdinfo,
};

/* An export of an export's mapping holds the device itself: no chains. */
static struct file *p2p_export_device(struct file *file)
{
	if (file->f_op == &p2p_export_fops) {
		const struct p2p_export *export = file->private_data;

		file = export->device;
	}
	return get_file(file);
}

/* May a file with these flags be made of that mapping? */
static bool p2p_export_allowed(const struct vm_area_struct *vma, u32 flags)
{
	/* Not VM_WRITE: it says what mprotect(2) has made of it, not what it can. */
	return flags & P2P_VFIO_EXPORT_READ_ONLY || vma->vm_flags & VM_MAYWRITE;
}

/* What is mapped in the range, which must be one mapping; under mmap_lock. */
static int p2p_export_take(struct p2p_device *dev, const struct p2p_vfio_export *arg,
			   struct p2p_export *export)
{
	struct vm_area_struct *vma = vma_lookup(current->mm, arg->address);

	if (!vma || !p2p_vma_is_of(vma, dev) || arg->length > vma->vm_end - arg->address)
		return -ENOMEM;
	if (!p2p_export_allowed(vma, arg->flags))
		return -EACCES;
	export->window = vma->vm_private_data;
	if (!p2p_window_map(export->window))
		return -ENOMEM;
	export->device = p2p_export_device(vma->vm_file);
	export->position = ((u64)vma->vm_pgoff << PAGE_SHIFT) +
			   (arg->address - vma->vm_start);
	export->length = arg->length;
	return 0;
}

static struct p2p_export *p2p_export_create(struct p2p_device *dev,
					    const struct p2p_vfio_export *arg)
{
	struct p2p_export *export = kzalloc(sizeof(*export), GFP_KERNEL_ACCOUNT);
	int ret;

	if (!export)
		return ERR_PTR(-ENOMEM);
	ret = mmap_read_lock_killable(current->mm);
	if (!ret) {
		ret = p2p_export_take(dev, arg, export);
		mmap_read_unlock(current->mm);
	}
	if (ret) {
		kfree(export);
		return ERR_PTR(ret);
	}
	return export;
}

static struct file *p2p_export_file(struct p2p_device *dev,
				    const struct p2p_vfio_export *arg)
{
	const int mode = arg->flags & P2P_VFIO_EXPORT_READ_ONLY ? O_RDONLY : O_RDWR;
	struct p2p_export *export = p2p_export_create(dev, arg);
	struct file *file;
	char name[48];

	if (IS_ERR(export))
		return ERR_CAST(export);
	/*
	 * All that /proc tells of a mapping whose fd is closed.  Not much longer: with
	 * "anon_inode:" before it the kernel has room for 64 bytes.
	 */
	snprintf(name, sizeof(name), "[vfio-p2p-window:%s]", pci_name(dev->core.pdev));
	file = anon_inode_getfile(name, &p2p_export_fops, export, mode);
	if (IS_ERR(file))
		p2p_export_free(export);
	else
		file->f_mapping = dev->core.vdev.inode->i_mapping;
	return file;
}

/**
 * p2p_export - struct p2p_vfio_export
 * @dev: the device, open.
 * @user: where the answer goes.
 * @arg: what user space asks for.
 *
 * Takes mmap_lock for reading.
 *
 * Return: 0, or an errno of EXPORT in <p2p_vfio.h>.
 */
int p2p_export(struct p2p_device *dev, void __user *user, struct p2p_vfio_export *arg)
{
	struct file *file;
	u64 end;

	if (arg->flags & ~P2P_VFIO_EXPORT_READ_ONLY || !arg->length ||
	    !PAGE_ALIGNED(arg->address | arg->length) ||
	    check_add_overflow(arg->address, arg->length, &end))
		return -EINVAL;

	CLASS(get_unused_fd, fd)(O_CLOEXEC);
	if (fd < 0)
		return fd;
	file = p2p_export_file(dev, arg);
	if (IS_ERR(file))
		return PTR_ERR(file);
	arg->fd = fd;
	if (copy_to_user(user, arg, sizeof(*arg))) {
		fput(file);
		return -EFAULT;
	}
	fd_install(take_fd(fd), file);
	return 0;
}
