/* SPDX-License-Identifier: MIT */
/* check_error.h - what must hold for every error the library makes */
#ifndef CHECK_ERROR_H
#define CHECK_ERROR_H

#include <string.h>

#include "tap.h"
#include "vfio-p2p.h"

static inline int complete_text(const char *text)
{
	size_t n = strlen(text);

	return n && text[n - 1] != '.' && text[n - 1] != '\n' && !strchr(text, '\x1f');
}

/* @rc is the call's result, and the error it filled in is whole. */
static inline void is_error(int rc, int code, struct vp2p_error *err, const char *name)
{
	int whole = rc == -code && err->code == code && complete_text(err->device) &&
		    complete_text(err->step) && complete_text(err->cause) &&
		    complete_text(err->remedy);

	if (!ok(whole, "%s", name))
		printf("# rc %d (want -%d), code %d\n# device \"%s\"\n# step \"%s\"\n"
		       "# cause \"%s\"\n# remedy \"%s\"\n", rc, code, err->code,
		       err->device, err->step, err->cause, err->remedy);
}

/* The same, with the whole text. */
static inline void is_error_text(int rc, int code, struct vp2p_error *err,
				 const char *want, const char *name)
{
	char text[VP2P_ERROR_TEXT];

	is_error(rc, code, err, name);
	ok((size_t)vp2p_error_format(err, text, sizeof(text)) < sizeof(text),
	   "%s: fits VP2P_ERROR_TEXT", name);
	is_str(text, want, name);
}

#endif /* CHECK_ERROR_H */
