/* SPDX-License-Identifier: MIT */
/*
 * sysfs.h - attributes and links below /sys, /proc and /run
 *
 * Every absolute path of the tool goes through host_path(), so that in the tests a
 * recorded tree can stand for the machine.  (The library does not know of it: what
 * goes through VFIO does not.)
 */
#ifndef CLI_SYSFS_H
#define CLI_SYSFS_H

#include <stdbool.h>

/**
 * host_root() - what is put before every absolute path
 *
 * Empty in the tool that is installed (root.c): no environment variable can have
 * it mix two machines.  The tests' build has another one.
 */
const char *host_root(void);

/** host_path() - "/sys/..." as it is to be opened. */
char *host_path(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** host_is_recorded() - is a recorded tree in use instead of the machine? */
bool host_is_recorded(void);

/** attribute_read() - the whole file without the last newline; NULL and errno. */
char *attribute_read(const char *path);

/** attribute_u64() - a number in decimal or 0x hex; @fallback if unreadable. */
unsigned long long attribute_u64(const char *path, unsigned long long fallback);

/** attribute_write() - one write(2) of @value. Return: 0 or -errno. */
int attribute_write(const char *path, const char *value);

/** link_target() - the last component a symbolic link points to, or NULL. */
char *link_target(const char *path);

/** path_exists() */
bool path_exists(const char *path);

/**
 * directory_names() - the names in a directory, sorted, without "." and ".."
 *
 * Return: an array ended by NULL; empty if the directory cannot be read.
 */
char **directory_names(const char *path);

#endif /* CLI_SYSFS_H */
