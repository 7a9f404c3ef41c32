// SPDX-License-Identifier: MIT
/*
 * t_open.c - the library's two ways to a device, on a real kernel
 *
 * Theory of operation: whatever the machine has of the two ways decides what is
 * expected.  With an iommufd the library must take it unless told otherwise, without
 * one it must take the group and refuse the other by name; each way the device must
 * do direct I/O, be reset, alone and with its sibling, and give the fds that
 * applications go on with.  Then each way in is tried while the device, or its sibling
 * of the same IOMMU group, is open by each way: the kernel has another errno for each
 * pair, a program must get one, EBUSY, with the holder named.
 *
 * Both functions are in one group; what is not said of a case is that it leaves the
 * device closed and at rest.
 */
#define _GNU_SOURCE
#include "dev.h"
#include "harness.h"
#include "iommufd.h"
#include "revoke_util.h"
#include "vfio-p2p.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SEED 77

static struct vp2p_device *dev, *again;
static struct vp2p_error err;

static bool has_cdev(void)
{
	return !access("/dev/iommu", F_OK);
}

static void is_error(int rc, int code, const char *cause)
{
	char text[VP2P_ERROR_TEXT];

	if (rc < 0) {
		vp2p_error_format(&err, text, sizeof(text));
		h_diag("%s", text);
	}
	H_EQ(rc, -code);
	if (!strstr(err.cause, cause))
		h_fail("the cause is not '%s' but '%s'", cause, err.cause);
}

/* A direct read from the disk into a window, looked at through the ordinary view. */
static void does_io(void)
{
	static char bytes[RU_PAGE] __attribute__((aligned(RU_PAGE)));
	int disk = open(h_disk("raw"), O_RDWR | O_DIRECT | O_CLOEXEC);
	struct vp2p_window *win;
	void *p, *raw;

	ru_fill(bytes, RU_PAGE, SEED);
	H_EQ(pwrite(disk, bytes, RU_PAGE, 0), RU_PAGE);
	H_EQ(vp2p_window_create(dev, 2, 0, 2 * DEV_MIB2, 0, &win, &err), 0);
	H_EQ(vp2p_map(win, 0, 0, 0, &p, &err), 0);
	H_EQ(vp2p_map_bar(dev, 2, 0, RU_PAGE, &raw, &err), 0);
	H_EQ(pread(disk, p, RU_PAGE, 0), RU_PAGE);
	H_EQ(ru_differs(raw, RU_PAGE, SEED), -1);
	H_EQ(vp2p_unmap(raw, RU_PAGE, &err), 0);
	H_EQ(vp2p_unmap(p, 2 * DEV_MIB2, &err), 0);
	vp2p_window_destroy(win);
	close(disk);
}

/* A function of two cannot be reset alone; both can, the sibling being closed. */
static void is_reset(void)
{
	H_EQ(vp2p_reset(dev, &err), -EOPNOTSUPP);
	H_EQ(vp2p_hot_reset(dev, &err), 0);
	does_io();
}

static void whole_life(unsigned int flags, bool cdev)
{
	H_EQ(vp2p_open(h_pci("target"), flags, &dev, &err), 0);
	H_EQ(vp2p_device_uses_cdev(dev), cdev);
	H_EQ(vp2p_group_fd(dev) >= 0, !cdev);
	does_io();
	if (!h_failed())
		is_reset();
	vp2p_close(dev);
	dev_check_rest("target");
}

static void by_itself(void)
{
	whole_life(0, has_cdev());
}

static void by_group(void)
{
	whole_life(VP2P_OPEN_GROUP, false);
}

static void by_cdev(void)
{
	if (has_cdev())
		whole_life(VP2P_OPEN_CDEV, true);
	else
		is_error(vp2p_open(h_pci("target"), VP2P_OPEN_CDEV, &dev, &err), EOPNOTSUPP,
			 "it has no character device");
}

/* The owner of the group's node is nobody to the other two; or the owner of all. */
static int owns(uid_t uid, bool all)
{
	char node[64];

	snprintf(node, sizeof(node), "/dev/vfio/%d", h_iommu_group(h_pci("target")));
	if (chown(node, uid, 0) || chmod("/dev/vfio/vfio", 0666))
		return -errno;
	if (!has_cdev())
		return 0;
	if (chown("/dev/iommu", all ? uid : 0, 0) || dev_cdev(h_pci("target"), node, sizeof(node)) ||
	    chown(node, uid, 0))
		return -errno;
	return 0;
}

