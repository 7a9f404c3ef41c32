// SPDX-License-Identifier: MIT
/*
 * fio_played_library.c - for tests/meta/test_fio.py: a library that plays a device with
 * a window of 64 MiB on BAR 2, whose memory is the file FIO_PLAYED_BAR
 *
 * With FIO_PLAYED_STORM=N it is reset all the time: a mapping has no access for N
 * microseconds, so that the kernel answers EFAULT, and then has it for 3 ms.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vfio-p2p.h"

#define LENGTH (UINT64_C(64) << 20)
#define UNUSED __attribute__((unused))

struct vp2p_device {
	int fd;
	_Atomic uint64_t resets;
	_Atomic int live;
};

struct vp2p_window {
	struct vp2p_device *dev;
};

/* The one mapping of a job that is a process. */
static struct {
	struct vp2p_device *dev;
	void *at;
	size_t length;
} stormy;

static void *storm(void *arg)
{
	useconds_t closed = (useconds_t)atoi(arg);

	for (;;) {
		usleep(3000);
		stormy.dev->live = 0;
		stormy.dev->resets++;
		mprotect(stormy.at, stormy.length, PROT_NONE);
		usleep(closed);
		mprotect(stormy.at, stormy.length, PROT_READ | PROT_WRITE);
		stormy.dev->live = 1;
	}
	return NULL;
}

int vp2p_open(const char *bdf UNUSED, unsigned int flags UNUSED, struct vp2p_device **dev,
	      struct vp2p_error *err UNUSED)
{
	*dev = calloc(1, sizeof(**dev));
	(*dev)->fd = open(getenv("FIO_PLAYED_BAR"), O_RDWR | O_CLOEXEC);
	(*dev)->live = 1;
	return (*dev)->fd < 0 ? -errno : 0;
}

void vp2p_close(struct vp2p_device *dev)
{
	close(dev->fd);
	free(dev);
}

int vp2p_get_state(const struct vp2p_device *dev, struct vp2p_state *state,
		   struct vp2p_error *err UNUSED)
{
	memset(state, 0, sizeof(*state));
	state->state = dev->live ? VP2P_STATE_LIVE : VP2P_STATE_DRAINING;
	state->windows = 1;
	state->revokes[VP2P_CAUSE_RESET] = dev->resets;
	return 0;
}

int vp2p_wait_live(const struct vp2p_device *dev, int timeout_ms UNUSED,
		   struct vp2p_error *err UNUSED)
{
	while (!dev->live)
		usleep(100);
	return 0;
}

int vp2p_window_find(struct vp2p_device *dev, unsigned int id, unsigned int flags UNUSED,
		     struct vp2p_window **win, struct vp2p_error *err UNUSED)
{
	if (id)
		return -ENOENT;
	*win = calloc(1, sizeof(**win));
	(*win)->dev = dev;
	return 0;
}

int vp2p_window_lookup(struct vp2p_device *dev, unsigned int bar UNUSED,
		       uint64_t offset UNUSED, uint64_t length UNUSED, unsigned int flags,
		       struct vp2p_window **win, struct vp2p_error *err)
{
	return vp2p_window_find(dev, 0, flags, win, err);
}

void vp2p_window_destroy(struct vp2p_window *win)
{
	free(win);
}

unsigned int vp2p_window_id(const struct vp2p_window *win UNUSED)
{
	return 0;
}

unsigned int vp2p_window_bar(const struct vp2p_window *win UNUSED)
{
	return 2;
}

uint64_t vp2p_window_offset(const struct vp2p_window *win UNUSED)
{
	return 0;
}

uint64_t vp2p_window_length(const struct vp2p_window *win UNUSED)
{
	return LENGTH;
}

int vp2p_map(const struct vp2p_window *win, uint64_t offset, uint64_t length,
	     unsigned int flags UNUSED, void **addr, struct vp2p_error *err UNUSED)
{
	char *closed = getenv("FIO_PLAYED_STORM");
	pthread_t thread;

	*addr = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, win->dev->fd,
		     (off_t)offset);
	if (*addr == MAP_FAILED)
		return -errno;
	if (closed) {
		stormy.dev = win->dev;
		stormy.at = *addr;
		stormy.length = length;
		pthread_create(&thread, NULL, storm, closed);
	}
	return 0;
}

/* A storm outlives its job: the process ends. */
int vp2p_unmap(void *addr, uint64_t length, struct vp2p_error *err UNUSED)
{
	return getenv("FIO_PLAYED_STORM") || !munmap(addr, length) ? 0 : -errno;
}

int vp2p_populate(const struct vp2p_device *dev UNUSED, void *addr UNUSED,
		  uint64_t length UNUSED, struct vp2p_error *err UNUSED)
{
	return 0;
}

int vp2p_peer_for_fd(const struct vp2p_device *dev UNUSED, int fd UNUSED,
		     struct vp2p_peer_list **list UNUSED, struct vp2p_error *err UNUSED)
{
	return -ENODEV;
}

void vp2p_peer_list_free(struct vp2p_peer_list *list UNUSED)
{
}

const char *vp2p_route_name(unsigned int route UNUSED)
{
	return "played";
}

int vp2p_io_open(struct vp2p_window *win UNUSED, int fd UNUSED, unsigned int flags UNUSED,
		 int live_timeout_ms UNUSED, struct vp2p_io **io,
		 struct vp2p_error *err UNUSED)
{
	*io = NULL;
	return 0;
}

void vp2p_io_close(struct vp2p_io *io UNUSED)
{
}

void vp2p_io_describe(const struct vp2p_io *io UNUSED, struct vp2p_io_info *info)
{
	memset(info, 0, sizeof(*info));
	info->file_align = 512;
	info->route = VP2P_ROUTE_HOST_BRIDGE;
}
