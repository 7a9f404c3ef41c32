/* SPDX-License-Identifier: MIT */
/*
 * doctor_proof.c - 4 KiB by peer-to-peer DMA, and then looked at by the CPU
 *
 * An errno is no proof, nor is its absence: a route can swallow packets while
 * read(2) reports success.  So the device's memory is filled with what the data is
 * not, the disk writes, and the CPU compares what lies there (through the ordinary
 * view of the BAR) with what it has read of the same file into RAM.  The way back
 * goes to a scratch file, never to one that was there.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "bar_memory.h"
#include "cp_window.h"
#include "doctor.h"
#include "interrupt.h"
#include "report.h"
#include "text.h"

#define SIZE 4096

/* struct trip - one file, there or there and back */
struct trip {
	struct doctor *doctor;
	struct vp2p_window *win;
	bool made;			/* the window, for this */
	volatile uint8_t *bar;		/* the place, through the ordinary view */
	uint64_t at;			/* the place, from the window's start */
	const char *name;		/* for people */
	int fd;				/* open with O_DIRECT */
	bool writing;			/* a scratch file: there and back */
	size_t length;			/* of the data */
	uint8_t *data;			/* what must arrive */
	uint8_t *other;			/* for comparing */
};

static int say(struct trip *trip, enum verdict verdict, const char *seen,
	       const char *remedy)
{
	found(&trip->doctor->findings, verdict, "proof", trip->name, seen, remedy);
	return verdict == FOUND_OK ? 0 : -1;
}

static int say_errno(struct trip *trip, const char *step)
{
	return say(trip, FOUND_UNKNOWN, text("could not %s by the CPU: %s", step,
					     strerror(errno)),
		   "check permissions, free space and the disk");
}

static int say_wrong(struct trip *trip, const char *call, size_t differing,
		     size_t first)
{
	trip->doctor->proof = DISPROVEN;
	return say(trip, FOUND_FAIL,
		   text("WRONG DATA: %s reported success, but %zu of %zu bytes "
			"differ, the first at 0x%zx", call, differing,
			trip->length, first),
		   "do not use this path; look for IOMMU faults in the kernel "
		   "log (dmesg), and try iommu=pt");
}

/* Do @a and @b agree?  -1 after it was said that not. */
static int compare(struct trip *trip, const char *call, const uint8_t *a,
		   const uint8_t *b)
{
	size_t differing = 0, first = 0, i;

	for (i = trip->length; i-- > 0;) {
		if (a[i] == b[i])
			continue;
		first = i;
		differing++;
	}
	return differing ? say_wrong(trip, call, differing, first) : 0;
}

/* The place gets @bytes, and keeps them: else it is no memory. */
static int fill_bar(struct trip *trip, const uint8_t *bytes)
{
	uint8_t *back = trip->other;

	bar_store(trip->bar, bytes, SIZE);
	bar_load(back, trip->bar, SIZE);
	if (!memcmp(back, bytes, SIZE))
		return 0;
	return say(trip, FOUND_UNKNOWN,
		   "the BAR does not keep what the CPU stores there, so nothing "
		   "can be shown",
		   "name a place that is memory (DEVICE:BAR+OFFSET), or have the "
		   "device's memory set up first");
}

/* So that data which was never brought cannot be taken for it. */
static int fill_with_opposite(struct trip *trip)
{
	uint8_t opposite[SIZE];
	size_t i;

	for (i = 0; i < SIZE; i++)
		opposite[i] = (uint8_t)~trip->data[i];
	return fill_bar(trip, opposite);
}

