/* SPDX-License-Identifier: MIT */
/* doctor_kernel.c - is this a kernel that can do it, and is the module there? */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "doctor.h"
#include "sysfs.h"
#include "text.h"

#define MODULE "/sys/module/" MODULE_NAME

/* The series that the module builds for: 7.2 and 7.3. */
#define SERIES_FIRST	702
#define SERIES_LAST	703

static bool module_is_loaded(void)
{
	return path_exists(host_path(MODULE));
}

static const char *release(void)
{
	const char *name = attribute_read(host_path("/proc/sys/kernel/osrelease"));

	return name ? name : "";
}

/* Does a line of @file contain @word? -1 if it cannot be read. */
static int file_has(const char *file, const char *word)
{
	FILE *stream = fopen(file, "re");
	char *line = NULL;
	size_t size = 0;
	int has = -1;

	if (!stream)
		return -1;
	while (has != 1 && getline(&line, &size, stream) >= 0)
		has = strstr(line, word) != NULL;
	free(line);
	fclose(stream);
	return has;
}

/* For this kernel; -1 if that cannot be read. */
static int module_is_installed(void)
{
	return file_has(host_path("/lib/modules/%s/modules.dep", release()),
			DRIVER_NAME ".ko");
}

static void check_series(struct findings *findings)
{
	unsigned int major, minor, series;
	const char *name = release();

	if (sscanf(name, "%u.%u", &major, &minor) != 2) {
		found(findings, FOUND_UNKNOWN, "kernel", NULL,
		      "/proc/sys/kernel/osrelease does not tell its release",
		      "mount /proc");
		return;
	}
	series = major * 100 + minor;
	if (series >= SERIES_FIRST && series <= SERIES_LAST)
		found(findings, FOUND_OK, "kernel", NULL,
		      text("Linux %s", name), NULL);
	else if (module_is_loaded() || module_is_installed() == 1)
		found(findings, FOUND_WARNING, "kernel", NULL,
		      text("Linux %s has the module, which has been tried on "
			   "7.2 and 7.3 only", name),
		      "boot Linux 7.2 or 7.3 if something fails");
	else
		found(findings, FOUND_FAIL, "kernel", NULL,
		      text("the module builds for Linux 7.2 and 7.3, this is "
			   "%s", name),
		      "boot Linux 7.2 or 7.3");
}

/* The kernel's configuration, where a distribution leaves it. -1: nowhere. */
static int configured(const char *option)
{
	const char *word = text("%s=y", option);
	int has = file_has(host_path("/boot/config-%s", release()), word);

	return has >= 0 ? has :
	       file_has(host_path("/lib/modules/%s/config", release()), word);
}

/* Symbols tell what is built in, also in a container; their addresses may hide. */
static void check_p2pdma(struct findings *findings)
{
	static const char symbol[] = " pci_p2pdma_distance_many";
	int has = configured("CONFIG_PCI_P2PDMA");
	const char *seen = "its configuration";

	if (has < 0) {
		seen = "/proc/kallsyms";
		has = file_has(host_path("/proc/kallsyms"), symbol);
	}
	if (module_is_loaded() || has == 1)
		found(findings, FOUND_OK, "pci-p2pdma", NULL,
		      has == 1 ? text("%s has CONFIG_PCI_P2PDMA", seen) :
		      "the module is loaded, which needs CONFIG_PCI_P2PDMA",
		      NULL);
	else if (!has)
		found(findings, FOUND_FAIL, "pci-p2pdma", NULL,
		      text("%s is without CONFIG_PCI_P2PDMA", seen),
		      "boot a kernel that has it (Debian's have from 7.2 on)");
	else
		found(findings, FOUND_UNKNOWN, "pci-p2pdma", NULL,
		      "neither /boot/config nor /proc/kallsyms can be read",
		      "run as root");
}

static void check_huge_pages(struct findings *findings)
{
	if (path_exists(host_path("/sys/kernel/mm/transparent_hugepage")))
		found(findings, FOUND_OK, "huge-pages", NULL,
		      "CONFIG_TRANSPARENT_HUGEPAGE is on", NULL);
	else
		found(findings, FOUND_WARNING, "huge-pages", NULL,
		      "there is no /sys/kernel/mm/transparent_hugepage: "
		      "windows are of 4 KiB pages, which costs memory and time",
		      "boot a kernel with CONFIG_TRANSPARENT_HUGEPAGE (none "
		      "with PREEMPT_RT has it)");
}

static void check_iommu(struct findings *findings)
{
	char **group = directory_names(host_path("/sys/kernel/iommu_groups"));
	unsigned int count = 0;

	while (group[count])
		count++;
	if (count)
		found(findings, FOUND_OK, "iommu", NULL,
		      text("on, %u groups", count), NULL);
	else
		found(findings, FOUND_FAIL, "iommu", NULL,
		      "there are no IOMMU groups: the IOMMU is off",
		      "switch VT-d or AMD-Vi on in the firmware; on Intel also "
		      "boot with intel_iommu=on");
}

static void check_absent_module(struct findings *findings)
{
	int has = module_is_installed();

	if (has == 1)
		found(findings, FOUND_WARNING, "module", NULL,
		      DRIVER_NAME " is installed, but not loaded",
		      "vfio-p2p bind loads it, or: modprobe " DRIVER_NAME);
	else if (!has)
		found(findings, FOUND_FAIL, "module", NULL,
		      text(DRIVER_NAME " is not installed for %s", release()),
		      "make -C module && sudo make -C module modules_install "
		      "&& sudo depmod");
	else
		found(findings, FOUND_UNKNOWN, "module", NULL,
		      text(DRIVER_NAME " is not loaded, and /lib/modules/%s "
			   "cannot be read (a container?)", release()),
		      "modprobe " DRIVER_NAME " on the host");
}

static const char *parameters(void)
{
	const char *folder = host_path(MODULE "/parameters");
	char **name = directory_names(folder);
	const char *list = NULL;

	for (; *name; name++) {
		const char *value = attribute_read(text("%s/%s", folder, *name));

		list = text_list(list, text("%s=%s", *name, value ? value : "?"));
	}
	return list ? list : "no parameters shown";
}

/* 0 looks once: every reset under I/O is refused, or goes on under it. */
static const char *hasty_parameter(void)
{
	static const char *const names[] = { "drain_timeout_ms", "hook_timeout_ms" };
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!attribute_u64(host_path(MODULE "/parameters/%s", names[i]), 1))
			return names[i];
	return NULL;
}

static void check_module(struct findings *findings)
{
	const char *hasty = hasty_parameter();

	if (!module_is_loaded()) {
		check_absent_module(findings);
		return;
	}
	if (hasty)
		found(findings, FOUND_WARNING, "module", NULL,
		      text(DRIVER_NAME " is loaded with %s=0: a reset does not "
			   "wait for I/O", hasty),
		      text("echo 10000 > " MODULE "/parameters/%s", hasty));
	else
		found(findings, FOUND_OK, "module", NULL,
		      text(DRIVER_NAME " is loaded: %s", parameters()), NULL);
}

void doctor_kernel(struct doctor *doctor)
{
	check_series(&doctor->findings);
	check_p2pdma(&doctor->findings);
	check_huge_pages(&doctor->findings);
	check_iommu(&doctor->findings);
	check_module(&doctor->findings);
}
