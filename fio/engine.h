/* SPDX-License-Identifier: MIT */
/*
 * engine.h - the parts of the fio engine "vfio-p2p"
 *
 * The engine is fio's own io_uring engine, with buffers that lie in a window: what
 * submits and reaps is fio's, so that a job in host RAM (ioengine=io_uring) and one
 * in device memory differ in the memory alone.
 *
 *	engine.c	the table fio calls: what is handed on, what is not
 *	options.c	io_uring's options and ours, in one table
 *	job.c		a job's window and buffers
 *	device.c	devices, opened once a process
 *	area.c		which job has which part of a window; shared by forked jobs
 *	file.c		can this file go peer-to-peer?
 *	repeat.c	requests that met a reset
 *	say.c		what the user reads
 *
 * fio calls get_file_size() for each job in its first process, one job after the
 * other, before it forks or starts threads; there the device is opened, since a
 * VFIO group can be open only once.  init() and all after it run in the job's own
 * process or thread.
 */
#ifndef VFIO_P2P_FIO_ENGINE_H
#define VFIO_P2P_FIO_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "fio.h"
#include "optgroup.h"
#include "vfio-p2p.h"

/** io_uring - fio's engine, which ours hands on to */
extern const struct ioengine_ops *io_uring;

/* ---------------------------------------------------------------- options --- */

enum on_reset { ON_RESET_FAIL, ON_RESET_WAIT };

/** struct options - ours; behind those of io_uring in td->eo */
struct options {
	struct job *job;		/* NULL before its window has been found */
	char *device;
	unsigned int bar;		/* BAR number + 1; 0: that of the first window */
	unsigned int write_combining;
	unsigned int populate;
	unsigned int on_reset;
	unsigned int memory_kept;
	unsigned long long window_offset;
	unsigned long long window_size;
	unsigned long long region_align;
	unsigned long long reset_timeout;	/* microseconds */
};

/** options_build() - io_uring's table with ours behind; to be freed, or NULL */
struct fio_option *options_build(const struct ioengine_ops *inner, int *struct_size);

/** options_of() - a job's */
struct options *options_of(const struct thread_data *td);

/** options_check() - what cannot be done whatever the device: 0 or -errno */
int options_check(struct thread_data *td, struct vp2p_error *err);

/* ---------------------------------------------------------------- devices --- */

struct area;

/** struct device - one that some job of this process uses */
struct device {
	struct device *next;
	struct vp2p_device *dev;
	struct area *areas[VP2P_MAX_WINDOWS];
	unsigned int jobs;
	char bdf[VP2P_BDF_LEN];
};

/** device_get() - open it, or count one user more */
int device_get(const char *bdf, struct device **out, struct vp2p_error *err);

/** device_area() - who has what of a window, the same for all jobs; NULL without memory */
struct area *device_area(struct device *device, unsigned int window);

/** device_put() - one user less; the last one closes it */
void device_put(struct device *device);

/* ------------------------------------------------------------------ areas --- */

/** area_create() - of a window; NULL without memory */
struct area *area_create(void);
void area_destroy(struct area *area);

/** struct range - part of a window, from its start */
struct range {
	uint64_t at, length;
};

/** area_take() - a range of that alignment within @within that nobody has: 0 or -ENOSPC */
int area_take(struct area *area, struct range within, uint64_t length, uint64_t align,
	      struct range *out);
void area_give(struct area *area, struct range range);

/* ------------------------------------------------------------------- jobs --- */

struct again;

/** struct job - a job (one of numjobs) and its buffers */
struct job {
	struct device *device;
	struct vp2p_window *win;
	struct area *area;
	struct range within;		/* where its buffers may lie */
	struct range mine;		/* where they do; length 0: nowhere yet */
	char *map;			/* whole granules around mine */
	uint64_t map_length;
	char *buffer;
	bool told;

	/* repeat.c */
	struct io_u **done;		/* what getevents() has for event() */
	struct io_u **cut;
	struct again *again;		/* by index of the request */
	uint64_t repeats, waited_us;
};

/** job_prepare() - find the window; opens the device if need be: 0 or 1, as fio has it */
int job_prepare(struct thread_data *td);

/** job_take_buffers() - of at least that many bytes, page-aligned: 0 or 1 */
int job_take_buffers(struct thread_data *td, uint64_t bytes);

/** job_end() - undo both */
void job_end(struct thread_data *td);

/** file_check() - can an open file go peer-to-peer with the job's window?  0 or 1 */
int file_check(struct thread_data *td, const struct fio_file *f);

/* ----------------------------------------------------------------- resets --- */

int repeat_init(struct thread_data *td);
void repeat_exit(struct job *job);

/** repeat_getevents() - io_uring's, but for requests that a reset cut, which go again */
int repeat_getevents(struct thread_data *td, unsigned int min, unsigned int max,
		     const struct timespec *t);
struct io_u *repeat_event(struct thread_data *td, int event);

/* ------------------------------------------------------------------ words --- */

/** complain() - print an error and make it the job's; returns 1 */
int complain(struct thread_data *td, const struct vp2p_error *err);

/** refuse() - an error of the engine's own; returns -code */
int refuse(struct vp2p_error *err, int code, const char *job, const char *remedy,
	   const char *cause, ...) __attribute__((format(printf, 5, 6)));

/** remark() - on the normal output, which machines do not read */
void remark(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** details() - of a failed request, for fio to print and free */
char *details(struct io_u *io_u);

#endif /* VFIO_P2P_FIO_ENGINE_H */
