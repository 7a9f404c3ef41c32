// SPDX-License-Identifier: MIT
/*
 * A reset that waits for its own thread (cycle e of docs/locking.md).
 *
 * NVMe passthrough by io_uring gives its pin back in task work of the thread that
 * submitted it.  If that very thread asks for the reset, and waits for the pin:
 *
 *  - on an ordinary ring the task work ends the wait, is run on the way out, and
 *    the call is made again by the kernel.  The caller sees a reset that succeeds,
 *    no EINTR;
 *  - on a ring with IORING_SETUP_DEFER_TASKRUN it runs only when the thread enters
 *    the ring, which it cannot while it waits.  The reset must end with EBUSY
 *    after its bound, or with EINTR on a signal, the device untouched, and succeed
 *    once the completion has been reaped.
 *
 * And the bound is a bound: task work that comes again and again ends the wait
 * each time (here a timer of the ring), and the call is made again each time; a
 * pin that does not go must be EBUSY all the same when its time has come.  So must
 * it be under signals whose handler says SA_RESTART.
 *
 * A driver that waits uninterruptibly fails the first, with EBUSY.
 */
#define _GNU_SOURCE
#include "dev.h"
#include "harness.h"
#include "revoke_util.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/nvme_ioctl.h>
#include <linux/time_types.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#define WINDOW (4 * DEV_MIB2)
#define SEED 11
#define TIMEOUT_MS 2000
#define ENTRIES 8
#define COMPLETIONS 1024	/* a timer stops when there is no room */
#ifndef IORING_TIMEOUT_MULTISHOT
#define IORING_TIMEOUT_MULTISHOT (1U << 6)	/* Linux 6.4 */
#endif

static struct ru_target t;

/* A ring with room for NVMe commands. */
static struct ring {
	int fd, disk;
	unsigned int *sq_tail, *sq_mask, *sq_array, *cq_head, *cq_tail, *cq_mask;
	char *sqes, *cqes;	/* 128 and 32 bytes each */
} r;

static int ring_open(unsigned int flags)
{
	struct io_uring_params p = {
		.flags = flags | IORING_SETUP_SQE128 | IORING_SETUP_CQE32 | IORING_SETUP_CQSIZE,
		.cq_entries = COMPLETIONS,
	};
	char *at;

	r.fd = syscall(SYS_io_uring_setup, ENTRIES, &p);
	if (r.fd < 0)
		return -errno;
	/* Both queues are in one mapping. */
	at = mmap(NULL, p.cq_off.cqes + p.cq_entries * 32ul + p.sq_entries * 4ul,
		  PROT_READ | PROT_WRITE, MAP_SHARED, r.fd, IORING_OFF_SQ_RING);
	r.sqes = mmap(NULL, p.sq_entries * 128ul, PROT_READ | PROT_WRITE, MAP_SHARED,
		      r.fd, IORING_OFF_SQES);
	if (at == MAP_FAILED || r.sqes == MAP_FAILED)
		return -errno;
	r.sq_tail = (unsigned int *)(at + p.sq_off.tail);
	r.sq_mask = (unsigned int *)(at + p.sq_off.ring_mask);
	r.sq_array = (unsigned int *)(at + p.sq_off.array);
	r.cq_head = (unsigned int *)(at + p.cq_off.head);
	r.cq_tail = (unsigned int *)(at + p.cq_off.tail);
	r.cq_mask = (unsigned int *)(at + p.cq_off.ring_mask);
	r.cqes = at + p.cq_off.cqes;
	return 0;
}

static struct io_uring_sqe *next_sqe(void)
{
	unsigned int slot = *r.sq_tail & *r.sq_mask;
	struct io_uring_sqe *sqe = (struct io_uring_sqe *)(r.sqes + slot * 128ul);

	memset(sqe, 0, 128);
	r.sq_array[slot] = slot;
	return sqe;
}

static int submit(void)
{
	__atomic_store_n(r.sq_tail, *r.sq_tail + 1, __ATOMIC_RELEASE);
	return syscall(SYS_io_uring_enter, r.fd, 1, 0, 0, NULL, 0) == 1 ? 0 : -errno;
}

static bool has_completed(void)
{
	return __atomic_load_n(r.cq_tail, __ATOMIC_ACQUIRE) != *r.cq_head;
}

