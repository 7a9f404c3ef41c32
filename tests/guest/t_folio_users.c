// SPDX-License-Identifier: MIT
/*
 * Folio traps: all who look at a mapping, share it, lock it or want its pages.
 * Children, dying owners, core dumps, /proc, userfaultfd, and callers of
 * get_user_pages() that may not have peer-to-peer pages.
 *
 * Theory of operation: see trap.h.  The last case unbinds the driver, which waits
 * for every count without a bound.
 *
 * Guards whose removal must make a case fail:
 *   VM_DONTEXPAND	"userfaultfd cannot have it"
 *   VM_DONTDUMP	"a core dump leaves it out"
 *   folio_unlock, set_bit(touched)	every case
 */
#define _GNU_SOURCE
#include "pattern.h"
#include "trap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

/* Locks */

/*
 * mlock itself populates, with a get_user_pages() that such pages are refused
 * to; it has marked the mapping as locked by then.  mlockall does not mind.
 */
static void lock_and_unlock(void)
{
	H_ERRNO(mlock(win, LEN), EREMOTEIO);
	touch(win, LEN);
	H_EQ(munlock(win + PAGE, MIB2), 0);
	H_EQ(mlockall(MCL_CURRENT), 0);
	touch(win, LEN);
	H_EQ(munlockall(), 0);
	H_EQ(mlockall(MCL_CURRENT | MCL_ONFAULT), 0);
	touch(win, LEN);
	H_EQ(munmap(win + MIB2 + PAGE, PAGE), 0);
}
TRAP(lock_and_unlock)

/* The habit of storage programs: lock all that is and will be, then map. */
static void lock_first(int flags)
{
	H_EQ(mlockall(flags), 0);
	open_all();
	win = dev_map(&d, window.mmap_offset, LEN);
	H_CHECK(win);
	touch(win, LEN);
	direct_io(win);
	H_EQ(munmap(win + PAGE, PAGE), 0);
	left = win;
	sound();
	end_all();
}

static void lock_future(void)
{
	lock_first(MCL_CURRENT | MCL_FUTURE);
}

static void lock_future_on_fault(void)
{
	lock_first(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT);
}

/* Children */

static int child_did(int (*what)(void))
{
	int status = -1;
	pid_t pid = fork();

	if (!pid)
		_exit(what());
	waitpid(pid, &status, 0);
	return status;
}

static int child_touches(void)
{
	touch(win, LEN);
	return pattern_differs(win, LEN, 1, 0) != -1;
}

static int child_unmaps(void)
{
	touch(win, LEN);
	return munmap(win + PAGE, MIB2) != 0;
}

static int child_killed(void)
{
	touch(win, LEN);
	raise(SIGKILL);
	return 0;
}

static void children(void)
{
	H_EQ(child_did(child_touches), 0);
	H_EQ(child_did(child_unmaps), 0);
	H_EQ(child_did(child_killed), SIGKILL);
	H_EQ(child_did(child_touches), 0);
}
TRAP(children)

/* Both have it mapped while the reset comes; the child goes on afterwards. */
static void reset_beside_child(void)
{
	int told[2], go[2], status;
	char c = 0;
	pid_t pid;

	H_EQ(pipe(told) | pipe(go), 0);
	pid = fork();
	if (!pid) {
		touch(win, LEN);
		write(told[1], &c, 1);
		read(go[0], &c, 1);
		_exit(child_touches());
	}
	H_EQ(read(told[0], &c, 1), 1);
	H_EQ(munmap(win + PAGE, PAGE), 0);
	H_EQ(dev_reset(&d), 0);
	touch(win + MIB2, MIB2);
	write(go[1], &c, 1);
	H_EQ(waitpid(pid, &status, 0), pid);
	H_EQ(status, 0);
}
TRAP(reset_beside_child)

/* The mapping's only owner dies of SIGKILL, the device's fd being the parent's. */
static void owner_killed(void)
{
	long long touched;
	int status;
	pid_t pid;

	open_all();
	pid = fork();
	if (!pid) {
		win = dev_map(&d, window.mmap_offset, LEN);
		touch(win, LEN);
		mlock(win, LEN);
		direct_io(win);
		raise(SIGKILL);
	}
	H_EQ(waitpid(pid, &status, 0), pid);
	H_EQ(status, SIGKILL);
	touched = dev_count("target", "touched_folios");
	H_CHECK(dev_has_pmd() ? touched == LEN / MIB2 : touched > (long long)(LEN / STRIDE));
	sound();
	end_all();
}

