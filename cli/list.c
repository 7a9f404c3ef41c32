/* SPDX-License-Identifier: MIT */
/* list.c - vfio-p2p list: which devices have memory that could be a window */
#include "cli.h"

#include <stdio.h>
#include <string.h>
#include <vfio-p2p.h>

#include "device.h"
#include "json.h"
#include "sysfs.h"
#include "table.h"
#include "text.h"
#include "window.h"

struct list_args {
	bool all;
	bool json;
};

enum { KEY_ALL = 'a', KEY_JSON = 'j' };

static const struct argp_option options[] = {
	{ "all", KEY_ALL, NULL, 0, "Show devices with small memory BARs, too",
	  0 },
	{ "json", KEY_JSON, NULL, 0, "Print JSON", 0 },
	{ 0 }
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct list_args *args = state->input;

	switch (key) {
	case KEY_ALL:
		args->all = true;
		return 0;
	case KEY_JSON:
		args->json = true;
		return 0;
	case ARGP_KEY_ARG:
		fail(EXIT_USAGE, arg, "use this operand",
		     "list takes options only",
		     "vfio-p2p status DEVICE shows one bound device");
		return PARSE_FAILED;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static bool is_shown(const struct device *device, bool all)
{
	unsigned int i;

	for (i = 0; i < DEVICE_BARS; i++)
		if (device->bars[i].memory &&
		    (all || device->bars[i].size >= VP2P_GRANULE))
			return true;
	return false;
}

static bool has_room(const struct device *device)
{
	unsigned int i;

	for (i = 0; i < DEVICE_BARS; i++)
		if (window_room(device, i).length)
			return true;
	return false;
}

static const char *peers_text(const struct device *device)
{
	char **peers = device_group_peers(device);
	const char *list = NULL;

	for (; *peers; peers++)
		list = text_list(list, *peers);
	return list;
}

/* What stands between the device and a window: one line, with the command. */
static const char *next_step(const struct device *device)
{
	if (device_is_bridge(device))
		return "none: bridges cannot be bound";
	if (!has_room(device))
		return "none: no BAR has room for a window";
	if (device_is_ours(device))
		return text("ready: vfio-p2p cp FILE %s:BAR", device->bdf);
	if (device->group == NO_GROUP)
		return "needs an IOMMU: enable it in the firmware and boot "
		       "with intel_iommu=on (AMD: it is on by default)";
	return text("vfio-p2p bind %s", device->bdf);
}

static const char *room_text(const struct device *device, unsigned int bar)
{
	struct window_room room = window_room(device, bar);

	if (!room.length)
		return text("no window: %s", room.why);
	if (room.why)
		return text("window %u+%s,%s; %s", bar, text_size(room.offset),
			    text_size(room.length), room.why);
	if (device->msix == MSIX_UNKNOWN)
		return text("window %u; MSI-X unknown, ask as root", bar);
	return text("window %u", bar);
}

static const char *kind_text(const struct bar *bar)
{
	return text("%s-bit%s", bar->wide ? "64" : "32",
		    bar->prefetchable ? " prefetchable" : "");
}

static const char *group_text(const struct device *device)
{
	const char *peers = peers_text(device);

	if (device->group == NO_GROUP)
		return "no IOMMU group";
	if (!peers)
		return text("IOMMU group %d", device->group);
	return text("IOMMU group %d with %s", device->group, peers);
}

static void add_text(struct table *table, const struct device *device)
{
	const char *name = device_name(device);
	unsigned int i;

	table_line(table, text("%s  %s%s[%04x:%04x]", device->bdf, name,
			       *name ? " " : "", device->vendor,
			       device->product));
	table_line(table, text("  driver %s, %s",
			       device->driver ? device->driver : "none",
			       group_text(device)));
	for (i = 0; i < DEVICE_BARS; i++)
		if (device->bars[i].memory)
			TABLE_ROW(table, text("  BAR %u", i),
				  text("\t%s", text_size(device->bars[i].size)),
				  kind_text(&device->bars[i]),
				  room_text(device, i));
	table_line(table, text("  next: %s", next_step(device)));
	table_line(table, "");
}

static void add_bar_json(struct json_object *array, const struct device *device,
			 unsigned int index)
{
	struct window_room room = window_room(device, index);
	const struct bar *bar = &device->bars[index];
	struct json_object *object = json_append_object(array);
	struct json_object *window;

	json_add_u64(object, "bar", index);
	json_add_u64(object, "size", bar->size);
	json_add_u64(object, "bus_address", bar->start);
	json_add_bool(object, "prefetchable", bar->prefetchable);
	json_add_bool(object, "64bit", bar->wide);
	window = json_add_object(object, "window");
	json_add_bool(window, "possible", room.length);
	json_add_u64(window, "offset", room.offset);
	json_add_u64(window, "length", room.length);
	json_add_string(window, "limit", room.why);
	json_add_bool(window, "msix_known", device->msix != MSIX_UNKNOWN);
}

static void add_json(struct json_object *array, const struct device *device)
{
	struct json_object *object = json_append_object(array);
	struct json_object *bars, *peers;
	char **peer = device_group_peers(device);
	unsigned int i;

	json_add_string(object, "device", device->bdf);
	json_add_string(object, "name", device_name(device));
	json_add_u64(object, "vendor_id", device->vendor);
	json_add_u64(object, "device_id", device->product);
	json_add_u64(object, "class", device->class);
	json_add_string(object, "driver", device->driver);
	if (device->group == NO_GROUP)
		json_add_string(object, "iommu_group", NULL);
	else
		json_add_u64(object, "iommu_group", device->group);
	peers = json_add_array(object, "group_peers");
	for (; *peer; peer++)
		json_append_string(peers, *peer);
	bars = json_add_array(object, "bars");
	for (i = 0; i < DEVICE_BARS; i++)
		if (device->bars[i].memory)
			add_bar_json(bars, device, i);
	json_add_bool(object, "ready", device_is_ours(device));
	json_add_string(object, "next", next_step(device));
}

static void print_text(const struct device *const *devices, bool all)
{
	struct table *table = table_create();

	if (!*devices)
		printf("no PCI device has a memory BAR%s\n", all ? "" :
		       " of 2 MiB or more (--all shows smaller ones)");
	for (; *devices; devices++)
		add_text(table, *devices);
	table_print(table, stdout);
}

static void print_json(const struct device *const *devices)
{
	struct json_object *root = json_object_new_object();
	struct json_object *array = json_add_array(root, "devices");

	for (; *devices; devices++)
		add_json(array, *devices);
	json_print(root);
}

static int run(const struct command *command, int argc, char **argv)
{
	struct list_args args = { 0 };
	int rc = command_parse(command, argc, argv, &args);
	char **names = directory_names(host_path("/sys/bus/pci/devices"));
	const struct device **devices;
	unsigned int count = 0;

	if (rc)
		return rc;
	while (names[count])
		count++;
	devices = keep((count + 1) * sizeof(*devices));
	for (count = 0; *names; names++) {
		const struct device *device = device_load(*names);

		if (device && is_shown(device, args.all))
			devices[count++] = device;
	}
	if (args.json)
		print_json(devices);
	else
		print_text(devices, args.all);
	return EXIT_OK;
}

const struct command list_command = {
	.name = "list",
	.summary = "Show PCI devices with memory that could be a window",
	.usage = "",
	.examples = "  vfio-p2p list           devices with a BAR of 2 MiB or more\n"
		    "  vfio-p2p list --all     every device with a memory BAR\n"
		    "  vfio-p2p list --json | jq '.devices[] | select(.ready)'\n",
	.details = "For each memory BAR the largest possible window is named as "
		   "'bind --window' takes it.  A window needs 2 MiB alignment "
		   "and no MSI-X table inside.  The line 'next' says what to "
		   "do; it is advice, the driver has the last word.  The "
		   "position of the MSI-X tables is known to root only.",
	.options = options,
	.parse = parse,
	.run = run,
};
