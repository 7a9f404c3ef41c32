// SPDX-License-Identifier: MIT
/*
 * t_bench.c - "vfio-p2p bench" on a real driver, disks and a device
 *
 * Theory of operation: the command measures very little, a fixed number of bytes,
 * and no figure is looked at but those that must add up.  What counts is that the
 * columns are what they say: the driver's counts of 2 MiB and 4 KiB entries and the
 * kernel's of huge pages tell (the command reports both, and any doubt); that each
 * cell is there once; that targets are as before; and that what cannot be measured
 * is refused in one sentence before anything has been written.  The path itself is
 * verified by the command; that it would find wrong data is seen on the machine
 * whose switch delivers it (suite bench-switch).
 */
#define _GNU_SOURCE
#include "command.h"
#include "dev.h"
#include "harness.h"

#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MIB 1048576
#define COLUMNS 5

static const char *const columns[COLUMNS] = { "p2p", "thp", "ram4k", "bounce", "p2p4k" };

static struct json_object *member(struct json_object *object, const char *key)
{
	struct json_object *value = NULL;

	json_object_object_get_ex(object, key, &value);
	return value;
}

static const char *string(struct json_object *object, const char *key)
{
	const char *value = json_object_get_string(member(object, key));

	return value ? value : "";
}

static int64_t number(struct json_object *object, const char *key)
{
	return json_object_get_int64(member(object, key));
}

/* What the last run has said; notes may stand before it. */
static struct json_object *report(void)
{
	const char *begin = strchr(said, '{');

	return begin ? json_tokener_parse(begin) : NULL;
}

static bool in_order(struct json_object *cell, const char *key)
{
	struct json_object *spread = member(cell, key);
	double min = json_object_get_double(member(spread, "min"));
	double median = json_object_get_double(member(spread, "median"));
	double max = json_object_get_double(member(spread, "max"));

	return spread && min >= 0 && min <= median && median <= max;
}

static bool sound(struct json_object *cell)
{
	bool p2p = !strncmp(string(cell, "column"), "p2p", 3);
	struct json_object *latency = member(cell, "lat_us");
	double p50 = json_object_get_double(member(latency, "p50"));
	double p99 = json_object_get_double(member(latency, "p99"));

	return !strcmp(string(cell, "path"), p2p ? "p2p" : "ram") && p50 > 0 && p50 <= p99 &&
	       in_order(cell, "gib_s") && in_order(cell, "iops") &&
	       in_order(cell, "cpu_us_per_mib") && in_order(cell, "busy_us_per_mib") &&
	       in_order(cell, "interrupts_per_mib");
}

/* How many sound cells there are of that kind, of @bytes moved in all. */
static int cells(struct json_object *root, const char *target, const char *op, int64_t size,
		 int64_t depth, const char *column, int64_t bytes)
{
	struct json_object *array = member(root, "cells");
	size_t i;
	int found = 0;

	for (i = 0; i < json_object_array_length(array); i++) {
		struct json_object *cell = json_object_array_get_idx(array, i);

		found += !strcmp(string(cell, "target"), target) && !strcmp(string(cell, "op"), op) &&
			 number(cell, "size") == size && number(cell, "depth") == depth &&
			 !strcmp(string(cell, "column"), column) &&
			 number(cell, "bytes") == bytes && sound(cell);
	}
	return found;
}

/* Is the column made for huge pages?  Where the kernel has none, the command has to doubt it. */
static bool is_doubted(const char *column)
{
	return !dev_has_pmd() && !strstr(column, "4k");
}

static bool has_pages(struct json_object *root, const char *column, const char *pages)
{
	struct json_object *array = member(root, "columns");
	size_t i;

	for (i = 0; i < json_object_array_length(array); i++) {
		struct json_object *one = json_object_array_get_idx(array, i);

		if (!strcmp(string(one, "column"), column))
			return !strcmp(string(one, "pages"), pages) &&
			       !!member(one, "doubt") == is_doubted(column);
	}
	return false;
}

static int length(struct json_object *root, const char *key)
{
	return (int)json_object_array_length(member(root, key));
}

static bool conditions_known(struct json_object *root)
{
	static const char *const keys[] = { "kernel", "cpu_model", "clock", "device", "provider",
					    "iommu", "copy", "copy_view" };
	struct json_object *conditions = member(root, "conditions");
	size_t i;

	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (!*string(conditions, keys[i])) {
			h_fail("condition %s is not known", keys[i]);
			return false;
		}
	return member(conditions, "small_folios") && number(conditions, "cpus") > 0 &&
	       number(conditions, "window_length") == 64 * MIB && number(conditions, "rounds") == 2;
}

