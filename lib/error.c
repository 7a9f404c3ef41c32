// SPDX-License-Identifier: MIT
/*
 * error.c - the error object
 *
 * Each failing statement of the library makes its whole error at once, from one
 * format "cause MEND remedy": the two belong together, and neither is forgotten.
 */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "internal.h"

/* Bytes of the UTF-8 character that begins with @lead; 1 for all that begins none. */
static size_t char_length(unsigned char lead)
{
	return lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
}

size_t vp2p__whole_chars(const char *text, size_t length)
{
	size_t last = length;

	while (last && length - last < 3 && ((unsigned char)text[last - 1] & 0xc0) == 0x80)
		last--;
	if (last && char_length((unsigned char)text[last - 1]) > length - last + 1)
		return last - 1;
	return length;
}

/* Names of files and the like may hold anything; the text stays on one line. */
static void set_text(char *to, size_t size, const char *from)
{
	size_t length = strnlen(from, size - 1);

	if (from[length])
		length = vp2p__whole_chars(from, length);

	for (size_t i = 0; i < length; i++)
		to[i] = iscntrl((unsigned char)from[i]) ? '?' : from[i];
	to[length] = '\0';
}

int vp2p__fail(struct vp2p_error *err, int code, const char *device,
	       const char *step, const char *format, ...)
{
	char text[sizeof(err->cause) + sizeof(err->remedy)];
	char *remedy;
	va_list ap;
	int n;

	if (!err)
		return -code;

	va_start(ap, format);
	n = vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	if (n >= (int)sizeof(text))
		text[vp2p__whole_chars(text, sizeof(text) - 1)] = '\0';

	/* From the end: a name inside the cause may hold any character. */
	remedy = strrchr(text, MEND[0]);
	if (remedy)
		*remedy++ = '\0';

	memset(err, 0, sizeof(*err));
	err->code = code;
	set_text(err->device, sizeof(err->device), device);
	set_text(err->step, sizeof(err->step), step);
	set_text(err->cause, sizeof(err->cause), text);
	set_text(err->remedy, sizeof(err->remedy),
		 remedy ? remedy : "see the kernel log (dmesg)");
	return -code;
}

const char *vp2p__errno_name(int code)
{
	const char *name = strerrorname_np(code);

	return name ? name : "unknown error";
}

int vp2p_error_format(const struct vp2p_error *err, char *buf, size_t size)
{
	return snprintf(buf, size, "%s: could not %s: %s (%s).  Remedy: %s.",
			err->device, err->step, err->cause,
			vp2p__errno_name(err->code), err->remedy);
}

const char *vp2p_version(void)
{
	return VP2P_VERSION;
}
