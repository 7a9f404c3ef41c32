// SPDX-License-Identifier: MIT
/*
 * cli_bench_report.c - what "vfio-p2p bench" says of figures
 *
 * Theory of operation: reports are made of fixed numbers, so every sentence, table,
 * JSON member and line of the plot's script that comes of them is known beforehand.
 * Where gnuplot is installed it must accept the script, too.
 */
#include <json-c/json.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench.h"
#include "cli.h"
#include "tap.h"

#define MAX_CELLS 32

static struct bench_cell cells[MAX_CELLS];
static struct bench_report report;
static char output[65536];

static void begin(void)
{
	report = (struct bench_report){
		.conditions = {
			.kernel = "7.3.4", .cpu_model = "Some CPU", .clock = "tsc",
			.device = "0000:03:00.0", .provider = "own", .cpus = 2,
			.copy = "AVX2", .view = "window, write-combining",
			.bar = 2, .hypervisor = true, .window_length = 64 << 20,
			.in_flight = 8 << 20, .rounds = 3, .seconds = 1,
		},
		.mapping = {
			[BENCH_P2P].pages = "2 MiB entries",
			[BENCH_THP].pages = "2 MiB pages",
		},
		.cells = cells,
	};
}

static struct spread around(double median)
{
	return (struct spread){ median, median * 0.9, median * 1.1 };
}

static struct bench_cell *add(enum bench_column column, uint64_t size,
			      unsigned int depth, double gib_s, double cpu)
{
	struct bench_cell *cell = &cells[report.count++];

	*cell = (struct bench_cell){
		.target = "/dev/nvme0n1", .block = true, .size = size,
		.depth = depth, .column = column, .gib_s = around(gib_s),
		.iops = around(gib_s * 1000), .cpu = around(cpu),
		.busy = around(2 * cpu), .interrupts = around(8),
		.p50_us = 12.5, .p99_us = 99.9, .bytes = 3 << 20,
	};
	return cell;
}

/* What @print writes to standard output. */
static void capture(void (*print)(const struct bench_report *))
{
	FILE *file = tmpfile();
	int before = dup(STDOUT_FILENO);
	size_t length;

	fflush(stdout);
	dup2(fileno(file), STDOUT_FILENO);
	print(&report);
	fflush(stdout);
	dup2(before, STDOUT_FILENO);
	close(before);
	rewind(file);
	length = fread(output, 1, sizeof(output) - 1, file);
	output[length] = '\0';
	fclose(file);
}

static void doubt_thp(void)
{
	report.mapping[BENCH_THP] =
		(struct bench_mapping){ "2 MiB and 4 KiB pages", "only half" };
}

static const char *verdict(unsigned int index)
{
	return index < report.verdicts.count ? report.verdicts.item[index] : "";
}

static void verdicts_of_ratios(void)
{
	begin();
	add(BENCH_P2P, 4096, 1, 1, 40);
	add(BENCH_THP, 4096, 1, 2, 50);
	add(BENCH_BOUNCE, 4096, 1, 0.5, 80);
	add(BENCH_P2P, 65536, 1, 3, 20);
	add(BENCH_THP, 65536, 1, 4, 40);
	add(BENCH_BOUNCE, 65536, 1, 1, 80);
	bench_verdicts(&report);
	is_num(report.verdicts.count, 7, "a sentence for each comparison");
	is_str(verdict(0), "reads from /dev/nvme0n1: p2p has 0.62 times the "
	       "throughput of thp (median of 2 cells, 0.50 to 0.75).",
	       "p2p and thp");
	is_str(verdict(4), "reads from /dev/nvme0n1: p2p has 0.38 times the CPU "
	       "time of the process per MiB of bounce (median of 2 cells, 0.25 "
	       "to 0.50).", "p2p and bounce");
	is_str(verdict(6), "reads from /dev/nvme0n1: bounce is faster than p2p in "
	       "none of 2 cells, by more than the rounds differ.", "no winner");
}

