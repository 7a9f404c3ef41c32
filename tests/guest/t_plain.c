// SPDX-License-Identifier: MIT
/*
 * A program that knows nothing of windows sees vfio-pci.
 *
 * Theory of operation.  One long sequence of calls, with all that a VFIO program
 * may do and much that it should not, is carried out and every outcome written
 * down: return value, errno, bytes, signals.  First twice under vfio-pci: the two
 * records must agree, or the sequence itself is not deterministic.  Then under
 * p2p-vfio-pci, and once more with windows registered and used before: each
 * record must be the same as vfio-pci's, byte for byte.
 *
 * The only calls left out are the features 0xf2f0 and up: they are the addition.
 *
 * Guards whose removal must make a case fail:
 *   every operation that p2p_ops hands on to core (region info caps, match,
 *   read, mmap of ordinary offsets, upstream's features)
 *   config writes and resets give core's own answer
 */
#define _GNU_SOURCE
#include "dev.h"
#include "harness.h"
#include "pattern.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096
#define FIRST "/tmp/plain.vfio-pci"

static struct dev d;
static FILE *out;

/* Writing down */

static void say(const char *fmt, ...) H_PRINTF(1, 2);
static void say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(out, fmt, ap);
	va_end(ap);
}

/* An outcome that is no detail of the machine's state, such as an fd, is 0. */
#define TELL(ret, ...) \
	do { \
		errno = 0; \
		long told = (long)(ret); \
		int err = errno; \
		say(__VA_ARGS__); \
		say(": %ld %s\n", told, told < 0 ? strerrorname_np(err) : ""); \
	} while (0)

static void hex(const void *data, size_t n)
{
	const unsigned char *at = data;

	for (size_t i = 0; i < n; i++)
		say("%02x%s", at[i], i % 32 == 31 || i == n - 1 ? "\n" : "");
}

static sigjmp_buf caught;

static void on_signal(int sig)
{
	siglongjmp(caught, sig);
}

/* The signal that a read of the byte raises, or 0. */
static int touch_raises(volatile char *at)
{
	int sig = sigsetjmp(caught, 1);

	if (!sig)
		*at;
	return sig;
}

/* Information */

static void ask_info(unsigned long request, const char *what, unsigned int index)
{
	static const unsigned int sizes[] = { 0, 4, 8, 12, 16, 24, 28, 32, 40, 256, 4096 };
	union {
		uint32_t word[1024];
		char bytes[4096];
	} arg;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		memset(&arg, 0, sizeof(arg));
		arg.word[0] = sizes[i];
		/* Both of region and irq info have the index in the third word. */
		arg.word[2] = index;
		TELL(ioctl(d.fd, request, &arg), "%s %u, %u bytes", what, index, sizes[i]);
		hex(&arg, 128);
	}
}

static void information(void)
{
	ask_info(VFIO_DEVICE_GET_INFO, "device info", 0);
	for (int i = 0; i < VFIO_PCI_NUM_REGIONS + 3; i++)
		ask_info(VFIO_DEVICE_GET_REGION_INFO, "region info", i);
	for (int i = 0; i < VFIO_PCI_NUM_IRQS + 3; i++)
		ask_info(VFIO_DEVICE_GET_IRQ_INFO, "irq info", i);
	ask_info(VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, "hot reset info", 0);
}

static void feature(uint32_t flags, size_t size)
{
	char data[512] = "";
	struct vfio_device_feature *req = (void *)data;

	req->argsz = sizeof(*req) + size;
	req->flags = flags;
	TELL(ioctl(d.fd, VFIO_DEVICE_FEATURE, req), "feature %#x, %zu bytes", flags, size);
	hex(data, 64);
}

/* SET is for those alone that change nothing for good: the low-power ones. */
static void features(void)
{
	static const uint32_t ways[] = {
		0, VFIO_DEVICE_FEATURE_PROBE, VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_GET,
		VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_SET,
		VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET,
		VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET, 1u << 19, 1u << 31,
	};

	for (uint32_t number = 0; number <= 20; number++) {
		for (size_t w = 0; w < sizeof(ways) / sizeof(*ways); w++)
			feature(number | ways[w], 64);
		/* Feature 11, a dma-buf, is tried with arguments that mean something. */
		if (number != 11)
			feature(number | VFIO_DEVICE_FEATURE_GET, 64);
		feature(number | VFIO_DEVICE_FEATURE_GET, 0);
	}
	feature(0x1234 | VFIO_DEVICE_FEATURE_GET, 64);
	feature(0xffff | VFIO_DEVICE_FEATURE_SET, 64);
}

