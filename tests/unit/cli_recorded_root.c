// SPDX-License-Identifier: MIT
/*
 * cli_recorded_root.c - the tool on a recorded machine: the directory that
 * VFIO_P2P_ROOT names is put before every absolute path.  Stands for cli/root.c.
 */
#include <stdlib.h>

#include "sysfs.h"

const char *host_root(void)
{
	const char *directory = getenv("VFIO_P2P_ROOT");

	return directory ? directory : "";
}
