// SPDX-License-Identifier: MIT
/*
 * block.c - from a block device's name to the NVMe controllers below it
 *
 *	nvme0n1p2 -> nvme0n1 -> nvme0 -> 0000:01:00.0
 *	md0 -> nvme0n1p2 -> ...
 *	    -> nvme1n1p2 -> ...
 *	nvme1n1 (multipath) -> nvme1c1n1 -> nvme1
 *			    -> nvme1c2n1 -> nvme2
 *
 * A layer may refuse although all of its members could: the block layer lets
 * peer-to-peer pages pass only where every queue on the way has said that it
 * passes them on.  NVMe does, its multipath and md's raid0, 1 and 10 do if all of
 * their members do (Linux 7.2 and 7.3), the device mapper does not.  The members of a
 * layer that refuses are listed all the same, each with its own verdict.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/* Stacks deeper than this are a loop. */
#define MAX_DEPTH	16

struct vp2p_peer_info *vp2p__peer_add(struct vp2p__peers *peers, const char *name,
				      const char *path)
{
	struct vp2p_peer_list *list = peers->list;
	struct vp2p_peer_info *peer;

	if (list->count == peers->room) {
		size_t room = peers->room ? 2 * peers->room : 4;

		peer = realloc(list->peer, room * sizeof(*peer));
		if (!peer)
			return NULL;
		list->peer = peer;
		peers->room = room;
	}
	peer = &list->peer[list->count++];
	memset(peer, 0, sizeof(*peer));
	snprintf(peer->name, sizeof(peer->name), "%s", name);
	snprintf(peer->path, sizeof(peer->path), "%s", path);
	peer->distance = -1;
	return peer;
}

static int add_refusal(struct vp2p__peers *peers, const char *name, const char *path,
		       const char *reason, const char *remedy)
{
	struct vp2p_peer_info *peer = vp2p__peer_add(peers, name, path);

	if (!peer)
		return -ENOMEM;
	peer->route = VP2P_ROUTE_NONE;
	snprintf(peer->reason, sizeof(peer->reason), "%s", reason);
	snprintf(peer->remedy, sizeof(peer->remedy), "%s", remedy);
	return 0;
}

/* "a > b" and "c": "a > b > c"; one that grows too long ends in "...". */
static void path_join(char *buf, size_t size, const char *path, const char *name)
{
	if (snprintf(buf, size, "%s > %s", path, name) >= (int)size)
		memcpy(buf + size - 4, "...", 4);
}

static int add_controller(struct vp2p__peers *peers, const char *ctrl,
			  const char *path)
{
	struct vp2p_peer_info *peer;
	char transport[32], link[64], down[160];

	path_join(down, sizeof(down), path, ctrl);
	if (vp2p__read_line(transport, sizeof(transport), "/sys/class/nvme/%s/transport",
			    ctrl))
		snprintf(transport, sizeof(transport), "unknown transport");
	if (strcmp(transport, "pcie") && strcmp(transport, "rdma")) {
		char reason[128];

		snprintf(reason, sizeof(reason), "%s is reached over %s, where the CPU "
			 "copies", ctrl, transport);
		return add_refusal(peers, ctrl, down, reason,
				   "put the file on an NVMe disk in a PCIe slot");
	}

	peer = vp2p__peer_add(peers, ctrl, down);
	if (!peer)
		return -ENOMEM;
	peer->route = VP2P_ROUTE_UNKNOWN;
	if (!strcmp(transport, "rdma")) {
		snprintf(peer->reason, sizeof(peer->reason), "%s is reached over RDMA: the "
			 "network adapter does the DMA, its route was not asked for", ctrl);
		return 0;
	}
	snprintf(peer->reason, sizeof(peer->reason), "the route was not asked for");
	if (!vp2p__link_name(link, sizeof(link), "/sys/class/nvme/%s/device", ctrl))
		vp2p_bdf_normalize(link, peer->bdf, NULL);
	return 0;
}

/* A path of multipath disk nvmeXnZ through controller Y is named nvmeXcYnZ. */
static bool has_path(const char *ctrl, const char *disk)
{
	unsigned int subsys, ns, instance;

	return sscanf(disk, "nvme%un%u", &subsys, &ns) == 2 &&
	       sscanf(ctrl, "nvme%u", &instance) == 1 &&
	       vp2p__exists("/sys/class/nvme/%s/nvme%uc%un%u", ctrl, subsys, instance,
			    ns);
}

static int walk_multipath(struct vp2p__peers *peers, const char *disk,
			  const char *subsys, const char *path)
{
	struct vp2p__names names;
	int paths = 0, rc = 0;

	vp2p__list(&names, "/sys/class/nvme-subsystem/%s", subsys);
	for (int i = 0; i < names.count && !rc; i++) {
		if (!has_path(vp2p__name(&names, i), disk))
			continue;
		paths++;
		rc = add_controller(peers, vp2p__name(&names, i), path);
	}
	vp2p__list_free(&names);
	if (rc || paths)
		return rc;
	return add_refusal(peers, disk, path, "no path of this multipath disk is up",
			   "reconnect it; nvme list-subsys shows its paths");
}

