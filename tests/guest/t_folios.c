// SPDX-License-Identifier: MIT
/*
 * Folio traps: everything that memory management does to a mapping, done to one
 * of a window.
 *
 * Theory of operation.  The driver knows a folio to be idle when its reference
 * count is back at one, so a reference that any path of the kernel leaves behind
 * shows at the next VFIO_DEVICE_RESET: it is refused with EBUSY after
 * drain_timeout_ms, which is set to 3 seconds here.  A reference too few shows
 * as a warning or as a bad page in the kernel's log.  So each case is: map a
 * window, touch it, spring the trap, and then ask whether the driver is sound:
 *
 *  - nothing pinned; the reset is granted; nothing is touched after it;
 *  - what the trap has left mapped faults in again and shows the right bytes;
 *  - a fresh mapping takes O_DIRECT in both directions, and another reset.
 *
 * Most traps are sprung twice: on 2 MiB entries, where they must split them, and
 * on 4 KiB entries of the same folios (at an address where no 2 MiB entry fits).
 * The last case unbinds the driver, which waits for every count without a bound.
 *
 * Guards whose removal must make a case fail:
 *   no VM_MIXEDMAP	"a piece is unmapped, 2 MiB entries", and all that split
 *   VM_DONTEXPAND	"mremap cannot grow it"
 *   VM_HUGEPAGE	"the policy 'madvise' means 2 MiB entries"
 *   folio_unlock	every case: direct I/O waits for the folio's lock
 *   set_bit(touched)	every case: a reset would wait for folios it does not zap
 */
#define _GNU_SOURCE
#include "dev.h"
#include "harness.h"
#include "pattern.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB2 DEV_MIB2
#define PAGE ((size_t)4096)
#define AT MIB2
#define LEN (4 * MIB2)
#define STRIDE (16 * PAGE)
#define IO (3 * MIB2 / 2)
#define THP "/sys/kernel/mm/transparent_hugepage/enabled"

static struct dev d;
static struct p2p_vfio_window window;
static char *win, *raw;
static int disk;

/* What a trap has left mapped: an address and its offset in the window. */
static char *left;
static size_t left_at;

/* The plot: set the scene, spring the trap, ask for the consequences */

static void touch(char *from, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += STRIDE)
		*(volatile char *)(from + i) = *(volatile char *)(from + i);
}

/* Touches each STRIDE of the window; the order of the entries must be the one wanted. */
static void touch_all(bool by_pte)
{
	long long pmd = dev_count("target", "faults_pmd");
	long long pte = dev_count("target", "faults_pte");

	touch(win, LEN);
	H_EQ(dev_count("target", "faults_pmd") - pmd, by_pte ? 0 : LEN / MIB2);
	H_EQ(dev_count("target", "faults_pte") - pte, by_pte ? LEN / STRIDE : 0);
	H_EQ(dev_count("target", "touched_folios"), LEN / MIB2);
}

static void open_all(void)
{
	disk = open(h_disk("raw"), O_RDWR | O_DIRECT);
	H_CHECK(disk >= 0);
	H_EQ(dev_open(&d, "target"), 0);
	H_EQ(dev_window_set(&d, dev_bar(&d), AT, LEN, 0, &window), 0);
	raw = dev_map_raw(&d, dev_bar(&d), AT, LEN);
	H_CHECK(raw);
	pattern_fill(raw, LEN, 1, 0);
}

/* File to window and back to another place of the file, both looked at. */
static void direct_io(char *map)
{
	char *ram = aligned_alloc(PAGE, IO);

	pattern_fill(ram, IO, 2, 0);
	H_EQ(pwrite(disk, ram, IO, 0), IO);
	H_EQ(pread(disk, map + MIB2 / 2, IO, 0), IO);
	H_EQ(pattern_differs(raw + MIB2 / 2, IO, 2, 0), -1);
	pattern_fill(raw, LEN, 3, 0);
	H_EQ(pwrite(disk, map + MIB2 / 2, IO, IO), IO);
	H_EQ(pread(disk, ram, IO, IO), IO);
	H_EQ(pattern_differs(ram, IO, 3, MIB2 / 2 / 8), -1);
	free(ram);
}

static void reset_is_granted(void)
{
	H_EQ(dev_count("target", "pinned_folios"), 0);
	H_EQ(dev_reset(&d), 0);
	H_EQ(dev_count("target", "touched_folios"), 0);
	H_EQ(dev_count("target", "drain_timeouts"), 0);
}

