/* SPDX-License-Identifier: MIT */
/*
 * doctor_path.c - from the disk to the BAR
 *
 * Whether there is a route the kernel alone knows, and it is asked if the device is
 * open.  The bridges are looked at as well: they say why, and which one to mend.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doctor.h"
#include "pci_path.h"
#include "sysfs.h"
#include "text.h"

#define ZEN_FAMILY 0x17

/* struct way - the bridges between a disk's controller and the device */
struct way {
	const struct vp2p_peer_info *peer;
	const char *subject;	/* "nvme0 0000:01:00.0" */
	struct pci_path device;
	struct pci_path disk;
	const char *meeting;	/* the lowest common bridge, or NULL */
	const char *redirecting;	/* "0000:02:00.0;0000:02:01.0", or NULL */
	const char *bits;	/* the same with the bits that are set */
	bool unreadable;	/* of some port that counts */
};

static const char *group_type(const char *bdf)
{
	const char *type = attribute_read(device_path(bdf, "iommu_group/type"));

	if (!type)
		return "in no IOMMU group";
	return !strcmp(type, "identity") ? "with physical addresses (identity)" :
					   text("translated (%s)", type);
}

/* The name as the controller has it, without the blanks that fill it up. */
static const char *model_of(const char *folder)
{
	char *model = attribute_read(host_path("%s/model", folder));
	size_t length = model ? strlen(model) : 0;

	while (length && model[length - 1] == ' ')
		model[--length] = '\0';
	return length ? model : "NVMe";
}

static void check_controller(struct findings *findings, const struct way *way)
{
	const char *folder = text("/sys/class/nvme/%s", way->peer->name);
	const char *state = attribute_read(host_path("%s/state", folder));

	if (state && strcmp(state, "live"))
		found(findings, FOUND_FAIL, "controller", way->subject,
		      text("its state is %s", state),
		      "see the kernel log (dmesg); nvme reset, or reseat it");
	else
		found(findings, FOUND_OK, "controller", way->subject,
		      text("%s%s, its DMA is %s", model_of(folder),
			   state ? ", live" : "", group_type(way->peer->bdf)),
		      NULL);
}

static void check_route(const struct doctor *doctor, struct findings *findings,
			const struct way *way)
{
	const struct vp2p_peer_info *peer = way->peer;

	switch (peer->route) {
	case VP2P_ROUTE_NONE:
		found(findings, FOUND_FAIL, "route", way->subject, peer->reason,
		      peer->remedy);
		break;
	case VP2P_ROUTE_UNKNOWN:
		if (doctor->device)
			found(findings, FOUND_UNKNOWN, "route", way->subject,
			      doctor->dev ? peer->reason :
			      "only the kernel knows, and the device is not open "
			      "to ask it", "mend what is said above");
		break;
	default:
		found(findings, FOUND_OK, "route", way->subject,
		      text("%s: %s, distance %d", vp2p_route_name(peer->route),
			   peer->reason, peer->distance), NULL);
	}
}

/* Looks at the ports of one side, up to the meeting point. */
static void look_at_ports(struct way *way, const struct pci_path *side)
{
	const char *bits;
	unsigned int i;

	for (i = 0; i < side->count; i++) {
		const char *bdf = side->bdf[i];

		if (way->meeting && !strcmp(bdf, way->meeting))
			return;
		switch (acs_state(bdf, &bits)) {
		case ACS_REDIRECTS:
			way->bits = text_list(way->bits, text("%s (%s)", bdf,
							      bits + 1));
			way->redirecting = way->redirecting ?
				text("%s;%s", way->redirecting, bdf) : bdf;
			break;
		case ACS_UNKNOWN:
			way->unreadable = true;
			break;
		default:
			break;
		}
	}
}

static bool find_way(struct way *way, const char *device)
{
	int at;

	if (!pci_path_load(device, &way->device) ||
	    !pci_path_load(way->peer->bdf, &way->disk))
		return false;
	at = pci_path_meet(&way->device, &way->disk);
	way->meeting = at < 0 ? NULL : way->device.bdf[at];
	look_at_ports(way, &way->device);
	look_at_ports(way, &way->disk);
	return true;
}

/* Both below one bridge: packets turn round there, if no port below redirects. */
static void check_switch(struct findings *findings, const struct way *way)
{
	if (way->redirecting)
		found(findings, FOUND_WARNING, "bridges", way->subject,
		      text("both are below %s, but ACS sends their packets up to "
			   "the root: %s", way->meeting, way->bits),
		      text("boot with pci=disable_acs_redir=%s, which gives up "
			   "isolation between them; or leave it where the "
			   "host bridge is trusted", way->redirecting));
	else if (way->unreadable && way->peer->route != VP2P_ROUTE_SWITCH)
		found(findings, FOUND_UNKNOWN, "bridges", way->subject,
		      text("both are below %s; whether ACS redirects only root "
			   "can read", way->meeting), "run as root");
	else
		found(findings, FOUND_OK, "bridges", way->subject,
		      text("both are below %s, and no port redirects",
			   way->meeting), NULL);
}

