/* SPDX-License-Identifier: MIT */
/* report.c - the library's error object as the tool's message and exit code */
#include "report.h"

#include <errno.h>
#include <string.h>

#include "cli.h"
#include "text.h"

static enum exit_code exit_code_of(int error)
{
	switch (error) {
	case EINVAL:
	case ERANGE:
		return EXIT_USAGE;
	case EOPNOTSUPP:
	case EXDEV:
	case EADDRINUSE:
	case ENXIO:
	case ENODEV:
		return EXIT_IMPOSSIBLE;
	case EBUSY:
	case ETIMEDOUT:
		return EXIT_BUSY;
	default:
		return EXIT_FAILED;
	}
}

/* The library names its flags; a user of the tool needs its options. */
static const char *remedy_of(const struct vp2p_error *err)
{
	static const struct {
		const char *flag, *option;
	} words[] = {
		{ "VP2P_COPY_ALLOW_TAIL", "--allow-tail" },
		{ "VP2P_COPY_MEMORY_KEPT", "--memory-kept" },
	};
	const char *at;
	size_t i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		at = strstr(err->remedy, words[i].flag);
		if (at)
			return text("%.*s%s%s", (int)(at - err->remedy),
				    err->remedy, words[i].option,
				    at + strlen(words[i].flag));
	}
	return err->remedy;
}

int report(const struct vp2p_error *err)
{
	return fail(exit_code_of(err->code), err->device, err->step, err->cause,
		    remedy_of(err));
}

void report_json(struct json_object *object, const struct vp2p_error *err)
{
	struct json_object *error = json_add_object(object, "error");

	json_add_u64(error, "errno", err->code);
	json_add_string(error, "device", err->device);
	json_add_string(error, "step", err->step);
	json_add_string(error, "cause", err->cause);
	json_add_string(error, "remedy", remedy_of(err));
}
