// SPDX-License-Identifier: MIT
/*
 * bounce.c - a copy through host RAM: several pieces in flight, each in its buffer
 *
 *	file --pread--> buffer 0 --streaming stores--> window
 *	file --pread--> buffer 1 --streaming stores--> window	at the same time
 *	...
 *
 * One thread has one buffer and takes one piece after the other; so while some wait
 * for the disk others use the CPU.  Threads, because they do with every file what
 * io_uring does with some, and where a container forbids io_uring too.
 *
 * Pieces lie at multiples of their size in the file, so that all but the first and
 * the last are made of whole pages: these go by direct I/O if the file has it.
 * What is no whole page goes through the page cache, to a page that no direct write
 * touches.  (A direct read may take the whole page, of which a part is used.)
 *
 * A batch ends at its first piece that is short or fails: what lies behind it counts
 * as not moved, though it may have been.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "bounce.h"
#include "guard.h"

#define PAGE		UINT64_C(4096)
/* Pieces of a batch for each thread: the fewer wait at its end, the better. */
#define ROUNDS		8
#define IDLE		UINT64_MAX

/* struct batch - the bytes of the file that are to be moved now; under the lock */
struct batch {
	uint64_t begin, end;	/* in the file */
	uint64_t next;		/* where the next piece begins */
	uint64_t broken;	/* the first byte that is known not to be in place */
	int error;		/* why, positive; 0: the file ended */
	unsigned int working;	/* threads with a piece */
	uint64_t under_way[VP2P__DEPTH_MAX];	/* by buffer: where its piece begins, or IDLE */
};

struct vp2p__bounce {
	struct vp2p__bounce_job job;
	int direct;		/* -1: no direct I/O */
	uint64_t piece;
	char *buffers;
	uint64_t buffers_size;

	pthread_mutex_t lock;
	pthread_cond_t wanted;	/* there are pieces, or it is the end */
	pthread_cond_t done;	/* nobody has a piece, and none is left */
	bool end;
	struct batch batch;
	uint64_t failed_at;	/* an error that the last batch had no way to tell */
	int failed;
	unsigned int started;	/* threads */
	unsigned int named;	/* buffers that have found their thread */
	pthread_t threads[VP2P__DEPTH_MAX];
};

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Which description serves for this part, all of it in one page or of whole pages. */
static int fd_for(const struct vp2p__bounce *b, uint64_t at, uint64_t length)
{
	bool whole = vp2p__aligned(at | length, PAGE);

	return b->direct >= 0 && whole ? b->direct : b->job.file->plain;
}

/* Moves @length bytes or as many as there are: how many, or -errno if none. */
static int64_t transfer(const struct vp2p__bounce *b, char *buf, uint64_t at,
			uint64_t length)
{
	int fd = fd_for(b, at, length);
	uint64_t have = 0;
	ssize_t n = 1;

	while (have < length && n > 0) {
		/* A direct request that was cut short goes on where direct I/O can. */
		if (!vp2p__aligned(have, PAGE))
			fd = b->job.file->plain;
		n = vp2p__transfer(fd, b->job.to_file, buf + have, length - have,
				   (off_t)(at + have));
		if (n > 0)
			have += (uint64_t)n;
	}
	return have ? (int64_t)have : n;
}

/* The same in up to three parts: to the first page's start, pages, and the rest. */
static int64_t transfer_parts(const struct vp2p__bounce *b, char *buf, uint64_t at,
			      uint64_t length)
{
	uint64_t have = 0;

	while (have < length) {
		uint64_t left = length - have;
		uint64_t head = least(-(at + have) % PAGE, left);
		uint64_t part = head ? head : left < PAGE ? left :
				vp2p__round_down(left, PAGE);
		int64_t n = transfer(b, buf + have, at + have, part);

		if (n < 0)
			return have ? (int64_t)have : n;
		have += (uint64_t)n;
		if ((uint64_t)n < part)
			break;
	}
	return (int64_t)have;
}

/*
 * Reads [@at, @at + @length): whole pages around it, which a piece has room for.
 * *@skip gets how far behind @buf the first byte is.
 */
static int64_t read_pages(const struct vp2p__bounce *b, char *buf, uint64_t at,
			  uint64_t length, uint64_t *skip)
{
	uint64_t from = vp2p__round_down(at, PAGE);
	int64_t n;

	*skip = at - from;
	n = transfer(b, buf, from, vp2p__round_up(at + length, PAGE) - from);
	if (n < 0)
		return n;
	if ((uint64_t)n <= *skip)
		return 0;
	return (int64_t)least((uint64_t)n - *skip, length);
}

