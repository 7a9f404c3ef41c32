// SPDX-License-Identifier: MIT
/*
 * t_tool.c - the command vfio-p2p itself, on a real driver, disks and devices
 *
 * Theory of operation: each case runs the installed command as a user would, and
 * looks at its exit status, its words, and at what has become of the machine: the
 * bound driver, and files compared byte by byte by the CPU.  The cases leave the
 * target as they found it, so they run in any order.  Those that need another
 * machine (no route, wrong data behind a switch, a target with a driver of the
 * host's) are chosen by the suites tool-*.
 */
#define _GNU_SOURCE
#include "command.h"
#include "dev.h"
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define ODD_SIZE (3 * 1048576 + 1234)

static void lists_the_target(void)
{
	const char *target = h_pci("target");

	H_EQ(tool("list"), 0);
	H_CHECK(says("%s", target));
	H_CHECK(says("next: vfio-p2p bind %s", target));
	H_EQ(tool("list --json"), 0);
	H_CHECK(says("\"device\": \"%s\"", target));
}

static void binds_and_unbinds(void)
{
	const char *target = h_pci("target");

	H_EQ(tool("bind %s --window 2+0,16M --window 2+16M", target), 0);
	H_CHECK(bound_to(target, "p2p-vfio-pci"));
	H_CHECK(says("window 0 on BAR 2, offset 0, length 16M"));
	H_CHECK(says("window 1 on BAR 2, offset 16M, length 48M"));
	H_EQ(tool("bind %s --window 2+0,16M", target), 0);
	H_CHECK(says("already"));
	H_CHECK(says("window 0"));
	H_EQ(tool("status"), 0);
	H_CHECK(says("%s  closed, generation", target));
	H_CHECK(says("  1       2       16M     48M"));
	H_EQ(tool("status --json"), 0);
	H_CHECK(says("\"state\": \"closed\""));
	H_CHECK(says("\"drain_timeout_ms\""));
	H_EQ(tool("unbind %s", target), 0);
	H_CHECK(bound_to(target, ""));
	H_CHECK(access("/run/vfio-p2p", F_OK) == 0);
	H_EQ(tool("status %s", target), 3);
}

static void windows_come_and_go(void)
{
	const char *target = h_pci("target");
	struct dev d;
	bool pool;

	H_EQ(tool("bind %s", target), 0);
	pool = dev_standard_provider();
	H_EQ(tool("status %s", target), 0);
	H_CHECK(says("provider     not known before the first window"));
	H_EQ(tool("window add %s 2+0,16M 2+16M,16M", target), 0);
	H_CHECK(says("window 0 on BAR 2, offset 0, length 16M"));
	H_CHECK(says("window 1 on BAR 2, offset 16M, length 16M"));
	H_EQ(tool("status %s", target), 0);
	H_CHECK(says("provider     %s (", pool ? "standard" : "own"));
	H_CHECK(says("16M     16M        0       0  %s", pool ? "standard" : "own"));
	H_EQ(tool("window add %s 2+8M,16M", target), 1);
	H_CHECK(says("it overlaps window 0"));
	H_EQ(tool("window remove %s 9", target), 1);
	H_CHECK(says("has no window 9"));

	/* Open elsewhere: nothing can be changed. */
	H_EQ(dev_open(&d, "target"), 0);
	H_EQ(tool("window remove %s 0", target), 4);
	H_CHECK(says("remedy: "));
	dev_close(&d);

	H_EQ(tool("window remove %s 0", target), pool ? 3 : 0);
	H_CHECK(says(pool ? "kernel's pool" : "window 0 removed"));
	if (!pool) {
		H_EQ(tool("window add %s 2+8M,8M", target), 0);
		H_CHECK(says("window 0 on BAR 2, offset 8M, length 8M"));
	}
	H_EQ(tool("unbind %s", target), 0);
}

