// SPDX-License-Identifier: MIT
/*
 * VFIO_DEVICE_FEATURE: see fuzz.h.
 *
 * What may be refused, and with what, is told by the header's text alone: every
 * rule that a request breaks is a reason, whichever the driver finds first.  A
 * request that breaks none must succeed.
 *
 *	a[0]	device, place (bits 8..15), bytes missing at its end (bits 16..31)
 *	a[1]	argsz, flags (bits 32..63)
 *	a[2..6]	the first 40 bytes of the data
 */
#define _GNU_SOURCE
#include "fuzz.h"
#include "harness.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define GET VFIO_DEVICE_FEATURE_GET
#define SET VFIO_DEVICE_FEATURE_SET
#define PROBE VFIO_DEVICE_FEATURE_PROBE
#define HEADER sizeof(struct vfio_device_feature)
#define LOW_POWER_ENTRY 3
#define LOW_POWER_ENTRY_WITH_WAKEUP 4
#define LOW_POWER_EXIT 5
#define DMA_BUF 11
#define DATA 40

enum place { MIDDLE, AT_THE_END, READ_ONLY, NOWHERE, IN_WINDOW, PLACES };

struct request {
	struct fz_dev *d;
	enum place place;
	unsigned int missing;
	uint32_t argsz, flags, number;
	const void *data;		/* as asked */
	size_t size;			/* of this feature's structure */
	char *at;			/* where the request lies; NULL: it has no place */
	struct fz_place *in;		/* IN_WINDOW */
	bool power;			/* one of the low-power calls that are carried out */
};

static size_t size_of(uint32_t number)
{
	switch (number) {
	case P2P_VFIO_FEATURE_WINDOW: return sizeof(struct p2p_vfio_window);
	case P2P_VFIO_FEATURE_STATE: return sizeof(struct p2p_vfio_state);
	case P2P_VFIO_FEATURE_EVENTS: return sizeof(struct p2p_vfio_events);
	case P2P_VFIO_FEATURE_PEER: return sizeof(struct p2p_vfio_peer);
	case P2P_VFIO_FEATURE_POPULATE: return sizeof(struct p2p_vfio_populate);
	case P2P_VFIO_FEATURE_EXPORT: return sizeof(struct p2p_vfio_export);
	case LOW_POWER_ENTRY_WITH_WAKEUP: return 8;
	case DMA_BUF: return 16;
	}
	return 0;
}

static uint32_t operations_of(uint32_t number)
{
	switch (number) {
	case P2P_VFIO_FEATURE_WINDOW: return GET | SET;
	case P2P_VFIO_FEATURE_STATE:
	case P2P_VFIO_FEATURE_PEER: return GET;
	case P2P_VFIO_FEATURE_EVENTS:
	case P2P_VFIO_FEATURE_EXPORT:
	case P2P_VFIO_FEATURE_POPULATE: return SET;
	}
	return 0;
}

/* Laying it out */

static char *somewhere(uint64_t n)
{
	static const uintptr_t ends[] = {
		0, 1, 4096, 0xffff888000000000, 0x8000000000000000, 0x00007ffffffff000, -4096ul, -8ul,
	};

	return (char *)ends[n % (sizeof(ends) / sizeof(*ends))];
}

static void lay(void *arg)
{
	struct request *r = arg;
	struct { uint32_t argsz, flags; char data[DATA]; } all = { r->argsz, r->flags, { 0 } };
	size_t whole = HEADER + (r->size > DATA ? r->size : DATA);
	size_t there = r->place == AT_THE_END ? HEADER + r->size - r->missing : whole;

	memcpy(all.data, r->data, DATA);
	memcpy(r->at, &all, there < sizeof(all) ? there : sizeof(all));
}

/* False: there is no such place now. */
static bool place(struct fz *f, struct request *r, uint64_t seed)
{
	char *end = f->page + FZ_PAGE;

	switch (r->place) {
	case MIDDLE:
		r->at = f->page + 1024;
		break;
	case AT_THE_END:
		r->at = end - HEADER - r->size + r->missing;
		break;
	case READ_ONLY:
		r->at = f->page + 512;
		break;
	case IN_WINDOW:
		r->at = fz_window_page(f, seed, &r->in);
		if (!r->at)
			return false;
		r->at += seed * 8 % (FZ_PAGE - 512);
		break;
	default:
		r->at = somewhere(seed);
		return true;
	}
	return !fz_try(lay, r);
}

