// SPDX-License-Identifier: MIT
#include "traffic.h"

#include "harness.h"
#include "story.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { FIRST_FOLIO = 2 };	/* the picture fills two */

char *traffic_target(const struct traffic *t, unsigned int i)
{
	return t->display->pages + (FIRST_FOLIO + i) * VP2P_GRANULE;
}

static void count(struct traffic *t, ssize_t n)
{
	if (n > 0)
		t->bytes += n;
	if (n == CHUNK)
		t->whole++;
	else if (n >= 0)
		t->cut++;
	else if (errno == EFAULT)
		t->refused++;
	else
		t->other++;
}

/*
 * A read that races with the reset is cut short or refused.  All a program has
 * to do about it is to wait until the device is live and to read again.
 */
static void *reader(void *arg)
{
	struct traffic *t = arg;
	char *target = traffic_target(t, t->started++);
	int fd = open(t->path, O_RDONLY | O_DIRECT | O_CLOEXEC);

	if (fd < 0)
		give_up_errno(t->path);
	while (!t->stop) {
		ssize_t n = pread(fd, target, CHUNK, 0);

		count(t, n);
		if (n != CHUNK)
			vp2p_wait_live(t->display->dev, -1, NULL);
	}
	close(fd);
	return NULL;
}

/* No error handling at all: a touch during the reset just takes longer. */
static void *toucher(void *arg)
{
	struct traffic *t = arg;
	volatile uint64_t *word = (volatile uint64_t *)traffic_target(t, READERS);

	for (uint64_t i = 1; !t->stop; i++) {
		uint64_t start = h_now_ns(), took;

		*word = i;
		t->touch_wrong |= *word != i;
		took = h_now_ns() - start;
		if (took > t->longest_ns)
			t->longest_ns = took;
		t->touches++;
		usleep(100);
	}
	return NULL;
}

static void start(pthread_t *thread, void *(*run)(void *), struct traffic *t)
{
	errno = pthread_create(thread, NULL, run, t);
	if (errno)
		give_up_errno("pthread_create");
}

void traffic_start(struct traffic *t)
{
	start(&t->toucher, toucher, t);
	for (unsigned int i = 0; i < READERS; i++)
		start(&t->reader[i], reader, t);
}

void traffic_stop(struct traffic *t)
{
	t->stop = true;
	for (unsigned int i = 0; i < READERS; i++)
		pthread_join(t->reader[i], NULL);
	pthread_join(t->toucher, NULL);
}
