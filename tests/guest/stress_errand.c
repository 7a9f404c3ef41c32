// SPDX-License-Identifier: MIT
/*
 * Errands of the stress test's event makers: a reset through sysfs, and an error
 * of the port.  They are done by a process that has no descriptor of the
 * devices: it waits for device_lock, which an unbinding holds until all
 * descriptors are closed.
 */
#define _GNU_SOURCE
#include "harness.h"
#include "stress.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static long sysfs_reset(int dev)
{
	return h_writef("1", "/sys/bus/pci/devices/%s/reset", st_devs[dev].bdf);
}

/* The bridge above a device. */
static void port_of(int dev, char *port, size_t n)
{
	char path[128], target[256];
	ssize_t len;
	char *last;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", st_devs[dev].bdf);
	len = readlink(path, target, sizeof(target) - 1);
	target[len < 0 ? 0 : len] = 0;
	last = strrchr(target, '/');
	if (last)
		*last = 0;
	last = strrchr(target, '/');
	snprintf(port, n, "%s", last ? last + 1 : "none");
}

/* The kernel says when recovery is over; nothing else tells. */
static bool recovery_is_over(int kmsg, const char *port)
{
	char record[1024];
	ssize_t n;

	while ((n = read(kmsg, record, sizeof(record) - 1)) > 0 || errno == EPIPE) {
		record[n > 0 ? n : 0] = 0;
		if (strstr(record, "AER: device recovery") && strstr(record, port))
			return true;
	}
	return false;
}

static long inject_error(int dev)
{
	int kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	char port[64];
	long ret;

	port_of(dev, port, sizeof(port));
	lseek(kmsg, 0, SEEK_END);
	/* There is one line to the host, and answers do not say whom they are for. */
	while (atomic_exchange(&st->line, 1))
		usleep(500);
	ret = h_hostf(NULL, 0, "{\"hmp\": \"pcie_aer_inject_error %s COMP_ABORT\"}", st_devs[dev].port);
	atomic_store(&st->line, 0);
	if (!ret && !h_wait_until(recovery_is_over(kmsg, port), 30000))
		ret = -ETIME;
	close(kmsg);
	return ret;
}

void st_errand_boy(int of_set)
{
	struct st_errand *e = &st->errands[of_set];

	for (;;) {
		unsigned int ticket = atomic_load(&e->asked);

		if (ticket == atomic_load(&e->answered)) {
			usleep(500);
			continue;
		}
		e->ret = e->what == ST_SYSFS_RESET ? sysfs_reset(e->dev) : inject_error(e->dev);
		atomic_store(&e->answered, ticket);
	}
}
