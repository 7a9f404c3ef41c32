// SPDX-License-Identifier: MIT
/*
 * Windows, BARs and mappings.
 *
 * Theory: the library checks each rule before the kernel does, so with a fake
 * kernel that accepts everything a broken rule has to be refused by the library;
 * and with one that refuses everything each errno of the kernel's contract has to
 * become a sentence of its own.  Mappings are real, of a memfd: their addresses,
 * contents and what is left in /proc/self/maps can be looked at.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check_error.h"
#include "fake.h"
#include "tree.h"

#define MIB	(1u << 20)

static const char tree[] =
	"/sys/bus/pci/devices/0000:02:00.0/driver -> ../../drivers/vfio-pci\n"
	"/sys/bus/pci/devices/0000:03:00.0/driver -> ../../drivers/p2p-vfio-pci\n"
	"/sys/bus/pci/devices/0000:03:00.1/driver -> ../../drivers/xhci_hcd\n"
	"/sys/bus/pci/devices/0000:03:00.2/driver -> ../../drivers/mlx5_vfio_pci\n"
	"/sys/bus/pci/devices/0000:04:00.0/driver -> ../../drivers/vfio-pci\n";

/* Six lines of "start end flags". */
static const char resource[] =
	"0x00000000fe000000 0x00000000fe000fff 0x0000000000040200\n"
	"0x0000000000000000 0x0000000000000000 0x0000000000000000\n"
	"0x0000000800000000 0x0000000800ffffff 0x000000000014220c\n"
	"0x00000000fd000000 0x00000000fd7fffff 0x0000000000040200\n"
	"0x000000000000c000 0x000000000000c03f 0x0000000000040101\n"
	"0x00000000fc800000 0x00000000fc8fffff 0x0000000000040200";

static struct vp2p_device *dev;
static struct vp2p_error err;

static int create(unsigned int bar, uint64_t offset, uint64_t length, unsigned int flags)
{
	struct vp2p_window *win;
	int rc = vp2p_window_create(dev, bar, offset, length, flags, &win, &err);

	if (!rc)
		vp2p_window_destroy(win);
	return rc;
}

static void refused(unsigned int bar, uint64_t offset, uint64_t length,
		    unsigned int flags, int code, const char *cause, const char *name)
{
	unsigned int before = fake.n_windows;

	is_error(create(bar, offset, length, flags), code, &err, name);
	has_str(err.cause, cause, name);
	is_num(fake.n_windows, before, "the kernel was not asked");
}

static void test_rules(void)
{
	refused(2, 4096, 2 * MIB, 0, EINVAL, "offset 4096 is not a multiple of 2097152",
		"offset");
	is_str(err.remedy, "use 2097152", "... and the next one that is");
	refused(2, 0, 3 * MIB, 0, EINVAL, "length 3145728 is not", "length");
	is_str(err.remedy, "use 4194304", "... and the next one that is");
	refused(2, 0, 17 * MIB, 0, EINVAL, "length 17825792 is not", "long length");
	is_str(err.remedy, "use 16777216", "... and the last that fits");
	refused(2, 15 * MIB, 0, 0, EINVAL, "offset 15728640 is not", "offset near the end");
	is_str(err.remedy, "use 14680064", "... and the last that leaves room");
	refused(2, 3 * MIB, 14 * MIB, 0, EINVAL, "offset 3145728", "an offset, long length");
	is_str(err.remedy, "use 2097152", "... and the last that leaves room for it");
	refused(2, UINT64_MAX, 0, 0, EINVAL, "offset 18446744073709551615", "the last offset");
	is_str(err.remedy, "use 14680064", "... does not overflow to 0");
	refused(2, 0, UINT64_MAX, 0, EINVAL, "length 18446744073709551615", "the last length");
	is_str(err.remedy, "use 16777216", "... does not overflow to 0");
	refused(2, 14 * MIB, 3 * MIB, 0, EINVAL, "length 3145728", "length near the end");
	is_str(err.remedy, "use 2097152", "... and what is left from there");
	refused(2, 16 * MIB, 3 * MIB, 0, EINVAL, "less than 2 MiB", "nothing is left");
	is_str(err.remedy, "use a lower offset", "... says so");
	refused(2, 16 * MIB, 2 * MIB, 0, ERANGE, "beyond", "just beyond the BAR");
	is_str(err.remedy, "use a lower offset", "... where length 0 would not do");
	refused(5, 4096, 4096, 0, EINVAL, "less than 2 MiB", "a BAR too small for any");
	is_str(err.remedy, "use a larger BAR", "... says so");
	refused(2, 0, 18 * MIB, 0, ERANGE, "beyond BAR 2 of 16777216", "beyond the BAR");
	refused(2, 16 * MIB, 0, 0, EINVAL, "less than 2 MiB", "at the BAR's end");
	refused(2, UINT64_MAX - 2 * MIB + 1, 2 * MIB, 0, ERANGE, "beyond", "overflow");
	refused(0, 0, 0, 0, EINVAL, "BAR 0 of 4096 bytes has less than 2 MiB", "small BAR");
	refused(1, 0, 0, 0, ENXIO, "no BAR 1", "absent BAR");
	refused(4, 0, 2 * MIB, 0, ENXIO, "I/O port BAR", "I/O BAR");
	refused(6, 0, 0, 0, EINVAL, "no BAR 6", "no such BAR");
	refused(2, 0, 0, 2, EINVAL, "flags 0x2", "undefined flag");
	refused(3, 0, 0, VP2P_WINDOW_WC, EOPNOTSUPP, "not prefetchable", "WC");
	refused(5, 0, 0, 0, EINVAL, "less than 2 MiB", "a BAR below 2 MiB");
}

