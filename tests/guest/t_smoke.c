// SPDX-License-Identifier: MIT
/*
 * The test machine itself: are the devices there that the topology promises,
 * can the disks be read and written, and does the line to the host work?
 * What else is tested rests on this.
 */
#define _GNU_SOURCE
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAGE 4096

static void cpus_run(void)
{
	H_EQ(sysconf(_SC_NPROCESSORS_ONLN), sysconf(_SC_NPROCESSORS_CONF));
}

static void target_is_present(void)
{
	const char *bdf = h_pci("target");
	char vendor[32];

	H_CHECK(bdf);
	H_EQ(h_readf(vendor, sizeof(vendor), "/sys/bus/pci/devices/%s/vendor", bdf), 0);
	h_diag("target is %s, vendor %s", bdf, vendor);
	H_CHECK(h_iommu_group(bdf) >= 0);
}

static void unknown_role_is_refused(void)
{
	H_CHECK(!h_pci("no-such-role"));
	H_CHECK(!h_disk("no-such-role"));
	H_EQ(h_modprobe("no-such-module", NULL), -ENOENT);
}

static void round_trip(const char *path, int flags)
{
	char *out = aligned_alloc(PAGE, PAGE), *in = aligned_alloc(PAGE, PAGE);
	int fd = open(path, O_RDWR | O_DIRECT | flags, 0600);

	H_CHECK(fd >= 0);
	memset(in, 0, PAGE);
	for (int i = 0; i < PAGE; i++)
		out[i] = i * 31 + 7;
	H_EQ(pwrite(fd, out, PAGE, PAGE), PAGE);
	H_EQ(pread(fd, in, PAGE, PAGE), PAGE);
	H_EQ(memcmp(in, out, PAGE), 0);
	close(fd);
}

static void raw_disk(void)
{
	const char *disk = h_disk("raw");

	H_CHECK(disk);
	round_trip(disk, 0);
}

static void file_system(const char *role)
{
	const char *dir = h_mount(role, NULL);
	char path[128];

	H_CHECK(dir);
	snprintf(path, sizeof(path), "%s/file", dir);
	round_trip(path, O_CREAT);
	H_EQ(h_umount(role), 0);
}

static void ext4(void)
{
	file_system("ext4");
}

static void xfs(void)
{
	file_system("xfs");
}

static void host_answers(void)
{
	char reply[256];

	H_EQ(h_host("{\"qmp\": {\"execute\": \"query-status\"}}", reply, sizeof(reply)), 0);
	H_CHECK(strstr(reply, "\"running\""));
	H_EQ(h_host("{\"hmp\": \"info version\"}", reply, sizeof(reply)), 0);
	H_EQ(h_host("{\"qmp\": {\"execute\": \"no-such-command\"}}", reply, sizeof(reply)), -EREMOTEIO);
}

/* Not a splat, and announced: it must pass, and would fail if it did not come. */
static void expected_message(void)
{
	h_expect_log("smoke: Call Trace: \\(only the words\\)");
	H_EQ(h_write("/dev/kmsg", "<4>smoke: Call Trace: (only the words)"), 0);
}

static const struct h_case cases[] = {
	{ "all CPUs run", cpus_run },
	{ "the target device is present, in an IOMMU group", target_is_present },
	{ "an unknown role, disk or module is refused", unknown_role_is_refused },
	{ "a raw name space can be written and read", raw_disk },
	{ "a file on ext4 can be written and read", ext4 },
	{ "a file on xfs can be written and read", xfs },
	{ "the host answers", host_answers },
	{ "an announced kernel message passes the gate", expected_message },
	{ }
};

int main(int argc, char **argv)
{
	return h_main(argc, argv, cases);
}
