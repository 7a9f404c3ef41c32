/* SPDX-License-Identifier: MIT */
/*
 * The parts of t_faults: calls that are made to fail at each of their chances.
 */
#ifndef SWEEP_H
#define SWEEP_H

#include "faults.h"
#include "harness.h"
#include "revoke_util.h"

#define LENGTH (2 * DEV_MIB2)	/* of a window */
#define IO (16 * RU_PAGE)	/* of a transfer */

/* One call, and what there is to say about it. */
struct op {
	const char *name;
	void (*before)(void);	/* so that the call does all its work */
	long (*call)(void);	/* 0 or more, or -errno */
	void (*after)(void);	/* it has succeeded: see that, and undo it */
	void (*unchanged)(void);	/* it has failed: nothing has been done */
	unsigned int must;	/* kinds of which it has a chance at least, or nothing was tried */
	const char *spared;	/* a function of the kernel */
};

#define SLAB (1u << FAULT_SLAB)
#define PAGES (1u << FAULT_PAGE)
#define COPY (1u << FAULT_COPY)

extern enum fault_kind kind;
extern char bdf[16], peer[16];		/* of target and nvme */
extern struct ru_target t;
extern struct p2p_vfio_state was;	/* by note_state() */
extern int disk;			/* which begins with disk_data */
extern int disk_data[IO / 4];
extern long made;			/* what the call returned */
extern bool took;			/* a chance of it was taken */

/* Without injection, once; they fail the case. */
void prepare(void);
void be_bound(void);		/* whatever the case before has left */
void open_target(void);		/* with a window */
void close_target(void);
void does_io(void);		/* the open target */
void whole_life(void);		/* open, I/O, close, rest */
void note_state(void);
void same_state(void);

/* The driver's bind and unbind in sysfs, opened before: what is swept is the write. */
void open_ports(void);
long bind_it(void);
long unbind_it(void);
void unbind_now(void);
const char *driver(void);	/* "" for none */

/* -1 and errno as -errno. */
long result(long ret);

/* All chances of the call, one after the other; _open: on the open target. */
void sweep(const struct op *op);
void sweep_open(const struct op *op);

/* The case of faults_cdev.c. */
void opening_by_cdev(void);

/* The cases of faults_calls.c. */
void registering(void);
void asking(void);
void transferring(void);
void revoking(void);
void reading_sysfs(void);

#endif