/* 0 or 1 for the way in, or 2 for an error. */
static int way_of_user(uid_t uid)
{
	int status = -1;
	pid_t pid = fork();

	if (!pid) {
		if (setresgid(uid, uid, uid) || setresuid(uid, uid, uid) ||
		    vp2p_open(h_pci("target"), 0, &dev, &err))
			_exit(2);
		_exit(vp2p_device_uses_cdev(dev));
	}
	waitpid(pid, &status, 0);
	h_wait_until(dev_state_is("target", "closed"), 5000);
	return WEXITSTATUS(status);
}

static void what_the_user_may(void)
{
	H_EQ(owns(1000, false), 0);
	H_EQ(way_of_user(1000), 0);
	H_EQ(owns(1000, true), 0);
	H_EQ(way_of_user(1000), has_cdev());
	H_EQ(owns(0, true), 0);
	H_EQ(way_of_user(1000), 2);
}

/* Where the memory of the device's own DMA is set up, as vp2p_iommu_fd() says. */
static void maps_through(bool cdev)
{
	static char page[RU_PAGE] __attribute__((aligned(RU_PAGE)));
	struct dev d = { .cdev = cdev };

	H_EQ(vp2p_open(h_pci("target"), cdev ? VP2P_OPEN_CDEV : VP2P_OPEN_GROUP, &dev, &err), 0);
	d.fd = vp2p_device_fd(dev);
	d.container = vp2p_iommu_fd(dev);
	if (cdev) {
		struct iommufd_ioas ioas = { .size = sizeof(ioas) };

		H_EQ(ioctl(d.container, IOMMUFD_IOAS_ALLOC, &ioas), 0);
		d.ioas = ioas.out_id;
		H_EQ(dev_attach(&d), 0);
	}
	H_EQ(dev_dma_map(&d, page, 1 << 20, RU_PAGE), 0);
	does_io();
	H_EQ(dev_dma_unmap(&d, 1 << 20, RU_PAGE), 0);
	vp2p_close(dev);
}

static void iommu_fds(void)
{
	maps_through(false);
	if (has_cdev() && !h_failed())
		maps_through(true);
}

/* One that is open the one way is not opened the other way, nor once more the same way. */
static void pair(unsigned int first, unsigned int second, const char *cause)
{
	int rc;

	H_EQ(vp2p_open(h_pci("target"), first, &dev, &err), 0);
	rc = vp2p_open(h_pci("target"), second, &again, &err);
	vp2p_close(dev);
	is_error(rc, EBUSY, cause);
}

static void open_twice(void)
{
	pair(VP2P_OPEN_GROUP, VP2P_OPEN_GROUP, "this process has it open already");
	if (!has_cdev())
		return;
	pair(VP2P_OPEN_CDEV, VP2P_OPEN_CDEV, "this process has it open already");
	pair(VP2P_OPEN_GROUP, VP2P_OPEN_CDEV, "this process has it open already");
	pair(VP2P_OPEN_CDEV, VP2P_OPEN_GROUP, "this process has it open already");
}

/* The same with the first in another process, which is named. */
static void held_elsewhere(unsigned int first, unsigned int second)
{
	int ready[2], rc;
	char named[32];
	pid_t pid;
	char c;

	H_EQ(pipe(ready), 0);
	pid = fork();
	if (!pid) {
		if (!vp2p_open(h_pci("target"), first, &dev, &err))
			write(ready[1], "x", 1);
		pause();
	}
	close(ready[1]);
	H_EQ(read(ready[0], &c, 1), 1);
	rc = vp2p_open(h_pci("target"), second, &again, &err);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	snprintf(named, sizeof(named), "process %d (t_open)", pid);
	is_error(rc, EBUSY, named);
	H_CHECK(h_wait_until(dev_state_is("target", "closed"), 5000));
}

static void open_elsewhere(void)
{
	held_elsewhere(VP2P_OPEN_GROUP, VP2P_OPEN_GROUP);
	if (!has_cdev())
		return;
	held_elsewhere(VP2P_OPEN_CDEV, VP2P_OPEN_CDEV);
	held_elsewhere(VP2P_OPEN_GROUP, VP2P_OPEN_CDEV);
	held_elsewhere(VP2P_OPEN_CDEV, VP2P_OPEN_GROUP);
}

