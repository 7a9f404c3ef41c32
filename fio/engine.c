// SPDX-License-Identifier: MIT
/* engine.c - the table fio calls: what is handed on to io_uring, what is not */
#include "engine.h"
#include "lib/roundup.h"

const struct ioengine_ops *io_uring;

/* ------------------------------------------------------------------ hooks --- */

/* In fio's first process, for each job in turn, before it forks. */
static int get_file_size(struct thread_data *td, struct fio_file *f)
{
	if (!options_of(td)->job && job_prepare(td))
		return 1;
	return io_uring->get_file_size(td, f);
}

/* fio has not called get_file_size() before it forked: another job might open too. */
static int prepare_late(struct thread_data *td)
{
	struct vp2p_error err;

	if (td->o.use_thread)
		return job_prepare(td);
	refuse(&err, EINVAL, td->o.name, "create_serialize=1, or thread=1",
	       "create_serialize=0 with jobs that are processes: a device can be opened once, and "
	       "has to be before they fork");
	return complain(td, &err);
}

/* io_uring makes a power of 2 of iodepth; fio's room to align in is not needed. */
static int take_buffers(struct thread_data *td)
{
	unsigned long long depth = roundup_pow2(td->o.iodepth);

	return job_take_buffers(td, td_max_bs(td) * depth + td->o.mem_align);
}

/*
 * The job's own process or thread from here on.  The buffers are taken now and not in
 * iomem_alloc(), whose failure fio overlooks; and before io_uring has begun, whose
 * cleanup() takes it that a ring is there.
 */
static int init(struct thread_data *td)
{
	if (!options_of(td)->job && prepare_late(td))
		return 1;
	if (take_buffers(td) || io_uring->init(td))
		return 1;
	return repeat_init(td);
}

/* A replayed log with larger requests has fio ask a second time. */
static int iomem_alloc(struct thread_data *td, size_t fio_unused bytes)
{
	if (take_buffers(td))
		return 1;
	td->orig_buffer = options_of(td)->job->buffer;
	return 0;
}

/* cleanup() does it, after the last request. */
static void iomem_free(struct thread_data fio_unused *td)
{
}

static void cleanup(struct thread_data *td)
{
	struct options *o = options_of(td);

	io_uring->cleanup(td);
	if (o && o->job && o->job->repeats)
		log_err("vfio-p2p: %s: %llu requests met a reset and went again; waited %llu ms\n",
			td->o.name, (unsigned long long)o->job->repeats,
			(unsigned long long)o->job->waited_us / 1000);
	job_end(td);
}

static int open_file(struct thread_data *td, struct fio_file *f)
{
	int rc = io_uring->open_file(td, f);

	/* Not while fio lays files out, by the CPU and before there are buffers. */
	if (rc || !options_of(td)->job || !options_of(td)->job->buffer || FILE_ENG_DATA(f))
		return rc;
	if (file_check(td, f)) {
		io_uring->close_file(td, f);
		return 1;
	}
	FILE_SET_ENG_DATA(f, f);
	return 0;
}

/* ------------------------------------------------------------------ table --- */

static const struct ioengine_ops *find_io_uring(void)
{
	struct thread_data *td = calloc(1, sizeof(*td));
	struct ioengine_ops *ops;

	if (!td)
		return NULL;
	td->o.ioengine = (char *)"io_uring";
	ops = load_ioengine(td);
	free(td);
	return ops;
}

static bool fits_this_fio(void)
{
	if (!strcmp(fio_version_string, BUILT_FOR))
		return true;
	log_err("vfio-p2p: this engine was built for %s and cannot be loaded by %s.  Remedy: "
		"build it for that one (docs/fio.md).\n", BUILT_FOR, fio_version_string);
	return false;
}

static bool build(struct ioengine_ops *ops)
{
	io_uring = find_io_uring();
	if (!io_uring || !io_uring->get_file_size || !io_uring->init || !io_uring->commit) {
		log_err("vfio-p2p: this fio has no engine io_uring, which this one stands on\n");
		return false;
	}
	*ops = *io_uring;
	memset(&ops->list, 0, sizeof(ops->list));
	ops->name = "vfio-p2p";
	ops->get_file_size = get_file_size;
	ops->init = init;
	ops->iomem_alloc = iomem_alloc;
	ops->iomem_free = iomem_free;
	ops->cleanup = cleanup;
	ops->open_file = open_file;
	ops->getevents = repeat_getevents;
	ops->event = repeat_event;
	ops->errdetails = details;
	ops->options = options_build(io_uring, &ops->option_struct_size);
	return ops->options;
}

/* What fio looks for in an external engine.  Called once for each job. */
void get_ioengine(struct ioengine_ops **out);

__attribute__((visibility("default")))
void get_ioengine(struct ioengine_ops **out)
{
	static struct ioengine_ops ops;

	if (!fits_this_fio() || (!ops.name && !build(&ops)))
		return;
	*out = &ops;
}
