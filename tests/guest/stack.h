/* SPDX-License-Identifier: MIT */
/* stack.h - block devices on top of others: md, device mapper, loop; and an overlay */
#ifndef STACK_H
#define STACK_H

/*
 * Each makes one device, of the kernel's ioctls alone, and returns its path, or NULL; the
 * modules (md-mod and that of the level, dm-mod and that of the target, loop) are loaded.
 * What is made stays until the machine ends or it is taken down; and it writes nothing to
 * what it lies on.
 */

/* An md array without a superblock, its members in step.  level: 0, 1, 5 or 10. */
const char *stack_array(int level, int count, const char *const disks[]);
int stack_array_stop(void);
/* A raid0 of two disks. */
const char *stack_md(const char *first, const char *second);

/*
 * A device-mapper volume of one target.  parameters: as in a table, with a disk in it;
 * uuid says whose volume it is, such as "LVM-..."; NULL: nobody's.
 */
const char *stack_volume(const char *uuid, const char *target, const char *parameters);
int stack_volume_remove(void);
/* One of a linear target: the disk's first MiB. */
const char *stack_dm(const char *disk);
/* The whole disk, with the file system that is on it. */
const char *stack_dm_whole(const char *disk);

/* A loop device on a file. */
const char *stack_loop(const char *file);
int stack_loop_clear(void);

/*
 * An overlay above folders in this one, its folder; of the modules it loads its own.  What
 * is made in it lies in the folder's upper/.
 */
const char *stack_overlay(const char *folder);
int stack_overlay_remove(void);

#endif
