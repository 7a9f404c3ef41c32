// SPDX-License-Identifier: MIT
/* What is known of the devices, and what they say of themselves: see fuzz.h. */
#define _GNU_SOURCE
#include "fuzz.h"
#include "harness.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#define PCI_COMMAND 4
#define PCI_BIST 15
#define PCI_CAP_PM 1
#define PCI_CAP_EXP 16
#define PCI_CAP_AF 19

void fz_fail(struct fz *f, const char *fmt, ...)
{
	va_list ap;

	if (*f->why)
		return;
	va_start(ap, fmt);
	vsnprintf(f->why, sizeof(f->why), fmt, ap);
	va_end(ap);
}

/* Answers */

void fz_may(struct fz_expect *e, int err)
{
	e->errnos[err / 64] |= 1ull << err % 64;
}

void fz_must(struct fz_expect *e, int err)
{
	e->fails = true;
	fz_may(e, err);
}

void fz_may_list(struct fz_expect *e, const int *errs)
{
	for (; *errs; errs++)
		fz_may(e, *errs);
}

void fz_judge(struct fz *f, const struct fz_expect *e, long ret)
{
	if (ret >= 0 && e->fails)
		fz_fail(f, "it answered %ld, and must fail", ret);
	else if (ret < 0 && (ret <= -FZ_ERRNOS || !(e->errnos[-ret / 64] >> -ret % 64 & 1)))
		fz_fail(f, "it failed with %s, which is not documented for it",
			strerrorname_np(-ret) ?: "no errno");
}

/* Devices */

struct fz_dev *fz_dev(struct fz *f, uint64_t n)
{
	return &f->s->dev[n % f->s->nr_devs];
}

int fz_open(struct fz_shared *s, int dev)
{
	struct fz_dev *d = &s->dev[dev];
	int err = dev_open(&d->d, d->role);

	if (err)
		return err;
	d->bar = dev_bar(&d->d);
	d->bar_size = dev_bar_size(&d->d, d->bar);
	d->prefetchable = dev_prefetchable(&d->d, d->bar);
	d->pm = dev_capability(&d->d, PCI_CAP_PM);
	d->exp = dev_capability(&d->d, PCI_CAP_EXP);
	d->af = dev_capability(&d->d, PCI_CAP_AF);
	d->raw = dev_map_raw(&d->d, d->bar, 0, d->bar_size);
	d->usable = 1;
	d->engaged = 0;
	return d->raw ? 0 : -errno;
}

void fz_acts(struct fz *f, struct fz_dev *d, unsigned int low, unsigned int high)
{
	d->gen_low += low;
	d->gen_high += high;
	for (int i = 0; !f->racy && low && i < FZ_EFDS; i++)
		d->pending[i] |= d->added[i];
}

static bool overlaps(uint64_t at, uint64_t count, uint64_t start, uint64_t length)
{
	return count && at < start + length && (count > UINT64_MAX - at || at + count > start);
}

bool fz_config_acts(const struct fz_dev *d, uint64_t at, uint64_t count)
{
	return overlaps(at, count, PCI_COMMAND, 1) || overlaps(at, count, PCI_BIST, 1) ||
	       (d->pm && overlaps(at, count, d->pm + 4, 1)) ||
	       (d->exp && overlaps(at, count, d->exp + 8, 2)) ||
	       (d->af && overlaps(at, count, d->af + 4, 1));
}

/* Can its memory be touched now?  Its registers say so, and what was called. */
void fz_look_power(struct fz *f, struct fz_dev *d)
{
	uint16_t command = 0, pm = 0;

	if (f->racy)
		return;
	if (dev_config_read(&d->d, PCI_COMMAND, &command, 2) != 2 ||
	    (d->pm && dev_config_read(&d->d, d->pm + 4, &pm, 2) != 2))
		fz_fail(f, "config space cannot be read");
	d->usable = (command & 2) && !(pm & 3);
	if (d->usable && d->engaged)
		d->usable = d->engaged == 1 ? 0 : 2;
}

