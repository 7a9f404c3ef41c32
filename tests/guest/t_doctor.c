// SPDX-License-Identifier: MIT
/*
 * t_doctor.c - "vfio-p2p doctor" on real drivers, disks and bridges
 *
 * Theory of operation: what doctor concludes from recorded machines is a matter of
 * the unit tests.  Here the kernel gives the answers: the routes of its own table,
 * the ACS bits it has set itself, statx, md, device mapper and loop as they are; and
 * the disk does the transfers.  Each machine has one thing that is known to be so,
 * and doctor has to find just that, by exit status and by line.  The healthy machine
 * has to be without a FAIL and proven.  Behind the emulated switch with a translating
 * IOMMU reads report success and the data is wrong: there nothing but the comparison
 * tells, and a doctor without it would say "ok".
 */
#define _GNU_SOURCE
#include "command.h"
#include "dev.h"
#include "harness.h"
#include "stack.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PROVEN "it goes peer-to-peer, proven"

static void give_back(void)
{
	H_EQ(tool("unbind %s", h_pci("target")), 0);
}

static void finds_an_unbound_device(void)
{
	const char *target = h_pci("target");

	H_EQ(tool("doctor"), 0);
	H_CHECK(says("ok       pci-p2pdma"));
	H_CHECK(says("ok       module"));
	H_EQ(tool("doctor %s --disk %s", target, h_disk("raw")), 3);
	H_CHECK(says("FAIL     driver       %s: bound to no driver; remedy: vfio-p2p bind %s", target,
		     target));
	H_CHECK(says("unknown  proof        not tried: something above FAILs"));
}

static void proves_a_mount(const char *role)
{
	const char *target = h_pci("target");
	const char *folder = h_mount(role, NULL);
	char file[64];

	H_CHECK(folder);
	snprintf(file, sizeof(file), "%s/doctored", folder);
	H_CHECK(make_file(file, 8192, 1));
	H_EQ(tool("bind %s --window 2", target), 0);
	H_EQ(tool("doctor %s --mount %s", target, folder), 0);
	H_CHECK(says("0 FAIL, 0 unknown: " PROVEN));
	H_CHECK(says("scratch file: 4096 bytes by peer-to-peer DMA into the device and back"));
	H_EQ(tool("doctor %s:2+4M --file %s", target, file), 0);
	H_CHECK(says("%s: 4096 bytes", file));
	H_CHECK(says("and back, verified"));
	H_EQ(tool("doctor %s:2 --file %s --no-write --json", target, file), 0);
	H_CHECK(says("\"proven\": true"));
	H_CHECK(says("nothing written"));
	give_back();
	H_EQ(h_umount(role), 0);
}

static void proves_ext4(void)
{
	proves_a_mount("ext4");
}

static void proves_xfs(void)
{
	proves_a_mount("xfs");
}

/* The kernel has switched redirection on at both root ports. */
static void proves_a_disk(void)
{
	const char *target = h_pci("target");

	H_EQ(tool("bind %s", target), 0);
	H_EQ(tool("doctor %s --disk %s", target, h_disk("raw")), 0);
	H_CHECK(says("nothing written, verified"));
	H_CHECK(says("ok       route"));
	H_CHECK(says("host-bridge: through a host bridge"));
	H_CHECK(says("ok       bridges"));
	H_CHECK(says("no common switch: 0000:00:04.0 of pci0000:00 and 0000:00:05.0"));
	H_CHECK(says("; ACS redirects at 0000:00:05.0 (RR CR), 0000:00:04.0 (RR CR)"));
	H_CHECK(says("ok       host-bridge"));
	H_CHECK(says("the kernel trusts Zen"));
	H_EQ(tool("status %s", target), 0);
	/* The doctor's own window: the kernel's pool keeps it. */
	H_EQ(says("no windows"), !dev_standard_provider());
	give_back();
}

static void finds_a_journal(void)
{
	const char *folder = h_mount("ext4", "data=journal");

	H_CHECK(folder);
	H_EQ(tool("doctor --mount %s", folder), 3);
	H_CHECK(says("FAIL     journal      %s", folder));
	H_CHECK(says("FAIL     direct-io"));
	H_EQ(h_umount("ext4"), 0);
}

