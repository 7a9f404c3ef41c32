/* SPDX-License-Identifier: MIT */
/*
 * plot.h - a picture, drawn by gnuplot
 *
 * gnuplot gets its script, with the data in it, through a pipe, and writes to a
 * file that gets its name once the picture is whole.
 */
#ifndef PLOT_H
#define PLOT_H

#include <stdio.h>

/** plot_script_t - writes what gnuplot is told; @what is what plot_draw() was given. */
typedef void plot_script_t(FILE *script, const void *what);

/** struct plot - a picture to be */
struct plot {
	const char *path;	/* NULL: none is wanted */
	const char *partial;
	const char *program;	/* gnuplot's path */
	int fd;
};

/**
 * plot_prepare() - find gnuplot and make the file, before there is anything to draw
 *
 * Return: an exit code.
 */
int plot_prepare(struct plot *plot, const char *path);

/** plot_draw() - Return: an exit code. */
int plot_draw(struct plot *plot, plot_script_t *write_script, const void *what);

/** plot_close() - after success or failure; removes what is not finished. */
void plot_close(struct plot *plot);

/** plot_quoted() - @string as gnuplot's scripts have it; control characters as \xNN. */
const char *plot_quoted(const char *string);

#endif /* PLOT_H */
