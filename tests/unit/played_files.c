// SPDX-License-Identifier: MIT
/* Files that lie where the test says: see played_files.h. */
#include <fcntl.h>
#include <linux/fs.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "played_files.h"

struct played_files played;

static bool is_played(int fd)
{
	char link[64], path[PATH_MAX];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	return n > 0 && *played.folder &&
	       !strncmp(path, played.folder, strlen(played.folder));
}

int __real_fstat64(int fd, struct stat *st);
int __wrap_fstat64(int fd, struct stat *st);
int __real_fstatfs64(int fd, struct statfs *fs);
int __wrap_fstatfs64(int fd, struct statfs *fs);
int __real_statx(int fd, const char *path, int flags, unsigned int mask, struct statx *stx);
int __wrap_statx(int fd, const char *path, int flags, unsigned int mask, struct statx *stx);
int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __real_ioctl(int fd, unsigned long request, void *arg);
int __wrap_ioctl(int fd, unsigned long request, void *arg);

int __wrap_ioctl(int fd, unsigned long request, void *arg)
{
	if (request != FS_IOC_GETFLAGS || !is_played(fd))
		return __real_ioctl(fd, request, arg);
	*(int *)arg = (played.no_extents ? 0 : FS_EXTENT_FL) |
		      (played.inline_data ? FS_INLINE_DATA_FL : 0);
	return 0;
}

int __wrap_fstat64(int fd, struct stat *st)
{
	int rc = __real_fstat64(fd, st);

	if (!rc && is_played(fd))
		st->st_dev = makedev(259, 0);
	return rc;
}

int __wrap_fstatfs64(int fd, struct statfs *fs)
{
	int rc = __real_fstatfs64(fd, fs);

	if (!rc && is_played(fd))
		fs->f_type = (long)played.magic;
	return rc;
}

int __wrap_statx(int fd, const char *path, int flags, unsigned int mask, struct statx *stx)
{
	int rc = __real_statx(fd, path, flags, mask, stx);

	if (rc || !is_played(fd))
		return rc;
	stx->stx_mnt_id = 36;
	stx->stx_mask |= STATX_MNT_ID;
	stx->stx_mask &= ~STATX_DIOALIGN;
	if (!S_ISREG(stx->stx_mode) || played.dio == SILENT)
		return 0;
	stx->stx_mask |= STATX_DIOALIGN;
	stx->stx_dio_mem_align = played.dio == NO_DIO ? 0 : 4;
	stx->stx_dio_offset_align = played.dio == NO_DIO ? 0 : 512;
	return 0;
}

/* Where the test runs, direct I/O may not be. */
int __wrap_open64(const char *path, int flags, ...)
{
	va_list args;
	mode_t mode;

	va_start(args, flags);
	mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;
	va_end(args);
	return __real_open64(path, flags & ~O_DIRECT, mode);
}
