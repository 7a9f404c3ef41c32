// SPDX-License-Identifier: MIT
/*
 * State, events, reset.
 *
 * Theory: a wake-up is lost if the gate opens between a look and the sleep.  The
 * fake device opens it at exactly that moment: right after it has answered a look
 * with "draining".  The waits have no time limit then, and an alarm turns a lost
 * wake-up into a death.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#include "check_error.h"
#include "fake.h"
#include "tree.h"

static struct vp2p_device *dev;
static struct vp2p_error err;

static void reset_fake(uint32_t state)
{
	fake_install();
	fake.state.state = state;
}

static void test_get(void)
{
	struct vp2p_state state;

	reset_fake(P2P_VFIO_STATE_QUIESCED);
	fake.state = (struct p2p_vfio_state){
		3, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, { 20, 21, 22, 23, 24, 25, 26, 27, 28, 29 },
		40, P2P_VFIO_CAUSE_CLOSE, P2P_VFIO_PROVIDER_DIFFERS
	};
	is_num(vp2p_get_state(dev, &state, &err), 0, "get");
	ok(state.state == VP2P_STATE_QUIESCED && state.windows == 2 &&
	   state.generation == 4 && state.pinned_folios == 5 &&
	   state.touched_folios == 6 && state.faults_pmd == 7 && state.faults_pte == 8 &&
	   state.faults_refused == 9 && state.faults_waited == 10 &&
	   state.drain_timeouts == 11 && state.drain_last_us == 12 &&
	   state.drain_max_us == 13, "every field in its place");
	ok(state.revokes[VP2P_CAUSE_RESET] == 20 &&
	   state.revokes[VP2P_CAUSE_SLEEP] == 29, "the causes, first and last");
	ok(state.revoke_us == 40 && state.revoke_cause == VP2P_CAUSE_CLOSE,
	   "the revocation that is under way");
	is_num(state.provider_reason, VP2P_PROVIDER_DIFFERS, "why the provider");
	fake.state.revoke_cause = P2P_VFIO_CAUSE_NONE;
	is_num(vp2p_get_state(dev, &state, &err), 0, "get");
	is_num(state.revoke_cause, VP2P_CAUSE_NONE, "and that there is none");
	fake.state_errno = ENODEV;
	is_error(vp2p_get_state(dev, &state, &err), ENODEV, &err, "a dead device");
}

static void open_after_second(int look)
{
	/* The first look is the quick one before any eventfd exists. */
	if (look != 2)
		return;
	fake.state.state = P2P_VFIO_STATE_LIVE;
	fake_signal();
}

static void open_after_first(int look)
{
	if (look == 1)
		fake.state.state = P2P_VFIO_STATE_LIVE;
}

static void open_at_fifth(int look)
{
	if (look == 5)
		fake.state.state = P2P_VFIO_STATE_LIVE;
}

static void spurious_then_open(int look)
{
	if (look == 4)
		fake.state.state = P2P_VFIO_STATE_LIVE;
	fake_signal();
}

static void waits(void (*after_look)(int), const char *name)
{
	int fds = open_fds();

	reset_fake(P2P_VFIO_STATE_DRAINING);
	fake.after_look = after_look;
	alarm(10);
	is_num(vp2p_wait_live(dev, -1, &err), 0, name);
	alarm(0);
	is_num(fake.eventfd, -1, "the eventfd is removed");
	is_num(open_fds(), fds, "... and closed");
}

static void test_wait(void)
{
	reset_fake(P2P_VFIO_STATE_LIVE);
	is_num(vp2p_wait_live(dev, 0, &err), 0, "a live device");
	is_num(fake.looks, 1, "costs one look");
	is_num(fake.events_added, 0, "... and no eventfd");
	is_error(vp2p_wait_live(dev, -77, &err), EINVAL, &err, "no such timeout");

	waits(open_after_first, "it opened before the eventfd was added");
	waits(open_after_second, "it opened between the look and the sleep");
	waits(spurious_then_open, "signals that mean nothing");

	reset_fake(P2P_VFIO_STATE_DRAINING);
	fake.events_errno = ENOSPC;
	fake.after_look = open_at_fifth;
	alarm(10);
	is_num(vp2p_wait_live(dev, -1, &err), 0, "no eventfd to be had: it looks again");
	alarm(0);
}

static void signal_once(int look)
{
	if (look == 2)
		fake_signal();
}

static void on_alarm(int signal)
{
	(void)signal;
}