static void test_unaligned_bar(void)
{
	tree_add("/sys/bus/pci/devices/0000:03:00.0/resource = 0x100000 0x10fffff 0x200");
	is_error(create(0, 0, 0, 0), EINVAL, &err, "a BAR at an odd bus address");
	has_str(err.cause, "0x100000", "... names it");
}

static void test_kernel(void)
{
	static const struct {
		int code;
		const char *cause, *remedy;
	} table[] = {
		{ EPERM, "CAP_SYS_ADMIN", "vfio-p2p bind --window 2+2097152,4194304 0000:03:00.0" },
		{ ERANGE, "4194304 is more", "several" },
		{ EADDRINUSE, "MSI-X", "beside" },
		{ EXDEV, "0000:03:00.2 (mlx5_vfio_pci)", "bind it to p2p-vfio-pci" },
		{ EOPNOTSUPP, "peer-to-peer pages", "CONFIG_PCI_P2PDMA" },
		{ ENOSPC, "64 windows", "fewer" },
		{ ENOMEM, "struct pages of 4194304 bytes", "1.56 %" },
		{ ENODEV, "has gone", "again" },
		{ EINVAL, "Invalid argument", "dmesg" },
		{ EFAULT, "Bad address", "dmesg" },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		fake.window_set_errno = table[i].code;
		is_error(create(2, 2 * MIB, 4 * MIB, 0), table[i].code, &err,
			 strerror(table[i].code));
		has_str(err.cause, table[i].cause, "... the cause");
		has_str(err.remedy, table[i].remedy, "... the remedy");
	}
	fake.window_set_errno = EPERM;
	create(2, 2 * MIB, 4 * MIB, 0);
	has_str(err.remedy, "close the device", "bind opens the device, which is open here");
	fake.window_set_errno = EEXIST;
	is_error(create(2, 2 * MIB, 4 * MIB, 0), EEXIST, &err, "of a window unseen");
	fake.window_set_errno = 0;
}

/* Commands in the remedies of a device that did not tell its address. */
static void test_no_address(void)
{
	struct vp2p_device *named = dev;
	struct vp2p_window *win;

	if (vp2p_attach(fake.memory, NULL, &dev, &err))
		exit(99);
	fake.window_set_errno = EPERM;
	is_error(create(2, 0, 2 * MIB, 0), EPERM, &err, "EPERM without an address");
	has_str(err.remedy, "--window 2+0,2097152 ADDRESS", "... a command to fill in");
	is_error(vp2p_window_find(dev, 9, 0, &win, &err), ENOENT, &err, "no window");
	has_str(err.remedy, "--window BAR ADDRESS", "... a command to fill in");
	is_error(vp2p_window_lookup(dev, 2, 0, 0, 0, &win, &err), ENOENT, &err, "none yet");
	has_str(err.remedy, "--window 2 ADDRESS", "... a command to fill in");
	fake.window_set_errno = 0;
	vp2p_close(dev);
	dev = named;
}

