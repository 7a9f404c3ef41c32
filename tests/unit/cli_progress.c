// SPDX-License-Identifier: MIT
/*
 * cli_progress.c - the progress bar's line, and numbers as text
 *
 * Theory of operation: progress_format() is pure, so lines are compared literally
 * at widths where something must go, and then for every width and many states it
 * is checked that the line fits.  What goes to a log is told at played moments.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "progress.h"
#include "tap.h"
#include "text.h"

#define MIB (UINT64_C(1) << 20)

static const char *line(unsigned int columns, uint64_t done, uint64_t total,
			double seconds)
{
	static char text[300];
	const struct progress progress = { "copy", done, total, seconds };

	progress_format(text, sizeof(text), columns, &progress);
	return text;
}

static void literal_lines(void)
{
	is_str(line(79, 512 * MIB, 1024 * MIB, 2),
	       "copy  50% [==========>          ]  512.0 MiB of 1.0 GiB  256.0 MiB/s  0:02 left",
	       "half way");
	is_str(line(57, 512 * MIB, 1024 * MIB, 2),
	       "copy  50%  512.0 MiB of 1.0 GiB  256.0 MiB/s  0:02 left",
	       "no room for the bar");
	is_str(line(50, 512 * MIB, 1024 * MIB, 2),
	       "copy  50%  512.0 MiB of 1.0 GiB  256.0 MiB/s",
	       "nor for the time");
	is_str(line(35, 512 * MIB, 1024 * MIB, 2),
	       "copy  50%  512.0 MiB of 1.0 GiB", "nor for the rate");
	is_str(line(20, 512 * MIB, 1024 * MIB, 2), "copy  50%",
	       "nor for the numbers");
	is_str(line(79, 0, 1024 * MIB, 0),
	       "copy   0% [>                                     ]  0 B of 1.0 GiB",
	       "nothing yet: no rate out of nothing");
	is_str(line(79, 1024 * MIB, 1024 * MIB, 4),
	       "copy 100% [=======================]  1.0 GiB of 1.0 GiB  256.0 MiB/s  0:00 left",
	       "done");
	is_str(line(79, 3 * MIB, 0, 1), "copy  3.0 MiB  3.0 MiB/s",
	       "an unknown total");
	is_str(line(79, 2 * MIB, MIB, 1),
	       "copy 100% [=========================]  1.0 MiB of 1.0 MiB  2.0 MiB/s  0:00 left",
	       "more than there was");
	has_str(line(79, MIB, 1024 * MIB, 10), "2:50:30 left", "hours");
	has_str(line(79, 1, 1024 * MIB, 10), "days left", "days");
}

static void every_width(void)
{
	static const double times[] = { 0, 0.1, 1, 1e9 };
	int fits = 1, falls = 1;
	unsigned int columns;
	size_t time;
	uint64_t done;

	for (columns = 0; columns < 300; columns++)
		for (time = 0; time < 4; time++)
			for (done = 1; done; done <<= 1) {
				fits &= strlen(line(columns, done, UINT64_MAX,
						    times[time])) <= columns;
				falls &= !strchr(line(columns, done, 1000,
						      times[time]), '\n');
			}
	ok(fits, "every line fits its width");
	ok(falls, "no line has a line end");
}

static void numbers(void)
{
	is_str(text_size(0), "0", "no bytes");
	is_str(text_size(4097), "4097", "exact");
	is_str(text_size(4096), "4K", "K");
	is_str(text_size(1536 * 1024), "1536K", "not rounded");
	is_str(text_size(64 * MIB), "64M", "M");
	is_str(text_size(UINT64_C(5) << 40), "5T", "T");
	is_str(text_size(UINT64_C(1) << 60), "1048576T", "nothing above T");
	is_str(text_amount(1023), "1023 B", "amount: bytes");
	is_str(text_amount(1024), "1.0 KiB", "amount: KiB");
	is_str(text_amount(1048575), "1.0 MiB", "amount: never 1024.0 KiB");
	is_str(text_amount(1.5 * 1024 * 1024 * 1024), "1.5 GiB", "amount: GiB");
	is_str(text_duration(0.00012), "120 us", "duration: us");
	is_str(text_duration(0.9996e-3), "1.0 ms", "duration: never 1000 us");
	is_str(text_duration(0.0123), "12.3 ms", "duration: ms");
	is_str(text_duration(4.2), "4.20 s", "duration: s");
	is_str(text_duration(185), "3:05", "duration: minutes");
	is_str(text_duration(3729), "1:02:09", "duration: hours");
	is_str(text_list(text_list(NULL, "a"), "b"), "a, b", "a list");
}

/* Standard error becomes a file, which is no terminal. */
static void lines_of_a_log(void)
{
	struct progress_bar bar;
	char text[512] = "";
	FILE *log = tmpfile();
	int before = dup(STDERR_FILENO);
	double start;

	dup2(fileno(log), STDERR_FILENO);
	progress_begin(&bar, "copy", 100 * MIB, true);
	start = bar.started;
	progress_update_at(&bar, MIB, start + 9.9);
	progress_update_at(&bar, 20 * MIB, start + 10);
	progress_update_at(&bar, 30 * MIB, start + 19.9);
	/* Started again: the rate is of the new start. */
	progress_update_at(&bar, 0, start + 25);
	progress_update_at(&bar, 10 * MIB, start + 35);
	progress_end(&bar);
	progress_begin(&bar, "copy", 100 * MIB, false);
	progress_update_at(&bar, MIB, bar.started + 100);
	dup2(before, STDERR_FILENO);
	close(before);
	rewind(log);
	if (!fread(text, 1, sizeof(text) - 1, log))
		strcpy(text, "nothing");
	fclose(log);
	is_str(text,
	       "copy  20% [====>                  ]  20.0 MiB of 100.0 MiB  2.0 MiB/s  0:40 left\n"
	       "copy   0% [>                                     ]  0 B of 100.0 MiB\n"
	       "copy  10% [==>                    ]  10.0 MiB of 100.0 MiB  1.0 MiB/s  1:30 left\n",
	       "a line every ten seconds where there is no terminal");
}

int main(void)
{
	lines_of_a_log();
	literal_lines();
	every_width();
	numbers();
	return TAP_DONE();
}
