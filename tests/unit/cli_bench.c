// SPDX-License-Identifier: MIT
/*
 * cli_bench.c - the parts of "vfio-p2p bench" that need no device
 *
 * Theory of operation: command lines good and bad, by the same parser as the
 * tool's; medians and percentiles of numbers whose order is known, compared with
 * what a sorted list says; and what is read from /proc, from fixed texts.
 */
#include <stdlib.h>

#include "bench_args.h"
#include "bench_cpu.h"
#include "bench_measure.h"
#include "bench_memory.h"
#include "cli.h"
#include "tap.h"
#include "text.h"

#define DEVICE "03:00.0:2 "

static int parse(const char *line, struct bench_args *args)
{
	char *rest = text("%s", line), *argv[32], *word;
	int argc = 0;

	argv[argc++] = text("bench");
	while ((word = strsep(&rest, " ")))
		if (*word)
			argv[argc++] = word;
	argv[argc] = NULL;
	*args = (struct bench_args){ 0 };
	return command_parse(&bench_command, argc, argv, args);
}

static void good_command_lines(void)
{
	struct bench_args args;
	unsigned int i, columns = 0;

	is_num(parse(DEVICE "data", &args), EXIT_OK, "a device and a file");
	is_num(args.size_count, 5, "five sizes");
	is_num((long long)args.sizes[4], 16 << 20, "... up to 16M");
	is_num(args.depth_count, 3, "three depths");
	is_num(args.depths[2], 64, "... up to 64");
	for (i = 0; i < BENCH_COLUMNS; i++)
		columns += args.columns[i];
	is_num(columns, BENCH_COLUMNS, "all columns");
	ok(args.read && !args.write, "reads only");
	ok(args.rounds == 5 && args.seconds == 1.0 && !args.bytes,
	   "five rounds of a second");
	is_num(parse("a " DEVICE "b --sizes 1M,4K,1M --depths 8,1,8 --columns "
		     "thp,p2p --rounds 100 --bytes 64M --json -q", &args), EXIT_OK,
	       "everything else");
	is_num(args.target_count, 2, "two targets");
	ok(args.size_count == 2 && args.sizes[0] == 4096 &&
	   args.sizes[1] == 1 << 20, "sizes in order, each once");
	ok(args.depth_count == 2 && args.depths[0] == 1 && args.depths[1] == 8,
	   "depths in order, each once");
	ok(args.columns[BENCH_P2P] && args.columns[BENCH_THP] &&
	   !args.columns[BENCH_BOUNCE], "two columns");
	ok(args.bytes == 64 << 20 && args.seconds <= 0, "by bytes");
	is_num(parse(DEVICE "data --write", &args), EXIT_OK, "--write");
	ok(args.read && args.write && args.create, "... is reads and writes");
	is_num(parse(DEVICE "--scratch disk", &args), EXIT_OK, "--scratch");
	ok(!args.read && args.write, "... alone is writes");
	is_num(parse(DEVICE "data --scratch disk", &args), EXIT_OK, "with a target");
	ok(args.read && args.write, "... both");
	is_num(parse(DEVICE "data --op write --write", &args), EXIT_OK,
	       "writes only");
	ok(!args.read && args.write, "... no reads");
}

