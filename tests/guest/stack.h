/* SPDX-License-Identifier: MIT */
/* stack.h - block devices on top of others: md, device mapper, loop */
#ifndef STACK_H
#define STACK_H

/*
 * Each makes one device, of the kernel's ioctls alone, and returns its path, or NULL;
 * the modules md-mod and raid0, dm-mod, loop are loaded.  What is made stays until
 * the machine ends, and writes nothing to what it lies on.
 */

/* An md raid0 of two disks, without a superblock. */
const char *stack_md(const char *first, const char *second);
/* A device-mapper volume of one linear target: the disk's first MiB. */
const char *stack_dm(const char *disk);
/* A loop device on a file. */
const char *stack_loop(const char *file);

#endif