static bool grew(const struct p2p_vfio_state *a, const struct p2p_vfio_state *b)
{
	for (int i = 0; i < P2P_VFIO_MAX_CAUSES; i++)
		if (b->revokes[i] < a->revokes[i])
			return false;
	/* Of faults_*: summed over the CPUs without a lock, but each only counts up. */
	return b->generation >= a->generation && b->faults_pmd >= a->faults_pmd &&
	       b->faults_pte >= a->faults_pte && b->faults_refused >= a->faults_refused &&
	       b->faults_waited >= a->faults_waited && b->drain_timeouts >= a->drain_timeouts &&
	       b->drain_max_us >= a->drain_max_us;
}

static bool well_formed(const struct fz_dev *d, const struct p2p_vfio_state *s)
{
	uint64_t folios = d->bar_size / dev_folio();

	for (int i = P2P_VFIO_CAUSES; i < P2P_VFIO_MAX_CAUSES; i++)
		if (s->revokes[i])
			return false;
	return s->state >= P2P_VFIO_STATE_LIVE && s->state <= P2P_VFIO_STATE_QUIESCED &&
	       s->windows <= P2P_VFIO_MAX_WINDOWS && s->pinned_folios <= folios &&
	       s->touched_folios <= folios && s->provider_reason <= P2P_VFIO_PROVIDER_ASKED;
}

/* STATE, against the model; in a race only against what was seen before. */
void fz_look(struct fz *f, struct fz_dev *d)
{
	struct p2p_vfio_state s;
	int err = dev_state(&d->d, &s);

	f->stats.looks++;
	if (err)
		return fz_fail(f, "STATE: %s", strerrorname_np(-err));
	if (!well_formed(d, &s))
		return fz_fail(f, "STATE is not well formed: state %u, %u windows, %llu pinned, %llu touched",
			       s.state, s.windows, s.pinned_folios, s.touched_folios);
	if (f->racy)
		return;
	if (!grew(&d->last, &s))
		return fz_fail(f, "a counter of STATE went back");
	if (s.state != P2P_VFIO_STATE_LIVE)
		return fz_fail(f, "STATE is %u with nobody at work", s.state);
	if (s.windows != d->nr_windows)
		return fz_fail(f, "there are %u windows, not %u", s.windows, d->nr_windows);
	if (s.generation < d->gen_low || s.generation > d->gen_high)
		return fz_fail(f, "the generation is %llu, not %llu to %llu", s.generation,
			       (unsigned long long)d->gen_low, (unsigned long long)d->gen_high);
	d->gen_low = d->gen_high = s.generation;
	d->last = s;
}

/* Windows */

static bool same(const struct fz_window *k, const struct p2p_vfio_window *w)
{
	uint64_t cookie = w->flags & P2P_VFIO_WINDOW_WC ? k->cookie_wc : k->cookie;

	return k->bar == w->bar && k->offset == w->offset && k->length == w->length &&
	       k->provider == w->provider &&
	       (!cookie || cookie == w->mmap_offset);
}

/* No two cookies lead to the same file offset. */
static bool disjoint(struct fz_dev *d, uint64_t cookie, uint64_t length)
{
	for (int i = 0; i < P2P_VFIO_MAX_WINDOWS; i++) {
		struct fz_window *k = &d->windows[i];

		if (atomic_load(&k->known) &&
		    (overlaps(cookie, length, k->cookie, k->length) ||
		     (k->cookie_wc && overlaps(cookie, length, k->cookie_wc, k->length))))
			return false;
	}
	return true;
}

static uint32_t lowest_free(struct fz_dev *d)
{
	uint32_t id = 0;

	while (fz_knows(d, id))
		id++;
	return id;
}

/* Threads that learn of a window at the same time write the same. */
static int adopt(struct fz_dev *d, uint32_t id)
{
	struct fz_window *k = &d->windows[id];
	struct p2p_vfio_window w;
	int err = dev_window_get(&d->d, id, 0, &w);

	if (err)
		return err;
	k->bar = w.bar;
	k->provider = w.provider;
	k->offset = w.offset;
	k->length = w.length;
	k->cookie = w.mmap_offset;
	k->cookie_wc = dev_window_get(&d->d, id, P2P_VFIO_WINDOW_WC, &w) ? 0 : w.mmap_offset;
	if (!atomic_exchange(&k->known, true))
		__atomic_fetch_add(&d->nr_windows, 1, __ATOMIC_SEQ_CST);
	return 0;
}

