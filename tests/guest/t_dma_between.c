// SPDX-License-Identifier: MIT
/*
 * DMA between two devices of one program, as KVM's users and others set it up:
 * the ordinary view of one device's BAR in the I/O address space of the other.
 *
 * Theory of operation.  A second device, which copies to and from any address of
 * the IOMMU (the copier), is in the target's container, or bound to its iommufd.
 * The target's whole BAR is put into that address space: by VFIO_IOMMU_MAP_DMA of the
 * ordinary view with type 1; with an iommufd by IOMMU_IOAS_MAP_FILE of a dma-buf,
 * because IOMMU_IOAS_MAP refuses such a view.  Then the copier writes into the BAR and
 * reads from it, at places that will be in a window, on its edge and outside, between
 * events: resets of the target, a hot reset, memory switched off and on.  Every
 * errno, and whether each byte arrived, is written down.
 *
 * That record is made under vfio-pci, and then under p2p-vfio-pci: without windows;
 * with windows registered before the BAR is mapped, mapped and touched, and given
 * back while the BAR is mapped; with windows registered while the BAR is mapped, and
 * the first reset a revocation that waits for a pin while the copier goes on and the BAR
 * is taken out of the address space and put back.  The records must be the same.
 *
 * A record of nothing would be the same, too: so what arrives is counted.  With type 1
 * everything does, always.  A dma-buf is revoked by whatever resets the device, by
 * vfio-pci-core as under vfio-pci, and its mapping leads nowhere until it is made anew.
 *
 * Guards whose removal must make a case fail: the struct pages of a window are
 * reserved, which type 1 asks for (the kernel makes them so); get_dmabuf_phys; the
 * own provider gives pages back while a foreign mapping of the raw frames lasts.
 */
#define _GNU_SOURCE
#include "copier.h"
#include "dev.h"
#include "harness.h"
#include "iommufd.h"
#include "pattern.h"
#include "revoke_util.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define RAM_IOVA	(1ull << 30)
#define BAR_IOVA	(4ull << 30)
#define WINDOW		(2 * DEV_MIB2)
#define HERE		"/tmp/between.here"
#define PLAIN		"/tmp/between.plain"
#define DEADLINE	120

enum moment { BAR_MAPPED, BEFORE_RESET, RESET, AFTER_EVENTS };

/* What a case does at a moment; the reset is done by the sequence if it does not. */
typedef bool hook(enum moment m);

static struct dev d;
static struct copier copier;
static int bar;
static size_t size;
static char *raw, *ram;
static int dma_buf = -1;
static FILE *out;
static int transfers, arrived;
static uint32_t stream;

static void say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(out, fmt, ap);
	va_end(ap);
}

/* The BAR in the address space */

static int get_dma_buf(void)
{
	struct {
		struct vfio_device_feature hdr;
		uint32_t region, open_flags, flags, nr;
		uint64_t offset, length;
	} req = { { sizeof(req), 11 | VFIO_DEVICE_FEATURE_GET }, bar, O_RDWR | O_CLOEXEC, 0, 1, 0, size };
	int fd = ioctl(d.fd, VFIO_DEVICE_FEATURE, &req);

	return fd < 0 ? -errno : fd;
}

static int map_dma_buf(void)
{
	struct iommufd_map_file req = {
		.size = sizeof(req), .flags = IOMMUFD_FIXED_IOVA | IOMMUFD_WRITEABLE | IOMMUFD_READABLE,
		.ioas = d.ioas, .fd = dma_buf, .length = size, .iova = BAR_IOVA,
	};

	return ioctl(d.container, IOMMUFD_IOAS_MAP_FILE, &req) ? -errno : 0;
}

static void map_bar(void)
{
	int err = dev_dma_map(&d, raw, BAR_IOVA, size);

	say("mapping the view: %s\n", strerrorname_np(-err));
	if (!d.cdev)
		return;
	err = map_dma_buf();
	say("mapping the dma-buf: %s\n", strerrorname_np(-err));
}

static void unmap_bar(void)
{
	int err = dev_dma_unmap(&d, BAR_IOVA, size);

	say("unmapping: %s\n", strerrorname_np(-err));
}

