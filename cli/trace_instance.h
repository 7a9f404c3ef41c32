/* SPDX-License-Identifier: MIT */
/*
 * trace_instance.h - a tracing instance of our own
 *
 * tracefs has one buffer and one set of switches for everybody, and instances for
 * those who want theirs: what somebody else traces meanwhile is not disturbed, and
 * what is switched on goes with the instance.
 */
#ifndef TRACE_INSTANCE_H
#define TRACE_INSTANCE_H

#include <stdbool.h>
#include <sys/types.h>

/**
 * instance_open() - make the instance, and switch the driver's events on in it
 * @bdf: the only device to trace; NULL: all.
 *
 * From here on it is removed whenever the process ends, be it by exit().
 *
 * Return: an exit code.
 */
int instance_open(const char *bdf);

/** instance_fd() - to wait for */
int instance_fd(void);

/** instance_read() - Return: bytes; 0 if there is nothing now; -errno. */
ssize_t instance_read(char *buffer, size_t size);

/** instance_alive() - are the driver's events still there? */
bool instance_alive(void);

/** instance_stop() - switch the events off; what is in the buffer can be read. */
void instance_stop(void);

/** instance_close() - remove it. Return: an exit code. */
int instance_close(void);

#endif /* TRACE_INSTANCE_H */
