// SPDX-License-Identifier: MIT
/*
 * peer.c - which PCI devices would do the DMA for a file, and by which route
 *
 * The route is the kernel's answer; the walk to the devices is sysfs'.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "file.h"
#include "internal.h"
#include "peer.h"

_Static_assert((int)VP2P_ROUTE_SWITCH == (int)P2P_VFIO_ROUTE_SWITCH, "same routes");
_Static_assert((int)VP2P_ROUTE_HOST_BRIDGE == (int)P2P_VFIO_ROUTE_HOST_BRIDGE,
	       "same routes");

const char *vp2p_route_name(unsigned int route)
{
	static const char *const names[] = {
		[VP2P_ROUTE_NONE] = "none",
		[VP2P_ROUTE_SWITCH] = "switch",
		[VP2P_ROUTE_HOST_BRIDGE] = "host-bridge",
	};

	return route < VP2P_ROUTE_UNKNOWN ? names[route] : "unknown";
}

static void describe_route(struct vp2p_peer_info *info)
{
	switch (info->route) {
	case VP2P_ROUTE_SWITCH:
		snprintf(info->reason, sizeof(info->reason),
			 "by bus address, inside a PCIe switch");
		break;
	case VP2P_ROUTE_HOST_BRIDGE:
		snprintf(info->reason, sizeof(info->reason),
			 "through a host bridge that the kernel trusts with it");
		break;
	case VP2P_ROUTE_NONE:
		snprintf(info->reason, sizeof(info->reason),
			 "the kernel knows no way: the two devices share no PCIe switch, and "
			 "their host bridge is not on its list, or ACS redirects");
		snprintf(info->remedy, sizeof(info->remedy),
			 "put both below one PCIe switch with ACS redirection off (boot "
			 "parameter pci=disable_acs_redir=), or use a platform whose host "
			 "bridge the kernel lists");
		break;
	default:
		snprintf(info->reason, sizeof(info->reason), "the route was not asked for");
	}
}

/* 0 or -errno; @info keeps its name and path. */
static int ask_kernel(const struct vp2p_device *dev, const struct vp2p__bdf *bdf,
		      struct vp2p_peer_info *info)
{
	struct p2p_vfio_peer peer = {
		.domain = bdf->domain, .bus = bdf->bus, .devfn = bdf->devfn,
	};
	int rc = vp2p__feature(dev->fd,
			       VFIO_DEVICE_FEATURE_GET | P2P_VFIO_FEATURE_PEER,
			       &peer, sizeof(peer));

	if (rc)
		return rc;
	vp2p__bdf_print(bdf, info->bdf);
	info->route = peer.route;
	info->distance = peer.route == P2P_VFIO_ROUTE_NONE ? -1 : peer.distance;
	describe_route(info);
	return 0;
}

int vp2p_peer(const struct vp2p_device *dev, const char *bdf,
	      struct vp2p_peer_info *info, struct vp2p_error *err)
{
	static const char step[] = "ask for the route";
	struct vp2p_peer_info result = { 0 };
	char full[VP2P_BDF_LEN];
	struct vp2p__bdf parsed;
	int rc;

	rc = vp2p_bdf_normalize(bdf, full, err);
	if (rc)
		return rc;
	vp2p__bdf_parse(full, &parsed);
	snprintf(result.name, sizeof(result.name), "%s", full);
	snprintf(result.path, sizeof(result.path), "%s", full);
	rc = ask_kernel(dev, &parsed, &result);
	if (rc == -ENODEV)
		return vp2p__fail(err, ENXIO, dev->name, step,
				  "there is no PCI device %s" MEND
				  "list the devices with: lspci -D", full);
	if (rc)
		return vp2p__fail(err, -rc, dev->name, step,
				  "the driver refused to tell about %s: %s" MEND
				  "check that the device is still there", full, strerror(-rc));
	*info = result;
	return 0;
}

static void add_routes(const struct vp2p_device *dev, struct vp2p_peer_list *list)
{
	struct vp2p__bdf bdf;

	for (size_t i = 0; i < list->count; i++) {
		struct vp2p_peer_info *peer = &list->peer[i];
		int rc;

		if (!peer->bdf[0] || !vp2p__bdf_parse(peer->bdf, &bdf))
			continue;
		rc = ask_kernel(dev, &bdf, peer);
		if (rc)
			snprintf(peer->reason, sizeof(peer->reason),
				 "the driver did not tell the route: %s", strerror(-rc));
	}
}

static int usable(const struct vp2p_peer_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->peer[i].route == VP2P_ROUTE_NONE)
			return 0;
	return 1;
}

static const struct vp2p__fs {
	uint64_t magic;
	const char *name;
	const char *reason;	/* NULL: direct I/O goes straight to the disk */
} file_systems[] = {
	{ VP2P__MAGIC_EXT4, "ext4", NULL },
	{ VP2P__MAGIC_XFS, "xfs", NULL },
	{ VP2P__MAGIC_F2FS, "f2fs", NULL },
	{ 0x9123683e, "btrfs", "btrfs checksums or compresses with the CPU" },
	{ 0x2fc12fc1, "zfs", "zfs checksums with the CPU" },
	{ 0x01021994, "tmpfs", "tmpfs is memory; the CPU copies" },
	{ 0x858458f6, "ramfs", "ramfs is memory; the CPU copies" },
	{ 0x958458f6, "hugetlbfs", "hugetlbfs is memory; the CPU copies" },
	{ 0x6969, "nfs", "whether a mount takes peer-to-peer memory only a try tells" },
	{ 0xff534d42, "cifs", "cifs copies with the CPU" },
	{ 0xfe534d42, "smb3", "smb3 copies with the CPU" },
	{ 0x00c36400, "ceph", "ceph copies with the CPU" },
	{ 0x01021997, "9p", "9p copies with the CPU" },
	{ 0x65735546, "fuse", "fuse hands the data to a server process" },
	{ VP2P__MAGIC_OVERLAY, "overlay", NULL },
	{ 0x9fa0, "proc", "proc has no disk" },
	{ 0x62656572, "sysfs", "sysfs has no disk" },
};

