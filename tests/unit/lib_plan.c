// SPDX-License-Identifier: MIT
/*
 * Which bytes of a copy go how.
 *
 * Theory: the plan is a pure function.  A table covers each rule with exact
 * answers; an exhaustive run over small numbers then checks what must hold for
 * every plan: nothing outside the caller's range, no direct request that is not
 * made of whole blocks, and a tail only where it was allowed and is needed.
 */
#include <errno.h>

#include "../../lib/internal.h"
#include "check_error.h"

#define IN	VP2P_FILE_TO_WINDOW
#define OUT	VP2P_WINDOW_TO_FILE
#define TAIL	VP2P_COPY_ALLOW_TAIL
#define WIN	(2u << 20)

static struct vp2p_error err;

static struct vp2p__copy_rules rules(uint32_t direction, uint32_t flags,
				     uint64_t length, uint64_t file_size)
{
	return (struct vp2p__copy_rules){
		.direction = direction, .flags = flags, .window_length = WIN,
		.length = length, .file_size = file_size, .mem_align = 4,
		.file_align = 512,
	};
}

static void plans(struct vp2p__copy_rules r, uint64_t total, uint64_t direct,
		  uint64_t request, const char *name)
{
	struct vp2p__copy_plan plan = { 0 };
	int rc = vp2p__copy_plan(&r, &plan, "file", &err);

	if (!ok(!rc && plan.total == total && plan.direct == direct &&
		plan.request == request, "%s", name))
		printf("# rc %d total %llu direct %llu request %llu (%s)\n", rc,
		       (unsigned long long)plan.total, (unsigned long long)plan.direct,
		       (unsigned long long)plan.request, err.cause);
}

static void fails(struct vp2p__copy_rules r, int code, const char *cause,
		  const char *remedy, const char *name)
{
	struct vp2p__copy_plan plan;

	is_error(vp2p__copy_plan(&r, &plan, "file", &err), code, &err, name);
	has_str(err.cause, cause, name);
	has_str(err.remedy, remedy, name);
}

static void test_lengths(void)
{
	plans(rules(IN, 0, 4096, 8192), 4096, 4096, 4096, "part of a file");
	plans(rules(IN, 0, 0, 8192), 8192, 8192, 8192, "a whole file");
	plans(rules(IN, 0, 0, 1000), 1000, 1000, 1024, "a file that ends in a block");
	plans(rules(IN, 0, 4096, 1000), 1000, 1000, 1024, "... short of the length");
	plans(rules(IN, 0, 4096, 0), 0, 0, 0, "an empty file");
	plans(rules(IN, TAIL, 1000, 1000), 1000, 512, 512, "no room for the last block");
	plans(rules(IN, TAIL, 700, 8192), 700, 512, 512, "a tail inside the file");
	plans(rules(OUT, 0, 4096, 0), 4096, 4096, 4096, "to a file");
	plans(rules(OUT, 0, 0, 0), WIN, WIN, WIN, "the whole window");
	plans(rules(OUT, TAIL, 700, 0), 700, 512, 512, "a tail to a file");
	plans(rules(OUT, TAIL, 100, 0), 100, 0, 0, "nothing but a tail");
}