static void test_windows(void)
{
	struct vp2p_window *win = NULL;

	is_num(vp2p_window_create(dev, 2, 0, 4 * MIB, 0, &win, &err), 0, "first window");
	is_num(vp2p_window_id(win), 0, "its id");
	is_num((long long)vp2p_window_length(win), 4 * MIB, "its length");
	ok(vp2p_window_device(win) == dev, "its device");
	vp2p_window_destroy(win);
	is_num(vp2p_window_create(dev, 2, 6 * MIB, 0, VP2P_WINDOW_WC, &win, &err), 0,
	       "second window, to the end");
	is_num((long long)vp2p_window_length(win), 10 * MIB, "length 0 is the rest");
	vp2p_window_destroy(win);
	vp2p_window_destroy(NULL);

	is_num(vp2p_window_find(dev, 1, 0, &win, &err), 0, "find it");
	is_num((long long)vp2p_window_offset(win), 6 * MIB, "its offset");
	is_num(vp2p_window_bar(win), 2, "its BAR");
	vp2p_window_destroy(win);
	is_error(vp2p_window_find(dev, 2, 0, &win, &err), ENOENT, &err, "no third one");
	is_error(vp2p_window_find(dev, 0, 8, &win, &err), EINVAL, &err, "bad flag");
	fake.window_get_errno = EOPNOTSUPP;
	is_error(vp2p_window_find(dev, 0, 1, &win, &err), EOPNOTSUPP, &err, "WC refused");
	fake.window_get_errno = 0;

	fake.window_set_errno = EEXIST;
	is_error(create(2, 8 * MIB, 2 * MIB, 0), EEXIST, &err, "inside of one");
	has_str(err.cause, "lies within window 1: BAR 2, offset 6291456, length 10485760",
		"... names the other one");
	has_str(err.remedy, "vp2p_window_lookup()", "... and how to get it");
	is_error(create(2, 4 * MIB, 4 * MIB, 0), EEXIST, &err, "overlap");
	has_str(err.cause, "overlaps window 1", "... is another matter");
	fake.window_set_errno = 0;
	is_num(create(3, 0, 8 * MIB, 0), 0, "a window in another BAR");
	fake.window_set_errno = EEXIST;
	is_error(create(3, 2 * MIB, 2 * MIB, 0), EEXIST, &err, "overlap in that BAR");
	has_str(err.cause, "window 2: BAR 3", "... names the one in that BAR");
	fake.window_set_errno = 0;
}

/* Of test_windows(): BAR 2 up to 4 MiB, BAR 2 from 6 MiB on, BAR 3. */
static void test_lookup(void)
{
	struct vp2p_window *win = NULL;

	is_num(vp2p_window_lookup(dev, 2, 8 * MIB + 512, 100, VP2P_WINDOW_WC, &win, &err), 0,
	       "look up some bytes");
	ok(vp2p_window_id(win) == 1 && vp2p_window_offset(win) == 6 * MIB &&
	   vp2p_window_length(win) == 10 * MIB, "... the whole window");
	is_num(win->flags, VP2P_WINDOW_WC, "... with the flag");
	vp2p_window_destroy(win);
	is_num(vp2p_window_lookup(dev, 3, 8 * MIB - 1, 0, 0, &win, &err), 0, "one byte");
	is_num(vp2p_window_id(win), 2, "... in that BAR");
	vp2p_window_destroy(win);
	is_num(vp2p_window_lookup(dev, 2, 0, 4 * MIB, 0, &win, &err), 0, "all of a window");
	vp2p_window_destroy(win);
	is_error(vp2p_window_lookup(dev, 2, 0, 4 * MIB + 1, 0, &win, &err), ENOENT, &err,
		 "a byte more");
	has_str(err.cause, "window 0 (offset 0, length 4194304) has only a part", "... says so");
	is_error(vp2p_window_lookup(dev, 2, 5 * MIB, 2 * MIB, 0, &win, &err), ENOENT, &err,
		 "from before a window into it");
	is_error(vp2p_window_lookup(dev, 2, 5 * MIB, 0, 0, &win, &err), ENOENT, &err, "between");
	has_str(err.cause, "no window has any", "... says so");
	is_error(vp2p_window_lookup(dev, 0, 0, 0, 0, &win, &err), ENOENT, &err, "BAR 0");
	is_error(vp2p_window_lookup(dev, 6, 0, 0, 0, &win, &err), EINVAL, &err, "BAR 6");
	is_error(vp2p_window_lookup(dev, 2, 4096, UINT64_MAX, 0, &win, &err), EINVAL, &err,
		 "overflow");
	is_error(vp2p_window_lookup(dev, 2, 0, 0, 8, &win, &err), EINVAL, &err, "bad flag");
	fake.window_get_errno = EIO;
	is_error(vp2p_window_lookup(dev, 2, 0, 0, 0, &win, &err), EIO, &err, "no answer");
	fake.window_get_errno = 0;
}

