// SPDX-License-Identifier: MIT
/*
 * The edges of the uAPI: every field out of its range, every length of every
 * structure, pointers that lead nowhere, bits that mean nothing.  Each refusal
 * has the errno that the header documents, and changes nothing: STATE is
 * compared before and after each case.
 *
 * Structures are laid at the end of a page with nothing behind it, so that a
 * driver that reads or writes beyond a structure is found out.
 */
#define _GNU_SOURCE
#include "dev.h"
#include "harness.h"
#include "revoke_util.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define WINDOW (4 * DEV_MIB2)
#define GET VFIO_DEVICE_FEATURE_GET
#define SET VFIO_DEVICE_FEATURE_SET
#define PROBE VFIO_DEVICE_FEATURE_PROBE
#define HEADER sizeof(struct vfio_device_feature)

static struct ru_target t;
static struct p2p_vfio_state before;
static char *page;	/* followed by nothing */

static void set_up(void)
{
	H_EQ(ru_target_open(&t, "target", WINDOW), 0);
	H_EQ(dev_state(&t.d, &before), 0);
	page = mmap(NULL, 2 * RU_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	H_CHECK(page != MAP_FAILED);
	H_EQ(mprotect(page + RU_PAGE, RU_PAGE, PROT_NONE), 0);
}

static void clean_up(void)
{
	struct p2p_vfio_state now;

	H_EQ(dev_state(&t.d, &now), 0);
	H_CHECK(ru_same_state(&before, &now));
	H_EQ(now.state, P2P_VFIO_STATE_LIVE);
	dev_close(&t.d);
	dev_check_rest("target");
}

static long feature(void *req)
{
	return ioctl(t.d.fd, VFIO_DEVICE_FEATURE, req) ? -errno : 0;
}

/* A request of this size that ends where the page ends. */
static struct vfio_device_feature *request(uint32_t flags, uint32_t argsz, const void *data, size_t size)
{
	struct vfio_device_feature *req = (void *)(page + RU_PAGE - HEADER - size);

	req->argsz = argsz;
	req->flags = flags;
	memcpy(req->data, data, size);
	return req;
}

/* A good call of each kind.  EVENTS is added to a new eventfd each time. */
struct kind {
	const char *name;
	uint32_t flags;
	size_t size;
	void (*fill)(void *data);
};

static void fill_window(void *data)
{
	*(struct p2p_vfio_window *)data = (struct p2p_vfio_window){
		.bar = t.bar, .length = WINDOW,
	};
}

static void fill_nothing(void *data)
{
	(void)data;
}

static void fill_events(void *data)
{
	*(struct p2p_vfio_events *)data = (struct p2p_vfio_events){
		.fd = eventfd(0, EFD_CLOEXEC), .flags = P2P_VFIO_EVENTS_ADD,
	};
}

static void fill_peer(void *data)
{
	unsigned int bus, slot;

	sscanf(h_pci("nvme"), "0000:%x:%x", &bus, &slot);
	*(struct p2p_vfio_peer *)data = (struct p2p_vfio_peer){ .bus = bus, .devfn = slot << 3 };
}

static void fill_populate(void *data)
{
	*(struct p2p_vfio_populate *)data = (struct p2p_vfio_populate){
		.address = (uintptr_t)t.win, .length = WINDOW,
	};
}

static const struct kind kinds[] = {
	{ "SET WINDOW", SET | P2P_VFIO_FEATURE_WINDOW, sizeof(struct p2p_vfio_window), fill_window },
	{ "GET WINDOW", GET | P2P_VFIO_FEATURE_WINDOW, sizeof(struct p2p_vfio_window), fill_nothing },
	{ "GET STATE", GET | P2P_VFIO_FEATURE_STATE, sizeof(struct p2p_vfio_state), fill_nothing },
	{ "SET EVENTS", SET | P2P_VFIO_FEATURE_EVENTS, sizeof(struct p2p_vfio_events), fill_events },
	{ "GET PEER", GET | P2P_VFIO_FEATURE_PEER, sizeof(struct p2p_vfio_peer), fill_peer },
	{ "SET POPULATE", SET | P2P_VFIO_FEATURE_POPULATE, sizeof(struct p2p_vfio_populate), fill_populate },
};
#define KINDS (sizeof(kinds) / sizeof(*kinds))

static long call_kind(const struct kind *k, uint32_t argsz)
{
	char data[256] = { 0 };
	long ret;

	k->fill(data);
	ret = feature(request(k->flags, argsz, data, k->size));
	h_diag("%s with argsz %u: %ld", k->name, argsz, ret);
	return ret;
}

static void every_length(void)
{
	static const uint32_t more[] = { 0, 1, 8, 4096 };

	set_up();
	for (size_t i = 0; i < KINDS; i++) {
		char data[256] = { 0 };
		size_t whole = HEADER + kinds[i].size;

		kinds[i].fill(data);
		for (size_t argsz = 0; argsz < whole; argsz++)
			H_EQ(feature(request(kinds[i].flags, argsz, data, kinds[i].size)), -EINVAL);
		for (size_t j = 0; j < sizeof(more) / sizeof(*more); j++)
			H_EQ(call_kind(&kinds[i], whole + more[j]), 0);
		H_EQ(call_kind(&kinds[i], UINT32_MAX), 0);
	}
	clean_up();
}

static void probe(void)
{
	static const struct { uint32_t feature, ops; } offered[] = {
		{ P2P_VFIO_FEATURE_WINDOW, GET | SET }, { P2P_VFIO_FEATURE_STATE, GET },
		{ P2P_VFIO_FEATURE_EVENTS, SET }, { P2P_VFIO_FEATURE_PEER, GET },
		{ P2P_VFIO_FEATURE_POPULATE, SET }, { P2P_VFIO_FEATURE_EXPORT, SET },
	};
	static const uint32_t ops[] = { 0, GET, SET, GET | SET };

	set_up();
	for (size_t i = 0; i < sizeof(offered) / sizeof(*offered); i++) {
		for (size_t j = 0; j < sizeof(ops) / sizeof(*ops); j++) {
			long want = ops[j] & ~offered[i].ops ? -EINVAL : 0;
			uint32_t flags = PROBE | ops[j] | offered[i].feature;

			h_diag("feature %#x, operations %#x", offered[i].feature, ops[j]);
			/* Nothing but the header is needed for asking. */
			H_EQ(feature(request(flags, HEADER, NULL, 0)), want);
			if (ops[j] & ~offered[i].ops)
				H_EQ(feature(request(flags & ~PROBE, HEADER, NULL, 0)), -EINVAL);
		}
	}
	clean_up();
}

static void undefined_bits(void)
{
	set_up();
	for (size_t i = 0; i < KINDS; i++) {
		char data[256] = { 0 };
		uint32_t argsz = HEADER + kinds[i].size, number = kinds[i].flags & VFIO_DEVICE_FEATURE_MASK;

		kinds[i].fill(data);
		for (int bit = 19; bit < 32; bit++)
			H_EQ(feature(request(kinds[i].flags | 1u << bit, argsz, data, kinds[i].size)), -EINVAL);
		H_EQ(feature(request(GET | SET | number, argsz, data, kinds[i].size)), -EINVAL);
		H_EQ(feature(request(number, argsz, data, kinds[i].size)), -EINVAL);
	}
	for (uint32_t number = P2P_VFIO_FEATURE_EXPORT + 1; number < P2P_VFIO_FEATURE_WINDOW + 16; number++) {
		H_EQ(feature(request(PROBE | GET | number, HEADER, NULL, 0)), -ENOTTY);
		H_EQ(feature(request(GET | number, HEADER, NULL, 0)), -ENOTTY);
	}
	H_EQ(feature(request(PROBE | GET | (P2P_VFIO_FEATURE_WINDOW - 1), HEADER, NULL, 0)), -ENOTTY);
	clean_up();
}

/* Pointers */

static void nowhere(void)
{
	set_up();
	H_EQ(feature(NULL), -EFAULT);
	H_EQ(feature((void *)1), -EFAULT);
	H_EQ(feature(page + RU_PAGE), -EFAULT);
	H_EQ(feature((void *)0xffff888000000000), -EFAULT);
	H_EQ(feature((void *)UINTPTR_MAX), -EFAULT);
	for (size_t i = 0; i < KINDS; i++) {
		/* The header is there, of the structure only a part. */
		for (size_t there = 0; there < kinds[i].size; there += 4) {
			struct vfio_device_feature *req = (void *)(page + RU_PAGE - HEADER - there);

			memset(req, 0, HEADER + there);
			req->argsz = HEADER + kinds[i].size;
			req->flags = kinds[i].flags;
			H_EQ(feature(req), -EFAULT);
		}
	}
	clean_up();
}

/* The answer cannot be written: then nothing must have been done either. */
static void read_only(void)
{
	set_up();
	for (size_t i = 0; i < KINDS; i++) {
		char data[256] = { 0 };
		bool answers = kinds[i].fill != fill_events;
		void *req;

		kinds[i].fill(data);
		if (kinds[i].fill == fill_window)	/* a new one */
			((struct p2p_vfio_window *)data)->offset = WINDOW;
		req = request(kinds[i].flags, HEADER + kinds[i].size, data, kinds[i].size);
		H_EQ(mprotect(page, RU_PAGE, PROT_READ), 0);
		H_EQ(feature(req), answers ? -EFAULT : 0);
		H_EQ(mprotect(page, RU_PAGE, PROT_READ | PROT_WRITE), 0);
	}
	clean_up();
}

/* A request that lies in the window itself is memory like any other. */
static void inside_the_window(void)
{
	struct vfio_device_feature *req;
	struct p2p_vfio_state *state;

	set_up();
	req = (void *)t.win;
	state = (void *)req->data;
	req->argsz = HEADER + sizeof(*state);
	req->flags = GET | P2P_VFIO_FEATURE_STATE;
	H_EQ(feature(req), 0);
	H_EQ(state->windows, before.windows);
	clean_up();
}

/* Fields */

static long set_window(struct p2p_vfio_window w)
{
	return feature(request(SET | P2P_VFIO_FEATURE_WINDOW, HEADER + sizeof(w), &w, sizeof(w)));
}

static long get_window(struct p2p_vfio_window w)
{
	return feature(request(GET | P2P_VFIO_FEATURE_WINDOW, HEADER + sizeof(w), &w, sizeof(w)));
}

static void window_flags(void)
{
	struct p2p_vfio_window w = { 0 };

	set_up();
	fill_window(&w);
	for (int bit = 1; bit < 32; bit++) {
		w.flags = 1u << bit;
		H_EQ(set_window(w), -EINVAL);
		H_EQ(get_window(w), -EINVAL);
	}
	w.flags = 0;
	/* Fields of the answer are no question. */
	w.mmap_offset = w.id = w.provider = 0xffffffff;
	H_EQ(set_window(w), 0);
	w = (struct p2p_vfio_window){ .bar = 99, .offset = 1, .length = 1, .mmap_offset = 1 };
	H_EQ(get_window(w), 0);
	clean_up();
}

static void window_numbers(void)
{
	static const uint32_t bars[] = { 6, 7, 255, 0x10000, 0x80000000, 0xffffffff };
	static const uint32_t ids[] = { 1, 2, 63, 64, 65, 0x7fffffff, 0x80000000, 0xffffffff };

	set_up();
	for (size_t i = 0; i < sizeof(bars) / sizeof(*bars); i++)
		H_EQ(set_window((struct p2p_vfio_window){ .bar = bars[i], .length = DEV_MIB2 }), -EINVAL);
	H_EQ(before.windows, 1);
	for (size_t i = 0; i < sizeof(ids) / sizeof(*ids); i++)
		H_EQ(get_window((struct p2p_vfio_window){ .id = ids[i] }), -ENOENT);
	clean_up();
}

static void window_ranges(void)
{
	const uint64_t mib2 = DEV_MIB2;
	struct { uint64_t offset, length; int err; } tries[] = {
		{ WINDOW, 0, EINVAL }, { WINDOW, 1, EINVAL }, { WINDOW, RU_PAGE, EINVAL },
		{ WINDOW, mib2 - 1, EINVAL }, { WINDOW, mib2 + RU_PAGE, EINVAL },
		{ WINDOW + 1, mib2, EINVAL }, { WINDOW + RU_PAGE, mib2, EINVAL },
		{ WINDOW + mib2 / 2, mib2, EINVAL },
		{ 64 << 20, mib2, ERANGE }, { 62 << 20, 2 * mib2, ERANGE },
		{ WINDOW, 64 << 20, ERANGE }, { 1ull << 40, mib2, ERANGE },
		{ 1ull << 63, mib2, ERANGE }, { WINDOW, 1ull << 63, ERANGE },
		{ -mib2, mib2, ERANGE }, { -mib2, 2 * mib2, ERANGE }, { WINDOW, -mib2, ERANGE },
		{ WINDOW, -(uint64_t)WINDOW, ERANGE }, { 1ull << 63, 1ull << 63, ERANGE },
		{ 0, mib2, EEXIST }, { mib2, mib2, EEXIST }, { WINDOW - mib2, 2 * mib2, EEXIST },
		{ 0, WINDOW + mib2, EEXIST }, { 0, 64 << 20, EEXIST },
	};

	set_up();
	H_EQ(dev_bar_size(&t.d, t.bar), 64 << 20);
	for (size_t i = 0; i < sizeof(tries) / sizeof(*tries); i++) {
		h_diag("window at %#llx of %#llx bytes", (long long)tries[i].offset, (long long)tries[i].length);
		H_EQ(set_window((struct p2p_vfio_window){
			.bar = t.bar, .offset = tries[i].offset, .length = tries[i].length,
		}), -tries[i].err);
	}
	clean_up();
}

static void events_fields(void)
{
	int pipefd[2], efd = eventfd(0, EFD_CLOEXEC);

	set_up();
	H_EQ(pipe(pipefd), 0);
	for (int bit = 2; bit < 32; bit++)
		H_EQ(dev_events(&t.d, efd, 1u << bit | P2P_VFIO_EVENTS_ADD), -EINVAL);
	H_EQ(dev_events(&t.d, efd, 0), -EINVAL);
	H_EQ(dev_events(&t.d, efd, P2P_VFIO_EVENTS_ADD | P2P_VFIO_EVENTS_REMOVE), -EINVAL);
	H_EQ(dev_events(&t.d, -1, P2P_VFIO_EVENTS_ADD), -EBADF);
	H_EQ(dev_events(&t.d, INT32_MAX, P2P_VFIO_EVENTS_ADD), -EBADF);
	H_EQ(dev_events(&t.d, INT32_MIN, P2P_VFIO_EVENTS_REMOVE), -EBADF);
	H_EQ(dev_events(&t.d, pipefd[0], P2P_VFIO_EVENTS_ADD), -EINVAL);
	H_EQ(dev_events(&t.d, t.d.fd, P2P_VFIO_EVENTS_ADD), -EINVAL);
	H_EQ(dev_events(&t.d, efd, P2P_VFIO_EVENTS_REMOVE), -ENOENT);
	clean_up();
}

static void events_table(void)
{
	int fds[P2P_VFIO_MAX_EVENTS + 1];

	set_up();
	for (int i = 0; i <= P2P_VFIO_MAX_EVENTS; i++) {
		fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		H_EQ(dev_events(&t.d, fds[i], P2P_VFIO_EVENTS_ADD), i < P2P_VFIO_MAX_EVENTS ? 0 : -ENOSPC);
	}
	/* The same eventfd, whatever its number. */
	H_EQ(dev_events(&t.d, fds[0], P2P_VFIO_EVENTS_ADD), -EEXIST);
	H_EQ(dev_events(&t.d, dup(fds[0]), P2P_VFIO_EVENTS_ADD), -EEXIST);
	H_EQ(dev_events(&t.d, fds[P2P_VFIO_MAX_EVENTS], P2P_VFIO_EVENTS_REMOVE), -ENOENT);
	H_EQ(dev_events(&t.d, fds[7], P2P_VFIO_EVENTS_REMOVE), 0);
	H_EQ(dev_events(&t.d, fds[7], P2P_VFIO_EVENTS_REMOVE), -ENOENT);
	H_EQ(dev_events(&t.d, fds[P2P_VFIO_MAX_EVENTS], P2P_VFIO_EVENTS_ADD), 0);
	H_EQ(dev_events(&t.d, fds[7], P2P_VFIO_EVENTS_ADD), -ENOSPC);
	/* The driver's reference is its own: closing them here is no trouble. */
	for (int i = 1; i <= P2P_VFIO_MAX_EVENTS; i++)
		close(fds[i]);
	clean_up();
	/* All are dropped with the device. */
	H_EQ(dev_open(&t.d, "target"), 0);
	H_EQ(dev_events(&t.d, fds[0], P2P_VFIO_EVENTS_REMOVE), -ENOENT);
	H_EQ(dev_events(&t.d, fds[0], P2P_VFIO_EVENTS_ADD), 0);
	dev_close(&t.d);
}

static long peer(struct p2p_vfio_peer p)
{
	return feature(request(GET | P2P_VFIO_FEATURE_PEER, HEADER + sizeof(p), &p, sizeof(p)));
}

static void peer_fields(void)
{
	struct p2p_vfio_peer good, p;

	set_up();
	fill_peer(&good);
	for (int bit = 0; bit < 16; bit++) {
		p = good;
		p.reserved = 1u << bit;
		H_EQ(peer(p), -EINVAL);
	}
	for (int bit = 0; bit < 32; bit++) {
		p = good;
		p.domain = 1u << bit;
		H_EQ(peer(p), -ENODEV);
	}
	H_EQ(peer((struct p2p_vfio_peer){ .bus = 255, .devfn = 255 }), -ENODEV);
	/* The answer's fields are no question. */
	p = good;
	p.route = p.distance = -1;
	H_EQ(peer(p), 0);
	H_EQ(dev_peer(&t.d, h_pci("nvme"), &p), 0);
	H_EQ(p.route, P2P_VFIO_ROUTE_HOST_BRIDGE);
	H_CHECK(p.distance > 0);
	/* Strange clients: the device itself, its own bridge's kind, no DMA at all. */
	H_EQ(dev_peer(&t.d, t.d.bdf, &p), 0);
	H_EQ(dev_peer(&t.d, "0000:00:00.0", &p), 0);
	clean_up();
}

/* mmap */

static long try_map(uint64_t offset, size_t length, int prot, int flags)
{
	void *at = mmap(NULL, length, prot, flags, t.d.fd, offset);

	if (at == MAP_FAILED)
		return -errno;
	munmap(at, length);
	return 0;
}

static void mmap_limits(void)
{
	const uint64_t index = 1ull << 40;
	const int rw = PROT_READ | PROT_WRITE;

	set_up();
	H_EQ(try_map(t.cookie, WINDOW, rw, MAP_SHARED), 0);
	H_EQ(try_map(t.cookie, WINDOW, PROT_READ, MAP_SHARED), 0);
	H_EQ(try_map(t.cookie + WINDOW - RU_PAGE, RU_PAGE, rw, MAP_SHARED), 0);
	H_EQ(try_map(t.cookie, WINDOW, rw, MAP_PRIVATE), -EINVAL);
	H_EQ(try_map(t.cookie, WINDOW + RU_PAGE, rw, MAP_SHARED), -EINVAL);
	H_EQ(try_map(t.cookie + WINDOW, RU_PAGE, rw, MAP_SHARED), -EINVAL);
	H_EQ(try_map(t.cookie + WINDOW - RU_PAGE, 2 * RU_PAGE, rw, MAP_SHARED), -EINVAL);
	H_EQ(try_map(t.cookie + index - RU_PAGE, RU_PAGE, rw, MAP_SHARED), -EINVAL);
	/* The write-combining view of it, then those of windows that do not exist. */
	H_EQ(try_map(t.cookie + index, WINDOW, rw, MAP_SHARED), dev_prefetchable(&t.d, t.bar) ? 0 : -EOPNOTSUPP);
	for (uint64_t i = 2; i < 2 * P2P_VFIO_MAX_WINDOWS; i++)
		H_EQ(try_map(t.cookie + i * index, RU_PAGE, rw, MAP_SHARED), -EINVAL);
	H_EQ(try_map(t.cookie + 2 * P2P_VFIO_MAX_WINDOWS * index, RU_PAGE, rw, MAP_SHARED), -EINVAL);
	H_EQ(try_map(t.cookie - index, RU_PAGE, rw, MAP_SHARED), -EINVAL);
	clean_up();
}

/* As many windows as there are numbers.  Needs a BAR of 130 MiB or more. */
static void all_numbers(void)
{
	struct p2p_vfio_window w;
	char *last = NULL;
	struct dev d;
	int bar;

	dev_bind("target", DEV_P2P);
	H_EQ(dev_open(&d, "target"), 0);
	bar = dev_bar(&d);
	for (uint32_t i = 0; i < P2P_VFIO_MAX_WINDOWS; i++) {
		H_EQ(dev_window_set(&d, bar, i * DEV_MIB2, DEV_MIB2, 0, &w), 0);
		H_EQ(w.id, i);
	}
	last = dev_map(&d, w.mmap_offset, DEV_MIB2);
	H_CHECK(last);
	H_EQ(dev_window_set(&d, bar, P2P_VFIO_MAX_WINDOWS * DEV_MIB2, DEV_MIB2, 0, &w), -ENOSPC);
	H_EQ(dev_window_set(&d, bar, 17 * DEV_MIB2, DEV_MIB2, 0, &w), 0);
	H_EQ(w.id, 17);
	H_EQ(dev_window_get(&d, P2P_VFIO_MAX_WINDOWS, 0, &w), -ENOENT);
	ru_fill(last, RU_PAGE, 1);
	H_EQ(dev_reset(&d), 0);
	H_EQ(ru_differs(last, RU_PAGE, 1), -1);
	dev_close(&d);
	dev_check_rest("target");
	/* All are given back. */
	H_CHECK(dev_unbind("target", 20));
}

static const struct h_case cases[] = {
	{ "every length of every structure", every_length },
	{ "PROBE says what there is", probe },
	{ "undefined bits and unknown features", undefined_bits },
	{ "pointers that lead nowhere", nowhere },
	{ "an answer that cannot be written", read_only },
	{ "a request inside the window", inside_the_window },
	{ "WINDOW: flags and reserved fields", window_flags },
	{ "WINDOW: BARs and numbers", window_numbers },
	{ "WINDOW: ranges", window_ranges },
	{ "EVENTS: fields", events_fields },
	{ "EVENTS: the table", events_table },
	{ "PEER: fields", peer_fields },
	{ "mmap: cookies and lengths", mmap_limits },
	{ }
};

static const struct h_case big[] = {
	{ "as many windows as there are numbers", all_numbers },
	{ }
};

/* "big": the device has room for all windows. */
int main(int argc, char **argv)
{
	dev_bind("target", DEV_P2P);
	if (argc > 1 && !strcmp(argv[1], "big"))
		return h_main(1, argv, big);
	return h_main(argc, argv, cases);
}