static void check_apart(struct findings *findings, const struct way *way)
{
	found(findings, FOUND_OK, "bridges", way->subject,
	      text("no common switch: %s of %s and %s of %s%s%s",
		   way->disk.bdf[way->disk.count - 1], way->disk.root,
		   way->device.bdf[way->device.count - 1], way->device.root,
		   way->bits ? "; ACS redirects at " : "",
		   way->bits ? way->bits : ""), NULL);
}

/* The first value of @key in /proc/cpuinfo, or "". */
static const char *cpu_info(const char *key)
{
	FILE *file = fopen(host_path("/proc/cpuinfo"), "re");
	const char *value = "";
	char line[256];

	while (file && !*value && fgets(line, sizeof(line), file)) {
		const char *colon = strchr(line, ':');

		if (colon && !strncmp(line, key, strlen(key)) &&
		    strchr("\t :", line[strlen(key)]))
			value = text("%.*s", (int)strcspn(colon + 1, "\n"),
				     colon + 1);
	}
	if (file)
		fclose(file);
	return value + strspn(value, " ");
}

/* What the kernel's list would have: the first device of the root bus. */
static const char *bridge_ids(const struct pci_path *path)
{
	const char *bus = path->root + strlen("pci");
	const struct device *bridge;

	if (strlen(path->root) < strlen("pci0000:00"))
		return "of unknown kind";
	bridge = device_load(text("%s:00.0", bus));
	return bridge ? text("%04x:%04x", bridge->vendor, bridge->product) :
			"of unknown kind";
}

static void check_host_bridge(struct findings *findings, const struct way *way)
{
	bool zen = !strcmp(cpu_info("vendor_id"), "AuthenticAMD") &&
		   atoi(cpu_info("cpu family")) >= ZEN_FAMILY;
	const char *bridge = text("%s, CPU %s family %s", bridge_ids(&way->device),
				  cpu_info("vendor_id"), cpu_info("cpu family"));
	const char *subject = way->device.root;

	if (zen)
		found(findings, FOUND_OK, "host-bridge", subject,
		      text("%s: the kernel trusts Zen and newer", bridge), NULL);
	else if (way->peer->route == VP2P_ROUTE_HOST_BRIDGE)
		found(findings, FOUND_OK, "host-bridge", subject,
		      text("%s: the kernel lists it", bridge), NULL);
	else if (way->peer->route == VP2P_ROUTE_NONE)
		found(findings, FOUND_FAIL, "host-bridge", subject,
		      text("%s: the kernel does not trust it with peer-to-peer "
			   "DMA", bridge),
		      "put disk and device below one PCIe switch");
	else
		found(findings, FOUND_UNKNOWN, "host-bridge", subject,
		      text("%s: whether it is on the kernel's list only the "
			   "kernel can tell", bridge),
		      "bind the device and run doctor as root");
}

static void check_bridges(struct doctor *doctor, struct way *way)
{
	struct findings *findings = &doctor->findings;

	if (!find_way(way, doctor->device->bdf)) {
		found(findings, FOUND_UNKNOWN, "bridges", way->subject,
		      "sysfs does not show the way between the two",
		      "mount /sys");
		return;
	}
	if (way->meeting)
		check_switch(findings, way);
	else
		check_apart(findings, way);
	if (!way->meeting || way->redirecting)
		check_host_bridge(findings, way);
}

static void check_member(struct doctor *doctor, const struct vp2p_peer_info *peer)
{
	struct way way = {
		.peer = peer,
		.subject = text("%s (%s)", peer->path, peer->bdf),
	};

	check_controller(&doctor->findings, &way);
	check_route(doctor, &doctor->findings, &way);
	if (doctor->device)
		check_bridges(doctor, &way);
}

/* A layer that refuses, or a disk that is no PCI device of this machine. */
static void check_layer(struct findings *findings,
			const struct vp2p_peer_info *peer)
{
	if (peer->route == VP2P_ROUTE_NONE)
		found(findings, FOUND_FAIL, "layer", peer->path, peer->reason,
		      peer->remedy);
	else
		found(findings, FOUND_UNKNOWN, "layer", peer->path, peer->reason,
		      *peer->remedy ? peer->remedy :
		      "give --file and see the proof");
}

void doctor_path(struct doctor *doctor)
{
	struct storage *storage = &doctor->storage;
	const struct vp2p_peer_list *list;
	size_t i;

	if (storage->fd < 0 ||
	    vp2p_peer_for_fd(doctor->dev, storage->fd, &storage->peers, NULL))
		return;
	list = storage->peers;
	for (i = 0; i < list->count; i++) {
		const struct vp2p_peer_info *peer = &list->peer[i];

		if (*peer->bdf)
			check_member(doctor, peer);
		else if (strcmp(peer->name, list->fs))
			check_layer(&doctor->findings, peer);
	}
}
