/* SPDX-License-Identifier: MIT */
/*
 * What the tests of revocation share: a pin that lasts as long as the test
 * wants, calls that may block, many reads in flight, a disk as slow as wanted.
 */
#ifndef REVOKE_UTIL_H
#define REVOKE_UTIL_H

#include "dev.h"

#include <linux/aio_abi.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/uio.h>

#define RU_PAGE 4096

/* A device, open, with a window on its largest BAR, mapped both ways. */
struct ru_target {
	struct dev d;
	int bar;
	char *win, *raw;	/* page-backed, and raw page frames */
	uint64_t cookie;
	size_t length;
};

int ru_target_open(struct ru_target *t, const char *role, size_t length);
/* An eventfd that hears of its gate, or -errno. */
int ru_listen(struct ru_target *t);
/* The target with a listener, and its end, for a case: what is wrong fails it. */
void ru_open_and_listen(struct ru_target *t, size_t length, int *events);
void ru_close_at_rest(struct ru_target *t);
/* How often that was signalled since the last look. */
long ru_heard(int events);
/* A direct read of a page of the raw disk into the window: bytes, or -errno. */
long ru_read_into(struct ru_target *t, size_t at);
/* The CPU writes and reads the first page, and a direct read arrives in it. */
bool ru_works(struct ru_target *t);
/* Is a store to this address, or a load from it, a SIGBUS?  In any thread. */
bool ru_sigbus(char *at);
bool ru_sigbus_load(const char *at);

/*
 * A call in a thread of its own: it may block, for ever if the driver is wrong,
 * and the test goes on.  fn returns 0 or more, or -errno.
 */
struct ru_call {
	long (*fn)(void *arg);
	void *arg;
	pthread_t thread;
	atomic_int tid;
	long ret;
	atomic_bool done;
};

void ru_call(struct ru_call *c, long (*fn)(void *arg), void *arg);
bool ru_done(struct ru_call *c);
/* Wait until it has returned: false when that takes longer. */
bool ru_join(struct ru_call *c, unsigned int ms);
/* Wait until its thread sleeps in the kernel. */
bool ru_sleeps(struct ru_call *c, unsigned int ms);

/* For ru_call(), of a struct dev: VFIO_DEVICE_RESET, and all on its bus. */
long ru_reset(void *dev);
long ru_hot_reset(void *dev);

/* A userfaultfd for a page that is not there yet: whoever touches it stops.  Or -errno. */
int ru_uffd(char *page);
/* The second function of the group that the target has opened: it can be opened only once. */
int ru_sibling_open(struct dev *sibling, const struct ru_target *t, const char *role);

/*
 * A direct read that stops inside get_user_pages() and stays there.
 *
 * Its buffer is a page of a window, a page that userfaultfd has not given yet,
 * and, if wanted, another page of a window.  The kernel pins the first, and
 * waits for the second: the fault is seen here, so that from then on the pin is
 * certain, and it lasts until the page is served.  Then the third is faulted,
 * with the first still pinned.
 */
struct ru_place {
	int fd;			/* of a device; 0: no such page */
	uint64_t cookie;	/* file offset of the page */
};

struct ru_hold {
	const char *file;	/* what is read; default: the raw disk */
	off_t offset;		/* from where */
	struct ru_place first, last;
	bool vectors;		/* two iovecs instead of one buffer: {first} {stop, last} */
	bool write;		/* a write instead of a read */

	int disk, uffd;
	char *base, *stop;
	struct iovec iov[2];
	int n_iov;
	size_t length;
	bool served;
	struct ru_call call;
};

/* Returns when the first page is pinned: 0 or -errno. */
int ru_hold_begin(struct ru_hold *h);
/*
 * Wait until a revocation of the role's device waits for this pin: its gate is
 * closed and what was mapped of the buffer has been zapped.
 */
bool ru_hold_drains(struct ru_hold *h, const char *role);
/* Give the page that it waits for. */
int ru_hold_serve(struct ru_hold *h);
/* The pin stays, and its mapping goes, which would keep the device open. */
int ru_hold_unmap(struct ru_hold *h);
/* Serve, if that has not been done, and return what the read returned. */
long ru_hold_end(struct ru_hold *h);

/* Is there a page-table entry for this address? */
bool ru_mapped(const void *at);

/* A page filled with a pattern that depends on the number, and its check. */
void ru_fill(void *page, size_t length, unsigned int seed);
/* The offset of the first byte that is different, or -1. */
long ru_differs(const void *page, size_t length, unsigned int seed);

/* Reads in flight, by the kernel's native AIO. */
#define RU_MAX_AIO 64
struct ru_aio {
	aio_context_t ctx;
	struct iocb cb[RU_MAX_AIO];
	int submitted, reaped, bad;	/* bad: not the whole length */
};

int ru_aio_read(struct ru_aio *a, int fd, void *buf, size_t length, off_t offset);
/* Take what has completed, and wait until min have: how many, or -errno. */
int ru_aio_reap(struct ru_aio *a, int min, unsigned int ms);

/* The same by io_uring, whose requests outlive their process. */
struct ru_ring {
	int fd;
	unsigned int *sq_tail, *sq_mask, *sq_array;
	struct io_uring_sqe *sqes;
};

int ru_ring_open(struct ru_ring *r, unsigned int entries);
int ru_ring_read(struct ru_ring *r, int fd, void *buf, unsigned int length, off_t offset);
/* IORING_REGISTER_BUFFERS of one buffer. */
int ru_ring_register(struct ru_ring *r, void *buf, size_t length);

/* An error of a port of the machine: one that harms nobody, one for which the kernel resets the bus. */
#define RU_NONFATAL "COMP_ABORT"
#define RU_FATAL "DLP"
int ru_port_error(const char *port, const char *what);
/* What the kernel says from here on; has it said this by now?  Nothing else tells the end of recovery. */
int ru_kmsg(void);
bool ru_kmsg_says(int kmsg, const char *text);
bool ru_recovered(int kmsg);
/* What puts the registers back after a reset of the bus: core does it when the owner writes this one. */
int ru_memory_on(const struct dev *d);

/* Operations a second of the slow disk; 0: no limit. */
int ru_throttle(unsigned int iops);

/* For ru_call(), of an address: taken from its driver, and from the bus.  0 or -errno. */
long ru_unbind(void *bdf);
long ru_remove(void *bdf);

/*
 * Pull a device: its port's slot is switched off behind the kernel's back.  The
 * kernel hears of it when all is over.
 */
int ru_pull(const char *role);

/* The driver's bounds for what can be refused, and for what cannot. */
int ru_timeouts(unsigned int drain_ms, unsigned int hook_ms);

/* All of STATE but what faults and pins may change: what a refused call must not. */
bool ru_same_state(const struct p2p_vfio_state *a, const struct p2p_vfio_state *b);

#endif
