/* SPDX-License-Identifier: MIT */
/*
 * root.c - the machine itself, not a recorded one
 *
 * Linked into the installed tool.  The tests link cli_recorded_root.c instead, which
 * takes a directory from the environment: what runs as root must not.
 */
#include "sysfs.h"

const char *host_root(void)
{
	return "";
}
