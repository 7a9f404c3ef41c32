/* SPDX-License-Identifier: MIT */
/* status.c - vfio-p2p status: what the driver counted, without opening VFIO */
#include "cli.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"
#include "json.h"
#include "operands.h"
#include "parse.h"
#include "status.h"
#include "sysfs.h"
#include "table.h"
#include "text.h"
#include "vfio_users.h"

#define MODULE_PATH "/sys/module/" MODULE_NAME

struct status_args {
	struct operands devices;
	bool json;
	bool watch;
	double seconds;
};

enum { KEY_JSON = 'j', KEY_WATCH = 'w' };

static const struct argp_option options[] = {
	{ "json", KEY_JSON, NULL, 0, "Print JSON", 0 },
	{ "watch", KEY_WATCH, "SECONDS", OPTION_ARG_OPTIONAL,
	  "Again and again, until a signal ends it (default every second)", 0 },
	{ 0 }
};

/* The attributes that are one number. */
static const char *const counters[] = {
	"generation", "pinned_folios", "touched_folios", "faults_pmd",
	"faults_pte", "faults_refused", "faults_waited", "drain_timeouts",
	"drain_last_us", "drain_max_us", "revoke_us",
};

#define COUNTERS (sizeof(counters) / sizeof(counters[0]))

static error_t parse_watch(struct status_args *args, const char *string)
{
	const char *rule = string ? parse_seconds(string, &args->seconds) : NULL;

	args->watch = true;
	if (!rule)
		return 0;
	fail(EXIT_USAGE, NULL, "read --watch", text("'%s' %s", string, rule),
	     "write it as in --watch=2 or --watch=0.5");
	return PARSE_FAILED;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct status_args *args = state->input;

	switch (key) {
	case KEY_JSON:
		args->json = true;
		return 0;
	case KEY_WATCH:
		return parse_watch(args, arg);
	case ARGP_KEY_ARG:
		return operands_add(&args->devices, arg, state);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

const char *status_text(const char *bdf, const char *name)
{
	const char *value = attribute_read(device_path(bdf, text("p2p_vfio/%s",
								 name)));

	return value ? value : "?";
}

bool status_number(const char *bdf, const char *name, uint64_t *value)
{
	const char *string = status_text(bdf, name);
	char *end;

	errno = 0;
	*value = strtoull(string, &end, 10);
	return isdigit((unsigned char)*string) && !*end && !errno;
}

static const char *duration(const char *bdf, const char *name)
{
	uint64_t us;

	return status_number(bdf, name, &us) ? text_duration(us / 1e6) : "?";
}

/* struct window_line - one line of the attribute "windows" */
struct window_line {
	unsigned int id;
	unsigned int bar;
	uint64_t offset;
	uint64_t length;
	uint64_t touched;
	uint64_t pinned;
	char provider[16];	/* "" if the driver does not tell */
};

/* The lines of an attribute, ended by NULL. */
static char **lines_of(const char *bdf, const char *name)
{
	const char *content = attribute_read(device_path(bdf,
						text("p2p_vfio/%s", name)));
	char *rest = text("%s", content ? content : "?");
	char **lines = keep((strlen(rest) + 2) * sizeof(*lines));
	unsigned int count = 0;
	char *line;

	while ((line = strsep(&rest, "\n")))
		if (*line)
			lines[count++] = line;
	return lines;
}

/* False if @line is none. */
static bool parse_window_line(const char *line, struct window_line *window)
{
	int end = 0;

	*window->provider = '\0';
	return sscanf(line, "%u %u %" SCNi64 " %" SCNi64 " %" SCNu64 " %" SCNu64
		      " %n%15[a-z] %n", &window->id, &window->bar,
		      (int64_t *)&window->offset, (int64_t *)&window->length,
		      &window->touched, &window->pinned, &end, window->provider,
		      &end) >= 6 && !line[end];
}

const char *status_next_revoke(const char *at, char cause[32], uint64_t *count)
{
	if (!at || sscanf(at, "%31s %" SCNu64, cause, count) != 2)
		return NULL;
	at = strchrnul(at, '\n');
	return *at ? at + 1 : at;
}

static const char *revokes_text(const char *bdf)
{
	const char *at = status_text(bdf, "revokes");
	const char *list = NULL;
	uint64_t count;
	char cause[32];

	while ((at = status_next_revoke(at, cause, &count)))
		if (count)
			list = text_list(list, text("%s %" PRIu64, cause,
						    count));
	return list ? list : "none";
}

static void add_windows_text(struct table *table, const char *bdf)
{
	char **line = lines_of(bdf, "windows");
	struct window_line window;

	if (!*line)
		table_line(table, text("  no windows (vfio-p2p window add "
				       "%s BAR)", bdf));
	else
		TABLE_ROW(table, "  WINDOW", "BAR", "\tOFFSET", "\tLENGTH",
			  "\tTOUCHED", "\tPINNED", "PROVIDER");
	for (; *line; line++) {
		if (!parse_window_line(*line, &window)) {
			table_line(table, text("  cannot be understood: %s",
					       text_printable(*line)));
			continue;
		}
		TABLE_ROW(table, text("  %u", window.id),
			  text("%u", window.bar),
			  text("\t%s", text_size(window.offset)),
			  text("\t%s", text_size(window.length)),
			  text("\t%" PRIu64, window.touched),
			  text("\t%" PRIu64, window.pinned),
			  *window.provider ? text("%s", window.provider) : "?");
	}
}

/* "window 0 (BAR 2) 3, window 4 (BAR 0) 1", or NULL. */
static const char *pinned_windows(const char *bdf)
{
	char **line = lines_of(bdf, "windows");
	const char *list = NULL;
	struct window_line window;

	for (; *line; line++)
		if (parse_window_line(*line, &window) && window.pinned)
			list = text_list(list, text("window %u (BAR %u) %" PRIu64,
						    window.id, window.bar,
						    window.pinned));
	return list;
}

/* What waits, since when, why, and for what; a device at rest waits for nothing. */
static void add_revocation_text(struct table *table, const char *bdf,
				const char *state)
{
	const char *cause = status_text(bdf, "revoke_cause");
	const char *windows = pinned_windows(bdf);

	if (!strcmp(state, "live") || !strcmp(state, "closed"))
		return;
	table_line(table, text("  %s for %s (%s): %s folios pinned%s%s",
			       state, duration(bdf, "revoke_us"), cause,
			       status_text(bdf, "pinned_folios"),
			       windows ? ": " : "", windows ? windows : ""));
}

/* Who has it open, or NULL: nobody, or nobody that this user can see. */
static const char *users_of(const char *bdf)
{
	const struct device *device = device_load(bdf);

	return device ? vfio_users(device) : NULL;
}

/* Where a new window's pages come from, and why; what is not known, as it is. */
static const char *provider_text(const char *bdf)
{
	static const struct {
		const char *reason, *means;
	} known[] = {
		{ "untried", "not known before the first window" },
		{ "proven", "own (the kernel's layout is as expected)" },
		{ "unproven", "standard (the kernel's layout could not be learnt)" },
		{ "differs", "standard (the kernel's layout is not as expected)" },
		{ "asked", "standard (a module parameter asks for it)" },
	};
	const char *reason = status_text(bdf, "provider_reason");
	size_t i;

	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (!strcmp(reason, known[i].reason))
			return known[i].means;
	return text_printable(reason);
}

static void add_text(struct table *table, const char *bdf)
{
	const char *users = users_of(bdf);
	const char *state = status_text(bdf, "state");

	table_line(table, text("%s  %s, generation %s", bdf, state,
			       status_text(bdf, "generation")));
	add_revocation_text(table, bdf, state);
	if (users)
		table_line(table, text("  open by      %s", users));
	table_line(table, text("  folios       %s touched, %s pinned",
			       status_text(bdf, "touched_folios"),
			       status_text(bdf, "pinned_folios")));
	table_line(table, text("  faults       %s by 2 MiB, %s by 4 KiB, %s "
			       "refused, %s waited",
			       status_text(bdf, "faults_pmd"),
			       status_text(bdf, "faults_pte"),
			       status_text(bdf, "faults_refused"),
			       status_text(bdf, "faults_waited")));
	table_line(table, text("  drains       last %s, longest %s, %s timed "
			       "out",
			       duration(bdf, "drain_last_us"),
			       duration(bdf, "drain_max_us"),
			       status_text(bdf, "drain_timeouts")));
	table_line(table, text("  revocations  %s", revokes_text(bdf)));
	table_line(table, text("  provider     %s", provider_text(bdf)));
	add_windows_text(table, bdf);
	table_line(table, "");
}

static void add_windows_json(struct json_object *object, const char *bdf)
{
	struct json_object *array = json_add_array(object, "windows");
	char **line = lines_of(bdf, "windows");
	struct window_line window;

	for (; *line; line++) {
		struct json_object *one = json_append_object(array);

		if (!parse_window_line(*line, &window)) {
			json_add_string(one, "unreadable", *line);
			continue;
		}
		json_add_u64(one, "id", window.id);
		json_add_u64(one, "bar", window.bar);
		json_add_u64(one, "offset", window.offset);
		json_add_u64(one, "length", window.length);
		json_add_u64(one, "touched_folios", window.touched);
		json_add_u64(one, "pinned_folios", window.pinned);
		json_add_string(one, "provider",
				*window.provider ? window.provider : NULL);
	}
}

static void add_json(struct json_object *array, const char *bdf)
{
	struct json_object *object = json_append_object(array);
	const char *at = status_text(bdf, "revokes");
	struct json_object *revokes;
	uint64_t count;
	char cause[32];
	size_t i;

	json_add_string(object, "device", bdf);
	json_add_string(object, "state",
			attribute_read(device_path(bdf, "p2p_vfio/state")));
	json_add_string(object, "revoke_cause",
			attribute_read(device_path(bdf, "p2p_vfio/revoke_cause")));
	json_add_string(object, "provider_reason",
			attribute_read(device_path(bdf, "p2p_vfio/provider_reason")));
	json_add_string(object, "open_by", users_of(bdf));
	for (i = 0; i < COUNTERS; i++) {
		if (status_number(bdf, counters[i], &count))
			json_add_u64(object, counters[i], count);
		else
			json_add_string(object, counters[i], NULL);
	}
	revokes = json_add_object(object, "revokes");
	while ((at = status_next_revoke(at, cause, &count)))
		json_add_u64(revokes, cause, count);
	add_windows_json(object, bdf);
}

void status_all(struct operands *operands)
{
	char **name = directory_names(host_path("/sys/bus/pci/drivers/"
						DRIVER_NAME));
	unsigned int count = 0;
	char bdf[BDF_SIZE];

	while (name[count])
		count++;
	operands->bdf = keep((count + 1) * sizeof(*operands->bdf));
	for (; *name; name++)
		if (!parse_bdf(*name, bdf))
			operands->bdf[operands->count++] = *name;
}

bool status_has(const char *bdf)
{
	return path_exists(device_path(bdf, "p2p_vfio/state"));
}

static int check(const char *bdf)
{
	const struct device *device;
	int rc = device_load_ours(bdf, "show its status", &device);

	if (rc)
		return rc;
	if (!status_has(bdf))
		return fail(EXIT_FAILED, bdf, "show its status",
			    "the driver shows no p2p_vfio attributes",
			    "use the tool and the module of one release");
	return EXIT_OK;
}

static void print_text(const struct operands *devices)
{
	const char *directory = host_path(MODULE_PATH "/parameters");
	char **name = directory_names(directory);
	struct table *table = table_create();
	unsigned int i;

	for (i = 0; i < devices->count; i++)
		add_text(table, devices->bdf[i]);
	if (!devices->count)
		table_line(table, "no device is bound to " DRIVER_NAME
				  " (vfio-p2p list shows candidates)");
	if (*name)
		table_line(table, "module parameters:");
	for (; *name; name++) {
		const char *value = attribute_read(text("%s/%s", directory,
							*name));

		table_line(table, text("  %s=%s", *name, value ? value : "?"));
	}
	table_print(table, stdout);
}

static void print_json(const struct operands *devices)
{
	const char *directory = host_path(MODULE_PATH "/parameters");
	char **name = directory_names(directory);
	struct json_object *root = json_object_new_object();
	struct json_object *module = json_add_object(root, "module");
	struct json_object *parameters, *array;
	unsigned int i;

	json_add_bool(module, "loaded", path_exists(host_path(MODULE_PATH)));
	parameters = json_add_object(module, "parameters");
	for (; *name; name++)
		json_add_string(parameters, *name,
				attribute_read(text("%s/%s", directory,
						    *name)));
	array = json_add_array(root, "devices");
	for (i = 0; i < devices->count; i++)
		add_json(array, devices->bdf[i]);
	json_print(root);
}

static int check_all(const struct operands *devices)
{
	unsigned int i;
	int rc = EXIT_OK;

	for (i = 0; !rc && i < devices->count; i++)
		rc = check(devices->bdf[i]);
	return rc;
}

static int run(const struct command *command, int argc, char **argv)
{
	struct status_args args = { .seconds = 1 };
	int rc = command_parse(command, argc, argv, &args);
	void (*print)(const struct operands *devices);

	if (rc)
		return rc;
	print = args.json ? print_json : print_text;
	if (!args.watch && !args.devices.count)
		status_all(&args.devices);
	rc = check_all(&args.devices);
	if (rc)
		return rc;
	if (args.watch)
		return status_watch(&(struct status_watch){
			.given = &args.devices,
			.seconds = args.seconds,
			.json = args.json,
			.print = print,
		});
	print(&args.devices);
	return EXIT_OK;
}

const struct command status_command = {
	.name = "status",
	.summary = "Show state, windows and counters of bound devices",
	.usage = "[DEVICE...]",
	.examples = "  vfio-p2p status\n"
		    "  vfio-p2p status 0000:03:00.0\n"
		    "  vfio-p2p status --watch           every second, as it changes\n"
		    "  vfio-p2p status --json | jq '.devices[].pinned_folios'\n",
	.details = "Reads sysfs and /proc only: needs no privilege, opens and "
		   "disturbs nothing; but only root sees which processes of "
		   "other users have a device open.  States: live (usable), draining (revoked, DMA "
		   "still under way), quiesced (revoked, being reset), gone, "
		   "closed (nobody has the device open).  The generation counts "
		   "completed revocations.  Counters run from bind to unbind.  The "
		   "provider is where windows have their pages from: 'own' costs a "
		   "quarter of the host memory, and can be given back before unbind "
		   "(vfio-p2p window remove).  What "
		   "cannot be read is '?', in JSON null.\n\n"
		   "--watch draws anew on a terminal, and prints block after block "
		   "elsewhere.  Below the status it tells what came between two "
		   "looks: revocations with their causes and drains, devices that "
		   "went and came.  ctrl-C ends it, with status 0.",
	.options = options,
	.parse = parse,
	.run = run,
};
