/* SPDX-License-Identifier: MIT */
/* unbind.c - vfio-p2p unbind: back to the driver a device had before "bind" */
#include "cli.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "device.h"
#include "driver.h"
#include "operands.h"
#include "progress.h"
#include "record.h"
#include "sysfs.h"
#include "text.h"
#include "vfio_users.h"

#define POLL_US		100000
#define WAIT_LIMIT	(24 * 3600)

struct unbind_args {
	struct operands devices;
	unsigned int wait;	/* seconds */
};

enum { KEY_WAIT = 'w' };

static const struct argp_option options[] = {
	{ "wait", KEY_WAIT, "SECONDS", 0,
	  "If a device is open, wait this long for it to be closed (default 0)",
	  0 },
	{ 0 }
};

static error_t parse_wait(struct unbind_args *args, const char *string)
{
	const char *wrong = parse_count(string, WAIT_LIMIT, &args->wait);

	if (wrong) {
		fail(EXIT_USAGE, NULL, "read --wait",
		     text("'%s' %s", string, wrong),
		     text("give a number of seconds, a day (%d) at most, as in --wait 10",
			  WAIT_LIMIT));
		return PARSE_FAILED;
	}
	return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct unbind_args *args = state->input;

	switch (key) {
	case KEY_WAIT:
		return parse_wait(args, arg);
	case ARGP_KEY_ARG:
		return operands_add(&args->devices, arg, state);
	case ARGP_KEY_NO_ARGS:
		return operands_missing(state);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* 2 MiB units that DMA holds; an owner that has closed may leave some. */
static unsigned long long pinned_folios(const struct device *device)
{
	return attribute_u64(device_path(device->bdf, "p2p_vfio/pinned_folios"),
			     0);
}

/* By the driver's own word where it gives one, else by looking for openers. */
static bool is_open(const struct device *device)
{
	const char *state = attribute_read(device_path(device->bdf,
						       "p2p_vfio/state"));

	if (pinned_folios(device))
		return true;
	/* A device that has failed for good says so even when it is closed. */
	if (state && strcmp(state, "gone"))
		return strcmp(state, "closed");
	return vfio_users(device);
}

static int fail_open(const struct device *device)
{
	static const char step[] = "unbind it";
	const char *users = vfio_users(device);
	unsigned long long pinned = pinned_folios(device);
	const char *mappers;

	if (users)
		return fail(EXIT_BUSY, device->bdf, step,
			    text("it is open by %s", users),
			    "end these processes, or give them time with "
			    "--wait SECONDS");
	if (pinned)
		return fail(EXIT_BUSY, device->bdf, step,
			    text("nobody is seen to have it open, but DMA of a "
				 "former owner still holds %llu folios", pinned),
			    "give that I/O time to end, with --wait SECONDS");
	if (geteuid())
		return fail(EXIT_BUSY, device->bdf, step,
			    "it is open by a process that cannot be seen from "
			    "here", "run as root to see which");
	mappers = vfio_mappers();
	return fail(EXIT_BUSY, device->bdf, step,
		    text("it is open, but by no fd of a process that can be "
			 "seen%s%s", mappers ? "; memory of a VFIO device is "
			 "mapped by " : "", mappers ? mappers : ""),
		    "look for a mapping, for a process in another PID namespace, "
		    "or for an fd on its way through a socket; --wait SECONDS "
		    "gives it time");
}

/*
 * The kernel would wait in the write to "unbind", for as long as it takes and
 * deaf to signals: so nothing is written while somebody has the device open.
 */
static int wait_until_closed(const struct device *device, unsigned int seconds)
{
	double end = monotonic_seconds() + seconds;

	while (is_open(device)) {
		if (monotonic_seconds() >= end)
			return fail_open(device);
		usleep(POLL_US);
	}
	return EXIT_OK;
}

/*
 * What a "bind" or "unbind" that was killed leaves: no driver, or the former one
 * still with our override.  @former: NULL if there is no record.
 */
static bool left_half_way(const struct device *device,
			  const struct record *former)
{
	bool override = device->override &&
			!strcmp(device->override, DRIVER_NAME);

	if (!device->driver)
		return former || override;
	return override && former && former->driver &&
	       !strcmp(device->driver, former->driver);
}

static int unbind(const char *bdf, unsigned int seconds)
{
	const struct device *device = device_load(bdf);
	struct record former = { 0 };
	const char *now;
	int missing, rc;

	if (!device)
		return fail(EXIT_IMPOSSIBLE, bdf, "unbind it",
			    "there is no such PCI device",
			    "vfio-p2p status shows what is bound");
	missing = record_load(bdf, &former);
	if (!device_is_ours(device) &&
	    !left_half_way(device, missing ? NULL : &former))
		return fail(EXIT_FAILED, bdf, "unbind it",
			    device->driver ?
			    text("it is bound to %s, not to " DRIVER_NAME,
				 device->driver) : "it is bound to no driver",
			    "vfio-p2p status shows what is bound");
	rc = device_is_ours(device) ? wait_until_closed(device, seconds) :
				      EXIT_OK;
	if (rc)
		return rc;
	if (missing && missing != -ENOENT)
		note("vfio-p2p: %s: %s cannot be %s; the kernel chooses a driver",
		     bdf, record_path(bdf), missing == -EBADMSG ?
		     "understood" : "trusted");
	rc = driver_give_back(bdf, missing ? NULL : &former);
	if (rc)
		return rc;
	record_remove(bdf);
	now = link_target(device_path(bdf, "driver"));
	printf("%s: %s%s\n", bdf, now ? "bound to " : "no driver is bound",
	       now ? now : "");
	return EXIT_OK;
}

static int run(const struct command *command, int argc, char **argv)
{
	struct unbind_args args = { 0 };
	int rc = command_parse(command, argc, argv, &args);
	unsigned int i;

	if (rc)
		return rc;
	/* One that fails does not keep the others; the first failure counts. */
	for (i = 0; i < args.devices.count; i++) {
		int one = unbind(args.devices.bdf[i], args.wait);

		if (!rc)
			rc = one;
	}
	return rc;
}

const struct command unbind_command = {
	.name = "unbind",
	.summary = "Give devices back to the drivers they had",
	.usage = "DEVICE...",
	.examples = "  vfio-p2p unbind 0000:03:00.0\n"
		    "  vfio-p2p unbind --wait 10 03:00.0 03:00.1\n",
	.details = "Restores the driver and the driver_override that 'bind' "
		   "found, also after a 'bind' that was killed half-way.  If "
		   "they are not known, driver_override is cleared and the "
		   "kernel chooses.  A device that a process has open is left "
		   "alone, and the process is named (status 4); so is one of "
		   "whose memory DMA still holds a part.  Windows end here.",
	.options = options,
	.parse = parse,
	.run = run,
};
