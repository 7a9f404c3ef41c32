// SPDX-License-Identifier: MIT
/*
 * What must be refused, and by whom.
 *
 * Long-term users of memory (registered buffers, IOMMU mappings) would hold a
 * pin that no reset could wait for: the kernel refuses them page-backed
 * peer-to-peer memory, and takes RAM and, where it makes sense, the raw view.
 * A machine whose root ports do not pass DMA to one another is told by PEER and
 * met with an errno, never with wrong data.  Windows cost host memory, so a new
 * one needs privilege; and the kernel log says which rule a refused one broke.
 */
#define _GNU_SOURCE
#include "dev.h"
#include "harness.h"
#include "revoke_util.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define WINDOW (4 * DEV_MIB2)
#define SEED 77
#define NOBODY 65534

static struct ru_target t;

static void set_up(void)
{
	H_EQ(ru_target_open(&t, "target", WINDOW), 0);
	ru_fill(t.raw, RU_PAGE, SEED);
	H_EQ(ru_differs(t.win, RU_PAGE, SEED), -1);
}

/* Nothing is held, and the window is what it was. */
static void clean_up(void)
{
	H_EQ(dev_count("target", "pinned_folios"), 0);
	H_EQ(ru_differs(t.win, RU_PAGE, SEED), -1);
	H_EQ(dev_reset(&t.d), 0);
	dev_close(&t.d);
	dev_check_rest("target");
}

static char *ram(size_t length)
{
	return mmap(NULL, length, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
}

/* Long-term users */

static void registered_buffer(void)
{
	struct ru_ring ring;

	set_up();
	H_EQ(ru_ring_open(&ring, 4), 0);
	H_EQ(ru_ring_register(&ring, t.win, DEV_MIB2), -EREMOTEIO);
	H_EQ(ru_ring_register(&ring, t.win, RU_PAGE), -EREMOTEIO);
	H_EQ(ru_ring_register(&ring, ram(DEV_MIB2), DEV_MIB2), 0);
	close(ring.fd);
	clean_up();
}

static int map_dma(void *at, uint64_t iova)
{
	return dev_dma_map(&t.d, at, iova, RU_PAGE);
}

static void iommu_mapping(void)
{
	set_up();
	H_EQ(map_dma(t.win, 0), -EREMOTEIO);
	H_EQ(map_dma(ram(RU_PAGE), 0), 0);
	/* The ordinary view: type1 maps it, an iommufd takes a dma-buf instead. */
	H_EQ(map_dma(t.raw, RU_PAGE), t.d.cdev ? -EFAULT : 0);
	clean_up();
}

/* Others that take page references without saying that they can do peer-to-peer. */
static void other_pinners(void)
{
	char buf[64];
	struct iovec here = { buf, sizeof(buf) }, there;
	int pipefd[2];

	set_up();
	there = (struct iovec){ t.win, sizeof(buf) };
	H_ERRNO(process_vm_readv(getpid(), &here, 1, &there, 1, 0), EFAULT);
	H_EQ(pipe(pipefd), 0);
	H_CHECK(vmsplice(pipefd[1], &there, 1, 0) < 0);
	/* Copies are no pins. */
	H_EQ(write(pipefd[1], t.win, sizeof(buf)), sizeof(buf));
	H_EQ(read(pipefd[0], buf, sizeof(buf)), sizeof(buf));
	H_EQ(ru_differs(buf, sizeof(buf), SEED), -1);
	clean_up();
}

/* No route */

static void no_route(void)
{
	struct p2p_vfio_peer peer;
	int disk = open(h_disk("raw"), O_RDONLY | O_DIRECT | O_CLOEXEC);
	ssize_t n;

	H_CHECK(disk >= 0);
	set_up();
	H_EQ(dev_peer(&t.d, h_pci("nvme"), &peer), 0);
	H_EQ(peer.route, P2P_VFIO_ROUTE_NONE);
	H_EQ(peer.distance, -1);
	n = pread(disk, t.win, RU_PAGE, 0);
	h_diag("the read fails with %s", n < 0 ? strerrorname_np(errno) : "nothing");
	H_CHECK(n < 0);
	H_CHECK(errno == EINVAL || errno == EREMOTEIO);
	clean_up();
}

/* Privilege */

/* Run as a user without privilege who was handed the device's fd. */
static void as_nobody(void (*run)(void))
{
	int status = -1;
	pid_t pid = fork();

	if (!pid) {
		if (setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) ||
		    setresuid(NOBODY, NOBODY, NOBODY))
			_exit(1);
		run();
		_exit(0);
	}
	H_EQ(waitpid(pid, &status, 0), pid);
	H_EQ(status, 0);
}

static int disk_of_nobody;

static void nobody_is_refused(void)
{
	struct p2p_vfio_state before, now;
	struct p2p_vfio_window w;

	H_EQ(dev_state(&t.d, &before), 0);
	H_EQ(dev_window_set(&t.d, t.bar, WINDOW, DEV_MIB2, 0, &w), -EPERM);
	H_EQ(dev_state(&t.d, &now), 0);
	H_CHECK(ru_same_state(&before, &now));
}

