// SPDX-License-Identifier: MIT
/*
 * cli_doctor.c - "vfio-p2p doctor" on recorded machines, healthy and ill
 *
 * Theory of operation: one healthy machine is written down, every illness is what
 * has to be changed in it, and the whole command runs on the result: its own walk
 * through sysfs, the library's, a device that is played (fake.h), and real files
 * of which only the answers of fstat, fstatfs and statx are made up.  For each
 * illness the exit status and the line that names it are known.  The healthy machine
 * has no warning at all, so a check that finds fault with everything is noticed; and
 * every illness is one change, so one that goes unnoticed is as well.
 *
 * The peer-to-peer transfers go through the library's hook, which can lie as broken
 * hardware does: success, and the bytes are not there.
 */
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli.h"
#include "fake.h"
#include "played_files.h"
#include "sysfs.h"
#include "tap.h"
#include "tree.h"

#define EXT4	0xef53
#define XFS	0x58465342
#define F2FS	0xf2f52010
#define OVERLAY	0x794c7630
#define NFS	0x6969

#define UP	"/sys/devices/pci0000:00/0000:00:04.0/0000:01:00.0"
#define TARGET	UP "/0000:02:00.0/0000:03:00.0"
#define NVME	UP "/0000:02:01.0/0000:04:00.0"
#define DISK	NVME "/nvme/nvme0/nvme0n1"
#define LINK(bdf, dir) "/sys/bus/pci/devices/" bdf " -> ../../../.." dir "\n"
#define EMPTY_CONFIG(dir) dir "/config @0xfff = 00\n"
/* The ACS capability alone: all switched on that redirects. */
#define ACS(dir) dir "/config @0x100 = 0d0001000000" "0c00\n"

/* Disk and device below one switch that does not redirect. */
static const char healthy[] =
	"/proc/sys/kernel/osrelease = 7.3.4\n"
	"/proc/kallsyms = 0000000000000000 T pci_p2pdma_distance_many\n"
	"/proc/cpuinfo = vendor_id\t: AuthenticAMD\\ncpu family\t: 25\n"
	"/proc/self/mountinfo = 20 1 0:2 / / rw - rootfs none rw\\n"
	"36 35 259:0 / /data rw,noatime shared:1 - ext4 /dev/nvme0n1 rw\n"
	"/sys/kernel/mm/transparent_hugepage/enabled = always\n"
	"/sys/module/p2p_vfio_pci/parameters/drain_timeout_ms = 30000\n"
	"/sys/bus/pci/drivers/p2p-vfio-pci/\n"
	"/sys/kernel/iommu_groups/12/type = DMA-FQ\n"
	"/sys/kernel/iommu_groups/12/devices/0000:03:00.0 -> ../x\n"
	"/sys/kernel/iommu_groups/13/type = identity\n"
	"/dev/vfio/vfio = \n"
	"/dev/vfio/12 = \n"
	"/sys/devices/pci0000:00/0000:00:00.0/vendor = 0x1022\n"
	"/sys/devices/pci0000:00/0000:00:00.0/device = 0x1480\n"
	"/sys/devices/pci0000:00/0000:00:00.0/class = 0x060000\n"
	LINK("0000:00:00.0", "/sys/devices/pci0000:00/0000:00:00.0")
	"/sys/devices/pci0000:00/0000:00:04.0/class = 0x060400\n"
	"/sys/devices/pci0000:00/0000:00:04.0/vendor = 0x1022\n"
	EMPTY_CONFIG("/sys/devices/pci0000:00/0000:00:04.0")
	EMPTY_CONFIG(UP) EMPTY_CONFIG(UP "/0000:02:00.0") EMPTY_CONFIG(UP "/0000:02:01.0")
	LINK("0000:00:04.0", "/sys/devices/pci0000:00/0000:00:04.0")
	LINK("0000:01:00.0", UP)
	LINK("0000:02:00.0", UP "/0000:02:00.0")
	LINK("0000:02:01.0", UP "/0000:02:01.0")
	TARGET "/vendor = 0x1af4\n"
	TARGET "/device = 0x1110\n"
	TARGET "/class = 0x050000\n"
	TARGET "/driver -> ../p2p-vfio-pci\n"
	TARGET "/iommu_group -> ../../../../../../kernel/iommu_groups/12\n"
	TARGET "/p2p_vfio/state = closed\n"
	TARGET "/resource = 0xfe000000 0xfe0000ff 0x40200\\n0 0 0\\n"
	"0x380000000000 0x380000ffffff 0x142208\n"
	EMPTY_CONFIG(TARGET)
	LINK("0000:03:00.0", TARGET)
	NVME "/vendor = 0x144d\n"
	NVME "/class = 0x010802\n"
	NVME "/driver -> ../nvme\n"
	NVME "/iommu_group -> ../../../../../../kernel/iommu_groups/13\n"
	EMPTY_CONFIG(NVME)
	LINK("0000:04:00.0", NVME)
	"/sys/dev/block/259:0 -> ../../.." DISK "\n"
	"/sys/class/block/nvme0n1 -> ../../.." DISK "\n"
	DISK "/device -> ../../nvme0\n"
	DISK "/queue/stable_writes = 0\n"
	"/sys/class/nvme/nvme0/transport = pcie\n"
	"/sys/class/nvme/nvme0/state = live\n"
	"/sys/class/nvme/nvme0/device -> ../../../0000:04:00.0\n";

