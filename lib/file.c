// SPDX-License-Identifier: MIT
/*
 * file.c - the file side of a copy
 *
 * O_DIRECT alone promises nothing: tmpfs accepts it and copies, ext4 with
 * data=journal accepts it and goes through the page cache.  A peer-to-peer page
 * in such a read or write is copied by the CPU, in silence.  So the file has to
 * say itself that direct I/O on it is direct: by statx(2) STATX_DIOALIGN.  Two
 * kinds need not: block devices, and NFS, which does not (7.3 has the code, but
 * masks the question out before it gets there), and whose direct I/O never copies
 * to user pages behind our back.  Whether a mount of it takes peer-to-peer ones
 * shows when it is tried.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "file.h"

#define STEP		"prepare the file"
#define NFS_MAGIC	0x6969

/* From byte @at on, or from the next UTF-8 character if that is inside of one. */
static const char *tail_of(const char *path, size_t at)
{
	for (int i = 0; i < 3 && ((unsigned char)path[at] & 0xc0) == 0x80; i++)
		at++;
	return path + at;
}

void vp2p__file_name(int fd, char *buf, size_t size)
{
	char path[4096];
	char link[64];
	ssize_t n;

	snprintf(buf, size, "fd %d", fd);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n <= 0)
		return;
	path[n] = '\0';
	if ((size_t)n < size)
		snprintf(buf, size, "%s", path);
	else
		snprintf(buf, size, "...%s", tail_of(path, (size_t)n - (size - 4)));
}

static int block_alignment(int fd, struct vp2p__dio *dio)
{
	int logical;

	if (ioctl(fd, BLKSSZGET, &logical) || logical <= 0)
		return -ENODATA;
	dio->mem_align = dio->file_align = (uint64_t)logical;
	return 0;
}

int vp2p__dio_from_statx(const struct statx *stx, struct vp2p__dio *dio)
{
	if (!(stx->stx_mask & STATX_DIOALIGN))
		return -ENODATA;
	if (!stx->stx_dio_mem_align || !stx->stx_dio_offset_align)
		return -EOPNOTSUPP;
	dio->mem_align = stx->stx_dio_mem_align;
	dio->file_align = stx->stx_dio_offset_align;
	return 0;
}

int vp2p__dio_query(int fd, struct vp2p__dio *dio)
{
	struct statx stx;
	struct statfs fs;
	int rc = -ENODATA;

	if (!statx(fd, "", AT_EMPTY_PATH, STATX_TYPE | STATX_DIOALIGN, &stx))
		rc = vp2p__dio_from_statx(&stx, dio);
	if (rc != -ENODATA)
		return rc;
	if (!block_alignment(fd, dio))
		return 0;
	if (fstatfs(fd, &fs) || fs.f_type != NFS_MAGIC)
		return -ENODATA;
	dio->mem_align = dio->file_align = 1;
	return 0;
}

static int fail_dio(const struct vp2p__file *file, int rc, struct vp2p_error *err)
{
	if (rc == -EOPNOTSUPP)
		return vp2p__fail(err, EOPNOTSUPP, file->name, STEP,
				  "the file system does no direct I/O on this file "
				  "(data=journal, encryption, verity or inline data)" MEND
				  "mount with data=ordered, or use a file without these; or "
				  VP2P__BOUNCE_REMEDY);
	return vp2p__fail(err, EOPNOTSUPP, file->name, STEP,
			  "its file system does not say that direct I/O is direct (statx "
			  "STATX_DIOALIGN), and might copy through its page cache" MEND
			  "use a file on ext4 or xfs on an NVMe disk; or " VP2P__BOUNCE_REMEDY);
}

static int fail_silent(const struct vp2p__file *file, const struct vp2p__silent *why,
		       struct vp2p_error *err)
{
	return vp2p__fail(err, EOPNOTSUPP, file->name, STEP, "%s" MEND "%s; or "
			  VP2P__BOUNCE_REMEDY, why->cause, why->remedy);
}

/* Opens the same file once more: a description of our own. */
static int reopen(const struct vp2p__file *file, int fd, int flags,
		  struct vp2p_error *err)
{
	char link[64];
	int own, code, rc;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	own = open(link, flags | O_CLOEXEC);
	if (own >= 0)
		return own;
	code = errno;
	if (code == ENOENT)
		return vp2p__fail(err, ENOENT, file->name, STEP,
				  "/proc is not mounted, so it cannot be opened again %s "
				  "O_DIRECT" MEND "mount /proc, or open the file that way",
				  flags & O_DIRECT ? "with" : "without");
	rc = vp2p__file_failed(fd, file->name, STEP, code, "when it was opened again", err);
	if (rc)
		return rc;
	if (code == EINVAL)
		return vp2p__fail(err, EOPNOTSUPP, file->name, STEP,
				  "its file system refuses O_DIRECT" MEND
				  "use a file on ext4 or xfs on an NVMe disk; or " VP2P__BOUNCE_REMEDY);
	return vp2p__fail(err, code, file->name, STEP,
			  "it cannot be opened again %s O_DIRECT: %s" MEND
			  "open it that way before the copy",
			  flags & O_DIRECT ? "with" : "without", strerror(code));
}

