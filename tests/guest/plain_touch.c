// SPDX-License-Identifier: MIT
/* A device's regions: mapped, read, written; its config space. See t_plain.c. */
#define _GNU_SOURCE
#include "pattern.h"
#include "plain.h"

#include <fcntl.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096

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

void mappings(void)
{
	static const unsigned int beyond[] = { 10, 11, 64, 0x10000, 0x7effff, 0x7fffff };

	for (unsigned int i = 0; i < VFIO_PCI_NUM_REGIONS; i++)
		map_region(i);
	for (size_t i = 0; i < sizeof(beyond) / sizeof(*beyond); i++)
		try_map((off_t)beyond[i] << 40, PAGE, PROT_READ, MAP_SHARED);
}

/* What the ordinary mapping is good for: DMA mapping; and what not: direct I/O. */
void uses_of_mapping(void)
{
	int bar = dev_bar(&d), disk = open(h_disk("raw"), O_RDWR | O_DIRECT);
	char *map = dev_map_raw(&d, bar, 0, 1 << 20);

	say("DMA mapping of the BAR: %d\n", dev_dma_map(&d, map, 1 << 30, 1 << 20));
	say("undone: %d\n", dev_dma_unmap(&d, 1 << 30, 1 << 20));
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

void regions(void)
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

void dump_config(const char *when)
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

void config_writes(void)
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