static void bounce_wins(void)
{
	begin();
	add(BENCH_P2P, 4096, 8, 1, 0);
	add(BENCH_BOUNCE, 4096, 8, 1.1, 0);
	bench_verdicts(&report);
	has_str(verdict(report.verdicts.count - 1), "in none of 1 cell,",
		"ranges that overlap make no winner");
	begin();
	add(BENCH_P2P, 4096, 8, 1, 0);
	add(BENCH_BOUNCE, 4096, 8, 2, 0);
	bench_verdicts(&report);
	is_num(report.verdicts.count, 2, "times of 0 make no ratio");
	is_str(verdict(1), "reads from /dev/nvme0n1, size 4K, depth 8: bounce is "
	       "faster than p2p (2.000 against 1.000 GiB/s): without the column "
	       "thp nothing shows why.", "a winner without a reason");
	add(BENCH_THP, 4096, 8, 1.05, 0);
	report.verdicts.count = 0;
	bench_verdicts(&report);
	has_str(verdict(report.verdicts.count - 1),
		"these figures do not show why", "thp is no faster than p2p");
	cells[2].gib_s = around(3);
	report.verdicts.count = 0;
	bench_verdicts(&report);
	has_str(verdict(report.verdicts.count - 1), "the disk itself is slower "
		"into the device than into host RAM here (thp has 3.000 GiB/s)",
		"thp is faster than p2p");
	cells[0].write = cells[1].write = cells[2].write = true;
	report.verdicts.count = 0;
	bench_verdicts(&report);
	has_str(verdict(report.verdicts.count - 1), "writes to /dev/nvme0n1, size",
		"writes");
	has_str(verdict(report.verdicts.count - 1), "slower from the device than "
		"from host RAM", "... go the other way");
}

static void too_few_rounds(void)
{
	begin();
	report.conditions.rounds = 2;
	add(BENCH_P2P, 4096, 8, 1, 0);
	add(BENCH_BOUNCE, 4096, 8, 2, 0);
	bench_verdicts(&report);
	is_num(report.verdicts.count, 2, "a ratio, and no winner");
	has_str(verdict(1), "which column is faster is not said", "... and why");
}

static void series_are_apart(void)
{
	begin();
	add(BENCH_P2P, 4096, 1, 1, 0);
	add(BENCH_THP, 4096, 1, 2, 0)->target = "other";
	add(BENCH_THP, 4096, 1, 2, 0)->write = true;
	add(BENCH_THP, 4096, 2, 2, 0);
	add(BENCH_THP, 8192, 1, 2, 0);
	bench_verdicts(&report);
	is_num(report.verdicts.count, 0, "nothing is compared across targets, "
	       "directions, depths and sizes");
}

/* 7 comparisons, 3 of the machine's time: which brief measurements do not show. */
static void what_is_not_shown(void)
{
	begin();
	report.brief = true;
	add(BENCH_P2P, 4096, 8, 1, 40);
	add(BENCH_THP, 4096, 8, 1, 40);
	add(BENCH_BOUNCE, 4096, 8, 1, 40);
	add(BENCH_P2P4K, 4096, 8, 1, 40);
	bench_verdicts(&report);
	is_num(report.verdicts.count, 6, "the machine's time is not compared");
	has_str(verdict(5), "less than half a second", "... and why");
	begin();
	doubt_thp();
	add(BENCH_THP, 4096, 8, 1, 40);
	bench_verdicts(&report);
	is_num(report.verdicts.count, 1, "one column");
	is_str(verdict(0), "thp is not what its name says, nor is what is said of "
	       "it here: only half.", "... that is in doubt");
	report.verdicts.count = 0;
	report.skipped[BENCH_THP] = "not asked for";
	bench_verdicts(&report);
	is_num(report.verdicts.count, 0, "nothing is said of what was skipped");
}

static void text_report(void)
{
	begin();
	doubt_thp();
	add(BENCH_P2P, 4096, 8, 1.25, 40);
	add(BENCH_THP, 4096, 8, 2, 50);
	add(BENCH_P2P, 4096, 8, 1, 40)->write = true;
	report.skipped[BENCH_RAM4K] = "not asked for";
	bench_strings_add(&report.notes, "a note");
	bench_strings_add(&report.verdicts, "a verdict");
	capture(bench_print_text);
	has_str(output, "device 0000:03:00.0, BAR 2, window of 64M; folios "
		"unknown; provider own; IOMMU unknown\n", "the device");
	has_str(output, "Linux 7.3.4, 2 CPUs (Some CPU), in a virtual machine, "
		"clock tsc\n", "the machine");
	has_str(output, "3 rounds of 1 s each", "the rounds");
	has_str(output, "thp: 2 MiB and 4 KiB pages; * only half\n", "a doubt");
	has_str(output, "ram4k: skipped: not asked for\n", "a column skipped");
	has_str(output,
		"\nreads from /dev/nvme0n1 (block device)\n"
		"SIZE  DEPTH  COLUMN                 GiB/s  IOPS  p50 us  p99 us"
		"         CPU us/MiB          BUSY us/MiB\n"
		"  4K      8  p2p     1.250 (1.125..1.375)  1250    12.5    99.9"
		"  40.0 (36.0..44.0)    80.0 (72.0..88.0)\n"
		"  4K      8  thp*    2.000 (1.800..2.200)  2000    12.5    99.9"
		"  50.0 (45.0..55.0)  100.0 (90.0..110.0)\n"
		"\nwrites to /dev/nvme0n1 (block device)\n", "a table");
	has_str(output, "\nNotes:\n  a note\n\nVerdicts:\n  a verdict\n", "the end");
}