static int fail_look(const struct vp2p__file *file, int fd, int code,
		     struct vp2p_error *err)
{
	int rc = vp2p__file_failed(fd, file->name, STEP, code, "when it was looked at", err);

	return rc ? rc : vp2p__fail(err, code, file->name, STEP,
				    "its kind and size are not told: %s" MEND
				    "see the kernel log (dmesg)", strerror(code));
}

static int check_fd(struct vp2p__file *file, int fd, bool writing,
		    struct vp2p_error *err)
{
	int flags = fcntl(fd, F_GETFL);
	struct stat st;

	if (flags < 0)
		return vp2p__fail(err, EBADF, file->name, STEP,
				  "the file descriptor is not open" MEND "open the file");
	if (fstat(fd, &st))
		return fail_look(file, fd, errno, err);
	if ((flags & O_ACCMODE) == (writing ? O_RDONLY : O_WRONLY))
		return vp2p__fail(err, EBADF, file->name, STEP,
				  "it is not open for %s" MEND "open it with O_RDWR or %s",
				  writing ? "writing" : "reading",
				  writing ? "O_WRONLY" : "O_RDONLY");
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return vp2p__fail(err, EOPNOTSUPP, file->name, STEP,
				  "it is neither a regular file nor a block device" MEND
				  "give one of these");
	file->size = (uint64_t)st.st_size;
	if (S_ISBLK(st.st_mode) && ioctl(fd, BLKGETSIZE64, &file->size))
		return vp2p__fail(err, errno, file->name, STEP,
				  "its size is unknown: %s" MEND "give a disk or partition",
				  strerror(errno));
	return flags;
}

/*
 * As the caller's description is open, not merely as the copy needs it: a process that
 * is killed with requests on an NFS file under way would otherwise ask its server to
 * take the difference back, and not end before that has answered.
 */
static int access_of(int flags, bool writing)
{
	return writing ? flags & O_ACCMODE : O_RDONLY;
}

/*
 * The caller's descriptions serve where they fit.  One with O_APPEND does not:
 * pwrite(2) would ignore the offset.
 */
static int open_direct(struct vp2p__file *file, int fd, int flags, bool writing,
		       struct vp2p_error *err)
{
	const struct vp2p__silent *why = vp2p__silent(fd, writing);
	int rc = vp2p__dio_query(fd, &file->dio);

	if (rc)
		return fail_dio(file, rc, err);
	if (why)
		return fail_silent(file, why, err);
	file->direct = fd;
	if (!(flags & O_DIRECT) || (writing && (flags & O_APPEND))) {
		file->direct = reopen(file, fd, access_of(flags, writing) | O_DIRECT, err);
		file->own_direct = file->direct >= 0;
	}
	return file->direct < 0 ? file->direct : 0;
}

static int open_plain(struct vp2p__file *file, int fd, int flags, bool writing,
		      struct vp2p_error *err)
{
	file->plain = fd;
	if ((flags & O_DIRECT) || (writing && (flags & O_APPEND))) {
		file->plain = reopen(file, fd, access_of(flags, writing), err);
		file->own_plain = file->plain >= 0;
	}
	return file->plain < 0 ? file->plain : 0;
}

int vp2p__file_open(struct vp2p__file *file, int fd, bool writing,
		    enum vp2p__file_ways ways, struct vp2p_error *err)
{
	bool any = ways == VP2P__FILE_ANY;
	int flags, rc;

	*file = (struct vp2p__file){ .direct = -1, .plain = -1 };
	vp2p__file_name(fd, file->name, sizeof(file->name));
	flags = check_fd(file, fd, writing, err);
	if (flags < 0)
		return flags;
	rc = open_direct(file, fd, flags, writing, any ? NULL : err);
	if ((!rc || any) && ways != VP2P__FILE_DIRECT)
		rc = open_plain(file, fd, flags, writing, err);
	if (rc)
		vp2p__file_close(file);
	return rc;
}

/* By a description of our own: lseek(2) would move the caller's position. */
uint64_t vp2p__file_zeros(int fd, uint64_t at, uint64_t length)
{
	off_t end = (off_t)(at + length), from = (off_t)at, hole, data;
	uint64_t zeros = 0;
	char link[64];
	int own;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	own = open(link, O_RDONLY | O_CLOEXEC);
	while (own >= 0 && from < end) {
		hole = lseek(own, from, SEEK_HOLE);
		if (hole < 0 || hole >= end)
			break;
		data = lseek(own, hole, SEEK_DATA);
		if (data < 0 && errno != ENXIO)
			break;
		from = data < 0 || data > end ? end : data;
		zeros += (uint64_t)(from - hole);
	}
	if (own >= 0)
		close(own);
	return zeros;
}

void vp2p__file_close(struct vp2p__file *file)
{
	if (file->own_direct)
		close(file->direct);
	if (file->own_plain)
		close(file->plain);
	file->own_direct = file->own_plain = false;
}