/* The disk behind a root port of its own. */
#define APART_NVME "/sys/devices/pci0000:00/0000:00:05.0/0000:04:00.0"
#define APART \
	"- /sys/bus/pci/devices/0000:04:00.0\n" \
	EMPTY_CONFIG("/sys/devices/pci0000:00/0000:00:05.0") \
	LINK("0000:00:05.0", "/sys/devices/pci0000:00/0000:00:05.0") \
	EMPTY_CONFIG(APART_NVME) \
	APART_NVME "/iommu_group -> ../../../../kernel/iommu_groups/13\n" \
	LINK("0000:04:00.0", APART_NVME)
#define PCIEHP_POLLS "/sys/module/pciehp/parameters/pciehp_poll_mode"
/* Two ports have slots; the device is below one of them. */
#define PCIEHP \
	"/sys/bus/pci_express/drivers/pciehp/0000:02:00.0:pcie204 -> ../x\n" \
	"/sys/bus/pci_express/drivers/pciehp/0000:02:01.0:pcie204 -> ../x\n" \
	PCIEHP_POLLS " = N\n"
#define INTEL "/proc/cpuinfo = vendor_id\t: GenuineIntel\\ncpu family\t: 6\n"
#define XFS_MOUNT "/proc/self/mountinfo = 36 35 259:0 / /data rw - xfs /dev/nvme0n1 rw\n"
#define F2FS_MOUNT "/proc/self/mountinfo = 36 35 259:0 / /data rw - f2fs /dev/nvme0n1 rw\n"
#define ON(link) "/sys/dev/block/259:0 -> ../../devices/virtual/block/" link "\n"

enum lie {
	HONEST, NOTHING_ARRIVES, ONE_BYTE, WRITE_LOST, REFUSED, WRITE_REFUSED, FILE_MOVES,
	SIGNAL_COMES
};

