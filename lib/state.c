// SPDX-License-Identifier: MIT
/* state.c - state, events */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

/* How often to look when no eventfd can be had. */
#define LOOK_EVERY_MS	20

_Static_assert((int)VP2P_STATE_CLOSED == (int)P2P_VFIO_STATE_CLOSED, "same states");
_Static_assert((int)VP2P_CAUSES == (int)P2P_VFIO_CAUSES, "same causes");
_Static_assert((int)VP2P_PROVIDER_OWN == (int)P2P_VFIO_PROVIDER_OWN, "same providers");
_Static_assert((int)VP2P_PROVIDER_ASKED == (int)P2P_VFIO_PROVIDER_ASKED, "same reasons");
_Static_assert((int)VP2P_CAUSE_NONE == (int)P2P_VFIO_CAUSE_NONE, "same causes");

const char *vp2p_state_name(unsigned int state)
{
	static const char *const names[] = {
		[VP2P_STATE_LIVE] = "live",
		[VP2P_STATE_DRAINING] = "draining",
		[VP2P_STATE_QUIESCED] = "quiesced",
		[VP2P_STATE_GONE] = "gone",
		[VP2P_STATE_CLOSED] = "closed",
	};

	if (state >= sizeof(names) / sizeof(names[0]) || !names[state])
		return "unknown";
	return names[state];
}

const char *vp2p_cause_name(int cause)
{
	static const char *const names[VP2P_CAUSES] = {
		[VP2P_CAUSE_RESET] = "reset",
		[VP2P_CAUSE_HOT_RESET] = "hot_reset",
		[VP2P_CAUSE_CONFIG] = "config",
		[VP2P_CAUSE_LOW_POWER] = "low_power",
		[VP2P_CAUSE_PCI_RESET] = "pci_reset",
		[VP2P_CAUSE_ERROR] = "error",
		[VP2P_CAUSE_CLOSE] = "close",
		[VP2P_CAUSE_REMOVE] = "remove",
		[VP2P_CAUSE_SHUTDOWN] = "shutdown",
		[VP2P_CAUSE_SLEEP] = "sleep",
	};

	if (cause == VP2P_CAUSE_NONE)
		return "none";
	return cause >= 0 && cause < VP2P_CAUSES ? names[cause] : "unknown";
}

const char *vp2p_provider_name(unsigned int provider)
{
	switch (provider) {
	case VP2P_PROVIDER_STANDARD:
		return "standard";
	case VP2P_PROVIDER_OWN:
		return "own";
	default:
		return "unknown";
	}
}

const char *vp2p_provider_reason_name(unsigned int reason)
{
	static const char *const names[] = {
		[VP2P_PROVIDER_UNTRIED] = "untried",
		[VP2P_PROVIDER_PROVEN] = "proven",
		[VP2P_PROVIDER_UNPROVEN] = "unproven",
		[VP2P_PROVIDER_DIFFERS] = "differs",
		[VP2P_PROVIDER_ASKED] = "asked",
	};

	return reason < sizeof(names) / sizeof(names[0]) ? names[reason] : "unknown";
}

static void state_from_kernel(struct vp2p_state *to, const struct p2p_vfio_state *from)
{
	memset(to, 0, sizeof(*to));
	to->state = from->state;
	to->windows = from->windows;
	to->generation = from->generation;
	to->pinned_folios = from->pinned_folios;
	to->touched_folios = from->touched_folios;
	to->faults_pmd = from->faults_pmd;
	to->faults_pte = from->faults_pte;
	to->faults_refused = from->faults_refused;
	to->faults_waited = from->faults_waited;
	to->drain_timeouts = from->drain_timeouts;
	to->drain_last_us = from->drain_last_us;
	to->drain_max_us = from->drain_max_us;
	for (int i = 0; i < VP2P_CAUSES; i++)
		to->revokes[i] = from->revokes[i];
	to->revoke_us = from->revoke_us;
	to->revoke_cause = from->revoke_cause;
	to->provider_reason = from->provider_reason;
}

int vp2p_get_state(const struct vp2p_device *dev, struct vp2p_state *state,
		   struct vp2p_error *err)
{
	/* Room for a later driver, whose structure may be longer. */
	union {
		struct p2p_vfio_state state;
		char room[VP2P__FEATURE_MAX];
	} answer = { .state = { 0 } };
	int rc = vp2p__feature(dev->fd,
			       VFIO_DEVICE_FEATURE_GET | P2P_VFIO_FEATURE_STATE,
			       &answer, sizeof(answer));

	if (rc)
		return vp2p__fail(err, -rc, dev->name, "look at the device's state",
				  "the driver does not answer: %s" MEND
				  "check that the device is still there and its fd open",
				  strerror(-rc));
	state_from_kernel(state, &answer.state);
	return 0;
}

static int events(const struct vp2p_device *dev, int fd, uint32_t flags)
{
	struct p2p_vfio_events ev = { .fd = fd, .flags = flags };

	return vp2p__feature(dev->fd,
			     VFIO_DEVICE_FEATURE_SET | P2P_VFIO_FEATURE_EVENTS,
			     &ev, sizeof(ev));
}

