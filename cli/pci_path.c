/* SPDX-License-Identifier: MIT */
/* pci_path.c - the bridges above a PCI device */
#include "pci_path.h"

#include <fcntl.h>
#include <linux/pci_regs.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "device.h"
#include "text.h"

#define EXTENDED	256	/* extended config space begins here */
#define CONFIG_END	4096

/* The last component of @path, cut off; NULL where there is none left. */
static const char *cut_last(char *path)
{
	char *slash = strrchr(path, '/');

	if (!slash)
		return NULL;
	*slash = '\0';
	return slash + 1;
}

/*
 * A device's real folder is .../pci0000:00/0000:00:04.0/0000:01:00.0; what leads a
 * root bus may be other things (a VMD controller's bridge).
 */
bool pci_path_load(const char *bdf, struct pci_path *path)
{
	char *resolved = realpath(device_path(bdf, ""), NULL);
	char *rest = resolved;
	const char *name;

	memset(path, 0, sizeof(*path));
	while (rest && (name = cut_last(rest)) && path->count < PCI_PATH_MAX) {
		if (parse_bdf(name, path->bdf[path->count])) {
			snprintf(path->root, sizeof(path->root), "%s", name);
			break;
		}
		path->count++;
	}
	free(resolved);
	return path->count && *path->root;
}

int pci_path_meet(const struct pci_path *a, const struct pci_path *b)
{
	unsigned int i, k;

	for (i = 0; i < a->count; i++)
		for (k = 0; k < b->count; k++)
			if (!strcmp(a->bdf[i], b->bdf[k]))
				return (int)i;
	return -1;
}

static bool read_config(int fd, void *to, size_t size, unsigned int at)
{
	return pread(fd, to, size, at) == (ssize_t)size;
}

/*
 * Return: where the ACS capability lies, 0 if there is none, -1 if it cannot be
 * read.  A list that never ends is one without ACS.
 */
static int find_acs(int fd)
{
	unsigned int left = (CONFIG_END - EXTENDED) / 8;
	unsigned int at = EXTENDED;
	uint32_t header;

	if (!read_config(fd, &header, sizeof(header), at))
		return -1;
	for (; left && at >= EXTENDED; left--) {
		if (!read_config(fd, &header, sizeof(header), at) || !header ||
		    header == UINT32_MAX)
			return 0;
		if (PCI_EXT_CAP_ID(header) == PCI_EXT_CAP_ID_ACS)
			return (int)at;
		at = PCI_EXT_CAP_NEXT(header);
	}
	return 0;
}

static const char *name_bits(unsigned int control)
{
	return text("%s%s%s", control & PCI_ACS_RR ? " RR" : "",
		    control & PCI_ACS_CR ? " CR" : "",
		    control & PCI_ACS_EC ? " EC" : "");
}

/* A port of conventional PCI has no extended config space, and no ACS. */
static enum acs_state unreadable(int fd)
{
	return lseek(fd, 0, SEEK_END) == EXTENDED ? ACS_ABSENT : ACS_UNKNOWN;
}

enum acs_state acs_state(const char *bdf, const char **bits)
{
	int fd = open(device_path(bdf, "config"), O_RDONLY | O_CLOEXEC);
	enum acs_state state = ACS_UNKNOWN;
	uint16_t control = 0;
	int at;

	*bits = "";
	if (fd < 0)
		return state;
	at = find_acs(fd);
	if (at < 0)
		state = unreadable(fd);
	else if (!at)
		state = ACS_ABSENT;
	else if (read_config(fd, &control, sizeof(control), at + PCI_ACS_CTRL))
		state = control & (PCI_ACS_RR | PCI_ACS_CR | PCI_ACS_EC) ?
			ACS_REDIRECTS : ACS_PASSES;
	close(fd);
	*bits = name_bits(control);
	return state;
}