static void low_power(void)
{
	int bar = dev_bar(&d);
	uint32_t word;

	for (uint32_t number = 3; number <= 5; number++) {
		feature(number | VFIO_DEVICE_FEATURE_SET, number == 4 ? 8 : 0);
		TELL(pread(d.fd, &word, 4, dev_region_offset(&d, bar)), "memory in low power, %u", number);
		TELL(dev_config_read(&d, 0, &word, 4), "config space in low power, %u", number);
		feature(5 | VFIO_DEVICE_FEATURE_SET, 0);
	}
	TELL(pread(d.fd, &word, 4, dev_region_offset(&d, bar)), "memory after low power");
}

static void dma_buf(uint32_t region, uint32_t flags, uint64_t offset, uint64_t length)
{
	struct {
		struct vfio_device_feature hdr;
		uint32_t region, open_flags, flags, nr;
		uint64_t offset, length;
	} req = { { sizeof(req), 11 | VFIO_DEVICE_FEATURE_GET }, region, O_RDWR | O_CLOEXEC, flags, 1, offset, length };
	int fd = ioctl(d.fd, VFIO_DEVICE_FEATURE, &req), err = errno;

	say("dma-buf of region %u, flags %u, %#llx + %#llx: %s, %lld bytes\n", region, flags,
	    (unsigned long long)offset, (unsigned long long)length, fd < 0 ? strerrorname_np(err) : "made",
	    fd < 0 ? 0ll : (long long)lseek(fd, 0, SEEK_END));
	if (fd >= 0)
		close(fd);
}

static void dma_bufs(void)
{
	int bar = dev_bar(&d);

	dma_buf(bar, 0, 0, 1 << 20);
	dma_buf(bar, 0, PAGE, PAGE);
	dma_buf(bar, 1, 0, PAGE);
	dma_buf(bar, 0, 1, PAGE);
	dma_buf(bar, 0, 0, 0);
	dma_buf(bar, 0, dev_bar_size(&d, bar), PAGE);
	dma_buf(VFIO_PCI_CONFIG_REGION_INDEX, 0, 0, PAGE);
	dma_buf(99, 0, 0, PAGE);
}

/* Nonsense */

static void unknown_ioctls(void)
{
	static char zeros[4096];

	for (int nr = 100; nr < 130; nr++) {
		unsigned long request = _IO(VFIO_TYPE, nr);

		if (request == VFIO_DEVICE_RESET)
			continue;
		TELL(ioctl(d.fd, request, NULL), "ioctl %d, no argument", nr);
		TELL(ioctl(d.fd, request, zeros), "ioctl %d, all zero", nr);
	}
	TELL(ioctl(d.fd, 0), "ioctl 0");
	TELL(ioctl(d.fd, FIONREAD, zeros), "FIONREAD");
}

static void file_calls(void)
{
	struct pollfd p = { d.fd, POLLIN | POLLOUT, 0 };
	struct stat st;
	char link[128] = "";

	TELL(lseek(d.fd, 0, SEEK_END), "lseek");
	TELL(ftruncate(d.fd, 0), "ftruncate");
	TELL(fallocate(d.fd, 0, 0, PAGE), "fallocate");
	TELL(fsync(d.fd), "fsync");
	TELL(poll(&p, 1, 0), "poll");
	TELL(fcntl(d.fd, F_GETFL), "flags");
	TELL(fstat(d.fd, &st), "fstat");
	say("mode %o, size %lld, revents %x\n", st.st_mode, (long long)st.st_size, p.revents);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", d.fd);
	memset(link + 32, 0, sizeof(link) - 32);
	TELL(readlink(link, link + 32, 95), "name");
	say("%s\n", link + 32);
}

static void second_fd(const char *words)
{
	char name[128];
	int fd;

	snprintf(name, sizeof(name), "%s%s", d.bdf, words);
	errno = 0;
	fd = ioctl(d.group, VFIO_GROUP_GET_DEVICE_FD, name);
	say("another fd, '%s': %s\n", words, fd < 0 ? strerrorname_np(errno) : "given");
	if (fd >= 0)
		close(fd);
}

static void other_fds(void)
{
	second_fd("");
	second_fd(" vf_token=00112233-4455-6677-8899-aabbccddeeff");
	second_fd(" nonsense");
	second_fd("0");
	TELL(ioctl(d.group, VFIO_GROUP_GET_DEVICE_FD, "0000:00:00.0"), "fd of another device");
	TELL(ioctl(d.container, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU), "type1");
}

