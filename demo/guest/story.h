/* SPDX-License-Identifier: MIT */
/*
 * What the demo tells.  Each line goes to the host as a diagnostic that starts
 * with "| "; each check is a test result, so that a failed one fails the demo.
 */
#ifndef STORY_H
#define STORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vfio-p2p.h>

#define PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/* A heading, a line "label  text", and a line of the reset's time table. */
void tell_chapter(const char *fmt, ...) PRINTF(1, 2);
void tell(const char *label, const char *fmt, ...) PRINTF(2, 3);
void tell_time(double ms, const char *what, const char *fmt, ...) PRINTF(3, 4);

/* A number with its thousands apart; good until eight more have been made. */
const char *grouped(uint64_t n);

/* End the demo: with the library's own explanation, or with errno's. */
_Noreturn void give_up(const struct vp2p_error *err);
_Noreturn void give_up_errno(const char *what);

#endif