/* After test_lookup(): windows 0, 1 (BAR 2) and 2 (BAR 3). */
static void test_unregister(void)
{
	static const struct {
		int kernel, code;
		const char *cause, *remedy;
	} table[] = {
		{ EBUSY, EBUSY, "window 1 is mapped", "unmap it everywhere" },
		{ EOPNOTSUPP, EOPNOTSUPP, "provider standard", "unbind the device" },
		{ EINVAL, EOPNOTSUPP, "older than this library", "vfio-p2p unbind 0000:03:00.0" },
		{ ENOENT, ENOENT, "no window 1 any more", "destroy the handle" },
		{ EPERM, EPERM, "CAP_SYS_ADMIN", "vfio-p2p window remove 0000:03:00.0 1" },
		{ ENODEV, ENODEV, "No such device", "still there" },
	};
	struct vp2p_window *win = NULL, *other = NULL;

	is_num(vp2p_window_find(dev, 1, 0, &win, &err), 0, "the window in the middle");
	is_num(vp2p_window_provider(win), VP2P_PROVIDER_OWN, "its provider");
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		fake.unregister_errno = table[i].kernel;
		is_error(vp2p_window_unregister(win, &err), table[i].code, &err,
			 strerror(table[i].kernel));
		has_str(err.cause, table[i].cause, "... the cause");
		has_str(err.remedy, table[i].remedy, "... the remedy");
	}
	fake.unregister_errno = 0;
	is_num(vp2p_window_id(win), 1, "a refusal leaves the handle as it is");
	is_num(vp2p_window_unregister(win, &err), 0, "unregister it");
	is_num(fake.n_windows, 2, "... two are left");
	is_error(vp2p_window_find(dev, 1, 0, &win, &err), ENOENT, &err, "it is found no more");
	is_error(vp2p_window_lookup(dev, 2, 8 * MIB, 0, 0, &win, &err), ENOENT, &err,
		 "... nor by its range");
	is_num(vp2p_window_lookup(dev, 3, 0, 0, 0, &win, &err), 0, "one behind the hole is found");
	is_num(vp2p_window_id(win), 2, "... and keeps its number");
	vp2p_window_destroy(win);
	fake.window_set_errno = EEXIST;
	is_error(create(3, 2 * MIB, 2 * MIB, 0), EEXIST, &err, "overlap behind the hole");
	has_str(err.cause, "window 2: BAR 3", "... is named");
	has_str(err.remedy, "vfio-p2p window remove 0000:03:00.0 2", "... and can be ended");
	fake.window_set_errno = 0;
	is_num(vp2p_window_create(dev, 2, 6 * MIB, 0, 0, &other, &err), 0, "a new one");
	is_num(vp2p_window_id(other), 1, "... gets the free number");
	vp2p_window_destroy(other);
	ok(!strcmp(vp2p_provider_name(VP2P_PROVIDER_OWN), "own") &&
	   !strcmp(vp2p_provider_name(VP2P_PROVIDER_STANDARD), "standard") &&
	   !strcmp(vp2p_provider_name(0), "unknown") && !strcmp(vp2p_provider_name(3), "unknown"),
	   "names of providers");
	ok(!strcmp(vp2p_provider_reason_name(VP2P_PROVIDER_UNTRIED), "untried") &&
	   !strcmp(vp2p_provider_reason_name(VP2P_PROVIDER_ASKED), "asked") &&
	   !strcmp(vp2p_provider_reason_name(5), "unknown"), "names of reasons");
}

