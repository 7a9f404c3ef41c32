// SPDX-License-Identifier: MIT
/*
 * repeat.c - requests that met a reset
 *
 * A request whose pages cannot be pinned because the window is being revoked fails
 * with EFAULT; one that had pinned some is short.  With on_reset=wait neither gets as
 * far as fio: they wait, here, until the device is live, and go again, whole.  (fio
 * would send the rest of a short one by itself, but looks for what it verifies where
 * the rest begins.)  Each keeps the time at which it was first issued, so that its
 * latency is what a program would see.
 */
#include "engine.h"

/* So often a request may fail although nothing has been revoked meanwhile. */
#define MOST_TRIES 8

struct again {
	struct timespec issued;		/* at first */
	uint64_t revocations;		/* of the device, when it failed last */
	unsigned int tries;
};

int repeat_init(struct thread_data *td)
{
	struct job *job = options_of(td)->job;
	unsigned int depth = td->o.iodepth;	/* of which io_uring makes a power of 2 */

	job->done = calloc(depth, sizeof(*job->done));
	job->cut = calloc(depth, sizeof(*job->cut));
	job->again = calloc(depth, sizeof(*job->again));
	if (job->done && job->cut && job->again)
		return 0;
	td_verror(td, ENOMEM, "vfio-p2p");
	return 1;
}

void repeat_exit(struct job *job)
{
	free(job->done);
	free(job->cut);
	free(job->again);
}

struct io_u *repeat_event(struct thread_data *td, int event)
{
	return options_of(td)->job->done[event];
}

/* Interrupted waits go on, unless it was fio's end. */
static int wait_live(struct thread_data *td, struct job *job, struct vp2p_error *err)
{
	uint64_t limit = options_of(td)->reset_timeout;
	struct timespec start;
	uint64_t spent;
	int rc;

	fio_gettime(&start, NULL);
	do {
		spent = utime_since_now(&start);
		spent = spent < limit ? spent : limit;
		rc = vp2p_wait_live(job->device->dev, (int)((limit - spent) / 1000), err);
	} while (rc == -EINTR && !td->terminate);
	job->waited_us += utime_since_now(&start);
	return rc;
}

/* A storm of resets is no reason to give up; a window that stays dead is. */
static bool may_try(struct job *job, const struct io_u *io_u, uint64_t revocations)
{
	struct again *again = &job->again[io_u->index];

	again->tries = revocations == again->revocations ? again->tries + 1 : 1;
	again->revocations = revocations;
	return again->tries <= MOST_TRIES;
}

static int count_revocations(struct job *job, uint64_t *count, struct vp2p_error *err)
{
	struct vp2p_state state;
	int rc = vp2p_get_state(job->device->dev, &state, err);
	unsigned int i;

	*count = 0;
	for (i = 0; !rc && i < VP2P_CAUSES; i++)
		*count += state.revokes[i];
	return rc;
}

/* fio's commit() notes a new time of issue, and one more submission latency. */
static int send_again(struct thread_data *td, struct job *job, unsigned int n)
{
	const unsigned int quiet = td->o.disable_slat;
	unsigned int i;
	int rc;

	rc = io_uring->commit(td);
	for (i = 0; !rc && i < n; i++) {
		struct io_u *io_u = job->cut[i];

		job->again[io_u->index].issued = io_u->issue_time;
		io_u->error = 0;
		io_u->resid = 0;
		io_uring->prep(td, io_u);
		if (io_uring->queue(td, io_u) != FIO_Q_QUEUED)
			rc = -EBUSY;	/* cannot be: the ring has room for all */
	}
	td->o.disable_slat = 1;
	if (!rc)
		rc = io_uring->commit(td);
	td->o.disable_slat = quiet;
	for (i = 0; i < n; i++)
		job->cut[i]->issue_time = job->again[job->cut[i]->index].issued;
	return rc;
}

/*
 * The first @n of job->cut go again; those that may not are done, as failed.
 * Returns how many are done, or -errno.
 */
static int repeat(struct thread_data *td, struct job *job, unsigned int n, struct io_u **done)
{
	unsigned int i, again = 0, given_up = 0;
	uint64_t revocations = 0;
	struct vp2p_error err;
	int rc = wait_live(td, job, &err);

	if (!rc)
		rc = count_revocations(job, &revocations, &err);
	if (rc && rc != -EINTR)
		complain(td, &err);
	for (i = 0; i < n; i++) {
		struct io_u *io_u = job->cut[i];

		if (!rc && may_try(job, io_u, revocations)) {
			job->cut[again++] = io_u;
			continue;
		}
		if (rc && rc != -EINTR)
			io_u->error = (unsigned int)-rc;
		done[given_up++] = io_u;
	}
	job->repeats += again;
	rc = again ? send_again(td, job, again) : 0;
	return rc < 0 ? rc : (int)given_up;
}

/* A short one that is at the file's end stays so, and is fio's after some tries. */
static bool was_cut(const struct io_u *io_u)
{
	return io_u->error == EFAULT || (!io_u->error && io_u->resid);
}

int repeat_getevents(struct thread_data *td, unsigned int min, unsigned int max,
		     const struct timespec *t)
{
	struct job *job = options_of(td)->job;
	bool waits = options_of(td)->on_reset == ON_RESET_WAIT;
	unsigned int n = 0, cut;
	int i, got;

	do {
		got = io_uring->getevents(td, n < min ? min - n : 0, max - n, t);
		if (got < 0)
			return got;
		cut = 0;
		for (i = 0; i < got; i++) {
			struct io_u *io_u = io_uring->event(td, i);

			if (waits && was_cut(io_u)) {
				job->cut[cut++] = io_u;
				continue;
			}
			job->again[io_u->index].tries = 0;
			job->done[n++] = io_u;
		}
		got = cut ? repeat(td, job, cut, job->done + n) : 0;
		if (got < 0)
			return got;
		n += got;
	} while (n < min);
	return (int)n;
}
