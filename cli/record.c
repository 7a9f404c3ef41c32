/* SPDX-License-Identifier: MIT */
/* record.c - what a device was before "bind" */
#include "record.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "json.h"
#include "sysfs.h"
#include "text.h"

#define DIRECTORY "/run/vfio-p2p"

const char *record_path(const char *bdf)
{
	return host_path(DIRECTORY "/%s.json", bdf);
}

/* Records are obeyed: nobody else may have written them. Return: 0 or -errno. */
static int check_directory(void)
{
	struct stat status;

	if (lstat(host_path(DIRECTORY), &status))
		return -errno;
	if (!S_ISDIR(status.st_mode))
		return -ENOTDIR;
	if ((status.st_uid && status.st_uid != geteuid()) ||
	    status.st_mode & (S_IWGRP | S_IWOTH))
		return -EPERM;
	return 0;
}

/* What a run that was killed has left is replaced. */
static int write_new(const char *path, const char *content)
{
	size_t length = strlen(content);
	int error = 0;
	int fd;

	if (unlink(path) && errno != ENOENT)
		return -errno;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		  0644);
	if (fd < 0)
		return -errno;
	errno = EIO;
	if (write(fd, content, length) != (ssize_t)length)
		error = -errno;
	close(fd);
	return error;
}

int record_save(const char *bdf, const struct record *record)
{
	const char *path = record_path(bdf);
	const char *fresh = text("%s.new", path);
	struct json_object *object;
	int error;

	if (mkdir(host_path(DIRECTORY), 0755) && errno != EEXIST)
		return -errno;
	error = check_directory();
	if (error)
		return error;
	object = json_object_new_object();
	json_add_string(object, "driver", record->driver);
	json_add_string(object, "driver_override", record->override);
	/* By rename: a record cut off half-way would be worse than none. */
	error = write_new(fresh, json_object_to_json_string_ext(object,
						JSON_C_TO_STRING_SPACED));
	if (!error && rename(fresh, path))
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
	int error;

	if (!path_exists(path))
		return -ENOENT;
	error = check_directory();
	if (error)
		return error;
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