static void finds_stable_pages(void)
{
	const char *folder = h_mount("xfs", NULL);
	const char *disk = strrchr(h_disk("xfs"), '/') + 1;

	H_CHECK(folder);
	H_EQ(h_writef("1", "/sys/class/block/%s/queue/stable_writes", disk), 0);
	H_EQ(tool("doctor --mount %s", folder), 3);
	H_EQ(h_writef("0", "/sys/class/block/%s/queue/stable_writes", disk), 0);
	H_CHECK(says("FAIL     stable-pages %s", disk));
	H_EQ(tool("doctor --mount %s", folder), 0);
	H_CHECK(says("ok       stable-pages"));
	H_EQ(h_umount("xfs"), 0);
}

static void finds_memory_files(void)
{
	H_CHECK(make_file("/run/file", 8192, 2));
	H_EQ(tool("doctor --file /run/file"), 3);
	H_CHECK(says("FAIL     file-system  /run/file: "));
}

static void finds_layers(void)
{
	const char *target = h_pci("target");
	const char *folder = h_mount("ext4", NULL);
	const char *dm, *loop;
	char file[64];

	H_CHECK(folder);
	snprintf(file, sizeof(file), "%s/image", folder);
	H_CHECK(make_file(file, 8192, 1));
	H_EQ(h_modprobe("loop", NULL), 0);
	H_EQ(h_modprobe("dm-mod", NULL), 0);
	loop = stack_loop(file);
	dm = stack_dm(h_disk("raw"));
	H_CHECK(loop && dm);
	H_EQ(tool("bind %s", target), 0);
	H_EQ(tool("doctor %s --disk %s", target, loop), 3);
	H_CHECK(says("is a loop device, which copies to and from %s", file));
	H_EQ(tool("doctor %s --disk %s", target, dm), 3);
	H_CHECK(says("FAIL     layer        dm-0"));
	H_CHECK(says("ok       route        dm-0 > nvme"));
	give_back();
}

static void leaves_open_devices(void)
{
	const char *target = h_pci("target");
	int fds;

	H_EQ(tool("bind %s", target), 0);
	H_CHECK(open_as_others(target) >= 0);
	H_EQ(tool("doctor %s --disk %s", target, h_disk("raw")), 4);
	H_CHECK(says("unknown  state        %s: live: open by %d (", target, getpid()));
	for (fds = 3; fds < 64; fds++)
		close(fds);
	H_EQ(tool("unbind --wait 5 %s", target), 0);
}

/* Everything but what only root sees. */
static void works_without_root(void)
{
	const char *target = h_pci("target");
	const char *disk = h_disk("raw");

	H_EQ(tool("bind %s", target), 0);
	unlink("/tmp/said");
	chmod("/tmp", 01777);
	H_EQ(setresuid(65534, 65534, 65534), 0);
	H_EQ(tool("doctor %s --disk %s", target, disk), 7);
	H_CHECK(says("unknown  access"));
	H_CHECK(says("ok       controller"));
	H_CHECK(says(" 0 FAIL, "));
}

static void is_given_back(void)
{
	unlink("/tmp/said");
	give_back();
}

static void finds_no_route(void)
{
	const char *target = h_pci("target");

	H_EQ(tool("bind %s", target), 0);
	H_EQ(tool("doctor %s --disk %s", target, h_disk("raw")), 3);
	H_CHECK(says("FAIL     route"));
	H_CHECK(says("FAIL     host-bridge"));
	H_CHECK(says("CPU GenuineIntel"));
	H_CHECK(says("put disk and device below one PCIe switch"));
	give_back();
}

static void finds_wrong_data(void)
{
	const char *target = h_pci("target");

	h_expect_log("DMAR");
	H_EQ(tool("bind %s --window 2", target), 0);
	H_EQ(tool("doctor %s --disk %s", target, h_disk("raw")), 5);
	H_CHECK(says("ok       route"));
	H_CHECK(says("WRONG DATA: read() reported success"));
	H_CHECK(says("it delivers WRONG DATA"));
	give_back();
}

static void proves_a_switch(void)
{
	const char *target = h_pci("target");

	H_EQ(tool("bind %s --window 2", target), 0);
	H_EQ(tool("doctor %s --mount %s", target, h_mount("ext4", NULL)), 0);
	H_CHECK(says("switch: by bus address"));
	H_CHECK(says("and no port redirects"));
	H_CHECK(says(PROVEN));
	give_back();
}