static void bad_command_lines(void)
{
	static const struct { const char *line, *cause; } table[] = {
		{ "data", "no device is given" },
		{ DEVICE, "no TARGET is given" },
		{ DEVICE DEVICE "data", "one device too many" },
		{ "03:00.0:2+4K data", "not a multiple of 2M" },
		{ "03:00.0 data", "names no BAR" },
		{ DEVICE "data --sizes 4097", "'4097' is not a multiple of 512" },
		{ DEVICE "data --sizes 2K", "is not from 4K to 16M" },
		{ DEVICE "data --sizes 32M", "is not from 4K to 16M" },
		{ DEVICE "data --sizes 4K,", "'' is empty" },
		{ DEVICE "data --sizes 4K,x", "does not begin with a digit" },
		{ DEVICE "data --depths 0", "'0' is no number from 1 to 64" },
		{ DEVICE "data --depths 65", "is no number from 1 to 64" },
		{ DEVICE "data --depths +1", "is no number from 1 to 64" },
		{ DEVICE "data --depths 1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1",
		  "is one depth too many, 16 is the limit" },
		{ DEVICE "data --columns p2p,ram", "'ram' is no column" },
		{ DEVICE "data --op copy", "neither read nor write" },
		{ DEVICE "data --rounds 0", "no number from 1 to 100" },
		{ DEVICE "data --rounds 101", "no number from 1 to 100" },
		{ DEVICE "data --time 0", "no time from 0.001 to 3600" },
		{ DEVICE "data --time -1", "no time from 0.001 to 3600" },
		{ DEVICE "data --time 1s", "no time from 0.001 to 3600" },
		{ DEVICE "data --time nan", "no time from 0.001 to 3600" },
		{ DEVICE "data --time 0.0009",
		  "'0.0009' is no time from 0.001 to 3600" },
		{ DEVICE "data other data", "'data' is given twice" },
		{ DEVICE "data --depths 4294967297", "is no number from 1 to 64" },
		{ DEVICE "data --time 3601", "no time from 0.001 to 3600" },
		{ DEVICE "data --bytes 0", "no amount of work" },
		{ DEVICE "data --time 1 --bytes 1M", "contradict each other" },
		{ DEVICE "data --op write", "what may be written to" },
		{ DEVICE "data --op read --write", "writes nothing" },
		{ DEVICE "data --op read --scratch d", "writes nothing" },
		{ DEVICE "data --write --scratch d", "are both given" },
		{ DEVICE "--write", "no TARGET is given" },
		{ DEVICE "--scratch d --op read,write", "no TARGET is given" },
	};
	struct bench_args args;
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		is_num(parse(table[i].line, &args), EXIT_USAGE, table[i].line);
		has_str(last_failure()->cause, table[i].cause, "... and why");
		ok(last_failure()->remedy, "... and a remedy");
	}
}

static void depths_fit(void)
{
	is_num(plan_depth(64 << 20, 4096, 64), 64, "4K 64 times in 64M");
	is_num(plan_depth(64 << 20, 16 << 20, 64), 4, "16M only four times");
	is_num(plan_depth(64 << 20, 16 << 20, 4), 4, "... which is four");
	is_num(plan_depth(2 << 20, 16 << 20, 1), 0, "not at all");
	is_num(plan_depth(UINT64_C(1) << 40, 4096, 64), 64, "a large window");
}

/* Each column once a round, and each first in one of five rounds. */
static void columns_take_turns(void)
{
	unsigned int round, turn, seen, first = 0, wrong = 0;

	for (round = 0; round < BENCH_COLUMNS; round++) {
		seen = 0;
		for (turn = 0; turn < BENCH_COLUMNS; turn++)
			seen |= 1u << plan_column(round, turn);
		wrong += seen != (1u << BENCH_COLUMNS) - 1;
		first |= 1u << plan_column(round, 0);
	}
	is_num(wrong, 0, "all columns in each round");
	is_num(first, (1u << BENCH_COLUMNS) - 1, "each column begins a round");
}