/* struct ill - a machine, and what doctor has to say about it */
static const struct ill {
	const char *name;
	const char *change;	/* of the healthy machine; NULL: none */
	const char *args;	/* @: the file, %: its directory */
	int status;
	const char *says[3];
	uint64_t magic;		/* 0: ext4 */
	enum lie lie;
	int route;		/* 1: none, 2: host bridge; 0: switch */
	unsigned int no_route_bus;
	enum dio dio;
	bool no_extents, inline_data;
	int window_errno, open_errno;
	bool empty;
	const char *silent;	/* must not be said */
} ills[] = {
	/* Healthy, in its varieties. */
	{ "a healthy machine", NULL, "03:00.0:2 --file @", 0,
	  { "0 warning, 0 FAIL, 0 unknown: it goes peer-to-peer, proven",
	    "@: 4096 bytes by peer-to-peer DMA into the device, nothing written, verified",
	    "scratch file: 4096 bytes by peer-to-peer DMA into the device and back" } },
	{ "its mount", NULL, "03:00.0 --mount %", 0,
	  { "its DMA is with physical addresses (identity)", "ok       direct-io", "both are below 0000:01:00.0, and no port redirects" } },
	{ "reading only", NULL, "03:00.0 --file @ --no-write", 0,
	  { "proven", "nothing written", "/data, ext4 on /dev/nvme0n1 (rw,noatime)" },
	  .silent = "scratch" },
	{ "an empty file", NULL, "03:00.0 --file @", 0, { "scratch file: 4096" }, .empty = true },
	{ "no storage", NULL, "03:00.0", 0, { "nothing speaks against it", "ok       access" } },
	{ "no device", NULL, "--file @", 0, { "nothing speaks against it", "controller" } },
	{ "nothing named", NULL, "", 0, { "nothing speaks against it" } },
	{ "on root ports of Zen", APART, "03:00.0 --file @", 0,
	  { "no common switch: 0000:00:05.0 of pci0000:00 and 0000:00:04.0",
	    "the kernel trusts Zen" }, .route = 2 },
	{ "on root ports that the kernel lists", APART INTEL, "03:00.0 --file @", 0,
	  { "1022:1480, CPU GenuineIntel family 6: the kernel lists it" }, .route = 2 },
	{ "stable pages below ext4", DISK "/queue/stable_writes = 1\n", "03:00.0 --file @", 0,
	  { "proven" } },
	{ "a window where there is less room", TARGET "/p2p_vfio/windows = 0 3 0x0 0x200000 0 0\n"
	  TARGET "/resource = 0 0 0\\n0 0 0\\n0x380000000000 0x380000ffffff 0x142208\\n"
	  "0x390000000000 0x3900001fffff 0x142208\n", "03:00.0", 0, { "bar          0000:03:00.0:3" } },
	{ "a window that is there", TARGET "/p2p_vfio/windows = 0 2 0x0 0x1000000 0 0\n",
	  "03:00.0", 0, { "window registered: 16M at offset 0" } },
	/* Kernel and module. */
	{ "an old kernel", "/proc/sys/kernel/osrelease = 6.12.1\n- /sys/module/p2p_vfio_pci\n"
	  "/lib/modules/6.12.1/modules.dep = kernel/fs/xfs.ko:\n", "", 3,
	  { "FAIL     kernel       the module builds for Linux 7.2 and 7.3, this is 6.12.1",
	    "FAIL     module       p2p-vfio-pci is not installed" } },
	{ "a kernel nobody tried, for which the module was built",
	  "/proc/sys/kernel/osrelease = 7.9.0\n- /sys/module/p2p_vfio_pci\n"
	  "/lib/modules/7.9.0/modules.dep = updates/p2p-vfio-pci.ko:\n", "", 0,
	  { "warning  kernel", "warning  module" } },
	{ "a kernel nobody tried", "/proc/sys/kernel/osrelease = 7.9.0\n", "", 0,
	  { "warning  kernel" } },
	{ "no P2PDMA by symbols", "/proc/kallsyms = 0 T schedule\n- /sys/module/p2p_vfio_pci\n",
	  "", 3, { "FAIL     pci-p2pdma   /proc/kallsyms is without CONFIG_PCI_P2PDMA" } },
	{ "no P2PDMA by configuration", "/boot/config-7.3.4 = # CONFIG_PCI_P2PDMA is not set\n"
	  "- /sys/module/p2p_vfio_pci\n", "", 3,
	  { "FAIL     pci-p2pdma   its configuration is without" } },
	{ "nothing tells of P2PDMA", "- /proc/kallsyms\n- /sys/module/p2p_vfio_pci\n", "", 7,
	  { "unknown  pci-p2pdma" } },
	{ "no huge pages", "- /sys/kernel/mm\n", "", 0, { "warning  huge-pages" } },
	{ "the module only installed", "- /sys/module/p2p_vfio_pci\n"
	  "/lib/modules/7.3.4/modules.dep = updates/p2p-vfio-pci.ko: kernel/vfio.ko\n", "", 0,
	  { "warning  module       p2p-vfio-pci is installed, but not loaded", "modprobe" } },
	{ "a module that does not wait",
	  "/sys/module/p2p_vfio_pci/parameters/drain_timeout_ms = 0\n", "", 0,
	  { "warning  module", "drain_timeout_ms=0" } },
	/* The device. */
	{ "no IOMMU", "- /sys/kernel/iommu_groups\n- " TARGET "/iommu_group\n", "03:00.0 --file @",
	  3, { "FAIL     iommu ", "FAIL     iommu-group", "intel_iommu=on" } },
	{ "no such device", NULL, "07:00.0 --file @", 3, { "FAIL     device       0000:07:00.0" } },
	{ "a bridge", NULL, "00:04.0", 3, { "it is a bridge" } },
	{ "another driver", TARGET "/driver -> ../ivshmem\n", "03:00.0 --file @", 3,
	  { "bound to ivshmem, not to p2p-vfio-pci; remedy: vfio-p2p bind 0000:03:00.0",
	    "not tried: something above FAILs" } },
	{ "no driver", "- " TARGET "/driver\n", "03:00.0", 3, { "bound to no driver" } },
	{ "a group with a host driver in it",
	  "/sys/kernel/iommu_groups/12/devices/0000:04:00.0 -> ../x\n", "03:00.0", 3,
	  { "group 12 has 0000:04:00.0 as well, bound to nvme" } },
	{ "a sibling under another VFIO driver", LINK("0000:03:00.1", "/sys/devices/x")
	  "/sys/devices/x/driver -> ../vfio-pci\n", "03:00.0", 3,
	  { "FAIL     siblings     0000:03:00.0: 0000:03:00.1 is bound to vfio-pci" } },
	{ "a sibling of ours", LINK("0000:03:00.1", "/sys/devices/x")
	  "/sys/devices/x/driver -> ../p2p-vfio-pci\n", "03:00.0", 0,
	  { "reset together with 0000:03:00.1" } },
	{ "a slot that pciehp serves", PCIEHP, "03:00.0", 0,
	  { "ok       hotplug      0000:03:00.0: pciehp serves the slot of 0000:02:00.0" } },
	{ "a slot of a kernel with threads for interrupts", PCIEHP "/sys/kernel/realtime = 1\n",
	  "03:00.0", 0, { "warning  hotplug", "of 0000:02:00.0, nor, after a reset", "pciehp_poll_mode=1" } },
	{ "a slot of a kernel that was told to have them", PCIEHP "/proc/cmdline = ro threadirqs quiet\n",
	  "03:00.0", 0, { "warning  hotplug" } },
	{ "a slot that is looked at by itself", PCIEHP "/sys/kernel/realtime = 1\n"
	  PCIEHP_POLLS " = Y\n", "03:00.0", 0, { "ok       hotplug" } },
	{ "no slot, and threads", "/sys/kernel/realtime = 1\n", "03:00.0", 0,
	  { "nothing speaks against it" }, .silent = "hotplug" },
	{ "a container without the node", "- /dev/vfio/12\n", "03:00.0 --file @", 3,
	  { "FAIL     access", "container" } },
	{ "a character device, and an iommufd", TARGET "/vfio-dev/vfio3/dev = 511:3\n"
	  "/dev/iommu = \n/dev/vfio/devices/vfio3 = \n", "03:00.0", 0,
	  { "ok       access       0000:03:00.0: ", "/dev/vfio/devices/vfio3" } },
	{ "a character device without an iommufd", TARGET "/vfio-dev/vfio3/dev = 511:3\n"
	  "/dev/vfio/devices/vfio3 = \n", "03:00.0", 0,
	  { "ok       access       0000:03:00.0: ", "/dev/vfio/12" } },
	{ "a character device alone", TARGET "/vfio-dev/vfio3/dev = 511:3\n- /dev/vfio/12\n"
	  "/dev/iommu = \n/dev/vfio/devices/vfio3 = \n", "03:00.0", 0,
	  { "ok       access       0000:03:00.0: ", "/dev/vfio/devices/vfio3" } },
	{ "a device in use", TARGET "/p2p_vfio/state = live\n", "03:00.0 --file @", 4,
	  { "unknown  state        0000:03:00.0: live: open by", "not tried" } },
	{ "a device that nobody can be seen to have", TARGET "/p2p_vfio/state = draining\n"
	  TARGET "/p2p_vfio/revoke_cause = reset\n", "03:00.0", 4,
	  { "draining: open by a process that cannot be seen from here" } },
	{ "I/O of a former user", TARGET "/p2p_vfio/state = draining\n"
	  TARGET "/p2p_vfio/revoke_cause = close\n", "03:00.0", 4,
	  { "draining: I/O of a former user still holds pages", "remedy: vfio-p2p status" } },
	{ "a device that cannot be opened", NULL, "03:00.0 --file @", 4,
	  { "unknown  open" }, .open_errno = EBUSY },
	{ "a device that is gone", TARGET "/p2p_vfio/state = gone\n", "03:00.0", 3,
	  { "FAIL     state" } },
	{ "an old module", "- " TARGET "/p2p_vfio\n", "03:00.0", 7, { "unknown  state" } },
	/* Its BARs. */
	{ "a BAR of registers", NULL, "03:00.0:0", 3,
	  { "FAIL     bar          0000:03:00.0:0: 256, 32-bit, not prefetchable; no window: "
	    "smaller than 2M" } },
	{ "a BAR that is not there", NULL, "03:00.0:4", 3, { "no window: no memory BAR" } },
	{ "a place beyond its BAR", NULL, "03:00.0:2+32M --file @", 3,
	  { "FAIL     bar          03:00.0:2+32M: offset 32M is not below" } },
	{ "a place beside the windows", NULL, "03:00.0:2+8M --file @", 0, { "proven" } },
	{ "a BAR without an address",
	  TARGET "/resource = 0 0 0\\n0 0 0\\n0x0 0xffffff 0x20142208\n", "03:00.0:2", 3,
	  { "no bus address assigned; remedy: enable \"above 4G decoding\"" } },
	{ "small BARs only", TARGET "/resource = 0xfe000000 0xfe0000ff 0x40200\n", "03:00.0", 3,
	  { "no BAR has room for a window" } },
	{ "a BAR full of MSI-X", TARGET "/config @6 = 1000\n" TARGET "/config @0x34 = 40\n"
	  TARGET "/config @0x40 = 110001000200000002080000\n"
	  TARGET "/resource = 0 0 0\\n0 0 0\\n0x380000000000 0x3800001fffff 0x142208\n",
	  "03:00.0:2", 3, { "no window: the rest holds MSI-X tables" } },
	{ "MSI-X out of sight", "- " TARGET "/config\n" TARGET "/config @63 = 00\n", "03:00.0", 7,
	  { "unknown  bar", "which only root sees" } },
	{ "a BAR that could be larger", TARGET "/resource2_resize = 00000000000007f0\n", "03:00.0",
	  0, { "warning  resizable    0000:03:00.0:2: the BAR shows 16M of up to 1G",
	       "echo 10 > " } },
	{ "a BAR at its largest", TARGET "/resource2_resize = 0000000000000010\n", "03:00.0", 0,
	  { "ok       resizable" } },
	{ "a window that is refused", NULL, "03:00.0 --file @", 3, { "FAIL     proof" },
	  .window_errno = EXDEV },
	{ "a window without the privilege", NULL, "03:00.0 --file @", 7, { "unknown  proof" },
	  .window_errno = EPERM },
	/* The file and its mount. */
	{ "no such file", NULL, "03:00.0 --file @-not", 3, { "FAIL     path" } },
	{ "a directory as a file", NULL, "03:00.0 --file %", 3,
	  { "it is not a regular file, which --file takes" }, .silent = "controller" },
	{ "tmpfs", NULL, "--file @", 3, { "FAIL     file-system", "tmpfs is memory" },
	  .magic = 0x01021994 },
	{ "tmpfs, for which no device is opened", NULL, "03:00.0 --file @", 3, { "not tried" },
	  .magic = 0x01021994, .silent = " open  " },
	{ "NFS without a device", NULL, "--file @", 7,
	  { "unknown  file-system", "only a try tells", "--bounce=allow" }, .magic = NFS,
	  .dio = SILENT },
	{ "NFS that takes it", NULL, "03:00.0 --file @", 0,
	  { "ok       file-system", "ok       direct-io", "proven" }, .magic = NFS, .dio = SILENT },
	{ "NFS that refuses", NULL, "03:00.0 --file @", 3,
	  { "FAIL     proof", "this nfs mount refuses peer-to-peer memory (EREMOTEIO)",
	    "let the CPU copy (--bounce=allow)" }, .magic = NFS, .dio = SILENT, .lie = REFUSED },
	{ "FUSE", NULL, "--file @", 3, { "FAIL     file-system", "fuse hands the data" },
	  .magic = 0x65735546 },
	{ "btrfs", NULL, "--file @", 3, { "FAIL     file-system", "btrfs checksums" },
	  .magic = 0x9123683e },
	{ "an overlay", "- /sys/dev/block/259:0\n/proc/self/mountinfo = 36 35 0:9 / / rw - overlay overlay "
	  "rw,lowerdir=/a,upperdir=/b\n", "--file @", 7, { "unknown  file-system", "such as /b", "ok       direct-io" },
	  .magic = OVERLAY },
	{ "a file system nobody tried", NULL, "--file @", 0, { "warning  file-system  @: unknown" },
	  .magic = 0x12345 },
	{ "f2fs", F2FS_MOUNT, "--file @", 0, { "ok       file-system  @: f2fs" }, .magic = F2FS,
	  .silent = "inline-data" },
	{ "a file in its inode", F2FS_MOUNT, "--file @", 3,
	  { "FAIL     inline-data  @: the file is so small", "fallocate -n -l 4096" },
	  .magic = F2FS, .inline_data = true },
	{ "one that is empty", F2FS_MOUNT, "--file @", 0, { "ok       file-system  @: f2fs" },
	  .magic = F2FS, .inline_data = true, .empty = true, .silent = "inline-data" },
	{ "a file in its inode below an overlay", "- /sys/dev/block/259:0\n/proc/self/mountinfo = "
	  "36 35 0:9 / / rw - overlay overlay rw\n", "--file @", 3, { "FAIL     inline-data" },
	  .magic = OVERLAY, .inline_data = true },
	{ "ext4, of whose files in their inodes statx tells", NULL, "--file @", 0,
	  { "ok       file-system" }, .inline_data = true, .silent = "inline-data" },
	{ "a file as ext3 made it", NULL, "--file @", 0, { "warning  extents", "chattr +e" },
	  .no_extents = true },
	{ "data=journal by option", "/proc/self/mountinfo = 36 35 259:0 / /data rw - ext4 "
	  "/dev/nvme0n1 rw,data=journal\n", "--file @", 3, { "FAIL     journal", "data=ordered" } },
	{ "data=journal by default", "/proc/fs/ext4/nvme0n1/options = rw\\ndata=journal\n",
	  "--file @", 3, { "FAIL     journal" } },
	{ "no direct I/O on the file", NULL, "--file @", 3, { "FAIL     direct-io", "inline data" },
	  .dio = NO_DIO },
	{ "a file system that does not say", NULL, "--file @", 3,
	  { "FAIL     direct-io", "does not say" }, .dio = SILENT },
	{ "stable pages below XFS", XFS_MOUNT DISK "/queue/stable_writes = 1\n", "--file @", 3,
	  { "FAIL     stable-pages nvme0n1", "XFS copies what is written" }, .magic = XFS },
	{ "XFS without", XFS_MOUNT, "--file @", 0, { "ok       stable-pages" }, .magic = XFS },
	/* The layers below. */
	{ "a loop device", ON("loop0") "/sys/class/block/loop0/loop/backing_file = /data/image\n",
	  "--file @", 3, { "FAIL     layer        ext4 > loop0: loop0 is a loop device" } },
	{ "dm-crypt", ON("dm-0") "/sys/class/block/dm-0/dm/uuid = CRYPT-LUKS2-0123-root\n"
	  "/sys/class/block/dm-0/slaves/nvme0n1 -> ../x\n", "03:00.0 --file @", 3,
	  { "FAIL     layer        ext4 > dm-0: dm-0 is a device mapper volume (CRYPT)",
	    "ok       route        ext4 > dm-0 > nvme0n1 > nvme0 (0000:04:00.0)",
	    "proof        not tried: something above FAILs" } },
	{ "md raid5", ON("md0") "/sys/class/block/md0/md/level = raid5\n"
	  "/sys/class/block/md0/slaves/nvme0n1 -> ../x\n", "--file @", 3, { "md raid5" } },
	{ "md with an unreachable member", ON("md0") "/sys/class/block/md0/md/level = raid0\n"
	  "/sys/class/block/md0/slaves/nvme0n1 -> ../x\n"
	  "/sys/class/block/md0/slaves/nvme1n1 -> ../x\n"
	  "/sys/class/block/nvme1n1/device -> ../../nvme1\n"
	  "/sys/class/nvme/nvme1/transport = pcie\n"
	  "/sys/class/nvme/nvme1/device -> ../../../0000:09:00.0\n"
	  LINK("0000:09:00.0", "/sys/devices/pci0000:00/0000:00:06.0/0000:09:00.0")
	  EMPTY_CONFIG("/sys/devices/pci0000:00/0000:00:06.0/0000:09:00.0") INTEL,
	  "03:00.0 --file @", 3,
	  { "ok       route        ext4 > md0 > nvme0n1 > nvme0 (0000:04:00.0): switch",
	    "FAIL     route        ext4 > md0 > nvme1n1 > nvme1 (0000:09:00.0)",
	    "FAIL     host-bridge  pci0000:00" }, .no_route_bus = 9 },
	{ "NVMe over TCP", "/sys/class/nvme/nvme0/transport = tcp\n", "--file @", 3,
	  { "nvme0 is reached over tcp" } },
	{ "NVMe over RDMA", "/sys/class/nvme/nvme0/transport = rdma\n", "--file @", 7,
	  { "unknown  layer" } },
	{ "multipath without a path", DISK "/device -> ../../nvme-subsys3\n", "--file @", 3,
	  { "no path of this multipath disk is up" } },
	{ "a controller that is dead", "/sys/class/nvme/nvme0/state = dead\n", "--file @", 3,
	  { "FAIL     controller   ext4 > nvme0n1 > nvme0 (0000:04:00.0): its state is dead" } },
	/* The way to the BAR. */
	{ "ACS redirects, and Zen passes", ACS(UP "/0000:02:01.0"), "03:00.0 --file @", 0,
	  { "warning  bridges", "ACS sends their packets up to the root: 0000:02:01.0 (RR CR)",
	    "boot with pci=disable_acs_redir=0000:02:01.0," }, .route = 2 },
	{ "ACS redirects, and nothing passes",
	  ACS(UP "/0000:02:00.0") ACS(UP "/0000:02:01.0") INTEL, "03:00.0 --file @", 3,
	  { "pci=disable_acs_redir=0000:02:00.0;0000:02:01.0,", "FAIL     route",
	    "FAIL     host-bridge" }, .route = 1 },
	{ "ACS above the switch does not count", ACS("/sys/devices/pci0000:00/0000:00:04.0") ACS(UP),
	  "03:00.0 --file @", 0, { "no port redirects" } },
	{ "ACS out of sight", "- " UP "/0000:02:00.0/config\n", "03:00.0 --file @ --no-open", 7,
	  { "unknown  bridges", "whether ACS redirects only root can read" } },
	{ "root ports of no name", APART INTEL, "03:00.0 --file @", 3,
	  { "FAIL     route", "FAIL     host-bridge  pci0000:00: 1022:1480" }, .route = 1 },
	{ "root ports of an AMD before Zen", APART "/proc/cpuinfo = vendor_id\t: AuthenticAMD\\n"
	  "cpu family\t: 21\n", "03:00.0 --file @", 3, { "FAIL     host-bridge" }, .route = 1 },
	{ "root ports of another maker's family", APART "/proc/cpuinfo = vendor_id\t: HygonGenuine\\n"
	  "cpu family\t: 24\n", "03:00.0 --file @", 3, { "FAIL     host-bridge" }, .route = 1 },
	{ "root ports, and nobody to ask", APART INTEL, "03:00.0 --file @ --no-open", 7,
	  { "unknown  host-bridge", "unknown  route", "--no-open leaves the device alone" } },
	/* The proof. */
	{ "reads that bring nothing", NULL, "03:00.0 --file @", 5,
	  { "WRONG DATA: read() reported success, but 4096 of 4096 bytes differ",
	    "it delivers WRONG DATA" }, .lie = NOTHING_ARRIVES },
	{ "... nor with --no-write", NULL, "03:00.0 --file @ --no-write", 5,
	  { "WRONG DATA: read()" }, .lie = NOTHING_ARRIVES },
	{ "one byte that is wrong", NULL, "03:00.0 --file @", 5,
	  { "1 of 4096 bytes differ, the first at 0x123" }, .lie = ONE_BYTE },
	{ "writes that are lost", NULL, "03:00.0 --mount %", 5, { "WRONG DATA: write()" },
	  .lie = WRITE_LOST },
	{ "reads that are refused", NULL, "03:00.0 --file @", 3, { "FAIL     proof", "EREMOTEIO" },
	  .lie = REFUSED },
	{ "writes that are refused", NULL, "03:00.0 --file @ --json", 3,
	  { "\"proven\": false", "nothing written, verified" }, .lie = WRITE_REFUSED },
	{ "a file that is written to meanwhile", NULL, "03:00.0 --file @ --no-write", 7,
	  { "unknown  proof", "somebody writes to it" }, .lie = FILE_MOVES },
	/* Command lines. */
	{ "two kinds of storage", NULL, "--file @ --mount %", 2, { "only one of" } },
	{ "two devices", NULL, "03:00.0 04:00.0", 2, { "one device at a time" } },
	{ "no address", NULL, "nonsense", 2, { "does not begin with a PCI address" } },
	{ "a crooked offset", NULL, "03:00.0:2+100", 2, { "not a multiple of 4K" } },
};

