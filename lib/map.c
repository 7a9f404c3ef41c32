// SPDX-License-Identifier: MIT
/*
 * map.c - mappings at addresses that large entries can map
 *
 * mmap(2) promises no more than page alignment, and a 2 MiB entry needs address
 * and offset congruent modulo 2 MiB.  So room with slack is looked for, given back,
 * and the range is mapped at the fitting address in it.  Another thread may be
 * faster: then again.  (MAP_FIXED over room that is kept cannot lose that race, but
 * when it fails the room may be gone, and what lies there may be another thread's.)
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "internal.h"

static uint64_t page_size(void)
{
	return (uint64_t)sysconf(_SC_PAGESIZE);
}

/* How often to look for room while other threads take it. */
#define MAX_TRIES	64

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE	0x100000
#endif

static int map_once(int fd, uint64_t cookie, uint64_t length, int prot,
		    uint64_t phase, void **addr)
{
	char *room, *fit, *at;

	room = vp2p__host.mmap(NULL, length + VP2P_GRANULE, PROT_NONE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (room == MAP_FAILED)
		return -errno;
	fit = (char *)vp2p__congruent((uintptr_t)room, phase, VP2P_GRANULE);
	munmap(room, length + VP2P_GRANULE);

	at = vp2p__host.mmap(fit, length, prot, MAP_SHARED | MAP_FIXED_NOREPLACE, fd,
			     (off_t)cookie);
	if (at == MAP_FAILED)
		return -errno;
	*addr = at;
	return 0;
}

int vp2p__map_fd(int fd, uint64_t cookie, uint64_t length, int prot,
		 uint64_t phase, void **addr)
{
	int rc = -EEXIST;

	for (int tries = 0; tries < MAX_TRIES && rc == -EEXIST; tries++)
		rc = map_once(fd, cookie, length, prot, phase, addr);
	return rc == -EEXIST ? -EAGAIN : rc;
}

/* A range that is not made of pages, and one near it that is and fits. */
static int fail_pages(const char *device, const char *step, uint64_t offset,
		      uint64_t length, uint64_t limit, struct vp2p_error *err)
{
	uint64_t page = page_size();
	uint64_t last = limit > page ? vp2p__round_down(limit - page, page) : 0;
	uint64_t at = offset < last ? vp2p__round_down(offset, page) : last;
	uint64_t room = vp2p__round_down(limit - at, page);

	return vp2p__fail(err, EINVAL, device, step,
			  "offset %" PRIu64 " or length %" PRIu64 " is not a multiple of the "
			  "page size, %" PRIu64 MEND "use offset %" PRIu64 " and length %"
			  PRIu64, offset, length, page, at,
			  length < room ? vp2p__round_up(length, page) : room);
}

/* Checks a range of @limit bytes called @what and replaces a length of 0. */
static int check_range(const char *device, const char *step, const char *what,
		       uint64_t offset, uint64_t *length, uint64_t limit,
		       struct vp2p_error *err)
{
	uint64_t page = page_size();

	if (!*length && offset < limit)
		*length = vp2p__round_down(limit - offset, page);
	if (!vp2p__aligned(offset, page) || !vp2p__aligned(*length, page))
		return fail_pages(device, step, offset, *length, limit, err);
	if (*length && vp2p__within(offset, *length, limit))
		return 0;
	return vp2p__fail(err, ERANGE, device, step,
			  "offset %" PRIu64 " and length %" PRIu64 " do not lie within the "
			  "%s of %" PRIu64 " bytes" MEND "%s", offset, *length, what, limit,
			  offset < limit ? "give length 0 for all there is" :
			  "use a lower offset");
}

static int fail_mmap(const char *device, const char *step, int code, uint64_t length,
		     struct vp2p_error *err)
{
	if (code == ENOMEM)
		return vp2p__fail(err, code, device, step,
				  "no %" PRIu64 " bytes of address space, or too many "
				  "mappings" MEND "raise ulimit -v or vm.max_map_count, or map "
				  "less", length);
	if (code == EAGAIN)
		return vp2p__fail(err, code, device, step,
				  "other threads took the address space each of %d times" MEND
				  "call again", MAX_TRIES);
	if (code == ENODEV || code == EIO)
		return vp2p__fail(err, code, device, step,
				  "the device has gone" MEND
				  "plug it in or bind it again, then open it anew");
	return vp2p__fail(err, code, device, step, "mmap failed: %s" MEND
			  "see the kernel log (dmesg)", strerror(code));
}

int vp2p__map_window(const struct vp2p_window *win, const char *step, uint64_t offset,
		     uint64_t *length, int prot, void **addr, struct vp2p_error *err)
{
	const char *device = win->dev->name;
	int rc = check_range(device, step, "window", offset, length, win->length, err);

	if (rc)
		return rc;
	rc = vp2p__map_fd(win->dev->fd, win->cookie + offset, *length, prot, offset, addr);
	return rc ? fail_mmap(device, step, -rc, *length, err) : 0;
}

int vp2p_map(const struct vp2p_window *win, uint64_t offset, uint64_t length,
	     unsigned int flags, void **addr, struct vp2p_error *err)
{
	static const char step[] = "map a window";
	int prot = PROT_READ | PROT_WRITE;

	if (flags & ~(unsigned int)VP2P_MAP_RDONLY)
		return vp2p__fail(err, EINVAL, win->dev->name, step,
				  "flags 0x%x are not defined" MEND
				  "give 0 or VP2P_MAP_RDONLY", flags);
	if (flags & VP2P_MAP_RDONLY)
		prot = PROT_READ;
	return vp2p__map_window(win, step, offset, &length, prot, addr, err);
}

static bool in_area(const struct vfio_region_info_cap_sparse_mmap *sparse, size_t room,
		    uint64_t offset, uint64_t length)
{
	for (uint32_t i = 0; i < sparse->nr_areas &&
	     sizeof(*sparse) + (i + (size_t)1) * sizeof(sparse->areas[0]) <= room; i++) {
		const struct vfio_region_sparse_mmap_area *area = &sparse->areas[i];

		if (offset >= area->offset &&
		    vp2p__within(offset - area->offset, length, area->size))
			return true;
	}
	return false;
}

/*
 * The part of a region that may be mapped and holds @offset: all, or an area.  A
 * list that leads out of what the kernel has filled in, or backwards, is at its end.
 */
static bool find_area(const struct vfio_region_info *info, uint64_t offset,
		      uint64_t length)
{
	const char *base = (const char *)info;
	uint32_t at = info->flags & VFIO_REGION_INFO_FLAG_CAPS ? info->cap_offset : 0;
	const size_t least = sizeof(struct vfio_region_info_cap_sparse_mmap);
	size_t from = sizeof(*info);

	while (at >= from && at % 8 == 0 && at + least <= info->argsz) {
		const struct vfio_region_info_cap_sparse_mmap *sparse =
			(const void *)(base + at);

		if (sparse->header.id == VFIO_REGION_INFO_CAP_SPARSE_MMAP)
			return in_area(sparse, info->argsz - at, offset, length);
		from = at + sizeof(sparse->header);
		at = sparse->header.next;
	}
	return true;
}

static int check_region(const struct vp2p_device *dev, unsigned int bar,
			const struct vfio_region_info *info, uint64_t offset,
			uint64_t *length, struct vp2p_error *err)
{
	static const char step[] = "map a BAR";
	int rc;

	if (!info->size || !(info->flags & VFIO_REGION_INFO_FLAG_MMAP))
		return vp2p__fail(err, ENXIO, dev->name, step,
				  "BAR %u is absent or cannot be mapped" MEND
				  "give a memory BAR (vfio-p2p list shows them)", bar);
	rc = check_range(dev->name, step, "BAR", offset, length, info->size, err);
	if (rc)
		return rc;
	if (find_area(info, offset, *length))
		return 0;
	return vp2p__fail(err, EACCES, dev->name, step,
			  "offset %" PRIu64 " and length %" PRIu64 " of BAR %u are not "
			  "within one area that may be mapped (the rest holds the MSI-X "
			  "table)" MEND "map less, and use pread(2) on the device's fd for "
			  "the rest", offset, *length, bar);
}

int vp2p_map_bar(const struct vp2p_device *dev, unsigned int bar, uint64_t offset,
		 uint64_t length, void **addr, struct vp2p_error *err)
{
	struct vfio_region_info *info;
	int prot = 0;
	int rc;

	if (bar > 5)
		return vp2p__fail(err, EINVAL, dev->name, "map a BAR",
				  "there is no BAR %u" MEND "give 0 to 5", bar);
	rc = vp2p__region(dev, VFIO_PCI_BAR0_REGION_INDEX + bar, &info);
	if (rc)
		return vp2p__fail(err, -rc, dev->name, "map a BAR",
				  "VFIO_DEVICE_GET_REGION_INFO of BAR %u failed: %s" MEND
				  "check that the device is still there", bar,
				  strerror(-rc));
	rc = check_region(dev, bar, info, offset, &length, err);
	if (!rc) {
		prot |= info->flags & VFIO_REGION_INFO_FLAG_READ ? PROT_READ : 0;
		prot |= info->flags & VFIO_REGION_INFO_FLAG_WRITE ? PROT_WRITE : 0;
		rc = vp2p__map_fd(dev->fd, info->offset + offset, length, prot, offset,
				  addr);
		if (rc)
			fail_mmap(dev->name, "map a BAR", -rc, length, err);
	}
	free(info);
	return rc;
}

int vp2p_unmap(void *addr, uint64_t length, struct vp2p_error *err)
{
	uint64_t page = page_size();
	int code = EINVAL;

	/* munmap(2) would round the length up. */
	if (vp2p__aligned((uintptr_t)addr, page) && vp2p__aligned(length, page)) {
		if (!munmap(addr, length))
			return 0;
		code = errno;
	}
	return vp2p__fail(err, code, "mapping", "unmap it",
			  "%" PRIu64 " bytes at %p cannot be unmapped: %s" MEND
			  "give an address that vp2p_map() returned and the mapping's length, "
			  "or for a part of it multiples of the page size, %" PRIu64, length,
			  addr, strerror(code), page);
}
