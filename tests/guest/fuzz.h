/* SPDX-License-Identifier: MIT */
/*
 * The fuzzer of the uAPI: its calls, what they are made from, and the model that
 * says what each may answer.  t_fuzz.c tells how it works.
 *
 *	fuzz_seq.c	calls as text, and back
 *	fuzz_gen.c	invents calls
 *	fuzz_model.c	what is known of the devices; STATE and sysfs against it
 *	fuzz_feature.c	VFIO_DEVICE_FEATURE
 *	fuzz_map.c	mappings of windows, touches, direct I/O
 *	fuzz_dev.c	resets, config space, regions, open and close, sysfs, parameters
 */
#ifndef FUZZ_H
#define FUZZ_H

#include "dev.h"

#include <setjmp.h>
#include <stdatomic.h>

#define FZ_PAGE 4096ul
#define FZ_ARGS 7
#define FZ_DEVS 2
#define FZ_SLOTS 6
#define FZ_SLOT (4 * DEV_MIB2)
#define FZ_SLOT_PAGES (FZ_SLOT / FZ_PAGE)
#define FZ_LOG 64
#define FZ_DISK (2ul << 20)	/* of the raw disk; the second half is written, too */
#define FZ_EFDS 20
#define FZ_ERRNOS 140

/* One call.  Everything it depends on is in here or in the model: it can be replayed. */
struct fz_call {
	uint16_t op;
	uint64_t a[FZ_ARGS];
};

struct fz_window {
	uint32_t bar, provider;
	uint64_t offset, length, cookie, cookie_wc;
	atomic_bool known;
	atomic_bool shaky;		/* threads that race may have given it back */
};

/*
 * A device.  In a race of threads only windows that nobody tries to give back, and
 * what never changes, is believed.
 */
struct fz_dev {
	const char *role;
	struct dev d;
	char *raw;			/* the ordinary view of the BAR */
	unsigned int bar;
	uint64_t bar_size;
	bool prefetchable;
	bool config_only;		/* registers that must not be written are in its other BARs */
	unsigned int pm, exp, af;	/* capabilities */
	struct fz_window windows[P2P_VFIO_MAX_WINDOWS];
	unsigned int nr_windows;
	/* The rest is for one thread only. */
	uint64_t gen_low, gen_high;	/* what the generation may be */
	struct p2p_vfio_state last;
	int usable;			/* 1: a touch succeeds, 0: SIGBUS, 2: either */
	int engaged;			/* low power: 0, 1, or 2: perhaps */
	bool added[FZ_EFDS], pending[FZ_EFDS];
};

/* A page of the arena, as it should be. */
enum fz_kind { FZ_ANON, FZ_WINDOW, FZ_UNKNOWN };
struct fz_place {
	uint8_t kind, dev, id, prot;
	uint8_t guard;			/* 2: perhaps */
	uint32_t pgoff;			/* in the window */
};

struct fz_shared {
	struct fz_dev dev[FZ_DEVS];
	int nr_devs;
	int disk;
	int efd[FZ_EFDS];		/* the last two are others' duplicates */
	int pipe, null, closed;
	char *disk_copy;
};

struct fz_stats {
	uint64_t calls[32], errnos[32][FZ_ERRNOS], looks, slow_ns, ns[32];
};

/* A thread that calls. */
struct fz {
	struct fz_shared *s;
	bool racy;			/* others call, too */
	bool guided;			/* by KCOV */
	uint64_t rng;
	char *arena;
	struct fz_place place[FZ_SLOTS][FZ_SLOT_PAGES];
	char *page, *page_ro;		/* the same memory, for requests; a hole follows each */
	unsigned int debt[FZ_DEVS];	/* mend the device in so many calls; 0: it is whole */
	struct fz_call log[FZ_LOG];
	uint64_t n;			/* calls made */
	unsigned int fresh;		/* places of the driver the last call was first to reach */
	struct fz_stats stats;
	char why[400];			/* what is wrong */
	unsigned int failures;
};

/* What a call may answer. */
struct fz_expect {
	uint64_t errnos[3];
	bool fails;			/* it cannot succeed */
};

