/* SPDX-License-Identifier: MIT */
/*
 * bench_plot.h - the report as a picture, drawn by gnuplot
 *
 * gnuplot gets its script, with the data in it, through a pipe, and writes to a
 * file that gets its name once the picture is whole.
 */
#ifndef BENCH_PLOT_H
#define BENCH_PLOT_H

#include <stdio.h>

#include "bench.h"

/** struct bench_plot - a picture to be */
struct bench_plot {
	const char *path;	/* NULL: none is wanted */
	const char *partial;
	const char *program;	/* gnuplot's path */
	int fd;
};

/**
 * plot_prepare() - find gnuplot and make the file, before hours of measuring
 *
 * Return: an exit code.
 */
int plot_prepare(struct bench_plot *plot, const char *path);

/** plot_draw() - Return: an exit code. */
int plot_draw(struct bench_plot *plot, const struct bench_report *report);

/** plot_close() - after success or failure; removes what is not finished. */
void plot_close(struct bench_plot *plot);

/** plot_script() - what gnuplot is told. */
void plot_script(FILE *script, const struct bench_report *report);

#endif /* BENCH_PLOT_H */