/* Transfers */

static void note(const char *what, size_t at, bool fine)
{
	transfers++;
	arrived += fine;
	say("  %s %#zx: %s\n", what, at, fine ? "arrives" : "does not arrive");
}

/* RAM, copier, BAR; what is there before is something else. */
static void into_bar(size_t at)
{
	stream++;
	pattern_fill(ram, COPIER_MOST, stream, 0);
	pattern_fill(raw + at, COPIER_MOST, stream, 1);
	if (copier_fetch(&copier, RAM_IOVA, COPIER_MOST) || copier_store(&copier, BAR_IOVA + at, COPIER_MOST))
		h_fail("the copier does not end");
	note("into", at, pattern_differs(raw + at, COPIER_MOST, stream, 0) == -1);
}

static void from_bar(size_t at)
{
	stream++;
	pattern_fill(raw + at, COPIER_MOST, stream, 0);
	pattern_fill(ram, COPIER_MOST, stream, 1);
	if (copier_fetch(&copier, BAR_IOVA + at, COPIER_MOST) || copier_store(&copier, RAM_IOVA, COPIER_MOST))
		h_fail("the copier does not end");
	note("from", at, pattern_differs(ram, COPIER_MOST, stream, 0) == -1);
}

static void transfer(const char *when)
{
	say("%s\n", when);
	into_bar(WINDOW - COPIER_MOST / 2);	/* over the end of a window */
	from_bar(DEV_MIB2);			/* in it */
	from_bar(size - COPIER_MOST);		/* outside */
}

static void anew(const char *when)
{
	transfer(when);
	unmap_bar();
	map_bar();
	transfer("... and mapped anew");
}

/* The sequence */

static void memory_off_and_on(void)
{
	uint16_t command, off;

	dev_config_read(&d, PCI_COMMAND, &command, 2);
	off = command & ~PCI_COMMAND_MEMORY;
	say("memory off: %zd", dev_config_write(&d, PCI_COMMAND, &off, 2));
	say(", on: %zd\n", dev_config_write(&d, PCI_COMMAND, &command, 2));
}

static void events(hook *at)
{
	map_bar();
	at(BAR_MAPPED);
	transfer("mapped");
	at(BEFORE_RESET);
	anew("before a reset");
	if (!at(RESET))
		say("reset: %d\n", dev_reset(&d));
	anew("after a reset");
	say("hot reset: %d\n", dev_hot_reset(&d));
	anew("after a hot reset");
	memory_off_and_on();
	at(AFTER_EVENTS);
	anew("after memory was off");
	unmap_bar();
}

