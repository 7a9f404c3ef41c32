// SPDX-License-Identifier: MIT
/*
 * The streaming copies between RAM and device memory.
 *
 * Theory: for every way to copy that this CPU has, both directions,
 * every alignment of both sides within a line and every size up to some lines, the
 * target must hold the source's bytes, and the bytes around it what they held.  The
 * sanitizers see a load outside of the source.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../lib/stream.h"
#include "tap.h"
#include "vfio-p2p.h"

#define LINE 64
#define MOST (4 * LINE + 3)
#define ROOM (MOST + 2 * LINE)

static uint8_t source[ROOM] __attribute__((aligned(LINE)));
static uint8_t target[ROOM] __attribute__((aligned(LINE)));
static uint8_t wanted[ROOM];

static void fill(void)
{
	size_t i;

	for (i = 0; i < ROOM; i++)
		source[i] = (uint8_t)(i * 7 + i / 256 + 1);
}

static int copied(const struct vp2p__stream *copy, int to_device, size_t from,
		  size_t to, size_t size)
{
	memset(target, 0xee, sizeof(target));
	memset(wanted, 0xee, sizeof(wanted));
	memcpy(wanted + to, source + from, size);
	(to_device ? copy->to_device : copy->from_device)(target + to,
							  source + from, size);
	return !memcmp(target, wanted, sizeof(target));
}

static void all_alignments(const struct vp2p__stream *copy, int to_device)
{
	size_t from, to, size, wrong = 0;

	for (from = 0; from < LINE; from++)
		for (to = 0; to < LINE; to++)
			for (size = from == to ? 0 : MOST - LINE; size <= MOST;
			     size++)
				wrong += !copied(copy, to_device, from, to, size);
	is_num((long long)wrong, 0, to_device ? "to the device" : "from the device");
}

/* As long as requests are; heap blocks of exactly that size, for the sanitizers. */
static void large(const struct vp2p__stream *copy)
{
	size_t size = (1 << 20) + 13, i, wrong = 0;
	uint8_t *from = malloc(size), *to = calloc(1, size);

	for (i = 0; i < size; i++)
		from[i] = (uint8_t)(i * 31 >> 3);
	copy->to_device(to, from, size);
	wrong += memcmp(to, from, size) != 0;
	memset(to, 0, size);
	copy->from_device(to, from, size);
	wrong += memcmp(to, from, size) != 0;
	is_num((long long)wrong, 0, "a MiB and some bytes");
	free(from);
	free(to);
}

/* Those that programs call are one of them. */
static void exported(void)
{
	const struct vp2p__stream *copy;
	unsigned int i = 0;

	while ((copy = vp2p__stream_at(i)) && !copy->supported())
		i++;
	is_str(vp2p_stream_name(), copy->name, "the best one of this CPU's is used");
	memset(target, 0xee, sizeof(target));
	vp2p_stream_to_device(target + 3, source + 5, MOST);
	ok(!memcmp(target + 3, source + 5, MOST), "vp2p_stream_to_device()");
	memset(target, 0xee, sizeof(target));
	vp2p_stream_from_device(target + 7, source + 1, MOST);
	ok(!memcmp(target + 7, source + 1, MOST), "vp2p_stream_from_device()");
}

int main(void)
{
	const struct vp2p__stream *copy;
	unsigned int i;

	fill();
	for (i = 0; (copy = vp2p__stream_at(i)); i++) {
		if (!copy->supported()) {
			ok(1, "%s # SKIP this CPU does not have it", copy->name);
			continue;
		}
		ok(1, "%s:", copy->name);
		all_alignments(copy, 1);
		all_alignments(copy, 0);
		large(copy);
	}
	ok(i >= 1, "%u ways are known", i);
	exported();
	return TAP_DONE();
}
