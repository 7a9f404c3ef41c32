/* SPDX-License-Identifier: MIT */
/* report.h - the library's error object as the tool's message and exit code */
#ifndef REPORT_H
#define REPORT_H

#include <vfio-p2p.h>

#include "json.h"

/** report() - print @err. Return: the exit code that fits it. */
int report(const struct vp2p_error *err);

/** report_json() - @err as the member "error" of @object. */
void report_json(struct json_object *object, const struct vp2p_error *err);

#endif /* REPORT_H */