static const struct ill *now;

const char *host_root(void)
{
	return vp2p__root;
}

static void write_file(int seed)
{
	char path[PATH_MAX + 8];
	FILE *file;

	snprintf(path, sizeof(path), "%s/file", played.folder);
	file = fopen(path, "w");
	for (int i = 0; !now->empty && i < 5000; i++)
		fputc((i * 7 >> 3) + seed, file);
	fclose(file);
}

static ssize_t lying_transfer(int fd, bool out, void *buf, size_t length, off_t at)
{
	ssize_t n = (ssize_t)length;

	if (now->lie == REFUSED || (out && now->lie == WRITE_REFUSED))
		return -EREMOTEIO;
	if (now->lie == NOTHING_ARRIVES || (out && now->lie == WRITE_LOST))
		return n;
	n = out ? pwrite(fd, buf, length, at) : pread(fd, buf, length, at);
	if (now->lie == ONE_BYTE && !out)
		((char *)buf)[0x123] ^= 1;
	if (now->lie == FILE_MOVES)
		write_file(1);
	if (now->lie == SIGNAL_COMES)
		raise(SIGTERM);
	return n;
}

/* A run of the command, in a process of its own */

static char said[65536];

static void make_machine(void)
{
	fake_install();
	tree_make(healthy);
	if (now->change)
		tree_add(now->change);
	tree_add("/data/\n");
	snprintf(played.folder, sizeof(played.folder), "%s/data", vp2p__root);
	played.magic = now->magic ? now->magic : EXT4;
	played.dio = now->dio;
	played.no_extents = now->no_extents;
	played.inline_data = now->inline_data;
	write_file(0);
	vp2p__host.transfer = lying_transfer;
	fake.peer.route = now->route ? (now->route == 1 ? P2P_VFIO_ROUTE_NONE :
					P2P_VFIO_ROUTE_HOST_BRIDGE) : P2P_VFIO_ROUTE_SWITCH;
	fake.no_route_bus = now->no_route_bus;
	fake.window_set_errno = now->window_errno;
	fake.device_fd_errno = now->open_errno;
}

