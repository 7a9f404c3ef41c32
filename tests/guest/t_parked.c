// SPDX-License-Identifier: MIT
/*
 * A range that the kernel has given struct pages, and that could not become a
 * window all the same, becomes one later (the kernel's pool alone has such).
 *
 * Registration adds the range to the kernel's peer-to-peer pool and then takes
 * all of it out again.  In between the kernel offers the pool to root by
 * p2pmem/allocate, and a page that root has taken is missing: registration
 * fails, after a step that only unbinding undoes.  The driver must remember that,
 * or adding the range once more would meet its own struct pages.
 *
 * The moment in between is made as long as the test wants.  Its end is the
 * removal of "allocate" from sysfs, which waits while anybody reads a sysfs
 * directory; and one does, into a buffer whose second page userfaultfd keeps
 * back.  "allocate" is there only from the first registration on and gone when
 * it succeeds; one that fails early (fault injection) is how to get hold of it.
 *
 * Guard: p2p_device.parked.  Without it the second attempt warns of a conflicting
 * mapping.
 */
#define _GNU_SOURCE
#include "dev.h"
#include "faults.h"
#include "harness.h"
#include "revoke_util.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LENGTH (2 * DEV_MIB2)
#define DOTS 48		/* bytes of "." and "..", which come before the lock */

static struct dev d;
static int bar;

static long set_window(void *offset)
{
	struct p2p_vfio_window w;

	return dev_window_set(&d, bar, (uintptr_t)offset, LENGTH, 0, &w);
}

static void bind_anew(void)
{
	H_CHECK(dev_unbind("target", 10));
	dev_bind("target", DEV_P2P);
	H_EQ(dev_open(&d, "target"), 0);
	bar = dev_bar(&d);
}

/* Fail the registration later and later, until it leaves the file behind. */
static int open_allocate(void)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/p2pmem/allocate", h_pci("target"));
	for (unsigned int n = 1; n < 1000 && access(path, F_OK); n++) {
		fault_arm(n);
		if (set_window(NULL)) {
			fault_disarm();
			continue;
		}
		/* It has coped, and the file is gone for good. */
		if (!fault_disarm())
			return -1;
		dev_close(&d);
		bind_anew();
	}
	return open(path, O_RDWR | O_CLOEXEC);
}

/* A reader of a sysfs directory that stands still. */
struct reader {
	int dir, uffd;
	char *pages;	/* the second one is kept back */
	struct ru_call call;
};

static long read_dir(void *arg)
{
	struct reader *r = arg;
	long n = syscall(SYS_getdents64, r->dir, r->pages + RU_PAGE - DOTS, RU_PAGE + DOTS);

	return n < 0 ? -errno : n;
}

static int stop_sysfs(struct reader *r)
{
	struct uffd_msg msg;

	r->dir = open("/sys/bus", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r->pages = mmap(NULL, 2 * RU_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (r->dir < 0 || r->pages == MAP_FAILED)
		return -errno;
	memset(r->pages, 0, RU_PAGE);
	r->uffd = ru_uffd(r->pages + RU_PAGE);
	if (r->uffd < 0)
		return r->uffd;
	ru_call(&r->call, read_dir, r);
	return h_wait_until(read(r->uffd, &msg, sizeof(msg)) == sizeof(msg), 5000) ? 0 : -ETIMEDOUT;
}

static long let_sysfs_go(struct reader *r)
{
	struct uffdio_zeropage zero = { .range = { (uintptr_t)r->pages + RU_PAGE, RU_PAGE } };

	if (ioctl(r->uffd, UFFDIO_ZEROPAGE, &zero))
		return -errno;
	return ru_join(&r->call, 5000) ? r->call.ret : -ETIMEDOUT;
}

static bool can_take(int allocate)
{
	void *page = mmap(NULL, RU_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, allocate, 0);

	return page != MAP_FAILED && !munmap(page, RU_PAGE);
}

static void becomes_one_later(void)
{
	static char disk[64];
	struct ru_hold hold = { .file = disk };
	struct reader reader;
	struct ru_call set;
	char *win;

	snprintf(disk, sizeof(disk), "%s", h_disk("raw"));
	bind_anew();
	hold.first.fd = open_allocate();
	H_CHECK(hold.first.fd >= 0);

	/* From here on nobody may look anything up in /sys. */
	H_EQ(stop_sysfs(&reader), 0);
	ru_call(&set, set_window, NULL);
	H_CHECK(h_wait_until(can_take(hold.first.fd), 10000));
	H_EQ(ru_hold_begin(&hold), 0);
	H_CHECK(!ru_done(&set));
	H_CHECK(let_sysfs_go(&reader) > 0);

	H_CHECK(ru_join(&set, 10000));
	H_EQ(set.ret, -ENOMEM);
	H_EQ(set_window(NULL), -ENOMEM);
	H_EQ(set_window((void *)DEV_MIB2), -EEXIST);

	H_EQ(ru_hold_end(&hold), 2 * RU_PAGE);
	close(hold.first.fd);
	win = dev_window(&d, bar, 0, LENGTH);
	H_CHECK(win);
	ru_fill(win, LENGTH, 1);
	H_EQ(ru_differs(win, LENGTH, 1), -1);
	dev_close(&d);
	dev_check_rest("target");
	H_CHECK(dev_unbind("target", 10));
}

static const struct h_case cases[] = {
	{ "a range that could not become a window becomes one later", becomes_one_later },
	{ }
};

int main(int argc, char **argv)
{
	bool auto_chosen;
	int rc;

	if (!fault_choose(FAULT_SLAB, "arch_add_memory")) {
		h_plan(1);
		h_skip(cases[0].name, "this kernel has no fault injection");
		return h_done();
	}
	auto_chosen = !dev_standard_provider();
	if (dev_param("provider", "standard"))
		h_bail("the pool cannot be chosen");
	dev_bind("target", DEV_P2P);
	rc = h_main(argc, argv, cases);
	if (auto_chosen)
		dev_param("provider", "auto");
	return rc;
}