/* 0 or -errno */
static int listen_begin(const struct vp2p_device *dev, int *out)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int rc;

	if (fd < 0)
		return -errno;
	rc = events(dev, fd, P2P_VFIO_EVENTS_ADD);
	if (rc) {
		close(fd);
		return rc;
	}
	*out = fd;
	return 0;
}

static int listen_end(const struct vp2p_device *dev, int fd)
{
	int rc = events(dev, fd, P2P_VFIO_EVENTS_REMOVE);

	close(fd);
	return rc;
}

int vp2p_eventfd(const struct vp2p_device *dev, int *fd, struct vp2p_error *err)
{
	int rc = listen_begin(dev, fd);

	if (rc == -ENOSPC)
		return vp2p__fail(err, ENOSPC, dev->name, "listen to its events",
				  "%d eventfds listen already, the most there can be" MEND
				  "remove one, or share one among threads",
				  P2P_VFIO_MAX_EVENTS);
	if (rc)
		return vp2p__fail(err, -rc, dev->name, "listen to its events",
				  "an eventfd could not be made or added: %s" MEND
				  "raise ulimit -n if files ran out; check the device's fd",
				  strerror(-rc));
	return 0;
}

int vp2p_eventfd_remove(const struct vp2p_device *dev, int fd, struct vp2p_error *err)
{
	int rc = listen_end(dev, fd);

	if (!rc)
		return 0;
	return vp2p__fail(err, -rc, dev->name, "stop listening to its events",
			  "fd %d was not added by vp2p_eventfd(): %s" MEND
			  "give each eventfd back once, before vp2p_close()", fd,
			  strerror(-rc));
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int fail_wait(const struct vp2p_device *dev, const struct vp2p_state *state,
		     int timeout_ms, struct vp2p_error *err)
{
	if (state->state == VP2P_STATE_GONE)
		return vp2p__fail(err, ENODEV, dev->name, "wait for the device",
				  "it was removed or has failed for good" MEND
				  "plug it in or bind it again, then open it anew");
	return vp2p__fail(err, ETIMEDOUT, dev->name, "wait for the device",
			  "it is still %s after %d ms, %" PRIu64 " folios pinned by DMA" MEND
			  "find what resets it, or the I/O that does not end; or allow "
			  "more time", vp2p_state_name(state->state), timeout_ms,
			  state->pinned_folios);
}

/*
 * Sleeps until something may have changed. @fd may be -1: then for a short while.
 * Returns 0, or -EINTR.
 */
static int sleep_until_event(int fd, int64_t left_ms)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	uint64_t count;

	if (fd < 0 && (left_ms < 0 || left_ms > LOOK_EVERY_MS))
		left_ms = LOOK_EVERY_MS;
	if (poll(&pfd, fd < 0 ? 0 : 1, (int)left_ms) < 0)
		return -errno;
	if (pfd.revents && read(fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		return -errno;
	return 0;
}

/*
 * The eventfd is added before each look: an opening of the gate after the look
 * makes it readable, one before the look is seen by it.
 */
static int wait_loop(const struct vp2p_device *dev, int fd, int timeout_ms,
		     struct vp2p_error *err)
{
	int64_t deadline = now_ms() + timeout_ms, left = -1;
	struct vp2p_state state;
	int rc;

	for (;;) {
		rc = vp2p_get_state(dev, &state, err);
		if (rc)
			return rc;
		if (state.state == VP2P_STATE_LIVE)
			return 0;
		if (timeout_ms >= 0)
			left = deadline - now_ms();
		if (state.state == VP2P_STATE_GONE || (timeout_ms >= 0 && left <= 0))
			return fail_wait(dev, &state, timeout_ms, err);
		rc = sleep_until_event(fd, left);
		if (rc)
			return vp2p__fail(err, -rc, dev->name, "wait for the device",
					  "a signal handler ran" MEND
					  "call again if it did not mean to end the wait");
	}
}

int vp2p_wait_live(const struct vp2p_device *dev, int timeout_ms,
		   struct vp2p_error *err)
{
	struct vp2p_state state;
	int fd = -1;
	int rc;

	if (timeout_ms < -1)
		return vp2p__fail(err, EINVAL, dev->name, "wait for the device",
				  "a timeout of %d ms makes no sense" MEND
				  "give milliseconds, 0 to only look or -1 for no limit",
				  timeout_ms);
	/* The usual case costs one ioctl. */
	rc = vp2p_get_state(dev, &state, err);
	if (rc || state.state == VP2P_STATE_LIVE)
		return rc;

	/* Where no eventfd can be had, fd stays -1 and the loop looks now and then. */
	listen_begin(dev, &fd);
	rc = wait_loop(dev, fd, timeout_ms, err);
	if (fd >= 0)
		listen_end(dev, fd);
	return rc;
}