static void test_populate(struct vp2p_window *win)
{
	static const struct {
		int kernel, code;
		const char *cause, *remedy;
	} table[] = {
		{ ENOMEM, ENOMEM, "not all of the 4194304 bytes", "vp2p_map()" },
		{ EAGAIN, EAGAIN, "being revoked", "vp2p_wait_live()" },
		{ EIO, EIO, "switched off, or it has gone", "PCI_COMMAND" },
		{ EINTR, EINTR, "a signal came", "call again" },
		{ ENOTTY, EOPNOTSUPP, "older than this library", "touch the pages" },
		{ EACCES, EACCES, "may not be accessed", "mprotect(2)" },
		{ EFAULT, EFAULT, "Bad address", "still there" },
	};
	char *addr;

	is_num(vp2p_map(win, 0, 4 * MIB, 0, (void **)&addr, &err), 0, "map");
	is_num(vp2p_populate(dev, addr, 4 * MIB, &err), 0, "populate");
	ok(fake.populate.address == (uintptr_t)addr && fake.populate.length == 4 * MIB,
	   "... the kernel is asked for that range");
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		fake.populate_errno = table[i].kernel;
		is_error(vp2p_populate(dev, addr, 4 * MIB, &err), table[i].code, &err,
			 strerror(table[i].kernel));
		has_str(err.cause, table[i].cause, "... the cause");
		has_str(err.remedy, table[i].remedy, "... the remedy");
	}
	fake.populate_errno = 0;
	fake.populate.length = 0;
	is_error(vp2p_populate(dev, addr + 1, MIB, &err), EINVAL, &err, "an odd address");
	is_error(vp2p_populate(dev, addr, MIB + 1, &err), EINVAL, &err, "an odd length");
	is_error(vp2p_populate(dev, addr, 0, &err), EINVAL, &err, "nothing");
	is_error(vp2p_populate(dev, (void *)-4096L, 8192, &err), EINVAL, &err, "beyond the end");
	is_num((long long)fake.populate.length, 0, "the kernel was not asked");
	vp2p_unmap(addr, 4 * MIB, NULL);
}

static void test_export(struct vp2p_window *win)
{
	static const struct {
		int kernel, code;
		const char *cause, *remedy;
	} table[] = {
		{ ENOMEM, ENOMEM, "no memory", "free some" },
		{ EACCES, EACCES, "open for reading only", "VP2P_EXPORT_RDONLY" },
		{ EMFILE, EMFILE, "no file is left", "ulimit -n" },
		{ ENFILE, ENFILE, "no file is left", "fs.file-max" },
		{ ENOTTY, EOPNOTSUPP, "older than this library", "module of this release" },
		{ EFAULT, EFAULT, "Bad address", "still there" },
	};
	int fd = -1;

	is_num(vp2p_window_export(win, 4096, 8192, VP2P_EXPORT_RDONLY, &fd, &err), 0, "export");
	ok(fd >= 0 && fcntl(fd, F_GETFD) >= 0, "... an fd");
	ok(fake.export.length == 8192 && fake.export.flags == P2P_VFIO_EXPORT_READ_ONLY &&
	   fake.export.address % 4096 == 0, "... of what was asked for");
	errno = 0;
	ok(msync((void *)(uintptr_t)fake.export.address, 8192, MS_ASYNC) && errno == ENOMEM,
	   "... and the mapping it was made from has gone");
	close(fd);
	is_num(vp2p_window_export(win, MIB, 0, 0, &fd, &err), 0, "up to the end");
	ok(fake.export.length == vp2p_window_length(win) - MIB, "... all there is");
	close(fd);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		fake.export_errno = table[i].kernel;
		is_error(vp2p_window_export(win, 0, MIB, 0, &fd, &err), table[i].code, &err,
			 strerror(table[i].kernel));
		has_str(err.cause, table[i].cause, "... the cause");
		has_str(err.remedy, table[i].remedy, "... the remedy");
	}
	fake.export_errno = 0;
	fake.export.length = 0;
	is_error(vp2p_window_export(win, 1, MIB, 0, &fd, &err), EINVAL, &err, "an odd offset");
	is_error(vp2p_window_export(win, 0, MIB, 2, &fd, &err), EINVAL, &err, "a flag");
	is_error(vp2p_window_export(win, MIB, vp2p_window_length(win), 0, &fd, &err), ERANGE, &err,
		 "beyond the window");
	is_num((long long)fake.export.length, 0, "the kernel was not asked");
}

static void test_bar_info(void)
{
	struct vp2p_bar bar;

	is_num(vp2p_bar_info(dev, 2, &bar, &err), 0, "BAR 2");
	is_num((long long)bar.size, FAKE_BAR_SIZE, "its size");
	is_num((long long)bar.bus_address, 0x800000000, "its address");
	is_num(bar.flags, VP2P_BAR_READ | VP2P_BAR_WRITE | VP2P_BAR_MMAP |
	       VP2P_BAR_PREFETCH | VP2P_BAR_64, "its flags");
	is_num(vp2p_bar_info(dev, 1, &bar, &err), 0, "an absent BAR is no error");
	is_num((long long)bar.size, 0, "... it has no size");
	is_error(vp2p_bar_info(dev, 6, &bar, &err), EINVAL, &err, "no BAR 6");
}

