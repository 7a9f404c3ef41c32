/* SPDX-License-Identifier: MIT */
/* names.c - vendor and device names out of pci.ids, where libpci is there */
#include "device.h"

#ifdef HAVE_LIBPCI
#include <pci/pci.h>
#include <stdio.h>
#include <stdlib.h>

#include "text.h"

static void be_silent(char *format, ...)
{
	(void)format;
}

static _Noreturn void give_up(char *format, ...)
{
	fprintf(stderr, "vfio-p2p: libpci gave up: %s\n", format);
	exit(EXIT_FAILURE);
}

/*
 * pci_alloc() without pci_init(): names need no access to the machine's devices,
 * and pci_init() exits where there is none.  But it is pci_init() that would set
 * these functions.
 */
static struct pci_access *names(void)
{
	static struct pci_access *access;

	if (!access) {
		access = pci_alloc();
		access->error = give_up;
		access->warning = be_silent;
		access->debug = be_silent;
	}
	return access;
}

const char *device_name(const struct device *device)
{
	/* udev's hwdb is made from pci.ids, and asking it leaks memory. */
	const int flags = PCI_LOOKUP_VENDOR | PCI_LOOKUP_DEVICE |
			  PCI_LOOKUP_NO_NUMBERS | PCI_LOOKUP_NO_HWDB;
	char name[256];

	if (!pci_lookup_name(names(), name, sizeof(name), flags,
			     device->vendor, device->product))
		return "";
	return text("%s", name);
}

#else

const char *device_name(const struct device *device)
{
	(void)device;
	return "";
}

#endif