/* A mapping is enough to keep it open, and no fd tells of it. */
static void mapped(unsigned int flags)
{
	struct vp2p_window *win;
	void *p;
	int rc;

	H_EQ(vp2p_open(h_pci("target"), flags, &dev, &err), 0);
	H_EQ(vp2p_window_create(dev, 2, 0, 2 * DEV_MIB2, 0, &win, &err), 0);
	H_EQ(vp2p_map(win, 0, 0, 0, &p, &err), 0);
	vp2p_window_destroy(win);
	vp2p_close(dev);
	rc = vp2p_open(h_pci("target"), flags, &again, &err);
	vp2p_unmap(p, 2 * DEV_MIB2, NULL);
	is_error(rc, EBUSY, "a mapping of this one that is not yet unmapped");
	dev_check_rest("target");
}

static void mapped_and_closed(void)
{
	mapped(VP2P_OPEN_GROUP);
	if (has_cdev() && !h_failed())
		mapped(VP2P_OPEN_CDEV);
}

/* The other function: by the group's fd, or by the first one's iommufd. */
static void sibling_of_group(void)
{
	int fd;

	H_EQ(vp2p_open(h_pci("target"), VP2P_OPEN_GROUP, &dev, &err), 0);
	is_error(vp2p_open(h_pci("sibling"), VP2P_OPEN_GROUP, &again, &err), EBUSY,
		 "this process has it open already");
	fd = ioctl(vp2p_group_fd(dev), VFIO_GROUP_GET_DEVICE_FD, h_pci("sibling"));
	H_CHECK(fd >= 0);
	H_EQ(vp2p_attach(fd, NULL, &again, &err), 0);
	H_EQ(strcmp(vp2p_device_bdf(again), h_pci("sibling")), 0);
	H_EQ(vp2p_hot_reset(dev, &err), 0);
	vp2p_close(again);
	close(fd);
	vp2p_close(dev);
}

static void sibling_of_iommufd(void)
{
	struct iommufd_bind bind = { .argsz = sizeof(bind) };
	char node[64];
	int fd;

	if (!has_cdev())
		h_skip_case("this kernel has no iommufd");
	H_EQ(vp2p_open(h_pci("target"), VP2P_OPEN_CDEV, &dev, &err), 0);
	is_error(vp2p_open(h_pci("sibling"), VP2P_OPEN_CDEV, &again, &err), EBUSY,
		 "is open through another iommufd");
	if (h_failed())
		return;
	H_EQ(dev_cdev(h_pci("sibling"), node, sizeof(node)), 0);
	fd = open(node, O_RDWR | O_CLOEXEC);
	H_CHECK(fd >= 0);
	is_error(vp2p_attach(fd, NULL, &again, &err), ENOTTY, "not bound to an iommufd yet");
	bind.iommufd = vp2p_iommu_fd(dev);
	H_EQ(ioctl(fd, IOMMUFD_BIND, &bind), 0);
	H_EQ(vp2p_attach(fd, NULL, &again, &err), 0);
	H_EQ(strcmp(vp2p_device_bdf(again), h_pci("sibling")), 0);
	H_EQ(vp2p_hot_reset(dev, &err), 0);
	H_EQ(vp2p_hot_reset(again, &err), 0);
	does_io();
	vp2p_close(again);
	close(fd);
	vp2p_close(dev);
	dev_check_rest("target");
	dev_check_rest("sibling");
}

static const struct h_case cases[] = {
	{ "the library chooses", by_itself },
	{ "by the group", by_group },
	{ "by the character device, or it says that there is none", by_cdev },
	{ "by what the user may open", what_the_user_may },
	{ "the fds for the device's own DMA", iommu_fds },
	{ "open already in this process", open_twice },
	{ "open already in another process", open_elsewhere },
	{ "closed, and a mapping left", mapped_and_closed },
	{ "a sibling through the group's fd", sibling_of_group },
	{ "a sibling through the same iommufd", sibling_of_iommufd },
	{ }
};

int main(int argc, char **argv)
{
	dev_bind("target", DEV_P2P);
	dev_bind("sibling", DEV_P2P);
	return h_main(argc, argv, cases);
}
