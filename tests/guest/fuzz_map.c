// SPDX-License-Identifier: MIT
/*
 * Mappings of windows, touches and direct I/O: see fuzz.h.
 *
 * The arena is a few slots of 8 MiB; what is not mapped there is a reservation
 * without access.  The model knows each page of it: of which window it is, which
 * page of that, what may be done with it.  So each touch has one right outcome,
 * and what it stores must be found at the right byte of the BAR, seen through the
 * ordinary view, with its neighbours as they were.
 *
 *	a[0]	slot, or slot and more; a[1] first page, a[2] pages; a[3..] see each
 */
#define _GNU_SOURCE
#include "fuzz.h"
#include "harness.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#define MADV_GUARD_INSTALL_ 102
#define MADV_GUARD_REMOVE_ 103

/* Touching */

static __thread sigjmp_buf back;
static __thread volatile sig_atomic_t armed;

static void on_signal(int number)
{
	if (armed)
		siglongjmp(back, number);
	signal(number, SIG_DFL);
	raise(number);
}

void fz_catch(void)
{
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = SA_NODEFER };

	sigaction(SIGBUS, &sa, NULL);
	sigaction(SIGSEGV, &sa, NULL);
}

int fz_try(void (*fn)(void *), void *arg)
{
	/* SA_NODEFER: nothing is masked that would have to be restored. */
	int number = sigsetjmp(back, 0);

	if (!number) {
		armed = 1;
		fn(arg);
	}
	armed = 0;
	return number;
}

/* Arena */

static void reserve(char *at, size_t length)
{
	if (mmap(at, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED,
		 -1, 0) == MAP_FAILED)
		h_bail("a reservation: %s", strerrorname_np(errno));
}

static void forget(struct fz *f, unsigned int slot, unsigned long page, unsigned long n)
{
	reserve(fz_at(f, slot, page), n * FZ_PAGE);
	memset(&f->place[slot][page], 0, n * sizeof(struct fz_place));
}

void fz_arena_clear(struct fz *f)
{
	for (unsigned int slot = 0; slot < FZ_SLOTS; slot++)
		forget(f, slot, 0, FZ_SLOT_PAGES);
}