static void puts_back_after_refused_window(void)
{
	const char *target = h_pci("target");
	bool iommufd;
	int status;

	/* Found before the first device is touched. */
	H_EQ(tool("bind %s --window 2+0,16M --window 2+8M,16M", target), 2);
	H_CHECK(says("overlap"));
	H_CHECK(bound_to(target, ""));

	/* Found after binding: the device cannot be opened for its window, either way. */
	H_EQ(rename("/dev/vfio/vfio", "/dev/vfio/away"), 0);
	iommufd = !rename("/dev/iommu", "/dev/iommu-away");
	status = tool("bind %s --window 2", target);
	if (iommufd)
		rename("/dev/iommu-away", "/dev/iommu");
	H_EQ(rename("/dev/vfio/away", "/dev/vfio/vfio"), 0);
	H_EQ(status, 3);
	H_CHECK(says("put back to no driver"));
	H_CHECK(bound_to(target, ""));
}

static void copies(const char *role)
{
	const char *target = h_pci("target");
	const char *folder = h_mount(role, NULL);
	char source[64], back[64];

	H_CHECK(folder);
	snprintf(source, sizeof(source), "%s/source", folder);
	snprintf(back, sizeof(back), "%s/back", folder);
	H_CHECK(make_file(source, ODD_SIZE, 1));
	H_EQ(tool("bind %s --window 2", target), 0);
	H_EQ(tool("cp --verify %s %s:2+16M", source, target), 0);
	H_CHECK(says("%d bytes P2P, 0 bytes bounced by CPU", ODD_SIZE));
	H_CHECK(says("verified"));
	H_EQ(tool("cp --verify --size 3M %s:2+16M %s", target, back), 0);
	H_CHECK(says("3145728 bytes P2P, 0 bytes bounced"));
	H_CHECK(same(source, back, 0, 3 << 20));
	/* An odd size needs the CPU for its end, and only if that is allowed. */
	H_EQ(tool("cp --size %d %s:2+16M %s", ODD_SIZE, target, back), 1);
	H_CHECK(same(source, back, 0, 3 << 20));
	H_EQ(tool("cp --verify --allow-tail --size %d %s:2+16M %s", ODD_SIZE, target, back), 0);
	H_CHECK(same(source, back, 0, ODD_SIZE));
	/* In place, and nothing around it. */
	H_EQ(tool("cp --verify --size 4K --offset 8K %s:2+16M %s", target, back), 0);
	H_CHECK(same(source, back, 8192, 4096));
	H_CHECK(same(source, back, 0, 8192));
	H_EQ(tool("cp --json --chunk 64K %s %s:2", source, target), 0);
	H_CHECK(says("\"bytes_p2p\": %d", ODD_SIZE));
	H_EQ(tool("unbind %s", target), 0);
	H_EQ(h_umount(role), 0);
}

static void copies_ext4(void)
{
	copies("ext4");
}

static void copies_xfs(void)
{
	copies("xfs");
}

static void copies_block(void)
{
	const char *target = h_pci("target");
	const char *disk = h_disk("raw");

	H_CHECK(fill_disk(disk, 4 << 20, 2));
	H_EQ(tool("bind %s", target), 0);
	H_EQ(tool("cp --verify --size 1M --offset 4M %s %s:2", disk, target), 0);
	H_CHECK(says("registered a window on BAR 2, offset 0, length 64M"));
	H_EQ(tool("cp --verify --size 1M --offset 8M %s:2 %s", target, disk), 0);
	H_CHECK(same("/tmp/bytes", disk, 8 << 20, 1 << 20));
	H_EQ(tool("cp --offset 300M --size 4K %s:2 %s", target, disk), 2);
	H_EQ(tool("unbind %s", target), 0);
}

static void refuses_disks_in_use(void)
{
	const char *target = h_pci("target");
	const char *disk = h_disk("ext4");

	H_CHECK(h_mount("ext4", NULL));
	H_EQ(tool("bind %s", h_pci("nvme")), 6);
	H_CHECK(says("is mounted at /mnt"));
	H_CHECK(bound_to(h_pci("nvme"), "nvme"));
	H_EQ(tool("bind %s", target), 0);
	H_EQ(tool("cp --size 4K %s:2 %s", target, disk), 6);
	H_CHECK(says("it is in use: "));
	H_CHECK(says("is mounted at /mnt"));
	H_EQ(tool("unbind %s", target), 0);
	H_EQ(h_umount("ext4"), 0);
}

