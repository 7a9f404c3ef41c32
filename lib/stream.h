/* SPDX-License-Identifier: MIT */
/* stream.h - the ways to copy between host RAM and device memory, for the tests */
#ifndef VP2P_STREAM_H
#define VP2P_STREAM_H

#include <stdbool.h>
#include <stddef.h>

/** struct vp2p__stream - one way to copy; any alignment, any size */
struct vp2p__stream {
	const char *name;	/* "AVX2" */
	bool (*supported)(void);
	/* Ordered before whatever the caller does next. */
	void (*to_device)(void *device, const void *ram, size_t size);
	void (*from_device)(void *ram, const void *device, size_t size);
};

/* All ways, best first; NULL beyond the last. */
const struct vp2p__stream *vp2p__stream_at(unsigned int index);

#endif /* VP2P_STREAM_H */