/* @text with @ and % replaced by the file's path and its played.folder's. */
static void expand(char *to, size_t size, const char *text)
{
	size_t n = 0;

	for (*to = '\0'; *text && n < size; text++)
		if (*text == '@' || *text == '%')
			n += (size_t)snprintf(to + n, size - n, "%s%s", played.folder,
					      *text == '@' ? "/file" : "");
		else
			n += (size_t)snprintf(to + n, size - n, "%c", *text);
}

static _Noreturn void child(int out, const char *args)
{
	char line[4096], *argv[16], *word, *save;
	int argc = 0;

	expand(line, sizeof(line), args);
	argv[argc++] = strdup("doctor");
	for (word = strtok_r(line, " ", &save); word; word = strtok_r(NULL, " ", &save))
		argv[argc++] = word;
	argv[argc] = NULL;
	dup2(out, STDOUT_FILENO);
	dup2(out, STDERR_FILENO);
	argc = doctor_command.run(&doctor_command, argc, argv);
	fflush(stdout);
	_exit(argc);
}

static int doctor(const char *args)
{
	size_t used = 0;
	int ends[2], status;
	ssize_t got;
	pid_t pid;

	if (pipe(ends))
		exit(99);
	fflush(stdout);
	pid = fork();
	if (!pid)
		child(ends[1], args);
	close(ends[1]);
	while ((got = read(ends[0], said + used, sizeof(said) - 1 - used)) > 0)
		used += (size_t)got;
	said[used] = '\0';
	close(ends[0]);
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* Whoever finds fault says what to do. */
static bool every_fault_has_a_remedy(void)
{
	const char *line = said;

	for (; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if ((!strncmp(line, "FAIL ", 5) || !strncmp(line, "unknown ", 8) ||
		     !strncmp(line, "warning ", 8)) &&
		    !memmem(line, strcspn(line, "\n"), "; remedy: ", 10))
			return false;
	}
	return true;
}

static void examine(const struct ill *ill)
{
	char want[1024];
	bool fine;
	int status;

	now = ill;
	make_machine();
	status = doctor(ill->args);
	fine = status == ill->status && every_fault_has_a_remedy();
	for (int i = 0; i < 3 && ill->says[i]; i++) {
		expand(want, sizeof(want), ill->says[i]);
		fine = fine && strstr(said, want);
	}
	fine = fine && (!ill->silent || !strstr(said, ill->silent));
	if (!ok(fine, "%s", ill->name))
		printf("# status %d, wanted %d\n# %s\n", status, ill->status, said);
	tree_remove();
}

static void in_json(void)
{
	struct json_object *root, *checks, *value;

	now = &ills[0];
	make_machine();
	is_num(doctor("03:00.0:2 --file @ --json"), 0, "--json");
	root = json_tokener_parse(said);
	ok(json_object_object_get_ex(root, "checks", &checks) &&
	   json_object_array_length(checks) > 15, "... has every check");
	value = json_object_array_get_idx(checks, 0);
	ok(json_object_object_get_ex(value, "check", &value) &&
	   !strcmp(json_object_get_string(value), "kernel"), "... by its name");
	ok(json_object_object_get_ex(root, "proven", &value) &&
	   json_object_get_boolean(value), "... and whether it is proven");
	json_object_put(root);
	tree_remove();
}

/* It ends, and not before the device's memory has again what it had. */
static void a_signal(void)
{
	static const struct ill ill = { .lie = SIGNAL_COMES };
	char bytes[4096], after[4096];

	now = &ill;
	make_machine();
	memset(bytes, 0x5a, sizeof(bytes));
	ok(pwrite(fake.memory, bytes, sizeof(bytes), 0) == sizeof(bytes), "the device's memory");
	is_num(doctor("03:00.0 --file @"), -SIGTERM, "a signal during the proof ends it");
	ok(pread(fake.memory, after, sizeof(after), 0) == sizeof(after) &&
	   !memcmp(bytes, after, sizeof(bytes)), "... once that is as it was");
	tree_remove();
}

/* It looks, and changes nothing but its own scratch file: nor the device's memory. */
static void leaves_all_alone(void)
{
	char path[PATH_MAX + 8], bytes[4096], after_it[4096];
	struct stat before, after;

	now = &ills[0];
	make_machine();
	snprintf(path, sizeof(path), "%s/file", played.folder);
	stat(path, &before);
	memset(bytes, 0x5a, sizeof(bytes));
	ok(pwrite(fake.memory, bytes, sizeof(bytes), 0) == sizeof(bytes), "the device's memory");
	is_num(doctor("03:00.0 --file @"), 0, "the file is looked at");
	stat(path, &after);
	ok(before.st_size == after.st_size &&
	   !memcmp(&before.st_mtim, &after.st_mtim, sizeof(before.st_mtim)), "... not written to");
	ok(pread(fake.memory, after_it, sizeof(after_it), 0) == sizeof(bytes) &&
	   !memcmp(bytes, after_it, sizeof(bytes)), "... nor is the device's memory, in the end");
	snprintf(path, sizeof(path), "%s", played.folder);
	stat(path, &after);
	is_num((long long)after.st_nlink, 2, "... and nothing is left beside it");
	tree_remove();
}

int main(void)
{
	for (size_t i = 0; i < sizeof(ills) / sizeof(ills[0]); i++)
		examine(&ills[i]);
	in_json();
	leaves_all_alone();
	a_signal();
	return TAP_DONE();
}
