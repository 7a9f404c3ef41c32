/* SPDX-License-Identifier: MIT */
/*
 * command.h - the command vfio-p2p, run as a user would, and files for it
 */
#ifndef COMMAND_H
#define COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/** said - by the last run, both streams */
extern char said[262144];

/** tool() - run the command; words are separated by single blanks. Its status. */
int tool(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** tool_begin() - the same, and go on: to be ended by tool_end(). Its process. */
pid_t tool_begin(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** tool_end() - wait so long for it at most. Its status, or -ETIMEDOUT. */
int tool_end(pid_t pid, unsigned int ms);

/** hear() - what it has said until now, into @said. */
void hear(void);

/** example() - the same with a program of examples/ */
int example(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** begun() - any program of /bin, not waited for: ended() does that, and has its status */
pid_t begun(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));
int ended(pid_t pid);

/** says() - is that in what was said? */
bool says(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** bound_to() - "" for no driver */
bool bound_to(const char *bdf, const char *driver);

/** make_file() - of pseudo-random bytes; the seed tells files apart. */
bool make_file(const char *path, size_t size, unsigned int seed);

/** fill_disk() - a MiB of such bytes onto a disk, by the CPU; and /tmp/bytes. */
bool fill_disk(const char *disk, off_t offset, unsigned int seed);

/** same() - do @size bytes of two files agree? */
bool same(const char *a, const char *b, off_t b_offset, size_t size);

/** open_as_others() - the device's fd, through its group as any VFIO program does, or -1 */
int open_as_others(const char *bdf);

#endif /* COMMAND_H */
