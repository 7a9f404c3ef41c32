// SPDX-License-Identifier: MIT
/*
 * Opening and attaching, and every reason why it fails.
 *
 * Theory: each reason is a small change to one good system.  The system is a
 * recorded tree plus a fake kernel; every case starts from it, changes one thing,
 * and looks at the whole error.  No case may leave a file descriptor behind, so
 * all of them are counted before and after.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "check_error.h"
#include "fake.h"
#include "tree.h"

#define BDF	"0000:03:00.0"

static const char good_system[] =
	"/sys/bus/pci/drivers/p2p-vfio-pci/\n"
	"/sys/bus/pci/devices/0000:03:00.0/driver -> ../../../bus/pci/drivers/p2p-vfio-pci\n"
	"/sys/bus/pci/devices/0000:03:00.0/iommu_group -> ../../../kernel/iommu_groups/7\n"
	"/sys/bus/pci/devices/0000:03:00.1/driver -> ../../../bus/pci/drivers/vfio-pci\n"
	"/sys/kernel/iommu_groups/7/devices/0000:03:00.0/\n"
	"/sys/kernel/iommu_groups/7/devices/0000:03:00.1/\n"
	"/dev/vfio/vfio = x\n"
	"/dev/vfio/7 = x\n";

static const char with_cdev[] =
	"/sys/bus/pci/devices/0000:03:00.0/vfio-dev/vfio3/\n"
	"/dev/vfio/devices/vfio3 = x\n"
	"/dev/iommu = x\n";

static struct vp2p_error err;
static int fds_before;

static void start(void)
{
	tree_make(good_system);
	fake_install();
	memset(&err, 0, sizeof(err));
	fds_before = open_fds();
}

static void finish(const char *name)
{
	is_num(open_fds(), fds_before, name);
	tree_remove();
}

static void opens(unsigned int flags, int uses_cdev, const char *name)
{
	struct vp2p_device *dev = NULL;
	int rc = vp2p_open("03:00.0", flags, &dev, &err);

	is_num(rc, 0, name);
	if (rc)
		return;
	is_str(vp2p_device_bdf(dev), BDF, "the address in full");
	is_num(vp2p_device_uses_cdev(dev), uses_cdev, "the way in");
	is_num(fake.bound, uses_cdev, "bound to an iommufd if and only if cdev");
	ok(vp2p_device_fd(dev) >= 0 && vp2p_iommu_fd(dev) >= 0, "both fds");
	is_num(vp2p_group_fd(dev) >= 0, !uses_cdev, "the group's fd, without cdev");
	ok(!err.code, "success writes no error");
	vp2p_close(dev);
}

static void test_ways(void)
{
	start();
	opens(0, 0, "by group, there being no cdev");
	finish("nothing left open");

	start();
	tree_add(with_cdev);
	opens(0, 1, "by cdev where there is one");
	fake.bound = 0;
	opens(VP2P_OPEN_GROUP, 0, "by group on demand");
	opens(VP2P_OPEN_CDEV, 1, "by cdev on demand");
	finish("nothing left open");
	vp2p_close(NULL);

	start();
	tree_add("/sys/bus/pci/devices/0000:03:00.0/vfio-dev/vfio3/\n"
		 "/dev/vfio/devices/vfio3 = x\n");
	opens(0, 0, "by group where there is no iommufd");
	finish("nothing left open");
	start();
	tree_add("/sys/bus/pci/devices/0000:03:00.0/vfio-dev/vfio3/\n/dev/iommu = x\n");
	opens(0, 0, "by group where the cdev's node is missing");
	finish("nothing left open");
}

/* An entry below this process's directory in /proc. */
static void self_holds(const char *entry)
{
	char line[200];

	snprintf(line, sizeof(line), "/proc/%d/comm = me\n/proc/%d/%s\n", getpid(), getpid(),
		 entry);
	tree_add(line);
}

/* One failing open. @change may be NULL. */
static void fails(const char *change, unsigned int flags, int code, const char *want,
		  const char *name)
{
	struct vp2p_device *dev = (void *)0x1;
	int rc;

	if (change)
		tree_add(change);
	rc = vp2p_open(BDF, flags, &dev, &err);
	if (want)
		is_error_text(rc, code, &err, want, name);
	else
		is_error(rc, code, &err, name);
	ok(dev == (void *)0x1, "%s: output untouched", name);
	finish(name);
}