static struct json_object *member(struct json_object *object, const char *key)
{
	struct json_object *value = NULL;

	json_object_object_get_ex(object, key, &value);
	return value;
}

static void json_report(void)
{
	struct json_object *root, *cell;

	begin();
	add(BENCH_P2P4K, 4096, 8, 1.25, 40);
	report.skipped[BENCH_BOUNCE] = "a reason";
	bench_strings_add(&report.verdicts, "a verdict");
	capture(bench_print_json);
	root = json_tokener_parse(output);
	is_num(json_object_get_int(member(root, "schema")), 1, "the schema");
	is_str(json_object_get_string(member(member(root, "conditions"), "device")),
	       "0000:03:00.0", "a condition");
	ok(json_object_object_get_ex(member(root, "conditions"), "small_folios",
				     NULL) &&
	   !member(member(root, "conditions"), "small_folios"),
	   "what is not known is null");
	is_num((long long)json_object_array_length(member(root, "columns")), 4,
	       "the columns that are measured");
	cell = json_object_array_get_idx(member(root, "cells"), 0);
	is_str(json_object_get_string(member(cell, "target_kind")), "block",
	       "the cell's target");
	is_str(json_object_get_string(member(cell, "op")), "read", "... direction");
	is_str(json_object_get_string(member(cell, "column")), "p2p4k",
	       "... column");
	is_str(json_object_get_string(member(cell, "path")), "p2p", "... path");
	ok(json_object_get_double(member(member(cell, "gib_s"), "median")) == 1.25,
	   "... throughput");
	ok(json_object_get_double(member(member(cell, "cpu_us_per_mib"), "max")) ==
	   cells[0].cpu.max, "... CPU time");
	ok(json_object_get_double(member(member(cell, "lat_us"), "p99")) == 99.9,
	   "... latency");
	is_num(json_object_get_int(member(cell, "bytes")), 3 << 20, "... bytes");
	cell = json_object_array_get_idx(member(root, "skipped"), 0);
	is_str(json_object_get_string(member(cell, "reason")), "a reason",
	       "a column skipped");
	is_str(json_object_get_string(
		json_object_array_get_idx(member(root, "verdicts"), 0)),
	       "a verdict", "a verdict");
	json_object_put(root);
}

static void print_script(const struct bench_report *what)
{
	bench_script(stdout, what);
}

static unsigned int occurrences(const char *part)
{
	const char *at = output;
	unsigned int count = 0;

	for (; (at = strstr(at, part)); at += strlen(part))
		count++;
	return count;
}

/* Three sizes, of which the largest has room for one depth only. */
static void plot(void)
{
	int status;
	FILE *pipe;

	begin();
	add(BENCH_P2P, 4096, 1, 1, 40);
	add(BENCH_P2P, 4096, 8, 2, 40);
	add(BENCH_P2P, 65536, 1, 3, 40);
	add(BENCH_P2P, 65536, 8, 4, 40);
	add(BENCH_P2P, 16 << 20, 2, 5, 40);
	add(BENCH_THP, 4096, 1, 1, 40)->target = "it's $0 \"here\"";
	capture(print_script);
	is_num(occurrences("set title "), 3, "a row for each series and depth");
	has_str(output, "layout 3,2 ", "... of two plots");
	has_str(output, "set title 'reads from /dev/nvme0n1, depth 8'\n",
		"its title");
	has_str(output, "$p2p << END\n"
		"4096 2 1.8 2.2 80 72 88\n65536 4 3.6 4.4 80 72 88\n"
		"16777216 5 4.5 5.5 80 72 88\nEND\n",
		"the deepest that fits stands for what does not");
	has_str(output, "$p2p << END\n"
		"4096 1 0.9 1.1 80 72 88\n65536 3 2.7 3.3 80 72 88\nEND\n",
		"nothing deeper than the row");
	has_str(output, "'reads from it''s $0 \"here\", depth 1'", "quotes");
	has_str(output, "'4K' 4096, '64K' 65536, '16M' 16777216)", "the sizes");
	if (system("command -v gnuplot >/dev/null")) {
		ok(1, "gnuplot draws it # SKIP it is not installed");
		return;
	}
	pipe = popen("gnuplot >/dev/null", "w");
	fputs(output, pipe);
	status = pclose(pipe);
	is_num(status, 0, "gnuplot draws it");
}

int main(void)
{
	verdicts_of_ratios();
	what_is_not_shown();
	bounce_wins();
	too_few_rounds();
	series_are_apart();
	text_report();
	json_report();
	plot();
	return TAP_DONE();
}