static void test_wait_fails(void)
{
	struct sigaction act = { .sa_handler = on_alarm };
	struct itimerval soon = { { 0, 20000 }, { 0, 20000 } }, never = { { 0, 0 }, { 0, 0 } };

	reset_fake(P2P_VFIO_STATE_DRAINING);
	fake.state.pinned_folios = 3;
	is_error_text(vp2p_wait_live(dev, 30, &err), ETIMEDOUT, &err,
		      "0000:03:00.0: could not wait for the device: it is still draining "
		      "after 30 ms, 3 folios pinned by DMA (ETIMEDOUT).  Remedy: find what "
		      "resets it, or the I/O that does not end; or allow more time.",
		      "timeout");
	is_error(vp2p_wait_live(dev, 0, &err), ETIMEDOUT, &err, "timeout 0 only looks");
	reset_fake(P2P_VFIO_STATE_DRAINING);
	fake.after_look = signal_once;
	is_error(vp2p_wait_live(dev, 50, &err), ETIMEDOUT, &err, "one signal, no change");
	ok(fake.looks < 8, "... wakes it up once, not for ever");
	reset_fake(P2P_VFIO_STATE_GONE);
	is_error(vp2p_wait_live(dev, -1, &err), ENODEV, &err, "gone");

	reset_fake(P2P_VFIO_STATE_QUIESCED);
	sigaction(SIGALRM, &act, NULL);
	setitimer(ITIMER_REAL, &soon, NULL);
	is_error(vp2p_wait_live(dev, 5000, &err), EINTR, &err, "a signal");
	setitimer(ITIMER_REAL, &never, NULL);
	signal(SIGALRM, SIG_DFL);
	is_num(fake.eventfd, -1, "no eventfd left");
}

static void test_eventfd(void)
{
	int fd = -1, fds = open_fds();
	struct pollfd pfd;

	reset_fake(P2P_VFIO_STATE_LIVE);
	is_num(vp2p_eventfd(dev, &fd, &err), 0, "eventfd");
	pfd = (struct pollfd){ .fd = fd, .events = POLLIN };
	is_num(poll(&pfd, 1, 0), 0, "quiet at first");
	fake_signal();
	is_num(poll(&pfd, 1, 0), 1, "signalled");
	is_num(vp2p_eventfd_remove(dev, fd, &err), 0, "removed");
	is_num(open_fds(), fds, "closed");

	is_num(vp2p_eventfd(dev, &fd, &err), 0, "again");
	fake.events_errno = ENOENT;
	is_error(vp2p_eventfd_remove(dev, fd, &err), ENOENT, &err, "not added");
	close(fake.eventfd);
	is_num(open_fds(), fds, "closed all the same");
	fake.events_errno = ENOSPC;
	is_error(vp2p_eventfd(dev, &fd, &err), ENOSPC, &err, "too many");
	fake.events_errno = EIO;
	is_error(vp2p_eventfd(dev, &fd, &err), EIO, &err, "refused");
	is_num(open_fds(), fds, "nothing left open");
}

static void test_reset(void)
{
	reset_fake(P2P_VFIO_STATE_LIVE);
	is_num(vp2p_reset(dev, &err), 0, "reset");
	fake.reset_errno = EBUSY;
	fake.state.pinned_folios = 12;
	is_error(vp2p_reset(dev, &err), EBUSY, &err, "busy");
	has_str(err.cause, "12 folios are pinned", "... says how much");
	fake.reset_errno = EINTR;
	is_error(vp2p_reset(dev, &err), EINTR, &err, "interrupted");
	fake.reset_errno = EINVAL;
	is_error(vp2p_reset(dev, &err), EOPNOTSUPP, &err, "no reset");
	has_str(err.remedy, "vp2p_hot_reset()", "... says what else");
	fake.reset_errno = EIO;
	is_error(vp2p_reset(dev, &err), EIO, &err, "failed");
}

/* The one device of fake_device(), and the rest of its slot. */
static void affects(uint32_t second, uint32_t flags)
{
	reset_fake(P2P_VFIO_STATE_LIVE);
	fake.hot_flags = flags;
	fake.n_affected = 2;
	fake.affected[0] = (struct vfio_pci_dependent_device){
		.group_id = 7, .bus = 3, .devfn = 0 };
	fake.affected[1] = (struct vfio_pci_dependent_device){
		.group_id = second, .bus = 3, .devfn = 1 };
}