static int count_maps(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	char line[512];
	int n = 0;

	while (fgets(line, sizeof(line), f))
		n += strstr(line, "memfd:device") || strstr(line, "---p");
	fclose(f);
	return n;
}

static void test_map(struct vp2p_window *win)
{
	static const uint64_t offsets[] = { 0, 4096, 2 * MIB, 2 * MIB + 12288 };
	int maps = count_maps(), good = 1;
	char *addr;

	for (size_t i = 0; i < 4; i++) {
		if (vp2p_map(win, offsets[i], 0, 0, (void **)&addr, &err)) {
			good = 0;
			break;
		}
		good &= (uintptr_t)addr % VP2P_GRANULE == offsets[i] % VP2P_GRANULE;
		/* The window begins at 4 MiB of the device's memory. */
		addr[5] = (char)(i + 1);
		good &= pread(fake.memory, &addr[6], 1, (off_t)(4 * MIB + offsets[i] + 5)) == 1 &&
			addr[6] == (char)(i + 1);
		good &= count_maps() == maps + 1;
		good &= !vp2p_unmap(addr, 6 * MIB - offsets[i], &err);
	}
	ok(good, "congruent addresses, the right memory, no slack left");
	is_num(count_maps(), maps, "nothing left mapped");

	is_error(vp2p_map(win, 1, 4096, 0, (void **)&addr, &err), EINVAL, &err, "offset 1");
	is_error(vp2p_map(win, 0, 100, 0, (void **)&addr, &err), EINVAL, &err, "length 100");
	is_str(err.remedy, "use offset 0 and length 4096", "... and one that would do");
	is_error(vp2p_map(win, 0, UINT64_MAX, 0, (void **)&addr, &err), EINVAL, &err,
		 "the last length");
	is_str(err.remedy, "use offset 0 and length 6291456", "... and the most there is");
	is_error(vp2p_map(win, UINT64_MAX, 1, 0, (void **)&addr, &err), EINVAL, &err,
		 "the last offset");
	is_str(err.remedy, "use offset 6287360 and length 4096", "... and the last that is one");
	is_error(vp2p_map(win, 4096, 6 * MIB, 0, (void **)&addr, &err), ERANGE, &err,
		 "beyond the window");
	is_error(vp2p_map(win, 6 * MIB, 0, 0, (void **)&addr, &err), ERANGE, &err,
		 "at the window's end");
	is_str(err.remedy, "use a lower offset", "... where length 0 would not do");
	is_error(vp2p_map(win, 0, 0, 2, (void **)&addr, &err), EINVAL, &err, "bad flag");
	is_error(vp2p_unmap((void *)1, 4096, &err), EINVAL, &err, "unmap an odd address");
	is_num(vp2p_map(win, 0, 4096, 0, (void **)&addr, &err), 0, "map a page");
	is_error(vp2p_unmap(addr, 1, &err), EINVAL, &err, "unmap a byte");
	is_num(count_maps(), maps + 1, "... and it is still mapped");
	is_num(vp2p_unmap(addr, 4096, &err), 0, "unmap the page");
	is_error(vp2p_unmap(addr, 0, &err), EINVAL, &err, "unmap nothing");
	is_num(count_maps(), maps, "failures leave nothing mapped");
}

static void test_map_fails(struct vp2p_window *win)
{
	struct vp2p_window broken = *win;
	struct vp2p_device nowhere = *dev;
	int maps = count_maps();
	void *addr;

	nowhere.fd = open_fds() + 100;
	broken.dev = &nowhere;
	is_error(vp2p_map(&broken, 0, 0, 0, &addr, &err), EBADF, &err, "mmap fails");
	is_num(count_maps(), maps, "... and the reserved room is given back");
}

static int steals, mmap_errno;
static char *stolen;

/*
 * The kernel takes what MAP_FIXED covers away before it asks the device, and another
 * thread is given that room before the device has refused.
 */
