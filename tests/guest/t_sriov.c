// SPDX-License-Identifier: MIT
/*
 * Virtual functions.
 *
 * They come and go by sysfs sriov_numvfs, under I/O into another device of this
 * driver: it takes no lock that the data path wants.  (The one emulated device
 * that has them, an NVMe controller, has no memory buffer then, so its own BARs
 * are too small for a window.)
 *
 * A virtual function can be bound to this driver.  Its BAR is too small as well,
 * and the refusal says so.  The gap: nobody tells its driver when the physical
 * function is reset; the test shows that nothing is counted.
 */
#define _GNU_SOURCE
#include "dev.h"
#include "harness.h"
#include "matrix.h"

#include <errno.h>

#define VFS 2

static int set_vfs(int n)
{
	char text[8];

	snprintf(text, sizeof(text), "%d", n);
	return h_writef(text, "/sys/bus/pci/devices/%s/sriov_numvfs", h_pci("pf"));
}

static long come_and_go(void *dev)
{
	int err = set_vfs(VFS);

	(void)dev;
	if (err)
		return err;
	if (!h_wait_until(h_pci("vf"), 5000))
		return -ENOENT;
	return set_vfs(0);
}

static void refused_by_default(void)
{
	H_EQ(h_bind(h_pci("pf"), DEV_P2P), 0);
	H_EQ(dev_param("enable_sriov", "N"), 0);
	H_EQ(set_vfs(VFS), -ENOENT);
}

static void under_io(void)
{
	H_EQ(h_bind(h_pci("pf"), DEV_P2P), 0);
	H_EQ(dev_param("enable_sriov", "Y"), 0);
	mx_run(&(struct mx_row){ .id = "sriov", .event = "sysfs sriov_numvfs of another device",
				 .act = come_and_go, .kept = true, .racing = MX_WHOLE,
				 .flight = MX_GOES_ON });
}

/*
 * Physical function with its own driver, and a virtual one with this.  The virtual one
 * is offered to no other driver: nvme would try it in its own time, and fail.
 */
static void bind_vf(void)
{
	H_EQ(h_bind(h_pci("pf"), "nvme"), 0);
	H_EQ(h_writef("0", "/sys/bus/pci/devices/%s/sriov_drivers_autoprobe", h_pci("pf")), 0);
	H_EQ(set_vfs(VFS), 0);
	H_CHECK(h_wait_until(h_pci("vf"), 5000));
	H_EQ(h_bind(h_pci("vf"), DEV_P2P), 0);
}

static void unbind_vf(void)
{
	dev_check_rest("vf");
	H_EQ(h_bind(h_pci("vf"), NULL), 0);
	H_EQ(set_vfs(0), 0);
}

static void vf_is_too_small(void)
{
	struct p2p_vfio_window w;
	struct dev d;
	int bar;

	bind_vf();
	if (h_failed())
		return;
	H_EQ(dev_open(&d, "vf"), 0);
	bar = dev_bar(&d);
	H_CHECK(bar >= 0 && dev_bar_size(&d, bar) < DEV_MIB2);
	h_expect_log("p2p: no window of 0x200000 bytes at offset 0x0 of BAR 0");
	H_EQ(dev_window_set(&d, bar, 0, DEV_MIB2, 0, &w), -EINVAL);
	dev_close(&d);
	unbind_vf();
}

/* Not open: the emulated one may be lost by it, and closing would wait for it. */
static void vf_is_not_told(void)
{
	struct mx_count before, after;

	bind_vf();
	if (h_failed())
		return;
	before = mx_count("vf", NULL, NULL);
	H_EQ(h_writef("1", "/sys/bus/pci/devices/%s/reset", h_pci("pf")), 0);
	after = mx_count("vf", NULL, NULL);
	H_EQ(after.revokes, before.revokes);
	H_EQ(after.generation, before.generation);
	unbind_vf();
	if (!h_failed())
		mx_row("vf", "reset of the physical function (a gap)", "none", "none", "none", 0, 0);
}

static const struct h_case cases[] = {
	{ "virtual functions need a parameter", refused_by_default },
	{ "virtual functions come and go under I/O", under_io, 60 },
	{ "a virtual function's memory is too small for a window", vf_is_too_small },
	{ "a virtual function is not told of its physical function's reset", vf_is_not_told },
	{ }
};

int main(int argc, char **argv)
{
	dev_bind("target", DEV_P2P);
	return h_main(argc, argv, cases);
}
