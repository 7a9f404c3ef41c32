// SPDX-License-Identifier: MIT
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fake.h"

struct fake fake;

/* BAR 0: registers, 4 KiB.  BAR 2: memory.  BAR 3: 8 MiB with a hole, not
 * prefetchable.  BAR 4: an I/O BAR.  BAR 5: 1 MiB.
 */
static const struct {
	uint64_t size;
	uint32_t flags;
} bars[6] = {
	[0] = { 4096, 7 },
	[2] = { FAKE_BAR_SIZE, 7 },
	[3] = { 8 << 20, 7 | VFIO_REGION_INFO_FLAG_CAPS },
	[4] = { 64, 3 },
	[5] = { 1 << 20, 7 },
};

static void sparse_bar(struct vfio_region_info *info)
{
	struct {
		struct vfio_region_info info;
		struct vfio_info_cap_header header;
		uint32_t nr_areas, reserved;
		struct vfio_region_sparse_mmap_area areas[2];
	} full = {
		.header = { VFIO_REGION_INFO_CAP_SPARSE_MMAP, 1, 0 },
		.nr_areas = 2,
		.areas = { { 0, 1 << 20 }, { 2 << 20, 6 << 20 } },
	};
	uint32_t room = info->argsz;

	info->argsz = sizeof(full);
	if (room < sizeof(full))
		return;
	full.info = *info;
	full.info.cap_offset = sizeof(full.info);
	memcpy(info, &full, sizeof(full));
}

static int region_info(struct vfio_region_info *info)
{
	if (info->index > 5)
		return -EINVAL;
	info->size = bars[info->index].size;
	info->flags = bars[info->index].flags;
	info->offset = info->index == 2 ? 0 : FAKE_BAR_SIZE;
	if (info->flags & VFIO_REGION_INFO_FLAG_CAPS)
		sparse_bar(info);
	return 0;
}

static bool is_there(uint32_t id)
{
	return id < P2P_VFIO_MAX_WINDOWS && fake.windows[id].length;
}

static int window_set(struct p2p_vfio_window *win)
{
	if (fake.window_set_errno)
		return -fake.window_set_errno;
	for (win->id = 0; is_there(win->id); win->id++)
		;
	win->mmap_offset = win->offset;
	win->provider = P2P_VFIO_PROVIDER_OWN;
	fake.windows[win->id] = *win;
	fake.state.windows = ++fake.n_windows;
	return 0;
}

static int window_get(struct p2p_vfio_window *win)
{
	uint32_t flags = win->flags;

	if (fake.window_get_errno)
		return -fake.window_get_errno;
	if (!is_there(win->id))
		return -ENOENT;
	*win = fake.windows[win->id];
	win->flags = flags;
	return 0;
}

/* As strict as the driver about the other fields. */
static int window_unregister(const struct p2p_vfio_window *win)
{
	if (fake.unregister_errno)
		return -fake.unregister_errno;
	if (win->flags != P2P_VFIO_WINDOW_UNREGISTER || win->bar || win->offset ||
	    win->length || win->mmap_offset || win->provider)
		return -EINVAL;
	if (!is_there(win->id))
		return -ENOENT;
	fake.windows[win->id].length = 0;
	fake.state.windows = --fake.n_windows;
	return 0;
}

static int window(struct p2p_vfio_window *win, bool set)
{
	if (!set)
		return window_get(win);
	return win->flags & P2P_VFIO_WINDOW_UNREGISTER ? window_unregister(win) :
							 window_set(win);
}

static int populate(const struct p2p_vfio_populate *range)
{
	fake.populate = *range;
	return -fake.populate_errno;
}

static int export(struct p2p_vfio_export *range)
{
	fake.export = *range;
	if (fake.export_errno)
		return -fake.export_errno;
	range->fd = dup(fake.memory);
	return 0;
}

static int events(const struct p2p_vfio_events *ev)
{
	if (fake.events_errno)
		return -fake.events_errno;
	if (ev->flags == P2P_VFIO_EVENTS_ADD) {
		fake.eventfd = dup(ev->fd);
		fake.events_added++;
		return 0;
	}
	if (fake.eventfd < 0)
		return -ENOENT;
	close(fake.eventfd);
	fake.eventfd = -1;
	return 0;
}

static int get_state(struct p2p_vfio_state *state)
{
	if (fake.state_errno)
		return -fake.state_errno;
	*state = fake.state;
	fake.looks++;
	if (fake.after_look)
		fake.after_look(fake.looks);
	return 0;
}

static int get_peer(struct p2p_vfio_peer *peer)
{
	if (fake.peer_errno)
		return -fake.peer_errno;
	peer->route = fake.peer.route;
	peer->distance = fake.peer.distance;
	if (fake.no_route_bus && peer->bus == fake.no_route_bus)
		peer->route = P2P_VFIO_ROUTE_NONE;
	fake.peer = *peer;
	return 0;
}

