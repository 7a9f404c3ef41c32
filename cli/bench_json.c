/* SPDX-License-Identifier: MIT */
/* bench_json.c - the report as JSON */
#include "bench.h"

#include "json.h"

#define SCHEMA 1

static void add_conditions(struct json_object *root,
			   const struct bench_conditions *c)
{
	struct json_object *object = json_add_object(root, "conditions");

	json_add_string(object, "kernel", c->kernel);
	json_add_u64(object, "cpus", c->cpus);
	json_add_string(object, "cpu_model", c->cpu_model);
	json_add_bool(object, "hypervisor", c->hypervisor);
	json_add_string(object, "clock", c->clock);
	json_add_string(object, "device", c->device);
	json_add_u64(object, "bar", c->bar);
	json_add_u64(object, "window_length", c->window_length);
	json_add_string(object, "provider", c->provider);
	if (c->small_folios_known)
		json_add_bool(object, "small_folios", c->small_folios);
	else
		json_add_string(object, "small_folios", NULL);
	json_add_string(object, "iommu", c->iommu);
	json_add_string(object, "copy", c->copy);
	json_add_string(object, "copy_view", c->view);
	json_add_u64(object, "in_flight", c->in_flight);
	json_add_u64(object, "rounds", c->rounds);
	json_add_double(object, "seconds", c->seconds);
	json_add_u64(object, "bytes", c->bytes);
}

static void add_columns(struct json_object *root,
			const struct bench_report *report)
{
	struct json_object *array = json_add_array(root, "columns");
	enum bench_column column;

	for (column = 0; column < BENCH_COLUMNS; column++) {
		struct json_object *object;

		if (report->skipped[column])
			continue;
		object = json_append_object(array);
		json_add_string(object, "column", bench_column_name(column));
		json_add_string(object, "pages", report->mapping[column].pages);
		json_add_string(object, "doubt", report->mapping[column].doubt);
	}
}

static void add_spread(struct json_object *cell, const char *key,
		       const struct spread *spread)
{
	struct json_object *object = json_add_object(cell, key);

	json_add_double(object, "median", spread->median);
	json_add_double(object, "min", spread->min);
	json_add_double(object, "max", spread->max);
}

static void add_cell(struct json_object *array, const struct bench_cell *cell)
{
	struct json_object *object = json_append_object(array);
	struct json_object *latency;

	json_add_string(object, "target", cell->target);
	json_add_string(object, "target_kind", cell->block ? "block" : "file");
	json_add_string(object, "op", cell->write ? "write" : "read");
	json_add_u64(object, "size", cell->size);
	json_add_u64(object, "depth", cell->depth);
	json_add_string(object, "column", bench_column_name(cell->column));
	add_spread(object, "gib_s", &cell->gib_s);
	add_spread(object, "iops", &cell->iops);
	latency = json_add_object(object, "lat_us");
	json_add_double(latency, "p50", cell->p50_us);
	json_add_double(latency, "p99", cell->p99_us);
	add_spread(object, "cpu_us_per_mib", &cell->cpu);
	add_spread(object, "busy_us_per_mib", &cell->busy);
	add_spread(object, "interrupts_per_mib", &cell->interrupts);
	json_add_u64(object, "bytes", cell->bytes);
	json_add_string(object, "path",
			bench_column_is_p2p(cell->column) ? "p2p" : "ram");
}

static void add_skipped(struct json_object *root,
			const struct bench_report *report)
{
	struct json_object *array = json_add_array(root, "skipped");
	enum bench_column column;

	for (column = 0; column < BENCH_COLUMNS; column++) {
		struct json_object *object;

		if (!report->skipped[column])
			continue;
		object = json_append_object(array);
		json_add_string(object, "column", bench_column_name(column));
		json_add_string(object, "reason", report->skipped[column]);
	}
}

static void add_strings(struct json_object *root, const char *key,
			const struct bench_strings *strings)
{
	struct json_object *array = json_add_array(root, key);
	unsigned int i;

	for (i = 0; i < strings->count; i++)
		json_append_string(array, strings->item[i]);
}

void bench_print_json(const struct bench_report *report)
{
	struct json_object *root = json_object_new_object();
	struct json_object *cells;
	unsigned int i;

	json_add_bool(root, "ok", true);
	json_add_u64(root, "schema", SCHEMA);
	add_conditions(root, &report->conditions);
	add_columns(root, report);
	cells = json_add_array(root, "cells");
	for (i = 0; i < report->count; i++)
		add_cell(cells, &report->cells[i]);
	add_skipped(root, report);
	add_strings(root, "notes", &report->notes);
	add_strings(root, "verdicts", &report->verdicts);
	json_print(root);
}
