// SPDX-License-Identifier: MIT
/*
 * No false failures: while no revocation is under way no I/O fails, whatever
 * else is done to the device.
 *
 * Theory of operation.  Two threads read from and write to a disk, straight from
 * and to a window.  Before each transfer they drop the page-table entries of its
 * pages (MADV_DONTNEED), so that get_user_pages() must fault them in again: a
 * fault of the kernel's, which may not wait and must not be refused.  Beside
 * them others do all that a driver in user space does, and that takes the locks
 * of vfio-pci-core for writing: set up and tear down each kind of interrupt the
 * device has, read and write its regions through the fd, read and write config
 * space, map, touch and unmap both views, ask for information.  The transfers
 * are counted, not timed; the others go on until the transfers are done, and
 * each must have had its turn.
 *
 * Not one error is allowed anywhere, no fault may have been refused or have
 * waited, and no revocation may have begun.
 *
 * Guards whose removal must make a case fail:
 *   the fault handler takes no lock of core's (a trylock of memory_lock in
 *   its place fails while interrupts are set up)
 *   the gate is closed for revocations only
 *   config writes are dangerous by address: others do not revoke
 */
#define _GNU_SOURCE
#include "dev.h"
#include "harness.h"
#include "pattern.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define MIB2 DEV_MIB2
#define PAGE ((size_t)4096)
#define AT MIB2
#define LEN (8 * MIB2)
#define PART (LEN / 2)		/* of each transferring thread */
#define LEAST 20		/* turns each of the others must have had */
#define INTERRUPT_LINE 0x3c

static struct dev d;
static struct p2p_vfio_window window;
static char *win;
static int bar;
static int transfers = 300;	/* of each transferring thread */
static size_t chunk = 64 * PAGE;
static atomic_bool done;

struct worker {
	const char *name;
	bool (*turn)(struct worker *w);	/* false: failed, and has said why */
	int number, turns;
	unsigned int index;		/* of an interrupt */
	bool ended;
	pthread_t thread;
};

static bool fails(const struct worker *w, const char *what)
{
	h_fail("%s, turn %d: %s: %s", w->name, w->turns, what, strerrorname_np(errno) ?: "no error");
	return false;
}

/* Transfers */

static bool transfer(struct worker *w)
{
	static __thread int fd = -1;
	/* Another page and another length each time; often across folios. */
	size_t pages = chunk / PAGE - w->turns * 7 % (chunk / PAGE);
	size_t at = (size_t)w->turns * 37 * PAGE % (PART - chunk);
	char *buf = win + w->number * PART + at;
	char *folio = (char *)((uintptr_t)buf & ~(MIB2 - 1)), *last = buf + pages * PAGE;
	off_t offset = w->number * PART + at;
	ssize_t n;

	if (fd < 0)
		fd = open(h_disk("raw"), O_RDWR | O_DIRECT);
	if (madvise(folio, last - folio, MADV_DONTNEED))
		return fails(w, "madvise");
	n = w->turns % 2 ? pwrite(fd, buf, pages * PAGE, offset) : pread(fd, buf, pages * PAGE, offset);
	if (n == (ssize_t)(pages * PAGE))
		return true;
	h_fail("%s, turn %d: %zd of %zu bytes (%s)", w->name, w->turns, n, pages * PAGE,
	       n < 0 ? strerrorname_np(errno) : "short");
	return false;
}

/* What goes on beside */

#define VECTORS 4

static int set_irqs(unsigned int index, unsigned int count, int fd)
{
	struct {
		struct vfio_irq_set set;
		int fds[VECTORS];
	} arg = { .set = { .argsz = sizeof(arg), .index = index, .count = count,
			   .flags = VFIO_IRQ_SET_ACTION_TRIGGER |
				    (count ? VFIO_IRQ_SET_DATA_EVENTFD : VFIO_IRQ_SET_DATA_NONE) } };

	for (unsigned int i = 0; i < count; i++)
		arg.fds[i] = fd;
	return ioctl(d.fd, VFIO_DEVICE_SET_IRQS, &arg);
}

static unsigned int irq_count(unsigned int index)
{
	struct vfio_irq_info info = { .argsz = sizeof(info), .index = index };

	return ioctl(d.fd, VFIO_DEVICE_GET_IRQ_INFO, &info) ? 0 : info.count;
}

