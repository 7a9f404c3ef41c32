/* SPDX-License-Identifier: MIT */
/* verify.c - reading both sides of a copy again, by the CPU */
#include "verify.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "bar_memory.h"
#include "cli.h"
#include "interrupt.h"
#include "progress.h"
#include "report.h"
#include "text.h"

#define BLOCK	(UINT64_C(1) << 20)
#define ALIGN	UINT64_C(4096)

/* struct comparison - what was found so far */
struct comparison {
	struct checksums sums;
	uint64_t differing;
	uint64_t first;		/* position in the copy */
	uint8_t device_byte;
	uint8_t file_byte;
};

/* struct reader - both sides open, and a buffer for each */
struct reader {
	const struct verify_job *job;
	volatile const uint8_t *device;	/* first byte of the copy */
	int fd;
	bool direct;
	uint8_t *from_device;
	uint8_t *from_file;	/* BLOCK and ALIGN more for what is around it */
	uint64_t skip;		/* the first byte that was asked for, in from_file */
	struct comparison found;
};

/* Return: 0 or -errno; -ENODATA where the file ends too early. */
static int read_file(struct reader *reader, uint64_t offset, uint64_t size)
{
	uint64_t begin = offset / ALIGN * ALIGN;
	uint64_t wanted, have = 0;

	reader->skip = offset - begin;
	wanted = (reader->skip + size + ALIGN - 1) / ALIGN * ALIGN;
	while (have < reader->skip + size) {
		ssize_t got = pread(reader->fd, reader->from_file + have,
				    wanted - have, begin + have);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (!got)
			return -ENODATA;
		have += got;
	}
	return 0;
}

static void compare(struct comparison *found, const struct reader *reader,
		    uint64_t position, uint64_t size)
{
	const uint8_t *from_file = reader->from_file + reader->skip;
	uint64_t i;

	found->sums.device = (uint32_t)crc32_z(found->sums.device,
					       reader->from_device, size);
	found->sums.file = (uint32_t)crc32_z(found->sums.file,
					     from_file, size);
	if (!memcmp(reader->from_device, from_file, size))
		return;
	for (i = 0; i < size; i++) {
		if (reader->from_device[i] == from_file[i])
			continue;
		if (!found->differing++) {
			found->first = position + i;
			found->device_byte = reader->from_device[i];
			found->file_byte = from_file[i];
		}
	}
}

static int compare_all(void *arg)
{
	struct reader *reader = arg;
	const struct verify_job *job = reader->job;
	struct comparison *found = &reader->found;
	struct progress_bar bar;
	uint64_t at, size;
	int error = 0;

	progress_begin(&bar, "verify", job->length, job->progress);
	for (at = 0; !error && at < job->length; at += size) {
		size = job->length - at < BLOCK ? job->length - at : BLOCK;
		if (interrupt_seen()) {
			error = -EINTR;
			break;
		}
		bar_load(reader->from_device, reader->device + at, size);
		error = read_file(reader, job->file_offset + at, size);
		if (!error)
			compare(found, reader, at, size);
		progress_update(&bar, at + size);
	}
	progress_end(&bar);
	return error;
}

static int verdict(const struct verify_job *job, const struct comparison *found,
		   int error)
{
	static const char step[] = "verify the copy";

	if (error == -EINTR)
		return interrupt_fail(job->file->path, step);
	if (error)
		return fail(EXIT_FAILED, job->file->path, step,
			    error == -ENODATA ? "the file ends too early" :
			    error == -EIO ? "reading it, or the device's "
					    "memory, failed" :
			    strerror(-error),
			    "see the end of the kernel log (dmesg)");
	if (!found->differing)
		return EXIT_OK;
	return fail(EXIT_MISMATCH, job->place, step,
		    text("%" PRIu64 " of %" PRIu64 " bytes differ; the first at "
			 "BAR %u offset 0x%" PRIx64 " is 0x%02x, in %s at offset "
			 "0x%" PRIx64 " it is 0x%02x (CRC-32 %08" PRIx32
			 " and %08" PRIx32 ")", found->differing,
			 job->length, job->bar, job->bar_offset + found->first,
			 found->device_byte, job->file->path,
			 job->file_offset + found->first, found->file_byte,
			 found->sums.device, found->sums.file),
		    "do not trust this path: see the kernel log for IOMMU "
		    "faults, and that nothing else writes to the device or the "
		    "file");
}

/*
 * From the disk: O_DIRECT, or where that fails after dropping the cache.  With the access
 * that the file has already: else a process that is killed asks an NFS server to take the
 * difference back, and does not end before that has answered.
 */
static int open_again(struct reader *reader)
{
	int fd = reader->job->file->fd;
	int access = fcntl(fd, F_GETFL) & O_ACCMODE;
	const char *path = text("/proc/self/fd/%d", fd);

	reader->fd = open(path, access | O_DIRECT | O_CLOEXEC);
	if (reader->fd >= 0)
		return 0;
	fdatasync(fd);
	/* Advice only: pages that are dirty or mapped stay. */
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	reader->fd = open(path, access | O_CLOEXEC);
	return reader->fd < 0 ? -errno : 0;
}

static int run(struct reader *reader, uint8_t *mapping, uint64_t skip,
	       struct checksums *sums)
{
	int error = open_again(reader);

	reader->device = mapping + skip;
	reader->from_device = malloc(BLOCK);
	reader->from_file = aligned_alloc(ALIGN, BLOCK + ALIGN);
	if (!reader->from_device || !reader->from_file)
		error = -ENOMEM;
	if (!error)
		error = bar_guarded(compare_all, reader);
	free(reader->from_device);
	free(reader->from_file);
	if (reader->fd >= 0)
		close(reader->fd);
	*sums = reader->found.sums;
	return verdict(reader->job, &reader->found, error);
}

int verify(const struct verify_job *job, struct checksums *sums)
{
	struct reader reader = { .job = job, .fd = -1 };
	uint64_t page = sysconf(_SC_PAGESIZE);
	uint64_t skip = job->bar_offset % page;
	uint64_t mapped = (skip + job->length + page - 1) / page * page;
	struct vp2p_error err;
	void *mapping;
	int rc;

	/* What the copy has put into the page cache is not what is on disk. */
	if (fdatasync(job->file->fd) && errno != EROFS && errno != EINVAL)
		return fail(EXIT_FAILED, job->file->path, "verify the copy",
			    strerror(errno), NULL);
	if (vp2p_map_bar(job->dev, job->bar, job->bar_offset - skip, mapped,
			 &mapping, &err))
		return report(&err);
	rc = run(&reader, mapping, skip, sums);
	vp2p_unmap(mapping, mapped, NULL);
	return rc;
}
