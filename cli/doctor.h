/* SPDX-License-Identifier: MIT */
/*
 * doctor.h - what the parts of "vfio-p2p doctor" share
 *
 * The parts, in the order of a run: each looks at one stretch of the way between a
 * file and a BAR, and says what it has found.
 *
 *	doctor_kernel.c		kernel and module
 *	doctor_device.c		the device: driver, IOMMU group, siblings, access
 *	doctor_bar.c		its BARs
 *	doctor_file.c		from the path to its mount: direct I/O
 *	doctor_path.c		from the disk to the BAR: members, routes, bridges
 *	doctor_proof.c		4 KiB there and back, compared
 */
#ifndef DOCTOR_H
#define DOCTOR_H

#include <stdbool.h>
#include <stdint.h>
#include <vfio-p2p.h>

#include "device.h"
#include "findings.h"
#include "mounts.h"
#include "parse.h"

/** enum storage_kind - how the storage was named */
enum storage_kind { NO_STORAGE, STORAGE_FILE, STORAGE_MOUNT, STORAGE_DISK };

/** struct doctor_args - the command line */
struct doctor_args {
	const char *device;	/* as it was written, or NULL */
	struct place place;	/* the device; its BAR and offset if @bar_given */
	bool bar_given;
	enum storage_kind kind;
	const char *path;
	bool no_write;
	bool no_open;
	bool json;
};

/**
 * struct storage - the file side
 * @fd: O_PATH; -1 if there is none.
 * @scratch: a file without a name beside it, open for direct I/O; or -1.
 * @mount: its row in the table of mounts, or NULL.
 */
struct storage {
	int fd;
	int scratch;
	const struct mount_row *mount;
	struct vp2p_peer_list *peers;
};

/** enum proof - what the round trip has shown */
enum proof { NOT_PROVEN, PROVEN, DISPROVEN };

/** struct doctor - one run */
struct doctor {
	struct doctor_args args;
	struct findings findings;
	const struct device *device;	/* NULL if none is looked at */
	bool usable;			/* the device could be opened */
	bool busy;			/* somebody else has it open */
	struct storage storage;
	struct vp2p_device *dev;
	enum proof proof;
};

/** doctor_kernel() - the running kernel, and the module */
void doctor_kernel(struct doctor *doctor);

/** doctor_device() - everything but the BARs; sets @usable and @busy */
void doctor_device(struct doctor *doctor);

/** doctor_bars() - one BAR or all; fills in the place of the proof. */
void doctor_bars(struct doctor *doctor);

/**
 * doctor_open() - open the device, which resets it
 *
 * Only if nothing that was found speaks against it.  @dev stays NULL otherwise.
 */
void doctor_open(struct doctor *doctor);

/** doctor_file() - the path, its mount, direct I/O; sets up @storage */
void doctor_file(struct doctor *doctor);

/** doctor_path() - everything below the file system */
void doctor_path(struct doctor *doctor);

/** doctor_proof() - the round trip, if it can be tried */
void doctor_proof(struct doctor *doctor);

#endif /* DOCTOR_H */