/* A core dump leaves the window out: reading registers has side effects. */
static void core_dump(void)
{
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	char pattern[128];
	long long pmd;
	int status;
	pid_t pid;

	H_EQ(h_read("/proc/sys/kernel/core_pattern", pattern, sizeof(pattern)), 0);
	H_EQ(h_write("/proc/sys/kernel/core_pattern", "/tmp/core"), 0);
	pid = fork();
	if (!pid) {
		/* All kinds of memory, shared and mapped from devices too. */
		h_write("/proc/self/coredump_filter", "0x1ff");
		setrlimit(RLIMIT_CORE, &all);
		abort();
	}
	pmd = dev_count("target", "faults_pmd") + dev_count("target", "faults_pte");
	H_EQ(waitpid(pid, &status, 0), pid);
	h_write("/proc/sys/kernel/core_pattern", pattern);
	H_EQ(status & 0x7f, SIGABRT);
	H_CHECK(WCOREDUMP(status));
	H_EQ(dev_count("target", "faults_pmd") + dev_count("target", "faults_pte"), pmd);
	unlink("/tmp/core");
}
TRAP(core_dump)

/* Watchers */

static void soft_dirty(void)
{
	for (int i = 0; i < 2; i++) {
		H_EQ(h_write("/proc/self/clear_refs", "4"), 0);
		*(volatile char *)win = 1;
		touch(win, LEN);
	}
	H_EQ(h_write("/proc/self/clear_refs", "4"), 0);
	H_EQ(munmap(win + MIB2 + PAGE, PAGE), 0);
	touch(win + 2 * MIB2, MIB2);
}
TRAP(soft_dirty)

static void read_all(const char *path)
{
	char buf[4096];
	int fd = open(path, O_RDONLY);

	while (fd >= 0 && read(fd, buf, sizeof(buf)) > 0)
		;
	close(fd);
}

static void watched(void)
{
	static const char *const kinds[] = { "1", "2", "3", "4", "5" };
	unsigned char vec[LEN / PAGE];
	uint64_t pagemap[64];
	int fd = open("/proc/self/pagemap", O_RDONLY);

	H_EQ(pread(fd, pagemap, sizeof(pagemap), (uintptr_t)win / PAGE * 8), sizeof(pagemap));
	mincore(win, LEN, vec);
	read_all("/proc/self/smaps");
	read_all("/proc/self/numa_maps");
	for (int i = 0; i < 5; i++)
		H_EQ(h_write("/proc/self/clear_refs", kinds[i]), 0);
	touch(win, LEN);
}
TRAP(watched)

#ifndef UFFD_FEATURE_WP_ASYNC
#define UFFD_FEATURE_WP_ASYNC (1 << 15)
#endif

/*
 * userfaultfd may not have the window: not even for the asynchronous kind of
 * write protection, which is allowed on any memory that is not special.
 */
static void user_faults(void)
{
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_WP_ASYNC };
	struct uffdio_register reg = { .range = { (uintptr_t)win, LEN } };
	int uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	H_CHECK(uffd >= 0);
	H_EQ(ioctl(uffd, UFFDIO_API, &api), 0);
	for (int mode = 1; mode < 16; mode++) {
		reg.mode = mode;
		H_ERRNO(ioctl(uffd, UFFDIO_REGISTER, &reg), EINVAL);
	}
	touch(win, LEN);
	close(uffd);
}
TRAP(user_faults)

/*
 * Callers of get_user_pages() that may not have such pages: each is refused, and
 * what it had taken before it saw that is given back.
 */
static void wrong_guests(void)
{
	char *ram = aligned_alloc(PAGE, MIB2);
	struct iovec remote = { win + MIB2 / 2, MIB2 }, local = { ram, MIB2 };
	int mem = open("/proc/self/mem", O_RDWR), tube[2];

	H_EQ(pipe(tube), 0);
	H_CHECK(vmsplice(tube[1], &remote, 1, SPLICE_F_NONBLOCK) < 0);
	H_CHECK(process_vm_readv(getpid(), &local, 1, &remote, 1, 0) < 0);
	H_CHECK(process_vm_writev(getpid(), &local, 1, &remote, 1, 0) < 0);
	H_CHECK(pread(mem, ram, PAGE, (uintptr_t)win) < 0);
	H_CHECK(pwrite(mem, ram, PAGE, (uintptr_t)win + PAGE) < 0);
	free(ram);
}
TRAP(wrong_guests)

static const struct h_case cases[] = {
	BOTH("locked, unlocked, unmapped while locked", lock_and_unlock),
	{ "mapped after mlockall(MCL_FUTURE)", lock_future },
	{ "mapped after mlockall(MCL_FUTURE | MCL_ONFAULT)", lock_future_on_fault },
	BOTH("children touch, unmap, exit and are killed", children),
	BOTH("a reset while parent and child have it mapped", reset_beside_child),
	{ "its only owner is killed", owner_killed },
	BOTH("a core dump leaves it out", core_dump),
	BOTH("soft-dirty tracking", soft_dirty),
	BOTH("looked at through /proc", watched),
	BOTH("userfaultfd cannot have it", user_faults),
	BOTH("those who may not have its pages", wrong_guests),
	{ "unbinding ends at once", unbind },
	{ }
};

int main(int argc, char **argv)
{
	return trap_main(argc, argv, cases);
}
