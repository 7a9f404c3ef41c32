/* SPDX-License-Identifier: MIT */
/* bounce.h - a copy through host RAM: several pieces in flight, each in its buffer */
#ifndef VP2P_BOUNCE_H
#define VP2P_BOUNCE_H

#include <stdint.h>

#include "file.h"

struct vp2p__bounce;

/**
 * struct vp2p__bounce_job - what does not change during the copy
 * @file: @plain is needed; @direct is used where it is not -1.
 * @view: the copy's first byte in the window, as the CPU reaches it.
 * @file_offset: of the copy's first byte.
 * @to_file: the direction.
 * @chunk: bytes of a piece as asked for, 0: VP2P__PIECE.
 * @depth: how many pieces are in flight, 0: VP2P__DEPTH.
 * @in_time: called about once a second while pieces are under way, with the position
 *	of the copy up to which all is in place; false has those that wait for the device
 *	given up, which then answer -EFAULT.
 */
struct vp2p__bounce_job {
	const struct vp2p__file *file;
	char *view;
	uint64_t file_offset;
	bool to_file;
	uint64_t chunk;
	unsigned int depth;
	bool (*in_time)(void *ctx, uint64_t pos);
	void *ctx;
};

#define VP2P__PIECE	(UINT64_C(1) << 20)
#define VP2P__PIECE_MAX	(UINT64_C(64) << 20)
#define VP2P__DEPTH	4
#define VP2P__DEPTH_MAX	64

/* Buffers and threads; 0 or -errno. */
int vp2p__bounce_start(const struct vp2p__bounce_job *job, struct vp2p__bounce **bounce);
/* How many bytes to hand to vp2p__bounce_move() at a time. */
uint64_t vp2p__bounce_batch(const struct vp2p__bounce *bounce);
/*
 * Moves up to @length bytes from position @pos of the copy on.  Returns how many
 * are in place from there on without a gap, or -errno if none is.
 */
int64_t vp2p__bounce_move(struct vp2p__bounce *bounce, uint64_t pos, uint64_t length);
/* @bounce may be NULL. */
void vp2p__bounce_stop(struct vp2p__bounce *bounce);

#endif /* VP2P_BOUNCE_H */
