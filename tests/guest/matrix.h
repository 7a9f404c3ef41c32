/* SPDX-License-Identifier: MIT */
/*
 * One event under running I/O, judged: a row of docs/events.md.
 *
 * Theory of operation.  Three kinds of use go on in one window while the event
 * happens, each in 2 MiB folios of its own:
 *
 *   a thread touches: loads and stores, with a SIGBUS handler.  It tells the
 *   longest touch, and how many were a SIGBUS;
 *
 *   a thread reads from the fast disk, directly, into pages that it has just
 *   unmapped, or that the event has: whatever the kernel does to the mapping
 *   meets a read that must fault its pages again;
 *
 *   reads are in flight from the disk that is always late: each takes 300 ms (the debug kernel: more),
 *   they are sent right before the event, and seen to be pinned, so the event
 *   begins with all of them in flight.  That keeps the gate closed for as long
 *   as the two threads need to run into it.
 *
 * When the event's call returns, two questions are asked before anything else:
 * what has been reaped, and what has been counted.  Then a canary is written
 * over the pages that were read into, through the raw view, and the rest is
 * reaped: nobody may have written over it.  At last window and threads must
 * work as before, and the closed device be at rest.
 *
 *	static void reset(void)
 *	{
 *		mx_run(&(struct mx_row){ .id = "reset", .act = ru_reset, .cause = "reset" });
 *	}
 *
 *	static const struct h_case cases[] = { { "VFIO_DEVICE_RESET", reset, 60 }, { } };
 *
 * The suite's topology needs the roles raw and late, and the target 16 MiB.
 * A row is printed only if all of it held:
 *
 *	# matrix: ID | event | touching thread | racing read | in-flight read | took 312 of 5000 ms | t_matrix:VFIO_DEVICE_RESET
 *
 * Up to the first " (" the three middle columns are the words of docs/events.md.
 */
#ifndef MATRIX_H
#define MATRIX_H

#include "revoke_util.h"

#define MX_WINDOW (8 * DEV_MIB2)
#define MX_BOUND_MS 5000

/* What the touching thread meets: any of these, or nothing. */
#define MX_WAITS 1u
#define MX_SIGBUS 2u		/* after the wait, if it waits */
#define MX_HELD 4u		/* it waits still when act has returned, until undo */

/* What the racing reads meet. */
enum mx_racing {
	MX_MISSES,		/* some are short, or EFAULT */
	MX_WHOLE,		/* not one is */
};

/* What becomes of the reads in flight.  Each arrives whole, always. */
enum mx_flight {
	MX_ENDS_FIRST,		/* all have ended when act returns */
	MX_OUTLASTS,		/* the event has waited for its bound, and gone on */
	MX_GOES_ON,		/* nobody waits for them */
};

/*
 * An event and what is expected of it.  What is left out: the target, returns 0,
 * the touching thread is undisturbed, racing reads miss, reads in flight end
 * first, the generation counts one, the window works again.
 */
struct mx_row {
	const char *id;			/* in docs/events.md */
	const char *event;		/* in words; default: the case's name */
	const char *role;
	long (*act)(void *dev);		/* gets the target's struct dev, which begins its struct mx */
	long (*undo)(void *dev);	/* afterwards: makes the window usable again */
	long want;			/* what act returns */
	const char *cause;		/* of "revokes"; it counts once.  NULL: nothing counts */
	bool kept;			/* nothing was done to the device: same generation */
	bool gone;			/* there is no device afterwards */
	bool unmapped;			/* the event takes all mappings away first: no threads */
	unsigned int touch;
	enum mx_racing racing;
	enum mx_flight flight;
	bool mmio;			/* no memory behind the target: less of everything */
	unsigned int bound_ms;		/* of the hook that the cause has; it may take three times that */
};

/* The whole of it.  Fails the case, or prints the row. */
void mx_run(const struct mx_row *row);

/*
 * In pieces, for events that end a process or a device.  Each may fail the case
 * (h_failed()), and the next must not be called then.
 */

struct mx_count {			/* of the driver */
	long long generation, revokes, waited, timeouts;
};

struct mx {
	struct ru_target t;
	const struct mx_row *row;
	struct mx_count before, after;
	struct ru_aio aio;
	int reads;			/* in flight at a time */
	size_t size, race_size;
	int late;			/* reads in flight when act returned */
	uint64_t took_ns, longest_wait_ns;
	long missed, raced;	/* racing, while it happened */
	/* The threads. */
	pthread_t threads[2];
	atomic_bool stop, hold, held;
	_Atomic uint64_t since;		/* what was before does not count */
	_Atomic uint64_t longest_ns;	/* touch */
	atomic_long touches, sigbuses;
	atomic_long whole, shorts, efaults, others, other_errno;
};

void mx_open(struct mx *m, const struct mx_row *row);	/* the bounds set, the window mapped */
void mx_load(struct mx *m);		/* both threads run, both have got somewhere */
void mx_send(struct mx *m);		/* reads are in flight, all of them, pinned */
void mx_act(struct mx *m);		/* act, and the two questions */
void mx_judge(struct mx *m);		/* all but what comes afterwards */
void mx_after(struct mx *m);		/* undo, canary, works again */
void mx_close(struct mx *m);		/* threads end, device at rest */
void mx_print(struct mx *m);

/*
 * The reads in flight: where each goes in a view of the window, and a canary over
 * all of them.  Is it whole?  If not the case fails.
 */
#define MX_READS 8
#define MX_READ_SIZE (64 * 1024)
char *mx_place(char *view, int i);
void mx_canary(struct mx *m);
void mx_canary_lives(struct mx *m);

#define MX_NONE "none can exist"	/* of threads, where the event has no mapping left */

/* For a row whose facts were found in another way.  event: NULL is the case's name; bound_ms: 0 is none. */
void mx_row(const char *id, const char *event, const char *touching, const char *racing,
	    const char *flight, uint64_t took_ms, unsigned int bound_ms);

/* The driver's counters: through sysfs, which wakes no device; if dev is given and they have gone, through it. */
struct mx_count mx_count(const char *role, const struct dev *d, const char *cause);

#endif
