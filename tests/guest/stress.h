/* SPDX-License-Identifier: MIT */
/*
 * The parts of the stress test, which is many processes: see t_stress.c.
 *
 * What they share lies in one anonymous mapping (st), made before the first of
 * them.  Nothing in it is a lock, since any of them may be killed at any moment:
 * each word has one writer, or is only counted up.
 */
#ifndef STRESS_H
#define STRESS_H

#include "dev.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define ST_PAGE ((size_t)4096)
#define ST_SECTOR ((size_t)512)
#define ST_DEVS 2
#define ST_SETS 2
#define ST_WORKERS 5

/* Windows of each device. */
enum { ST_ARENAS, ST_SCRATCH, ST_CANARY, ST_WINDOWS };
#define ST_ARENAS_LENGTH (8 * DEV_MIB2)
#define ST_SCRATCH_LENGTH (4 * DEV_MIB2)
#define ST_CANARY_LENGTH DEV_MIB2

/* What is counted, for all sessions. */
#define ST_COUNTS(X) \
	X(whole, "transfers, whole") \
	X(cut, "transfers, short") \
	X(refused, "transfers, refused") \
	X(overlapped, "transfers that met a revocation") \
	X(verified, "bytes verified, no revocation near") \
	X(verified_under, "bytes verified, revocation near") \
	X(unseen, "transfers not looked at: memory was off") \
	X(maps, "mappings made, cut up and dropped") \
	X(touches, "pages touched") \
	X(sigbus, "SIGBUS while memory was off") \
	X(forks, "forks") \
	X(kills, "processes killed") \
	X(passed, "descriptors passed") \
	X(events, "events asked for") \
	X(touched, "events that met touched folios") \
	X(busy, "events refused: EBUSY") \
	X(interrupted, "events interrupted: EINTR") \
	X(again, "resets refused: EAGAIN") \
	X(exact, "events after which every counter was exact") \
	X(canaries, "canaries") \
	X(canaries_live, "canaries with reads in flight when the event began") \
	X(canaries_closed, "canaries after a close") \
	X(stale, "stale writes") \
	X(sessions, "sessions") \
	X(unbinds, "unbinds") \
	X(unbinds_live, "unbinds begun while in use")

#define ST_FIELD(name, text) atomic_ullong name;
struct st_counts {
	ST_COUNTS(ST_FIELD)
};
#define ST_COUNT(name) atomic_fetch_add(&st->counts.name, 1)
#define ST_ADD(name, n) atomic_fetch_add(&st->counts.name, n)

/* Begun before the first thing is done, done after the last one has come to rest. */
struct st_span {
	atomic_ullong begun, done;
};

/* See stress_canary.c. */
struct st_canary {
	atomic_int hold;	/* its maker's: no more reads, and no more disturbance */
	atomic_int submitting;	/* the reader is between looking at hold and being done */
	atomic_int disturbing;	/* likewise the disturber */
	atomic_int wish;	/* the maker wants many reads, of this disk; 0: it does not */
	atomic_ullong submitted, reaped;
};

struct st_shared_dev {
	struct st_span event, dark;
	struct st_canary canary;
};

/* What a maker has done for it by a process that does not have the devices open. */
struct st_errand {
	atomic_uint asked, answered;
	int what, dev, ret;
};
enum { ST_SYSFS_RESET, ST_PORT_ERROR };

/* A process of a session, for the watchdog: who, and when it last got on. */
struct st_beat {
	atomic_int pid;
	atomic_ullong ns;
	const char *name;
};
#define ST_BEATS (ST_WORKERS + 4 * ST_SETS)

