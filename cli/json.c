/* SPDX-License-Identifier: MIT */
/* json.c - what the commands need of json-c, and no more */
#include "json.h"

#include <stdio.h>

#include "text.h"

void json_add_string(struct json_object *object, const char *key,
		     const char *value)
{
	json_object_object_add(object, key,
			       value ? json_object_new_string(text_utf8(value)) :
				       NULL);
}

void json_append_string(struct json_object *array, const char *value)
{
	json_object_array_add(array, json_object_new_string(text_utf8(value)));
}

void json_add_u64(struct json_object *object, const char *key, uint64_t value)
{
	json_object_object_add(object, key, json_object_new_uint64(value));
}

void json_add_double(struct json_object *object, const char *key, double value)
{
	json_object_object_add(object, key, json_object_new_double(value));
}

void json_add_bool(struct json_object *object, const char *key, bool value)
{
	json_object_object_add(object, key, json_object_new_boolean(value));
}

struct json_object *json_add_array(struct json_object *object, const char *key)
{
	struct json_object *array = json_object_new_array();

	json_object_object_add(object, key, array);
	return array;
}

struct json_object *json_add_object(struct json_object *object,
				    const char *key)
{
	struct json_object *member = json_object_new_object();

	json_object_object_add(object, key, member);
	return member;
}

struct json_object *json_append_object(struct json_object *array)
{
	struct json_object *element = json_object_new_object();

	json_object_array_add(array, element);
	return element;
}

void json_print(struct json_object *object)
{
	puts(json_object_to_json_string_ext(object,
					    JSON_C_TO_STRING_PRETTY |
					    JSON_C_TO_STRING_SPACED |
					    JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(object);
}
