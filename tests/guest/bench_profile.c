// SPDX-License-Identifier: MIT
/*
 * Where the CPU's time goes: see bench.h.
 *
 * The kernel's own sampling clock, whose timer takes the address that was
 * interrupted.  Code that runs with interrupts off is charged to where they come
 * on again.
 */
#define _GNU_SOURCE
#include "bench.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define RING_PAGES 2048
#define MAX_SYMBOLS 400000
#define SHOWN 100
#define PERIOD_NS 10007	/* the least the kernel allows is 10 us */

struct symbol {
	uint64_t at;
	char name[56];
	unsigned int samples;
};

static struct symbol *symbols;
static size_t n_symbols;
static struct perf_event_mmap_page *ring;
static int event = -1;

static int by_address(const void *a, const void *b)
{
	const struct symbol *x = a, *y = b;

	return x->at < y->at ? -1 : x->at > y->at;
}

static int by_samples(const void *a, const void *b)
{
	const struct symbol *x = a, *y = b;

	return x->samples < y->samples ? 1 : -(x->samples > y->samples);
}

/* "ffffffff81000000 T _text [module]"; the first symbol is user mode. */
static void read_symbols(void)
{
	FILE *f = fopen("/proc/kallsyms", "re");
	unsigned long long at;
	char line[512], kind;

	symbols = calloc(MAX_SYMBOLS, sizeof(*symbols));
	symbols[0] = (struct symbol){ .at = 0, .name = "(user mode)" };
	n_symbols = 1;
	while (f && n_symbols < MAX_SYMBOLS && fgets(line, sizeof(line), f)) {
		struct symbol *s = &symbols[n_symbols];

		if (sscanf(line, "%llx %c %55s", &at, &kind, s->name) == 3 && strchr("tTwW", kind)) {
			s->at = at;
			n_symbols++;
		}
	}
	if (f)
		fclose(f);
	qsort(symbols, n_symbols, sizeof(*symbols), by_address);
}

int bench_profile_begin(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE, .size = sizeof(attr), .config = PERF_COUNT_SW_CPU_CLOCK,
		.sample_period = PERIOD_NS, .sample_type = PERF_SAMPLE_IP, .disabled = 1,
	};

	read_symbols();
	/* With 0 percent nothing is throttled, and the rate cannot be changed any more. */
	if (h_write("/proc/sys/kernel/perf_cpu_time_max_percent", "25") ||
	    h_write("/proc/sys/kernel/perf_event_max_sample_rate", "1000000") ||
	    h_write("/proc/sys/kernel/perf_cpu_time_max_percent", "0"))
		return -EINVAL;
	/* This CPU, all tasks: interrupts and workers are part of the cost. */
	event = syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
	if (event < 0)
		return -errno;
	ring = mmap(NULL, (RING_PAGES + 1) * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, event, 0);
	if (ring == MAP_FAILED)
		return -errno;
	return ioctl(event, PERF_EVENT_IOC_ENABLE, 0) ? -errno : 0;
}

static struct symbol *symbol_of(uint64_t ip)
{
	size_t low = 0, high = n_symbols;

	while (high - low > 1) {
		size_t mid = (low + high) / 2;

		if (symbols[mid].at <= ip)
			low = mid;
		else
			high = mid;
	}
	return &symbols[low];
}

static unsigned int count_samples(void)
{
	const char *data = (char *)ring + ring->data_offset;
	const uint64_t size = ring->data_size;
	unsigned int n = 0;

	for (uint64_t at = ring->data_tail; at < ring->data_head;) {
		/* Eight bytes each: none is cut in two by the ring's end. */
		const struct perf_event_header *head = (void *)(data + at % size);

		if (head->type == PERF_RECORD_SAMPLE) {
			symbol_of(*(uint64_t *)(data + (at + sizeof(*head)) % size))->samples++;
			n++;
		}
		at += head->size;
	}
	return n;
}

void bench_profile_end(const char *name)
{
	unsigned int n;

	ioctl(event, PERF_EVENT_IOC_DISABLE, 0);
	n = count_samples();
	qsort(symbols, n_symbols, sizeof(*symbols), by_samples);
	for (int i = 0; i < SHOWN && symbols[i].samples; i++)
		bench_say("\"what\": \"profile\", \"name\": \"%s\", \"function\": \"%s\", \"percent\": %.2f, \"samples\": %u",
			  name, symbols[i].name, 100.0 * symbols[i].samples / n, n);
	munmap(ring, (RING_PAGES + 1) * 4096);
	close(event);
	free(symbols);
}