/* One piece; as a move. */
static int64_t move_piece(const struct vp2p__bounce *b, char *buf, uint64_t at,
			  uint64_t length)
{
	char *view = b->job.view + (at - b->job.file_offset);
	uint64_t skip;
	int64_t n;
	int rc;

	if (b->job.to_file) {
		rc = vp2p__guarded(vp2p_stream_from_device, buf, view, length);
		return rc ? rc : transfer_parts(b, buf, at, length);
	}
	n = read_pages(b, buf, at, length, &skip);
	if (n <= 0)
		return n;
	rc = vp2p__guarded(vp2p_stream_to_device, view, buf + skip, (size_t)n);
	return rc ? rc : n;
}

/* Under the lock. */
static bool take(struct vp2p__bounce *b, unsigned int buffer, uint64_t *at,
		 uint64_t *length)
{
	struct batch *batch = &b->batch;

	/* What begins behind a gap is of no use. */
	if (batch->next >= batch->end || batch->next >= batch->broken)
		return false;
	*at = batch->next;
	*length = least(batch->end, vp2p__round_down(*at, b->piece) + b->piece) - *at;
	batch->next += *length;
	batch->working++;
	batch->under_way[buffer] = *at;
	return true;
}

/* Under the lock. */
static void give_back(struct vp2p__bounce *b, unsigned int buffer, uint64_t at,
		      uint64_t length, int64_t moved)
{
	struct batch *batch = &b->batch;
	uint64_t in_place = moved > 0 ? (uint64_t)moved : 0;

	batch->working--;
	batch->under_way[buffer] = IDLE;
	if (in_place < length && at + in_place < batch->broken) {
		batch->broken = at + in_place;
		batch->error = moved < 0 ? (int)-moved : 0;
	}
}

/* Under the lock: the first byte that is not in place. */
static uint64_t first_missing(const struct vp2p__bounce *b)
{
	const struct batch *batch = &b->batch;
	uint64_t first = least(batch->next, batch->broken);

	for (unsigned int i = 0; i < b->started; i++)
		first = least(first, batch->under_way[i]);
	return first;
}

static bool finished(const struct vp2p__bounce *b)
{
	const struct batch *batch = &b->batch;

	return !batch->working && (batch->next >= batch->end ||
				   batch->next >= batch->broken);
}

static void *work(void *arg)
{
	struct vp2p__bounce *b = arg;
	uint64_t at, length;
	unsigned int buffer;
	int64_t moved;
	char *buf;

	vp2p__guard_member();
	pthread_mutex_lock(&b->lock);
	buffer = b->named++;
	buf = b->buffers + b->piece * buffer;
	while (!b->end) {
		if (!take(b, buffer, &at, &length)) {
			pthread_cond_wait(&b->wanted, &b->lock);
			continue;
		}
		pthread_mutex_unlock(&b->lock);
		moved = move_piece(b, buf, at, length);
		pthread_mutex_lock(&b->lock);
		give_back(b, buffer, at, length, moved);
		if (finished(b))
			pthread_cond_signal(&b->done);
	}
	pthread_mutex_unlock(&b->lock);
	return NULL;
}

/* No piece more, and those behind the last one taken are not in place. */
static void give_up(struct batch *batch)
{
	if (batch->next >= least(batch->end, batch->broken))
		return;
	batch->broken = batch->next;
	batch->error = EFAULT;
}

/* Under the lock, which is let go meanwhile. */
static void wait_for_batch(struct vp2p__bounce *b)
{
	struct timespec until;

	while (!finished(b)) {
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec++;
		if (pthread_cond_timedwait(&b->done, &b->lock, &until) != ETIMEDOUT ||
		    finished(b) ||
		    b->job.in_time(b->job.ctx, first_missing(b) - b->job.file_offset))
			continue;
		give_up(&b->batch);
		for (unsigned int i = 0; i < b->started; i++)
			pthread_kill(b->threads[i], SIGBUS);
	}
}

/*
 * An error behind bytes that are in place is told when its turn has come, and not
 * tried once more: who knows what a second try would hide.  But EFAULT is the
 * device's, which may be live again by then.
 */
