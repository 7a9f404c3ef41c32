/* SPDX-License-Identifier: MIT */
/*
 * window_command.c - vfio-p2p window: register windows of a bound device, and give
 * them back
 */
#include "cli.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <vfio-p2p.h>

#include "device.h"
#include "open.h"
#include "report.h"
#include "text.h"
#include "window_add.h"

struct window_args {
	bool (*verb)(struct window_args *args, const char *string);
	int (*act)(const struct device *device, const struct window_args *args);
	char bdf[BDF_SIZE];
	struct span *spans;	/* of "add" */
	unsigned int *numbers;	/* of "remove" */
	unsigned int count;
};

static const struct argp_option options[] = { { 0 } };

/* False after the rule that was broken was printed. */
static bool parse_range(struct window_args *args, const char *string)
{
	const char *wrong = parse_window(string, &args->spans[args->count]);

	if (wrong)
		fail(EXIT_USAGE, NULL, "read the range", text("'%s' %s", string, wrong),
		     "write it as in 2, 2+16M or 2+16M,32M: BAR[+OFFSET[,LENGTH]]");
	else
		args->count++;
	return !wrong;
}

/* Is the last number one of those before? */
static bool given_before(const struct window_args *args)
{
	unsigned int i;

	for (i = 0; i < args->count; i++)
		if (args->numbers[i] == args->numbers[args->count])
			return true;
	return false;
}

static bool parse_number(struct window_args *args, const char *string)
{
	unsigned int *number = &args->numbers[args->count];
	const char *wrong = parse_count(string, UINT_MAX, number);

	if (!wrong && *number >= VP2P_MAX_WINDOWS)
		wrong = text("is more than a window's number can be, %d", VP2P_MAX_WINDOWS - 1);
	if (wrong)
		fail(EXIT_USAGE, NULL, "read the window's number",
		     text("'%s' %s", string, wrong),
		     "vfio-p2p status shows the windows and their numbers");
	else if (!given_before(args))
		args->count++;
	return !wrong;
}

/* What one command has registered stays, whatever comes after it. */
static int add(const struct device *device, const struct window_args *args)
{
	struct vp2p_device *dev;
	struct vp2p_error err;
	const char *news;
	int rc = windows_check(device, args->spans, args->count);
	unsigned int i;

	if (rc)
		return rc;
	if (open_device(device->bdf, &dev, &err))
		return report_open(&err);
	for (i = 0; !rc && i < args->count; i++) {
		rc = window_add(dev, device, &args->spans[i], &news);
		if (!rc)
			printf("%s: %s\n", device->bdf, news);
	}
	vp2p_close(dev);
	return rc;
}

static int remove_one(struct vp2p_device *dev, const char *bdf, unsigned int number)
{
	struct vp2p_window *win;
	struct vp2p_error err;

	if (vp2p_window_find(dev, number, 0, &win, &err))
		return report(&err);
	if (vp2p_window_unregister(win, &err)) {
		vp2p_window_destroy(win);
		return report(&err);
	}
	printf("%s: window %u removed\n", bdf, number);
	return EXIT_OK;
}

/* One that fails does not keep the others; the first failure counts. */
static int remove_all(const struct device *device, const struct window_args *args)
{
	struct vp2p_device *dev;
	struct vp2p_error err;
	int rc = EXIT_OK;
	unsigned int i;

	if (open_device(device->bdf, &dev, &err))
		return report_open(&err);
	for (i = 0; i < args->count; i++) {
		int one = remove_one(dev, device->bdf, args->numbers[i]);

		if (!rc)
			rc = one;
	}
	vp2p_close(dev);
	return rc;
}

static error_t parse_verb(struct window_args *args, const char *string)
{
	if (!strcmp(string, "add")) {
		args->verb = parse_range;
		args->act = add;
	} else if (!strcmp(string, "remove")) {
		args->verb = parse_number;
		args->act = remove_all;
	} else {
		fail(EXIT_USAGE, NULL, text("do '%s'", string),
		     "it is nothing that can be done with windows",
		     "use add or remove; vfio-p2p status shows the windows");
		return PARSE_FAILED;
	}
	return 0;
}

static error_t parse_device(struct window_args *args, const char *string)
{
	const char *wrong = parse_bdf(string, args->bdf);

	if (!wrong)
		return 0;
	fail(EXIT_USAGE, NULL, "read the device's address", text("'%s' %s", string, wrong),
	     "vfio-p2p status shows the bound devices");
	return PARSE_FAILED;
}

static error_t parse_operand(struct window_args *args, const char *string)
{
	if (!args->act)
		return parse_verb(args, string);
	if (!*args->bdf)
		return parse_device(args, string);
	return args->verb(args, string) ? 0 : PARSE_FAILED;
}

static const char *missing(const struct window_args *args)
{
	if (!args->act)
		return "neither add nor remove is given";
	if (!*args->bdf)
		return "no device is given";
	return args->act == add ? "no range is given" : "no window's number is given";
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct window_args *args = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		args->spans = keep(state->argc * sizeof(*args->spans));
		args->numbers = keep(state->argc * sizeof(*args->numbers));
		return 0;
	case ARGP_KEY_ARG:
		return parse_operand(args, arg);
	case ARGP_KEY_END:
		if (args->count)
			return 0;
		fail(EXIT_USAGE, NULL, "begin", missing(args),
		     "give the device and what to do: vfio-p2p window add 0000:03:00.0 2, "
		     "or: vfio-p2p window remove 0000:03:00.0 0");
		return PARSE_FAILED;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static int run(const struct command *command, int argc, char **argv)
{
	struct window_args args = { 0 };
	const struct device *device;
	int rc = command_parse(command, argc, argv, &args);

	if (!rc)
		rc = device_load_ours(args.bdf, "change its windows", &device);
	return rc ? rc : args.act(device, &args);
}

const struct command window_command = {
	.name = "window",
	.summary = "Register windows of a bound device, or give them back",
	.usage = "add DEVICE BAR[+OFFSET[,LENGTH]]...\nremove DEVICE NUMBER...",
	.examples = "  vfio-p2p window add 0000:03:00.0 2        all of BAR 2\n"
		    "  vfio-p2p window add 03:00.0 2+16M,32M     32 MiB from 16 MiB on\n"
		    "  vfio-p2p window remove 03:00.0 0          number 0 of 'status'\n",
	.details = "A window lasts until it is removed or the device is unbound.  "
		   "Removing gives its host memory back; one that is mapped, or of "
		   "which DMA holds a part, is left alone (status 4), and so is one "
		   "of the provider 'standard', which keeps it until unbind (status "
		   "3).  The device is opened for this, which resets it, so no other "
		   "program may have it open; one that has it uses the library.  "
		   "'vfio-p2p status' shows windows, numbers and providers.",
	.options = options,
	.parse = parse,
	.run = run,
};
