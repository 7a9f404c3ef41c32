// SPDX-License-Identifier: MIT
/* The driver as its tests see it: see dev.h. */
#define _GNU_SOURCE
#include "dev.h"
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PCI_CAPABILITY_LIST 0x34
#define IORESOURCE_PREFETCH 0x2000

static int result(long ret)
{
	return ret < 0 ? -errno : 0;
}

/* Drivers */

void dev_bind(const char *role, const char *driver)
{
	const char *bdf = h_pci(role);
	int err = h_modprobe("vfio_iommu_type1", NULL);

	if (!bdf)
		h_bail("there is no device with the role %s", role);
	err = err ?: h_modprobe(driver, NULL);
	if (err)
		h_bail("modules for %s: %s", driver, strerror(-err));
	err = h_bind(bdf, driver);
	if (err)
		h_bail("%s to %s: %s", bdf, driver, strerror(-err));
}

/* In a child: an unbind that never ends cannot be interrupted. */
bool dev_unbind(const char *role, unsigned int seconds)
{
	int status = -1;
	pid_t pid = fork();

	if (!pid)
		_exit(h_bind(h_pci(role), NULL) ? 1 : 0);
	return h_await(pid, &status, seconds * 1000) && status == 0;
}

int dev_param(const char *name, const char *value)
{
	return h_writef(value, "/sys/module/p2p_vfio_pci/parameters/%s", name);
}

bool dev_has_pmd(void)
{
	return !access("/sys/kernel/mm/transparent_hugepage", F_OK);
}

size_t dev_folio(void)
{
	return dev_has_pmd() ? DEV_MIB2 : 4096;
}

bool dev_standard_provider(void)
{
	char text[32];

	return !h_read("/sys/module/p2p_vfio_pci/parameters/provider", text, sizeof(text)) &&
	       !strcmp(text, "standard");
}

long long dev_memmap_pages(void)
{
	return h_number_in("/proc/vmstat", "nr_memmap_pages %lld");
}

