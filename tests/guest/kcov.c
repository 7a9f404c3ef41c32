// SPDX-License-Identifier: MIT
/* Which branches of the driver a call went through: see kcov.h. */
#define _GNU_SOURCE
#include "kcov.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

/* <linux/kcov.h>, of which a build machine may have an old one. */
#define KCOV_INIT_TRACE _IOR('c', 1, unsigned long)
#define KCOV_ENABLE _IO('c', 100)
#define KCOV_TRACE_PC 0

#define PORT "/sys/kernel/debug/kcov"
#define WORDS (64ul << 10)	/* of the trace; the first is the count */
#define SLOTS (64u << 10)	/* of each set; the driver has some thousand blocks */

/* Open addressing; 0 is a free slot.  A full set takes no more. */
struct set {
	_Atomic uint64_t slot[SLOTS];
	atomic_uint used;
};

static struct {
	struct set blocks, edges;
} *seen;

static _Thread_local unsigned long *trace;

static uint64_t mix(uint64_t x)
{
	x ^= x >> 31;
	x *= 0x9e3779b97f4a7c15;
	return x ^ x >> 29;
}

static bool add(struct set *set, uint64_t key)
{
	uint64_t at = mix(key);

	for (unsigned int i = 0; i < SLOTS; i++, at++) {
		uint64_t was = 0;

		if (atomic_compare_exchange_strong(&set->slot[at % SLOTS], &was, key)) {
			atomic_fetch_add(&set->used, 1);
			return true;
		}
		if (was == key)
			return false;
	}
	return false;
}

bool kcov_init(void)
{
	if (access(PORT, R_OK | W_OK))
		return false;
	if (!seen)
		seen = mmap(NULL, sizeof(*seen), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (seen == MAP_FAILED)
		seen = NULL;
	else
		kcov_reset();
	return seen;
}

int kcov_enable(void)
{
	int fd = open(PORT, O_RDWR | O_CLOEXEC), err = 0;
	void *map = MAP_FAILED;

	if (fd < 0)
		return -errno;
	if (!ioctl(fd, KCOV_INIT_TRACE, WORDS))
		map = mmap(NULL, WORDS * sizeof(*trace), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED || ioctl(fd, KCOV_ENABLE, KCOV_TRACE_PC))
		err = -errno;
	/* The thread itself keeps the buffer from here on. */
	close(fd);
	if (!err)
		trace = map;
	else if (map != MAP_FAILED)
		munmap(map, WORDS * sizeof(*trace));
	return err;
}

void kcov_begin(void)
{
	__atomic_store_n(trace, 0, __ATOMIC_RELAXED);
}

unsigned int kcov_end(void)
{
	unsigned long n = __atomic_load_n(trace, __ATOMIC_RELAXED);
	unsigned int news = 0;
	uint64_t before = 0;

	for (unsigned long i = 1; i <= n && i < WORDS; i++) {
		uint64_t pc = trace[i];

		add(&seen->blocks, pc);
		/* Never 0: a block is its own odd neighbour's at worst. */
		news += add(&seen->edges, (mix(pc) ^ before) | 1);
		before = mix(pc) << 1;
	}
	return news;
}

unsigned int kcov_blocks(void)
{
	return atomic_load(&seen->blocks.used);
}

unsigned int kcov_edges(void)
{
	return atomic_load(&seen->edges.used);
}

void kcov_reset(void)
{
	memset(seen, 0, sizeof(*seen));
}

void kcov_for_each(void (*fn)(unsigned long pc, void *arg), void *arg)
{
	for (unsigned int i = 0; i < SLOTS; i++) {
		uint64_t pc = atomic_load(&seen->blocks.slot[i]);

		if (pc)
			fn(pc, arg);
	}
}
