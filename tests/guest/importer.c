// SPDX-License-Identifier: MIT
/* A dma-buf of a BAR, and its importer: see importer.h. */
#define _GNU_SOURCE
#include "importer.h"
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define DMA_BUF 11	/* VFIO_DEVICE_FEATURE_DMA_BUF, which an old header has not */

int imp_export(const struct dev *d, unsigned int bar, uint64_t offset, uint64_t length)
{
	struct {
		struct vfio_device_feature hdr;
		uint32_t bar, open_flags, flags, nr;
		uint64_t offset, length;
	} req = {
		{ sizeof(req), VFIO_DEVICE_FEATURE_GET | DMA_BUF },
		bar, O_RDWR | O_CLOEXEC, 0, 1, offset, length,
	};
	int fd = ioctl(d->fd, VFIO_DEVICE_FEATURE, &req);

	return fd < 0 ? -errno : fd;
}

uint64_t imp_bar_address(const struct dev *d, unsigned int bar)
{
	char path[96], line[128] = "";
	unsigned long long start = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource", d->bdf);
	f = fopen(path, "re");
	for (unsigned int i = 0; f && i <= bar; i++)
		if (!fgets(line, sizeof(line), f))
			line[0] = 0;
	if (f)
		fclose(f);
	sscanf(line, "%llx", &start);
	return start;
}

int imp_open(const char *role, int dmabuf, const struct imp_place *at)
{
	unsigned int domain, bus, slot, function;
	struct imp_attach arg = { .dmabuf = dmabuf, .lazy = at->lazy, .phys = at->phys,
				  .length = at->length, .mark = at->mark };
	int fd, err;

	if (sscanf(h_pci(role) ?: "", "%x:%x:%x.%x", &domain, &bus, &slot, &function) != 4)
		return -EINVAL;
	arg.domain = domain;
	arg.bus = bus;
	arg.devfn = slot << 3 | function;
	fd = open("/dev/dma-buf-importer", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (!ioctl(fd, IMP_ATTACH, &arg))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

long imp_map(int imp, struct imp_map *map)
{
	memset(map, 0, sizeof(*map));
	return ioctl(imp, IMP_MAP, map) ? -errno : (long)map->length;
}

int imp_unmap(int imp)
{
	return ioctl(imp, IMP_UNMAP) ? -errno : 0;
}

struct imp_seen imp_seen(int imp)
{
	struct imp_seen seen = { .notices = -1 };

	ioctl(imp, IMP_SEEN, &seen);
	return seen;
}