static void test_driver(void)
{
	struct vp2p_device *dev;

	start();
	is_error_text(vp2p_open("04:00.0", 0, &dev, &err), ENODEV, &err,
		      "0000:04:00.0: could not open the device: there is no PCI device at "
		      "this address (ENODEV).  Remedy: list the devices with: vfio-p2p "
		      "list.", "no such device");
	is_error(vp2p_open("nonsense", 0, &dev, &err), EINVAL, &err, "no address");
	is_error(vp2p_open(NULL, 0, &dev, &err), EINVAL, &err, "NULL address");
	is_error(vp2p_open(BDF, 4, &dev, &err), EINVAL, &err, "undefined flag");
	is_error(vp2p_open(BDF, 3, &dev, &err), EINVAL, &err, "both flags");
	finish("nothing left open");

	start();
	fails("/sys/bus/pci/devices/0000:03:00.0/driver -> ../../drivers/nvme\n", 0, ENXIO,
	      "0000:03:00.0: could not open the device: it is bound to the driver nvme, "
	      "not to p2p-vfio-pci (ENXIO).  Remedy: run: vfio-p2p bind 0000:03:00.0.",
	      "another driver");

	start();
	tree_remove();
	tree_make("/sys/bus/pci/devices/0000:03:00.0/\n/sys/bus/pci/drivers/p2p-vfio-pci/\n");
	fails(NULL, 0, ENXIO,
	      "0000:03:00.0: could not open the device: it is not bound to any driver "
	      "(ENXIO).  Remedy: run: vfio-p2p bind 0000:03:00.0.", "no driver");

	start();
	tree_remove();
	tree_make("/sys/bus/pci/devices/0000:03:00.0/\n");
	fails(NULL, 0, ENXIO,
	      "0000:03:00.0: could not open the device: the kernel module p2p-vfio-pci is "
	      "not loaded (ENXIO).  Remedy: run: modprobe p2p-vfio-pci && vfio-p2p bind "
	      "0000:03:00.0.", "no module");
}

static void test_group(void)
{
	start();
	tree_remove();
	tree_make("/sys/bus/pci/drivers/p2p-vfio-pci/\n"
		  "/sys/bus/pci/devices/0000:03:00.0/driver -> ../../drivers/p2p-vfio-pci\n");
	fails(NULL, 0, EOPNOTSUPP, NULL, "no IOMMU");
	has_str(err.remedy, "intel_iommu=on", "... says how to switch it on");

	start();
	fake.not_viable = true;
	fails("/sys/bus/pci/devices/0000:03:00.1/driver -> ../../drivers/nvme\n", 0, EPERM,
	      "0000:03:00.0: could not open the device: IOMMU group 7 is not viable: "
	      "0000:03:00.1 (nvme) is bound to a host driver (EPERM).  Remedy: bind every "
	      "device of the group to a VFIO driver or to none (vfio-p2p bind, or "
	      "driver/unbind in sysfs).", "group not viable");

	start();
	fake.set_iommu_errno = EPERM;
	fails(NULL, 0, EPERM, NULL, "no container");
	has_str(err.cause, "type 1", "... says so");

	start();
	fake.open_node = "/dev/vfio/vfio";
	fake.open_errno = ENODEV;
	fails(NULL, 0, EOPNOTSUPP, NULL, "vfio not loaded");
	has_str(err.remedy, "modprobe vfio", "... says how to load it");
}

/* Somebody has the group. */
static void start_busy(void)
{
	start();
	fake.open_node = "/dev/vfio/7";
	fake.open_errno = EBUSY;
}