/* The result of the next completion; the ring is entered, and that runs task work. */
static int reap(void)
{
	struct io_uring_cqe *cqe = (struct io_uring_cqe *)(r.cqes + (*r.cq_head & *r.cq_mask) * 32ul);

	if (syscall(SYS_io_uring_enter, r.fd, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
		return -errno;
	if (!has_completed())
		return -EAGAIN;
	__atomic_store_n(r.cq_head, *r.cq_head + 1, __ATOMIC_RELEASE);
	return cqe->res;
}

/* /dev/nvme0n1 is a disk, /dev/ng0n1 takes commands for it. */
static int open_generic(const char *role)
{
	const char *disk = h_disk(role);
	char path[64];

	snprintf(path, sizeof(path), "/dev/ng%s", disk + strlen("/dev/nvme"));
	return open(path, O_RDONLY | O_CLOEXEC);
}

static int block_shift(const char *role)
{
	char path[96];
	long long size;

	snprintf(path, sizeof(path), "/sys/block/%s/queue/logical_block_size", h_disk(role) + strlen("/dev/"));
	size = h_read_int(path);
	return size > 0 ? __builtin_ctzll(size) : 9;
}

/* A page from the disk's first blocks into the window. */
static int read_command(const char *role, size_t at)
{
	struct io_uring_sqe *sqe = next_sqe();
	struct nvme_uring_cmd *cmd = (struct nvme_uring_cmd *)sqe->cmd;
	int nsid;

	r.disk = open_generic(role);
	nsid = ioctl(r.disk, NVME_IOCTL_ID);
	if (r.disk < 0 || nsid < 0)
		return -errno;
	sqe->opcode = IORING_OP_URING_CMD;
	sqe->fd = r.disk;
	sqe->cmd_op = NVME_URING_CMD_IO;
	cmd->opcode = 2;	/* read */
	cmd->nsid = nsid;
	cmd->addr = (uintptr_t)(t.win + at);
	cmd->data_len = RU_PAGE;
	cmd->cdw12 = (RU_PAGE >> block_shift(role)) - 1;
	return submit();
}

static void set_up(void)
{
	char ms[16];

	snprintf(ms, sizeof(ms), "%d", TIMEOUT_MS);
	H_EQ(dev_param("drain_timeout_ms", ms), 0);
	H_EQ(ru_target_open(&t, "target", WINDOW), 0);
}

static void clean_up(void)
{
	dev_close(&t.d);
	dev_check_rest("target");
}

/* Deferred task work */

static void fill_disk(void)
{
	static char page[RU_PAGE] __attribute__((aligned(RU_PAGE)));
	int disk = open(h_disk("raw"), O_RDWR | O_DIRECT | O_CLOEXEC);

	ru_fill(page, sizeof(page), SEED);
	H_EQ(pwrite(disk, page, sizeof(page), 0), sizeof(page));
	close(disk);
}

/* The device has done it, and nobody has looked at the completion. */
static void done_not_reaped(void)
{
	fill_disk();
	set_up();
	H_EQ(ring_open(IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SINGLE_ISSUER), 0);
	ru_fill(t.raw, RU_PAGE, SEED + 1);
	H_EQ(read_command("raw", 0), 0);
	H_CHECK(h_wait_until(ru_differs(t.raw, RU_PAGE, SEED) < 0, 5000));
	h_sleep_ms(100);
	H_EQ(dev_count("target", "pinned_folios"), 1);
	H_CHECK(!has_completed());
}

static atomic_int handled;

static void on_signal(int number)
{
	(void)number;
	atomic_fetch_add(&handled, 1);
}

static void alarms(int flags, unsigned int after_ms, unsigned int every_ms)
{
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = flags };
	struct itimerval when = {
		.it_value = { after_ms / 1000, after_ms % 1000 * 1000 },
		.it_interval = { every_ms / 1000, every_ms % 1000 * 1000 },
	};

	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &when, NULL);
}

static void is_refused(int want)
{
	struct p2p_vfio_state before, now;
	uint64_t begin = h_now_ns();

	H_EQ(dev_state(&t.d, &before), 0);
	H_EQ(dev_reset(&t.d), want);
	h_diag("refused after %llu ms", (unsigned long long)(h_now_ns() - begin) / 1000000);
	H_CHECK(h_now_ns() - begin < 3 * TIMEOUT_MS * 1000000ull);
	H_EQ(dev_state(&t.d, &now), 0);
	H_EQ(now.state, P2P_VFIO_STATE_LIVE);
	H_EQ(now.generation, before.generation);
	H_EQ(now.pinned_folios, 1);
}

