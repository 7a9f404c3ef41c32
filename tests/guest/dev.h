/* SPDX-License-Identifier: MIT */
/*
 * The driver as its tests see it: the raw uAPI of <linux/vfio.h> and
 * <p2p_vfio.h>, one call a function.  It shares nothing with the library that
 * programs use, so that a mistake there cannot hide one here.
 *
 *	static struct dev d;
 *
 *	static void touch(void)
 *	{
 *		char *win;
 *
 *		H_EQ(dev_open(&d, "target"), 0);
 *		win = dev_window(&d, dev_bar(&d), 0, 4 * DEV_MIB2);
 *		H_CHECK(win);
 *		win[0] = 1;
 *		H_EQ(dev_reset(&d), 0);
 *		dev_close(&d);
 *		dev_check_rest("target");
 *	}
 *
 *	static const struct h_case cases[] = { { "touch", touch }, { } };
 *
 *	int main(int argc, char **argv)
 *	{
 *		dev_bind("target", DEV_P2P);
 *		return h_main(argc, argv, cases);
 *	}
 *
 * Functions that return int give 0 or -errno unless they say otherwise; those
 * that return a pointer give NULL with errno set.
 */
#ifndef DEV_H
#define DEV_H

#include <linux/types.h>
#include <linux/vfio.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "uapi/p2p_vfio.h"

#define DEV_P2P "p2p-vfio-pci"
#define DEV_PLAIN "vfio-pci"
#define DEV_MIB2 ((size_t)P2P_VFIO_GRANULE)

#define DEV_MAX_MAPS 64

/*
 * An open device: its container (type1), group, itself, and what is mapped of it.
 * Where DEV_OPEN=cdev is in the environment (it comes from the kernel's command
 * line) it is opened through its character device: then the container is an
 * iommufd, there is no group, and its address space is the iommufd's ioas.
 */
struct dev {
	char bdf[16];
	int container, group, fd;
	bool cdev;
	uint32_t ioas;
	struct {
		void *at;
		size_t length;
	} maps[DEV_MAX_MAPS];
	int n_maps;
};

/*
 * Load a driver and bind the role's device to it, for all cases that follow.
 * Ends the program if it cannot be done: nothing else could be tested.
 * The suite needs "vfio_iommu_type1" and the driver among its modules.
 */
void dev_bind(const char *role, const char *driver);
/* Unbind, bounded: false if it has not ended after some seconds. */
bool dev_unbind(const char *role, unsigned int seconds);

/* A parameter of p2p-vfio-pci, while it is loaded. */
int dev_param(const char *name, const char *value);
/*
 * What windows are made of, 2 MiB and mapped so where it fits, or 4 KiB: a kernel
 * without transparent huge pages (all with PREEMPT_RT are such) has no larger.
 */
size_t dev_folio(void);
bool dev_has_pmd(void);
/* Do new windows get the kernel's pool by a parameter, whatever the driver could do? */
bool dev_standard_provider(void);
/* Pages that hold struct pages, in the whole machine; -1: this kernel does not count them. */
long long dev_memmap_pages(void);

/* Are devices opened through their character devices? */
bool dev_by_cdev(void);
/* The node that is opened: the group's, or the device's own. */
int dev_node(const char *bdf, char *node, size_t n);
/* The latter, whatever is opened; -ENOENT: there is none. */
int dev_cdev(const char *bdf, char *node, size_t n);
int dev_open(struct dev *d, const char *role);
int dev_open_bdf(struct dev *d, const char *bdf);
/* Its fd O_RDONLY: by the character device.  -EOPNOTSUPP: a group gives out no such fd. */
int dev_open_to_read(struct dev *d, const char *role);
/*
 * Another device, where the first is: of the same group, which can be opened only
 * once; or of another, in the same container.  By the character device both are
 * bound to the same iommufd and attached to the same ioas.  The container, and a
 * group that both are in, remain the first one's.
 */