static void test_refusals(void)
{
	struct vp2p__copy_rules r;

	fails(rules(IN, 0, 700, 8192), EINVAL, "last 188 bytes", "copy 512 bytes",
	      "a tail that was not allowed");
	fails(rules(IN, 0, 1000, 1000), EINVAL, "last 488 bytes", "ALLOW_TAIL",
	      "no room for the last block");
	fails(rules(OUT, 0, 700, 0), EINVAL, "length 700 is not a multiple of 512",
	      "copy 512 bytes", "the same to a file");
	fails(rules(IN, 0, WIN + 512, WIN * 2), ERANGE, "room for 2097152", "larger window",
	      "beyond the window");
	fails(rules(IN, 0, 0, WIN + 1), ERANGE, "2097153 bytes do not fit", "larger",
	      "a file larger than the window");
	fails(rules(OUT, 0, WIN + 512, 0), ERANGE, "do not fit", "larger", "to a file");
	r = rules(IN, 0, 512, 8192);
	r.window_offset = 2;
	fails(r, EINVAL, "window offset 2 is not a multiple of 4", "use 0", "memory");
	r = rules(IN, 0, 512, 8192);
	r.file_offset = 1000;
	fails(r, EINVAL, "file offset 1000 is not a multiple of 512", "use 512", "file");
	r = rules(IN, 0, 512, 8192);
	r.window_offset = WIN + 512;
	fails(r, ERANGE, "beyond the window", "lower", "offset beyond the window");
	r = rules(OUT, 0, 512, 0);
	r.file_offset = INT64_MAX - 511;
	fails(r, EINVAL, "out of reach", "lower", "an offset that overflows");
	r = rules(IN, 0, 512, 8192);
	r.chunk = 511;
	fails(r, EINVAL, "chunk 511", "multiple", "a chunk below one block");
}

static void test_chunks(void)
{
	struct vp2p__copy_rules r = rules(IN, 0, 0, WIN);
	struct vp2p__copy_plan plan;

	vp2p__copy_plan(&r, &plan, "file", NULL);
	is_num((long long)plan.chunk, 4 << 20, "the default chunk");
	is_num((long long)plan.align, 512, "the alignment");
	r.chunk = 5000;
	vp2p__copy_plan(&r, &plan, "file", NULL);
	is_num((long long)plan.chunk, 4608, "rounded down to blocks");
	r.chunk = UINT64_MAX;
	vp2p__copy_plan(&r, &plan, "file", NULL);
	is_num((long long)plan.chunk, 1 << 30, "never more than a read can move");
	r.mem_align = 4096;
	vp2p__copy_plan(&r, &plan, "file", NULL);
	is_num((long long)plan.align, 4096, "the coarser of both alignments");
	r.mem_align = 6;
	r.file_align = 4;
	vp2p__copy_plan(&r, &plan, "file", NULL);
	is_num((long long)plan.align, 12, "or what both divide");
}

/* Everything that must hold for any plan that is not refused. */
static int sound(const struct vp2p__copy_rules *r, const struct vp2p__copy_plan *p)
{
	uint64_t room = r->window_length - r->window_offset;
	uint64_t range = r->length ? r->length : room;
	uint64_t rest = r->file_size > r->file_offset ? r->file_size - r->file_offset : 0;
	int good = p->direct <= p->total && p->total <= range && p->request >= p->direct;

	good &= p->request <= range && range <= room;
	good &= p->request % r->file_align == 0;
	good &= p->total - p->direct < r->file_align;
	good &= p->direct == p->total || (r->flags & TAIL);
	if (r->direction == IN)
		good &= p->total == (rest < range ? rest : range);
	else
		good &= p->total == range && p->request == p->direct;
	/* Asking for more than it wants is only right where the file ends. */
	good &= p->request == p->direct || (p->total == rest && p->direct == p->total);
	return good;
}

static void test_all_small(void)
{
	struct vp2p__copy_plan plan;
	int planned = 0, good = 1;

	for (uint32_t bits = 0; bits < 4; bits++)
	for (uint64_t at = 0; at <= 24; at += 4)
	for (uint64_t length = 0; length <= 24; length++)
	for (uint64_t size = 0; size <= 24; size++) {
		struct vp2p__copy_rules r = {
			.direction = bits & 1 ? IN : OUT, .flags = bits & 2 ? TAIL : 0,
			.window_length = 20, .window_offset = at & 12, .file_offset = at,
			.length = length, .file_size = size, .mem_align = 2,
			.file_align = 4,
		};

		if (vp2p__copy_plan(&r, &plan, "file", NULL))
			continue;
		planned++;
		good &= sound(&r, &plan);
	}
	ok(good, "every small plan is sound");
	ok(planned > 5000, "there were %d of them", planned);
}

int main(void)
{
	test_lengths();
	test_refusals();
	test_chunks();
	test_all_small();
	return TAP_DONE();
}
