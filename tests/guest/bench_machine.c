// SPDX-License-Identifier: MIT
/*
 * What a read costs the machine: the program, interrupts, workers, and whatever else
 * it sets going, in instructions.
 *
 * Time is a count of instructions here, and one thread takes all that nobody else
 * wants (bench_soak.c), so what others took is known.  The columns are read in turns,
 * each round in another order.  How many interrupts there were is said too: how many
 * of the disk's completions come together depends on the host.  Nothing is printed
 * before the last round.
 */
#define _GNU_SOURCE
#include "bench.h"
#include "dev.h"
#include "vfio-p2p.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define PAGE (4 * KIB)
#define MOST (16 * MIB)		/* bytes of a read */
#define SPAN (64 * MIB)		/* of the disk that is read */
#define READS 512		/* of a measurement, or as many as make */
#define BUDGET (256 * MIB)
#define ROUNDS 5
#define PROFILES 4
#define PROFILED (512 * MIB)

static const size_t sizes[] = { PAGE, 64 * KIB, MIB, 4 * MIB, MOST };

/* As `vfio-p2p bench` names them. */
static struct column {
	const char *name;
	char *into;
	char *device;	/* the CPU copies to there */
} columns[] = { { "p2p" }, { "thp" }, { "ram4k" }, { "bounce" }, { "p2p4k" } };

#define COLUMNS (sizeof(columns) / sizeof(*columns))
#define SIZES (sizeof(sizes) / sizeof(*sizes))

static struct sample {
	const struct column *column;
	size_t size, reads;
	double busy_ns;
	long long interrupts;
	struct bench_time time;
} samples[SIZES * ROUNDS * COLUMNS];

static struct dev d;
static int disk;

static long long interrupts(void)
{
	return h_number_in("/proc/stat", "intr %lld");
}

static bool read_all(const struct column *c, size_t size, size_t bytes)
{
	for (size_t at = 0; at < bytes; at += size) {
		if (pread(disk, c->into, size, at % SPAN) != (ssize_t)size)
			return false;
		if (c->device)
			vp2p_stream_to_device(c->device, c->into, size);
	}
	return true;
}

static void measure(struct sample *s, const struct column *c, size_t size)
{
	size_t bytes = size * READS < BUDGET ? size * READS : BUDGET;
	struct bench_soak then;

	H_CHECK(read_all(c, size, size));
	*s = (struct sample){ c, size, bytes / size, .interrupts = interrupts() };
	then = bench_soak_now();
	s->time = bench_begin();
	H_CHECK(read_all(c, size, bytes));
	s->time = bench_since(s->time);
	s->busy_ns = bench_busy_ns(then);
	s->interrupts = interrupts() - s->interrupts;
}

static void say(const struct sample *s)
{
	bench_say("\"what\": \"machine\", \"column\": \"%s\", \"size\": %zu, \"reads\": %zu, \"busy_ns\": %.0f, "
		  "\"interrupts\": %lld, " BENCH_TIME, s->column->name, s->size, s->reads, s->busy_ns,
		  s->interrupts, BENCH_ARGS(s->time));
}

/* Each by the entries that it is named for; at an odd place there are none of 2 MiB. */
static void map_window(void)
{
	struct p2p_vfio_window win;
	int bar = dev_bar(&d);

	H_EQ(dev_window_set(&d, bar, 0, MOST, 0, &win), 0);
	columns[0].into = dev_map(&d, win.mmap_offset, MOST);
	columns[3].device = dev_map_raw(&d, bar, 0, MOST);
	columns[4].into = dev_map_skewed(&d, win.mmap_offset, MOST, PAGE);
	H_CHECK(columns[0].into && columns[3].device && columns[4].into);
	H_CHECK(read_all(&columns[0], MOST, MOST));
	H_EQ(dev_count("target", "faults_pmd"), MOST / DEV_MIB2);
	H_EQ(dev_count("target", "faults_pte"), 0);
	H_CHECK(read_all(&columns[4], MOST, MOST));
	H_EQ(dev_count("target", "faults_pmd"), MOST / DEV_MIB2);
	H_EQ(dev_count("target", "faults_pte"), MOST / PAGE);
}

static void set_up(void)
{
	disk = open(h_disk("raw"), O_RDONLY | O_DIRECT | O_CLOEXEC);
	H_CHECK(disk >= 0);
	dev_bind("target", DEV_P2P);	/* anew: its counters begin at 0 */
	H_EQ(dev_open(&d, "target"), 0);
	columns[1].into = columns[3].into = bench_ram(MOST, MADV_HUGEPAGE);
	columns[2].into = bench_ram(MOST, MADV_NOHUGEPAGE);
	H_CHECK(columns[1].into && columns[2].into);
	map_window();
	if (!h_failed())
		H_EQ(bench_soak_begin(), 0);
}

static void clean_up(void)
{
	bench_soak_end();
	close(disk);
	dev_close(&d);
	H_CHECK(dev_unbind("target", 60));
}

static void reading(void)
{
	struct sample *s = samples;

	set_up();
	for (size_t i = 0; i < SIZES; i++)
		for (size_t round = 0; round < ROUNDS; round++)
			for (size_t turn = 0; turn < COLUMNS && !h_failed(); turn++)
				measure(s++, &columns[(round + turn) % COLUMNS], sizes[i]);
	if (h_failed())
		return;
	while (s-- > samples)
		say(s);
	bench_say("\"what\": \"background\", \"percent\": %.2f", 100 * bench_background());
	clean_up();
}

/* Who runs while that is read: P2P, and what it is compared with, in turns. */
static void where(void)
{
	char name[16];

	set_up();
	for (int i = 0; i < 2 * PROFILES && !h_failed(); i++) {
		snprintf(name, sizeof(name), "%s %d", columns[i % 2].name, i / 2);
		H_EQ(bench_profile_begin(), 0);
		H_CHECK(read_all(&columns[i % 2], MIB, PROFILED));
		bench_profile_end(name);
	}
	if (!h_failed())
		clean_up();
}

static const struct h_case cases[] = {
	{ "reading", reading, 600 },
	{ "where instructions go", where, 200 },
	{ }
};

int main(int argc, char **argv)
{
	return h_main(argc, argv, cases);
}