static void reads(const char *role)
{
	static const int sizes[] = { 4096, 65536 }, depths[] = { 1, 4 };
	const char *target = h_pci("target"), *folder = h_mount(role, NULL);
	struct json_object *root;
	char file[64], disk[64];
	int c, s, d;

	H_CHECK(folder);
	snprintf(file, sizeof(file), "%s/data", folder);
	snprintf(disk, sizeof(disk), "%s", h_disk("raw"));
	H_CHECK(make_file(file, MIB, 1));
	H_CHECK(fill_disk(disk, 0, 2));
	H_EQ(tool("bind %s --window 2", target), 0);
	H_EQ(tool("bench --json -q --sizes 64K,4K --depths 1,4 --rounds 2 --bytes 256K "
		  "%s:2 %s %s", target, file, disk), 0);
	root = report();
	H_CHECK(root);
	H_EQ(number(root, "schema"), 1);
	H_CHECK(conditions_known(root));
	H_EQ(length(root, "cells"), 2 * 2 * 2 * COLUMNS);
	for (c = 0; c < COLUMNS; c++)
		for (s = 0; s < 2; s++)
			for (d = 0; d < 2; d++) {
				H_EQ(cells(root, file, "read", sizes[s], depths[d], columns[c],
					   2 * 262144), 1);
				H_EQ(cells(root, disk, "read", sizes[s], depths[d], columns[c],
					   2 * 262144), 1);
			}
	H_CHECK(has_pages(root, "p2p", dev_has_pmd() ? "2 MiB entries" : "4 KiB entries"));
	H_CHECK(has_pages(root, "thp", dev_has_pmd() ? "2 MiB pages" : "4 KiB pages"));
	H_CHECK(has_pages(root, "ram4k", "4 KiB pages"));
	H_CHECK(has_pages(root, "bounce", dev_has_pmd() ? "2 MiB pages" : "4 KiB pages"));
	H_CHECK(has_pages(root, "p2p4k", "4 KiB entries"));
	H_EQ(length(root, "skipped"), 0);
	H_CHECK(length(root, "verdicts") >= 8);
	H_EQ(tool("unbind %s", target), 0);
	H_EQ(h_umount(role), 0);
}

static void reads_ext4(void)
{
	reads("ext4");
}

static void reads_xfs(void)
{
	reads("xfs");
}

static void prints_a_table(void)
{
	const char *target = h_pci("target"), *disk = h_disk("raw");
	int c;

	H_CHECK(fill_disk(disk, 0, 3));
	H_EQ(tool("bind %s --window 2", target), 0);
	H_EQ(tool("bench --sizes 4K --depths 2 --rounds 1 --time 0.01 %s:2 %s", target, disk), 0);
	H_CHECK(says("reads from %s (block device)", disk));
	for (c = 0; c < COLUMNS; c++)
		H_CHECK(says("  4K      2  %s%s ", columns[c], is_doubted(columns[c]) ? "*" : ""));
	H_CHECK(says("Verdicts:"));
	H_EQ(tool("unbind %s", target), 0);
}

/* Neither the target nor its directory has changed when writes have been measured. */
static void writes_to_a_new_file(void)
{
	const char *target = h_pci("target"), *folder = h_mount("ext4", NULL);
	struct json_object *root;
	char file[64];
	int c;

	H_CHECK(folder);
	snprintf(file, sizeof(file), "%s/data", folder);
	H_CHECK(make_file(file, MIB, 4) && make_file("/tmp/before", MIB, 4));
	H_EQ(tool("bind %s --window 2", target), 0);
	H_EQ(tool("bench --json -q --write --sizes 64K --depths 4 --rounds 1 --bytes 512K "
		  "%s:2 %s", target, file), 0);
	root = report();
	H_CHECK(root);
	for (c = 0; c < COLUMNS; c++) {
		H_EQ(cells(root, file, "read", 65536, 4, columns[c], 524288), 1);
		H_EQ(cells(root, file, "write", 65536, 4, columns[c], 524288), 1);
	}
	H_CHECK(same("/tmp/before", file, 0, MIB));
	H_EQ(unlink(file), 0);
	H_EQ(tool("unbind %s", target), 0);
	H_EQ(h_umount("ext4"), 0);
}

static void writes_to_scratch(void)
{
	const char *target = h_pci("target"), *disk = h_disk("raw");
	struct json_object *root;

	H_EQ(tool("bind %s --window 2", target), 0);
	H_EQ(tool("bench --json -q --scratch %s --sizes 64K --depths 1 --rounds 1 --bytes 128K "
		  "%s:2", disk, target), 0);
	root = report();
	H_CHECK(root);
	H_EQ(length(root, "cells"), COLUMNS);
	H_EQ(cells(root, disk, "write", 65536, 1, "p2p", 131072), 1);
	H_EQ(tool("unbind %s", target), 0);
}