/* Through the host bridge and back, since the ports of the switch redirect. */
static void finds_redirection(void)
{
	const char *target = h_pci("target");

	H_EQ(tool("bind %s --window 2", target), 0);
	H_EQ(tool("doctor %s --mount %s", target, h_mount("ext4", NULL)), 0);
	H_CHECK(says("warning  bridges"));
	H_CHECK(says("but ACS sends their packets up to the root: "));
	H_CHECK(says("remedy: boot with pci=disable_acs_redir=%.5s", target));
	H_CHECK(says("host-bridge: through a host bridge"));
	H_CHECK(says(PROVEN));
	give_back();
}

/* "md7 > nvme0n1 > nvme0 (0000:01:00.0)": which controller is the first is chance. */
static const char *member(const char *disk_role, const char *pci_role)
{
	const char *disk = strrchr(h_disk(disk_role), '/') + 1;
	size_t controller = strlen("nvme") + strspn(disk + strlen("nvme"), "0123456789");
	static char text[128];

	snprintf(text, sizeof(text), "md7 > %s > %.*s (%s)", disk, (int)controller, disk,
		 h_pci(pci_role));
	return text;
}

static void proves_an_array(void)
{
	const char *target = h_pci("target");
	const char *md = stack_md(h_disk("raw"), h_disk("slow"));

	H_CHECK(md);
	H_EQ(tool("bind %s --window 2", target), 0);
	H_EQ(tool("doctor %s --disk %s", target, md), 0);
	H_CHECK(says("ok       route        %s", member("raw", "nvme")));
	H_CHECK(says("ok       route        %s", member("slow", "slow-nvme")));
	H_CHECK(says(PROVEN));
	give_back();
}

static void finds_an_unreachable_member(void)
{
	const char *target = h_pci("target");
	const char *md = stack_md(h_disk("raw"), h_disk("slow"));

	H_CHECK(md);
	H_EQ(tool("bind %s --window 2", target), 0);
	H_EQ(tool("doctor %s --disk %s", target, md), 3);
	H_CHECK(says("ok       route        %s: switch", member("raw", "nvme")));
	H_CHECK(says("FAIL     route        %s", member("slow", "slow-nvme")));
	H_CHECK(says("unknown  proof        not tried"));
	give_back();
}

/* A route there is, but nothing that could keep what is brought. */
static void finds_no_memory(void)
{
	const char *target = h_pci("target");

	H_EQ(tool("bind %s --window 4", target), 0);
	H_EQ(tool("doctor %s:4 --disk %s", target, h_disk("raw")), 7);
	H_CHECK(says("not prefetchable"));
	H_CHECK(says("unknown  proof        "));
	H_CHECK(says("the BAR does not keep what the CPU stores there"));
	give_back();
}

/* The machine is told to make threads of interrupts; the kernels with PREEMPT_RT also to poll. */
static void knows_the_slot(void)
{
	const char *target = h_pci("target");
	char polls[8];

	H_EQ(h_read("/sys/module/pciehp/parameters/pciehp_poll_mode", polls, sizeof(polls)), 0);
	H_EQ(tool("bind %s", target), 0);
	H_EQ(tool("doctor %s", target), 0);
	if (*polls == 'Y') {
		H_CHECK(says("ok       hotplug      %s: pciehp serves the slot of 0000:00:", target));
	} else {
		H_CHECK(says("warning  hotplug      %s: ", target));
		H_CHECK(says("remedy: boot with pciehp.pciehp_poll_mode=1"));
	}
	give_back();
}

static const struct h_case cases[] = {
	{ "an unbound device", finds_an_unbound_device },
	{ "ext4, proven both ways", proves_ext4, 90 },
	{ "xfs, proven both ways", proves_xfs, 90 },
	{ "a disk, proven by reading", proves_a_disk, 60 },
	{ "data=journal", finds_a_journal },
	{ "stable pages below xfs", finds_stable_pages },
	{ "a file in memory", finds_memory_files },
	{ "loop and device mapper", finds_layers, 60 },
	{ "a device in use", leaves_open_devices },
	{ "without root", works_without_root },
	{ "... and given back", is_given_back },
	{ }
};

static const struct h_case special[] = {
	{ "no route", finds_no_route },
	{ "wrong data", finds_wrong_data, 60 },
	{ "a switch, proven", proves_a_switch, 60 },
	{ "a switch that redirects", finds_redirection, 60 },
	{ "a BAR that is no memory", finds_no_memory },
	{ "a slot", knows_the_slot },
	{ "an array, proven", proves_an_array, 60 },
	{ "an array with an unreachable member", finds_an_unreachable_member, 60 },
	{ }
};

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "special"))
		return h_main(argc - 1, argv + 1, special);
	return h_main(argc, argv, cases);
}
