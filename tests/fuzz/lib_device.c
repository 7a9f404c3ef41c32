// SPDX-License-Identifier: MIT
/*
 * A device that answers with anything: region info and its capabilities, windows,
 * state, peers.  The kernel is trusted to keep to the sizes it is given, and to
 * what its header says of counts; nothing else of it is.
 */
#include <errno.h>
#include <linux/vfio.h>

#include "fuzz.h"
#include "internal.h"

static struct input in;
static unsigned int asked;

/* Answers come to an end: then all fails, so that no look at them goes on for ever. */
static int answer(void *arg, size_t size)
{
	static const int errnos[] = { 0, 0, 0, 0, 0, 0, EINVAL, ENOENT, EBUSY, ENODEV, EEXIST, EPERM,
				      EOPNOTSUPP, ENXIO, ENOTTY, EFAULT };
	int err = errnos[take(&in, 1) % 16];

	if (!in.size || ++asked > 200)
		return -ENODEV;
	if (err)
		return -err;
	for (size_t i = 0; i < size; i += 8)
		memcpy((char *)arg + i, &(uint64_t){ take_number(&in) }, size - i < 8 ? size - i : 8);
	return 0;
}

static int region(struct vfio_region_info *info)
{
	uint32_t room = info->argsz, more = take(&in, 1), index = info->index;
	int ret = answer((char *)info + 4, room - 4);

	info->index = index;
	/* As it needs, but not more at every look. */
	info->argsz = asked < 3 ? (uint32_t)sizeof(*info) + more : room;
	return ret;
}

static int played_ioctl(int fd, unsigned long request, void *arg)
{
	struct vfio_device_feature *feature = arg;

	(void)fd;
	switch (request) {
	case VFIO_DEVICE_GET_REGION_INFO:
		return region(arg);
	case VFIO_DEVICE_FEATURE:
		return answer(feature->data, feature->argsz - sizeof(*feature));
	}
	return answer(arg, 0);
}

static void check(int ret, const struct vp2p_error *err)
{
	if (ret >= 0)
		return;
	HOLDS(err->code == -ret && *err->step && *err->cause && *err->remedy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vp2p_device dev = { .fd = -1, .iommu_fd = -1, .group_fd = -1, .name = "played" };
	struct vp2p_window *window = NULL;
	struct vp2p_error err = { 0 };
	struct vp2p_state state;
	struct vp2p_bar bar;
	uint64_t offset, length, bits;
	void *at;
	int ret;

	in = (struct input){ data, size };
	asked = 0;
	vp2p__root = "/nonexistent";
	vp2p__host.ioctl = played_ioctl;
	bits = take(&in, 1);
	if (bits & 8)
		strcpy(dev.bdf, "0000:03:00.0");
	offset = take_number(&in);
	length = take_number(&in);
	check(vp2p_bar_info(&dev, bits & 7, &bar, &err), &err);
	if (!vp2p_window_create(&dev, bits & 7, offset, length, bits >> 4 & 3, &window, &err)) {
		HOLDS(window);
		if (!vp2p_map(window, offset, length, 0, &at, &err))
			vp2p_unmap(at, length, &err);
		free(window);
	}
	ret = vp2p_window_find(&dev, bits >> 4, 0, &window, &err);
	check(ret, &err);
	if (!ret) {
		ret = vp2p_window_unregister(window, &err);
		check(ret, &err);
		if (ret)
			free(window);
	}
	ret = vp2p_window_lookup(&dev, bits & 7, offset, length, 0, &window, &err);
	check(ret, &err);
	if (!ret)
		free(window);
	check(vp2p_populate(&dev, (void *)(uintptr_t)offset, length, &err), &err);
	check(vp2p_map_bar(&dev, bits & 7, offset, length, &at, &err), &err);
	check(vp2p_get_state(&dev, &state, &err), &err);
	return 0;
}