static void test_nodes(void)
{
	start();
	fake.open_node = "/dev/vfio/7";
	fake.open_errno = EACCES;
	fails(NULL, 0, EACCES,
	      "0000:03:00.0: could not open the device: no permission to open /dev/vfio/7 "
	      "(EACCES).  Remedy: run: chown USER /dev/vfio/7 (a udev rule makes it last), "
	      "or run as root.", "no permission");

	start_busy();
	fails("/proc/41/fd/3 -> /dev/null\n/proc/41/comm = sh\n"
	      "/proc/42/fd/3 -> /dev/vfio/7\n/proc/42/comm = qemu\n", 0, EBUSY,
	      "0000:03:00.0: could not open the device: /dev/vfio/7 is held by process 42 "
	      "(qemu) (EBUSY).  Remedy: end that process, or have it pass on its device "
	      "fd.", "held by a process");

	start_busy();
	self_holds("fd/3 -> /dev/vfio/7");
	fails(NULL, 0, EBUSY,
	      "0000:03:00.0: could not open the device: this process has it open already (a "
	      "mapping that is not yet unmapped counts) (EBUSY).  Remedy: use that one "
	      "(vp2p_attach()), or vp2p_unmap() its mappings and vp2p_close() it first.",
	      "held by this process");
	start_busy();
	self_holds("fd/3 -> /dev/vfio/7");
	fails("/proc/1/fd/3 -> /dev/vfio/7\n/proc/1/comm = qemu\n", 0, EBUSY, NULL,
	      "held by this process and by another one");
	has_str(err.cause, "process 1 (qemu)", "... the other one is named");
	start_busy();
	self_holds("maps = 7f00-7f01 rw-s 0 00:0e 12 anon_inode:[vfio-device]\\n");
	fails(NULL, 0, EBUSY, NULL, "held by a mapping");
	has_str(err.cause, "another process, or a mapping of this one", "... perhaps");
	start_busy();
	fails("/proc/41/maps = 7f00-7f01 rw-s 0 00:0e 12 anon_inode:[vfio-p2p-window:0000:04:00.0]\\n\n"
	      "/proc/41/comm = other\n"
	      "/proc/42/maps = 7f00-7f01 rw-s 0 00:0e 12 anon_inode:[vfio-p2p-window:0000:03:00.0]\\n\n"
	      "/proc/42/comm = worker\n", 0, EBUSY, NULL, "held by an export's mapping");
	has_str(err.cause, "held by process 42 (worker)", "... whose it is");
	start_busy();
	fails("/proc/42/fd/3 -> anon_inode:[vfio-p2p-window:0000:03:00.0]\n"
	      "/proc/42/comm = worker\n", 0, EBUSY, NULL, "held by an export");
	has_str(err.cause, "held by process 42 (worker)", "... whose it is");
	start_busy();
	self_holds("maps = 7f00-7f01 rw-s 0 00:0e 12 anon_inode:[vfio-p2p-window:0000:03:00.0]\\n");
	fails(NULL, 0, EBUSY, NULL, "held by a mapping of an export of this process");
	has_str(err.cause, "this process has it open already", "... says so");

	start();
	fake.open_node = "/dev/vfio/7";
	fake.open_errno = ENOENT;
	fails(NULL, 0, ENODEV, NULL, "node missing");

	start();
	fake.device_fd_errno = EBUSY;
	fails(NULL, 0, EBUSY,
	      "0000:03:00.0: could not open the device: DMA of a former owner still holds "
	      "pages of its windows, or another process has it open (EBUSY).  Remedy: wait "
	      "for that I/O to end (vfio-p2p status 0000:03:00.0 shows the pinned folios), "
	      "then try again.", "pins of a former owner");

	start();
	fake.device_fd_errno = EBUSY;
	self_holds("fd/5 -> /dev/vfio/7");
	fails(NULL, 0, EBUSY, NULL, "pins of a former owner, and our own fd of the group");
	has_str(err.cause, "or another process has it open", "... which is not the holder");

	start();
	fake.device_fd_errno = EIO;
	fails(NULL, 0, EIO, NULL, "the driver refuses");

	start();
	fake.probe_errno = ENOTTY;
	fails(NULL, 0, ENXIO, NULL, "the driver has no windows");
}

