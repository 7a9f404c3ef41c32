// SPDX-License-Identifier: MIT
/* storage_row.c - see storage_row.h */
#define _GNU_SOURCE
#include "storage_row.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "command.h"
#include "dev.h"
#include "harness.h"
#include "pattern.h"
#include "vfio-p2p.h"
#include "way.h"

#define BAR 2
#define PAGE 4096
/* Streams of pattern.h: nothing else in these machines is like them. */
enum { OLD = 700, READ, WRITE, COPIED_IN, COPIED_OUT, BEFORE };

static struct vp2p_device *dev;
static struct vp2p_window *win;
static struct vp2p_error err;
static void *window, *bar;	/* the same bytes: with pages, and the ordinary view */
static char *ram;
static long long mapped;	/* by the last transfer, for DMA */

void *sr_window(void)
{
	return window;
}

static bool open_device(void)
{
	ram = aligned_alloc(PAGE, SR_SIZE);
	return !vp2p_open(h_pci("target"), 0, &dev, &err) &&
	       !vp2p_window_create(dev, BAR, 0, 0, 0, &win, &err) &&
	       !vp2p_map(win, 0, VP2P_GRANULE, 0, &window, &err) &&
	       !vp2p_map_bar(dev, BAR, 0, VP2P_GRANULE, &bar, &err);
}

static void close_device(void)
{
	vp2p_unmap(window, VP2P_GRANULE, NULL);
	vp2p_unmap(bar, VP2P_GRANULE, NULL);
	vp2p_window_destroy(win);
	vp2p_close(dev);
	free(ram);
}

/* The file, by the CPU and RAM. */

static const char *place_of(const struct sr_row *row)
{
	return row->disk ? row->disk : row->file;
}

/* Not out of the page cache, where the file system has direct I/O at all. */
static int open_by_ram(const struct sr_row *row, int flags)
{
	int fd = open(place_of(row), flags | O_DIRECT | O_CLOEXEC);

	return fd < 0 && errno == EINVAL ? open(place_of(row), flags | O_CLOEXEC) : fd;
}

/* Of a read or write; a read may get less, since the file may end before. */
static size_t asked(const struct sr_row *row)
{
	return row->small ? PAGE : SR_SIZE;
}

/* Lie in the file before it is written to. */
static size_t held(const struct sr_row *row)
{
	return row->small ? row->small : SR_SIZE;
}

/* Direct I/O would give the file blocks, and what has some keeps some. */
static bool put_small(const struct sr_row *row, uint32_t stream)
{
	int fd;
	bool fine;

	unlink(row->file);
	fd = open(row->file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	pattern_fill(ram, row->small, stream, 0);
	fine = pwrite(fd, ram, row->small, 0) == (ssize_t)row->small && !fsync(fd) &&
	       (!row->blocks || !fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, PAGE));
	close(fd);
	return fine;
}

static bool put(const struct sr_row *row, uint32_t stream)
{
	int fd;
	bool fine;

	if (row->small)
		return put_small(row, stream);
	fd = open_by_ram(row, O_WRONLY);
	pattern_fill(ram, SR_SIZE, stream, 0);
	fine = pwrite(fd, ram, SR_SIZE, 0) == (ssize_t)SR_SIZE && !fsync(fd);
	close(fd);
	return fine;
}

static bool holds(const struct sr_row *row, uint32_t stream, size_t size)
{
	int fd = open_by_ram(row, O_RDONLY);
	bool fine = pread(fd, ram, SR_SIZE, 0) == (ssize_t)size &&
		    pattern_differs(ram, size, stream, 0) < 0;

	close(fd);
	return fine;
}

static bool is_hole(const struct sr_row *row)
{
	int fd = open(place_of(row), O_RDONLY | O_CLOEXEC);
	bool hole = lseek(fd, 0, SEEK_HOLE) == 0;

	close(fd);
	return hole;
}

