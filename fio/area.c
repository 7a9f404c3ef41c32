// SPDX-License-Identifier: MIT
/*
 * area.c - which job has which part of a window; shared by forked jobs
 *
 * Taken when a job starts and given back when it ends, not when it is set up: jobs
 * that follow each other (stonewall, wait_for) use the same bytes.  In shared memory
 * that is made before fio forks.  What a job that was killed had is not used again.
 */
#include <sys/mman.h>

#include "engine.h"

struct area {
	/* Guards what follows; robust, since jobs get killed. */
	pthread_mutex_t lock;
	unsigned int count;
	struct range taken[REAL_MAX_JOBS];
};

struct area *area_create(void)
{
	struct area *area = mmap(NULL, sizeof(*area), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_mutexattr_t attr;

	if (area == MAP_FAILED)
		return NULL;
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&area->lock, &attr);
	pthread_mutexattr_destroy(&attr);
	return area;
}

void area_destroy(struct area *area)
{
	if (area)
		munmap(area, sizeof(*area));
}

/* A job killed in here leaves at worst one range that is its own or nobody's. */
static void hold(struct area *area)
{
	if (pthread_mutex_lock(&area->lock) == EOWNERDEAD)
		pthread_mutex_consistent(&area->lock);
}

/* The first of those taken that has a byte of it, or NULL. */
static const struct range *in_the_way(const struct area *area, uint64_t at, uint64_t length)
{
	unsigned int i;

	for (i = 0; i < area->count; i++)
		if (at < area->taken[i].at + area->taken[i].length &&
		    area->taken[i].at < at + length)
			return &area->taken[i];
	return NULL;
}

static uint64_t round_up(uint64_t value, uint64_t align)
{
	return (value + align - 1) & ~(align - 1);
}

static bool find_locked(const struct area *area, struct range within, uint64_t length,
			uint64_t align, uint64_t *at)
{
	const struct range *other;

	*at = round_up(within.at, align);
	while ((other = in_the_way(area, *at, length)))
		*at = round_up(other->at + other->length, align);
	return *at - within.at <= within.length && length <= within.at + within.length - *at;
}

int area_take(struct area *area, struct range within, uint64_t length, uint64_t align,
	      struct range *out)
{
	int rc = -ENOSPC;
	uint64_t at;

	hold(area);
	if (area->count < REAL_MAX_JOBS && find_locked(area, within, length, align, &at)) {
		*out = area->taken[area->count] = (struct range){ at, length };
		area->count++;
		rc = 0;
	}
	pthread_mutex_unlock(&area->lock);
	return rc;
}

void area_give(struct area *area, struct range range)
{
	unsigned int i;

	hold(area);
	for (i = 0; i < area->count; i++)
		if (area->taken[i].at == range.at) {
			area->taken[i] = area->taken[--area->count];
			break;
		}
	pthread_mutex_unlock(&area->lock);
}
