/* SPDX-License-Identifier: MIT */
/* report.c - the library's error object as the tool's message and exit code */
#include "report.h"

#include <errno.h>
#include <string.h>

#include "cli.h"
#include "interrupt.h"
#include "text.h"

static enum exit_code exit_code_of(int error)
{
	switch (error) {
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

const char *report_remedy(const struct vp2p_error *err)
{
	static const struct {
		const char *flag, *option;
	} words[] = {
		{ "VP2P_COPY_ALLOW_TAIL", "--allow-tail" },
		{ "VP2P_COPY_BOUNCE_ALLOW", "--bounce=allow" },
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

static int report_as(enum exit_code code, const struct vp2p_error *err)
{
	if (interrupt_seen() && (err->code == ECANCELED || err->code == EINTR))
		return interrupt_fail(err->device, err->step);
	return fail_for(err->code, code, err->device, err->step, err->cause,
			report_remedy(err));
}

int report(const struct vp2p_error *err)
{
	return report_as(exit_code_of(err->code), err);
}

int report_open(const struct vp2p_error *err)
{
	/* The group is not viable; the node's permissions are EACCES. */
	if (err->code == EPERM)
		return report_as(EXIT_IMPOSSIBLE, err);
	return report(err);
}

void report_json(struct json_object *object)
{
	const struct failure *failure = last_failure();
	struct json_object *error;

	if (!failure)
		return;
	error = json_add_object(object, "error");
	if (failure->error)
		json_add_u64(error, "errno", failure->error);
	else
		json_add_string(error, "errno", NULL);
	json_add_string(error, "device", failure->device);
	json_add_string(error, "step", failure->step);
	json_add_string(error, "cause", failure->cause);
	json_add_string(error, "remedy", failure->remedy);
}

int report_refusal(bool json, int rc)
{
	struct json_object *root;

	if (!json)
		return rc;
	root = json_object_new_object();
	json_add_bool(root, "ok", false);
	json_add_u64(root, "exit_status", rc);
	report_json(root);
	json_print(root);
	return rc;
}