/* Mappings */

static void try_map(off_t offset, size_t length, int prot, int flags)
{
	char *map;

	errno = 0;
	map = mmap(NULL, length, prot, flags, d.fd, offset);
	say("mmap %#llx + %#zx, prot %d, flags %d: ", (unsigned long long)offset, length, prot, flags);
	if (map == MAP_FAILED) {
		say("%s\n", strerrorname_np(errno));
		return;
	}
	say("mapped, touch raises %d", touch_raises(map));
	say(", last %d", touch_raises(map + length - 1));
	say(", mincore %d", mincore(map, PAGE, (unsigned char[1]){ 0 }));
	say(", lock %d", mlock(map, PAGE));
	say(", grow %s", mremap(map, length, length + PAGE, MREMAP_MAYMOVE) == MAP_FAILED ?
			 strerrorname_np(errno) : "done");
	say(", drop %d", madvise(map, PAGE, MADV_DONTNEED));
	say(", fork %d\n", madvise(map, PAGE, MADV_DOFORK) ? errno : 0);
	munmap(map, length);
}

static void map_region(unsigned int index)
{
	const off_t at = (off_t)index << 40;
	struct vfio_region_info info;
	size_t size = dev_region(&d, index, &info) ? PAGE : info.size;
	size_t whole = (size + PAGE - 1) & ~(size_t)(PAGE - 1);

	try_map(at, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
	try_map(at, PAGE, PROT_READ, MAP_SHARED);
	try_map(at, PAGE, PROT_READ, MAP_PRIVATE);
	try_map(at, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	if (whole)
		try_map(at, whole, PROT_READ | PROT_WRITE, MAP_SHARED);
	try_map(at, whole + PAGE, PROT_READ, MAP_SHARED);
	try_map(at + whole, PAGE, PROT_READ, MAP_SHARED);
	try_map(at + whole - PAGE, 2 * PAGE, PROT_READ, MAP_SHARED);
	if (whole > PAGE)
		try_map(at + whole - PAGE, PAGE, PROT_READ, MAP_SHARED);
	try_map(at + (1ll << 39), PAGE, PROT_READ, MAP_SHARED);
}

static void mappings(void)
{
	static const unsigned int beyond[] = { 10, 11, 64, 0x10000, 0x7effff, 0x7fffff };

	for (unsigned int i = 0; i < VFIO_PCI_NUM_REGIONS; i++)
		map_region(i);
	for (size_t i = 0; i < sizeof(beyond) / sizeof(*beyond); i++)
		try_map((off_t)beyond[i] << 40, PAGE, PROT_READ, MAP_SHARED);
}

/* What the ordinary mapping is good for: DMA mapping; and what not: direct I/O. */
static void uses_of_mapping(void)
{
	int bar = dev_bar(&d), disk = open(h_disk("raw"), O_RDWR | O_DIRECT);
	char *map = dev_map_raw(&d, bar, 0, 1 << 20);
	struct vfio_iommu_type1_dma_map dma = { .argsz = sizeof(dma), .vaddr = (uintptr_t)map,
		.iova = 1 << 30, .size = 1 << 20, .flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE };
	struct vfio_iommu_type1_dma_unmap undo = { .argsz = sizeof(undo), .iova = 1 << 30, .size = 1 << 20 };

	TELL(ioctl(d.container, VFIO_IOMMU_MAP_DMA, &dma), "DMA mapping of the BAR");
	TELL(ioctl(d.container, VFIO_IOMMU_UNMAP_DMA, &undo), "undone");
	TELL(pread(disk, map, PAGE, 0), "direct read into the BAR");
	TELL(pwrite(disk, map, PAGE, 0), "direct write from the BAR");
	pattern_fill(map, PAGE, 5, 0);
	TELL(pattern_differs(map, PAGE, 5, 0), "memory keeps what it is given");
	dev_unmap(&d, map);
	close(disk);
}

/* Regions by read and write */

static void access_region(unsigned int index, off_t at, size_t n)
{
	unsigned char data[64] = "";

	TELL(pread(d.fd, data, n, ((off_t)index << 40) + at), "read %zu at %#llx of region %u", n,
	     (unsigned long long)at, index);
	/* A register may count or tick; memory and config space do not. */
	if (index == VFIO_PCI_CONFIG_REGION_INDEX || (int)index == dev_bar(&d))
		hex(data, n);
}

static void regions(void)
{
	static const size_t lengths[] = { 0, 1, 2, 3, 4, 7, 8, 16, 64 };
	void *volatile nowhere = NULL;	/* volatile: the compiler knows better */
	int bar = dev_bar(&d);
	uint64_t data[8];

	pattern_fill(data, sizeof(data), 6, 0);
	TELL(pwrite(d.fd, data, 64, dev_region_offset(&d, bar)), "write 64");
	TELL(pwrite(d.fd, data, 3, dev_region_offset(&d, bar) + 13), "write 3");
	TELL(pwrite(d.fd, data, 64, dev_region_offset(&d, bar) + dev_bar_size(&d, bar) - 8), "write beyond");
	TELL(pread(d.fd, nowhere, 4, dev_region_offset(&d, bar)), "read to nowhere");
	for (unsigned int index = 0; index < VFIO_PCI_NUM_REGIONS + 3; index++) {
		struct vfio_region_info info;
		off_t size = dev_region(&d, index, &info) ? 0 : info.size;

		for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++)
			access_region(index, 0, lengths[i]);
		access_region(index, 1, 4);
		access_region(index, size - 4, 4);
		access_region(index, size - 2, 4);
		access_region(index, size, 4);
		access_region(index, size + PAGE, 4);
	}
	access_region(0x7effff, 0, 4);
}

static void dump_config(const char *when)
{
	unsigned char space[4096] = "";

	say("config space %s: %zd\n", when, dev_config_read(&d, 0, space, sizeof(space)));
	hex(space, sizeof(space));
}

static void put_config(off_t at, size_t n, uint32_t value)
{
	uint32_t back = 0;

	TELL(dev_config_write(&d, at, &value, n), "config %#llx, %zu bytes = %#x", (unsigned long long)at, n, value);
	TELL(dev_config_read(&d, at, &back, n), "read back %#x", (dev_config_read(&d, at, &back, n), back));
}

/* Memory off and on again, by mapping and by fd. */
static void memory_switch(void)
{
	char *map = dev_map_raw(&d, dev_bar(&d), 0, PAGE);
	uint16_t command = 0;
	uint32_t word;

	dev_config_read(&d, PCI_COMMAND, &command, 2);
	say("touch raises %d\n", touch_raises(map));
	put_config(PCI_COMMAND, 2, command & ~PCI_COMMAND_MEMORY);
	say("memory off, touch raises %d\n", touch_raises(map));
	TELL(pread(d.fd, &word, 4, dev_region_offset(&d, dev_bar(&d))), "memory off");
	put_config(PCI_COMMAND, 2, command);
	say("memory on, touch raises %d\n", touch_raises(map));
	put_config(PCI_COMMAND, 1, command | PCI_COMMAND_MASTER);
	put_config(PCI_COMMAND, 4, command);
	put_config(PCI_COMMAND + 1, 1, 0);
	dev_unmap(&d, map);
}

static void power(void)
{
	unsigned int pm = dev_capability(&d, PCI_CAP_ID_PM);
	uint32_t word;

	say("power management at %#x\n", pm);
	if (!pm)
		return;
	put_config(pm + PCI_PM_CTRL, 2, 3);
	TELL(pread(d.fd, &word, 4, dev_region_offset(&d, dev_bar(&d))), "memory in D3");
	put_config(pm + PCI_PM_CTRL, 2, 0);
	TELL(pread(d.fd, &word, 4, dev_region_offset(&d, dev_bar(&d))), "memory in D0");
}

static void function_reset(void)
{
	unsigned int exp = dev_capability(&d, PCI_CAP_ID_EXP);
	uint16_t ctl = 0;

	say("PCI Express at %#x\n", exp);
	if (!exp)
		return;
	dev_config_read(&d, exp + PCI_EXP_DEVCTL, &ctl, 2);
	put_config(exp + PCI_EXP_DEVCTL, 2, ctl | PCI_EXP_DEVCTL_BCR_FLR);
	put_config(exp + PCI_EXP_DEVCTL, 4, ctl ^ PCI_EXP_DEVCTL_PAYLOAD);
	put_config(exp + PCI_EXP_DEVCTL, 2, ctl);
	dump_config("after a function reset");
}

static void config_writes(void)
{
	put_config(PCI_INTERRUPT_LINE, 1, 0x5a);
	put_config(PCI_CACHE_LINE_SIZE, 1, 0x10);
	put_config(PCI_VENDOR_ID, 2, 0x1234);
	for (int bar = 0; bar < 6; bar++) {
		uint32_t before = 0;

		dev_config_read(&d, PCI_BASE_ADDRESS_0 + 4 * bar, &before, 4);
		put_config(PCI_BASE_ADDRESS_0 + 4 * bar, 4, ~0u);
		put_config(PCI_BASE_ADDRESS_0 + 4 * bar, 4, before);
	}
	put_config(PCI_ROM_ADDRESS, 4, ~0u);
	put_config(PCI_ROM_ADDRESS, 4, 0);
	put_config(PCI_BIST, 1, 0);
	put_config(0xfff, 1, 0);
	put_config(0x1000, 4, 0);
	memory_switch();
	power();
	function_reset();
}

/* Interrupts */

static void set_irqs(unsigned int index, uint32_t flags, unsigned int start, unsigned int count,
		     const int *data, size_t bytes)
{
	struct {
		struct vfio_irq_set set;
		int data[8];
	} arg = { .set = { .argsz = sizeof(arg.set) + bytes, .flags = flags, .index = index,
			   .start = start, .count = count } };

	if (bytes)
		memcpy(arg.data, data, bytes);
	TELL(ioctl(d.fd, VFIO_DEVICE_SET_IRQS, &arg), "irqs %u, flags %#x, %u + %u, %zu bytes", index, flags,
	     start, count, bytes);
}

static void one_kind(unsigned int index)
{
	const uint32_t trigger = VFIO_IRQ_SET_ACTION_TRIGGER;
	int fd = eventfd(0, EFD_NONBLOCK), fds[2] = { fd, fd }, junk[2] = { 12345, 12345 };
	uint64_t told;

	set_irqs(index, VFIO_IRQ_SET_DATA_EVENTFD | trigger, 0, 1, fds, 4);
	set_irqs(index, VFIO_IRQ_SET_DATA_NONE | trigger, 0, 1, NULL, 0);
	told = 0;
	read(fd, &told, 8);
	say("told %llu\n", (unsigned long long)told);
	set_irqs(index, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_MASK, 0, 1, NULL, 0);
	set_irqs(index, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK, 0, 1, NULL, 0);
	set_irqs(index, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_UNMASK, 0, 1, fds, 4);
	set_irqs(index, VFIO_IRQ_SET_DATA_EVENTFD | trigger, 0, 2, fds, 8);
	set_irqs(index, VFIO_IRQ_SET_DATA_EVENTFD | trigger, 0, 2, fds, 4);
	set_irqs(index, VFIO_IRQ_SET_DATA_EVENTFD | trigger, 0, 1, junk, 4);
	set_irqs(index, VFIO_IRQ_SET_DATA_EVENTFD | trigger, 5000, 1, fds, 4);
	set_irqs(index, VFIO_IRQ_SET_DATA_BOOL | trigger, 0, 1, (int[]){ 1 }, 1);
	set_irqs(index, trigger, 0, 1, NULL, 0);
	set_irqs(index, 1 << 10, 0, 1, NULL, 0);
	set_irqs(index, VFIO_IRQ_SET_DATA_NONE | trigger, 0, 0, NULL, 0);
	set_irqs(index, VFIO_IRQ_SET_DATA_NONE | trigger, 0, 0, NULL, 0);
	close(fd);
}

static void interrupts(void)
{
	for (unsigned int index = 0; index < VFIO_PCI_NUM_IRQS + 2; index++)
		one_kind(index);
}

/* Resets */

static void hot_reset(int count, int group)
{
	struct {
		struct vfio_pci_hot_reset hdr;
		int fds[2];
	} arg = { .hdr = { .argsz = sizeof(arg), .count = count }, .fds = { group, group } };

	TELL(ioctl(d.fd, VFIO_DEVICE_PCI_HOT_RESET, &arg), "hot reset, %d groups", count);
}

static void resets(void)
{
	char *map = dev_map_raw(&d, dev_bar(&d), 0, PAGE);

	pattern_fill(map, PAGE, 7, 0);
	TELL(ioctl(d.fd, VFIO_DEVICE_RESET), "reset");
	say("touch raises %d, memory is %s\n", touch_raises(map),
	    pattern_differs(map, PAGE, 7, 0) == -1 ? "kept" : "changed");
	dump_config("after a reset");
	hot_reset(0, -1);
	hot_reset(1, -1);
	hot_reset(1, d.fd);
	hot_reset(1, d.group);
	hot_reset(2, d.group);
	hot_reset(70000, d.group);
	say("touch raises %d\n", touch_raises(map));
	dump_config("after hot resets");
	TELL(ioctl(d.fd, VFIO_DEVICE_RESET, 1), "reset with an argument");
	dev_unmap(&d, map);
}

static void closed(void)
{
	char text[256];

	/* Idle, the device may sleep; it takes a moment. */
	h_wait_until(!h_readf(text, sizeof(text), "/sys/bus/pci/devices/%s/power/runtime_status", d.bdf) &&
		     !strcmp(text, "suspended"), 1000);
	say("closed: %s\n", text);
	h_readf(text, sizeof(text), "/sys/bus/pci/devices/%s/enable", d.bdf);
	say("enabled: %s\n", text);
	h_readf(text, sizeof(text), "/sys/bus/pci/devices/%s/reset_method", d.bdf);
	say("reset by: %s\n", text);
}

static void sequence(void)
{
	signal(SIGBUS, on_signal);
	signal(SIGSEGV, on_signal);
	dump_config("at first");
	information();
	features();
	dma_bufs();
	unknown_ioctls();
	file_calls();
	other_fds();
	mappings();
	uses_of_mapping();
	regions();
	config_writes();
	interrupts();
	resets();
	low_power();
	dump_config("at last");
	information();
}

static void record(const char *path)
{
	H_EQ(dev_open(&d, "target"), 0);
	out = fopen(path, "we");
	H_CHECK(out);
	sequence();
	dev_close(&d);
	closed();
	H_EQ(fclose(out), 0);
}

/* Comparing */

static void compare(const char *path)
{
	FILE *a = fopen(FIRST, "re"), *b = fopen(path, "re");
	char want[512], have[512], *is_a, *is_b;
	int line = 0;

	H_CHECK(a && b);
	for (;;) {
		is_a = fgets(want, sizeof(want), a);
		is_b = fgets(have, sizeof(have), b);
		line++;
		if (!is_a || !is_b || strcmp(want, have))
			break;
	}
	if (is_a || is_b)
		h_fail("line %d: vfio-pci: %s; here: %s", line, is_a ? want : "(no more)\n", is_b ? have : "(no more)\n");
	h_diag("%d lines", line - 1);
	H_CHECK(line > 1000);
}

static bool show;

static void show_record(const char *path)
{
	FILE *f = fopen(path, "re");
	char line[512];

	while (f && fgets(line, sizeof(line), f))
		h_diag("%s", line);
	if (f)
		fclose(f);
}

static void control(void)
{
	dev_bind("target", DEV_PLAIN);
	record(FIRST);
	if (show)
		show_record(FIRST);
	record("/tmp/plain.again");
	compare("/tmp/plain.again");
}

static void same(void)
{
	dev_bind("target", DEV_P2P);
	record("/tmp/plain.p2p");
	compare("/tmp/plain.p2p");
	dev_check_rest("target");
}

static void same_with_windows(void)
{
	char *win;

	H_EQ(dev_open(&d, "target"), 0);
	win = dev_window(&d, dev_bar(&d), 0, DEV_MIB2);
	H_CHECK(win && dev_window_wc(&d, dev_bar(&d), 2 * DEV_MIB2, 2 * DEV_MIB2));
	*(volatile char *)win = 1;
	dev_close(&d);
	record("/tmp/plain.windows");
	compare("/tmp/plain.windows");
	dev_check_rest("target");
}

/* And while they are mapped and in use by the same process. */
static void same_beside_windows(void)
{
	char *win;

	H_EQ(dev_open(&d, "target"), 0);
	win = dev_window(&d, dev_bar(&d), 0, DEV_MIB2);
	H_CHECK(win);
	*(volatile char *)win = 1;
	out = fopen("/tmp/plain.beside", "we");
	sequence();
	*(volatile char *)win = 1;
	dev_close(&d);
	closed();
	fclose(out);
	compare("/tmp/plain.beside");
	dev_check_rest("target");
}

static void unbind(void)
{
	H_CHECK(dev_unbind("target", 5));
}

static const struct h_case cases[] = {
	{ "two records under vfio-pci agree", control },
	{ "p2p-vfio-pci gives the same record", same },
	{ "... also when windows are registered", same_with_windows },
	{ "... also while one is mapped", same_beside_windows },
	{ "unbinding ends at once", unbind },
	{ }
};

/* "show": print the record, for whoever wants to know what is compared. */
int main(int argc, char **argv)
{
	show = argc > 1 && !strcmp(argv[1], "show");
	if (show) {
		argc--;
		argv++;
	}
	return h_main(argc, argv, cases);
}