void fz_may(struct fz_expect *e, int err);
void fz_must(struct fz_expect *e, int err);
void fz_may_list(struct fz_expect *e, const int *errs);
#define FZ_MAY(e, ...) fz_may_list(e, (const int[]){ __VA_ARGS__, 0 })
/* ret: 0 or more, or -errno. */
void fz_judge(struct fz *f, const struct fz_expect *e, long ret);
void fz_fail(struct fz *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The operations */

struct fz_op {
	const char *name;
	long (*run)(struct fz *f, const struct fz_call *c);	/* 0 or more, or -errno */
	void (*make)(struct fz *f, struct fz_call *c);
	unsigned int weight;		/* how often, among the others */
	bool alone;			/* not while other threads call */
};
extern const struct fz_op fz_ops[];
int fz_op_named(const char *name, size_t length);
void fz_run(struct fz *f, const struct fz_call *c);

long fz_run_feature(struct fz *f, const struct fz_call *c);
long fz_run_mmap(struct fz *f, const struct fz_call *c);
long fz_run_munmap(struct fz *f, const struct fz_call *c);
long fz_run_mremap(struct fz *f, const struct fz_call *c);
long fz_run_mprotect(struct fz *f, const struct fz_call *c);
long fz_run_madvise(struct fz *f, const struct fz_call *c);
long fz_run_mlock(struct fz *f, const struct fz_call *c);
long fz_run_touch(struct fz *f, const struct fz_call *c);
long fz_run_populate(struct fz *f, const struct fz_call *c);
long fz_run_dio(struct fz *f, const struct fz_call *c);
long fz_run_reset(struct fz *f, const struct fz_call *c);
long fz_run_hot_reset(struct fz *f, const struct fz_call *c);
long fz_run_region(struct fz *f, const struct fz_call *c);
long fz_run_info(struct fz *f, const struct fz_call *c);
long fz_run_event(struct fz *f, const struct fz_call *c);
long fz_run_dup(struct fz *f, const struct fz_call *c);
long fz_run_reopen(struct fz *f, const struct fz_call *c);
long fz_run_sysfs(struct fz *f, const struct fz_call *c);
long fz_run_sysfs_reset(struct fz *f, const struct fz_call *c);
long fz_run_param(struct fz *f, const struct fz_call *c);
long fz_run_mend(struct fz *f, const struct fz_call *c);

/* Inventing */

uint64_t fz_rand(struct fz *f);
#define fz_below(f, n) (fz_rand(f) % (n))
#define fz_one_in(f, n) (!fz_below(f, n))
void fz_make(struct fz *f, struct fz_call *c);
void fz_alter(struct fz *f, struct fz_call *c);
void fz_make_feature(struct fz *f, struct fz_call *c);
void fz_make_mmap(struct fz *f, struct fz_call *c);
void fz_make_part(struct fz *f, struct fz_call *c);	/* part of a slot, and two numbers */
void fz_make_populate(struct fz *f, struct fz_call *c);
void fz_make_dio(struct fz *f, struct fz_call *c);
void fz_make_hot_reset(struct fz *f, struct fz_call *c);
void fz_make_region(struct fz *f, struct fz_call *c);
void fz_make_numbers(struct fz *f, struct fz_call *c);

/* The model */

int fz_open(struct fz_shared *s, int dev);
struct fz_dev *fz_dev(struct fz *f, uint64_t n);
/* The device is about to be acted upon: its generation counts up by low to high. */
void fz_acts(struct fz *f, struct fz_dev *d, unsigned int low, unsigned int high);
/* What the device says of itself is right: where the model begins, and goes on after a failure. */
void fz_believe(struct fz *f, struct fz_dev *d);
void fz_look_power(struct fz *f, struct fz_dev *d);
void fz_look(struct fz *f, struct fz_dev *d);
void fz_look_windows(struct fz *f, struct fz_dev *d);
/* A window is there: the same one that was there since it was registered. */
void fz_know_window(struct fz *f, struct fz_dev *d, const struct p2p_vfio_window *w);
/* It has been given back. */
void fz_forget_window(struct fz_dev *d, uint32_t id);
/* A window that is known, from this number on; NULL if there is none. */
struct fz_window *fz_some_window(struct fz_dev *d, uint64_t from);
static inline bool fz_knows(struct fz_dev *d, uint32_t id)
{
	return id < P2P_VFIO_MAX_WINDOWS && atomic_load(&d->windows[id].known);
}
/* Which window does a file offset lie in?  -1: none; then *end is 0. */
int fz_window_at(struct fz_dev *d, uint64_t position, uint64_t *left, uint64_t *inside);
/* Is a byte of config space one of a register that revokes? */
bool fz_config_acts(const struct fz_dev *d, uint64_t at, uint64_t count);

/* Arena */

int fz_arena(struct fz *f);
void fz_arena_clear(struct fz *f);
static inline char *fz_at(struct fz *f, unsigned int slot, unsigned long page)
{
	return f->arena + slot * FZ_SLOT + page * FZ_PAGE;
}
/* A page of a window that can be written, from this one on; NULL if there is none. */
char *fz_window_page(struct fz *f, uint64_t from, struct fz_place **place);
/* Has this thread a mapping of the window?  1, 0, or 2: perhaps. */
int fz_mapped(struct fz *f, const struct fz_dev *d, uint32_t id);
/* What POPULATE of a range may answer. */
void fz_judge_populate(struct fz *f, const struct fz_dev *d, uint64_t address, uint64_t length,
		       struct fz_expect *e);
/* The same byte in the ordinary view; NULL when it cannot be compared. */
char *fz_raw(struct fz *f, const struct fz_place *p);
/* Store and load without dying: 0, or the signal. */
int fz_try(void (*fn)(void *), void *arg);
void fz_catch(void);

/* Text: a line without its newline. */
#define FZ_LINE 256
void fz_print(const struct fz_call *c, char *line);
bool fz_parse(const char *line, struct fz_call *c);	/* false: nonsense, or a comment */

#endif
