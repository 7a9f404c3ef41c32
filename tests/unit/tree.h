/* SPDX-License-Identifier: MIT */
/*
 * tree.h - recorded /sys, /proc and /dev trees
 *
 * A tree is written down as text, one entry a line, parents made as needed:
 *
 *	/sys/module/nvme/			a directory
 *	/sys/class/nvme/nvme0/transport = pcie	a file; \n in it is a new line
 *	/sys/class/block/sda -> ../a/b		a symbolic link
 *	/sys/.../config @0x100 = 0d000100	bytes in hex, from there on
 *	- /sys/class/block/sda			removed, with all below it
 */
#ifndef TREE_H
#define TREE_H

/* Makes the tree below a new directory and points the library's root at it. */
void tree_make(const char *text);
/* Adds to the tree of the last tree_make(); replaces files and links. */
void tree_add(const char *text);
/* Removes it all, and the root is the system's again. */
void tree_remove(void);

/* How many file descriptors this process has open. */
int open_fds(void);

#endif /* TREE_H */
