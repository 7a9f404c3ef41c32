/* SPDX-License-Identifier: MIT */
/* record.c - what a device was before "bind" */
#include "record.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "json.h"
#include "sysfs.h"
#include "text.h"

const char *record_path(const char *bdf)
{
	return host_path("/run/vfio-p2p/%s.json", bdf);
}

int record_save(const char *bdf, const struct record *record)
{
	const char *path = record_path(bdf);
	const char *fresh = text("%s.new", path);
	struct json_object *object;
	int error = 0;

	if (mkdir(host_path("/run/vfio-p2p"), 0755) && errno != EEXIST)
		return -errno;
	object = json_object_new_object();
	json_add_string(object, "driver", record->driver);
	json_add_string(object, "driver_override", record->override);
	errno = EIO;
	/* By rename: a record cut off half-way would be worse than none. */
	if (json_object_to_file_ext(fresh, object, JSON_C_TO_STRING_SPACED) ||
	    rename(fresh, path))
		error = -errno;
	json_object_put(object);
	return error;
}

static const char *get_string(struct json_object *object, const char *key)
{
	struct json_object *value;

	if (!json_object_object_get_ex(object, key, &value) || !value)
		return NULL;
	return text("%s", json_object_get_string(value));
}

int record_load(const char *bdf, struct record *record)
{
	const char *path = record_path(bdf);
	struct json_object *object;

	if (!path_exists(path))
		return -ENOENT;
	object = json_object_from_file(path);
	if (!json_object_is_type(object, json_type_object)) {
		json_object_put(object);
		return -EBADMSG;
	}
	record->driver = get_string(object, "driver");
	record->override = get_string(object, "driver_override");
	json_object_put(object);
	return 0;
}

void record_remove(const char *bdf)
{
	unlink(record_path(bdf));
}