static void parse(struct fz *f, const struct fz_call *c, struct request *r)
{
	*r = (struct request){
		.d = fz_dev(f, c->a[0] & 0xff), .place = (c->a[0] >> 8 & 0xff) % PLACES,
		.missing = c->a[0] >> 16 & 0xffff, .argsz = c->a[1], .flags = c->a[1] >> 32,
		.data = &c->a[2],
	};
	r->number = r->flags & VFIO_DEVICE_FEATURE_MASK;
	r->size = size_of(r->number);
	r->missing = r->place == AT_THE_END ? r->missing % (HEADER + r->size + 1) : 0;
	r->power = r->number >= LOW_POWER_ENTRY && r->number <= LOW_POWER_EXIT;
}

/* What it may answer */

static bool operation_fits(const struct request *r, uint32_t offered)
{
	return !(r->flags & (GET | SET) & ~offered) &&
	       ((r->flags & PROBE) || (r->flags & (GET | SET)));
}

static void judge_header(const struct request *r, struct fz_expect *e)
{
	size_t needed = HEADER + (r->flags & PROBE ? 0 : r->size);

	if (r->place == NOWHERE || (r->place == AT_THE_END && r->missing > HEADER + r->size - needed))
		fz_must(e, EFAULT);
	if (r->argsz < HEADER ||
	    (r->flags & ~(VFIO_DEVICE_FEATURE_MASK | GET | SET | PROBE)) ||
	    (!(r->flags & PROBE) && (r->flags & GET) && (r->flags & SET)))
		fz_must(e, EINVAL);
}

static bool unregisters(const struct request *r)
{
	const struct p2p_vfio_window *w = r->data;

	return r->number == P2P_VFIO_FEATURE_WINDOW && (r->flags & SET) &&
	       (w->flags & P2P_VFIO_WINDOW_UNREGISTER);
}

static void judge_answer(const struct request *r, struct fz_expect *e)
{
	if (r->place == READ_ONLY && r->number != P2P_VFIO_FEATURE_EVENTS && !unregisters(r))
		fz_must(e, EFAULT);
}

/* Memory of a window that is off, in a race: its copy may fail. */
static void judge_window_place(struct fz *f, const struct request *r, struct fz_expect *e)
{
	if (r->place == IN_WINDOW && f->racy)
		fz_may(e, EFAULT);
}

static void judge_range(struct fz *f, struct fz_dev *d, const struct p2p_vfio_window *w,
			struct fz_expect *e)
{
	bool found = false;

	if (w->bar != d->bar) {
		e->fails = true;
		return FZ_MAY(e, ENXIO, ERANGE, EINVAL, EADDRINUSE, EOPNOTSUPP);
	}
	if (!w->length || w->offset % DEV_MIB2 || w->length % DEV_MIB2)
		fz_must(e, EINVAL);
	if (w->offset > d->bar_size || w->length > d->bar_size - w->offset)
		fz_must(e, ERANGE);
	if ((w->flags & P2P_VFIO_WINDOW_WC) && !d->prefetchable)
		fz_must(e, EOPNOTSUPP);
	if (f->racy) {
		FZ_MAY(e, EEXIST, ENOSPC);
		return;
	}
	for (unsigned int i = 0; i < P2P_VFIO_MAX_WINDOWS; i++) {
		struct fz_window *k = &d->windows[i];

		if (!fz_knows(d, i))
			continue;
		if (k->bar == w->bar && k->offset == w->offset && k->length == w->length)
			found = true;
		else if (w->length && w->offset < k->offset + k->length &&
			 (w->length > UINT64_MAX - w->offset || k->offset < w->offset + w->length))
			fz_must(e, EEXIST);
	}
	if (!found && d->nr_windows == P2P_VFIO_MAX_WINDOWS)
		fz_must(e, ENOSPC);
}

