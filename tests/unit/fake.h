/* SPDX-License-Identifier: MIT */
/*
 * fake.h - a VFIO device that is not there
 *
 * fake_install() replaces the library's open and ioctl.  Nodes below /dev open as
 * long as the recorded tree has them; the device's memory is a memfd, so mappings
 * of windows are real.  The tests set what it shall answer.
 */
#ifndef FAKE_H
#define FAKE_H

#include <stdbool.h>

#include "../../lib/internal.h"

#define FAKE_BAR_SIZE	(16u << 20)	/* of BAR 2, prefetchable */

struct fake {
	/* Answers, as positive errno values; 0 succeeds. */
	int open_errno;		/* of the node that ends in open_node */
	const char *open_node;
	bool not_viable;
	int set_iommu_errno;
	int device_fd_errno;	/* GET_DEVICE_FD and BIND_IOMMUFD */
	int info_errno;
	int probe_errno;
	int window_set_errno;
	int window_get_errno;
	int unregister_errno;
	int populate_errno;
	int export_errno;
	int events_errno;
	int peer_errno;
	int reset_errno;
	int hot_info_errno;
	int hot_reset_errno;
	int state_errno;

	struct p2p_vfio_state state;
	struct p2p_vfio_peer peer;
	unsigned int no_route_bus;	/* from there the answer is "none"; 0: nowhere */
	/* Called after each answer about the state, with the number of the look. */
	void (*after_look)(int look);
	int looks;

	struct p2p_vfio_window windows[P2P_VFIO_MAX_WINDOWS];	/* length 0: none */
	unsigned int n_windows;
	struct p2p_vfio_populate populate;	/* the last one asked for */
	struct p2p_vfio_export export;	/* the same */

	/* What a hot reset takes, and what the last one was given. */
	struct vfio_pci_dependent_device affected[3];
	uint32_t n_affected;
	uint32_t hot_flags;
	uint32_t hot_count;
	int32_t hot_fd;
	int hot_resets;

	int eventfd;		/* the last one added, -1 when removed */
	int events_added;
	int bound;		/* BIND_IOMMUFD calls */
	int memory;		/* memfd */
};

extern struct fake fake;

/* All answers good, one live device. */
void fake_install(void);
/* An attached device with an address and no windows. */
struct vp2p_device *fake_device(void);
void fake_signal(void);

/* Around changes of the above while other threads use the device. */
void fake_lock(void);
void fake_unlock(void);

#endif /* FAKE_H */