static void sound(void)
{
	char *fresh;

	reset_is_granted();
	if (left && !h_failed()) {
		pattern_fill(raw, LEN, 4, 0);
		H_EQ(pattern_differs(left, PAGE, 4, left_at / 8), -1);
		*(volatile char *)left = 1;
	}
	fresh = dev_map(&d, window.mmap_offset, LEN);
	H_CHECK(fresh);
	direct_io(fresh);
	reset_is_granted();
}

/* What a trap has moved away is unmapped with all else: the case's last act. */
static void end(char *moved, size_t bytes)
{
	if (moved)
		munmap(moved, bytes);
	close(disk);
	dev_close(&d);
	dev_check_rest("target");
}

static char *moved;
static size_t moved_bytes;

static void trap(void (*spring)(void), bool by_pte)
{
	open_all();
	win = dev_map_skewed(&d, window.mmap_offset, LEN, by_pte ? PAGE : 0);
	H_CHECK(win);
	touch_all(by_pte);
	left = win;
	if (!h_failed())
		spring();
	if (!h_failed())
		sound();
	if (!h_failed())
		end(moved, moved_bytes);
}

#define TRAP(fn) \
	static void fn##_2m(void) { trap(fn, false); } \
	static void fn##_4k(void) { trap(fn, true); }

/* Pieces */

static void unmap_piece(void)
{
	H_EQ(munmap(win + MIB2 + 7 * PAGE, PAGE), 0);
}
TRAP(unmap_piece)

static void unmap_ends(void)
{
	H_EQ(munmap(win, MIB2 / 2), 0);
	H_EQ(munmap(win + LEN - MIB2 / 2, MIB2 / 2), 0);
	left = win + MIB2 / 2;
	left_at = MIB2 / 2;
}
TRAP(unmap_ends)

static void unmap_across(void)
{
	H_EQ(munmap(win + MIB2 / 2, MIB2 + PAGE), 0);
	H_EQ(munmap(win + 3 * MIB2 - PAGE, 2 * PAGE), 0);
	left_at = 2 * MIB2;
	left = win + left_at;
}
TRAP(unmap_across)

/* Page by page, the last piece of a folio last. */
static void unmap_crumbs(void)
{
	for (size_t at = 0; at < MIB2; at += 2 * PAGE)
		H_EQ(munmap(win + at, PAGE), 0);
	for (size_t at = PAGE; at < MIB2; at += 2 * PAGE)
		H_EQ(munmap(win + at, PAGE), 0);
	left_at = MIB2;
	left = win + left_at;
}
TRAP(unmap_crumbs)

