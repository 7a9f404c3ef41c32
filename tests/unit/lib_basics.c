// SPDX-License-Identifier: MIT
/*
 * Parsers, arithmetic, names and the error object.
 *
 * Theory: these are pure functions, so a table of inputs and exact answers says
 * all there is to say; the tables hold the borders (shortest, longest, one too
 * many, overflow) rather than typical values.
 */
#include <errno.h>
#include <stdlib.h>

#include "../../lib/internal.h"
#include "check_error.h"

static void test_bdf(void)
{
	static const struct {
		const char *in, *out;
	} table[] = {
		{ "0000:03:00.0", "0000:03:00.0" }, { "03:00.0", "0000:03:00.0" },
		{ "3:0.7", "0000:03:00.7" }, { "FFFF:FF:1F.7", "ffff:ff:1f.7" },
		{ "10000:e1:00.0", "10000:e1:00.0" },
		{ "ffffffff:ff:1f.7", "ffffffff:ff:1f.7" },
		{ "", NULL }, { "03:00", NULL }, { "03:00.8", NULL }, { "03:20.0", NULL },
		{ "103:00.0", NULL }, { "03:00.0 ", NULL }, { " 03:00.0", NULL },
		{ "0x3:00.0", NULL }, { "100000000:03:00.0", NULL }, { ":03:00.0", NULL },
		{ "0000:03:00.0\n", NULL }, { "0000:03:00.00", NULL },
		{ "0000:03:00:0", NULL }, { "-1:03:00.0", NULL }, { NULL, NULL },
	};
	struct vp2p_error err;
	char out[VP2P_BDF_LEN];

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		int rc = vp2p_bdf_normalize(table[i].in, out, &err);

		if (table[i].out)
			is_str(rc ? "refused" : out, table[i].out, table[i].in);
		else
			is_error(rc, EINVAL, &err, "refused");
	}
	is_num(vp2p_bdf_normalize("x", out, NULL), -EINVAL, "no error object is fine");
}

static void test_ranges(void)
{
	is_num(vp2p__round_down(4097, 4096), 4096, "round down");
	is_num(vp2p__round_down(4096, 4096), 4096, "round down what is round");
	is_num(vp2p__round_up(4097, 4096), 8192, "round up");
	is_num(vp2p__round_up(4096, 4096), 4096, "round up what is round");
	is_num(vp2p__round_up(7, 6), 12, "an alignment that is no power of two");
	ok(vp2p__within(0, 10, 10), "the whole is within");
	ok(!vp2p__within(1, 10, 10), "one byte too far");
	ok(vp2p__within(10, 0, 10), "nothing, at the end");
	ok(!vp2p__within(11, 0, 10), "nothing, beyond the end");
	ok(!vp2p__within(2, UINT64_MAX, 10), "an overflowing end");
	ok(vp2p__overlap(0, 10, 9, 1), "overlap by the last byte");
	ok(!vp2p__overlap(0, 10, 10, 1), "neighbours do not overlap");
	ok(!vp2p__overlap(10, 1, 0, 10), "nor the other way round");
	ok(vp2p__overlap(5, 1, 0, 10), "one inside the other");
	ok(!vp2p__overlap(5, 1, UINT64_MAX, 1), "far apart");
}

static void test_congruent(void)
{
	const uint64_t g = VP2P_GRANULE;
	uintptr_t bases[] = { 0x7f0000000000, 0x7f0000001000, 0x7f00001ff000 };
	uint64_t phases[] = { 0, 4096, g - 4096, g, 5 * g + 8192 };
	int good = 1;

	for (size_t i = 0; i < 3; i++)
		for (size_t j = 0; j < 5; j++) {
			uintptr_t at = vp2p__congruent(bases[i], phases[j], g);

			good &= at >= bases[i] && at < bases[i] + g &&
				at % g == phases[j] % g;
		}
	ok(good, "congruent addresses lie in the first granule of the room");
	is_num((long long)vp2p__congruent(0x200000, 0, g), 0x200000,
	       "an address that fits is kept");
}