static void refuses_memory_files(void)
{
	const char *target = h_pci("target");

	H_CHECK(make_file("/tmp/bytes", 1 << 20, 3));
	H_EQ(tool("bind %s --window 2", target), 0);
	H_EQ(tool("cp /tmp/bytes %s:2", target), 3);
	H_CHECK(says("remedy: "));
	H_EQ(tool("cp --size 4K %s:2 /tmp/never", target), 3);
	H_CHECK(access("/tmp/never", F_OK) && access("/tmp/never.partial", F_OK));
	H_EQ(tool("unbind %s", target), 0);
}

static void leaves_open_devices(void)
{
	const char *target = h_pci("target");
	int fd, fds;

	H_EQ(tool("bind %s", target), 0);
	fd = open_as_others(target);
	H_CHECK(fd >= 0);
	H_EQ(tool("unbind %s", target), 4);
	H_CHECK(says("it is open by %d (", getpid()));
	H_EQ(tool("cp --size 4K %s:2 /tmp/never", target), 4);
	H_CHECK(bound_to(target, "p2p-vfio-pci"));
	for (fds = 3; fds < 64; fds++)
		close(fds);
	H_EQ(tool("unbind --wait 5 %s", target), 0);
}

/* Only where the kernel trusts no route between the disk and the target. */
static void refuses_without_route(void)
{
	const char *target = h_pci("target");

	h_expect_log("cannot be used for peer-to-peer DMA");
	H_EQ(tool("bind %s --window 2", target), 0);
	H_EQ(tool("cp --size 4K %s %s:2", h_disk("raw"), target), 3);
	H_CHECK(says("remedy: "));
	H_EQ(tool("unbind %s", target), 0);
}

/*
 * Only behind the emulated switch with a translating IOMMU: the kernel says the
 * route is fine, the disk says it has done its work, and the bytes are wrong.
 */
static void finds_wrong_data(void)
{
	const char *target = h_pci("target");
	const char *disk = h_disk("raw");

	h_expect_log("DMAR");
	H_CHECK(fill_disk(disk, 0, 4));
	H_EQ(tool("bind %s --window 2", target), 0);
	H_EQ(tool("cp --size 64K %s %s:2", disk, target), 0);
	H_EQ(tool("cp --verify --size 64K %s %s:2", disk, target), 5);
	H_CHECK(says("bytes differ; the first at BAR 2 offset 0x"));
	H_EQ(tool("unbind %s", target), 0);
}

/* Only where the target has a driver of the host's: an NVMe controller. */
static void gives_back_a_driver(void)
{
	const char *target = h_pci("target");

	H_CHECK(bound_to(target, "nvme"));
	H_EQ(tool("bind %s --window 2", target), 0);
	H_CHECK(bound_to(target, "p2p-vfio-pci"));
	H_EQ(tool("cp --verify --size 64K %s %s:2", h_disk("raw"), target), 0);
	H_EQ(tool("unbind %s", target), 0);
	H_CHECK(says("bound to nvme"));
	H_CHECK(bound_to(target, "nvme"));
}

static const struct h_case cases[] = {
	{ "list shows the target", lists_the_target },
	{ "bind, status, unbind", binds_and_unbinds },
	{ "windows are added and removed", windows_come_and_go },
	{ "bind puts the device back when a window is refused", puts_back_after_refused_window },
	{ "cp to and from ext4, verified", copies_ext4, 60 },
	{ "cp to and from xfs, verified", copies_xfs, 60 },
	{ "cp to and from a block device, verified", copies_block, 60 },
	{ "disks in use are refused", refuses_disks_in_use },
	{ "files without a disk are refused", refuses_memory_files },
	{ "an open device is left alone", leaves_open_devices },
	{ }
};

static const struct h_case special[] = {
	{ "cp is refused without a route", refuses_without_route },
	{ "cp --verify finds wrong data", finds_wrong_data },
	{ "unbind gives a driver back", gives_back_a_driver },
	{ }
};

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "special"))
		return h_main(argc - 1, argv + 1, special);
	return h_main(argc, argv, cases);
}
