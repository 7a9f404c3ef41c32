/* SPDX-License-Identifier: MIT */
/* bench_engine.c - one measurement: requests of one size through io_uring */
#include "bench_engine.h"

#include <errno.h>
#include <liburing.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <vfio-p2p.h>

#include "bench_cpu.h"
#include "interrupt.h"

#define MOST_DEPTH 64

/*
 * After a copy of this many bytes its request goes out at once, so that the disk
 * has work while the next is copied; smaller ones are cheaper together.
 */
#define COPY_ALONE (64 << 10)

struct slot {
	uint64_t begun;		/* ns */
	uint64_t offset;	/* in the file */
};

/* struct engine - a run under way */
struct engine {
	const struct engine_job *job;
	struct io_uring ring;
	struct slot slots[MOST_DEPTH];
	uint64_t next;		/* offset in the file */
	uint64_t asked;		/* requests */
	uint64_t limit;		/* requests; UINT64_MAX: none */
	uint64_t until;		/* ns; UINT64_MAX: none */
	unsigned int in_flight;
	bool broken;		/* the ring itself failed */
	int error;		/* the first, negative */
	struct histogram *latency;
};

static uint64_t now_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void copy_slot(const struct engine_job *job, unsigned int i)
{
	uint8_t *ram = job->buffer + i * job->size;
	uint8_t *device = job->device + i * job->size;

	if (job->write)
		vp2p_stream_from_device(ram, device, job->size);
	else
		vp2p_stream_to_device(device, ram, job->size);
}

/* The next request of slot @i; the ring has room for each slot. */
static void begin(struct engine *engine, unsigned int i)
{
	const struct engine_job *job = engine->job;
	uint8_t *buffer = job->buffer + i * job->size;
	struct io_uring_sqe *sqe;

	engine->slots[i].offset = engine->next;
	engine->slots[i].begun = now_ns();
	if (job->device && job->write)
		copy_slot(job, i);
	sqe = io_uring_get_sqe(&engine->ring);
	if (job->write)
		io_uring_prep_write(sqe, job->fd, buffer, job->size,
				    engine->next);
	else
		io_uring_prep_read(sqe, job->fd, buffer, job->size,
				   engine->next);
	io_uring_sqe_set_data64(sqe, i);
	engine->next += job->size;
	if (engine->next >= job->span)
		engine->next = 0;
	engine->asked++;
	engine->in_flight++;
}

static bool goes_on(const struct engine *engine, uint64_t now)
{
	return !engine->error && engine->asked < engine->limit &&
	       now < engine->until && !interrupt_seen();
}

/*
 * A kernel that is out of memory for the moment may take fewer.  Who is asked to end
 * does not wait for that to change.
 */
static void submit(struct engine *engine, unsigned int wait)
{
	int rc;

	do
		rc = io_uring_submit_and_wait(&engine->ring, wait);
	while ((rc == -EINTR || rc == -EAGAIN) && !interrupt_seen());
	if (rc >= 0 || rc == -EINTR)
		return;
	engine->broken = true;
	engine->error = rc;
}

static void finish(struct engine *engine, unsigned int i, int got)
{
	const struct engine_job *job = engine->job;
	uint64_t now;

	engine->in_flight--;
	if ((uint64_t)got != job->size || got < 0) {
		if (!engine->error)
			engine->error = got < 0 ? got : -ENODATA;
		return;
	}
	if (job->device && !job->write)
		copy_slot(job, i);
	now = now_ns();
	if (engine->latency)
		histogram_add(engine->latency, now - engine->slots[i].begun);
	if (!goes_on(engine, now))
		return;
	begin(engine, i);
	if (job->device && job->size >= COPY_ALONE)
		submit(engine, 0);
}

static void reap(struct engine *engine)
{
	struct io_uring_cqe *cqe;
	unsigned int i;
	int got;

	while (!io_uring_peek_cqe(&engine->ring, &cqe)) {
		i = (unsigned int)io_uring_cqe_get_data64(cqe);
		got = cqe->res;
		io_uring_cqe_seen(&engine->ring, cqe);
		finish(engine, i, got);
	}
}

/*
 * Until nothing is in flight, also after an error: the buffers must be let go.
 * (If the ring itself fails, its end waits for what it has taken.)
 */
static void go(struct engine *engine)
{
	unsigned int i;

	for (i = 0; i < engine->job->depth && engine->asked < engine->limit; i++) {
		begin(engine, i);
		if (engine->job->device && engine->job->size >= COPY_ALONE)
			submit(engine, 0);
	}
	while (engine->in_flight && !engine->broken) {
		submit(engine, 1);
		reap(engine);
	}
}

/* As many requests as are in flight later; they take no part in the figures. */
static int warm_up(struct engine *engine)
{
	engine->limit = engine->job->depth;
	engine->until = UINT64_MAX;
	go(engine);
	engine->next = 0;
	engine->asked = 0;
	return engine->error;
}

static int measure(struct engine *engine, struct engine_result *result)
{
	const struct engine_job *job = engine->job;
	struct cpu_times before, after;

	engine->latency = result->latency;
	engine->limit = job->bytes ? (job->bytes - 1) / job->size + 1 :
				     UINT64_MAX;
	if (cpu_look(&before))
		return -ENODATA;
	engine->until = job->time_ns ? before.now_ns + job->time_ns : UINT64_MAX;
	go(engine);
	if (cpu_look(&after))
		return -ENODATA;
	result->requests = engine->asked;
	result->elapsed_ns = after.now_ns - before.now_ns;
	result->process_ns = after.process_ns - before.process_ns;
	result->busy_ns = cpu_busy_ns(&before, &after,
				      (uint64_t)sysconf(_SC_CLK_TCK));
	result->interrupts = after.stat.interrupts - before.stat.interrupts;
	result->last_offset = engine->slots[0].offset;
	return engine->error;
}

int engine_run(const struct engine_job *job, struct engine_result *result)
{
	struct engine engine = { .job = job };
	int error = io_uring_queue_init(MOST_DEPTH, &engine.ring, 0);

	if (error)
		return error;
	error = warm_up(&engine);
	if (!error)
		error = measure(&engine, result);
	io_uring_queue_exit(&engine.ring);
	return !error && interrupt_seen() ? -EINTR : error;
}