int dev_open_beside(struct dev *d, const struct dev *first, const char *role);
int dev_open_within(struct dev *d, const struct dev *first, const char *role);
/*
 * Unmaps all that the functions below have mapped, too: a mapping keeps the
 * device open.  A mapping of another origin is its maker's affair.
 */
void dev_close(struct dev *d);
/* Unmap one of them now. */
void dev_unmap(struct dev *d, void *at);

/* Regions.  dev_bar: the largest memory BAR that can be mapped, or -1. */
int dev_region(const struct dev *d, unsigned int index, struct vfio_region_info *info);
int dev_bar(const struct dev *d);
uint64_t dev_bar_size(const struct dev *d, unsigned int bar);
bool dev_prefetchable(const struct dev *d, unsigned int bar);
/* The file offset of a region, for pread and pwrite on d->fd. */
off_t dev_region_offset(const struct dev *d, unsigned int index);

/*
 * VFIO_DEVICE_FEATURE: flags is the feature's number and the operation; data is
 * copied behind the header and back.
 */
int dev_feature(const struct dev *d, uint32_t flags, void *data, size_t size);
int dev_window_set(const struct dev *d, unsigned int bar, uint64_t offset, uint64_t length,
		   uint32_t flags, struct p2p_vfio_window *out);
int dev_window_get(const struct dev *d, uint32_t id, uint32_t flags, struct p2p_vfio_window *out);
int dev_state(const struct dev *d, struct p2p_vfio_state *out);
int dev_events(const struct dev *d, int eventfd, uint32_t flags);
/* bdf: of the initiator, as h_pci() gives it. */
int dev_peer(const struct dev *d, const char *bdf, struct p2p_vfio_peer *out);

/*
 * Map length bytes at a cookie, shared, readable and writable, at an address
 * that is skew bytes above a multiple of 2 MiB.
 */
void *dev_map(struct dev *d, uint64_t cookie, size_t length);
void *dev_map_skewed(struct dev *d, uint64_t cookie, size_t length, size_t skew);
/* The ordinary view of a BAR: raw page frames, no struct page. */
void *dev_map_raw(struct dev *d, unsigned int bar, uint64_t offset, size_t length);
/* Register a window and map all of it, uncached; _wc: write-combining. */
void *dev_window(struct dev *d, unsigned int bar, uint64_t offset, size_t length);
void *dev_window_wc(struct dev *d, unsigned int bar, uint64_t offset, size_t length);

/* VFIO_DEVICE_RESET. */
int dev_reset(const struct dev *d);
/* VFIO_DEVICE_PCI_HOT_RESET, by the group that is in d, or by its iommufd. */
int dev_hot_reset(const struct dev *d);

/* What the device itself may reach: of its container, or its ioas. */
int dev_dma_map(const struct dev *d, void *at, uint64_t iova, size_t length);
int dev_dma_unmap(const struct dev *d, uint64_t iova, size_t length);
/* To its ioas; from it and to it again.  By the character device only. */
int dev_attach(const struct dev *d);
int dev_reattach(const struct dev *d);

/* Config space through the fd: bytes done, or -errno. */
ssize_t dev_config_read(const struct dev *d, off_t at, void *buf, size_t n);
ssize_t dev_config_write(const struct dev *d, off_t at, const void *buf, size_t n);
/* The offset of a capability in config space, 0 if there is none. */
unsigned int dev_capability(const struct dev *d, uint8_t id);

/*
 * /sys/bus/pci/devices/BDF/p2p_vfio/: a number by its file's name, or -errno;
 * of "revokes" the line that begins with the cause; the state's name.
 */
long long dev_count(const char *role, const char *name);
long long dev_revokes(const char *role, const char *cause);
bool dev_state_is(const char *role, const char *state);

/*
 * Fails the case unless the closed device is at rest: state closed, no pins,
 * nothing touched.  Pins may go a moment after their I/O.
 */
void dev_check_rest(const char *role);

#endif