static const struct vp2p__fs *find_fs(uint64_t magic)
{
	static const struct vp2p__fs unknown = { 0, "unknown", NULL };

	for (size_t i = 0; i < sizeof(file_systems) / sizeof(file_systems[0]); i++)
		if (file_systems[i].magic == magic)
			return &file_systems[i];
	return &unknown;
}

/* An entry about the file system itself. */
static int add_fs(struct vp2p__peers *peers, const char *name, uint32_t route,
		  const char *reason, const char *remedy)
{
	struct vp2p_peer_info *peer = vp2p__peer_add(peers, name, name);

	if (!peer)
		return -ENOMEM;
	peer->route = route;
	snprintf(peer->reason, sizeof(peer->reason), "%s", reason);
	snprintf(peer->remedy, sizeof(peer->remedy), "%s", remedy);
	return 0;
}

/* A file system without a disk of its own in sysfs, or one that copies. */
static int collect_fs(struct vp2p__peers *peers, const struct vp2p__fs *fs)
{
	if (!strcmp(fs->name, "overlay"))
		return add_fs(peers, fs->name, VP2P_ROUTE_UNKNOWN,
			      "an overlay does not tell which disk the file lies on",
			      "name the file by its path in the lower or upper directory");
	if (!strcmp(fs->name, "nfs"))
		return add_fs(peers, fs->name, VP2P_ROUTE_UNKNOWN, fs->reason,
			      "try it: vfio-p2p doctor DEVICE:BAR --file FILE");
	return add_fs(peers, fs->name, VP2P_ROUTE_NONE,
		      fs->reason ? fs->reason : "the file system names no disk of its own",
		      "put the file on ext4 or xfs on an NVMe disk");
}

int vp2p__peer_collect(struct vp2p__peers *peers, const struct vp2p__where *where)
{
	const struct vp2p__fs *fs = find_fs(where->fs_magic);
	const char *fs_name = where->is_block ? "block" : fs->name;
	char name[64], path[160];
	int rc;

	snprintf(peers->list->fs, sizeof(peers->list->fs), "%s", fs_name);
	if (!where->is_block && fs->reason)
		return collect_fs(peers, fs);
	if (vp2p__link_name(name, sizeof(name), "/sys/dev/block/%u:%u",
			    major(where->disk), minor(where->disk)))
		return collect_fs(peers, fs);
	if (where->no_dio) {
		rc = add_fs(peers, fs_name, VP2P_ROUTE_NONE,
			    "the file system does no direct I/O on this file (data=journal, "
			    "encryption, verity or inline data)",
			    "mount with data=ordered, or use a file without these");
		if (rc)
			return rc;
	}
	vp2p__whole_disk(name, peers->list->disk, sizeof(peers->list->disk));
	if (where->is_block)
		snprintf(path, sizeof(path), "%s", name);
	else
		snprintf(path, sizeof(path), "%s > %s", fs_name, name);
	return vp2p__walk(peers, name, path, 0);
}

static int locate(int fd, struct vp2p__where *where, struct vp2p_error *err)
{
	struct vp2p__dio dio;
	struct statfs fs;
	struct stat st;
	char file[64];

	vp2p__file_name(fd, file, sizeof(file));
	if (fstat(fd, &st) || fstatfs(fd, &fs))
		return vp2p__fail(err, errno, file, "find the file's disk",
				  "fd %d: %s" MEND "give an open file", fd,
				  strerror(errno));
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode) && !S_ISBLK(st.st_mode))
		return vp2p__fail(err, EOPNOTSUPP, file, "find the file's disk",
				  "it is neither a regular file nor a directory nor a block "
				  "device" MEND "give one of these");
	where->is_block = S_ISBLK(st.st_mode);
	where->disk = where->is_block ? st.st_rdev : st.st_dev;
	where->fs_magic = (uint64_t)fs.f_type & 0xffffffff;
	where->no_dio = S_ISREG(st.st_mode) &&
			vp2p__dio_query(fd, &dio) == -EOPNOTSUPP;
	return 0;
}

int vp2p_peer_for_fd(const struct vp2p_device *dev, int file_fd,
		     struct vp2p_peer_list **out, struct vp2p_error *err)
{
	struct vp2p__where where = { 0 };
	struct vp2p__peers peers = { 0 };
	int rc;

	rc = locate(file_fd, &where, err);
	if (rc)
		return rc;
	peers.list = calloc(1, sizeof(*peers.list));
	rc = peers.list ? vp2p__peer_collect(&peers, &where) : -ENOMEM;
	if (rc) {
		vp2p_peer_list_free(peers.list);
		return vp2p__fail(err, -rc, "file", "find the file's disk",
				  "%s" MEND "free some memory", strerror(-rc));
	}
	if (dev)
		add_routes(dev, peers.list);
	peers.list->usable = usable(peers.list);
	*out = peers.list;
	return 0;
}

void vp2p_peer_list_free(struct vp2p_peer_list *list)
{
	if (!list)
		return;
	free(list->peer);
	free(list);
}