int fz_arena(struct fz *f)
{
	size_t length = FZ_SLOTS * FZ_SLOT + DEV_MIB2;
	int memory = memfd_create("requests", MFD_CLOEXEC);
	char *hole = mmap(NULL, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (hole == MAP_FAILED || memory < 0 || ftruncate(memory, FZ_PAGE))
		return -errno;
	f->arena = (char *)(((uintptr_t)hole + DEV_MIB2 - 1) & ~(DEV_MIB2 - 1));
	fz_arena_clear(f);
	f->page = mmap(NULL, 4 * FZ_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	f->page_ro = f->page + 2 * FZ_PAGE;
	mmap(f->page, FZ_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, memory, 0);
	mmap(f->page_ro, FZ_PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, memory, 0);
	close(memory);
	memset(f->page, 0x5a, FZ_PAGE);
	return 0;
}

static bool readable(const struct fz_place *p)
{
	return p->kind != FZ_UNKNOWN && p->guard == 0 && (p->prot & PROT_READ);
}

static bool writable(const struct fz_place *p)
{
	return readable(p) && (p->prot & PROT_WRITE);
}

char *fz_window_page(struct fz *f, uint64_t from, struct fz_place **place)
{
	unsigned int slot = from % FZ_SLOTS;
	unsigned long page = from / FZ_SLOTS % FZ_SLOT_PAGES;

	for (unsigned int i = 0; i < 64; i++, page = (page + 37) % FZ_SLOT_PAGES) {
		struct fz_place *p = &f->place[slot][page];

		if (p->kind != FZ_WINDOW || !writable(p) || f->s->dev[p->dev].usable != 1)
			continue;
		*place = p;
		return fz_at(f, slot, page);
	}
	return NULL;
}

char *fz_raw(struct fz *f, const struct fz_place *p)
{
	struct fz_dev *d = &f->s->dev[p->dev];

	if (f->racy || p->kind != FZ_WINDOW || d->usable != 1)
		return NULL;
	return d->raw + d->windows[p->id].offset + p->pgoff * FZ_PAGE;
}

/* A part of a slot, whatever the numbers are. */
struct part {
	unsigned int slot;
	unsigned long page, n;
	char *at;
	size_t length;
	struct fz_place *place;
};

static struct part part_of(struct fz *f, const struct fz_call *c)
{
	struct part p = { .slot = (c->a[0] & 0xff) % FZ_SLOTS, .page = c->a[1] % FZ_SLOT_PAGES };

	p.n = 1 + c->a[2] % (FZ_SLOT_PAGES - p.page);
	p.at = fz_at(f, p.slot, p.page);
	p.length = p.n * FZ_PAGE;
	p.place = &f->place[p.slot][p.page];
	return p;
}

static bool any(const struct part *p, enum fz_kind kind)
{
	for (unsigned long i = 0; i < p->n; i++)
		if (p->place[i].kind == kind)
			return true;
	return false;
}

/*
 * mmap.  a[0] slot, device (8..15), prot (16..23), flags (24..); a[1] page,
 * a[2] bytes, a[3] file offset.
 */

static const int map_flags[] = {
	MAP_SHARED, MAP_SHARED, MAP_SHARED, MAP_SHARED, MAP_SHARED_VALIDATE, MAP_PRIVATE,
	MAP_SHARED | MAP_POPULATE, MAP_SHARED | MAP_LOCKED, MAP_SHARED_VALIDATE | 0x80000 /* MAP_SYNC */,
	MAP_SHARED | MAP_NONBLOCK | MAP_POPULATE, MAP_SHARED | MAP_NORESERVE, 0,
};

static void judge_map(struct fz *f, struct fz_dev *d, uint64_t position, uint64_t length,
		      int prot, int flags, struct fz_expect *e)
{
	uint64_t left, inside, pages = (length + FZ_PAGE - 1) & ~(FZ_PAGE - 1);
	int id = fz_window_at(d, position, &left, &inside);

	FZ_MAY(e, ENOMEM);
	if (!length || position % FZ_PAGE)
		fz_must(e, EINVAL);
	if (pages < length || length > 1ull << 46)
		fz_must(e, EOVERFLOW);
	if (position / FZ_PAGE + pages / FZ_PAGE > UINT64_MAX / FZ_PAGE)
		fz_may(e, EOVERFLOW);
	/* VFIO's inode is on a file system that executes nothing. */
	if (prot & PROT_EXEC)
		fz_may(e, EPERM);
	if ((flags & MAP_TYPE) != MAP_SHARED && (flags & MAP_TYPE) != MAP_SHARED_VALIDATE)
		fz_must(e, EINVAL);
	/* The rest of the offsets are core's: regions, and where nothing is. */
	if (id < 0) {
		/* In a race it may be a window by the time it is asked for. */
		if (position >> 40 >= 16 && !f->racy)
			e->fails = true;
		return FZ_MAY(e, EINVAL, EBUSY, EOVERFLOW, EOPNOTSUPP, EACCES, EAGAIN);
	}
	if ((flags & MAP_TYPE) == MAP_SHARED_VALIDATE && (flags & 0x80000))
		fz_must(e, EOPNOTSUPP);
	if (f->racy && atomic_load(&d->windows[id].shaky))
		fz_may(e, EINVAL);
	else if (pages > left)
		fz_must(e, EINVAL);
}

static void took_map(struct fz *f, unsigned int slot, unsigned long page, struct fz_dev *d,
		     uint64_t position, uint64_t length, int prot)
{
	uint64_t left, inside;
	int id = fz_window_at(d, position, &left, &inside);

	for (unsigned long i = 0; i < (length + FZ_PAGE - 1) / FZ_PAGE; i++)
		f->place[slot][page + i] = (struct fz_place){
			.kind = id < 0 ? FZ_UNKNOWN : FZ_WINDOW, .dev = d - f->s->dev,
			.id = id, .prot = prot, .pgoff = inside / FZ_PAGE + i,
		};
}

long fz_run_mmap(struct fz *f, const struct fz_call *c)
{
	unsigned int slot = (c->a[0] & 0xff) % FZ_SLOTS;
	struct fz_dev *d = fz_dev(f, c->a[0] >> 8 & 0xff);
	int prot = c->a[0] >> 16 & 7, flags;
	unsigned long page = c->a[1] % FZ_SLOT_PAGES;
	bool fits = c->a[2] && c->a[2] <= (FZ_SLOT_PAGES - page) * FZ_PAGE;
	struct fz_expect e = { 0 };
	char *at;

	flags = map_flags[(c->a[0] >> 24) % (sizeof(map_flags) / sizeof(*map_flags))];
	judge_map(f, d, c->a[3], c->a[2], prot, flags, &e);
	at = mmap(fits ? fz_at(f, slot, page) : NULL, c->a[2], prot, flags | (fits ? MAP_FIXED : 0),
		  d->d.fd, c->a[3]);
	if (at == MAP_FAILED) {
		long err = -errno;

		/* What was there may be gone. */
		if (fits)
			forget(f, slot, page, (c->a[2] + FZ_PAGE - 1) / FZ_PAGE);
		fz_judge(f, &e, err);
		return err;
	}
	fz_judge(f, &e, 0);
	if (fits)
		took_map(f, slot, page, d, c->a[3], c->a[2], prot);
	else
		munmap(at, c->a[2]);
	return 0;
}

/* Other calls on mappings; none of them may do more than its part */

long fz_run_munmap(struct fz *f, const struct fz_call *c)
{
	struct part p = part_of(f, c);
	long ret = munmap(p.at, p.length) ? -errno : 0;
	struct fz_expect e = { 0 };

	forget(f, p.slot, p.page, p.n);
	fz_judge(f, &e, ret);
	return ret;
}

/* a[3] where to: page and slot above it; a[4] the new length: shrunk, grown. */
long fz_run_mremap(struct fz *f, const struct fz_call *c)
{
	struct part p = part_of(f, c);
	unsigned int slot = (c->a[3] >> 16) % FZ_SLOTS;
	unsigned long page = c->a[3] % FZ_SLOT_PAGES, n = p.n;
	struct fz_place moved[FZ_SLOT_PAGES];
	struct fz_expect e = { 0 };
	long ret = 0;

	FZ_MAY(&e, EFAULT, EINVAL, ENOMEM, EAGAIN);
	if (c->a[4] % 4 == 1)
		n = 1 + n / 2;
	else if (c->a[4] % 4 == 2)
		n += 1 + c->a[4] / 4 % 64;
	if (slot == p.slot || page + n > FZ_SLOT_PAGES)
		return -EAGAIN;
	/* Beyond what was asked of the driver nothing may ever become mapped. */
	if (n > p.n && any(&p, FZ_WINDOW))
		e.fails = true;
	memcpy(moved, p.place, p.n * sizeof(*moved));
	if (mremap(p.at, p.length, n * FZ_PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
		   fz_at(f, slot, page)) == MAP_FAILED)
		ret = -errno;
	fz_judge(f, &e, ret);
	if (ret) {
		/* Some of it may have been moved, and what was there unmapped. */
		forget(f, slot, page, n);
		forget(f, p.slot, p.page, p.n);
		return ret;
	}
	for (unsigned long i = 0; i < n; i++)
		f->place[slot][page + i] = i < p.n ? moved[i] :
			(struct fz_place){ .kind = FZ_UNKNOWN };
	forget(f, p.slot, p.page, p.n);
	return 0;
}

long fz_run_mprotect(struct fz *f, const struct fz_call *c)
{
	struct part p = part_of(f, c);
	int prot = c->a[3] & 7;
	long ret = mprotect(p.at, p.length, prot) ? -errno : 0;
	struct fz_expect e = { 0 };

	FZ_MAY(&e, ENOMEM);
	if (prot & PROT_EXEC)
		FZ_MAY(&e, EACCES);
	for (unsigned long i = 0; i < p.n; i++) {
		if (p.place[i].kind == FZ_UNKNOWN)	/* core's: may refuse writing */
			FZ_MAY(&e, EACCES);
		if (ret)	/* some of it may have been done */
			p.place[i].kind = FZ_UNKNOWN;
		p.place[i].prot = prot;
	}
	fz_judge(f, &e, ret);
	return ret;
}

/*
 * Not MADV_HWPOISON and MADV_SOFT_OFFLINE: they take the page from everybody for
 * ever, as they should.
 */
static const int advice[] = {
	MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED, MADV_DONTNEED, MADV_DONTNEED,
	MADV_FREE, MADV_REMOVE, MADV_DONTFORK, MADV_DOFORK, MADV_MERGEABLE, MADV_UNMERGEABLE,
	MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_DONTDUMP, MADV_DODUMP, MADV_WIPEONFORK,
	MADV_KEEPONFORK, MADV_COLD, MADV_PAGEOUT, MADV_POPULATE_READ, MADV_POPULATE_WRITE,
	MADV_COLLAPSE, MADV_GUARD_INSTALL_, MADV_GUARD_REMOVE_, 99, -1,
};

static void guard(struct part *p, int what, long ret)
{
	for (unsigned long i = 0; i < p->n; i++)
		if (what == MADV_GUARD_INSTALL_)
			p->place[i].guard = ret ? 2 : 1;
		else if (p->place[i].guard)
			p->place[i].guard = ret ? 2 : 0;
}

long fz_run_madvise(struct fz *f, const struct fz_call *c)
{
	struct part p = part_of(f, c);
	int what = advice[c->a[3] % (sizeof(advice) / sizeof(*advice))];
	struct fz_expect e = { 0 };
	long ret;

	FZ_MAY(&e, EINVAL, EBADF, EACCES, EPERM, EREMOTEIO, EFAULT, ENOMEM, EOPNOTSUPP, ENODEV,
	       EAGAIN, EBUSY, EIO, EINTR, ESPIPE);
	if ((what == MADV_POPULATE_READ || what == MADV_POPULATE_WRITE) && any(&p, FZ_WINDOW))
		e.fails = true;
	ret = madvise(p.at, p.length, what) ? -errno : 0;
	fz_judge(f, &e, ret);
	if (what == MADV_GUARD_INSTALL_ || what == MADV_GUARD_REMOVE_)
		guard(&p, what, ret);
	return ret;
}

/* a[3]: lock, unlock, lock what is touched. */
long fz_run_mlock(struct fz *f, const struct fz_call *c)
{
	struct part p = part_of(f, c);
	struct fz_expect e = { 0 };
	long ret;

	FZ_MAY(&e, ENOMEM, EAGAIN, EPERM, EINVAL, EFAULT, EREMOTEIO);
	if (c->a[3] % 3 == 0)
		ret = mlock(p.at, p.length);
	else if (c->a[3] % 3 == 1)
		ret = munlock(p.at, p.length);
	else
		ret = mlock2(p.at, p.length, MLOCK_ONFAULT);
	ret = ret ? -errno : 0;
	fz_judge(f, &e, ret);
	return ret;
}

/* Touch: a[2] the word in the page, a[3] odd: it is written, and what. */

struct touch {
	volatile uint64_t *at;
	bool write;
	uint64_t value;
};

static void touch(void *arg)
{
	struct touch *t = arg;

	if (t->write)
		*t->at = t->value;
	else
		t->value = *t->at;
}

static int touch_outcome(struct fz *f, const struct fz_place *p, bool write)
{
	int usable = f->racy ? 2 : f->s->dev[p->dev].usable;

	if (p->kind == FZ_UNKNOWN || p->guard == 2)
		return -1;
	if (p->guard || !(p->prot & (write ? PROT_WRITE : PROT_READ | PROT_WRITE | PROT_EXEC)))
		return SIGSEGV;
	if (p->kind == FZ_ANON || usable == 1)
		return 0;
	return usable ? -1 : SIGBUS;
}

struct around {
	volatile uint64_t *raw;
	uint64_t word[3];
};

static void read_around(void *arg)
{
	struct around *a = arg;

	for (int i = 0; i < 3; i++)
		a->word[i] = a->raw[i];
}

static void check_stored(struct fz *f, const struct touch *t, const struct around *before)
{
	struct around after = { .raw = before->raw };

	if (fz_try(read_around, &after))
		return fz_fail(f, "the ordinary view cannot be read");
	if (after.word[1] != t->value)
		fz_fail(f, "%#llx was %s, and in the BAR is %#llx", (long long)t->value,
			t->write ? "stored" : "loaded", (long long)after.word[1]);
	if (after.word[0] != before->word[0] || after.word[2] != before->word[2])
		fz_fail(f, "a word beside the touched one has changed");
}

long fz_run_touch(struct fz *f, const struct fz_call *c)
{
	unsigned int slot = (c->a[0] & 0xff) % FZ_SLOTS;
	unsigned long page = c->a[1] % FZ_SLOT_PAGES, word = 1 + c->a[2] % 510;
	struct fz_place *p = &f->place[slot][page];
	struct touch t = { .write = c->a[3] & 1, .value = c->a[3] };
	char *raw = fz_raw(f, p);
	struct around before = { .raw = (void *)raw };
	int wanted = touch_outcome(f, p, t.write), number;

	t.at = (uint64_t *)fz_at(f, slot, page) + word;
	if (raw) {
		before.raw = (uint64_t *)raw + word - 1;
		if (fz_try(read_around, &before))
			fz_fail(f, "the ordinary view cannot be read");
	}
	number = fz_try(touch, &t);
	if (wanted >= 0 && number != wanted)
		fz_fail(f, "a touch of a page (window %d, prot %d, guard %d) ends with signal %d, not %d",
			p->kind == FZ_WINDOW ? p->id : -1, p->prot, p->guard, number, wanted);
	if (!number && raw && !*f->why)
		check_stored(f, &t, &before);
	return number ? -EFAULT : 0;
}

int fz_mapped(struct fz *f, const struct fz_dev *d, uint32_t id)
{
	const struct fz_place *p = &f->place[0][0];
	int mapped = 0;

	for (unsigned long i = 0; i < FZ_SLOTS * FZ_SLOT_PAGES; i++) {
		if (p[i].kind == FZ_WINDOW && &f->s->dev[p[i].dev] == d && p[i].id == id)
			return 1;
		if (p[i].kind == FZ_UNKNOWN)
			mapped = 2;
	}
	return mapped;
}

/*
 * POPULATE.  a[0] slot, device (bits 8..15), a[1] page, a[2] pages; a[3] and a[4] are
 * added to address and length.
 */

/* What one page of the range adds; false: the driver gets no further. */
static bool judge_populate_page(struct fz *f, const struct fz_dev *d, const struct fz_place *p,
				struct fz_expect *e)
{
	if (!p || p->kind == FZ_ANON || (p->kind == FZ_WINDOW && &f->s->dev[p->dev] != d)) {
		fz_must(e, ENOMEM);
		return false;
	}
	if (p->kind == FZ_UNKNOWN)
		FZ_MAY(e, ENOMEM, EACCES);
	/* A touch would be SIGSEGV.  (A guarded page may be passed over with its 2 MiB.) */
	if (p->guard || !p->prot)
		fz_may(e, EACCES);
	e->fails |= p->kind == FZ_WINDOW && !p->prot;
	if (f->racy)
		FZ_MAY(e, EAGAIN, EIO);
	else if (d->usable != 1)
		fz_may(e, EIO);
	e->fails |= !f->racy && p->kind == FZ_WINDOW && !d->usable;
	return true;
}

void fz_judge_populate(struct fz *f, const struct fz_dev *d, uint64_t address, uint64_t length,
		       struct fz_expect *e)
{
	const uint64_t arena = (uintptr_t)f->arena;

	if (!length || (address | length) % FZ_PAGE || length > UINT64_MAX - address)
		return fz_must(e, EINVAL);
	for (uint64_t at = address; at < address + length; at += FZ_PAGE) {
		const uint64_t page = (at - arena) / FZ_PAGE;
		const bool inside = at >= arena && page < FZ_SLOTS * FZ_SLOT_PAGES;

		/* Another thread's arena may be there. */
		if (f->racy && !inside)
			return FZ_MAY(e, ENOMEM, EACCES, EAGAIN, EIO);
		if (!judge_populate_page(f, d, inside ? &f->place[0][0] + page : NULL, e))
			return;
	}
}

long fz_run_populate(struct fz *f, const struct fz_call *c)
{
	struct part p = part_of(f, c);
	struct fz_dev *d = fz_dev(f, c->a[0] >> 8 & 0xff);
	struct p2p_vfio_populate arg = { (uintptr_t)p.at + c->a[3], p.length + c->a[4] }, asked = arg;
	struct fz_expect e = { 0 };
	long ret;

	fz_judge_populate(f, d, arg.address, arg.length, &e);
	ret = dev_feature(&d->d, VFIO_DEVICE_FEATURE_SET | P2P_VFIO_FEATURE_POPULATE, &arg, sizeof(arg));
	fz_judge(f, &e, ret);
	if (arg.address != asked.address || arg.length != asked.length)
		fz_fail(f, "POPULATE of %#llx bytes answers %#llx", asked.length, arg.length);
	return ret;
}

/*
 * Direct I/O.  a[3]: file offset (bits 0..31), a write (bit 32), how it is cut
 * (bits 33..40), skew of the address (bits 41..52).
 */

/* Pages from the start that the kernel can certainly transfer, and whether all can. */
static unsigned long good_pages(struct fz *f, const struct part *p, bool into, bool *unsure)
{
	for (unsigned long i = 0; i < p->n; i++) {
		const struct fz_place *at = &p->place[i];
		int outcome = touch_outcome(f, at, into);

		/* Readable to the CPU alone: to the kernel, if it has been touched. */
		if (!outcome && !into && !(at->prot & PROT_READ))
			outcome = -1;
		if (outcome < 0)
			*unsure = true;
		if (outcome)
			return i;
	}
	return p->n;
}

/* Does a later page of the transfer lie on the same page of the BAR? */
static bool overwritten(const struct part *p, unsigned long page)
{
	const struct fz_place *a = &p->place[page];

	for (unsigned long i = page + 1; i < p->n; i++)
		if (p->place[i].kind == FZ_WINDOW && p->place[i].dev == a->dev &&
		    p->place[i].id == a->id && p->place[i].pgoff == a->pgoff)
			return true;
	return false;
}

/* After a write that was not whole: what has arrived, the disk knows. */
static void read_again(struct fz *f, const struct part *p, uint64_t offset)
{
	if (pread(f->s->disk, f->s->disk_copy + offset, p->length, offset) != (ssize_t)p->length)
		fz_fail(f, "the disk cannot be read");
}

static void compare_pages(struct fz *f, const struct part *p, uint64_t offset, long n, bool write)
{
	for (long at = 0; at + (long)FZ_PAGE <= n; at += FZ_PAGE) {
		char *raw = fz_raw(f, &p->place[at / FZ_PAGE]), *disk = f->s->disk_copy + offset + at;
		struct around a = { .raw = (void *)(raw + at % 4000 / 8 * 8) };

		if (!raw || (!write && overwritten(p, at / FZ_PAGE)))
			continue;
		if (write) {
			/* What went to the disk is looked at when it is read again. */
			memcpy(disk, raw, FZ_PAGE);
			continue;
		}
		if (fz_try(read_around, &a))
			return fz_fail(f, "the ordinary view cannot be read");
		if (memcmp(a.word, disk + at % 4000 / 8 * 8, sizeof(a.word)))
			return fz_fail(f, "page %ld of the transfer is not in the BAR as it is on the disk",
				       at / (long)FZ_PAGE);
	}
}

static long transfer(struct fz *f, const struct part *p, uint64_t offset, bool write,
		     unsigned int cut, size_t skew)
{
	size_t first = p->length * (cut % 16) / 16 & ~511ul;
	struct iovec iov[2] = { { p->at + skew, first }, { p->at + skew + first, p->length - first } };
	int n = first ? 2 : 1, disk = f->s->disk;
	ssize_t ret;

	if (!first)
		iov[0] = iov[1];
	ret = write ? pwritev(disk, iov, n, offset) : preadv(disk, iov, n, offset);
	return ret < 0 ? -errno : ret;
}

long fz_run_dio(struct fz *f, const struct fz_call *c)
{
	struct part p = part_of(f, c);
	bool write = c->a[3] >> 32 & 1, unsure = f->racy;
	size_t skew = c->a[3] >> 41 & 0xfff, good;
	uint64_t offset = c->a[3] % (FZ_DISK / 2) & ~511ul;
	struct fz_expect e = { 0 };
	long ret;

	p.n = p.n > 32 ? 32 : p.n;
	p.length = p.n * FZ_PAGE;
	offset = write ? offset / 1024 * 512 + FZ_DISK / 2 : offset;
	if (offset + p.length > FZ_DISK || p.page + p.n + 1 > FZ_SLOT_PAGES)
		return -EAGAIN;
	/* A write is modelled only where all of it comes from where it can be seen. */
	if (write && (any(&p, FZ_UNKNOWN) || any(&p, FZ_ANON) || skew))
		return -EAGAIN;
	good = good_pages(f, &p, !write, &unsure) * FZ_PAGE;
	if (skew)
		unsure = true;
	if (unsure || good < p.length)
		FZ_MAY(&e, EFAULT, EINVAL);
	if (!unsure && !good)
		e.fails = true;
	ret = transfer(f, &p, offset, write, c->a[3] >> 33, skew);
	fz_judge(f, &e, ret);
	if (!unsure && ret > (long)good)
		fz_fail(f, "%ld bytes transferred, %zu could be", ret, good);
	if (!unsure && good == p.length && ret != (long)good)
		fz_fail(f, "%ld bytes transferred of %zu", ret, p.length);
	if (write && !f->racy && ret != (long)p.length)
		read_again(f, &p, offset);
	else if (!f->racy && !skew && ret > 0)
		compare_pages(f, &p, offset, ret, write);
	return ret;
}