static void spreads(void)
{
	double odd[] = { 5, 1, 9, 3, 7 }, even[] = { 4, 1, 3, 2 }, one[] = { 6 };
	struct spread spread = spread_of(odd, 5);

	ok(spread.median == 5.0 && spread.min == 1.0 && spread.max == 9.0,
	   "of five values");
	spread = spread_of(even, 4);
	ok(spread.median == 2.5 && spread.min == 1.0 && spread.max == 4.0,
	   "of four values");
	spread = spread_of(one, 1);
	ok(spread.median == 6.0 && spread.min == 6.0 && spread.max == 6.0,
	   "of one value");
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* The percentile of a sorted list, which the histogram may exceed by 1 in 128. */
static bool near(const struct histogram *histogram, const uint64_t *sorted,
		 unsigned int count, unsigned int percent)
{
	unsigned int rank = (count * percent + 99) / 100;
	uint64_t exact = sorted[rank ? rank - 1 : 0];
	uint64_t found = histogram_percentile(histogram, percent);

	return found >= exact && found - exact <= exact / 128;
}

static void percentiles(void)
{
	static const unsigned int percents[] = { 0, 1, 50, 90, 99, 100 };
	static struct histogram histogram;
	uint64_t values[1000], state = 1;
	unsigned int i, wrong = 0;

	is_num((long long)histogram_percentile(&histogram, 50), 0, "of nothing");
	for (i = 0; i < 1000; i++) {
		state = state * UINT64_C(6364136223846793005) + 1;
		values[i] = state >> (i % 64);
		histogram_add(&histogram, values[i]);
	}
	qsort(values, 1000, sizeof(*values), compare);
	for (i = 0; i < sizeof(percents) / sizeof(percents[0]); i++)
		ok(near(&histogram, values, 1000, percents[i]),
		   "percentile %u of 1000 values of all magnitudes", percents[i]);
	for (i = 0; i < 64; i++) {
		memset(&histogram, 0, sizeof(histogram));
		values[0] = UINT64_C(1) << i;
		histogram_add(&histogram, values[0]);
		wrong += !near(&histogram, values, 1, 50);
		histogram_add(&histogram, UINT64_MAX >> i);
		wrong += histogram_percentile(&histogram, 100) < UINT64_MAX >> i;
	}
	is_num(wrong, 0, "powers of two and what is just below them");
}

static void huge_pages(void)
{
	static const char smaps[] =
		"00400000-00500000 r-xp 00000000 08:01 12 /bin/a\n"
		"AnonHugePages:         4 kB\n"
		"7f0000000000-7f0000400000 rw-p 00000000 00:00 0\n"
		"Rss:                4096 kB\n"
		"AnonHugePages:      4096 kB\n"
		"7f0000400000-7f0000800000 rw-p 00000000 00:00 0\n"
		"AnonHugePages:         0 kB\n";

	is_num((long long)memory_huge_bytes(smaps, (void *)0x7f0000000000), 4 << 20,
	       "a mapping of huge pages");
	is_num((long long)memory_huge_bytes(smaps, (void *)0x7f0000400000), 0,
	       "one without");
	is_num((long long)memory_huge_bytes(smaps, (void *)0x7f0000200000), 0,
	       "none begins there");
	is_num((long long)memory_huge_bytes("", NULL), 0, "nothing to read");
}

static void idle_time(void)
{
	static const char stat[] =
		"cpu  100 1 50 1000 200 3 4 30 0 0\n"
		"cpu0 50 0 25 500 100 1 2 15 0 0\n"
		"cpu2 50 1 25 500 100 2 2 15 0 0\n"
		"intr 12345 1 2 3\nctxt 99\n";
	struct cpu_times before = { .now_ns = 0 }, after = { .now_ns = 1000000000 };

	ok(cpu_parse_stat(stat, &before.stat), "/proc/stat is understood");
	is_num(before.stat.cpus, 2, "two CPUs");
	is_num((long long)before.stat.idle, 1230,
	       "idle, waiting for I/O and stolen");
	is_num((long long)before.stat.interrupts, 12345, "all interrupts");
	after.stat = before.stat;
	after.stat.idle += 150;
	is_num((long long)cpu_busy_ns(&before, &after, 100), 500000000,
	       "two CPUs for a second, idle for one and a half");
	after.stat.idle += 100;
	is_num((long long)cpu_busy_ns(&before, &after, 100), 0,
	       "steps of 10 ms make nothing negative");
	ok(!cpu_parse_stat("", &before.stat) &&
	   !cpu_parse_stat("cpu  1 2 3\n", &before.stat) &&
	   !cpu_parse_stat("cpu  1 2 3 4 5 6 7 8\nintr 9\n", &before.stat) &&
	   !cpu_parse_stat("cpu  1 2 3 4 5 6 7 8\ncpu0 1 2 3 4 5 6 7 8\n",
			   &before.stat),
	   "what is no /proc/stat");
}

int main(void)
{
	good_command_lines();
	bad_command_lines();
	depths_fit();
	columns_take_turns();
	spreads();
	percentiles();
	huge_pages();
	idle_time();
	return TAP_DONE();
}
