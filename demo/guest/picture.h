/* SPDX-License-Identifier: MIT */
/* A picture's way: from a file to the screen, and the proof that it is there. */
#ifndef PICTURE_H
#define PICTURE_H

#include "display.h"

#include <stdbool.h>

/* Read the file into video memory, with open() and read() and nothing else. */
void picture_show(struct display *d, const char *path);
/* Does video memory, looked at through the BAR's ordinary view, equal the file? */
bool picture_equals(const void *vram, const char *path, size_t length);
/* How many bytes of the file the page cache holds. */
size_t picture_cached(const char *path);

#endif
