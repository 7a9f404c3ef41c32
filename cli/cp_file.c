/* SPDX-License-Identifier: MIT */
/* cp_file.c - the file side of a copy */
#include "cp_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
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
	return fail_for(error, EXIT_FAILED, path, step, strerror(error), remedy);
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
static int open_block(struct file_side *file, const char *link, bool force)
{
	static const char step[] = "write to the block device";
	const char *users;

	file->fd = open(link, O_RDWR | O_CLOEXEC | (force ? 0 : O_EXCL));
	if (file->fd >= 0)
		return inspect(file, &file->status, step);
	if (errno != EBUSY || force)
		return fail_errno(file->path, step, errno);
	users = block_users(file->status.st_rdev);
	return fail(EXIT_REFUSED, file->path, step,
		    text("it is in use: %s", users ? users :
			 "something has claimed it"),
		    "unmount or stop that first; --force writes all the same "
		    "and destroys what is there");
}

static int open_in_place(struct file_side *file, const char *link)
{
	file->size = UINT64_MAX;
	file->fd = open(link, O_RDWR | O_CLOEXEC);
	return file->fd < 0 ? fail_errno(file->path, "write to the target",
					 errno) : EXIT_OK;
}

/*
 * Whoever may not read the older file must not read what replaces it: until
 * file_commit() gives it its owner and permissions it is for the owner alone.
 */
static int create_partial(struct file_side *file)
{
	static const char step[] = "create the target";
	const char *path = text("%s.partial", file->target);

	file->size = UINT64_MAX;
	file->fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC,
			file->exists ? 0600 : 0666);
	if (file->fd < 0 && errno == EEXIST)
		return fail(EXIT_FAILED, file->path, step,
			    text("%s is there already", path),
			    "another copy is under way, or was killed: then "
			    "remove that file");
	if (file->fd < 0)
		return fail_errno(path, step, errno);
	file->partial = path;
	return EXIT_OK;
}

/* To root every file is writable, so the permissions are looked at as well. */
static int check_writable(const struct file_side *file, const char *link,
			  bool force)
{
	if (force || file->block ||
	    (file->status.st_mode & (S_IWUSR | S_IWGRP | S_IWOTH) &&
	     !faccessat(AT_FDCWD, link, W_OK, AT_EACCESS)))
		return EXIT_OK;
	return fail(EXIT_REFUSED, file->path, "write to the target",
		    "it is read-only", "--force writes all the same");
}

/* The name of what @link, in /proc/self/fd, leads to. Return: 0 or an errno. */
static int resolve(struct file_side *file, const char *link)
{
	char target[PATH_MAX];
	ssize_t length = readlink(link, target, sizeof(target) - 1);
	struct stat status;

	if (length < 0)
		return errno;
	target[length] = '\0';
	file->target = text("%s", target);
	/* Removed meanwhile, or out of reach: then the text is no path to it. */
	if (lstat(file->target, &status))
		return errno;
	return status.st_dev == file->status.st_dev &&
	       status.st_ino == file->status.st_ino ? 0 : ESTALE;
}

static int open_existing(struct file_side *file, const char *link, bool in_place,
			 bool force)
{
	static const char step[] = "write to the target";
	int rc = inspect(file, &file->status, step);
	int error;

	if (!rc)
		rc = check_writable(file, link, force);
	if (rc)
		return rc;
	if (file->block)
		return open_block(file, link, force);
	if (in_place)
		return open_in_place(file, link);
	error = resolve(file, link);
	return error ? fail_errno(file->path, step, error) :
		       create_partial(file);
}

static bool is_link(const char *path)
{
	struct stat status;

	return !lstat(path, &status) && S_ISLNK(status.st_mode);
}

/* @path could not be opened at all. */
static int open_missing(struct file_side *file, int error)
{
	static const char step[] = "open the target";

	if (is_link(file->path) && (error == ENOENT || error == EACCES))
		return fail_for(error, EXIT_FAILED, file->path, step,
				error == ENOENT ? "it is a link to nothing" :
				"it is a link that the kernel does not follow "
				"for you",
				"name the file that is meant");
	return error == ENOENT ? create_partial(file) :
				 fail_errno(file->path, step, error);
}

/*
 * The kernel follows a link, or refuses to (another user's link in /tmp); all
 * else happens to what it has found.  A link stays a link: its end is replaced.
 */
int file_open_target(struct file_side *file, const char *path, bool in_place,
		     bool force)
{
	int fd = open(path, O_PATH | O_CLOEXEC);
	int error = errno;
	int rc;

	*file = (struct file_side){
		.path = path,
		.target = path,
		.exists = fd >= 0,
		.fd = -1,
	};
	if (fd < 0)
		return open_missing(file, error);
	if (fstat(fd, &file->status))
		rc = fail_errno(path, "open the target", errno);
	else
		rc = open_existing(file, text("/proc/self/fd/%d", fd), in_place,
				   force);
	close(fd);
	return rc;
}

/*
 * The older file's owner, group and permissions.  Who may not give a file away
 * gets it; then the older group's rights would be another group's.
 */
static int adopt(const struct file_side *file)
{
	const struct stat *old = &file->status;
	mode_t mode = old->st_mode & 0777;

	if (!file->exists)
		return 0;
	if (fchown(file->fd, old->st_uid, old->st_gid) &&
	    fchown(file->fd, -1, old->st_gid))
		mode &= ~070u | (mode & 07) << 3;
	/* After the change of owner, which takes bits away. */
	return fchmod(file->fd, mode) ? errno : 0;
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
	int error = file->partial ? adopt(file) : 0;

	if (error)
		return fail_errno(file->path, "keep the target's permissions",
				  error);
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
