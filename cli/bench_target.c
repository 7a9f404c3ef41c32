/* SPDX-License-Identifier: MIT */
/* bench_target.c - the files and block devices that are read, or written to */
#include "bench_target.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench_args.h"
#include "cli.h"
#include "holders.h"
#include "interrupt.h"
#include "text.h"

#define CHUNK (UINT64_C(1) << 20)
#define PAGE 4096

static int fail_target(const char *path, const char *step, int error,
		       const char *remedy)
{
	return fail_for(error, EXIT_FAILED, path, step, strerror(error), remedy);
}

/* What the kernel says of direct I/O on it; 4096 is right wherever it says none. */
static uint64_t alignment(const struct file_side *file)
{
	struct statx stx;
	int sector;

	if (file->block)
		return ioctl(file->fd, BLKSSZGET, &sector) ? PAGE :
							     (uint64_t)sector;
	if (!statx(file->fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &stx) &&
	    stx.stx_mask & STATX_DIOALIGN && stx.stx_dio_offset_align)
		return stx.stx_dio_offset_align;
	return PAGE;
}

static int open_direct(struct bench_target *target)
{
	const struct file_side *file = &target->file;

	target->align = alignment(file);
	target->fd = open(text("/proc/self/fd/%d", file->fd),
			  (target->write ? O_RDWR : O_RDONLY) | O_DIRECT |
			  O_CLOEXEC);
	if (target->fd >= 0)
		return EXIT_OK;
	if (errno == EINVAL)
		return fail_for(EINVAL, EXIT_IMPOSSIBLE, file->path,
				"open it for direct I/O",
				"its file system does not know O_DIRECT",
				"name a file on ext4 or xfs on an NVMe disk, "
				"or the disk itself");
	return fail_target(file->path, "open it for direct I/O", errno, NULL);
}

static int check_contents(const struct bench_target *target)
{
	const struct file_side *file = &target->file;
	off_t hole = file->block ? (off_t)target->size :
				   lseek(file->fd, 0, SEEK_HOLE);

	if (!target->size)
		return fail(EXIT_USAGE, file->path, "measure it",
			    "the file is empty",
			    "choose a file that is full of data");
	if (target->size < BENCH_LEAST)
		return fail(EXIT_IMPOSSIBLE, file->path, "measure it",
			    text("it has %s bytes, the smallest request has %s",
				 text_size(target->size), text_size(BENCH_LEAST)),
			    "choose a larger one");
	if (hole < 0 || (uint64_t)hole >= target->size)
		return EXIT_OK;
	return fail(EXIT_IMPOSSIBLE, file->path, "measure it",
		    text("it has a hole at offset %s, for which no disk is asked",
			 text_size((uint64_t)hole)),
		    "fill the file with data, or choose another one");
}

/* The kernel refuses O_EXCL if the device is mounted or otherwise claimed. */
static int open_scratch(struct file_side *file, const char *path)
{
	static const char step[] = "open the scratch file";
	const char *users;

	*file = (struct file_side){ .path = path, .fd = -1 };
	if (stat(path, &file->status))
		return fail_target(path, step, errno, errno == ENOENT ?
				   "make it first, full of data" : NULL);
	file->block = S_ISBLK(file->status.st_mode);
	if (!file->block && !S_ISREG(file->status.st_mode))
		return fail(EXIT_USAGE, path, step,
			    "it is neither a regular file nor a block device",
			    "give one that may be overwritten");
	file->fd = open(path, O_RDWR | O_CLOEXEC | (file->block ? O_EXCL : 0));
	if (file->fd >= 0)
		return EXIT_OK;
	if (errno != EBUSY)
		return fail_target(path, step, errno, NULL);
	users = block_users(file->status.st_rdev);
	return fail(EXIT_REFUSED, path, step,
		    text("it is in use: %s", users ? users :
			 "something has claimed it"),
		    "unmount or stop that first, or give another one");
}

static int find_size(struct bench_target *target)
{
	struct file_side *file = &target->file;

	if (target->write && !file->block)
		file->size = (uint64_t)file->status.st_size;
	else if (target->write && ioctl(file->fd, BLKGETSIZE64, &file->size))
		return fail_target(file->path, "find its size", errno, NULL);
	target->size = file->size;
	return EXIT_OK;
}

int target_open(struct bench_target *target, const char *path, bool write)
{
	int rc;

	*target = (struct bench_target){ .fd = -1, .write = write };
	rc = write ? open_scratch(&target->file, path) :
		     file_open_source(&target->file, path);
	if (!rc)
		rc = find_size(target);
	if (!rc)
		rc = check_contents(target);
	return rc ? rc : open_direct(target);
}

/* What is written is not all zero, which a disk may keep as nothing at all. */
static void fill_chunk(uint64_t *chunk, uint64_t seed)
{
	uint64_t i;

	for (i = 0; i < CHUNK / sizeof(*chunk); i++)
		chunk[i] = (seed + i) * UINT64_C(0x9e3779b97f4a7c15) | 1;
}

static int fill(const struct bench_target *target)
{
	uint64_t *chunk = aligned_alloc(PAGE, CHUNK);
	uint64_t at;
	int error = chunk ? 0 : ENOMEM;

	for (at = 0; !error && at < target->size; at += CHUNK) {
		fill_chunk(chunk, at);
		errno = EIO;
		if (pwrite(target->fd, chunk, CHUNK, (off_t)at) != CHUNK)
			error = errno;
		if (interrupt_seen())
			error = EINTR;
	}
	if (!error && fsync(target->fd))
		error = errno;
	free(chunk);
	return error;
}

int target_create(struct bench_target *target, const char *beside,
		  uint64_t size)
{
	static const char step[] = "make a file to write to";
	const char *folder = dirname(text("%s", beside));
	int rc;

	*target = (struct bench_target){
		.fd = -1,
		.write = true,
		.size = (size + CHUNK - 1) / CHUNK * CHUNK,
		.file = { .path = beside, .fd = -1 },
	};
	if (!stat(beside, &target->file.status) &&
	    S_ISBLK(target->file.status.st_mode))
		return fail(EXIT_USAGE, beside, step,
			    "--write makes a file beside it, and it is a block "
			    "device",
			    "name a file on a file system of that disk, or give a "
			    "partition to overwrite, by --scratch");
	target->file.fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (target->file.fd < 0)
		return fail_target(folder, step, errno,
				   "give a file to overwrite, by --scratch");
	rc = open_direct(target);
	if (rc)
		return rc;
	rc = fill(target);
	if (rc == EINTR)
		return interrupt_fail(folder, step);
	if (rc)
		return fail_target(folder, step, rc,
				   text("%s of room are needed",
					text_size(target->size)));
	target->file.size = target->size;
	return EXIT_OK;
}

bool target_same(const struct bench_target *a, const struct bench_target *b)
{
	struct stat one, other;

	if (fstat(a->file.fd, &one) || fstat(b->file.fd, &other))
		return false;
	if (S_ISBLK(one.st_mode) && S_ISBLK(other.st_mode))
		return one.st_rdev == other.st_rdev;
	return one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

void target_close(struct bench_target *target)
{
	if (target->fd >= 0)
		close(target->fd);
	target->fd = -1;
	file_close(&target->file);
}