static bool open_all(void)
{
	int err = dev_open(&d, "target") ?: copier_open(&copier, &d, "copier");

	if (err) {
		h_fail("target or copier cannot be opened: %s", strerrorname_np(-err));
		return false;
	}
	bar = dev_bar(&d);
	size = dev_bar_size(&d, bar);
	raw = dev_map_raw(&d, bar, 0, size);
	ram = mmap(NULL, RU_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	dma_buf = d.cdev ? get_dma_buf() : -1;
	if (!raw || (d.cdev && dma_buf < 0) || dev_dma_map(&d, ram, RAM_IOVA, RU_PAGE)) {
		h_fail("no view of the BAR, no dma-buf or no RAM for the copier");
		return false;
	}
	return true;
}

static void close_all(void)
{
	if (dma_buf >= 0)
		close(dma_buf);
	dev_close(&copier.d);
	dev_close(&d);
}

static bool nothing(enum moment m)
{
	(void)m;
	return false;
}

/* Where a dma-buf was revoked the copier meets the IOMMU, three times after each event. */
static void judge_count(void)
{
	H_EQ(transfers, 9 * 3);
	H_EQ(arrived, d.cdev ? 6 * 3 : 9 * 3);
}

static void record(const char *path, hook *at)
{
	if (dev_by_cdev())
		h_expect_log("DMAR:.*(fault|Fault|DMA (Read|Write))");
	transfers = arrived = stream = 0;
	out = fopen(path, "we");
	H_CHECK(out);
	if (open_all()) {
		events(at);
		judge_count();
	}
	close_all();
	H_EQ(fclose(out), 0);
}

static void compare(void)
{
	FILE *a = fopen(PLAIN, "re"), *b = fopen(HERE, "re");
	char want[256] = "", have[256] = "";
	int line = 0;

	H_CHECK(a && b);
	while (fgets(want, sizeof(want), a)) {
		line++;
		if (!fgets(have, sizeof(have), b) || strcmp(want, have))
			h_fail("line %d: vfio-pci: %s; here: %s", line, want, have);
		h_diag("%.*s", (int)strcspn(want, "\n"), want);
	}
	H_CHECK(line > 30 && !fgets(have, sizeof(have), b));
}

static void same(hook *at)
{
	record(HERE, at);
	if (!h_failed())
		compare();
	dev_check_rest("target");
}

/* Cases */

static void control(void)
{
	dev_bind("target", DEV_PLAIN);
	record(PLAIN, nothing);
}

static void without_windows(void)
{
	dev_bind("target", DEV_P2P);
	same(nothing);
}

static uint32_t window;		/* the one that is given back */

static void register_windows(bool touch)
{
	struct p2p_vfio_window w;
	char *win;

	H_EQ(dev_window_set(&d, bar, 0, WINDOW, 0, &w), 0);
	window = w.id;
	win = dev_map(&d, w.mmap_offset, WINDOW);
	H_CHECK(win);
	if (touch)
		*(volatile char *)win = *(volatile char *)(win + DEV_MIB2) = 1;
	dev_unmap(&d, win);
}

static void give_back(void)
{
	struct p2p_vfio_window w = { .id = window, .flags = P2P_VFIO_WINDOW_UNREGISTER };

	if (!dev_standard_provider())
		H_EQ(dev_feature(&d, VFIO_DEVICE_FEATURE_SET | P2P_VFIO_FEATURE_WINDOW, &w, sizeof(w)), 0);
}

/* The window of before is found again; what it has touched is still mapped. */
static bool given_back(enum moment m)
{
	if (m == BEFORE_RESET)
		register_windows(true);
	if (m == AFTER_EVENTS)
		give_back();
	return false;
}

static void registered_before(void)
{
	dev_bind("target", DEV_P2P);
	H_EQ(dev_open(&d, "target"), 0);
	bar = dev_bar(&d);
	register_windows(true);
	dev_close(&d);
	if (!h_failed())
		same(given_back);
}

static struct ru_hold hold;
static struct ru_call reset;

static void begin_revocation(void)
{
	struct p2p_vfio_window w;

	H_EQ(dev_window_set(&d, bar, 0, WINDOW, 0, &w), 0);
	hold = (struct ru_hold){ .first = { d.fd, w.mmap_offset } };
	H_EQ(ru_hold_begin(&hold), 0);
	ru_call(&reset, ru_reset, &d);
	H_CHECK(ru_hold_drains(&hold, "target"));
}

/* All that the copier did until now it did beside a reset that waits. */
static void end_revocation(void)
{
	H_CHECK(dev_state_is("target", "draining") && !ru_done(&reset));
	ru_hold_end(&hold);
	H_CHECK(ru_join(&reset, 20000));
	say("reset: %ld\n", reset.ret);
}

static bool revoked(enum moment m)
{
	if (m == BAR_MAPPED)
		register_windows(true);
	if (m == BEFORE_RESET)
		begin_revocation();
	if (m == RESET)
		end_revocation();
	return m == RESET;
}

static void registered_while_mapped(void)
{
	dev_bind("target", DEV_P2P);
	H_EQ(dev_param("drain_timeout_ms", "600000"), 0);
	same(revoked);
}

static const struct h_case cases[] = {
	{ "the record under vfio-pci", control, DEADLINE },
	{ "the same without windows", without_windows, DEADLINE },
	{ "the same with windows registered before, and given back in the middle", registered_before, DEADLINE },
	{ "the same with windows registered in the middle, and a revocation that waits", registered_while_mapped, DEADLINE },
	{ }
};

int main(int argc, char **argv)
{
	dev_bind("copier", DEV_PLAIN);
	return h_main(argc, argv, cases);
}
