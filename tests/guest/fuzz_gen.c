// SPDX-License-Identifier: MIT
/*
 * Inventing calls: see fuzz.h.  Most are right, or wrong in one place: what is
 * wrong everywhere gets no further than the first check.
 */
#define _GNU_SOURCE
#include "fuzz.h"

#include <string.h>

#define GET VFIO_DEVICE_FEATURE_GET
#define SET VFIO_DEVICE_FEATURE_SET
#define PROBE VFIO_DEVICE_FEATURE_PROBE
#define CONFIG VFIO_PCI_CONFIG_REGION_INDEX
#define COUNT(a) (sizeof(a) / sizeof(*(a)))

uint64_t fz_rand(struct fz *f)
{
	uint64_t x = f->rng += 0x9e3779b97f4a7c15;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

/* A number that breaks something, if anything does. */
static uint64_t wild(struct fz *f)
{
	uint64_t n = fz_rand(f);

	switch (n >> 8 & 7) {
	case 0: return n >> 16 & 0xff;
	case 1: return 1ull << (n >> 16 & 63);
	case 2: return (1ull << (n >> 16 & 63)) - 1;
	case 3: return -(1ull << (n >> 16 & 63));
	case 4: return DEV_MIB2 * (n >> 16 & 63);
	case 5: return DEV_MIB2 * (n >> 16 & 63) + ((n >> 24 & 3) - 1) * FZ_PAGE;
	case 6: return DEV_MIB2 * (n >> 16 & 63) + (n >> 24 & 1 ? 1 : -1);
	}
	return n;
}

static unsigned int some_dev(struct fz *f)
{
	return fz_one_in(f, 4);
}

/* Features */

/* What succeeds is slow, and so is the next registration: seldom. */
static void make_unregister(struct fz *f, struct fz_dev *d, struct p2p_vfio_window *w)
{
	uint64_t n = fz_rand(f);
	struct fz_window *k = fz_some_window(d, n >> 8);

	*w = (struct p2p_vfio_window){ .flags = P2P_VFIO_WINDOW_UNREGISTER };
	w->id = k ? k - d->windows : 0;
	switch (n >> 16 & 15 ? 1 + (n >> 20) % 7 : 0) {
	case 1: w->id = wild(f); break;
	case 2: w->bar = d->bar; break;
	case 3: w->offset = wild(f); break;
	case 4: w->length = wild(f); break;
	case 5: w->mmap_offset = wild(f); break;
	case 6: w->flags |= wild(f); break;
	case 7: w->id = (n >> 24) % P2P_VFIO_MAX_WINDOWS; break;
	}
}

static void make_window(struct fz *f, struct fz_dev *d, struct p2p_vfio_window *w, bool set)
{
	uint64_t n = fz_rand(f);
	struct fz_window *k = fz_some_window(d, n >> 8);

	*w = (struct p2p_vfio_window){ .bar = d->bar };
	if (set && !(n >> 48 & 31))
		return make_unregister(f, d, w);
	if (set && k && n % 4) {
		w->offset = k->offset;
		w->length = k->length;
	} else if (set) {
		w->offset = (n >> 8) % 34 * DEV_MIB2;
		w->length = (n >> 16) % 4 * DEV_MIB2;
	} else {
		w->id = (n >> 8) % P2P_VFIO_MAX_WINDOWS;
		if (k && n % 8)
			w->id = k - d->windows;
	}
	w->flags = n >> 24 & 1;
	switch (n >> 32 & 15) {
	case 0: w->bar = wild(f); break;
	case 1: w->flags = wild(f); break;
	case 2: w->offset = wild(f); break;
	case 3: w->length = wild(f); break;
	case 4: w->mmap_offset = wild(f); break;
	case 5: w->id = wild(f); break;
	case 6: w->provider = wild(f); break;
	case 7: w->bar = n >> 40 & 7; break;
	case 8: w->offset += DEV_MIB2; break;
	}
}

static void make_events(struct fz *f, struct p2p_vfio_events *ev)
{
	uint64_t n = fz_rand(f);
	const int32_t odd[] = {
		f->s->pipe, f->s->null, f->s->closed, -1, INT32_MIN, INT32_MAX, f->s->dev[0].d.fd,
		f->s->dev[0].d.group,
	};

	ev->fd = n % 8 ? f->s->efd[(n >> 8) % FZ_EFDS] : odd[(n >> 8) % COUNT(odd)];
	ev->flags = 1 + (n >> 16 & 1);
	if (!(n >> 24 & 15))
		ev->flags = wild(f);
}

static void make_peer(struct fz *f, struct p2p_vfio_peer *p)
{
	uint64_t n = fz_rand(f);

	*p = (struct p2p_vfio_peer){ .bus = (n >> 8) % 8, .devfn = n >> 16 & 7 ? (n >> 19) % 9 * 8 : n >> 19 };
	if (!(n & 15))
		p->domain = wild(f);
	else if ((n & 15) == 1)
		p->reserved = wild(f);
	else if ((n & 15) == 2)
		p->bus = wild(f);
	else if ((n & 15) == 3)
		p->route = p->distance = wild(f);
}

/* A few pages of the arena, mostly. */
static void make_export(struct fz *f, struct p2p_vfio_export *x)
{
	uint64_t n = fz_rand(f);

	*x = (struct p2p_vfio_export){
		.address = (uintptr_t)fz_at(f, n % FZ_SLOTS, (n >> 8) % FZ_SLOT_PAGES),
		.length = (1 + (n >> 24) % 8) * FZ_PAGE, .flags = n >> 32 & 1, .fd = -1,
	};
	if (!(n >> 40 & 15))
		x->address = wild(f);
	else if ((n >> 40 & 15) == 1)
		x->length = wild(f);
	else if ((n >> 40 & 15) == 2)
		x->flags = wild(f);
}

static const struct {
	uint32_t flags;
	unsigned int size;
} kinds[] = {
	{ SET | P2P_VFIO_FEATURE_WINDOW, sizeof(struct p2p_vfio_window) },
	{ GET | P2P_VFIO_FEATURE_WINDOW, sizeof(struct p2p_vfio_window) },
	{ GET | P2P_VFIO_FEATURE_STATE, sizeof(struct p2p_vfio_state) },
	{ SET | P2P_VFIO_FEATURE_EVENTS, sizeof(struct p2p_vfio_events) },
	{ GET | P2P_VFIO_FEATURE_PEER, sizeof(struct p2p_vfio_peer) },
	{ SET | 3, 0 }, { SET | 4, 8 }, { SET | 5, 0 }, { GET | 11, 32 },
	{ SET | P2P_VFIO_FEATURE_POPULATE, sizeof(struct p2p_vfio_populate) },
	{ SET | P2P_VFIO_FEATURE_EXPORT, sizeof(struct p2p_vfio_export) },
};

static void fill_feature(struct fz *f, unsigned int kind, unsigned int dev, void *data)
{
	uint64_t n;

	switch (kind) {
	case 0:
	case 1:
		return make_window(f, &f->s->dev[dev], data, kind == 0);
	case 3:
		return make_events(f, data);
	case 4:
		return make_peer(f, data);
	case 6:		/* the wake-up eventfd */
		memcpy(data, &(int32_t){ fz_one_in(f, 4) ? -1 : f->s->efd[3] }, 4);
		return;
	case 8:		/* a dma-buf of a part of the BAR */
		n = fz_rand(f);
		memcpy(data, (uint32_t[]){ f->s->dev[dev].bar, 2, 0, 1, 0, 0,
					   n % 16 * FZ_PAGE, 0 }, 32);
		((uint64_t *)data)[2] = (n >> 8) % 64 * FZ_PAGE;
		return;
	case 10:
		return make_export(f, data);
	case 9:		/* anywhere; the arena has an operation of its own */
		memcpy(data, (uint64_t[]){ wild(f) & ~(FZ_PAGE - 1), wild(f) & ~(FZ_PAGE - 1) }, 16);
	}
}

/* Which of kinds[], of 64. */
static unsigned int some_kind(struct fz *f)
{
	uint64_t n = fz_below(f, 256);

	return n < 80 ? 0 : n < 128 ? 1 : n < 150 ? 2 : n < 200 ? 3 : n < 240 ? 4 : n < 243 ? 9 : n < 247 ? 10 : n < 251 ? 8 : 2;
}

void fz_make_feature(struct fz *f, struct fz_call *c)
{
	unsigned int dev = some_dev(f) % f->s->nr_devs, kind = some_kind(f);
	uint64_t n = fz_rand(f), place = n % 4 ? 0 : (n >> 8) % 5;
	uint32_t flags, argsz;

	/* Low power is slow: each later call wakes the device up. */
	if (fz_one_in(f, 16000))
		kind = 5 + fz_below(f, 3);
	flags = kinds[kind].flags;
	argsz = 8 + kinds[kind].size;
	fill_feature(f, kind, dev, &c->a[2]);
	switch (n >> 16 & 31) {
	case 0: argsz = wild(f); break;
	case 1: argsz = (n >> 24) % (argsz + 8); break;
	case 2: flags = wild(f); break;
	case 3: flags ^= 1u << (n >> 24) % 32; break;
	case 4: case 5: flags |= PROBE; break;
	case 6: flags = (flags & 0xffff) | (n >> 24 & 0xf) << 16; break;
	case 7: flags = (flags & ~0xffffu) | (n >> 24 & 15); break;
	case 8: c->a[2 + (n >> 24) % 5] = wild(f); break;
	}
	/* What is asked for by chance must not be slow either. */
	if (kind < 5 && (flags & 0xffff) >= 3 && (flags & 0xffff) <= 5)
		flags |= PROBE;
	c->a[0] = dev | place << 8 | (place == 1 && n >> 40 & 1 ? 0 : n >> 41 & 0xffff) << 16;
	if (place == 1 && n >> 40 & 1)
		c->a[0] &= 0xffff;	/* nothing is missing */
	c->a[1] = argsz | (uint64_t)flags << 32;
}

/* Mappings */

static uint64_t some_position(struct fz *f, struct fz_dev *d, uint64_t *left)
{
	struct fz_window *k;
	uint64_t n = fz_rand(f), at;

	*left = FZ_SLOT;
	k = fz_some_window(d, n >> 8);
	if (!k || !(n & 31))
		return n & 32 ? wild(f) : wild(f) & ~(FZ_PAGE - 1);
	at = n >> 16 & 1 ? (n >> 17) % (k->length / DEV_MIB2) * DEV_MIB2 :
			   (n >> 17) % (k->length / FZ_PAGE) * FZ_PAGE;
	*left = k->length - at;
	at += n >> 40 & 1 && k->cookie_wc ? k->cookie_wc : k->cookie;
	if (!(n >> 41 & 31))
		at += (int64_t)wild(f) << 12;
	return at;
}

void fz_make_mmap(struct fz *f, struct fz_call *c)
{
	unsigned int dev = some_dev(f) % f->s->nr_devs;
	uint64_t n = fz_rand(f), left, prot = n % 8 ? 3 : n >> 8 & 7;
	uint64_t flags = n >> 12 & 3 ? 0 : (n >> 14) % 12;

	c->a[3] = some_position(f, &f->s->dev[dev], &left);
	c->a[1] = n >> 20 & 1 ? (n >> 21) % 4 * 512 : (n >> 21) % FZ_SLOT_PAGES;
	c->a[2] = n >> 40 & 3 ? left : (n >> 42) % (FZ_SLOT / FZ_PAGE) * FZ_PAGE;
	if (c->a[2] > (FZ_SLOT_PAGES - c->a[1]) * FZ_PAGE && n >> 60)
		c->a[2] = (FZ_SLOT_PAGES - c->a[1]) * FZ_PAGE;
	if (!(n >> 54 & 15))
		c->a[2] = wild(f);
	c->a[0] = (n >> 32) % FZ_SLOTS | (uint64_t)dev << 8 | prot << 16 | flags << 24;
}

void fz_make_part(struct fz *f, struct fz_call *c)
{
	uint64_t n = fz_rand(f);

	c->a[0] = n % FZ_SLOTS;
	c->a[1] = n >> 8 & 1 ? (n >> 9) % 4 * 512 : n >> 9;
	c->a[1] %= FZ_SLOT_PAGES;
	c->a[2] = n >> 24 & 1 ? (n >> 25) % 4 * 512 + 511 : (n >> 25) % 64;
	c->a[3] = fz_rand(f);
	c->a[4] = fz_rand(f) & 0xffff;
}

void fz_make_populate(struct fz *f, struct fz_call *c)
{
	const struct fz_place *p;

	fz_make_part(f, c);
	p = &f->place[c->a[0]][c->a[1]];
	c->a[0] |= (uint64_t)(p->kind == FZ_WINDOW && !fz_one_in(f, 4) ? p->dev : some_dev(f)) << 8;
	/* What is added to address and length: mostly nothing. */
	c->a[3] = fz_one_in(f, 8) ? wild(f) : 0;
	c->a[4] = fz_one_in(f, 8) ? wild(f) : 0;
}

void fz_make_dio(struct fz *f, struct fz_call *c)
{
	uint64_t n = fz_rand(f);

	fz_make_part(f, c);
	c->a[2] = (n >> 32) % 32;
	c->a[3] = n & 0x1ffffffff;
	if (!(n >> 40 & 7))
		c->a[3] |= (n >> 43 & 0xff) << 33;
	if (!(n >> 52 & 15))
		c->a[3] |= 512ull << 41;
	else if (!(n >> 52 & 31))
		c->a[3] |= (n >> 55 & 0xff) << 41;
}

/* Devices */

void fz_make_hot_reset(struct fz *f, struct fz_call *c)
{
	uint64_t n = fz_rand(f);

	c->a[0] = some_dev(f);
	c->a[1] = n & 7 ? 12 : wild(f);
	c->a[2] = n >> 8 & 3 ? (n >> 10) % 4 : wild(f) % 400;
	/* One in some hundred is right, and takes its time. */
	c->a[3] = (n >> 20 & 127) ? fz_rand(f) | 3 : 0;
	c->a[4] = n >> 30 & 0xff;
}

static uint64_t some_config(struct fz *f, struct fz_dev *d)
{
	uint64_t n = fz_rand(f);
	const unsigned int known[] = { 4, 4, 4, 15, 0x10, 0x18, d->pm + 4, d->exp + 8, d->af + 4, 0x3c };

	if (n & 1)
		return known[(n >> 1) % COUNT(known)] + (n >> 8 & 7 ? 0 : (n >> 11 & 7) - 4);
	return n >> 8 & 15 ? (n >> 12) % 272 : wild(f);
}

void fz_make_region(struct fz *f, struct fz_call *c)
{
	unsigned int dev = some_dev(f) % f->s->nr_devs;
	struct fz_dev *d = &f->s->dev[dev];
	uint64_t n = fz_rand(f), index = CONFIG, at = some_config(f, d), left;

	c->a[2] = n & 7 ? 1ull << (n >> 3) % 4 : (n >> 3) % 64;
	if (!(n >> 10 & 3)) {
		index = (n >> 12) % 10;
		at = n >> 16 & 7 ? (n >> 20) % 512 : wild(f);
	}
	c->a[1] = index << 40 | (at & 0xffffffffff);
	if (!(n >> 32 & 63))
		c->a[1] = some_position(f, d, &left);
	c->a[0] = dev | (n >> 40 & 1) << 8 | (n >> 41 & 7 ? 0 : n >> 44 & 7) << 16 | (n >> 48) << 24;
	c->a[3] = fz_rand(f);
	/* A function level reset takes 100 ms: seldom. */
	if (d->exp && !fz_one_in(f, 64) && index == CONFIG && (c->a[0] & 0x100) &&
	    at < d->exp + 10ull && at + c->a[2] > d->exp + 8ull)
		c->a[3] &= 0x7f7f7f7f7f7f7f7f;
}

void fz_make_numbers(struct fz *f, struct fz_call *c)
{
	c->a[0] = fz_rand(f) & 0xff;
	c->a[1] = fz_rand(f) & 0xff;
	c->a[2] = fz_rand(f) & 0xff;
	c->a[3] = fz_one_in(f, 4) ? wild(f) : fz_below(f, 12);
}

/* Weights.  What is slow is seldom. */
const struct fz_op fz_ops[] = {
	{ "feature", fz_run_feature, fz_make_feature, 830000 },
	{ "mmap", fz_run_mmap, fz_make_mmap, 40000 },
	{ "munmap", fz_run_munmap, fz_make_part, 4000 },
	{ "mremap", fz_run_mremap, fz_make_part, 4000 },
	{ "mprotect", fz_run_mprotect, fz_make_part, 4000 },
	{ "madvise", fz_run_madvise, fz_make_part, 7000 },
	{ "mlock", fz_run_mlock, fz_make_part, 2000 },
	{ "touch", fz_run_touch, fz_make_part, 60000 },
	{ "populate", fz_run_populate, fz_make_populate, 6000 },
	{ "dio", fz_run_dio, fz_make_dio, 1200 },
	{ "region", fz_run_region, fz_make_region, 12000 },
	{ "info", fz_run_info, fz_make_numbers, 20000 },
	{ "event", fz_run_event, fz_make_numbers, 12000 },
	{ "dup", fz_run_dup, fz_make_numbers, 1000 },
	{ "sysfs", fz_run_sysfs, fz_make_numbers, 1000 },
	{ "param", fz_run_param, fz_make_numbers, 1000 },
	{ "hot-reset", fz_run_hot_reset, fz_make_hot_reset, 2000 },
	{ "reset", fz_run_reset, fz_make_numbers, 10 },
	{ "sysfs-reset", fz_run_sysfs_reset, fz_make_numbers, 10 },
	{ "reopen", fz_run_reopen, fz_make_numbers, 10, .alone = true },
	{ "mend", fz_run_mend, fz_make_numbers, 20 },
	{ }
};

static unsigned int some_op(struct fz *f)
{
	unsigned int sum = 0;
	uint64_t n;

	for (int i = 0; fz_ops[i].name; i++)
		sum += fz_ops[i].weight;
	n = fz_below(f, sum);
	for (unsigned int i = 0;; i++) {
		if (n < fz_ops[i].weight)
			return i;
		n -= fz_ops[i].weight;
	}
}

void fz_make(struct fz *f, struct fz_call *c)
{
	do {
		*c = (struct fz_call){ .op = some_op(f) };
	} while (f->racy && fz_ops[c->op].alone);
	fz_ops[c->op].make(f, c);
}

/* Another one of the same kind, or this one with a bit, or a number, changed. */
void fz_alter(struct fz *f, struct fz_call *c)
{
	uint64_t n = fz_rand(f), *a = &c->a[(n >> 8) % FZ_ARGS];

	if (fz_ops[c->op].weight < 100)
		return;
	switch (n & 3) {
	case 0:
		*a ^= 1ull << (n >> 16 & 63);
		break;
	case 1:
		*a = wild(f);
		break;
	case 2:
		*a += (n >> 16 & 15) - 8;
		break;
	default:
		*c = (struct fz_call){ .op = c->op };
		fz_ops[c->op].make(f, c);
	}
	/* Not to a reset, nor to low power: those are weighed out. */
	if (fz_ops[c->op].run == fz_run_feature && (c->a[1] >> 32 & 0xffff) >= 3 &&
	    (c->a[1] >> 32 & 0xffff) <= 5)
		c->a[1] |= (uint64_t)PROBE << 32;
	if (fz_ops[c->op].run == fz_run_hot_reset)
		c->a[3] |= 3;
}
