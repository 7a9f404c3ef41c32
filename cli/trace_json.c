/* SPDX-License-Identifier: MIT */
/* trace_json.c - the timeline for programs; what the trace does not know is null */
#include "trace_timeline.h"

#include "json.h"

static void add_since(struct json_object *object, const char *key, bool known,
		      uint64_t at, uint64_t begin)
{
	if (known)
		json_add_u64(object, key, at - begin);
	else
		json_add_string(object, key, NULL);
}

static void add(struct json_object *array, const struct revocation *r)
{
	static const char *const drains[] = {
		[DRAIN_UNKNOWN] = NULL, [DRAIN_ENDED] = "drained",
		[DRAIN_TIMED_OUT] = "timed out",
	};
	struct json_object *object = json_append_object(array);
	bool began = *r->cause, drained = r->drain != DRAIN_UNKNOWN;

	json_add_string(object, "device", r->bdf);
	json_add_string(object, "cause", began ? r->cause : NULL);
	json_add_string(object, "task", *r->task ? r->task : NULL);
	json_add_bool(object, "nested", r->nested);
	json_add_u64(object, "depth", r->depth);
	add_since(object, "begin_us", began, r->begin_us, 0);
	add_since(object, "since_closed_us", began, r->begin_us, r->closed_us);
	add_since(object, "zapped_us", r->zapped, r->zapped_us, r->begin_us);
	add_since(object, "pinned_folios", r->zapped, r->pinned, 0);
	json_add_string(object, "drain", drains[r->drain]);
	add_since(object, "drain_us", drained, r->drain_us, r->begin_us);
	add_since(object, "waited_us", drained, r->waited_us, 0);
	add_since(object, "left_folios", drained, r->left, 0);
	add_since(object, "end_us", r->ended && began, r->end_us, r->begin_us);
	json_add_bool(object, "ended", r->ended);
	json_add_bool(object, "acted", r->acted);
	json_add_bool(object, "gate_open", r->open);
	add_since(object, "generation", r->ended, r->generation, 0);
	json_add_u64(object, "faults_refused", r->refused);
	json_add_u64(object, "faults_waited", r->waited);
}

void trace_print_json(const struct timeline *timeline, const char *source)
{
	struct json_object *root = json_object_new_object();
	struct json_object *array;
	const struct revocation *r;

	json_add_u64(root, "schema", 1);
	json_add_string(root, "input", source);
	json_add_u64(root, "lost_events", timeline->lost);
	json_add_u64(root, "forgotten", timeline->forgotten);
	array = json_add_array(root, "revocations");
	for (r = timeline->first; r; r = r->next)
		add(array, r);
	json_print(root);
}
