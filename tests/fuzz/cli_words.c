// SPDX-License-Identifier: MIT
/*
 * What users write: sizes, addresses, places; and what the tool writes of it: text
 * for a terminal, JSON.  What is read is written again and read once more; output
 * left alone on refusal; no control character and no broken UTF-8 comes through.
 */
#include <json-c/json.h>
#include <stdbool.h>

#include "fuzz.h"
#include "json.h"
#include "parse.h"
#include "text.h"

static void size_of(const char *string)
{
	uint64_t bytes = 7, again = 0;

	if (parse_size(string, &bytes)) {
		HOLDS(bytes == 7);
		return;
	}
	HOLDS(!parse_size(text_size(bytes), &again));
	HOLDS(again == bytes);
}

static void address(const char *string)
{
	char bdf[BDF_SIZE] = "left alone", again[BDF_SIZE];

	if (parse_bdf(string, bdf)) {
		HOLDS(!strcmp(bdf, "left alone"));
		return;
	}
	HOLDS(strlen(bdf) >= 12);
	HOLDS(!parse_bdf(bdf, again) && !strcmp(bdf, again));
	HOLDS(looks_like_place(string));
}

static void places(const char *string)
{
	struct span span = { .bar = 77 }, again;
	struct place place = { .bdf = "left alone" };

	if (parse_window(string, &span)) {
		HOLDS(span.bar == 77);
	} else {
		char *written = text(span.length ? "%u+%s,%s" : "%u+%s", span.bar, text_size(span.offset),
				     text_size(span.length));

		HOLDS(span.bar < 6);
		HOLDS(!parse_window(written, &again));
		HOLDS(again.offset == span.offset && again.length == span.length);
	}
	if (parse_place(string, &place))
		HOLDS(!strcmp(place.bdf, "left alone"));
	else
		HOLDS(looks_like_place(string) && place.span.bar < 6 && !place.span.length);
}

static void output(const char *string)
{
	const char *printable = text_printable(string), *utf8 = text_utf8(string);
	struct json_object *object = json_object_new_object(), *read, *value;

	for (const char *at = printable; *at; at++)
		HOLDS((unsigned char)*at >= ' ' && *at != 0x7f);
	/* What has been mended stays as it is. */
	HOLDS(!strcmp(text_utf8(utf8), utf8));
	HOLDS(!strcmp(text_printable(printable), printable));
	json_add_string(object, "key", string);
	read = json_tokener_parse(json_object_to_json_string(object));
	HOLDS(read && json_object_object_get_ex(read, "key", &value));
	HOLDS(!strcmp(json_object_get_string(value), utf8));
	json_object_put(read);
	json_object_put(object);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	char *string = take_string(&in);

	size_of(string);
	address(string);
	places(string);
	output(string);
	free(string);
	return 0;
}
