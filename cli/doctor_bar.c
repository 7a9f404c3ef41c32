/* SPDX-License-Identifier: MIT */
/* doctor_bar.c - which BAR can have a window, and could it be larger? */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "doctor.h"
#include "sysfs.h"
#include "text.h"
#include "window.h"

#define MIB_SHIFT 20

/* The next line of the attribute "windows" that is one. */
static bool next_window(char **rest, struct span *window)
{
	unsigned int id;
	char *line;

	while (*rest && (line = strsep(rest, "\n")))
		if (sscanf(line, "%u %u %" SCNx64 " %" SCNx64, &id, &window->bar,
			   &window->offset, &window->length) == 4)
			return true;
	return false;
}

static char *windows_of(const char *bdf)
{
	return attribute_read(device_path(bdf, "p2p_vfio/windows"));
}

/* The windows that @bar has already: "16M at offset 0", or NULL. */
static const char *registered(const char *bdf, unsigned int bar)
{
	char *rest = windows_of(bdf);
	const char *list = NULL;
	struct span window;

	while (next_window(&rest, &window))
		if (window.bar == bar)
			list = text_list(list, text("%s at offset %s",
						    text_size(window.length),
						    text_size(window.offset)));
	return list;
}

static const char *describe(const struct bar *bar)
{
	return text("%s, %s-bit, %sprefetchable", text_size(bar->size),
		    bar->wide ? "64" : "32", bar->prefetchable ? "" : "not ");
}

static const char *remedy_for(const struct bar *bar)
{
	if (!bar->memory)
		return "vfio-p2p list --all shows the BARs";
	if (bar->size < VP2P_GRANULE)
		return "name another BAR, or enlarge it (resizable BAR)";
	if (!bar->assigned)
		return "enable \"above 4G decoding\" in the firmware";
	return "name another BAR";
}

static void check_room(struct findings *findings, const struct device *device,
		       unsigned int index)
{
	const struct bar *bar = &device->bars[index];
	struct window_room room = window_room(device, index);
	const char *subject = text("%s:%u", device->bdf, index);
	const char *windows = registered(device->bdf, index);

	if (windows)
		found(findings, FOUND_OK, "bar", subject,
		      text("%s; window registered: %s", describe(bar), windows),
		      NULL);
	else if (!room.length)
		found(findings, FOUND_FAIL, "bar", subject,
		      text("%s%sno window: %s",
			   bar->memory ? describe(bar) : "",
			   bar->memory ? "; " : "", room.why),
		      remedy_for(bar));
	else if (device->msix == MSIX_UNKNOWN)
		found(findings, FOUND_UNKNOWN, "bar", subject,
		      text("%s; room for a window unless MSI-X tables lie in "
			   "it, which only root sees", describe(bar)),
		      "run as root, or register the window at bind: vfio-p2p "
		      "bind --window");
	else
		found(findings, FOUND_OK, "bar", subject,
		      text("%s; room for a window of %s at offset %s%s%s",
			   describe(bar), text_size(room.length),
			   text_size(room.offset), room.why ? ": " : "",
			   room.why ? room.why : ""), NULL);
}

/* The largest power of two in MiB that @sizes, a bit for each, has; -1 for none. */
static int largest(uint64_t sizes)
{
	return sizes ? 63 - __builtin_clzll(sizes) : -1;
}

static void check_resizable(struct findings *findings,
			    const struct device *device, unsigned int index)
{
	const char *name = text("resource%u_resize", index);
	const char *sizes = attribute_read(device_path(device->bdf, name));
	int top = sizes ? largest(strtoull(sizes, NULL, 16)) : -1;
	uint64_t size = device->bars[index].size;
	const char *subject = text("%s:%u", device->bdf, index);

	if (top < 0 || top > 43)
		return;
	if (UINT64_C(1) << (top + MIB_SHIFT) <= size)
		found(findings, FOUND_OK, "resizable", subject,
		      "the BAR is as large as it can be", NULL);
	else
		found(findings, FOUND_WARNING, "resizable", subject,
		      text("the BAR shows %s of up to %s", text_size(size),
			   text_size(UINT64_C(1) << (top + MIB_SHIFT))),
		      text("vfio-p2p unbind %s; echo %d > %s; bind again",
			   device->bdf, top, device_path(device->bdf, name)));
}

static void check_bar(struct findings *findings, const struct device *device,
		      unsigned int index)
{
	check_room(findings, device, index);
	check_resizable(findings, device, index);
}

/* The first window, or else the largest that could be; false if there is none. */
static bool choose_place(const struct device *device, struct span *place)
{
	char *rest = windows_of(device->bdf);
	uint64_t most = 0;
	unsigned int i;

	if (next_window(&rest, place))
		return true;
	for (i = 0; i < DEVICE_BARS; i++) {
		struct window_room room = window_room(device, i);

		if (room.length <= most)
			continue;
		most = room.length;
		*place = (struct span){ .bar = i, .offset = room.offset };
	}
	return most;
}

static void check_best(struct doctor *doctor)
{
	const struct device *device = doctor->device;
	struct span *place = &doctor->args.place.span;
	unsigned int i;

	if (choose_place(device, place)) {
		check_bar(&doctor->findings, device, place->bar);
		return;
	}
	found(&doctor->findings, FOUND_FAIL, "bar", device->bdf,
	      "no BAR has room for a window of 2M",
	      "use a device with a memory BAR of 2 MiB or more; vfio-p2p list "
	      "--all shows the BARs");
	for (i = 0; i < DEVICE_BARS; i++)
		check_resizable(&doctor->findings, device, i);
}

/* The proof has 4 KiB at the place that was named. */
static void check_named(struct doctor *doctor)
{
	const struct span *place = &doctor->args.place.span;
	uint64_t size = doctor->device->bars[place->bar].size;

	check_bar(&doctor->findings, doctor->device, place->bar);
	if (size && place->offset >= size)
		found(&doctor->findings, FOUND_FAIL, "bar", doctor->args.device,
		      text("offset %s is not below the BAR's size of %s",
			   text_size(place->offset), text_size(size)),
		      "choose an offset inside the BAR");
}

void doctor_bars(struct doctor *doctor)
{
	if (doctor->args.bar_given)
		check_named(doctor);
	else
		check_best(doctor);
}