static int walk_members(struct vp2p__peers *peers, const char *name, const char *path,
			int depth)
{
	struct vp2p__names names;
	char down[160];
	int rc = 0;

	vp2p__list(&names, "/sys/class/block/%s/slaves", name);
	for (int i = 0; i < names.count && !rc; i++) {
		path_join(down, sizeof(down), path, vp2p__name(&names, i));
		rc = vp2p__walk(peers, vp2p__name(&names, i), down, depth + 1);
	}
	if (!rc && !names.count)
		rc = add_refusal(peers, name, path, "it has no members",
				 "assemble the array or activate the volume");
	vp2p__list_free(&names);
	return rc;
}

static int walk_md(struct vp2p__peers *peers, const char *name, const char *level,
		   const char *path, int depth)
{
	char reason[128];
	int rc = 0;

	if (strcmp(level, "raid0") && strcmp(level, "raid1") && strcmp(level, "raid10")) {
		snprintf(reason, sizeof(reason), "%s is an md %.32s array, which does not "
			 "pass peer-to-peer DMA on", name, level[0] ? level : "(inactive)");
		rc = add_refusal(peers, name, path, reason,
				 "put the file on a raid0, raid1 or raid10 array of NVMe "
				 "disks, or on one disk");
	}
	return rc ? rc : walk_members(peers, name, path, depth);
}

/* "CRYPT-LUKS2-...", "LVM-...": what kind of mapping it is. */
static int walk_dm(struct vp2p__peers *peers, const char *name, const char *uuid,
		   const char *path, int depth)
{
	char reason[128];
	int rc;

	snprintf(reason, sizeof(reason), "%s is a device mapper volume (%.*s), which does "
		 "not pass peer-to-peer DMA on", name,
		 uuid[0] ? (int)strcspn(uuid, "-") : 7, uuid[0] ? uuid : "unnamed");
	rc = add_refusal(peers, name, path, reason,
			 "put the file on a partition of an NVMe disk, without LVM, dm-crypt "
			 "or dm-multipath in between");
	return rc ? rc : walk_members(peers, name, path, depth);
}

static int add_loop(struct vp2p__peers *peers, const char *name, const char *file,
		    const char *path)
{
	char reason[192];

	snprintf(reason, sizeof(reason), "%s is a loop device, which copies to and from %s",
		 name, file);
	return add_refusal(peers, name, path, reason,
			   "use the file on its own, or mount its disk, without the loop "
			   "device");
}

static int add_other(struct vp2p__peers *peers, const char *name, const char *path)
{
	char driver[64], reason[128];

	if (vp2p__link_name(driver, sizeof(driver), "/sys/class/block/%s/device/driver",
			    name))
		snprintf(driver, sizeof(driver), "%.*s",
			 (int)strcspn(name, "0123456789"), name);
	snprintf(reason, sizeof(reason), "the disk driver %s does not take peer-to-peer "
		 "memory", driver);
	return add_refusal(peers, name, path, reason,
			   "put the file on an NVMe disk in a PCIe slot");
}

void vp2p__whole_disk(const char *name, char *disk, size_t size)
{
	char target[PATH_MAX], *slash;

	snprintf(disk, size, "%s", name);
	if (!vp2p__exists("/sys/class/block/%s/partition", name) ||
	    vp2p__link_target(target, sizeof(target), "/sys/class/block/%s", name))
		return;

	/* ".../block/sda/sda1": the disk is the parent directory. */
	slash = strrchr(target, '/');
	if (!slash)
		return;
	*slash = '\0';
	slash = strrchr(target, '/');
	if (slash)
		snprintf(disk, size, "%s", slash + 1);
}

static int walk_disk(struct vp2p__peers *peers, const char *disk, const char *path,
		     int depth)
{
	char text[128];

	if (!vp2p__read_line(text, sizeof(text), "/sys/class/block/%s/md/level", disk))
		return walk_md(peers, disk, text, path, depth);
	if (!vp2p__read_line(text, sizeof(text), "/sys/class/block/%s/dm/uuid", disk))
		return walk_dm(peers, disk, text, path, depth);
	if (!vp2p__read_line(text, sizeof(text), "/sys/class/block/%s/loop/backing_file", disk))
		return add_loop(peers, disk, text, path);
	if (strncmp(disk, "nvme", 4) ||
	    vp2p__link_name(text, sizeof(text), "/sys/class/block/%s/device", disk))
		return add_other(peers, disk, path);
	if (!strncmp(text, "nvme-subsys", strlen("nvme-subsys")))
		return walk_multipath(peers, disk, text, path);
	return add_controller(peers, text, path);
}

int vp2p__walk(struct vp2p__peers *peers, const char *name, const char *path, int depth)
{
	char disk[64], down[160];

	if (depth > MAX_DEPTH)
		return add_refusal(peers, name, path, "it is stacked too deeply",
				   "put the file on fewer layers");
	vp2p__whole_disk(name, disk, sizeof(disk));
	if (!strcmp(disk, name))
		return walk_disk(peers, disk, path, depth);
	path_join(down, sizeof(down), path, disk);
	return walk_disk(peers, disk, down, depth);
}