static void *stealing_mmap(void *addr, size_t length, int prot, int flags, int fd, off_t at)
{
	if (fd < 0 || !steals)
		return mmap(addr, length, prot, flags, fd, at);
	steals--;
	munmap(addr, length);
	stolen = mmap(addr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	errno = mmap_errno;
	return MAP_FAILED;
}

static int stolen_is_whole(void)
{
	unsigned char there;

	return !mincore(stolen, 4096, &there) && !munmap(stolen, 4096);
}

static void test_map_race(struct vp2p_window *win)
{
	int maps = count_maps();
	void *addr;

	vp2p__host.mmap = stealing_mmap;
	steals = 1;
	mmap_errno = ENODEV;
	is_error(vp2p_map(win, 0, 0, 0, &addr, &err), ENODEV, &err, "the device refuses");
	ok(stolen_is_whole(), "... and another thread's mapping in that room stays");
	steals = 1;
	mmap_errno = EEXIST;
	is_num(vp2p_map(win, 0, 0, 0, &addr, &err), 0, "another thread took the room: again");
	ok(stolen_is_whole(), "... and its mapping stays");
	vp2p_unmap(addr, 6 * MIB, NULL);
	steals = 1000;
	is_error(vp2p_map(win, 0, 0, 0, &addr, &err), EAGAIN, &err, "... but not for ever");
	ok(steals > 900, "... it gave up");
	vp2p__host.mmap = mmap;
	is_num(count_maps(), maps, "nothing is left mapped");
}

static void test_map_bar(void)
{
	char *addr;

	is_num(vp2p_map_bar(dev, 2, 2 * MIB, 4096, (void **)&addr, &err), 0, "map a BAR");
	is_num((long long)((uintptr_t)addr % VP2P_GRANULE), 0, "aligned");
	addr[0] = 1;
	vp2p_unmap(addr, 4096, NULL);
	is_error(vp2p_map_bar(dev, 1, 0, 0, (void **)&addr, &err), ENXIO, &err, "absent");
	is_error(vp2p_map_bar(dev, 4, 0, 0, (void **)&addr, &err), ENXIO, &err, "I/O BAR");
	is_error(vp2p_map_bar(dev, 6, 0, 0, (void **)&addr, &err), EINVAL, &err, "BAR 6");
	is_error(vp2p_map_bar(dev, 2, 0, 17 * MIB, (void **)&addr, &err), ERANGE, &err,
		 "beyond");
	is_num(vp2p_map_bar(dev, 3, 2 * MIB, 0, (void **)&addr, &err), 0, "a sparse area");
	addr[5] = 77;
	ok(pread(fake.memory, &addr[6], 1, FAKE_BAR_SIZE + 2 * MIB + 5) == 1 &&
	   addr[6] == 77, "the right memory");
	vp2p_unmap(addr, 6 * MIB, NULL);
	is_num(vp2p_map_bar(dev, 3, 0, MIB, (void **)&addr, &err), 0, "the other area");
	vp2p_unmap(addr, MIB, NULL);
	is_error(vp2p_map_bar(dev, 3, 0, 2 * MIB, (void **)&addr, &err), EACCES, &err,
		 "into the hole");
	is_error(vp2p_map_bar(dev, 3, MIB, 4096, (void **)&addr, &err), EACCES, &err,
		 "in the hole");
}

static void make_resource(void)
{
	char line[1024];
	FILE *f;

	/* tree_add() writes files of one line; this one has six. */
	snprintf(line, sizeof(line), "%s/sys/bus/pci/devices/0000:03:00.0/resource",
		 vp2p__root);
	f = fopen(line, "w");
	if (!f)
		exit(99);
	fputs(resource, f);
	fclose(f);
}

int main(void)
{
	struct vp2p_window *win;

	tree_make(tree);
	tree_add("/sys/bus/pci/devices/0000:03:00.0/resource = x\n");
	fake_install();
	dev = fake_device();

	make_resource();
	test_rules();
	test_unaligned_bar();
	make_resource();
	test_kernel();
	test_no_address();
	test_windows();
	test_lookup();
	test_unregister();
	test_bar_info();
	if (vp2p_window_create(dev, 2, 4 * MIB, 6 * MIB, 0, &win, &err))
		return 99;
	test_map(win);
	test_populate(win);
	test_export(win);
	test_map_fails(win);
	test_map_race(win);
	test_map_bar();
	vp2p_window_destroy(win);
	vp2p_close(dev);
	tree_remove();
	return TAP_DONE();
}
