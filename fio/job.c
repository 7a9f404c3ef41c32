// SPDX-License-Identifier: MIT
/* job.c - a job's window and buffers */
#include "engine.h"

/* ----------------------------------------------------------------- window --- */

/* The first window of the device, or of the BAR that is asked for. */
static int first_window(struct vp2p_device *dev, const struct options *o, unsigned int flags,
			struct vp2p_window **win, struct vp2p_error *err)
{
	struct vp2p_state state;
	unsigned int id, seen = 0;
	int rc = vp2p_get_state(dev, &state, err);

	for (id = 0; !rc && id < VP2P_MAX_WINDOWS && seen < state.windows; id++) {
		rc = vp2p_window_find(dev, id, flags, win, err);
		if (rc == -ENOENT) {
			rc = 0;
			continue;
		}
		if (rc || !o->bar || vp2p_window_bar(*win) == o->bar - 1)
			return rc;
		vp2p_window_destroy(*win);
		seen++;
	}
	return rc ? rc : -ENOENT;
}

static int no_window(const struct thread_data *td, struct vp2p_error *err)
{
	const struct options *o = options_of(td);
	char remedy[sizeof(err->remedy)];
	unsigned int bar = o->bar ? o->bar - 1 : 0;

	snprintf(remedy, sizeof(remedy), "vfio-p2p window add %s %u; vfio-p2p list shows the BARs",
		 o->device, bar);
	return refuse(err, ENOENT, td->o.name, remedy, o->bar ?
		      "%s has no window on BAR %u" : "%s has no window", o->device, bar);
}

static int find_window(const struct thread_data *td, struct job *job, struct vp2p_error *err)
{
	const struct options *o = options_of(td);
	unsigned int flags = o->write_combining ? VP2P_WINDOW_WC : 0;
	struct vp2p_device *dev = job->device->dev;
	bool anywhere = !o->window_offset && !o->window_size;
	struct vp2p_window *first;
	unsigned int bar;
	int rc = first_window(dev, o, flags, &first, err);

	if (rc == -ENOENT)
		return no_window(td, err);
	if (rc)
		return rc;
	if (anywhere) {
		job->win = first;
		job->within = (struct range){ 0, vp2p_window_length(first) };
		return 0;
	}
	bar = vp2p_window_bar(first);
	vp2p_window_destroy(first);
	rc = vp2p_window_lookup(dev, bar, o->window_offset, o->window_size, flags, &job->win, err);
	if (rc)
		return rc;
	job->within.at = o->window_offset - vp2p_window_offset(job->win);
	job->within.length = o->window_size ? o->window_size :
			     vp2p_window_length(job->win) - job->within.at;
	return 0;
}

/* Before fio forks, so that all jobs see the same one. */
static int find_area(const struct thread_data *td, struct job *job, struct vp2p_error *err)
{
	job->area = device_area(job->device, vp2p_window_id(job->win));
	return job->area ? 0 : refuse(err, ENOMEM, td->o.name, "free some", "no memory");
}

static int prepare(struct thread_data *td, struct job *job, struct vp2p_error *err)
{
	int rc = options_check(td, err);

	if (!rc)
		rc = device_get(options_of(td)->device, &job->device, err);
	if (!rc)
		rc = find_window(td, job, err);
	if (!rc)
		rc = find_area(td, job, err);
	return rc;
}

static void forget(struct job *job)
{
	vp2p_window_destroy(job->win);
	if (job->device)
		device_put(job->device);
	free(job);
}

int job_prepare(struct thread_data *td)
{
	struct job *job = calloc(1, sizeof(*job));
	struct vp2p_error err;

	if (!job) {
		td_verror(td, ENOMEM, "vfio-p2p");
		return 1;
	}
	if (prepare(td, job, &err)) {
		forget(job);
		return complain(td, &err);
	}
	options_of(td)->job = job;
	return 0;
}

/* ---------------------------------------------------------------- buffers --- */

static uint64_t down(uint64_t value)
{
	return value & ~(VP2P_GRANULE - 1);
}

/*
 * Whole granules, though a job may have less: only what covers 2 MiB is mapped by
 * a 2 MiB entry.
 */
static int map(struct job *job, struct vp2p_error *err)
{
	uint64_t from = down(job->mine.at);
	uint64_t to = down(job->mine.at + job->mine.length + VP2P_GRANULE - 1);
	void *p;
	int rc = vp2p_map(job->win, from, to - from, 0, &p, err);

	if (rc)
		return rc;
	job->map = p;
	job->map_length = to - from;
	job->buffer = job->map + (job->mine.at - from);
	return 0;
}

/* A reset may be under way; after so many in a row the job is told. */
static int populate(struct job *job, uint64_t timeout_ms, struct vp2p_error *err)
{
	int rc, tries = 0;

	do {
		rc = vp2p_populate(job->device->dev, job->map, job->map_length, err);
	} while (rc == -EAGAIN && ++tries < 8 &&
		 !vp2p_wait_live(job->device->dev, (int)timeout_ms, NULL));
	return rc;
}

static void unmap(struct job *job)
{
	if (job->map)
		vp2p_unmap(job->map, job->map_length, NULL);
	if (job->mine.length)
		area_give(job->area, job->mine);
	job->map = NULL;
	job->mine.length = 0;
}

static int no_room(struct thread_data *td, const struct job *job, uint64_t bytes,
		   struct vp2p_error *err)
{
	return refuse(err, ENOSPC, td->o.name,
		      "fewer numjobs, a smaller bs or iodepth, region_align=4k, or a larger "
		      "window (window_size=, vfio-p2p window add)",
		      "no room for its %llu bytes of buffers (bs=%llu, iodepth=%u rounded up to a "
		      "power of 2): jobs share %llu bytes of BAR %u from 0x%llx on",
		      (unsigned long long)bytes, td_max_bs(td), td->o.iodepth,
		      (unsigned long long)job->within.length, vp2p_window_bar(job->win),
		      (unsigned long long)(vp2p_window_offset(job->win) + job->within.at));
}

static int take(struct thread_data *td, struct job *job, uint64_t bytes,
		struct vp2p_error *err)
{
	const struct options *o = options_of(td);
	int rc;

	if (area_take(job->area, job->within, bytes, o->region_align, &job->mine))
		return no_room(td, job, bytes, err);
	rc = map(job, err);
	if (!rc && o->populate)
		rc = populate(job, o->reset_timeout / 1000, err);
	if (rc)
		unmap(job);
	return rc;
}

int job_take_buffers(struct thread_data *td, uint64_t bytes)
{
	struct job *job = options_of(td)->job;
	struct vp2p_error err;

	bytes = (bytes + page_mask) & ~(uint64_t)page_mask;
	if (job->mine.length >= bytes)
		return 0;
	unmap(job);
	return take(td, job, bytes, &err) ? complain(td, &err) : 0;
}

void job_end(struct thread_data *td)
{
	struct options *o = options_of(td);

	if (!o || !o->job)
		return;
	unmap(o->job);
	repeat_exit(o->job);
	forget(o->job);
	o->job = NULL;
}
