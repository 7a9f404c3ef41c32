/* SPDX-License-Identifier: MIT */
/*
 * interrupt.h - signals that ask the tool to end, at a moment that suits it
 *
 * A command that must not be cut off half-way has the signals remembered, looks
 * between its steps whether one has come, and then tidies up.
 */
#ifndef INTERRUPT_H
#define INTERRUPT_H

#include <stdbool.h>

/**
 * interrupt_catch() - from now on SIGINT, SIGTERM and SIGHUP are remembered
 * @restart: let system calls that wait go on; else they end with EINTR.
 *
 * What is ignored stays ignored (nohup).  SIGPIPE is ignored from here on: a
 * reader of the messages who has gone must not end the work either.
 */
void interrupt_catch(bool restart);

/**
 * interrupt_wait() - wait until @fd can be read, a signal comes, or time is over
 * @fd: or -1: for none.
 * @seconds: at most this long, 0 or more.
 *
 * After interrupt_catch().  A signal that comes just before it ends it, too.
 */
void interrupt_wait(int fd, double seconds);

/**
 * interrupt_watch() - from now on the first of them is remembered, the next one ends the
 *	process
 *
 * For work that may have to wait for a file server.  Such a wait runs no handler, and a
 * signal that has one does not end it: so a thread of its own has the signals.  The
 * caller's waits for anything else end with EINTR.  What is ignored stays so, and SIGPIPE
 * is, as above.
 */
void interrupt_watch(void);

/** interrupt_unwatch() - no more; one that was remembered ends the process now. */
void interrupt_unwatch(void);

/** interrupt_seen() - the signal that has come, or 0. */
int interrupt_seen(void);

/** interrupt_fail() - fail(): "interrupted by signal N". Return: an exit code. */
int interrupt_fail(const char *device, const char *step);

#endif /* INTERRUPT_H */