/* A file of ext4 as ext3 had them; only an empty one can be made so. */
static bool drop_extents(int fd)
{
	int flags;

	if (ioctl(fd, FS_IOC_GETFLAGS, &flags))
		return false;
	flags &= ~FS_EXTENT_FL;
	return !ioctl(fd, FS_IOC_SETFLAGS, &flags);
}

static bool make(const struct sr_row *row)
{
	int fd;
	bool fine;

	if (!row->file || row->given)
		return true;
	fd = open(row->file, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	fine = fd >= 0 && (!row->no_extents || drop_extents(fd));
	close(fd);
	return fine;
}

/* What a write meets: old data, or the hole that it is to fill. */
static bool ready_for_write(const struct sr_row *row)
{
	if (!row->hole)
		return put(row, OLD);
	return !truncate(row->file, 0) && !truncate(row->file, SR_SIZE);
}

static bool untouched(const struct sr_row *row)
{
	return row->hole ? is_hole(row) : holds(row, OLD, held(row));
}

/* The calls. */

static ssize_t call(const struct sr_row *row, bool writing)
{
	int fd = open_by_ram(row, writing ? O_WRONLY : O_RDONLY);
	size_t size = asked(row);
	ssize_t n = writing ? pwrite(fd, window, size, 0) : pread(fd, window, size, 0);

	n = n < 0 ? -errno : n;
	if (writing && n > 0 && fsync(fd))
		n = -errno;
	close(fd);
	return n;
}

static ssize_t traced(const struct sr_row *row, bool writing)
{
	ssize_t n;

	if (way_begin("target"))
		return -ENOTRECOVERABLE;
	n = row->transfer ? row->transfer(row, window, writing) : call(row, writing);
	mapped = way_end("target");
	return n;
}

/* An enum sr_way or the errno; 0 is none of what there may be. */
static int way_of(ssize_t n, size_t size)
{
	if (n < 0)
		return (int)n;
	if (n != (ssize_t)size)
		return 0;
	return mapped >= (long long)size ? SR_P2P : mapped ? 0 : SR_CPU;
}

static const char *way_words(int way)
{
	return way == SR_P2P ? "P2P" : way == SR_CPU ? "CPU" : way < 0 ?
	       strerrorname_np(-way) : "neither whole nor nothing";
}

/* A row is gone through to its end, and all that is not as expected is said. */
static void differs(const char *fmt, ...) H_PRINTF(1, 2);
static void differs(const char *fmt, ...)
{
	char text[1024];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	h_diag("differs: %s", text);
	h_fail("%s", text);
}

static void judge_way(const char *name, ssize_t n, size_t size, int want)
{
	int way = way_of(n, size);

	if (way != want)
		differs("%s: %s (%zd, %lld bytes mapped for DMA), not %s", name,
			way_words(way), n, mapped, way_words(want));
}

static void judge_place(const char *name, bool right)
{
	if (!right)
		differs("%s: the data is wrong", name);
}

static bool window_holds(uint32_t stream, size_t size)
{
	return pattern_differs(bar, size, stream, 0) < 0;
}

static void judge_read(const struct sr_row *row)
{
	ssize_t n;

	if (!row->no_write)
		H_CHECK(put(row, READ));
	pattern_fill(bar, SR_SIZE, BEFORE, 0);
	if (row->mapped)
		(void)*(volatile char *)window;
	n = traced(row, false);
	judge_way("read()", n, held(row), row->read);
	judge_place("read()", n < 0 ? window_holds(BEFORE, SR_SIZE) :
				      window_holds(READ, held(row)));
}

static void judge_write(const struct sr_row *row)
{
	ssize_t n;

	H_CHECK(ready_for_write(row));
	pattern_fill(bar, SR_SIZE, WRITE, 0);
	n = traced(row, true);
	judge_way("write()", n, asked(row), row->write);
	judge_place("write()", n < 0 ? untouched(row) : holds(row, WRITE, asked(row)));
}

/* The library. */

static int copy(const struct sr_row *row, uint32_t direction)
{
	bool out = direction == VP2P_WINDOW_TO_FILE;
	struct vp2p_copy_request request = {
		.window = win, .direction = direction, .length = asked(row),
		.fd = open(place_of(row), (out ? O_WRONLY : O_RDONLY) | O_CLOEXEC),
	};
	struct vp2p_copy_result result = { 0 };
	size_t size = out ? asked(row) : held(row);
	int rc;

	rc = way_begin("target") ? -ENOTRECOVERABLE : vp2p_copy(&request, &result, &err);
	mapped = way_end("target");
	if (!rc && (result.bytes_bounced || result.bytes_p2p != size ||
		    mapped < (long long)size))
		differs("the copy claims %llu bytes, but %lld were mapped for DMA",
		       (unsigned long long)result.bytes_p2p, mapped);
	if (!rc && out && fsync(request.fd))
		rc = -errno;
	close(request.fd);
	return rc;
}

static void judge_refusal(const struct sr_row *row)
{
	char text[VP2P_ERROR_TEXT];

	vp2p_error_format(&err, text, sizeof(text));
	h_diag("%s", text);
	if (row->cause && !strstr(err.cause, row->cause))
		differs("the copy's cause has not '%s': %s", row->cause, err.cause);
	if (!row->remedy || !strstr(err.remedy, row->remedy))
		differs("the copy's remedy has not '%s': %s", row->remedy, err.remedy);
}

static void judge_copy(const struct sr_row *row, int rc, int want, bool right)
{
	if (rc != want)
		differs("the copy: %d, not %d", rc, want);
	judge_place("the copy", right);
	if (rc)
		judge_refusal(row);
}

static void judge_copies(const struct sr_row *row)
{
	int rc;

	if (!row->no_write)
		H_CHECK(put(row, COPIED_IN));
	pattern_fill(bar, SR_SIZE, BEFORE, 0);
	rc = copy(row, VP2P_FILE_TO_WINDOW);
	judge_copy(row, rc, row->copy_read, rc ? window_holds(BEFORE, SR_SIZE) :
						 window_holds(COPIED_IN, held(row)));
	if (row->no_write)
		return;
	H_CHECK(ready_for_write(row));
	pattern_fill(bar, SR_SIZE, COPIED_OUT, 0);
	rc = copy(row, VP2P_WINDOW_TO_FILE);
	judge_copy(row, rc, row->copy_write, rc ? untouched(row) :
					      holds(row, COPIED_OUT, asked(row)));
}

/* Which controller is the first is chance: "nvme0n2" is "nvmeNnN". */
static void without_numbers(char *text)
{
	char *to = text;

	for (const char *from = text; *from; from++)
		if (!isdigit((unsigned char)*from))
			*to++ = *from;
		else if (!isdigit((unsigned char)from[1]))
			*to++ = 'N';
	*to = '\0';
}

static void judge_path(const struct sr_row *row)
{
	struct vp2p_peer_list *list;
	char all[640] = "", one[256];
	int fd;

	/* The writes have given it blocks, and doctor is to see it without. */
	if (row->small)
		H_CHECK(put(row, OLD));
	fd = open(place_of(row), O_RDONLY | O_CLOEXEC);
	H_EQ(vp2p_peer_for_fd(dev, fd, &list, &err), 0);
	close(fd);
	for (size_t i = 0; i < list->count; i++) {
		snprintf(one, sizeof(one), "%s: %s", list->peer[i].path,
			 vp2p_route_name(list->peer[i].route));
		without_numbers(one);
		if (!strstr(all, one))
			snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s",
				 *all ? "; " : "", one);
	}
	if (!row->path || strcmp(all, row->path))
		differs("the path is '%s', not '%s'", all, row->path);
	vp2p_peer_list_free(list);
}

