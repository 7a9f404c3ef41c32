/* SPDX-License-Identifier: MIT */
/* parse.c - sizes, PCI addresses and places in a BAR, as a user writes them */
#include "parse.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define BARS 6
#define LEAST_SECONDS 0.001
#define MOST_SECONDS 3600

/* The power of two a suffix stands for, or -1. */
static int suffix_shift(const char *suffix)
{
	static const char units[] = "kmgt";
	const char *unit;

	if (!*suffix)
		return 0;
	unit = strchr(units, tolower((unsigned char)*suffix));
	if (!unit || (suffix[1] && strcasecmp(suffix + 1, "ib")))
		return -1;
	return 10 * (int)(unit - units + 1);
}

const char *parse_size(const char *string, uint64_t *bytes)
{
	bool hex = string[0] == '0' && tolower((unsigned char)string[1]) == 'x';
	const char *digits = hex ? string + 2 : string;
	unsigned long long value;
	char *end;
	int shift;

	if (!*string)
		return "is empty; a number of bytes is needed";
	/* strtoull() would take blanks, a sign and a second "0x". */
	if (!(hex ? isxdigit((unsigned char)*digits) :
		    isdigit((unsigned char)*digits)))
		return "does not begin with a digit";
	if (hex && tolower((unsigned char)digits[1]) == 'x')
		return "has more than one 0x";
	errno = 0;
	value = strtoull(digits, &end, hex ? 16 : 10);
	if (errno == ERANGE)
		return "does not fit into 64 bits";
	shift = suffix_shift(end);
	if (shift < 0)
		return "ends in no known unit (K, M, G and T are powers of "
		       "1024)";
	if (value > UINT64_MAX >> shift)
		return "does not fit into 64 bits";
	*bytes = (uint64_t)value << shift;
	return NULL;
}

const char *parse_count(const char *string, unsigned int most, unsigned int *count)
{
	size_t digits = strspn(string, "0123456789");
	unsigned long value;

	if (!*string)
		return "is empty; a whole number is needed";
	if (!digits || string[digits])
		return "is no whole number in decimal digits";
	errno = 0;
	value = strtoul(string, NULL, 10);
	if (errno == ERANGE || value > most)
		return "is too large";
	*count = (unsigned int)value;
	return NULL;
}

const char *parse_seconds(const char *string, double *seconds)
{
	char *end;
	/* strtod() would take blanks, signs, "inf" and "nan". */
	double value = isdigit((unsigned char)*string) ? strtod(string, &end) : 0;

	if (value < LEAST_SECONDS || *end || value > MOST_SECONDS)
		return "is no time from 0.001 to 3600 seconds";
	*seconds = value;
	return NULL;
}

/*
 * Reads 1 to @most hex digits followed by @stop.  Returns what follows @stop,
 * or NULL.
 */
static const char *hex_field(const char *string, unsigned int most, char stop,
			     unsigned long *value)
{
	unsigned int digits = 0;

	while (digits <= most && isxdigit((unsigned char)string[digits]))
		digits++;
	if (!digits || digits > most || string[digits] != stop)
		return NULL;
	*value = strtoul(string, NULL, 16);
	return string + digits + 1;
}

/* Reads a PCI address that ends at the end of the string or at a colon. */
static const char *bdf_prefix(const char *string, char bdf[BDF_SIZE])
{
	unsigned long domain = 0, bus, device;
	const char *at = string;
	const char *rest;

	/* A domain is there if a second colon comes before the dot. */
	rest = hex_field(at, 8, ':', &domain);
	if (rest && hex_field(rest, 2, ':', &bus))
		at = rest;
	else
		domain = 0;
	at = hex_field(at, 2, ':', &bus);
	if (at)
		at = hex_field(at, 2, '.', &device);
	if (!at || device > 0x1f || *at < '0' || *at > '7' ||
	    (at[1] && at[1] != ':'))
		return NULL;
	snprintf(bdf, BDF_SIZE, "%04lx:%02lx:%02lx.%c", domain, bus, device,
		 *at);
	return at + 1;
}

const char *parse_bdf(const char *string, char bdf[BDF_SIZE])
{
	char found[BDF_SIZE];
	const char *rest = bdf_prefix(string, found);

	if (!rest || *rest)
		return "is no PCI address (DOMAIN:BUS:DEVICE.FUNCTION in hex, "
		       "as in 0000:03:00.0 or 03:00.0)";
	memcpy(bdf, found, BDF_SIZE);
	return NULL;
}

/* Reads "BAR[+OFFSET[,LENGTH]]" or, without @sized, "BAR[+OFFSET]". */
static const char *parse_span(const char *string, bool sized, struct span *span)
{
	struct span found = { .bar = string[0] - '0' };
	const char *rest = string + 1;
	const char *wrong;
	char *comma;
	char buffer[64];

	if (string[0] < '0' || string[0] >= '0' + BARS)
		return "names no BAR (a digit, 0 to 5)";
	if (*rest && *rest != '+')
		return sized ? "is not of the form BAR[+OFFSET[,LENGTH]]" :
			       "is not of the form DEVICE:BAR[+OFFSET]";
	if (strlen(rest) >= sizeof(buffer))
		return "is too long";
	strcpy(buffer, rest);
	comma = strchr(buffer, ',');
	if (comma && !sized)
		return "has a length; give it by --size";
	if (comma)
		*comma++ = '\0';
	wrong = *buffer ? parse_size(buffer + 1, &found.offset) : NULL;
	if (wrong)
		return wrong;
	wrong = comma ? parse_size(comma, &found.length) : NULL;
	if (wrong)
		return wrong;
	if (comma && !found.length)
		return "has a length of 0";
	*span = found;
	return NULL;
}

const char *parse_window(const char *string, struct span *span)
{
	if (*string && strchr(string, ',') && !strchr(string, '+'))
		return "has a length but no offset (BAR[+OFFSET[,LENGTH]])";
	return parse_span(string, true, span);
}

const char *parse_place(const char *string, struct place *place)
{
	struct place found = { 0 };
	const char *rest = bdf_prefix(string, found.bdf);
	const char *wrong;

	if (!rest)
		return "does not begin with a PCI address";
	if (!*rest)
		return "names no BAR (write DEVICE:BAR[+OFFSET])";
	wrong = parse_span(rest + 1, false, &found.span);
	if (!wrong)
		*place = found;
	return wrong;
}

bool looks_like_place(const char *string)
{
	char bdf[BDF_SIZE];

	return bdf_prefix(string, bdf);
}
