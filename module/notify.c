// SPDX-License-Identifier: GPL-2.0-only
/*
 * notify.c - eventfds that hear of a gate closing and opening
 */
#include <linux/cleanup.h>
#include <linux/eventfd.h>

#include "p2p.h"

static struct eventfd_ctx **p2p_notify_find(struct p2p_device *dev,
					    const struct eventfd_ctx *ctx)
{
	unsigned int i;

	lockdep_assert_held(&dev->notify_lock);
	for (i = 0; i < P2P_VFIO_MAX_EVENTS; i++)
		if (dev->notify[i] == ctx)
			return &dev->notify[i];
	return NULL;
}

/* On success the table has taken over the caller's reference. */
static int p2p_notify_add(struct p2p_device *dev, struct eventfd_ctx *ctx)
{
	struct eventfd_ctx **slot;

	guard(spinlock)(&dev->notify_lock);
	if (p2p_notify_find(dev, ctx))
		return -EEXIST;
	slot = p2p_notify_find(dev, NULL);
	if (!slot)
		return -ENOSPC;
	*slot = ctx;
	return 0;
}

/* On success the table's reference is dropped. */
static int p2p_notify_remove(struct p2p_device *dev, struct eventfd_ctx *ctx)
{
	scoped_guard(spinlock, &dev->notify_lock) {
		struct eventfd_ctx **slot = p2p_notify_find(dev, ctx);

		if (!slot)
			return -ENOENT;
		*slot = NULL;
	}
	eventfd_ctx_put(ctx);
	return 0;
}

/**
 * p2p_notify_change - P2P_VFIO_FEATURE_EVENTS
 * @dev: the device.
 * @ev: from user space.
 *
 * Return: 0 or an errno of EVENTS in <p2p_vfio.h>.
 */
int p2p_notify_change(struct p2p_device *dev, const struct p2p_vfio_events *ev)
{
	struct eventfd_ctx *ctx;
	int ret;

	if (ev->flags != P2P_VFIO_EVENTS_ADD && ev->flags != P2P_VFIO_EVENTS_REMOVE)
		return -EINVAL;

	ctx = eventfd_ctx_fdget(ev->fd);
	if (IS_ERR(ctx))
		return PTR_ERR(ctx);

	if (ev->flags == P2P_VFIO_EVENTS_ADD) {
		ret = p2p_notify_add(dev, ctx);
		if (!ret)
			return 0;
	} else {
		ret = p2p_notify_remove(dev, ctx);
	}
	eventfd_ctx_put(ctx);
	return ret;
}

/**
 * p2p_notify_signal - the gate has changed
 * @dev: the device.
 */
void p2p_notify_signal(struct p2p_device *dev)
{
	unsigned int i;

	guard(spinlock)(&dev->notify_lock);
	for (i = 0; i < P2P_VFIO_MAX_EVENTS; i++)
		if (dev->notify[i])
			eventfd_signal(dev->notify[i]);
}

/**
 * p2p_notify_clear - the device is closed
 * @dev: the device.
 */
void p2p_notify_clear(struct p2p_device *dev)
{
	unsigned int i;

	for (i = 0; i < P2P_VFIO_MAX_EVENTS; i++) {
		struct eventfd_ctx *ctx;

		scoped_guard(spinlock, &dev->notify_lock) {
			ctx = dev->notify[i];
			dev->notify[i] = NULL;
		}
		if (ctx)
			eventfd_ctx_put(ctx);
	}
}