/* Mappings of the other threads are not known: in a race each answer may come. */
static void judge_unregister(struct fz *f, const struct request *r, struct fz_expect *e)
{
	const struct p2p_vfio_window *w = r->data;
	const struct fz_window *k = &r->d->windows[w->id % P2P_VFIO_MAX_WINDOWS];

	if (w->flags != P2P_VFIO_WINDOW_UNREGISTER || w->bar || w->offset || w->length || w->mmap_offset ||
	    w->provider)
		fz_must(e, EINVAL);
	if (w->id >= P2P_VFIO_MAX_WINDOWS)
		return fz_must(e, ENOENT);
	if (f->racy)
		return FZ_MAY(e, ENOENT, EBUSY, EOPNOTSUPP);
	if (!fz_knows(r->d, w->id))
		return fz_must(e, ENOENT);
	if (k->provider == P2P_VFIO_PROVIDER_STANDARD)
		fz_must(e, EOPNOTSUPP);
	if (fz_mapped(f, r->d, w->id))
		fz_may(e, EBUSY);
	e->fails |= fz_mapped(f, r->d, w->id) == 1;
}

static void judge_window(struct fz *f, const struct request *r, struct fz_expect *e)
{
	const struct p2p_vfio_window *w = r->data;

	if (unregisters(r))
		return judge_unregister(f, r, e);
	if (w->flags & ~P2P_VFIO_WINDOW_WC)
		fz_must(e, EINVAL);
	if (r->flags & SET) {
		if (w->bar > 5)
			fz_must(e, EINVAL);
		return judge_range(f, r->d, w, e);
	}
	if (!fz_knows(r->d, w->id) || (f->racy && atomic_load(&r->d->windows[w->id].shaky))) {
		e->fails |= !f->racy || w->id >= P2P_VFIO_MAX_WINDOWS;
		fz_may(e, ENOENT);
	}
	if ((w->flags & P2P_VFIO_WINDOW_WC) && !r->d->prefetchable)
		fz_must(e, EOPNOTSUPP);
}

static void judge_events(struct fz *f, const struct request *r, struct fz_expect *e)
{
	const struct p2p_vfio_events *ev = r->data;
	int efd = -1, added = 0;

	if (ev->flags != P2P_VFIO_EVENTS_ADD && ev->flags != P2P_VFIO_EVENTS_REMOVE)
		fz_must(e, EINVAL);
	for (int i = 0; i < FZ_EFDS; i++) {
		if (f->s->efd[i] == ev->fd)
			efd = i;
		added += r->d->added[i];
	}
	/* The last two are duplicates of the first two. */
	efd = efd >= FZ_EFDS - 2 ? efd - (FZ_EFDS - 2) : efd;
	if (efd < 0) {
		e->fails = true;
		return FZ_MAY(e, EBADF, EINVAL);
	}
	if (f->racy)
		return FZ_MAY(e, EEXIST, ENOENT, ENOSPC);
	if (ev->flags == P2P_VFIO_EVENTS_ADD && r->d->added[efd])
		fz_must(e, EEXIST);
	else if (ev->flags == P2P_VFIO_EVENTS_ADD && added >= P2P_VFIO_MAX_EVENTS)
		fz_must(e, ENOSPC);
	else if (ev->flags == P2P_VFIO_EVENTS_REMOVE && !r->d->added[efd])
		fz_must(e, ENOENT);
}

static bool pci_exists(const struct p2p_vfio_peer *p)
{
	static signed char known[256][256];	/* of domain 0; 1: there, -1: not */
	char path[64];

	if (p->domain)
		return false;
	if (!known[p->bus][p->devfn]) {
		snprintf(path, sizeof(path), "/sys/bus/pci/devices/0000:%02x:%02x.%x",
			 p->bus, p->devfn >> 3, p->devfn & 7);
		known[p->bus][p->devfn] = access(path, F_OK) ? -1 : 1;
	}
	return known[p->bus][p->devfn] > 0;
}

static void judge_peer(const struct request *r, struct fz_expect *e)
{
	const struct p2p_vfio_peer *p = r->data;

	if (p->reserved)
		fz_must(e, EINVAL);
	if (!pci_exists(p))
		fz_must(e, ENODEV);
}

static void judge_populate(struct fz *f, const struct request *r, struct fz_expect *e)
{
	const struct p2p_vfio_populate *p = r->data;

	fz_judge_populate(f, r->d, p->address, p->length, e);
}

/*
 * A mapping may have been cut and put together again, and which pages are one still
 * the model does not know.
 */
