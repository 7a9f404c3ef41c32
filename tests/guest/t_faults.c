// SPDX-License-Identifier: MIT
/*
 * Everything that can fail fails once.
 *
 * Error paths are the code that nobody runs.  Here each call of the interface,
 * from probe to rmmod, is made again and again, and each time one more of the
 * chances to fail is taken in it: its first allocation, its second, ..., until
 * it has none left (fault injection, fail-nth; no luck is involved).  Three
 * kinds of failure, one a run: slab allocations, page allocations, copies from
 * and to user memory.
 *
 * After each failure
 *  - the call has said so by an errno that is documented for it, or it has
 *    coped, and then done all its work;
 *  - a call that failed has changed nothing: windows, state, generation, file
 *    descriptors are as before;
 *  - the same call succeeds when nothing fails, and the device does I/O.
 * What has leaked is found at the end, by kmemleak, with the driver unloaded;
 * what was used after it was freed, by KASAN.
 *
 * A touch of a window by the CPU has no errno.  When the kernel finds no memory
 * for a page table it comes again (VM_FAULT_OOM of a user-mode fault is no more
 * than that: nobody is killed), so the touch succeeds.
 */
#define _GNU_SOURCE
#include "sweep.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* VFIO does not stand failures while it makes a group (7.3): it warns as it undoes it. */
#define MAKES_GROUP "vfio_create_group"

/* Bind, unbind, rmmod */

/*
 * device_add() does not look at what devtmpfs answers: a device that was made
 * without memory for its node's name has none (7.3).
 */
static bool has_node(void)
{
	char node[64];

	if (dev_node(bdf, node, sizeof(node)))
		h_fail("the device has no node by name");
	return !access(node, F_OK);
}

static void is_bound(void)
{
	H_EQ(strcmp(driver(), DEV_P2P), 0);
	H_CHECK(dev_state_is("target", "closed"));
	whole_life();
}

/* The making of a group is spared, so there it cannot be. */
static void is_bound_now(void)
{
	if (!took || !dev_by_cdev() || has_node())
		is_bound();
}

static void is_unbound(void)
{
	char path[128];

	H_EQ(*driver(), 0);
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/p2p_vfio", bdf);
	H_EQ(access(path, F_OK), -1);
}

static const struct op bind_op = {
	"bind", unbind_now, bind_it, is_bound_now, is_unbound, SLAB | COPY, MAKES_GROUP,
};

static void bound_and_used(void)
{
	if (*driver() == 0)
		H_CHECK(bind_it() > 0);
	whole_life();
}

static const struct op unbind_op = {
	"unbind", bound_and_used, unbind_it, is_unbound, is_bound, SLAB | COPY,
};

static void binding(void)
{
	be_bound();
	open_ports();
	sweep(&bind_op);
	if (!h_failed())
		bound_and_used();
}

static void unbinding(void)
{
	be_bound();
	open_ports();
	sweep(&unbind_op);
	if (!h_failed())
		H_CHECK(bind_it() > 0);
}

static void loaded_and_used(void)
{
	be_bound();
	whole_life();
}

static long unload(void)
{
	return result(syscall(SYS_delete_module, "p2p_vfio_pci", O_NONBLOCK));
}

static void is_unloaded(void)
{
	H_CHECK(!h_module_loaded(DEV_P2P));
	is_unbound();
}

static const struct op unload_op = {
	"rmmod", loaded_and_used, unload, is_unloaded, is_bound, SLAB | COPY,
};

static void unloading(void)
{
	be_bound();
	sweep(&unload_op);
	if (!h_failed())
		loaded_and_used();
}

/* Open and close */

static char group_path[64];
static int container = -1, group = -1;

static void close_group(void)
{
	close(group);
	close(container);
	group = container = -1;
}

static void open_both(void)
{
	if (group >= 0)
		return;
	container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	group = open(group_path, O_RDWR | O_CLOEXEC);
	H_CHECK(container >= 0 && group >= 0);
}

static long set_container(void)
{
	return result(ioctl(group, VFIO_GROUP_SET_CONTAINER, &container));
}

static long set_iommu(void)
{
	return result(ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
}

static long get_device_fd(void)
{
	return result(ioctl(group, VFIO_GROUP_GET_DEVICE_FD, bdf));
}

static void close_made(void)
{
	close(made);
}

static void unset_container(void)
{
	H_EQ(ioctl(group, VFIO_GROUP_UNSET_CONTAINER), 0);
}

static void both_joined(void)
{
	open_both();
	H_EQ(set_container(), 0);
}

static void ready_to_open(void)
{
	if (group >= 0)
		return;
	both_joined();
	H_EQ(set_iommu(), 0);
}

static void device_works(void)
{
	t.d.fd = made;
	does_io();
	close(made);
	dev_check_rest("target");
}

static void still_closed(void)
{
	dev_check_rest("target");
}

static long open_container(void)
{
	return result(open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC));
}

static long open_group(void)
{
	return result(open(group_path, O_RDWR | O_CLOEXEC));
}

static void opened_and_used(void)
{
	ready_to_open();
	made = get_device_fd();
	H_CHECK(made >= 0);
	t.d.fd = made;
	does_io();
}

/* What is left to do happens on the way out of the call; its errno is no use. */
static long close_device(void)
{
	close(t.d.fd);
	return 0;
}

static void opening_by_group(void)
{
	static const struct op ops[] = {
		{ "open of the container", NULL, open_container, close_made, NULL, SLAB | COPY },
		{ "open of the group", NULL, open_group, close_made, NULL, SLAB | COPY },
		{ "SET_CONTAINER", open_both, set_container, unset_container },
		{ "SET_IOMMU", both_joined, set_iommu, close_group, NULL, SLAB },
		{ "GET_DEVICE_FD", ready_to_open, get_device_fd, device_works, still_closed, SLAB | COPY },
		{ "close", opened_and_used, close_device, still_closed },
	};

	be_bound();
	snprintf(group_path, sizeof(group_path), "/dev/vfio/%d", h_iommu_group(bdf));
	whole_life();	/* the window that is used is from here */
	for (size_t i = 0; i < sizeof(ops) / sizeof(*ops) && !h_failed(); i++) {
		if (ops[i].call == set_iommu)
			close_group();
		sweep(&ops[i]);
	}
	close_group();
}

static void opening(void)
{
	if (dev_by_cdev())
		opening_by_cdev();
	else
		opening_by_group();
}

static const struct h_case cases[] = {
	{ "bind", binding, 300 },
	{ "open and close", opening, 300 },
	{ "registering a window", registering, 300 },
	{ "windows, state, events, peers", asking, 300 },
	{ "mappings, touches, reads and writes", transferring, 300 },
	{ "resets, config writes, low power", revoking, 300 },
	{ "sysfs", reading_sysfs, 300 },
	{ "unbind", unbinding, 300 },
	{ "rmmod", unloading, 300 },
	{ }
};

static void choose(int argc, char **argv)
{
	for (int k = 0; k < FAULT_KINDS; k++)
		if (argc > 1 && !strcmp(argv[1], fault_names[k]))
			kind = k;
	if (fault_choose(kind, NULL))
		return;
	h_plan(1);
	h_skip(fault_names[kind], "this kernel has no fault injection, or not of this kind");
	exit(h_done());
}

int main(int argc, char **argv)
{
	choose(argc, argv);
	dev_bind("target", DEV_P2P);
	prepare();
	return h_main(argc, argv, cases);
}