/* Doctor. */

/* The names of the checks whose line begins with this verdict are added to @names. */
static void collect(const char *verdict, char *names, size_t size)
{
	char check[32];

	for (const char *line = said; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, verdict, strlen(verdict)) ||
		    sscanf(line + strlen(verdict), " %31s", check) != 1 ||
		    strstr(names, check))
			continue;
		snprintf(names + strlen(names), size - strlen(names), "%s%s",
			 *names ? ", " : "", check);
	}
}

static bool goes_both_ways(const struct sr_row *row)
{
	return row->read == SR_P2P && (row->no_write || row->write == SR_P2P);
}

/* What doctor promises or denies, against what the calls have done. */
static void judge_verdict(const struct sr_row *row, int status)
{
	bool copies = !row->copy_read && !row->copy_write;

	if (says("peer-to-peer, proven") && row->read != SR_P2P)
		differs("doctor has proven what read() does not do");
	/* Into a scratch file, which is not that file. */
	if (says("into the device and back, verified") && row->write != SR_P2P && !row->warns)
		differs("doctor has proven what write() does not do");
	if (status == 3 && goes_both_ways(row) && copies)
		differs("doctor denies what works");
	if (status != 3 && (!goes_both_ways(row) || !copies) && !row->warns)
		differs("doctor finds nothing wrong, and something is");
}

