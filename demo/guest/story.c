// SPDX-License-Identifier: MIT
#include "story.h"

#include "harness.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LINE 320

#define FORMAT(buf, fmt) \
	do { \
		va_list ap; \
		va_start(ap, fmt); \
		vsnprintf(buf, sizeof(buf), fmt, ap); \
		va_end(ap); \
	} while (0)

void tell_chapter(const char *fmt, ...)
{
	char text[LINE];

	FORMAT(text, fmt);
	h_diag("|");
	h_diag("| %s", text);
}

void tell(const char *label, const char *fmt, ...)
{
	char text[LINE];

	FORMAT(text, fmt);
	h_diag("|   %-20s%s", label, text);
}

void tell_time(double ms, const char *what, const char *fmt, ...)
{
	char text[LINE];

	FORMAT(text, fmt);
	h_diag("|   %9.2f ms      %-20s%s", ms, what, text);
}

const char *grouped(uint64_t n)
{
	static char ring[8][32];
	static unsigned int next;
	char digits[24], *out = ring[next++ % 8], *to = out;
	int len = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)n);

	for (int i = 0; i < len; i++) {
		if (i && (len - i) % 3 == 0)
			*to++ = ' ';
		*to++ = digits[i];
	}
	*to = 0;
	return out;
}

void give_up(const struct vp2p_error *err)
{
	char text[VP2P_ERROR_TEXT];

	vp2p_error_format(err, text, sizeof(text));
	h_bail("%s", text);
}

void give_up_errno(const char *what)
{
	h_bail("%s: %s", what, strerror(errno));
}