static void test_hot_reset(void)
{
	struct vp2p_device grouped = *dev;

	tree_add("/sys/bus/pci/devices/0000:03:00.0/iommu_group -> ../../iommu_groups/7\n"
		 "/sys/bus/pci/devices/0000:03:00.0/driver -> ../../drivers/p2p-vfio-pci\n"
		 "/sys/bus/pci/devices/0000:03:00.1/driver -> ../../drivers/vfio-pci\n");
	grouped.group_fd = 55;
	affects(7, 0);
	is_num(vp2p_hot_reset(&grouped, &err), 0, "hot reset of what our group owns");
	ok(fake.hot_resets == 1 && fake.hot_count == 1 && fake.hot_fd == 55,
	   "... with that group's fd");
	affects(8, 0);
	is_error_text(vp2p_hot_reset(&grouped, &err), EXDEV, &err,
		      "0000:03:00.0: could not hot reset the device: 0000:03:00.1 (driver "
		      "vfio-pci) would be reset with it, and is in another IOMMU group "
		      "(EXDEV).  Remedy: open it too, and call VFIO_DEVICE_PCI_HOT_RESET with "
		      "the fds of both groups (vp2p_group_fd()).", "another group's function");
	is_num(fake.hot_resets, 0, "... and nothing happened");
	affects(7, 0);
	is_error(vp2p_hot_reset(dev, &err), EOPNOTSUPP, &err, "an attached device");
	has_str(err.remedy, "with that fd", "... says what to do");

	affects(0, VFIO_PCI_HOT_RESET_FLAG_DEV_ID);
	is_num(vp2p_hot_reset(dev, &err), 0, "by character device, attached or not");
	ok(fake.hot_resets == 1 && fake.hot_count == 0, "... without a group");
	affects((uint32_t)VFIO_PCI_DEVID_NOT_OWNED, VFIO_PCI_HOT_RESET_FLAG_DEV_ID);
	is_error(vp2p_hot_reset(dev, &err), EXDEV, &err, "not of our iommufd");
	has_str(err.cause, "0000:03:00.1 (driver vfio-pci)", "... names it");

	affects(7, 0);
	fake.hot_reset_errno = EINVAL;
	is_error(vp2p_hot_reset(&grouped, &err), EINVAL, &err, "refused, nobody knows why");
	tree_add("/sys/bus/pci/devices/0000:03:00.1/driver -> ../../drivers/xhci_hcd\n");
	is_error(vp2p_hot_reset(&grouped, &err), EXDEV, &err, "refused, not all VFIO's");
	has_str(err.cause, "0000:03:00.1 (driver xhci_hcd)", "... names it");
	fake.hot_reset_errno = EBUSY;
	fake.state.pinned_folios = 12;
	is_error(vp2p_hot_reset(&grouped, &err), EBUSY, &err, "busy");
	has_str(err.cause, "12 folios", "... says how much");
	fake.hot_info_errno = ENODEV;
	is_error(vp2p_hot_reset(&grouped, &err), EOPNOTSUPP, &err, "no such reset");
	fake.hot_info_errno = EIO;
	is_error(vp2p_hot_reset(&grouped, &err), EIO, &err, "no answer");
}

static void test_peer(void)
{
	struct vp2p_peer_info info;

	reset_fake(P2P_VFIO_STATE_LIVE);
	is_num(vp2p_peer(dev, "1a:05.3", &info, &err), 0, "peer");
	ok(fake.peer.domain == 0 && fake.peer.bus == 0x1a && fake.peer.devfn == 0x2b,
	   "the address that the kernel gets");
	ok(info.route == VP2P_ROUTE_HOST_BRIDGE && info.distance == 4, "its answer");
	is_str(info.bdf, "0000:1a:05.3", "the address");
	is_str(info.remedy, "", "nothing to mend");
	fake.peer.route = P2P_VFIO_ROUTE_NONE;
	is_num(vp2p_peer(dev, "1a:05.3", &info, &err), 0, "no route is no error");
	ok(info.route == VP2P_ROUTE_NONE && info.distance == -1 && info.remedy[0],
	   "... but has a remedy");
	fake.peer_errno = ENODEV;
	is_error(vp2p_peer(dev, "1a:05.3", &info, &err), ENXIO, &err, "no such device");
	fake.peer_errno = EIO;
	is_error(vp2p_peer(dev, "1a:05.3", &info, &err), EIO, &err, "refused");
	is_error(vp2p_peer(dev, "1a", &info, &err), EINVAL, &err, "no address");
}

int main(void)
{
	tree_make("/sys/\n");
	fake_install();
	dev = fake_device();
	test_get();
	test_wait();
	test_wait_fails();
	test_eventfd();
	test_reset();
	test_hot_reset();
	test_peer();
	vp2p_close(dev);
	tree_remove();
	return TAP_DONE();
}