static void test_cdev(void)
{
	start();
	fails(NULL, VP2P_OPEN_CDEV, EOPNOTSUPP, NULL, "no cdev");

	start();
	tree_add(with_cdev);
	fake.device_fd_errno = EBUSY;
	fails("/sys/bus/pci/devices/0000:03:00.1/driver -> ../../drivers/nvme\n", 0, EPERM,
	      NULL, "cdev: group not viable");
	has_str(err.cause, "0000:03:00.1 (nvme)", "... names the sibling");

	start();
	tree_add(with_cdev);
	fake.device_fd_errno = EINVAL;
	self_holds("fd/5 -> /dev/vfio/devices/vfio3");
	fails(NULL, 0, EINVAL, NULL, "cdev: refused, held by nobody else");
	start();
	tree_add(with_cdev);
	fake.device_fd_errno = EINVAL;
	self_holds("fd/5 -> /dev/vfio/devices/vfio3");
	self_holds("fd/6 -> /dev/vfio/devices/vfio3");
	fails(NULL, 0, EBUSY, NULL, "cdev: bound twice by this process");
	has_str(err.cause, "this process", "... says so");

	start();
	tree_add(with_cdev);
	fake.device_fd_errno = EINVAL;
	fails("/sys/bus/pci/devices/0000:03:00.0/p2p_vfio/state = live\n", 0, EBUSY, NULL,
	      "cdev: open, and the holder cannot be seen");
	has_str(err.cause, "/dev/vfio/devices/vfio3 is held by another process", "... says so");

	start();
	tree_add(with_cdev);
	fake.device_fd_errno = EINVAL;
	fails("/sys/bus/pci/devices/0000:03:00.0/p2p_vfio/state = closed\n", 0, EINVAL, NULL,
	      "cdev: refused, and closed");

	start();
	tree_add(with_cdev);
	fake.device_fd_errno = EBUSY;
	fails("/proc/42/fd/3 -> /dev/vfio/7\n/proc/42/comm = qemu\n", 0, EBUSY, NULL,
	      "cdev: open through the group");
	has_str(err.cause, "process 42 (qemu) has it open", "... names who");

	start();
	tree_add(with_cdev);
	fake.open_node = "/dev/vfio/7";
	fake.open_errno = EBUSY;
	fails("/proc/42/fd/3 -> /dev/vfio/devices/vfio3\n/proc/42/comm = qemu\n",
	      VP2P_OPEN_GROUP, EBUSY, NULL, "group: open through the cdev");
	has_str(err.cause, "/dev/vfio/7 is held by process 42 (qemu)", "... names who");

	start();
	tree_add(with_cdev);
	fake.device_fd_errno = EPERM;
	fails(NULL, 0, EBUSY, NULL, "cdev: the group is another iommufd's");
	has_str(err.cause, "IOMMU group 7 is open through another iommufd", "... says so");
	has_str(err.remedy, "vp2p_iommu_fd()", "... and how to go on");

	start();
	tree_add(with_cdev);
	fake.open_node = "/dev/iommu";
	fake.open_errno = EACCES;
	fails(NULL, 0, EACCES, NULL, "cdev: no permission for the iommufd");

	start();
	tree_add(with_cdev);
	fake.open_node = "/dev/vfio/devices/vfio3";
	fake.open_errno = EACCES;
	fails(NULL, 0, EACCES, NULL, "cdev: no permission for the node");
}

static void test_attach(void)
{
	struct vp2p_device *dev = NULL;
	char line[128];

	start();
	is_num(vp2p_attach(fake.memory, NULL, &dev, &err), 0, "attach");
	is_str(vp2p_device_bdf(dev), "", "an address nobody knows");
	is_num(vp2p_iommu_fd(dev), -1, "no container");
	is_num(vp2p_group_fd(dev), -1, "no group");
	vp2p_close(dev);
	ok(fcntl(fake.memory, F_GETFD) >= 0, "close leaves the application's fd open");

	snprintf(line, sizeof(line), "/proc/self/fdinfo/%d = vfio-device-syspath: "
		 "/sys/devices/pci0000:00/0000:00:04.0/0000:03:00.0\n", fake.memory);
	tree_add(line);
	is_num(vp2p_attach(fake.memory, NULL, &dev, &err), 0, "attach again");
	is_str(vp2p_device_bdf(dev), BDF, "the address from fdinfo");
	vp2p_close(dev);
	is_num(vp2p_attach(fake.memory, "3:0.0", &dev, &err), 0, "the same by hand");
	vp2p_close(dev);
	is_error(vp2p_attach(fake.memory, "04:00.0", &dev, &err), EINVAL, &err,
		 "another address by hand");
	has_str(err.cause, "is that of " BDF, "... says whose fd it is");

	is_error(vp2p_attach(-1, NULL, &dev, &err), EBADF, &err, "a bad fd");
	is_error(vp2p_attach(fake.memory, "x", &dev, &err), EINVAL, &err, "bad address");
	fake.info_errno = ENOTTY;
	is_error(vp2p_attach(fake.memory, NULL, &dev, &err), ENOTTY, &err, "no VFIO fd");
	fake.info_errno = ENODEV;
	is_error(vp2p_attach(fake.memory, NULL, &dev, &err), ENODEV, &err, "removed");
	fake.info_errno = 0;
	fake.probe_errno = ENODEV;
	is_error(vp2p_attach(fake.memory, BDF, &dev, &err), ENODEV, &err, "just removed");
	fake.probe_errno = ENOTTY;
	is_error_text(vp2p_attach(fake.memory, BDF, &dev, &err), ENXIO, &err,
		      "0000:03:00.0: could not attach to the device: its driver has no "
		      "peer-to-peer windows (ENOTTY): it is bound to plain vfio-pci or "
		      "another variant of it (ENXIO).  Remedy: close it and run: vfio-p2p "
		      "bind 0000:03:00.0.", "plain vfio-pci");
	finish("nothing left open");
}

int main(void)
{
	fake_install();
	test_ways();
	test_driver();
	test_group();
	test_nodes();
	test_cdev();
	test_attach();
	return TAP_DONE();
}
