/* SPDX-License-Identifier: MIT */
/*
 * A window and a region of a file, and of each a model in RAM: what they should
 * hold.  A transfer is done for real, by the test, and on the models; then they
 * are compared.
 */
#ifndef MODEL_H
#define MODEL_H

#include "dev.h"

#define MIB2 DEV_MIB2
#define MIB ((size_t)1 << 20)
#define PAGE ((size_t)4096)
#define SECTOR ((size_t)512)

/* The window does not start where its BAR does, nor the region where the file does. */
#define WINDOW_AT (3 * MIB2)
#define WINDOW (8 * MIB2)
#define REGION_AT (5 * MIB + 3 * PAGE)
#define REGION (20 * MIB)

/* Of a transfer: offsets in window and region. */
struct place {
	size_t win, file, bytes;
};

extern struct dev d;
extern char *win, *raw;		/* two views of the window */
extern int fd;			/* of the file, O_DIRECT */
extern char *win_model, *file_model;
extern uint32_t stream;		/* the pattern of the next transfer */

/* role: raw, or a file system, which is mounted and gets a new file. */
void begin(const char *role);
/* Compares all, and closes; the driver must be at rest. */
void end(const char *role);
void close_all(const char *role);

/* New data in the window's part of a transfer. */
void stamp(const struct place *p);
/* The transfer, on the models. */
void model(const struct place *p, bool write);

/* Fail the case with what if something is not as modelled. */
void window_is(size_t from, size_t to, const char *what);
void file_is(size_t from, size_t to, const char *what);
/* The destination of a transfer and its surroundings. */
void look_around(const struct place *p, bool write, const char *what);

#endif