struct st_shared {
	atomic_int ready;	/* the session: all are there */
	atomic_int stop;	/* all: end the session by yourselves */
	atomic_int ending;	/* readers: we shall be killed; 2: have something very long then */
	atomic_int outliving;	/* readers that have done so */
	atomic_ullong long_until;	/* when what they have sent must be over, in ns */
	atomic_int line;	/* an errand boy, which nobody kills, talks to the host */
	atomic_int inexact;	/* more than one party revokes */
	struct st_span impatient;	/* a maker has set drain_timeout_ms to next to nothing */
	struct st_counts counts;
	struct st_shared_dev devs[ST_DEVS];
	struct st_errand errands[ST_SETS];
	struct st_beat beats[ST_BEATS];
};
extern struct st_shared *st;

/* A device, as all processes of a session have inherited it. */
struct st_dev {
	const char *role, *port;	/* port: as the host calls it */
	int set;			/* those of one set share group and bus */
	char bdf[16];
	struct dev d;
	int bar;
	uint64_t cookie[ST_WINDOWS], wc[ST_WINDOWS];	/* wc: 0 if there is none */
	char *raw;			/* the raw view of the canary window */
	bool can_reset, can_sysfs;
	unsigned int pm, devctl;	/* registers in config space, 0 if absent */
};
extern struct st_dev st_devs[ST_DEVS];
extern int st_n_devs, st_n_sets;
extern bool st_errors;	/* port errors may be injected */
extern bool st_compares;	/* workers compare what they have read */
/* Ten times what the slowest read takes while events are made. */
#define ST_PATIENT "4000"

/*
 * The disks.  Below ST_DATA each holds the pattern of its stream; stream 0:
 * zeros.  Above it the raw disk belongs to the workers' writes.
 */
#define ST_DATA (16 << 20)
#define ST_WRITES (64 << 20)
struct st_disk {
	const char *role;
	uint32_t stream;
	int fd;
};
enum { ST_RAW, ST_EXT4, ST_XFS, ST_SLOW, ST_LAG, ST_LATE, ST_LATER, ST_DISKS };
extern struct st_disk st_disks[ST_DISKS];

/* Random numbers, each process its own: the plan is a function of the seed. */
void st_seed(uint64_t seed, uint64_t session, uint64_t who);
uint32_t st_random(uint32_t below);

/* For the watchdog: I am slot n, and I get on.  Ends the process when it should. */
void st_beat(int slot);
void st_nap_us(unsigned int us);

/*
 * Was an event under way?  Look before and after: st_calm() is true only if no
 * event of the devices of mask had anything to do with what came between.
 */
struct st_look {
	unsigned long long event[ST_DEVS], dark[ST_DEVS];
	unsigned int busy, dim;		/* bit n: device n, at the time of the look */
};
void st_look(struct st_look *look);
bool st_calm(const struct st_look *before, unsigned int mask);
/* Was memory switched off, for a part of the time at least? */
bool st_was_dark(const struct st_look *before, unsigned int mask);

/* Run fn(arg); false if it met a SIGBUS. */
bool st_guarded(void (*fn)(void *), void *arg);
void st_guard_set_up(void);

/* Before the first session, and after the last. */
void st_disks_set_up(void);
void st_disks_put_away(void);

/* The processes.  None returns. */
_Noreturn void st_session(uint64_t seed, unsigned long nr, bool disturbed);
_Noreturn void st_worker(int slot, int index, int socket);
_Noreturn void st_canary_reader(int slot, int set);
_Noreturn void st_event_maker(int slot, int set);
_Noreturn void st_disturber(int slot, int set);
_Noreturn void st_errand_boy(int set);

/* A worker's turn without verification (stress_scrap.c); post: where mail comes in and goes out. */
void st_scrap_turn(int post);
/* Is a SIGBUS of this access a failure?  Then it says so; false: there was one. */
bool st_access(void (*fn)(void *), void *arg, unsigned int mask, const char *what);
const struct st_disk *st_some_disk(void);
size_t st_some_bytes(size_t most);

/* Called by a new session's first process, before any other is there. */
void st_canary_after_close(void);

/* The maker's side of the canary: before its event, and after. */
bool st_canary_begin(unsigned int mask, bool late);
void st_canary_end(unsigned int mask, bool check);

#endif
