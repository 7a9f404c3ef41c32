// SPDX-License-Identifier: MIT
/*
 * The library's arithmetic and words: ranges, the plan of a copy, the texts of
 * errors, addresses.  Numbers against 128 bits; of a plan all that a copy relies
 * on; of a text that it is whole, on one line and ends.
 */
#include <ctype.h>

#include "fuzz.h"
#include "internal.h"

__extension__ typedef unsigned __int128 wide;

static void ranges(struct input *in)
{
	uint64_t a = take_number(in), b = take_number(in), c = take_number(in), d = take_number(in);
	uint64_t align = take_number(in);

	HOLDS(vp2p__within(a, b, c) == ((wide)a + b <= c));
	/* Both within 64 bits, and not empty, as all its callers see to. */
	if (b && d && (wide)a + b <= UINT64_MAX && (wide)c + d <= UINT64_MAX)
		HOLDS(vp2p__overlap(a, b, c, d) == ((wide)a < (wide)c + d && (wide)c < (wide)a + b));
	if (!align)
		return;
	HOLDS(vp2p__round_down(a, align) <= a && vp2p__round_down(a, align) % align == 0);
	if ((wide)a + align <= UINT64_MAX) {
		HOLDS(vp2p__round_up(a, align) >= a && vp2p__round_up(a, align) - a < align);
		HOLDS(vp2p__round_up(a, align) % align == 0);
	}
}

/* As the file system says: small powers of two, and odd ones. */
static uint64_t take_align(struct input *in)
{
	uint64_t n = take(in, 1);

	return n & 1 ? 1 + n / 2 : UINT64_C(1) << (n / 2 % 17);
}

static void check_plan(const struct vp2p__copy_rules *r, const struct vp2p__copy_plan *p)
{
	uint64_t room = r->window_length - r->window_offset;
	wide reach = (wide)r->window_offset + p->request;

	HOLDS(p->direct <= p->total && p->total <= room);
	HOLDS(!r->length || p->total <= r->length);
	HOLDS(p->direct <= p->request && p->request % r->file_align == 0);
	HOLDS(reach <= r->window_length);
	HOLDS(!r->length || p->request <= r->length || p->request <= room);
	HOLDS(p->direct == p->total || (r->flags & VP2P_COPY_ALLOW_TAIL));
	HOLDS(p->chunk && p->chunk <= VP2P__CHUNK_MAX && p->chunk % p->align == 0);
	HOLDS(p->align % r->mem_align == 0 && p->align % r->file_align == 0);
	if (r->direction != VP2P_FILE_TO_WINDOW)
		HOLDS((wide)r->file_offset + p->total <= INT64_MAX);
	else if (r->file_offset < r->file_size)
		HOLDS(p->total <= r->file_size - r->file_offset);
	else
		HOLDS(!p->total);
}

static void check_error(const struct vp2p_error *err)
{
	char line[2048];

	HOLDS(err->code > 0 && *err->cause && *err->remedy);
	HOLDS(vp2p_error_format(err, line, sizeof(line)) < (int)sizeof(line));
	for (const char *at = line; *at; at++)
		HOLDS(!iscntrl((unsigned char)*at));
}

static void plan(struct input *in)
{
	struct vp2p__copy_rules r = {
		.direction = take(in, 1) & 1 ? VP2P_FILE_TO_WINDOW : VP2P_WINDOW_TO_FILE,
		.flags = take(in, 1) & 1 ? VP2P_COPY_ALLOW_TAIL : 0,
	};
	struct vp2p__copy_plan p = { 0 };
	struct vp2p_error err = { 0 };

	/* What the kernel says: windows are below 2^40, files below 2^63. */
	r.window_length = take_number(in) % ((UINT64_C(1) << 40) + 1);
	r.window_offset = take_number(in);
	r.file_offset = take_number(in);
	r.length = take_number(in);
	r.chunk = take_number(in);
	r.file_size = take_number(in) & INT64_MAX;
	r.mem_align = take_align(in);
	r.file_align = take_align(in);
	if (vp2p__copy_plan(&r, &p, "0000:03:00.0", &err))
		check_error(&err);
	else
		check_plan(&r, &p);
}

static void words(struct input *in)
{
	char *device = take_string(in), *step = take_string(in), *cause = take_string(in);
	struct vp2p_error err = { 0 };
	char bdf[VP2P_BDF_LEN], again[VP2P_BDF_LEN];

	HOLDS(vp2p__fail(&err, 5, device, step, "x%s" MEND "y", cause) == -5);
	HOLDS(strnlen(err.device, sizeof(err.device)) < sizeof(err.device));
	HOLDS(strnlen(err.cause, sizeof(err.cause)) < sizeof(err.cause));
	check_error(&err);
	HOLDS(vp2p__whole_chars(device, strlen(device)) <= strlen(device));
	if (!vp2p_bdf_normalize(device, bdf, &err)) {
		HOLDS(!vp2p_bdf_normalize(bdf, again, &err));
		HOLDS(!strcmp(bdf, again));
	} else {
		check_error(&err);
	}
	free(device);
	free(step);
	free(cause);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };

	switch (take(&in, 1) % 3) {
	case 0: ranges(&in); break;
	case 1: plan(&in); break;
	default: words(&in);
	}
	return 0;
}
