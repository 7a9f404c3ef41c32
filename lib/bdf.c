// SPDX-License-Identifier: MIT
/* bdf.c - PCI addresses: "dddd:bb:dd.f", the domain with up to 8 digits or absent */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "internal.h"

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Reads @min to @max hex digits and the character @end after them. */
static bool hex_field(const char **text, int min, int max, char end, uint32_t *value)
{
	const char *p = *text;
	uint32_t v = 0;
	int digits = 0;

	for (; digits < max && hex_digit(*p) >= 0; p++, digits++)
		v = v << 4 | (uint32_t)hex_digit(*p);
	if (digits < min || *p != end)
		return false;
	*text = end ? p + 1 : p;
	*value = v;
	return true;
}

bool vp2p__bdf_parse(const char *text, struct vp2p__bdf *bdf)
{
	const char *colon = text ? strchr(text, ':') : NULL;
	uint32_t domain = 0, bus, dev, fn;

	if (!colon)
		return false;
	if (strchr(colon + 1, ':') && !hex_field(&text, 1, 8, ':', &domain))
		return false;
	if (!hex_field(&text, 1, 2, ':', &bus) ||
	    !hex_field(&text, 1, 2, '.', &dev) || dev > 0x1f ||
	    !hex_field(&text, 1, 1, '\0', &fn) || fn > 7)
		return false;

	bdf->domain = domain;
	bdf->bus = (uint8_t)bus;
	bdf->devfn = (uint8_t)(dev << 3 | fn);
	return true;
}

void vp2p__bdf_print(const struct vp2p__bdf *bdf, char out[VP2P_BDF_LEN])
{
	snprintf(out, VP2P_BDF_LEN, "%04x:%02x:%02x.%x", bdf->domain, bdf->bus,
		 bdf->devfn >> 3, bdf->devfn & 7u);
}

int vp2p_bdf_normalize(const char *bdf, char out[VP2P_BDF_LEN], struct vp2p_error *err)
{
	struct vp2p__bdf parsed;

	if (!vp2p__bdf_parse(bdf, &parsed))
		return vp2p__fail(err, EINVAL, bdf && *bdf ? bdf : "(no address)",
				  "read the PCI address",
				  "it is not of the form dddd:bb:dd.f" MEND
				  "give an address as lspci -D prints it, such as 0000:03:00.0");
	vp2p__bdf_print(&parsed, out);
	return 0;
}
