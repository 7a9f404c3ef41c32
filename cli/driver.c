/* SPDX-License-Identifier: MIT */
/* driver.c - which driver a PCI device is bound to, and changing it */
#include "driver.h"

#include <errno.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli.h"
#include "sysfs.h"
#include "text.h"

/*
 * Unbinding waits in the kernel, but a driver may ask to be probed
 * asynchronously (nvme does), so that its link comes a little later.
 */
#define LINK_TRIES	100
#define LINK_PAUSE_US	20000

extern char **environ;

static const char *driver_path(const char *driver, const char *name)
{
	return host_path("/sys/bus/pci/drivers/%s%s", driver, name);
}

/* Does @bdf come to be bound to @driver (NULL: to none)? */
static bool becomes(const char *bdf, const char *driver)
{
	unsigned int tries;

	for (tries = 0; tries < LINK_TRIES; tries++) {
		const char *now = link_target(device_path(bdf, "driver"));

		if (driver ? now && !strcmp(now, driver) : !now)
			return true;
		usleep(LINK_PAUSE_US);
	}
	return false;
}

static int write_failed(const char *bdf, const char *step, int error)
{
	const char *remedy = "see the end of the kernel log (dmesg)";

	if (error == -EACCES || error == -EPERM)
		remedy = "run as root";
	else if (error == -ENOENT)
		remedy = "check that the device is still there (vfio-p2p list)";
	return fail(EXIT_FAILED, bdf, step,
		    text("the kernel answered: %s", strerror(-error)), remedy);
}

static int run_modprobe(void)
{
	/* The same program that the kernel itself would call. */
	const char *program = attribute_read(host_path("/proc/sys/kernel/modprobe"));
	const char *const arguments[] = { "modprobe", "-q", DRIVER_NAME, NULL };
	int status;
	pid_t pid;

	if (!program || !*program)
		program = "modprobe";
	/* The cast: the prototype is older than const. */
	if (posix_spawnp(&pid, program, NULL, NULL, (char *const *)arguments,
			 environ))
		return -1;
	if (waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int driver_load_module(void)
{
	int status;

	if (path_exists(driver_path(DRIVER_NAME, "")))
		return EXIT_OK;
	status = run_modprobe();
	if (path_exists(driver_path(DRIVER_NAME, "")))
		return EXIT_OK;
	return fail(EXIT_IMPOSSIBLE, NULL, "load the driver " DRIVER_NAME,
		    text("modprobe ended with status %d and no such driver is "
			 "registered", status),
		    geteuid() ? "run as root" :
		    "install the module: make -C module && sudo make -C module "
		    "modules_install && sudo depmod; dmesg tells why one was "
		    "refused");
}

static int set_override(const char *bdf, const char *driver)
{
	int error = attribute_write(device_path(bdf, "driver_override"),
				    driver ? driver : "\n");

	return error ? write_failed(bdf, "set driver_override", error) :
		       EXIT_OK;
}

static int unbind_from(const char *bdf, const char *driver)
{
	int error = attribute_write(driver_path(driver, "/unbind"), bdf);

	if (error)
		return write_failed(bdf, text("unbind it from %s", driver),
				    error);
	if (!becomes(bdf, NULL))
		return fail(EXIT_FAILED, bdf, text("unbind it from %s", driver),
			    "the kernel took the request, but the driver is "
			    "still bound",
			    "see the end of the kernel log (dmesg)");
	return EXIT_OK;
}

/* By the driver's own file, not by drivers_probe: it tells the probe's errno. */
static int bind_to(const char *bdf, const char *driver)
{
	int error = attribute_write(driver_path(driver, "/bind"), bdf);

	if (error)
		return write_failed(bdf, text("bind it to %s", driver), error);
	if (!becomes(bdf, driver))
		return fail(EXIT_FAILED, bdf, text("bind it to %s", driver),
			    "the kernel took the request, but the driver is "
			    "not bound",
			    "see the end of the kernel log (dmesg)");
	return EXIT_OK;
}

int driver_take(const struct device *device)
{
	int rc = set_override(device->bdf, DRIVER_NAME);

	if (!rc && device->driver)
		rc = unbind_from(device->bdf, device->driver);
	if (!rc)
		rc = bind_to(device->bdf, DRIVER_NAME);
	return rc;
}

/* Back to the recorded driver, or to whichever the kernel finds. */
static int bind_former(const char *bdf, const struct record *former)
{
	int error;

	if (former && !former->driver)
		return EXIT_OK;
	if (former && path_exists(driver_path(former->driver, "")))
		return bind_to(bdf, former->driver);
	if (former)
		note("vfio-p2p: %s: its former driver %s is not loaded; the "
		     "kernel chooses", bdf, former->driver);
	error = attribute_write(host_path("/sys/bus/pci/drivers_probe"), bdf);
	return error ? write_failed(bdf, "have its driver found", error) :
		       EXIT_OK;
}

int driver_give_back(const char *bdf, const struct record *former)
{
	const char *now = link_target(device_path(bdf, "driver"));
	bool back = former && former->driver && now &&
		    !strcmp(now, former->driver);
	int rc = EXIT_OK;

	if (now && !strcmp(now, DRIVER_NAME))
		rc = unbind_from(bdf, now);
	if (!rc)
		rc = set_override(bdf, former ? former->override : NULL);
	if (!rc && !back)
		rc = bind_former(bdf, former);
	return rc;
}