void dev_close(struct dev *d)
{
	int fds[] = { d->fd, d->group, d->container };

	while (d->n_maps)
		dev_unmap(d, d->maps[0].at);
	for (int i = 0; i < 3; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	d->fd = d->group = d->container = -1;
}

/* Regions */

int dev_region(const struct dev *d, unsigned int index, struct vfio_region_info *info)
{
	*info = (struct vfio_region_info){ .argsz = sizeof(*info), .index = index };
	return result(ioctl(d->fd, VFIO_DEVICE_GET_REGION_INFO, info));
}

int dev_bar(const struct dev *d)
{
	struct vfio_region_info info;
	uint64_t largest = 0;
	int found = -1;

	for (int bar = 0; bar < 6; bar++) {
		if (dev_region(d, bar, &info) || !(info.flags & VFIO_REGION_INFO_FLAG_MMAP))
			continue;
		if (info.size > largest) {
			largest = info.size;
			found = bar;
		}
	}
	return found;
}

uint64_t dev_bar_size(const struct dev *d, unsigned int bar)
{
	struct vfio_region_info info;

	return dev_region(d, bar, &info) ? 0 : info.size;
}

/* A line of "resource" is start, end and flags of a BAR. */
bool dev_prefetchable(const struct dev *d, unsigned int bar)
{
	char text[1024], *line = text;
	unsigned long long flags = 0;

	if (h_readf(text, sizeof(text), "/sys/bus/pci/devices/%s/resource", d->bdf))
		return false;
	while (bar-- && line)
		line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL;
	if (line)
		sscanf(line, "%*x %*x %llx", &flags);
	return flags & IORESOURCE_PREFETCH;
}

off_t dev_region_offset(const struct dev *d, unsigned int index)
{
	struct vfio_region_info info;

	return dev_region(d, index, &info) ? -1 : (off_t)info.offset;
}

/* Features */

int dev_feature(const struct dev *d, uint32_t flags, void *data, size_t size)
{
	struct vfio_device_feature *req = calloc(1, sizeof(*req) + size);
	int err;

	req->argsz = sizeof(*req) + size;
	req->flags = flags;
	if (size)
		memcpy(req->data, data, size);
	err = result(ioctl(d->fd, VFIO_DEVICE_FEATURE, req));
	if (size && !err)
		memcpy(data, req->data, size);
	free(req);
	return err;
}

int dev_window_set(const struct dev *d, unsigned int bar, uint64_t offset, uint64_t length,
		   uint32_t flags, struct p2p_vfio_window *out)
{
	*out = (struct p2p_vfio_window){ .bar = bar, .flags = flags, .offset = offset, .length = length };
	return dev_feature(d, VFIO_DEVICE_FEATURE_SET | P2P_VFIO_FEATURE_WINDOW, out, sizeof(*out));
}

int dev_window_get(const struct dev *d, uint32_t id, uint32_t flags, struct p2p_vfio_window *out)
{
	*out = (struct p2p_vfio_window){ .id = id, .flags = flags };
	return dev_feature(d, VFIO_DEVICE_FEATURE_GET | P2P_VFIO_FEATURE_WINDOW, out, sizeof(*out));
}

int dev_state(const struct dev *d, struct p2p_vfio_state *out)
{
	memset(out, 0, sizeof(*out));
	return dev_feature(d, VFIO_DEVICE_FEATURE_GET | P2P_VFIO_FEATURE_STATE, out, sizeof(*out));
}

int dev_events(const struct dev *d, int eventfd, uint32_t flags)
{
	struct p2p_vfio_events ev = { .fd = eventfd, .flags = flags };

	return dev_feature(d, VFIO_DEVICE_FEATURE_SET | P2P_VFIO_FEATURE_EVENTS, &ev, sizeof(ev));
}

int dev_peer(const struct dev *d, const char *bdf, struct p2p_vfio_peer *out)
{
	unsigned int domain, bus, slot, function;

	if (sscanf(bdf, "%x:%x:%x.%x", &domain, &bus, &slot, &function) != 4)
		return -EINVAL;
	*out = (struct p2p_vfio_peer){ .domain = domain, .bus = bus, .devfn = slot << 3 | function };
	return dev_feature(d, VFIO_DEVICE_FEATURE_GET | P2P_VFIO_FEATURE_PEER, out, sizeof(*out));
}

/* Mappings */

static void *remember(struct dev *d, void *at, size_t length)
{
	if (d->n_maps == DEV_MAX_MAPS)
		h_bail("too many mappings: DEV_MAX_MAPS");
	d->maps[d->n_maps].at = at;
	d->maps[d->n_maps++].length = length;
	return at;
}

void dev_unmap(struct dev *d, void *at)
{
	for (int i = 0; i < d->n_maps; i++) {
		if (d->maps[i].at != at)
			continue;
		munmap(at, d->maps[i].length);
		d->maps[i] = d->maps[--d->n_maps];
		return;
	}
}

void *dev_map_skewed(struct dev *d, uint64_t cookie, size_t length, size_t skew)
{
	size_t reserved = length + skew + DEV_MIB2;
	char *hole, *at, *map;

	/* Reserve, so that the aligned part is free, and give the rest back. */
	hole = mmap(NULL, reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (hole == MAP_FAILED)
		return NULL;
	at = (char *)(((uintptr_t)hole + DEV_MIB2 - 1) & ~(DEV_MIB2 - 1)) + skew;
	map = mmap(at, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, d->fd, cookie);
	if (map == MAP_FAILED) {
		int err = errno;

		munmap(hole, reserved);
		errno = err;
		return NULL;
	}
	if (at > hole)
		munmap(hole, at - hole);
	munmap(at + length, hole + reserved - (at + length));
	return remember(d, map, length);
}

void *dev_map(struct dev *d, uint64_t cookie, size_t length)
{
	return dev_map_skewed(d, cookie, length, 0);
}

void *dev_map_raw(struct dev *d, unsigned int bar, uint64_t offset, size_t length)
{
	void *map = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, d->fd,
			 dev_region_offset(d, bar) + offset);

	return map == MAP_FAILED ? NULL : remember(d, map, length);
}

static void *register_and_map(struct dev *d, unsigned int bar, uint64_t offset,
			      size_t length, uint32_t flags)
{
	struct p2p_vfio_window win;
	int err = dev_window_set(d, bar, offset, length, flags, &win);

	if (err) {
		errno = -err;
		return NULL;
	}
	return dev_map(d, win.mmap_offset, length);
}

void *dev_window(struct dev *d, unsigned int bar, uint64_t offset, size_t length)
{
	return register_and_map(d, bar, offset, length, 0);
}

void *dev_window_wc(struct dev *d, unsigned int bar, uint64_t offset, size_t length)
{
	return register_and_map(d, bar, offset, length, P2P_VFIO_WINDOW_WC);
}

/* Reset and config space */

int dev_reset(const struct dev *d)
{
	return result(ioctl(d->fd, VFIO_DEVICE_RESET));
}

ssize_t dev_config_read(const struct dev *d, off_t at, void *buf, size_t n)
{
	ssize_t done = pread(d->fd, buf, n, dev_region_offset(d, VFIO_PCI_CONFIG_REGION_INDEX) + at);

	return done < 0 ? -errno : done;
}

ssize_t dev_config_write(const struct dev *d, off_t at, const void *buf, size_t n)
{
	ssize_t done = pwrite(d->fd, buf, n, dev_region_offset(d, VFIO_PCI_CONFIG_REGION_INDEX) + at);

	return done < 0 ? -errno : done;
}

unsigned int dev_capability(const struct dev *d, uint8_t id)
{
	uint8_t at = 0, cap[2];

	dev_config_read(d, PCI_CAPABILITY_LIST, &at, 1);
	for (int i = 0; i < 48 && at; i++, at = cap[1]) {
		if (dev_config_read(d, at, cap, 2) != 2)
			return 0;
		if (cap[0] == id)
			return at;
	}
	return 0;
}

/* Counters */

static int read_attribute(const char *role, const char *name, char *buf, size_t n)
{
	const char *bdf = h_pci(role);

	return bdf ? h_readf(buf, n, "/sys/bus/pci/devices/%s/p2p_vfio/%s", bdf, name) : -ENODEV;
}

long long dev_count(const char *role, const char *name)
{
	char text[64];
	int err = read_attribute(role, name, text, sizeof(text));

	return err ?: strtoll(text, NULL, 0);
}

long long dev_revokes(const char *role, const char *cause)
{
	char text[512], *line, *save = NULL;
	size_t len = strlen(cause);
	int err = read_attribute(role, "revokes", text, sizeof(text));

	if (err)
		return err;
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (!strncmp(line, cause, len) && line[len] == ' ')
			return strtoll(line + len, NULL, 0);
	return -ENOENT;
}

bool dev_state_is(const char *role, const char *state)
{
	char text[32];

	return !read_attribute(role, "state", text, sizeof(text)) && !strcmp(text, state);
}

void dev_check_rest(const char *role)
{
	char state[32] = "";

	if (!h_wait_until(dev_state_is(role, "closed"), 2000)) {
		read_attribute(role, "state", state, sizeof(state));
		h_fail("%s is not at rest: state %s", role, state);
	}
	H_EQ(dev_count(role, "pinned_folios"), 0);
	H_EQ(dev_count(role, "touched_folios"), 0);
}
