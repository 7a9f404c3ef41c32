// SPDX-License-Identifier: MIT
/*
 * A session of the stress test: open the devices, start everybody, and kill a
 * worker every now and then.
 */
#define _GNU_SOURCE
#include "harness.h"
#include "stress.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static unsigned long long seed;
static unsigned long session_nr;

/* Opening */

static int open_device(int i)
{
	struct st_dev *s = &st_devs[i];
	int first = i, err;

	for (int j = 0; j < i; j++)
		if (st_devs[j].set == s->set)
			first = j;
	if (first == i)
		return dev_open(&s->d, s->role);
	/* A group can be opened only once. */
	err = dev_open_beside(&s->d, &st_devs[first].d, s->role);
	s->d.group = st_devs[first].d.group;
	return err;
}

/* The last close may come a moment after the last process was reaped. */
static int open_patiently(int i)
{
	int err;

	h_wait_until((err = open_device(i)) != -EBUSY, 20000);
	return err;
}

static int register_windows(struct st_dev *s)
{
	static const uint64_t lengths[] = { ST_ARENAS_LENGTH, ST_SCRATCH_LENGTH, ST_CANARY_LENGTH };
	struct p2p_vfio_window w;
	uint64_t at = 0;

	for (int i = 0; i < ST_WINDOWS; at += lengths[i++]) {
		int err = dev_window_set(&s->d, s->bar, at, lengths[i], 0, &w);

		if (err)
			return err;
		s->cookie[i] = w.mmap_offset;
		s->wc[i] = dev_window_set(&s->d, s->bar, at, lengths[i], P2P_VFIO_WINDOW_WC, &w) ? 0 :
			   w.mmap_offset;
	}
	s->raw = dev_map_raw(&s->d, s->bar, at - ST_CANARY_LENGTH, ST_CANARY_LENGTH);
	return s->raw ? 0 : -errno;
}

static void find_abilities(struct st_dev *s)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };

	ioctl(s->d.fd, VFIO_DEVICE_GET_INFO, &info);
	s->can_reset = info.flags & VFIO_DEVICE_FLAGS_RESET;
	/* Of several functions none can be reset alone, whatever sysfs has. */
	s->can_sysfs = s->can_reset;
	s->pm = dev_capability(&s->d, PCI_CAP_ID_PM);
	s->devctl = dev_capability(&s->d, PCI_CAP_ID_EXP);
	if (s->devctl && !s->can_reset)
		s->devctl = 0;
	s->devctl += s->devctl ? PCI_EXP_DEVCTL : 0;
}

static void open_all(void)
{
	H_EQ(dev_param("drain_timeout_ms", ST_PATIENT), 0);
	for (int i = 0; i < st_n_devs; i++) {
		struct st_dev *s = &st_devs[i];

		H_EQ(open_patiently(i), 0);
		s->bar = dev_bar(&s->d);
		H_EQ(register_windows(s), 0);
		find_abilities(s);
	}
}

/* Processes */

static pid_t workers[ST_WORKERS];
static unsigned int incarnation;

static pid_t start(int slot, const char *name, uint64_t who, void (*run)(int slot, int n), int n)
{
	pid_t pid;

	atomic_store(&st->beats[slot].ns, h_now_ns());
	st->beats[slot].name = name;
	pid = fork();
	if (!pid) {
		st_seed(seed, session_nr, who);
		run(slot, n);
	}
	atomic_store(&st->beats[slot].pid, pid);
	return pid;
}

static int mail[2];

static void run_worker(int slot, int n)
{
	st_worker(slot, n, mail[n % 2]);
}

static void start_worker(int n)
{
	workers[n] = start(n, "worker", 1000 + incarnation++ * ST_WORKERS + n, run_worker, n);
}

static void start_all(bool disturbed)
{
	int slot = ST_WORKERS;

	for (int i = 0; i < ST_WORKERS; i++)
		start_worker(i);
	for (int i = 0; i < st_n_sets; i++) {
		start(slot++, "canary reader", 1 + i, st_canary_reader, i);
		start(slot++, "event maker", 11 + i, st_event_maker, i);
		if (disturbed)
			start(slot++, "disturber", 21 + i, st_disturber, i);
	}
}

static void look_at_death(int status)
{
	if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL)
		h_fail("a process was killed by SIG%s", sigabbrev_np(WTERMSIG(status)));
}

/* Whoever has died by himself is replaced. */
static void replace_dead(void)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		look_at_death(status);
		for (int i = 0; i < ST_WORKERS; i++)
			if (workers[i] == pid && !atomic_load(&st->stop))
				start_worker(i);
	}
}

static void kill_one(void)
{
	pid_t pid = workers[st_random(ST_WORKERS)];

	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	ST_COUNT(kills);
	for (int i = 0; i < ST_WORKERS; i++)
		if (workers[i] == pid)
			start_worker(i);
}

void st_session(uint64_t of_test, unsigned long nr, bool disturbed)
{
	int status;

	seed = of_test;
	session_nr = nr;
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	st_guard_set_up();
	st_seed(seed, session_nr, 0);
	open_all();
	if (!h_failed())
		st_canary_after_close();
	if (h_failed() || socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, mail))
		_exit(1);
	start_all(disturbed);
	atomic_store(&st->ready, 1);
	while (!atomic_load(&st->stop) && !h_failed()) {
		st_nap_us(20000 + st_random(150000));
		replace_dead();
		kill_one();
	}
	atomic_store(&st->stop, 1);
	while (waitpid(-1, &status, 0) > 0)
		look_at_death(status);
	_exit(0);
}