/* The kinds exclude each other, and each is one thread's: so one thread, all kinds. */
static bool interrupts(struct worker *w)
{
	static const unsigned int kinds[] = { VFIO_PCI_INTX_IRQ_INDEX, VFIO_PCI_MSI_IRQ_INDEX,
					      VFIO_PCI_MSIX_IRQ_INDEX, VFIO_PCI_REQ_IRQ_INDEX };
	int fd = eventfd(0, EFD_NONBLOCK);

	for (int i = 0; i < 4; i++) {
		unsigned int count = irq_count(kinds[i]);

		if (!count)
			continue;
		if (set_irqs(kinds[i], count < VECTORS ? count : VECTORS, fd))
			return fails(w, "setting up interrupts");
		if (set_irqs(kinds[i], 0, -1))
			return fails(w, "tearing down interrupts");
	}
	close(fd);
	return true;
}

/* The last page of the BAR: no transfer goes there. */
static bool region(struct worker *w)
{
	static __thread off_t at;
	uint64_t out = w->turns, in = 0;

	if (!at)
		at = dev_region_offset(&d, bar) + dev_bar_size(&d, bar) - PAGE;
	if (pwrite(d.fd, &out, 8, at + w->turns % 512 * 8) != 8)
		return fails(w, "writing the region");
	if (pread(d.fd, &in, 8, at + w->turns % 512 * 8) != 8)
		return fails(w, "reading the region");
	return in == out || fails(w, "the region has forgotten");
}

static bool config(struct worker *w)
{
	unsigned char space[256], line = w->turns, back;

	if (dev_config_read(&d, 0, space, sizeof(space)) != sizeof(space))
		return fails(w, "reading config space");
	if (dev_config_write(&d, INTERRUPT_LINE, &line, 1) != 1)
		return fails(w, "writing config space");
	if (dev_config_read(&d, INTERRUPT_LINE, &back, 1) != 1 || back != line)
		return fails(w, "reading config space back");
	return true;
}

/* Each map is of a part that is nobody else's to look at: only touched. */
static bool views(struct worker *w)
{
	const uint64_t wc = dev_prefetchable(&d, bar) ? 1ull << 40 : 0;
	const uint64_t cookies[] = { window.mmap_offset, window.mmap_offset + wc,
				     dev_region_offset(&d, bar) + AT };

	for (int i = 0; i < 3; i++) {
		char *map = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, d.fd, cookies[i]);

		if (map == MAP_FAILED)
			return fails(w, "mapping a view");
		for (size_t at = 0; at < LEN; at += MIB2 / 2)
			*(volatile char *)(map + at);
		munmap(map, LEN);
	}
	return true;
}

/* Takes away what the transfers have just faulted in, and what it faults in itself. */
static bool drops(struct worker *w)
{
	size_t folio = (size_t)w->turns * 5 % (LEN / MIB2);

	if (madvise(win, LEN, MADV_DONTNEED))
		return fails(w, "dropping the whole window");
	*(volatile char *)(win + folio * MIB2);
	if (madvise(win + folio * MIB2, MIB2, MADV_DONTNEED))
		return fails(w, "dropping a folio");
	return true;
}

static bool questions(struct worker *w)
{
	struct p2p_vfio_window again;
	struct vfio_region_info info;
	struct p2p_vfio_state state;

	if (dev_state(&d, &state) || state.state != P2P_VFIO_STATE_LIVE)
		return fails(w, "STATE is not live");
	if (dev_region(&d, bar, &info))
		return fails(w, "region info");
	if (dev_window_set(&d, bar, AT, LEN, 0, &again) || again.id != window.id)
		return fails(w, "registering again");
	if (dev_count("target", "pinned_folios") < 0)
		return fails(w, "sysfs");
	return true;
}

/* All of them */

static void *work_beside(void *arg)
{
	struct worker *w = arg;

	while (!h_failed() && (!done || w->turns < LEAST) && w->turn(w))
		w->turns++;
	w->ended = true;
	return NULL;
}

static void *work_off(void *arg)
{
	struct worker *w = arg;

	while (!h_failed() && w->turns < transfers && w->turn(w))
		w->turns++;
	w->ended = true;
	return NULL;
}

