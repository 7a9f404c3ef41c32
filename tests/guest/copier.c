// SPDX-License-Identifier: MIT
/* A device that does DMA to where it is told: see copier.h. */
#define _GNU_SOURCE
#include "copier.h"
#include "harness.h"

#include <errno.h>
#include <linux/pci_regs.h>

/* Registers of BAR 0, from QEMU's docs/specs/edu. */
#define IDENTITY	0x00
#define DMA_SOURCE	0x80
#define DMA_TARGET	0x88
#define DMA_COUNT	0x90
#define DMA_COMMAND	0x98
#define DMA_START	1u
#define DMA_TO_MEMORY	2u
#define OWN_MEMORY	0x40000

#define REGISTERS	4096

static volatile uint64_t *wide(struct copier *c, unsigned int at)
{
	return (volatile uint64_t *)(c->regs + at);
}

static int be_master(const struct dev *d)
{
	uint16_t command = 0;

	if (dev_config_read(d, PCI_COMMAND, &command, 2) != 2)
		return -EIO;
	command |= PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY;
	return dev_config_write(d, PCI_COMMAND, &command, 2) == 2 ? 0 : -EIO;
}

int copier_open(struct copier *c, const struct dev *first, const char *role)
{
	int err = dev_open_within(&c->d, first, role);

	if (err)
		return err;
	c->regs = dev_map_raw(&c->d, 0, 0, REGISTERS);
	if (!c->regs)
		return -errno;
	return (*(volatile uint32_t *)(c->regs + IDENTITY) & 0xff) == 0xed ? be_master(&c->d) : -ENODEV;
}

static int run(struct copier *c, uint64_t from, uint64_t to, size_t length, unsigned int way)
{
	*wide(c, DMA_SOURCE) = from;
	*wide(c, DMA_TARGET) = to;
	*wide(c, DMA_COUNT) = length;
	*wide(c, DMA_COMMAND) = DMA_START | way;
	return h_wait_until(!(*wide(c, DMA_COMMAND) & DMA_START), 10000) ? 0 : -ETIMEDOUT;
}

int copier_fetch(struct copier *c, uint64_t iova, size_t length)
{
	return run(c, iova, OWN_MEMORY, length, 0);
}

int copier_store(struct copier *c, uint64_t iova, size_t length)
{
	return run(c, OWN_MEMORY, iova, length, DMA_TO_MEMORY);
}
