/* SPDX-License-Identifier: MIT */
/* What the tests of losing a device share, and of errors of the bus. */
#ifndef PLUG_UTIL_H
#define PLUG_UTIL_H

#include <stdbool.h>

/* For ru_call(), of an address: 0 or -errno. */
long pu_unbind(void *bdf);
long pu_remove(void *bdf);

/* The target port's slot is switched off behind the kernel's back: the device is gone. */
int pu_pull(void);

/* The kernel log from now on; wait until a message with this text has come. */
int pu_log(void);
bool pu_logged(int log, const char *text, unsigned int ms);

#endif
