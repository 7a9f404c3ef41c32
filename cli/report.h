/* SPDX-License-Identifier: MIT */
/* report.h - the library's error object as the tool's message and exit code */
#ifndef REPORT_H
#define REPORT_H

#include <stdbool.h>
#include <vfio-p2p.h>

#include "json.h"

/**
 * report() - print @err, or that a signal ended what the library did
 *
 * Return: the exit code that fits; never EXIT_USAGE, since something was tried.
 */
int report(const struct vp2p_error *err);

/** report_open() - the same for an error of vp2p_open(). */
int report_open(const struct vp2p_error *err);

/** report_remedy() - the library names its flags; a user of the tool needs its options. */
const char *report_remedy(const struct vp2p_error *err);

/** report_json() - the last failure as the member "error" of @object. */
void report_json(struct json_object *object);

/**
 * report_refusal() - the last failure as a whole JSON report, if that was asked for
 *
 * A command line that is wrong says so in JSON, too, if --json was understood.
 * Return: @rc.
 */
int report_refusal(bool json, int rc);

#endif /* REPORT_H */