static void run(struct worker *workers, int n_transfer, int n_all)
{
	struct worker *w;

	done = false;
	for (w = workers; w < workers + n_all; w++)
		H_EQ(pthread_create(&w->thread, NULL, w < workers + n_transfer ? work_off : work_beside, w), 0);
	for (w = workers; w < workers + n_transfer; w++)
		pthread_join(w->thread, NULL);
	done = true;
	for (; w < workers + n_all; w++)
		pthread_join(w->thread, NULL);
	for (w = workers; w < workers + n_all; w++)
		h_diag("%s: %d turns", w->name, w->turns);
}

static long long revocations(void)
{
	static const char *const causes[] = { "reset", "hot_reset", "config", "low_power", "pci_reset", "error" };
	long long sum = 0;

	for (size_t i = 0; i < sizeof(causes) / sizeof(*causes); i++)
		sum += dev_revokes("target", causes[i]);
	return sum;
}

static void begin(void)
{
	H_EQ(dev_open(&d, "target"), 0);
	bar = dev_bar(&d);
	H_EQ(dev_window_set(&d, bar, AT, LEN, 0, &window), 0);
	win = dev_map(&d, window.mmap_offset, LEN);
	H_CHECK(win);
}

static void beside(struct worker *others, int n)
{
	const char *kind = dev_has_pmd() ? "faults_pmd" : "faults_pte";
	struct worker all[8] = {
		{ "transfers below", transfer, 0 },
		{ "transfers above", transfer, 1 },
	};
	long long refused, waited, revoked, faults;

	begin();
	if (h_failed())
		return;
	memcpy(all + 2, others, n * sizeof(*others));
	refused = dev_count("target", "faults_refused");
	waited = dev_count("target", "faults_waited");
	faults = dev_count("target", kind);
	revoked = revocations();
	run(all, 2, 2 + n);
	H_EQ(dev_count("target", "faults_refused"), refused);
	H_EQ(dev_count("target", "faults_waited"), waited);
	H_EQ(revocations(), revoked);
	/* The test is one only if the faults were there. */
	H_CHECK(dev_count("target", kind) - faults >= transfers);
	dev_close(&d);
	dev_check_rest("target");
}

static void alone(void)
{
	beside(NULL, 0);
}

static void beside_interrupts(void)
{
	struct worker others[] = { { "interrupts", interrupts } };

	begin();
	if (!irq_count(VFIO_PCI_INTX_IRQ_INDEX) && !irq_count(VFIO_PCI_MSI_IRQ_INDEX) &&
	    !irq_count(VFIO_PCI_MSIX_IRQ_INDEX))
		h_skip_case("the device has no interrupts");
	dev_close(&d);
	beside(others, 1);
}

static void beside_access(void)
{
	struct worker others[] = { { "region", region }, { "config space", config } };

	beside(others, 2);
}

static void beside_views(void)
{
	struct worker others[] = { { "views", views }, { "views too", views } };

	beside(others, 2);
}

/* Entries of both sizes, made and dropped for the same places by several threads. */
static void beside_drops(void)
{
	struct worker others[] = { { "drops", drops }, { "drops too", drops } };

	beside(others, 2);
}

static void beside_all(void)
{
	struct worker others[] = {
		{ "interrupts", interrupts }, { "region", region }, { "config space", config },
		{ "views", views }, { "questions", questions },
	};

	beside(others, 5);
}

static void unbind(void)
{
	H_CHECK(dev_unbind("target", 5));
}

static const struct h_case cases[] = {
	{ "transfers into dropped pages", alone, 60 },
	{ "... while interrupts are set up and torn down", beside_interrupts, 60 },
	{ "... while regions and config space are read and written", beside_access, 60 },
	{ "... while all views are mapped and unmapped", beside_views, 60 },
	{ "... while others drop the same pages", beside_drops, 60 },
	{ "... while all that goes on", beside_all, 60 },
	{ "unbinding ends at once", unbind },
	{ }
};

/* "slow": the memory is emulated word by word. */
int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "slow")) {
		transfers = 100;
		chunk = 4 * PAGE;
		argc--;
		argv++;
	}
	dev_bind("target", DEV_P2P);
	return h_main(argc, argv, cases);
}