static int copy(struct trip *trip, enum vp2p_direction direction)
{
	struct vp2p_copy_request request = {
		.window = trip->win,
		.fd = trip->fd,
		.direction = direction,
		.window_offset = trip->at,
		.length = SIZE,
	};
	struct vp2p_copy_result result;
	struct vp2p_error err;

	if (vp2p_copy(&request, &result, &err))
		return say(trip, FOUND_FAIL, text("%s: %s", direction ==
						  VP2P_FILE_TO_WINDOW ? "read" :
						  "write", err.cause),
			   text("%s", report_remedy(&err)));
	if (result.bytes_p2p == trip->length && !result.bytes_bounced)
		return 0;
	return say(trip, FOUND_FAIL,
		   text("%" PRIu64 " bytes went peer-to-peer instead of %zu",
			result.bytes_p2p, trip->length), "try another file");
}

/* By RAM, from the disk. Return: bytes, or -1. */
static ssize_t read_by_ram(struct trip *trip, uint8_t *to)
{
	return pread(trip->fd, to, SIZE, 0);
}

/* There: what the disk brings must be what RAM got of it, before and after. */
static int prove_read(struct trip *trip)
{
	ssize_t got = read_by_ram(trip, trip->data);

	if (got < 0)
		return say_errno(trip, "read it");
	if (!got)
		return say(trip, FOUND_UNKNOWN, "the file is empty",
			   "name a file that has data");
	trip->length = (size_t)got;
	if (fill_with_opposite(trip) || copy(trip, VP2P_FILE_TO_WINDOW))
		return -1;
	if (read_by_ram(trip, trip->other) != got ||
	    memcmp(trip->data, trip->other, trip->length))
		return say(trip, FOUND_UNKNOWN,
			   "somebody writes to it meanwhile",
			   "name a file that stands still");
	bar_load(trip->other, trip->bar, SIZE);
	return compare(trip, "read()", trip->other, trip->data);
}

/* And back: what RAM reads of the disk must be what the device had. */
static int prove_write(struct trip *trip)
{
	if (getrandom(trip->data, SIZE, 0) != SIZE)
		return say_errno(trip, "make a pattern");
	if (fill_bar(trip, trip->data) || copy(trip, VP2P_WINDOW_TO_FILE))
		return -1;
	if (read_by_ram(trip, trip->other) != SIZE)
		return say_errno(trip, "read it back");
	return compare(trip, "write()", trip->other, trip->data);
}

static int prepare_scratch(struct trip *trip)
{
	if (getrandom(trip->data, SIZE, 0) != SIZE)
		return say_errno(trip, "make a pattern");
	if (pwrite(trip->fd, trip->data, SIZE, 0) != SIZE || fsync(trip->fd))
		return say_errno(trip, "write it");
	return 0;
}

static int prove(void *arg)
{
	struct trip *trip = arg;

	if ((trip->writing && prepare_scratch(trip)) || prove_read(trip) ||
	    (trip->writing && prove_write(trip))) {
		/* One way is not both. */
		if (trip->doctor->proof == PROVEN)
			trip->doctor->proof = NOT_PROVEN;
		return -1;
	}
	trip->doctor->proof = PROVEN;
	return say(trip, FOUND_OK,
		   text("%zu bytes by peer-to-peer DMA into the device%s, "
			"verified", trip->length, trip->writing ?
			" and back" : ", nothing written"), NULL);
}

/* The place keeps what it had, as far as the close's reset leaves it. */
static int prove_and_restore(void *arg)
{
	struct trip *trip = arg;
	uint8_t before[SIZE];
	int rc;

	bar_load(before, trip->bar, SIZE);
	rc = prove(trip);
	bar_store(trip->bar, before, SIZE);
	return rc;
}

static void run_trip(struct trip *trip)
{
	trip->data = aligned_alloc(SIZE, SIZE);
	trip->other = aligned_alloc(SIZE, SIZE);
	if (!trip->data || !trip->other)
		say(trip, FOUND_UNKNOWN, "no memory", "free some");
	else if (bar_guarded(prove_and_restore, trip) == -EIO)
		say(trip, FOUND_FAIL, "the device's memory went away",
		    "see the kernel log (dmesg)");
	free(trip->data);
	free(trip->other);
}

