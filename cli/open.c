/* SPDX-License-Identifier: MIT */
/* open.c - the device, opened the way the user wants */
#include "open.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VARIABLE "VFIO_P2P_OPEN"

static int flags_of(const char *way)
{
	if (!way || !*way)
		return 0;
	if (!strcmp(way, "group"))
		return VP2P_OPEN_GROUP;
	if (!strcmp(way, "cdev"))
		return VP2P_OPEN_CDEV;
	return -EINVAL;
}

int open_device(const char *bdf, struct vp2p_device **dev, struct vp2p_error *err)
{
	const char *way = getenv(VARIABLE);
	int flags = flags_of(way);

	if (flags >= 0)
		return vp2p_open(bdf, flags, dev, err);
	*err = (struct vp2p_error){
		.code = EINVAL,
		.step = "open the device",
		.remedy = "set it to group or cdev, or unset it",
	};
	snprintf(err->device, sizeof(err->device), "%s", bdf);
	snprintf(err->cause, sizeof(err->cause),
		 "the environment variable " VARIABLE " is '%.64s'", way);
	return flags;
}