static void judge_export(struct fz *f, const struct request *r, struct fz_expect *e)
{
	const struct p2p_vfio_export *x = r->data;
	const uint64_t arena = (uintptr_t)f->arena;

	if (x->flags & ~P2P_VFIO_EXPORT_READ_ONLY || !x->length ||
	    (x->address | x->length) % FZ_PAGE || x->length > UINT64_MAX - x->address)
		return fz_must(e, EINVAL);
	if (!f->racy && x->address - arena >= FZ_SLOTS * FZ_SLOT)
		return fz_must(e, ENOMEM);
	FZ_MAY(e, ENOMEM);
}

/* Of ours: exactly.  Of others: only that it is an errno of theirs. */
static void judge(struct fz *f, const struct request *r, struct fz_expect *e)
{
	uint32_t offered = operations_of(r->number);

	judge_header(r, e);
	judge_window_place(f, r, e);
	if (!offered)
		return FZ_MAY(e, ENOTTY, EINVAL, EFAULT, EOPNOTSUPP, EBADF, EBUSY, EINTR, ENODEV,
			      EACCES, EPERM, ENOENT, EMFILE, ENOMEM, EOVERFLOW, ERANGE);
	if (!operation_fits(r, offered)) {
		fz_must(e, EINVAL);
		return;
	}
	if (r->flags & PROBE)
		return;
	if (r->argsz < HEADER + r->size)
		fz_must(e, EINVAL);
	judge_answer(r, e);
	if (r->number == P2P_VFIO_FEATURE_WINDOW)
		judge_window(f, r, e);
	else if (r->number == P2P_VFIO_FEATURE_EVENTS)
		judge_events(f, r, e);
	else if (r->number == P2P_VFIO_FEATURE_PEER)
		judge_peer(r, e);
	else if (r->number == P2P_VFIO_FEATURE_POPULATE)
		judge_populate(f, r, e);
	else if (r->number == P2P_VFIO_FEATURE_EXPORT)
		judge_export(f, r, e);
}

/* What it answered */

static void took_event(struct fz *f, const struct request *r)
{
	const struct p2p_vfio_events *ev = r->data;

	for (int i = 0; i < FZ_EFDS; i++) {
		int efd = i >= FZ_EFDS - 2 ? i - (FZ_EFDS - 2) : i;

		if (f->s->efd[i] != ev->fd)
			continue;
		r->d->added[efd] = ev->flags == P2P_VFIO_EVENTS_ADD;
		r->d->pending[efd] = false;
	}
}

static void check_peer(struct fz *f, const struct p2p_vfio_peer *p)
{
	if (p->route > P2P_VFIO_ROUTE_HOST_BRIDGE || (p->route == P2P_VFIO_ROUTE_NONE) != (p->distance == -1) ||
	    p->distance < -1)
		fz_fail(f, "PEER: route %u, distance %d", p->route, p->distance);
}

static void check_window(struct fz *f, const struct request *r, const struct p2p_vfio_window *w)
{
	const struct p2p_vfio_window *asked = r->data;

	if (w->flags != asked->flags)
		return fz_fail(f, "the answer's flags are %#x, not %#x", w->flags, asked->flags);
	if ((r->flags & SET) && (w->bar != asked->bar || w->offset != asked->offset ||
				 w->length != asked->length))
		return fz_fail(f, "SET answered with another range");
	if ((r->flags & GET) && w->id != asked->id)
		return fz_fail(f, "GET of %u answered with %u", asked->id, w->id);
	fz_know_window(f, r->d, w);
}

struct copy {
	char *from, to[HEADER + sizeof(struct p2p_vfio_state)];
	size_t n;
};

static void copy(void *arg)
{
	struct copy *c = arg;

	memcpy(c->to, c->from, c->n);
}

/* Not kept: it would keep the window. */
static void took_export(struct fz *f, const struct request *r)
{
	struct copy got = { .from = r->at, .n = HEADER + r->size };
	const struct p2p_vfio_export *x = (const void *)(got.to + HEADER);

	if (fz_try(copy, &got))
		return;
	if (close(x->fd) && !f->racy)
		fz_fail(f, "EXPORT answers fd %d, which is none", x->fd);
}