static void map_over(void)
{
	char *p = mmap(win + MIB2 + PAGE, MIB2, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	H_CHECK(p != MAP_FAILED);
	memset(p, 1, MIB2);
	/* And with itself, elsewhere in the window. */
	p = mmap(win, MIB2, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, d.fd, window.mmap_offset + 2 * MIB2);
	H_CHECK(p != MAP_FAILED);
	left_at = 2 * MIB2;
}
TRAP(map_over)

/* Protection */

static void protect_piece(void)
{
	H_EQ(mprotect(win + PAGE, PAGE, PROT_NONE), 0);
	H_EQ(mprotect(win + MIB2 + PAGE, PAGE, PROT_READ), 0);
	touch(win + 2 * MIB2, MIB2);
	*(volatile char *)win = 1;
}
TRAP(protect_piece)

static void protect_to_and_fro(void)
{
	for (int i = 0; i < 3; i++) {
		H_EQ(mprotect(win, LEN, PROT_READ), 0);
		*(volatile char *)(win + MIB2);
		H_EQ(mprotect(win, LEN, PROT_READ | PROT_WRITE), 0);
		touch(win, LEN);
		H_EQ(mprotect(win, LEN, PROT_NONE), 0);
		H_EQ(mprotect(win, LEN, PROT_READ | PROT_WRITE), 0);
		touch(win, LEN);
	}
}
TRAP(protect_to_and_fro)

/* mremap */

static void shrink(void)
{
	H_CHECK(mremap(win, LEN, LEN - MIB2 / 2, 0) == win);
	H_CHECK(mremap(win, LEN - MIB2 / 2, MIB2 + PAGE, 0) == win);
}
TRAP(shrink)

/* To an address skew bytes above a multiple of 2 MiB. */
static void move_by(size_t skew)
{
	char *hole = mmap(NULL, LEN + 2 * MIB2, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *to = (char *)(((uintptr_t)hole + MIB2 - 1) & ~(MIB2 - 1)) + skew;

	H_CHECK(mremap(win, LEN, LEN, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to);
	moved = left = to;
	moved_bytes = LEN;
	H_EQ(pattern_differs(moved, LEN, 1, 0), -1);
	touch(moved, LEN);
}

static void move_aligned(void)
{
	move_by(0);
}
TRAP(move_aligned)

static void move_unaligned(void)
{
	move_by(3 * PAGE);
}
TRAP(move_unaligned)

static void move_piece(void)
{
	char *to = mmap(NULL, MIB2, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	H_CHECK(mremap(win + MIB2 / 2, MIB2, MIB2, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to);
	moved = left = to;
	moved_bytes = MIB2;
	left_at = MIB2 / 2;
	H_EQ(pattern_differs(to, MIB2, 1, MIB2 / 2 / 8), -1);
}
TRAP(move_piece)

static void no_growth(void)
{
	H_ERRNO((long)mremap(win, LEN, LEN + PAGE, MREMAP_MAYMOVE), EFAULT);
	H_ERRNO((long)mremap(win, MIB2, 2 * MIB2, MREMAP_MAYMOVE), EFAULT);
	/* A copy of a shared mapping, and one that leaves the old in place. */
	H_CHECK(mremap(win, 0, LEN, MREMAP_MAYMOVE) == MAP_FAILED);
	H_CHECK(mremap(win, LEN, LEN, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL) == MAP_FAILED);
}
TRAP(no_growth)

static void reorder(void)
{
	/* The second 2 MiB show the fourth; then the first 64 KiB the last. */
	unsigned long pgoff = window.mmap_offset / PAGE;

	H_EQ(syscall(SYS_remap_file_pages, win + MIB2, MIB2, 0, pgoff + 3 * 512, 0), 0);
	H_EQ(pattern_differs(win + MIB2, MIB2, 1, 3 * MIB2 / 8), -1);
	H_EQ(syscall(SYS_remap_file_pages, win, STRIDE, 0, pgoff + (LEN - STRIDE) / PAGE, 0), 0);
	H_EQ(pattern_differs(win, STRIDE, 1, (LEN - STRIDE) / 8), -1);
	left_at = LEN - STRIDE;
}
TRAP(reorder)

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
	end(NULL, 0);
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
	H_EQ(touched, LEN / MIB2);
	sound();
	end(NULL, 0);
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

/* Huge page policy */

static void set_policy(const char *policy, void (*run)(void))
{
	char before[64], *word;

	H_EQ(h_read(THP, before, sizeof(before)), 0);
	word = strchr(before, '[') + 1;
	*strchr(word, ']') = 0;
	H_EQ(h_write(THP, policy), 0);
	run();
	h_write(THP, word);
}

static void expect_2m(void)
{
	open_all();
	win = left = dev_map(&d, window.mmap_offset, LEN);
	H_CHECK(win);
	touch_all(false);
	if (h_failed())
		return;
	sound();
	end(NULL, 0);
}

/*
 * The policy is about memory that could be had in small pages as well.  Here a
 * 4 KiB entry where a 2 MiB one fits would race with one made by another thread.
 */
static void policy_never(void)
{
	set_policy("never", expect_2m);
}

static void policy_madvise(void)
{
	set_policy("madvise", expect_2m);
}

static void policy_of_process(void)
{
	H_EQ(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0), 0);
	expect_2m();
}

/* The policy changes under a mapping that has entries of both sizes. */
static void policy_changes(void)
{
	H_EQ(madvise(win + MIB2, MIB2, MADV_NOHUGEPAGE), 0);
	H_EQ(madvise(win, LEN, MADV_DONTNEED), 0);
	touch(win, LEN);
	H_EQ(madvise(win, LEN, MADV_HUGEPAGE), 0);
	touch(win, LEN);
	H_EQ(madvise(win + MIB2 / 2, 2 * MIB2, MADV_NOHUGEPAGE), 0);
	touch(win, LEN);
}
TRAP(policy_changes)

/* Addresses */

static void skewed(size_t skew)
{
	long long pmd;

	open_all();
	win = left = dev_map_skewed(&d, window.mmap_offset, LEN, skew);
	H_CHECK(win);
	pmd = dev_count("target", "faults_pmd");
	touch(win, LEN);
	H_EQ(dev_count("target", "faults_pmd"), pmd);
	direct_io(win);
	H_EQ(munmap(win + MIB2 - PAGE, 2 * PAGE), 0);
	sound();
	end(NULL, 0);
}

static void skewed_by_a_page(void)
{
	skewed(PAGE);
}

static void skewed_by_half(void)
{
	skewed(MIB2 / 2);
}

/* Many mappings of one folio, of either entry size, going in another order. */
static void many_mappings(void)
{
	char *map[24];

	for (int i = 0; i < 24; i++) {
		map[i] = dev_map_skewed(&d, window.mmap_offset, MIB2 + PAGE, i % 3 ? 0 : i * PAGE);
		H_CHECK(map[i]);
		touch(map[i], MIB2 + PAGE);
	}
	H_EQ(dev_count("target", "touched_folios"), LEN / MIB2);
	H_EQ(dev_reset(&d), 0);
	for (int i = 0; i < 24; i++)
		touch(map[i], MIB2 + PAGE);
	for (int i = 0; i < 24; i += 2)
		dev_unmap(&d, map[i]);
}
TRAP(many_mappings)

/* Advice */

static void drop(void)
{
	H_EQ(madvise(win + PAGE, PAGE, MADV_DONTNEED), 0);
	H_EQ(madvise(win + MIB2 + PAGE, MIB2, MADV_DONTNEED), 0);
	touch(win, LEN);
	H_EQ(madvise(win, LEN, MADV_DONTNEED), 0);
	touch(win, LEN);
	H_EQ(madvise(win, LEN, MADV_DONTNEED), 0);
}
TRAP(drop)

/*
 * All advice there is, to pieces and to the whole.  Some is refused, which is
 * as good; none may leave a reference.  (Poisoning, 100 and 101, is no advice.)
 */
static void all_advice(void)
{
	for (int advice = 0; advice <= 103; advice++) {
		/* Not to the children: then there would be nothing to test. */
		if ((advice > 25 && advice < 102) || advice == MADV_DONTFORK)
			continue;
		madvise(win + MIB2 + 3 * PAGE, PAGE, advice);
		madvise(win + MIB2 / 2, MIB2, advice);
		madvise(win, LEN, advice);
	}
	/* The last two set up guards and remove them, where that is allowed. */
	madvise(win, LEN, 103);
	touch(win, LEN);
}
TRAP(all_advice)

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

static void unbind(void)
{
	H_CHECK(dev_unbind("target", 5));
}

#define BOTH(name, fn) { name ", 2 MiB entries", fn##_2m }, { name ", 4 KiB entries", fn##_4k }

static const struct h_case cases[] = {
	BOTH("a piece is unmapped", unmap_piece),
	BOTH("both ends are unmapped", unmap_ends),
	BOTH("unmapped across folios", unmap_across),
	BOTH("a folio is unmapped page by page", unmap_crumbs),
	BOTH("other mappings are put over it", map_over),
	BOTH("a piece is protected", protect_piece),
	BOTH("all is protected, to and fro", protect_to_and_fro),
	BOTH("mremap shrinks it", shrink),
	BOTH("mremap moves it to a 2 MiB boundary", move_aligned),
	BOTH("mremap moves it to an odd place", move_unaligned),
	BOTH("mremap moves a piece", move_piece),
	BOTH("mremap cannot grow it", no_growth),
	BOTH("remap_file_pages reorders it", reorder),
	BOTH("locked, unlocked, unmapped while locked", lock_and_unlock),
	{ "mapped after mlockall(MCL_FUTURE)", lock_future },
	{ "mapped after mlockall(MCL_FUTURE | MCL_ONFAULT)", lock_future_on_fault },
	BOTH("children touch, unmap, exit and are killed", children),
	BOTH("a reset while parent and child have it mapped", reset_beside_child),
	{ "its only owner is killed", owner_killed },
	BOTH("a core dump leaves it out", core_dump),
	{ "the policy 'never' leaves 2 MiB entries alone", policy_never },
	{ "the policy 'madvise' leaves 2 MiB entries alone", policy_madvise },
	{ "huge pages are switched off for the process", policy_of_process },
	BOTH("huge pages are switched off and on for parts", policy_changes),
	{ "mapped at an odd multiple of 4 KiB", skewed_by_a_page },
	{ "mapped at an odd multiple of 1 MiB", skewed_by_half },
	BOTH("many mappings of the same folios", many_mappings),
	BOTH("entries are dropped (MADV_DONTNEED)", drop),
	BOTH("all advice there is", all_advice),
	BOTH("soft-dirty tracking", soft_dirty),
	BOTH("looked at through /proc", watched),
	BOTH("userfaultfd cannot have it", user_faults),
	BOTH("those who may not have its pages", wrong_guests),
	{ "unbinding ends at once", unbind },
	{ }
};

int main(int argc, char **argv)
{
	dev_bind("target", DEV_P2P);
	dev_param("drain_timeout_ms", "3000");
	return h_main(argc, argv, cases);
}
