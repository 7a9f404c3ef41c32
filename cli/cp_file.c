/* SPDX-License-Identifier: MIT */
/* cp_file.c - the file side of a copy */
#include "cp_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "holders.h"
#include "text.h"

static int fail_errno(const char *path, const char *step, int error)
{
	const char *remedy = NULL;

	if (error == EACCES || error == EPERM)
		remedy = "check the permissions, or run as root";
	else if (error == ENOENT)
		remedy = "check the path";
	else if (error == ENOSPC)
		remedy = "make room, or choose another file system";
	return fail(EXIT_FAILED, path, step, strerror(error), remedy);
}

/* What kind of file it is, and how large. */
static int inspect(struct file_side *file, const struct stat *stat,
		   const char *step)
{
	uint64_t bytes;

	file->block = S_ISBLK(stat->st_mode);
	if (!file->block && !S_ISREG(stat->st_mode))
		return fail(EXIT_USAGE, file->path, step,
			    "it is neither a regular file nor a block device",
			    "peer-to-peer DMA needs a disk behind the file: "
			    "name a file on one");
	file->size = stat->st_size;
	if (!file->block || file->fd < 0)
		return EXIT_OK;
	if (ioctl(file->fd, BLKGETSIZE64, &bytes))
		return fail_errno(file->path, step, errno);
	file->size = bytes;
	return EXIT_OK;
}

int file_open_source(struct file_side *file, const char *path)
{
	static const char step[] = "open the source";
	struct stat stat;

	*file = (struct file_side){ .path = path, .fd = -1, .exists = true };
	file->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (file->fd < 0 || fstat(file->fd, &stat))
		return fail_errno(path, step, errno);
	return inspect(file, &stat, step);
}

/*
 * O_EXCL on a block device: the kernel refuses if it is mounted or otherwise
 * claimed, and nobody can mount it while the copy runs.
 */
static int open_block(struct file_side *file, const struct stat *status,
		      bool force)
{
	static const char step[] = "write to the block device";
	const char *users;

	file->fd = open(file->target, O_RDWR | O_CLOEXEC | (force ? 0 : O_EXCL));
	if (file->fd >= 0)
		return inspect(file, status, step);
	if (errno != EBUSY || force)
		return fail_errno(file->path, step, errno);
	users = block_users(status->st_rdev);
	return fail(EXIT_REFUSED, file->path, step,
		    text("it is in use: %s", users ? users :
			 "something has claimed it"),
		    "unmount or stop that first; --force writes all the same "
		    "and destroys what is there");
}

static int open_regular(struct file_side *file, bool in_place)
{
	static const char step[] = "create the target";
	const char *path = file->target;
	int flags = O_RDWR | O_CLOEXEC;

	file->size = UINT64_MAX;
	if (!in_place || !file->exists) {
		path = text("%s.partial", path);
		flags |= O_CREAT | O_EXCL;
	}
	file->fd = open(path, flags, 0666);
	if (file->fd < 0 && errno == EEXIST)
		return fail(EXIT_FAILED, file->path, step,
			    text("%s is there already", path),
			    "another copy is under way, or was killed: then "
			    "remove that file");
	if (file->fd < 0)
		return fail_errno(path, step, errno);
	if (flags & O_CREAT)
		file->partial = path;
	return EXIT_OK;
}

int file_open_target(struct file_side *file, const char *path, bool in_place,
		     bool force)
{
	char *resolved = realpath(path, NULL);
	struct stat status;
	int rc;

	*file = (struct file_side){
		.path = path,
		/* A link stays a link: what it points to is replaced. */
		.target = resolved ? text("%s", resolved) : path,
		.exists = resolved,
		.fd = -1,
	};
	free(resolved);
	if (!file->exists)
		return open_regular(file, in_place);
	if (stat(file->target, &status))
		return fail_errno(path, "open the target", errno);
	rc = inspect(file, &status, "write to the target");
	if (rc)
		return rc;
	if (file->block)
		return open_block(file, &status, force);
	rc = open_regular(file, in_place);
	if (!rc && file->partial && fchmod(file->fd, status.st_mode & 07777))
		rc = fail_errno(file->partial, "keep the target's permissions",
				errno);
	return rc;
}

/* The new name itself must survive a power failure, too. */
static int sync_directory(const char *path)
{
	char *copy = strdup(path);
	int fd = copy ? open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC) :
			-1;
	int error = fd < 0 || fsync(fd) ? errno : 0;

	if (fd >= 0)
		close(fd);
	free(copy);
	return error;
}

int file_commit(struct file_side *file)
{
	int error;

	if (fsync(file->fd))
		return fail_errno(file->path, "write it to the disk", errno);
	if (!file->partial)
		return EXIT_OK;
	if (rename(file->partial, file->target))
		return fail_errno(file->path, "rename the finished copy", errno);
	file->partial = NULL;
	error = sync_directory(file->target);
	return error ? fail_errno(file->path, "write its directory to the disk",
				  error) : EXIT_OK;
}

void file_close(struct file_side *file)
{
	if (file->partial)
		unlink(file->partial);
	file->partial = NULL;
	if (file->fd >= 0)
		close(file->fd);
	file->fd = -1;
}