static int64_t result_of(struct vp2p__bounce *b)
{
	const struct batch *batch = &b->batch;
	uint64_t moved = least(batch->broken, batch->end) - batch->begin;

	if (!moved)
		return -batch->error;
	if (batch->error && batch->error != EFAULT) {
		b->failed = batch->error;
		b->failed_at = batch->broken;
	}
	return (int64_t)moved;
}

int64_t vp2p__bounce_move(struct vp2p__bounce *b, uint64_t pos, uint64_t length)
{
	uint64_t at = b->job.file_offset + pos;
	int failed = b->failed;
	int64_t moved;

	b->failed = 0;
	if (failed && b->failed_at == at)
		return -failed;
	pthread_mutex_lock(&b->lock);
	b->batch = (struct batch){
		.begin = at, .next = at, .end = at + length, .broken = UINT64_MAX,
	};
	memset(b->batch.under_way, 0xff, sizeof(b->batch.under_way));
	pthread_cond_broadcast(&b->wanted);
	wait_for_batch(b);
	moved = result_of(b);
	pthread_mutex_unlock(&b->lock);
	return moved;
}

uint64_t vp2p__bounce_batch(const struct vp2p__bounce *b)
{
	return b->piece * b->started * ROUNDS;
}

/* Huge pages where there are any: fewer entries for the disk and the CPU. */
static int get_buffers(struct vp2p__bounce *b, unsigned int depth)
{
	void *at = MAP_FAILED;

	b->buffers_size = vp2p__round_up(b->piece * depth, VP2P_GRANULE);
	if (posix_memalign(&at, VP2P_GRANULE, b->buffers_size))
		return -ENOMEM;
	madvise(at, b->buffers_size, MADV_HUGEPAGE);
	b->buffers = at;
	return 0;
}

static void init_sync(struct vp2p__bounce *b)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&b->lock, NULL);
	pthread_cond_init(&b->wanted, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&b->done, &attr);
	pthread_condattr_destroy(&attr);
}

/*
 * Fewer threads than wanted are enough; none is not.  The program's signals are for
 * its own threads.
 */
static int start_threads(struct vp2p__bounce *b, unsigned int depth)
{
	sigset_t none, before;
	int code = 0;

	sigfillset(&none);
	sigdelset(&none, SIGBUS);
	pthread_sigmask(SIG_SETMASK, &none, &before);
	pthread_mutex_lock(&b->lock);
	while (b->started < depth && !code) {
		code = pthread_create(&b->threads[b->started], NULL, work, b);
		b->started += !code;
	}
	pthread_mutex_unlock(&b->lock);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return b->started ? 0 : -code;
}

/* Some disks want more than pages. */
static int direct_of(const struct vp2p__file *file)
{
	if (file->direct < 0 || PAGE % file->dio.file_align || PAGE % file->dio.mem_align)
		return -1;
	return file->direct;
}

int vp2p__bounce_start(const struct vp2p__bounce_job *job, struct vp2p__bounce **bounce)
{
	unsigned int depth = job->depth ? job->depth : VP2P__DEPTH;
	uint64_t piece = least(job->chunk ? job->chunk : VP2P__PIECE, VP2P__PIECE_MAX);
	struct vp2p__bounce *b = calloc(1, sizeof(*b));
	int rc;

	if (!b)
		return -ENOMEM;
	b->job = *job;
	b->direct = direct_of(job->file);
	b->piece = piece < PAGE ? PAGE : vp2p__round_down(piece, PAGE);
	depth = depth < VP2P__DEPTH_MAX ? depth : VP2P__DEPTH_MAX;
	init_sync(b);
	vp2p__guard_begin();
	rc = get_buffers(b, depth);
	if (!rc)
		rc = start_threads(b, depth);
	if (rc)
		vp2p__bounce_stop(b);
	else
		*bounce = b;
	return rc;
}

void vp2p__bounce_stop(struct vp2p__bounce *b)
{
	if (!b)
		return;
	pthread_mutex_lock(&b->lock);
	b->end = true;
	pthread_cond_broadcast(&b->wanted);
	pthread_mutex_unlock(&b->lock);
	for (unsigned int i = 0; i < b->started; i++)
		pthread_join(b->threads[i], NULL);
	vp2p__guard_end();
	pthread_cond_destroy(&b->wanted);
	pthread_cond_destroy(&b->done);
	pthread_mutex_destroy(&b->lock);
	free(b->buffers);
	free(b);
}
