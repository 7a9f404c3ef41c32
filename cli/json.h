/* SPDX-License-Identifier: MIT */
/* json.h - what the commands need of json-c, and no more */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

/**
 * json_add_string() - NULL becomes null
 *
 * JSON is UTF-8, names of files are any bytes: what is no UTF-8 becomes U+FFFD.
 */
void json_add_string(struct json_object *object, const char *key,
		     const char *value);
void json_append_string(struct json_object *array, const char *value);
void json_add_u64(struct json_object *object, const char *key, uint64_t value);
void json_add_double(struct json_object *object, const char *key, double value);
void json_add_bool(struct json_object *object, const char *key, bool value);

/** json_add_array() - an empty array as a member; remains @object's. */
struct json_object *json_add_array(struct json_object *object, const char *key);

/** json_add_object() - an empty object as a member; remains @object's. */
struct json_object *json_add_object(struct json_object *object,
				    const char *key);

/** json_append_object() - an empty object at the end; remains @array's. */
struct json_object *json_append_object(struct json_object *array);

/** json_print() - on standard output; drops @object. */
void json_print(struct json_object *object);

#endif /* CLI_JSON_H */
