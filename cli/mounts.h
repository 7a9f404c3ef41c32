/* SPDX-License-Identifier: MIT */
/* mounts.h - what is mounted where, out of /proc/self/mountinfo */
#ifndef MOUNTS_H
#define MOUNTS_H

#include <stdint.h>

/** struct mount_row - one mount; all strings last as long as the process */
struct mount_row {
	uint64_t id;		/* as statx(2) tells it */
	const char *number;	/* device number "259:3"; btrfs makes up its own */
	const char *point;
	const char *options;	/* of this mount: "rw,relatime" */
	const char *type;
	const char *source;	/* "/dev/nvme0n1p3" */
	const char *fs_options;	/* of the file system: "rw,data=journal" */
};

/** mounts_load() - Return: an array that a row with @point NULL ends. */
const struct mount_row *mounts_load(void);

/** mounts_find() - the row of a mount's id; NULL if there is none. */
const struct mount_row *mounts_find(uint64_t id);

/** options_have() - does "rw,a=b,c" have @option, written in full ("a=b")? */
int options_have(const char *options, const char *option);

/** option_value() - what follows "@name=" in a list of options, or NULL. */
const char *option_value(const char *options, const char *name);

#endif /* MOUNTS_H */
