/* SPDX-License-Identifier: MIT */
/* bench_conditions.h - under what the figures were taken */
#ifndef BENCH_CONDITIONS_H
#define BENCH_CONDITIONS_H

#include <vfio-p2p.h>

#include "bench.h"

/** conditions_find() - fill in what sysfs, /proc and the driver tell. */
void conditions_find(struct bench_conditions *conditions, const char *bdf,
		     const struct vp2p_window *win);

#endif /* BENCH_CONDITIONS_H */
