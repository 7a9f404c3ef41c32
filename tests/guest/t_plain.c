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
#include "pattern.h"
#include "plain.h"

#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define PAGE 4096
#define FIRST "/tmp/plain.vfio-pci"

struct dev d;
static FILE *out;

/* Writing down */

void say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(out, fmt, ap);
	va_end(ap);
}

void hex(const void *data, size_t n)
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

int touch_raises(volatile char *at)
{
	int sig = sigsetjmp(caught, 1);

	if (!sig)
		*at;
	return sig;
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