static void show_what_is_not_ok(void)
{
	for (const char *line = said, *end; *line; line = *end ? end + 1 : end) {
		end = strchrnul(line, '\n');
		if (strncmp(line, "ok ", 3))
			h_diag("%.*s", (int)(end - line), line);
	}
}

static void judge_doctor(const struct sr_row *row)
{
	char names[160] = "";
	int status = tool("doctor %s:%d --%s %s", h_pci("target"), BAR,
			  row->disk ? "disk" : "file", place_of(row));

	show_what_is_not_ok();
	/* What FAILs leaves later checks unknown. */
	collect(status == 3 ? "FAIL " : "unknown ", names, sizeof(names));
	if (strcmp(names, row->finds ? row->finds : ""))
		differs("doctor finds '%s', not '%s'", names, row->finds ? row->finds : "");
	if (status != row->doctor)
		differs("doctor's status is %d, not %d", status, row->doctor);
	if (row->warns && !says("warning  %s", row->warns))
		differs("doctor does not warn of '%s'", row->warns);
	judge_verdict(row, status);
}

/* The row. */

static const char *doctor_words(const struct sr_row *row)
{
	static char text[192];

	if (row->bare)
		return "-";
	if (row->doctor == 3)
		snprintf(text, sizeof(text), "FAIL: %s", row->finds);
	else if (row->doctor == 7)
		snprintf(text, sizeof(text), "proven; unknown: %s", row->finds);
	else
		snprintf(text, sizeof(text), "proven%s%s", row->warns ? "; warning: " : "",
			 row->warns ? row->warns : "");
	return text;
}

static const char *copied(int rc)
{
	return rc ? "refused" : "P2P";
}

static const char *copy_words(const struct sr_row *row)
{
	static char text[96];

	if (row->bare)
		return "-";
	if (row->no_write || !row->copy_read == !row->copy_write)
		return copied(row->copy_read);
	snprintf(text, sizeof(text), "from it %s, to it %s", copied(row->copy_read),
		 copied(row->copy_write));
	return text;
}

static void print(const struct sr_row *row)
{
	struct utsname name;

	uname(&name);
	h_diag("storage: %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s:%s", row->id,
	       row->what, way_words(row->read), row->no_write ? "-" : way_words(row->write),
	       copy_words(row), row->path ? row->path : "-", doctor_words(row),
	       row->note ? row->note : row->cause ? row->cause : "-",
	       row->remedy ? row->remedy : "-", name.release, program_invocation_short_name,
	       h_case_name());
}

void sr_run(const struct sr_row *row)
{
	static void (*const steps[])(const struct sr_row *) = {
		judge_read, judge_write, judge_copies, judge_path, NULL, judge_doctor,
	};

	if (!open_device()) {
		h_fail("%s: could not %s: %s", err.device, err.step, err.cause);
		return;
	}
	H_CHECK(make(row));
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		if (!steps[i])
			close_device();
		else if (!(row->bare && i > 1) && !(row->no_write && i == 1))
			steps[i](row);
	}
	if (!h_failed())
		print(row);
}
