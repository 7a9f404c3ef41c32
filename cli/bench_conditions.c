/* SPDX-License-Identifier: MIT */
/* bench_conditions.c - under what the figures were taken */
#include "bench_conditions.h"

#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "cli.h"
#include "device.h"
#include "sysfs.h"
#include "text.h"

/* The rest of /proc/cpuinfo's first line that begins with @key, or NULL. */
static const char *cpuinfo(const char *key)
{
	const char *info = attribute_read(host_path("/proc/cpuinfo"));
	const char *at = info ? strstr(info, key) : NULL;

	at = at ? strchr(at, ':') : NULL;
	if (!at)
		return NULL;
	at += strspn(at, ": \t");
	return text("%.*s", (int)strcspn(at, "\n"), at);
}

void conditions_find(struct bench_conditions *c, const char *bdf,
		     const struct vp2p_window *win)
{
	const char *small = attribute_read(host_path("/sys/module/" MODULE_NAME
						     "/parameters/small_folios"));
	const char *flags = cpuinfo("\nflags");
	struct utsname name;

	uname(&name);
	c->kernel = text("%s", name.release);
	c->cpu_model = cpuinfo("model name");
	c->hypervisor = flags && strstr(flags, " hypervisor");
	c->cpus = (unsigned int)sysconf(_SC_NPROCESSORS_ONLN);
	c->clock = attribute_read(host_path("/sys/devices/system/clocksource/"
					    "clocksource0/current_clocksource"));
	c->device = bdf;
	c->bar = vp2p_window_bar(win);
	c->window_length = vp2p_window_length(win);
	if (vp2p_window_provider(win))
		c->provider = vp2p_provider_name(vp2p_window_provider(win));
	c->iommu = attribute_read(device_path(bdf, "iommu_group/type"));
	c->small_folios_known = small;
	c->small_folios = small && (*small == 'Y' ||
		!path_exists(host_path("/sys/kernel/mm/transparent_hugepage")));
}
