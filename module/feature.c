// SPDX-License-Identifier: GPL-2.0-only
/*
 * feature.c - the uAPI of <p2p_vfio.h>, through VFIO_DEVICE_FEATURE
 */
#include <linux/nospec.h>
#include <linux/uaccess.h>

#include "p2p.h"

#define P2P_GET VFIO_DEVICE_FEATURE_GET
#define P2P_SET VFIO_DEVICE_FEATURE_SET

static void p2p_fill_window(const struct p2p_window *window, u32 flags,
			    struct p2p_vfio_window *out)
{
	*out = (struct p2p_vfio_window) {
		.bar = window->bar,
		.flags = flags,
		.offset = window->range.start,
		.length = window->range.length,
		.mmap_offset = p2p_cookie(window->id, flags & P2P_VFIO_WINDOW_WC),
		.id = window->id,
		.provider = window->provider->id,
	};
}

static int p2p_get_window(struct p2p_device *dev, struct p2p_vfio_window *arg)
{
	struct p2p_window *window __free(p2p_window) = p2p_window_get(dev, arg->id);

	if (!window)
		return -ENOENT;
	if ((arg->flags & P2P_VFIO_WINDOW_WC) && !window->prefetchable)
		return -EOPNOTSUPP;
	p2p_fill_window(window, arg->flags, arg);
	return 0;
}

static int p2p_set_window(struct p2p_device *dev, void __user *user,
			  struct p2p_vfio_window *arg)
{
	const struct p2p_range range = { .start = arg->offset, .length = arg->length };
	int ret;

	if (arg->bar >= PCI_STD_NUM_BARS)
		return -EINVAL;
	arg->bar = array_index_nospec(arg->bar, PCI_STD_NUM_BARS);
	/* The answer must fit before anything is registered. */
	if (copy_to_user(user, arg, sizeof(*arg)))
		return -EFAULT;

	struct p2p_window *window __free(p2p_window) = NULL;

	ret = p2p_window_register(dev, arg->bar, &range,
				  arg->flags & P2P_VFIO_WINDOW_WC, &window);
	if (ret)
		return ret;
	p2p_fill_window(window, arg->flags, arg);
	return 0;
}

static int p2p_unregister_window(struct p2p_device *dev,
				 const struct p2p_vfio_window *arg)
{
	if (arg->flags != P2P_VFIO_WINDOW_UNREGISTER || arg->bar || arg->offset ||
	    arg->length || arg->mmap_offset || arg->provider)
		return -EINVAL;
	if (!capable(CAP_SYS_ADMIN) && !p2p_unprivileged_windows())
		return -EPERM;
	return p2p_window_unregister(dev, arg->id);
}

static int p2p_feature_window(struct p2p_device *dev, u32 flags,
			      void __user *user, size_t argsz)
{
	struct p2p_vfio_window arg;
	int ret = vfio_check_feature(flags, argsz, P2P_GET | P2P_SET, sizeof(arg));

	if (ret != 1)
		return ret;
	if (copy_from_user(&arg, user, sizeof(arg)))
		return -EFAULT;
	if ((flags & P2P_SET) && (arg.flags & P2P_VFIO_WINDOW_UNREGISTER))
		return p2p_unregister_window(dev, &arg);
	if (arg.flags & ~P2P_VFIO_WINDOW_WC)
		return -EINVAL;

	if (flags & P2P_SET)
		ret = p2p_set_window(dev, user, &arg);
	else
		ret = p2p_get_window(dev, &arg);
	if (ret)
		return ret;
	return copy_to_user(user, &arg, sizeof(arg)) ? -EFAULT : 0;
}

static int p2p_feature_state(struct p2p_device *dev, u32 flags,
			     void __user *user, size_t argsz)
{
	struct p2p_vfio_state state;
	int ret = vfio_check_feature(flags, argsz, P2P_GET, sizeof(state));

	if (ret != 1)
		return ret;
	p2p_stats_read(dev, &state);
	return copy_to_user(user, &state, sizeof(state)) ? -EFAULT : 0;
}

static int p2p_feature_events(struct p2p_device *dev, u32 flags,
			      void __user *user, size_t argsz)
{
	struct p2p_vfio_events arg;
	int ret = vfio_check_feature(flags, argsz, P2P_SET, sizeof(arg));

	if (ret != 1)
		return ret;
	if (copy_from_user(&arg, user, sizeof(arg)))
		return -EFAULT;
	return p2p_notify_change(dev, &arg);
}

static int p2p_feature_peer(struct p2p_device *dev, u32 flags,
			    void __user *user, size_t argsz)
{
	struct p2p_vfio_peer arg;
	int ret = vfio_check_feature(flags, argsz, P2P_GET, sizeof(arg));

	if (ret != 1)
		return ret;
	if (copy_from_user(&arg, user, sizeof(arg)))
		return -EFAULT;
	if (arg.reserved)
		return -EINVAL;

	ret = p2p_peer(dev, &arg);
	if (ret)
		return ret;
	return copy_to_user(user, &arg, sizeof(arg)) ? -EFAULT : 0;
}

static int p2p_feature_populate(struct p2p_device *dev, u32 flags,
				void __user *user, size_t argsz)
{
	struct p2p_vfio_populate arg;
	int ret = vfio_check_feature(flags, argsz, P2P_SET, sizeof(arg));

	if (ret != 1)
		return ret;
	if (copy_from_user(&arg, user, sizeof(arg)))
		return -EFAULT;

	ret = p2p_populate(dev, arg.address, &arg.length);
	if (ret)
		return ret;
	return copy_to_user(user, &arg, sizeof(arg)) ? -EFAULT : 0;
}

static int p2p_feature_export(struct p2p_device *dev, u32 flags,
			      void __user *user, size_t argsz)
{
	struct p2p_vfio_export arg;
	int ret = vfio_check_feature(flags, argsz, P2P_SET, sizeof(arg));

	if (ret != 1)
		return ret;
	if (copy_from_user(&arg, user, sizeof(arg)))
		return -EFAULT;
	return p2p_export(dev, user, &arg);
}

/**
 * p2p_feature - VFIO_DEVICE_FEATURE
 * @vdev: the device.
 * @flags: feature number and operation.
 * @arg: its data, behind struct vfio_device_feature.
 * @argsz: bytes of it.
 *
 * Return: as <p2p_vfio.h> says; for upstream's features what core answers.
 */
int p2p_feature(struct vfio_device *vdev, u32 flags, void __user *arg,
		size_t argsz)
{
	struct p2p_device *dev = p2p_from_vfio(vdev);

	switch (flags & VFIO_DEVICE_FEATURE_MASK) {
	case P2P_VFIO_FEATURE_WINDOW:
		return p2p_feature_window(dev, flags, arg, argsz);
	case P2P_VFIO_FEATURE_STATE:
		return p2p_feature_state(dev, flags, arg, argsz);
	case P2P_VFIO_FEATURE_EVENTS:
		return p2p_feature_events(dev, flags, arg, argsz);
	case P2P_VFIO_FEATURE_PEER:
		return p2p_feature_peer(dev, flags, arg, argsz);
	case P2P_VFIO_FEATURE_POPULATE:
		return p2p_feature_populate(dev, flags, arg, argsz);
	case P2P_VFIO_FEATURE_EXPORT:
		return p2p_feature_export(dev, flags, arg, argsz);
	case VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY:
	case VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP:
	case VFIO_DEVICE_FEATURE_LOW_POWER_EXIT:
		return p2p_low_power(vdev, flags, arg, argsz);
	default:
		return vfio_pci_core_ioctl_feature(vdev, flags, arg, argsz);
	}
}