static void learn(struct fz *f, struct fz_dev *d, const struct p2p_vfio_window *w)
{
	int err;

	if (!f->racy && w->id != lowest_free(d))
		return fz_fail(f, "a new window has the number %u, not %u", w->id, lowest_free(d));
	if (!f->racy && !disjoint(d, w->mmap_offset, w->length))
		return fz_fail(f, "cookie %#llx lies in another window's", w->mmap_offset);
	err = adopt(d, w->id);
	if (err && !atomic_load(&d->windows[w->id].shaky))
		fz_fail(f, "GET of the new window: %s", strerrorname_np(-err));
}

void fz_know_window(struct fz *f, struct fz_dev *d, const struct p2p_vfio_window *w)
{
	if (w->id >= P2P_VFIO_MAX_WINDOWS || w->bar > 5 || w->provider < P2P_VFIO_PROVIDER_STANDARD ||
	    w->provider > P2P_VFIO_PROVIDER_OWN || (w->flags & ~P2P_VFIO_WINDOW_WC) || !w->length ||
	    (w->offset | w->length | w->mmap_offset) % DEV_MIB2)
		return fz_fail(f, "a window that is not well formed: number %u, BAR %u, flags %#x, provider %u",
			       w->id, w->bar, w->flags, w->provider);
	if (!atomic_load(&d->windows[w->id].known))
		learn(f, d, w);
	if (!*f->why && !atomic_load(&d->windows[w->id].shaky) && !same(&d->windows[w->id], w))
		fz_fail(f, "window %u was BAR %u %#llx+%#llx, and is BAR %u %#llx+%#llx cookie %#llx",
			w->id, d->windows[w->id].bar, (long long)d->windows[w->id].offset,
			(long long)d->windows[w->id].length, w->bar, w->offset, w->length,
			w->mmap_offset);
}

void fz_forget_window(struct fz_dev *d, uint32_t id)
{
	if (atomic_exchange(&d->windows[id].known, false))
		__atomic_fetch_sub(&d->nr_windows, 1, __ATOMIC_SEQ_CST);
}

struct fz_window *fz_some_window(struct fz_dev *d, uint64_t from)
{
	for (unsigned int i = 0; i < P2P_VFIO_MAX_WINDOWS; i++) {
		struct fz_window *k = &d->windows[(from + i) % P2P_VFIO_MAX_WINDOWS];

		if (atomic_load(&k->known))
			return k;
	}
	return NULL;
}

void fz_look_windows(struct fz *f, struct fz_dev *d)
{
	for (unsigned int i = 0; i < P2P_VFIO_MAX_WINDOWS; i++) {
		struct p2p_vfio_window w;
		int err = dev_window_get(&d->d, i, 0, &w);

		f->stats.looks++;
		if (err != (fz_knows(d, i) ? 0 : -ENOENT))
			return fz_fail(f, "window %u of %u: %s", i, d->nr_windows,
				       err ? strerrorname_np(-err) : "is there");
		if (!err)
			fz_know_window(f, d, &w);
	}
}

int fz_window_at(struct fz_dev *d, uint64_t position, uint64_t *left, uint64_t *inside)
{
	*left = *inside = 0;
	for (int i = 0; i < P2P_VFIO_MAX_WINDOWS; i++) {
		struct fz_window *k = &d->windows[i];
		uint64_t at = position - k->cookie;

		if (!atomic_load(&k->known))
			continue;
		if (at >= k->length && k->cookie_wc)
			at = position - k->cookie_wc;
		if (at >= k->length)
			continue;
		*left = k->length - at;
		*inside = at;
		return i;
	}
	return -1;
}

void fz_believe(struct fz *f, struct fz_dev *d)
{
	for (uint32_t i = 0; i < P2P_VFIO_MAX_WINDOWS; i++) {
		atomic_store(&d->windows[i].shaky, false);
		if (adopt(d, i))
			fz_forget_window(d, i);
	}
	dev_state(&d->d, &d->last);
	d->gen_low = d->gen_high = d->last.generation;
	fz_look_power(f, d);
}
