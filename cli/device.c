/* SPDX-License-Identifier: MIT */
/* device.c - a PCI device as sysfs shows it, without opening it */
#include "device.h"

#include <inttypes.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "sysfs.h"
#include "text.h"

/* Bits of the third number in "resource", from the kernel's <linux/ioport.h>. */
#define RESOURCE_MEMORY		0x00000200
#define RESOURCE_PREFETCH	0x00002000
#define RESOURCE_64BIT		0x00100000
#define RESOURCE_UNSET		0x20000000

#define CONFIG_SIZE	256
#define HEADER_SIZE	64	/* what a user without privilege may read */

char *device_path(const char *bdf, const char *name)
{
	return host_path("/sys/bus/pci/devices/%s/%s", bdf, name);
}

static void load_bars(struct device *device)
{
	FILE *file = fopen(device_path(device->bdf, "resource"), "re");
	uint64_t start, end, flags;
	unsigned int i;

	if (!file)
		return;
	for (i = 0; i < DEVICE_BARS; i++) {
		if (fscanf(file, "%" SCNx64 " %" SCNx64 " %" SCNx64, &start,
			   &end, &flags) != 3)
			break;
		if (!(flags & RESOURCE_MEMORY) || end < start)
			continue;
		device->bars[i] = (struct bar){
			.memory = true,
			.prefetchable = flags & RESOURCE_PREFETCH,
			.wide = flags & RESOURCE_64BIT,
			.assigned = start && !(flags & RESOURCE_UNSET),
			.start = start,
			.size = end - start + 1,
		};
	}
	fclose(file);
}

static uint32_t config_u16(const uint8_t *config, unsigned int at)
{
	return config[at] | config[at + 1] << 8;
}

static uint32_t config_u32(const uint8_t *config, unsigned int at)
{
	return config_u16(config, at) | config_u16(config, at + 2) << 16;
}

static void place_tables(struct device *device, const uint8_t *capability)
{
	unsigned int vectors =
		(config_u16(capability, PCI_MSIX_FLAGS) &
		 PCI_MSIX_FLAGS_QSIZE) + 1;
	uint32_t table = config_u32(capability, PCI_MSIX_TABLE);
	uint32_t pending = config_u32(capability, PCI_MSIX_PBA);

	device->msix = MSIX_PRESENT;
	device->tables[0] = (struct table_place){
		.bar = table & PCI_MSIX_TABLE_BIR,
		.offset = table & PCI_MSIX_TABLE_OFFSET,
		.length = vectors * PCI_MSIX_ENTRY_SIZE,
	};
	device->tables[1] = (struct table_place){
		.bar = pending & PCI_MSIX_PBA_BIR,
		.offset = pending & PCI_MSIX_PBA_OFFSET,
		.length = (vectors + 63) / 64 * 8,
	};
}

/* Walks the capability list; a broken one ends the walk, not the tool. */
static void find_msix(struct device *device, const uint8_t *config)
{
	unsigned int at = config[PCI_CAPABILITY_LIST] & ~3u;
	unsigned int left = (CONFIG_SIZE - HEADER_SIZE) / 4;

	device->msix = MSIX_NONE;
	if (!(config_u16(config, PCI_STATUS) & PCI_STATUS_CAP_LIST))
		return;
	for (; at >= HEADER_SIZE && at <= CONFIG_SIZE - PCI_CAP_MSIX_SIZEOF &&
	     left; left--) {
		if (config[at] == PCI_CAP_ID_MSIX) {
			place_tables(device, config + at);
			return;
		}
		at = config[at + PCI_CAP_LIST_NEXT] & ~3u;
	}
}

static void load_msix(struct device *device)
{
	FILE *file = fopen(device_path(device->bdf, "config"), "re");
	uint8_t config[CONFIG_SIZE];
	size_t size;

	if (!file)
		return;
	/* Unbuffered: stdio would read ahead into extended config space. */
	setvbuf(file, NULL, _IONBF, 0);
	size = fread(config, 1, sizeof(config), file);
	fclose(file);
	if (size == sizeof(config))
		find_msix(device, config);
}

static const char *load_override(const char *bdf)
{
	const char *override =
		attribute_read(device_path(bdf, "driver_override"));

	if (!override || !*override || !strcmp(override, "(null)"))
		return NULL;
	return override;
}

struct device *device_load(const char *bdf)
{
	struct device *device;
	const char *group;

	if (!path_exists(device_path(bdf, "vendor")))
		return NULL;
	device = keep(sizeof(*device));
	snprintf(device->bdf, sizeof(device->bdf), "%s", bdf);
	device->vendor = attribute_u64(device_path(bdf, "vendor"), 0);
	device->product = attribute_u64(device_path(bdf, "device"), 0);
	device->class = attribute_u64(device_path(bdf, "class"), 0);
	device->driver = link_target(device_path(bdf, "driver"));
	device->override = load_override(bdf);
	group = link_target(device_path(bdf, "iommu_group"));
	device->group = group ? atoi(group) : NO_GROUP;
	load_bars(device);
	load_msix(device);
	return device;
}

char **device_group_peers(const struct device *device)
{
	char **names, **from, **to;

	if (device->group == NO_GROUP)
		return keep(sizeof(*names));
	names = directory_names(host_path("/sys/kernel/iommu_groups/%d/devices",
					  device->group));
	for (from = to = names; *from; from++)
		if (strcmp(*from, device->bdf))
			*to++ = *from;
	*to = NULL;
	return names;
}

bool driver_allows_group(const char *driver)
{
	return !driver || strstr(driver, "vfio") ||
	       !strcmp(driver, "pci-stub") || !strcmp(driver, "pcieport");
}

bool device_is_bridge(const struct device *device)
{
	return device->class >> 8 == 0x0604;
}

bool device_is_ours(const struct device *device)
{
	return device->driver && !strcmp(device->driver, DRIVER_NAME);
}

int device_load_ours(const char *bdf, const char *step, const struct device **out)
{
	const struct device *device = device_load(bdf);

	if (!device)
		return fail(EXIT_IMPOSSIBLE, bdf, step, "there is no such PCI device",
			    "vfio-p2p list --all shows the devices");
	if (!device_is_ours(device))
		return fail(EXIT_IMPOSSIBLE, bdf, step, device->driver ?
			    text("it is bound to %s, not to " DRIVER_NAME,
				 device->driver) : "it is bound to no driver",
			    text("vfio-p2p bind %s", bdf));
	*out = device;
	return EXIT_OK;
}