/* argsz and the reserved bits as strictly as the driver checks them. */
static int feature(struct vfio_device_feature *hdr)
{
	static const size_t sizes[] = {
		sizeof(struct p2p_vfio_window), sizeof(struct p2p_vfio_state),
		sizeof(struct p2p_vfio_events), sizeof(struct p2p_vfio_peer),
		sizeof(struct p2p_vfio_populate), sizeof(struct p2p_vfio_export),
	};
	uint32_t number = hdr->flags & VFIO_DEVICE_FEATURE_MASK;
	bool set = hdr->flags & VFIO_DEVICE_FEATURE_SET;
	void *data = hdr->data;

	if (hdr->flags & VFIO_DEVICE_FEATURE_PROBE)
		return -fake.probe_errno;
	if (number < P2P_VFIO_FEATURE_WINDOW || number > P2P_VFIO_FEATURE_EXPORT)
		return -ENOTTY;
	if (hdr->argsz < sizeof(*hdr) + sizes[number - P2P_VFIO_FEATURE_WINDOW])
		return -EINVAL;
	switch (number) {
	case P2P_VFIO_FEATURE_WINDOW:
		return window(data, set);
	case P2P_VFIO_FEATURE_STATE:
		return get_state(data);
	case P2P_VFIO_FEATURE_EVENTS:
		return events(data);
	case P2P_VFIO_FEATURE_PEER:
		return get_peer(data);
	case P2P_VFIO_FEATURE_POPULATE:
		return populate(data);
	default:
		return export(data);
	}
}

static int hot_reset_info(struct vfio_pci_hot_reset_info *info)
{
	if (fake.hot_info_errno)
		return -fake.hot_info_errno;
	info->flags = fake.hot_flags;
	info->count = fake.n_affected;
	if (info->argsz < sizeof(*info) + fake.n_affected * sizeof(fake.affected[0]))
		return -ENOSPC;
	memcpy((char *)info + sizeof(*info), fake.affected,
	       fake.n_affected * sizeof(fake.affected[0]));
	return 0;
}

static int hot_reset(const struct vfio_pci_hot_reset *req)
{
	if (req->argsz < sizeof(*req) + req->count * sizeof(int32_t) || req->flags ||
	    req->count > 1)
		return -EINVAL;
	fake.hot_resets++;
	fake.hot_count = req->count;
	if (req->count)
		memcpy(&fake.hot_fd, (const char *)req + sizeof(*req), sizeof(int32_t));
	return -fake.hot_reset_errno;
}

static int answer(int fd, unsigned long request, void *arg)
{
	switch (request) {
	case VFIO_GROUP_GET_STATUS:
		((struct vfio_group_status *)arg)->flags =
			fake.not_viable ? 0 : VFIO_GROUP_FLAGS_VIABLE;
		return 0;
	case VFIO_GROUP_SET_CONTAINER:
		return 0;
	case VFIO_SET_IOMMU:
		return -fake.set_iommu_errno;
	case VFIO_GROUP_GET_DEVICE_FD:
		return fake.device_fd_errno ? -fake.device_fd_errno : dup(fake.memory);
	case VFIO_DEVICE_BIND_IOMMUFD:
		fake.bound++;
		return -fake.device_fd_errno;
	case VFIO_DEVICE_GET_INFO:
		((struct vfio_device_info *)arg)->flags = VFIO_DEVICE_FLAGS_PCI;
		return fcntl(fd, F_GETFD) < 0 ? -EBADF : -fake.info_errno;
	case VFIO_DEVICE_GET_REGION_INFO:
		return region_info(arg);
	case VFIO_DEVICE_FEATURE:
		return feature(arg);
	case VFIO_DEVICE_RESET:
		return -fake.reset_errno;
	case VFIO_DEVICE_GET_PCI_HOT_RESET_INFO:
		return hot_reset_info(arg);
	case VFIO_DEVICE_PCI_HOT_RESET:
		return hot_reset(arg);
	default:
		return -ENOTTY;
	}
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void fake_lock(void)
{
	pthread_mutex_lock(&lock);
}

void fake_unlock(void)
{
	pthread_mutex_unlock(&lock);
}

static int fake_ioctl(int fd, unsigned long request, void *arg)
{
	int rc;

	fake_lock();
	rc = answer(fd, request, arg);
	fake_unlock();
	return rc;
}

static bool ends_with(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);

	return n >= m && !strcmp(text + n - m, end);
}

static int fake_open(const char *path, int flags)
{
	if (fake.open_node && ends_with(path, fake.open_node))
		return -fake.open_errno;
	if (access(path, F_OK))
		return -ENOENT;
	(void)flags;
	return dup(fake.memory);
}

void fake_install(void)
{
	int memory = fake.memory ? fake.memory : memfd_create("device", MFD_CLOEXEC);

	if (memory < 0 || ftruncate(memory, FAKE_BAR_SIZE + (8 << 20))) {
		perror("memfd");
		exit(99);
	}
	fake = (struct fake){ .eventfd = -1, .memory = memory };
	fake.state.state = P2P_VFIO_STATE_LIVE;
	fake.peer.route = P2P_VFIO_ROUTE_HOST_BRIDGE;
	fake.peer.distance = 4;
	vp2p__host.ioctl = fake_ioctl;
	vp2p__host.open = fake_open;
}

struct vp2p_device *fake_device(void)
{
	struct vp2p_device *dev;

	if (vp2p_attach(fake.memory, "0000:03:00.0", &dev, NULL)) {
		fprintf(stderr, "the fake device cannot be attached\n");
		exit(99);
	}
	return dev;
}

void fake_signal(void)
{
	uint64_t one = 1;

	if (fake.eventfd >= 0 && write(fake.eventfd, &one, sizeof(one)) < 0)
		perror("eventfd");
}