/* Depths that a small window cuts to the same one are measured once, and it is said. */
static void fits_the_window(void)
{
	const char *target = h_pci("target"), *disk = h_disk("raw");
	struct json_object *root;

	H_CHECK(fill_disk(disk, 0, 5));
	H_EQ(tool("bind %s --window 2+0,4M", target), 0);
	H_EQ(tool("bench --json -q --columns p2p,thp --sizes 1M,8M --depths 1,8,64 --rounds 1 "
		  "--bytes 1M %s:2 %s", target, disk), 0);
	root = report();
	H_CHECK(root);
	H_EQ(length(root, "cells"), 4);
	H_EQ(cells(root, disk, "read", MIB, 4, "p2p", MIB), 1);
	H_EQ(length(root, "notes"), 2);
	H_EQ(length(root, "skipped"), 3);
	H_CHECK(says("size 1M: depths above 4 are measured as 4"));
	H_CHECK(says("size 8M is not measured: the window has room for 4M"));
	H_EQ(tool("unbind %s", target), 0);
}

static void refuses_bad_command_lines(void)
{
	H_EQ(tool("bench 0000:ff:00.0:2 /dev/null --depths 0"), 2);
	H_CHECK(says("could not read --depths: '0' is no number from 1 to 64"));
	H_EQ(tool("bench 0000:ff:00.0:2 /dev/null --sizes 4097"), 2);
	H_CHECK(says("could not read --sizes: '4097' is not a multiple of 512"));
	H_EQ(tool("bench 0000:ff:00.0:2 /dev/null --op write"), 2);
	H_CHECK(says("does not say what may be written to"));
}

static void refuses_what_cannot_be(void)
{
	const char *target = h_pci("target"), *disk = h_disk("raw");
	const char *folder = h_mount("ext4", NULL);
	char path[64];

	H_CHECK(folder);
	snprintf(path, sizeof(path), "%s/hole", folder);
	H_CHECK(make_file("/tmp/bytes", MIB, 6));
	H_EQ(tool("bench 0000:ff:00.0:2 %s", disk), 3);
	H_CHECK(says("0000:ff:00.0: could not"));
	H_EQ(tool("bind %s --window 2", target), 0);
	H_EQ(tool("bench %s:2 /tmp/bytes", target), 3);
	H_CHECK(says("/tmp/bytes: could not"));
	H_CHECK(says("remedy: "));
	H_EQ(tool("bench %s:2 /tmp/none", target), 1);
	H_CHECK(says("No such file"));
	H_CHECK(make_file(path, 4096, 7) && !truncate(path, MIB));
	H_EQ(tool("bench %s:2 %s", target, path), 3);
	H_CHECK(says("it has a hole at offset 4K"));
	H_EQ(tool("bench --scratch %s %s:2", h_disk("ext4"), target), 6);
	H_CHECK(says("it is in use: "));
	H_EQ(tool("bench --svg /tmp/b.svg %s:2 %s", target, disk), 3);
	H_CHECK(says("gnuplot is not installed"));
	H_CHECK(says("apt install gnuplot-nox"));
	H_CHECK(access("/tmp/b.svg", F_OK) && access("/tmp/b.svg.partial", F_OK));
	H_EQ(unlink(path), 0);
	H_EQ(tool("unbind %s", target), 0);
	H_EQ(h_umount("ext4"), 0);
}

/*
 * Only behind the emulated switch with a translating IOMMU: the kernel says the
 * route is fine, the disk says it has done its work, and the bytes are wrong.
 */
static void finds_wrong_data(void)
{
	const char *target = h_pci("target"), *disk = h_disk("raw");

	h_expect_log("DMAR");
	H_CHECK(fill_disk(disk, 0, 8));
	H_EQ(tool("bind %s --window 2", target), 0);
	H_EQ(tool("bench --sizes 4K --depths 1 --rounds 1 --bytes 4K %s:2 %s", target, disk), 5);
	H_CHECK(says("bytes differ; the first at BAR 2 offset 0x"));
	H_CHECK(!says("GiB/s"));
	H_EQ(tool("unbind %s", target), 0);
}

static const struct h_case cases[] = {
	{ "all columns, reads from ext4 and its disk", reads_ext4, 90 },
	{ "all columns, reads from xfs and its disk", reads_xfs, 90 },
	{ "the report as a table", prints_a_table, 60 },
	{ "writes go to a file of their own", writes_to_a_new_file, 90 },
	{ "writes go to what was given up", writes_to_scratch, 60 },
	{ "what the window has no room for is said", fits_the_window, 60 },
	{ "wrong command lines", refuses_bad_command_lines },
	{ "what cannot be measured is refused", refuses_what_cannot_be, 60 },
	{ }
};

static const struct h_case special[] = {
	{ "wrong data is found before anything is measured", finds_wrong_data, 60 },
	{ }
};

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "special"))
		return h_main(argc - 1, argv + 1, special);
	return h_main(argc, argv, cases);
}