static void test_names(void)
{
	is_str(vp2p_state_name(VP2P_STATE_LIVE), "live", "state live");
	is_str(vp2p_state_name(VP2P_STATE_CLOSED), "closed", "state closed");
	is_str(vp2p_state_name(0), "unknown", "state 0");
	is_str(vp2p_state_name(6), "unknown", "state 6");
	is_str(vp2p_cause_name(0), "reset", "cause 0");
	is_str(vp2p_cause_name(VP2P_CAUSES - 1), "sleep", "the last cause");
	is_str(vp2p_cause_name(VP2P_CAUSES), "unknown", "beyond the last cause");
	is_str(vp2p_cause_name(VP2P_CAUSE_NONE), "none", "no cause");
	is_str(vp2p_route_name(VP2P_ROUTE_NONE), "none", "route none");
	is_str(vp2p_route_name(VP2P_ROUTE_HOST_BRIDGE), "host-bridge", "route bridge");
	is_str(vp2p_route_name(VP2P_ROUTE_UNKNOWN), "unknown", "route unknown");
	is_str(vp2p_route_name(77), "unknown", "route 77");
	is_str(vp2p_version(), PROJECT_VERSION, "the project's version");
}

static void test_error(void)
{
	struct vp2p_error err;
	char text[VP2P_ERROR_TEXT], small[10], *big = malloc(2000);

	is_error_text(vp2p__fail(&err, EBUSY, "0000:03:00.0", "do it",
				 "%d of them" MEND "use %s", 3, "fewer"), EBUSY, &err,
		      "0000:03:00.0: could not do it: 3 of them (EBUSY).  "
		      "Remedy: use fewer.", "the form of an error");
	vp2p_error_format(&err, small, sizeof(small));
	is_str(small, "0000:03:0", "a small buffer cuts the text");
	is_num(vp2p_error_format(&err, NULL, 0), 69, "the length needs no buffer");

	is_error(vp2p__fail(&err, EIO, "d", "s", "cause alone"), EIO, &err,
		 "a remedy is never missing");
	vp2p__fail(&err, EIO, "a\nb", "s", "c" MEND "r");
	is_str(err.device, "a?b", "a name cannot break the line");
	memset(big, 'x', 1999);
	big[1999] = '\0';
	vp2p__fail(&err, EIO, big, big, "%s" MEND "%s", "short", big);
	is_num((long long)strlen(err.device), sizeof(err.device) - 1, "long device cut");
	is_num((long long)strlen(err.remedy), sizeof(err.remedy) - 1, "long remedy cut");
	is_str(err.cause, "short", "... and the cause whole");
	memset(err.cause, 'y', sizeof(err.cause) - 1);
	err.cause[sizeof(err.cause) - 1] = '\0';
	ok(vp2p_error_format(&err, text, sizeof(text)) < (int)sizeof(text),
	   "the longest error fits VP2P_ERROR_TEXT");
	is_num(vp2p__fail(NULL, EIO, "d", "s", "c" MEND "r"), -EIO, "NULL is accepted");
	free(big);
}

/* Every length of text, cut at every byte of a character of 2, 3 and 4 bytes. */
static void test_utf8(void)
{
	static const char *const chars[] = { "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80" };
	struct vp2p_error err;
	char text[2000];
	int good = 1;

	for (size_t c = 0; c < 3; c++)
		for (size_t lead = 0; lead < 4; lead++) {
			size_t n = strlen(chars[c]), fits;

			memset(text, 'x', lead);
			for (size_t i = lead; i + n < sizeof(text); i += n)
				strcpy(text + i, chars[c]);
			vp2p__fail(&err, EIO, text, "s", "%s", text);
			fits = (sizeof(err.device) - 1 - lead) / n * n + lead;
			good &= strlen(err.device) == fits && !memcmp(err.device, text, fits);
			fits = (sizeof(err.cause) - 1 - lead) / n * n + lead;
			good &= strlen(err.cause) == fits;
			vp2p__fail(&err, EIO, "d", "s", "%.*s" MEND "%s", 700, text, text);
			good &= vp2p__whole_chars(err.remedy, strlen(err.remedy)) ==
				strlen(err.remedy);
		}
	ok(good, "a text is cut between two characters");
	vp2p__fail(&err, EIO, "caf\xc3\xa9", "s", "c" MEND "r");
	is_str(err.device, "caf\xc3\xa9", "a text that fits is whole");
	is_num((long long)vp2p__whole_chars("\x80\x80\x80\x80", 4), 4, "no UTF-8: kept");
}

int main(void)
{
	test_bdf();
	test_ranges();
	test_congruent();
	test_names();
	test_error();
	test_utf8();
	return TAP_DONE();
}
