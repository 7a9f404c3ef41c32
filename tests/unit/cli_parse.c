// SPDX-License-Identifier: MIT
/*
 * cli_parse.c - sizes, addresses and places as users write them
 *
 * Theory of operation: tables of good inputs with their values, and of bad ones,
 * which must be named as bad and must leave the output alone.  Then every good
 * input is damaged in each position by each of some characters: whatever becomes
 * of it, the parser must stay inside the string (the sanitizers watch), and what
 * it accepts must survive being written and read again.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "parse.h"
#include "tap.h"
#include "text.h"

static void good_sizes(void)
{
	static const struct { const char *string; uint64_t value; } table[] = {
		{ "0", 0 }, { "1", 1 }, { "4096", 4096 }, { "010", 10 },
		{ "0x200000", 0x200000 }, { "0X1f", 31 }, { "1K", 1024 },
		{ "1k", 1024 }, { "64M", 64 << 20 }, { "64m", 64 << 20 },
		{ "2G", 2ull << 30 }, { "1T", 1ull << 40 },
		{ "16MiB", 16 << 20 }, { "16mib", 16 << 20 },
		{ "0x10M", 16 << 20 }, { "18446744073709551615", UINT64_MAX },
		{ "0xffffffffffffffff", UINT64_MAX },
		{ "16777215T", 16777215ull << 40 },
	};
	uint64_t value;
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		ok(!parse_size(table[i].string, &value) &&
		   value == table[i].value, "size %s", table[i].string);
}

static void bad_sizes(void)
{
	static const char *const table[] = {
		"", " ", " 1", "1 ", "-1", "+1", "0x", "0xg", "0x0x1", "0x 1",
		"x1", "1.5", "1,5", "1e3", "1KB", "1B", "1KK", "1Ki", "1KiBs",
		"M", "K1", "1 K", "1P", "1E", "18446744073709551616",
		"0x10000000000000000", "16777216T", "17179869184G", "99999999999999999999",
		"1\t", "0x-1", "\xff", "1\xff", "--", "nan", "inf",
	};
	uint64_t value;
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const char *wrong;

		value = 77;
		wrong = parse_size(table[i], &value);
		ok(wrong && *wrong && value == 77, "no size: '%s'", table[i]);
	}
}

static void addresses(void)
{
	static const struct { const char *string, *bdf; } good[] = {
		{ "0000:03:00.0", "0000:03:00.0" }, { "03:00.0", "0000:03:00.0" },
		{ "3:0.7", "0000:03:00.7" }, { "FFFF:ff:1F.7", "ffff:ff:1f.7" },
		{ "10000:e1:00.0", "10000:e1:00.0" }, { "a:b:c.1", "000a:0b:0c.1" },
	};
	static const char *const bad[] = {
		"", ":", "03", "03:00", "03:00.", "03:00.8", "03:20.0", "103:00.0",
		"0000:03:00", "0000:03:00.0.0", "0000:03:00.00", "0:0:0:0.0",
		"000000000:03:00.0", "0000-03-00.0", " 03:00.0", "03:00.0 ",
		"0x3:00.0", "g3:00.0", "03:00.a", "03:00.0:2", "0000::00.0",
		"nvme0", "/dev/nvme0", "03:00.0/", "....", "::.:",
	};
	char bdf[BDF_SIZE];
	size_t i;

	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (ok(!parse_bdf(good[i].string, bdf), "address %s",
		       good[i].string))
			is_str(bdf, good[i].bdf, "... in its long form");
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		strcpy(bdf, "same");
		ok(parse_bdf(bad[i], bdf) && !strcmp(bdf, "same"),
		   "no address: '%s'", bad[i]);
	}
}

static void good_windows(void)
{
	static const struct { const char *string; struct span span; } table[] = {
		{ "0", { 0, 0, 0 } }, { "2", { 2, 0, 0 } },
		{ "5+16M", { 5, 16 << 20, 0 } }, { "2+0", { 2, 0, 0 } },
		{ "2+0x200000,2M", { 2, 0x200000, 2 << 20 } },
		{ "2+1,1", { 2, 1, 1 } },
	};
	struct span span;
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		ok(!parse_window(table[i].string, &span) &&
		   span.bar == table[i].span.bar &&
		   span.offset == table[i].span.offset &&
		   span.length == table[i].span.length,
		   "window %s", table[i].string);
}

static void bad_windows(void)
{
	static const char *const table[] = {
		"", "6", "-1", "9", "a", "22", "2+", "2+,", "2+0,", "2+,2M",
		"2,2M", "2+0,0", "2+0,2M,", "2+0,2M,3", "2-1", "2 +0", "2+0 ,1",
		"BAR2", "2:0", "+0", "2++1",
		"2+0000000000000000000000000000000000000000000000000000000000000001",
	};
	struct span span;
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		span = (struct span){ 9, 9, 9 };
		ok(parse_window(table[i], &span) && span.bar == 9 &&
		   span.offset == 9 && span.length == 9, "no window: '%s'",
		   table[i]);
	}
}

static void places(void)
{
	static const char *const bad[] = {
		"03:00.0", "03:00.0:", "03:00.0:6", "03:00.0:2+", "03:00.0:2+0,1",
		"03:00.0:2,1", "03:00.0:22", "file", "./03:00.0:2", "",
		"03:00.0:2+16M ", "0000:03:00.0::2",
	};
	struct place place;
	size_t i;

	ok(!parse_place("0000:03:00.0:2+16M", &place) &&
	   !strcmp(place.bdf, "0000:03:00.0") && place.span.bar == 2 &&
	   place.span.offset == 16 << 20 && !place.span.length, "a place");
	ok(!parse_place("03:00.1:0", &place) &&
	   !strcmp(place.bdf, "0000:03:00.1") && !place.span.bar &&
	   !place.span.offset, "a short place");
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ok(parse_place(bad[i], &place), "no place: '%s'", bad[i]);
	ok(looks_like_place("03:00.0") && looks_like_place("03:00.0:x"),
	   "what begins with an address is meant as a place");
	ok(!looks_like_place("./03:00.0:2") && !looks_like_place("data") &&
	   !looks_like_place("/dev/nvme0n1") && !looks_like_place("03:00.0.bin"),
	   "the rest is files");
}

/* Reads @string everywhere, from a block of exactly its size. */
static int survives(const char *string)
{
	size_t size = strlen(string) + 1;
	char *copy = memcpy(malloc(size), string, size);
	struct place place;
	struct span span;
	uint64_t bytes, again = 0;
	char bdf[BDF_SIZE];
	int fine = 1;

	if (!parse_size(copy, &bytes))
		fine &= !parse_size(text_size(bytes), &again) && again == bytes;
	if (!parse_bdf(copy, bdf)) {
		char twice[BDF_SIZE];

		fine &= !parse_bdf(bdf, twice) && !strcmp(bdf, twice);
	}
	if (!parse_window(copy, &span))
		fine &= span.bar < 6;
	if (!parse_place(copy, &place))
		fine &= place.span.bar < 6 && looks_like_place(copy);
	free(copy);
	return fine;
}

static void damaged(void)
{
	static const char *const seeds[] = {
		"4096", "0x200000", "64MiB", "0000:03:00.0", "2+16M,32M",
		"10000:e1:1f.7:5+0x1000", "18446744073709551615",
	};
	static const char marks[] = "\x01 09afxXkMiB:.,+-/\xff";
	char string[64];
	int fine = 1;
	size_t i, at, mark;

	for (i = 0; i < sizeof(seeds) / sizeof(seeds[0]); i++)
		for (at = 0; at < strlen(seeds[i]); at++)
			for (mark = 0; mark < sizeof(marks); mark++) {
				strcpy(string, seeds[i]);
				string[at] = marks[mark];
				fine &= survives(string);
				snprintf(string, sizeof(string), "%.*s%c%s",
					 (int)at, seeds[i], marks[mark],
					 seeds[i] + at);
				fine &= survives(string);
			}
	ok(fine, "damaged inputs are read safely, accepted ones consistently");
}

int main(void)
{
	good_sizes();
	bad_sizes();
	addresses();
	good_windows();
	bad_windows();
	places();
	damaged();
	return TAP_DONE();
}
