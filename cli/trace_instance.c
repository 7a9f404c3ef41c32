/* SPDX-License-Identifier: MIT */
/* trace_instance.c - a tracing instance of our own */
#include "trace_instance.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "sysfs.h"
#include "text.h"

#define TRACING "/sys/kernel/tracing"
#define PREFIX "vfio-p2p-"

static const char step[] = "trace";

/* Of a process there is one; it must be found at exit(). */
static const char *instance;
static int pipe_fd = -1;

static int no_permission(void)
{
	return fail_for(EACCES, EXIT_FAILED, TRACING, step,
			"tracing is root's alone", "run the command as root");
}

static bool denied(int error)
{
	return error == EACCES || error == EPERM;
}

/* Each is a step that the next one needs. */
static int check_machine(void)
{
	if (!path_exists(host_path("/sys/module/" MODULE_NAME)))
		return fail(EXIT_IMPOSSIBLE, NULL, step,
			    "the module " MODULE_NAME " is not loaded",
			    "modprobe p2p-vfio-pci; vfio-p2p bind does it, too");
	if (!path_exists(host_path(TRACING)))
		return fail(EXIT_IMPOSSIBLE, TRACING, step,
			    "it does not exist: this kernel was built without tracing",
			    "boot one with CONFIG_TRACING; vfio-p2p status --watch "
			    "needs none");
	if (path_exists(host_path(TRACING "/instances")))
		return EXIT_OK;
	if (denied(errno))
		return no_permission();
	return fail(EXIT_IMPOSSIBLE, TRACING, step, "no tracefs is mounted there",
		    "mount -t tracefs nodev " TRACING);
}

static int check_events(void)
{
	if (path_exists(host_path(TRACING "/events/p2p_vfio")))
		return EXIT_OK;
	if (denied(errno))
		return no_permission();
	return fail(EXIT_IMPOSSIBLE, TRACING "/events/p2p_vfio", step,
		    "the driver has no tracepoints in this kernel",
		    "boot a kernel with CONFIG_EVENT_TRACING, and build the module "
		    "for it");
}

/*
 * What killed processes have left.  One that is still read from refuses to go; one
 * that is just being made has a process.
 */
static void sweep(void)
{
	const char *folder = host_path(TRACING "/instances");
	char **name;

	for (name = directory_names(folder); *name; name++) {
		pid_t pid = (pid_t)strtol(*name + strlen(PREFIX), NULL, 10);

		if (!strncmp(*name, PREFIX, strlen(PREFIX)) && pid > 0 &&
		    kill(pid, 0) && errno == ESRCH)
			rmdir(text("%s/%s", folder, *name));
	}
}

static int set(const char *file, const char *value)
{
	const char *path = text("%s/%s", instance, file);
	int error = attribute_write(path, value);

	if (!error)
		return EXIT_OK;
	if (denied(-error))
		return no_permission();
	return fail_for(-error, EXIT_FAILED, path, step,
			text("'%s' cannot be written: %s", value,
			     strerror(-error)),
			"use the tool and the module of one release");
}

static int switch_on(const char *event, const char *filter)
{
	int rc = EXIT_OK;

	if (filter)
		rc = set(text("events/p2p_vfio/p2p_vfio_%s/filter", event), filter);
	return rc ? rc :
	       set(text("events/p2p_vfio/p2p_vfio_%s/enable", event), "1");
}

/* Of faults only those that met a closed gate: the others may be millions. */
static int switch_all_on(const char *bdf)
{
	static const char *const events[] = {
		"register", "begin", "zapped", "drained", "timeout", "end",
	};
	const char *device = bdf ? text("dev == \"%s\"", bdf) : NULL;
	/* CPUs' own clocks may disagree, and a revocation may change CPUs. */
	int rc = set("trace_clock", "mono");
	size_t i;

	for (i = 0; !rc && i < sizeof(events) / sizeof(events[0]); i++)
		rc = switch_on(events[i], device);
	return rc ? rc : switch_on("fault", device ?
				   text("open == 0 && %s", device) : "open == 0");
}

static void remove_at_exit(void)
{
	instance_close();
}

static int make(void)
{
	const char *path = host_path(TRACING "/instances/" PREFIX "%d",
				     (int)getpid());

	if (mkdir(path, 0700)) {
		if (denied(errno))
			return no_permission();
		return fail_for(errno, EXIT_FAILED, path, step, strerror(errno),
				errno == EEXIST ? text("rmdir %s", path) : NULL);
	}
	/* Not on the obstack of what is repeated: it lasts until the end. */
	instance = path;
	atexit(remove_at_exit);
	return EXIT_OK;
}

static int open_pipe(void)
{
	const char *path = text("%s/trace_pipe", instance);

	pipe_fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (pipe_fd >= 0)
		return EXIT_OK;
	return fail_for(errno, EXIT_FAILED, path, step, strerror(errno), NULL);
}

int instance_open(const char *bdf)
{
	int rc = check_machine();

	if (!rc)
		rc = check_events();
	if (rc)
		return rc;
	sweep();
	rc = make();
	if (!rc)
		rc = open_pipe();
	if (!rc)
		rc = switch_all_on(bdf);
	if (rc)
		instance_close();
	return rc;
}

int instance_fd(void)
{
	return pipe_fd;
}

ssize_t instance_read(char *buffer, size_t size)
{
	ssize_t got = read(pipe_fd, buffer, size);

	if (got >= 0 || errno == EAGAIN || errno == EINTR)
		return got > 0 ? got : 0;
	return -errno;
}

bool instance_alive(void)
{
	return path_exists(text("%s/events/p2p_vfio", instance));
}

void instance_stop(void)
{
	attribute_write(text("%s/events/p2p_vfio/enable", instance), "0");
}

int instance_close(void)
{
	const char *path = instance;

	if (!path)
		return EXIT_OK;
	instance = NULL;
	if (pipe_fd >= 0)
		close(pipe_fd);
	pipe_fd = -1;
	if (!rmdir(path))
		return EXIT_OK;
	return fail_for(errno, EXIT_FAILED, path, "remove the tracing instance",
			strerror(errno), text("rmdir %s", path));
}