static void deferred(void)
{
	h_expect_log("p2p: 1 folios still pinned");
	done_not_reaped();
	is_refused(-EBUSY);
	alarms(0, 200, 0);
	is_refused(-EINTR);
	H_EQ(atomic_load(&handled), 1);
	H_EQ(ru_differs(t.raw, RU_PAGE, SEED), -1);
	H_EQ(reap(), 0);
	H_CHECK(h_wait_until(!dev_count("target", "pinned_folios"), 2000));
	H_EQ(dev_reset(&t.d), 0);
	H_CHECK(ru_works(&t));
	clean_up();
}

/* Another thread of the process resets, the submitter sleeps elsewhere: the same. */
static void deferred_other_thread(void)
{
	struct ru_call reset;

	h_expect_log("p2p: 1 folios still pinned");
	done_not_reaped();
	ru_call(&reset, ru_reset, &t.d);
	H_CHECK(ru_join(&reset, 3 * TIMEOUT_MS));
	H_EQ(reset.ret, -EBUSY);
	ru_call(&reset, ru_reset, &t.d);
	H_CHECK(h_wait_until(dev_state_is("target", "draining"), 5000));
	H_EQ(reap(), 0);
	H_CHECK(ru_join(&reset, 3 * TIMEOUT_MS));
	H_EQ(reset.ret, 0);
	clean_up();
}

/* Task work that runs by itself */

/* The command takes 300 ms, so its task work comes while this thread waits. */
static void by_itself(unsigned int flags)
{
	struct p2p_vfio_state before, now;

	set_up();
	H_EQ(dev_param("drain_timeout_ms", "15000"), 0);
	H_EQ(ring_open(flags), 0);
	H_EQ(read_command("late", 0), 0);
	H_EQ(dev_state(&t.d, &before), 0);
	H_EQ(before.pinned_folios, 1);
	H_EQ(dev_reset(&t.d), 0);
	H_EQ(dev_state(&t.d, &now), 0);
	h_diag("%llu revocations for one reset",
	       (unsigned long long)(now.revokes[P2P_VFIO_CAUSE_RESET] - before.revokes[P2P_VFIO_CAUSE_RESET]));
	H_CHECK(has_completed());
	H_EQ(now.generation, before.generation + 1);
	H_EQ(now.drain_timeouts, before.drain_timeouts);
	H_EQ(reap(), 0);
	H_CHECK(ru_works(&t));
	clean_up();
}

static void ordinary(void)
{
	by_itself(0);
}

static void cooperative(void)
{
	by_itself(IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SINGLE_ISSUER);
}

/* The bound under interruptions */

static void hold_pin(struct ru_hold *h)
{
	*h = (struct ru_hold){ .first = { t.d.fd, t.cookie } };
	H_EQ(ru_hold_begin(h), 0);
}

/* Completions of a timer, one after the other, by task work of this thread. */
static int tick(unsigned int every_ms)
{
	static struct __kernel_timespec when;
	struct io_uring_sqe *sqe = next_sqe();

	when.tv_nsec = every_ms * 1000000ll;
	sqe->opcode = IORING_OP_TIMEOUT;
	sqe->fd = -1;
	sqe->addr = (uintptr_t)&when;
	sqe->len = 1;
	sqe->timeout_flags = IORING_TIMEOUT_MULTISHOT;
	return submit();
}

static void bounded_under_task_work(void)
{
	struct ru_hold h;

	h_expect_log("p2p: 1 folios still pinned");
	set_up();
	H_EQ(ring_open(0), 0);
	hold_pin(&h);
	H_EQ(tick(100), 0);
	is_refused(-EBUSY);
	close(r.fd);
	ru_hold_end(&h);
	H_EQ(dev_reset(&t.d), 0);
	clean_up();
}

static void bounded_under_restarts(void)
{
	struct ru_hold h;

	h_expect_log("p2p: 1 folios still pinned");
	set_up();
	hold_pin(&h);
	alarms(SA_RESTART, 100, 100);
	is_refused(-EBUSY);
	H_CHECK(atomic_load(&handled) > 3);
	alarms(SA_RESTART, 0, 0);
	ru_hold_end(&h);
	H_EQ(dev_reset(&t.d), 0);
	clean_up();
}

static const struct h_case cases[] = {
	{ "a completion that the resetting thread has yet to reap", deferred },
	{ "a completion that another thread has yet to reap", deferred_other_thread },
	{ "task work of the resetting thread, on an ordinary ring", ordinary },
	{ "task work of the resetting thread, on a cooperative ring", cooperative },
	{ "the bound holds under task work", bounded_under_task_work },
	{ "the bound holds under signals that restart", bounded_under_restarts },
	{ }
};

int main(int argc, char **argv)
{
	dev_bind("target", DEV_P2P);
	return h_main(argc, argv, cases);
}