/* What root has registered is for whoever has the device's fd. */
static void nobody_uses_window(void)
{
	struct p2p_vfio_window w;
	char *win;

	H_EQ(dev_window_set(&t.d, t.bar, 0, WINDOW, 0, &w), 0);
	H_EQ(w.mmap_offset, t.cookie);
	H_EQ(dev_window_get(&t.d, w.id, 0, &w), 0);
	win = dev_map(&t.d, w.mmap_offset, WINDOW);
	H_CHECK(win);
	H_EQ(ru_differs(win, RU_PAGE, SEED), -1);
	H_EQ(pread(disk_of_nobody, win + DEV_MIB2, RU_PAGE, 0), RU_PAGE);
	H_EQ(dev_reset(&t.d), 0);
	H_EQ(ru_differs(win, RU_PAGE, SEED), -1);
}

static void nobody_may_register(void)
{
	struct p2p_vfio_window w;

	H_EQ(dev_window_set(&t.d, t.bar, WINDOW, DEV_MIB2, 0, &w), 0);
	H_CHECK(dev_map(&t.d, w.mmap_offset, DEV_MIB2));
}

static void privilege(void)
{
	h_expect_log("p2p: no window of 0x200000 bytes at offset 0x800000 of BAR [0-9].*: a new window needs CAP_SYS_ADMIN");
	disk_of_nobody = open(h_disk("raw"), O_RDONLY | O_DIRECT | O_CLOEXEC);
	H_EQ(dev_param("unprivileged_windows", "N"), 0);
	set_up();
	as_nobody(nobody_is_refused);
	if (!h_failed())
		as_nobody(nobody_uses_window);
	H_EQ(dev_param("unprivileged_windows", "Y"), 0);
	if (!h_failed())
		as_nobody(nobody_may_register);
	H_EQ(dev_param("unprivileged_windows", "N"), 0);
	/* That window has been paid for: it is there for all. */
	if (!h_failed())
		as_nobody(nobody_may_register);
	clean_up();
}

/* Rules */

/* The log names what was asked for, and the rule. */
static void says_why(void)
{
	uint64_t size;
	struct p2p_vfio_window w;

	h_expect_log("p2p: no window of 0x1000 bytes at offset 0x800000 of BAR [0-9] \\(0x4000000 bytes\\): offset and length must be multiples of 2 MiB");
	h_expect_log("p2p: no window of 0x0 bytes at offset 0x800000 of BAR .*: length is 0");
	h_expect_log("p2p: no window of 0x200000 bytes at offset 0x4000000 of BAR .*: ends beyond the BAR");
	h_expect_log("p2p: no window of 0x400000 bytes at offset 0x600000 of BAR .*: overlaps another window");
	h_expect_log("p2p: no window of 0x200000 bytes at offset 0x0 of BAR 5 .*: is not a memory BAR");
	set_up();
	size = dev_bar_size(&t.d, t.bar);
	H_EQ(dev_window_set(&t.d, t.bar, WINDOW, RU_PAGE, 0, &w), -EINVAL);
	H_EQ(dev_window_set(&t.d, t.bar, WINDOW, 0, 0, &w), -EINVAL);
	H_EQ(dev_window_set(&t.d, t.bar, size, DEV_MIB2, 0, &w), -ERANGE);
	H_EQ(dev_window_set(&t.d, t.bar, WINDOW - DEV_MIB2, 2 * DEV_MIB2, 0, &w), -EEXIST);
	H_EQ(dev_window_set(&t.d, 5, 0, DEV_MIB2, 0, &w), -ENXIO);
	clean_up();
}

/* A BAR that is too small for a window, one for I/O ports, and none at all. */
static void odd_bars(void)
{
	struct p2p_vfio_window w;
	struct dev d;
	int err;

	dev_bind("odd", DEV_P2P);
	H_EQ(dev_open(&d, "odd"), 0);
	err = dev_window_set(&d, 0, 0, DEV_MIB2, 0, &w);
	/* By where the firmware has put it: misaligned, or too small. */
	H_CHECK(err == -EINVAL || err == -ERANGE);
	H_EQ(dev_window_set(&d, 1, 0, DEV_MIB2, 0, &w), -ENXIO);
	/* BAR 3 is the upper half of BAR 2's address. */
	for (int bar = 3; bar < 6; bar++)
		H_EQ(dev_window_set(&d, bar, 0, DEV_MIB2, 0, &w), -ENXIO);
	H_EQ(dev_window_set(&d, 6, 0, DEV_MIB2, 0, &w), -EINVAL);
	H_EQ(dev_window_set(&d, 2, 0, 2 * DEV_MIB2, 0, &w), 0);
	H_EQ(w.id, 0);
	dev_close(&d);
	dev_check_rest("odd");
}

static const struct h_case cases[] = {
	{ "io_uring does not register a window as a buffer", registered_buffer },
	{ "type1 does not map a window for DMA", iommu_mapping },
	{ "other ways to pin a window", other_pinners },
	{ "a new window needs privilege", privilege },
	{ "the log says which rule was broken", says_why },
	{ "BARs that cannot have a window", odd_bars },
	{ "no route between two devices", no_route },
	{ }
};

int main(int argc, char **argv)
{
	dev_bind("target", DEV_P2P);
	return h_main(argc, argv, cases);
}