/* A source that is only read: the file, the disk, or the disk below the mount. */
static const char *source_path(const struct doctor *doctor)
{
	if (doctor->args.kind != STORAGE_MOUNT)
		return doctor->args.path;
	return doctor->storage.mount ? doctor->storage.mount->source : "";
}

static void trip_to_source(struct trip *trip)
{
	trip->name = source_path(trip->doctor);
	trip->writing = false;
	trip->fd = open(trip->name, O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (trip->fd < 0) {
		say_errno(trip, "open it with O_DIRECT");
		return;
	}
	run_trip(trip);
	close(trip->fd);
}

static void trip_to_scratch(struct trip *trip)
{
	trip->name = "scratch file";
	trip->writing = true;
	trip->fd = trip->doctor->storage.scratch;
	run_trip(trip);
}

static bool has_data(const struct doctor *doctor)
{
	off_t end;
	int fd = open(doctor->args.path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return true;	/* let the open for the proof say why */
	end = lseek(fd, 0, SEEK_END);
	close(fd);
	return end > 0;
}

static void make_trips(struct trip *trip)
{
	const struct doctor *doctor = trip->doctor;
	bool scratch = doctor->storage.scratch >= 0;

	if (!scratch || (doctor->args.kind == STORAGE_FILE && has_data(doctor)))
		trip_to_source(trip);
	if (scratch && doctor->proof != DISPROVEN && !interrupt_seen())
		trip_to_scratch(trip);
}

static int find_window(struct trip *trip, struct vp2p_error *err)
{
	struct place place = trip->doctor->args.place;
	struct span made;
	int rc;

	place.span.length = SIZE;
	rc = window_obtain(trip->doctor->dev, &place, &trip->win, &made, err);
	if (rc)
		return rc;
	trip->made = made.length;
	trip->at = place.span.offset - vp2p_window_offset(trip->win);
	return 0;
}

/* What was not there before is given back, where the driver can. */
static void release_window(struct trip *trip)
{
	if (!trip->made || vp2p_window_unregister(trip->win, NULL))
		vp2p_window_destroy(trip->win);
}

static void with_window(struct trip *trip)
{
	struct doctor *doctor = trip->doctor;
	const struct span *span = &doctor->args.place.span;
	struct vp2p_error err;
	void *bar;
	int rc;

	trip->name = text("%s:%u", doctor->device->bdf, span->bar);
	rc = find_window(trip, &err);
	if (rc) {
		say(trip, rc == -EPERM ? FOUND_UNKNOWN : FOUND_FAIL,
		    text("could not %s: %s", err.step, err.cause),
		    text("%s", err.remedy));
		return;
	}
	if (vp2p_map_bar(doctor->dev, span->bar, span->offset, SIZE, &bar, &err)) {
		say(trip, FOUND_FAIL, text("could not %s: %s", err.step, err.cause),
		    text("%s", err.remedy));
	} else {
		trip->bar = bar;
		make_trips(trip);
		vp2p_unmap(bar, SIZE, NULL);
	}
	release_window(trip);
}

static const char *why_not(const struct doctor *doctor)
{
	if (doctor->findings.count[FOUND_FAIL])
		return "something above FAILs";
	return doctor->args.no_open ? "--no-open leaves the device alone" :
				      "the device could not be opened";
}

/*
 * What was overwritten is put back, and a window given back, before a signal ends it; but
 * the second one does not wait for that: a file server may be silent for ever.
 */
static void with_window_undisturbed(struct trip *trip)
{
	interrupt_watch();
	with_window(trip);
	interrupt_unwatch();
}

void doctor_proof(struct doctor *doctor)
{
	struct trip trip = { .doctor = doctor, .fd = -1 };

	if (!doctor->args.device || doctor->args.kind == NO_STORAGE)
		return;
	if (doctor->dev && !doctor->findings.count[FOUND_FAIL])
		with_window_undisturbed(&trip);
	else
		found(&doctor->findings, FOUND_UNKNOWN, "proof", NULL,
		      text("not tried: %s", why_not(doctor)),
		      "mend that and run doctor again");
}