static void check_success(struct fz *f, const struct request *r)
{
	struct copy got = { .from = r->at, .n = HEADER + r->size };
	void *data = got.to + HEADER;

	if (r->flags & PROBE)
		return;
	if (r->number == P2P_VFIO_FEATURE_EVENTS && !f->racy)
		return took_event(f, r);
	if (r->number == P2P_VFIO_FEATURE_EXPORT)
		return took_export(f, r);
	if (unregisters(r))
		return fz_forget_window(r->d, ((const struct p2p_vfio_window *)r->data)->id);
	if (!(operations_of(r->number) & GET) || fz_try(copy, &got))
		return;
	if (r->place == IN_WINDOW && f->racy)
		return;		/* other threads write there, too */
	if (r->number == P2P_VFIO_FEATURE_WINDOW)
		check_window(f, r, data);
	else if (r->number == P2P_VFIO_FEATURE_PEER)
		check_peer(f, data);
}

/* A refusal has written nothing, at most the same again; of an answer that did not fit, a part. */
static void check_refusal(struct fz *f, const struct request *r, long ret)
{
	struct copy got = { .from = r->at, .n = HEADER + DATA };
	size_t there = r->place == AT_THE_END ? HEADER + r->size - r->missing : got.n;

	if (r->place == NOWHERE || (r->place == IN_WINDOW && f->racy) || !operations_of(r->number) || (ret == -EFAULT && r->missing))
		return;
	got.n = there < got.n ? there : got.n;
	if (fz_try(copy, &got) || got.n <= HEADER)
		return;
	if (memcmp(got.to + HEADER, r->data, got.n - HEADER))
		fz_fail(f, "a refused request has been written to");
}

/* Nothing of the page but the request itself may have changed. */
static bool untouched(struct fz *f, const struct request *r)
{
	size_t from = r->at - f->page, to = from + HEADER + (r->size > DATA ? r->size : DATA);
	size_t around = f->n % 64 ? 64 : FZ_PAGE;

	for (size_t i = from > around ? from - around : 0; i < from; i++)
		if (f->page[i] != (char)0x5a)
			return false;
	for (size_t i = to; i < FZ_PAGE && i < to + around; i++)
		if (f->page[i] != (char)0x5a)
			return false;
	return true;
}

static void check_page(struct fz *f, const struct request *r)
{
	size_t n = HEADER + (r->size > DATA ? r->size : DATA);

	if (r->place > READ_ONLY)
		return;
	if (!untouched(f, r))
		fz_fail(f, "memory beside the request has been written to");
	if (r->at + n > f->page + FZ_PAGE)
		n = f->page + FZ_PAGE - r->at;
	memset(r->at, 0x5a, n);
}

/* Low power */

static void took_power(struct fz *f, const struct request *r, long ret)
{
	if (r->flags & PROBE)
		return;
	if (ret >= 0) {
		fz_acts(f, r->d, 1, 1);
		r->d->engaged = r->number == LOW_POWER_EXIT ? 0 : r->number == LOW_POWER_ENTRY ? 1 : 2;
	}
	fz_look_power(f, r->d);
	if (r->d->usable != 1)
		f->debt[r->d - f->s->dev] = 8;
}

long fz_run_feature(struct fz *f, const struct fz_call *c)
{
	struct fz_expect e = { 0 };
	struct request r;
	char *arg;
	long ret;

	parse(f, c, &r);
	if (!place(f, &r, c->a[0] >> 16))
		return -EAGAIN;
	judge(f, &r, &e);
	if (f->racy && unregisters(&r) && ((const struct p2p_vfio_window *)r.data)->id < P2P_VFIO_MAX_WINDOWS)
		atomic_store(&r.d->windows[((const struct p2p_vfio_window *)r.data)->id].shaky, true);
	arg = r.place == READ_ONLY ? f->page_ro + (r.at - f->page) : r.at;
	ret = ioctl(r.d->d.fd, VFIO_DEVICE_FEATURE, arg);
	ret = ret < 0 ? -errno : ret;
	fz_judge(f, &e, ret);
	if (r.number == DMA_BUF && ret > 2)
		close(ret);
	if (r.power)
		took_power(f, &r, ret);
	if (ret >= 0)
		check_success(f, &r);
	else
		check_refusal(f, &r, ret);
	check_page(f, &r);
	return ret;
}
