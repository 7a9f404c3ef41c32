// SPDX-License-Identifier: MIT
/*
 * The events of the stress test: who makes them, and what must be exact.
 *
 * One maker per set of devices does one event after the other.  As long as
 * nobody else revokes its devices it knows what each must have done to STATE:
 * so many revocations of this cause and none of another; the generation up by
 * as many as have succeeded, and unchanged by those that were refused (EBUSY) or
 * interrupted (EINTR); a timeout for each EBUSY and none besides.  EBUSY itself
 * comes only where a maker has asked for it, by a bound of a few ms: nobody who
 * comes after the zap can make a drain longer, and no read takes ST_PATIENT.  In some
 * sessions a disturber revokes at the same time, so that revocations overlap;
 * then only the canary and the errnos are looked at.
 */
#define _GNU_SOURCE
#include "harness.h"
#include "revoke_util.h"
#include "stress.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

static int set, slot;

/* What the calls of one event must have done to each device. */
static struct expected {
	unsigned int revokes[P2P_VFIO_CAUSES];
	unsigned int acted;
} expected[ST_DEVS];
static unsigned int timeouts;	/* of one of the set */
static unsigned int maybe;	/* or as many more */

static void count_call(unsigned int mask, enum p2p_vfio_cause cause, long ret)
{
	for (int i = 0; i < st_n_devs; i++) {
		if (!(mask & 1u << i))
			continue;
		expected[i].revokes[cause]++;
		expected[i].acted += !ret;
	}
	timeouts += ret == -EBUSY;
}

/* No maker's bound was next to nothing since the event began, and no long read was sent. */
static struct { unsigned long long begun, done; } bounds;

static void look_at_bounds(void)
{
	bounds.done = atomic_load(&st->impatient.done);
	bounds.begun = atomic_load(&st->impatient.begun);
}

static bool was_patient(void)
{
	return bounds.begun == bounds.done && atomic_load(&st->impatient.begun) == bounds.begun &&
	       !atomic_load(&st->ending);
}

/* The errnos that are documented, and no other. */
static long is_documented(const char *what, long ret, bool may_be_locked)
{
	if (!ret)
		return ret;
	if (ret == -EBUSY && !may_be_locked && was_patient())
		h_fail("%s: refused after " ST_PATIENT " ms", what);
	if (ret == -EBUSY)
		ST_COUNT(busy);
	else if (ret == -EINTR)
		ST_COUNT(interrupted);
	else if (ret == -EAGAIN && may_be_locked && atomic_load(&st->inexact))
		ST_COUNT(again);
	else
		h_fail("%s: %s", what, strerrorname_np(-ret) ?: "no errno");
	return ret;
}

/* Calls: each is one revocation. */

static long write_word(int dev, unsigned int at, uint16_t word)
{
	ssize_t n = dev_config_write(&st_devs[dev].d, at, &word, sizeof(word));
	long ret = n == sizeof(word) ? 0 : n < 0 ? n : -EIO;

	count_call(1u << dev, P2P_VFIO_CAUSE_CONFIG, ret);
	return is_documented("config write", ret, false);
}

static uint16_t read_word(int dev, unsigned int at)
{
	uint16_t word = 0;

	if (dev_config_read(&st_devs[dev].d, at, &word, sizeof(word)) != sizeof(word))
		h_fail("config read: %s", strerrorname_np(errno));
	return word;
}

/* What has been switched off must be on again, whatever the impatience. */
static long insist_on_word(int dev, unsigned int at, uint16_t word)
{
	long ret;

	while ((ret = write_word(dev, at, word)) == -EBUSY || ret == -EINTR)
		if (h_failed())
			break;
	return ret;
}

static long low_power(int dev, uint32_t feature)
{
	long ret = dev_feature(&st_devs[dev].d, VFIO_DEVICE_FEATURE_SET | feature, NULL, 0);

	count_call(1u << dev, P2P_VFIO_CAUSE_LOW_POWER, ret);
	return is_documented("low power", ret, false);
}

/* Events: -errno if nothing has happened. */

static long memory_off_on(int dev)
{
	uint16_t on = read_word(dev, PCI_COMMAND) | PCI_COMMAND_MEMORY;
	long ret = write_word(dev, PCI_COMMAND, on & ~PCI_COMMAND_MEMORY);

	if (ret)
		return ret;
	st_nap_us(st_random(4) ? 0 : st_random(2000));
	return insist_on_word(dev, PCI_COMMAND, on);
}

static long same_command(int dev)
{
	return write_word(dev, PCI_COMMAND, read_word(dev, PCI_COMMAND) | PCI_COMMAND_MEMORY);
}

static long d3hot_and_d0(int dev)
{
	unsigned int at = st_devs[dev].pm + PCI_PM_CTRL;
	uint16_t on = read_word(dev, at) & ~PCI_PM_CTRL_STATE_MASK;
	long ret = write_word(dev, at, on | 3);

	return ret ?: insist_on_word(dev, at, on);
}

static long low_power_and_back(int dev)
{
	long ret = low_power(dev, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY);

	if (ret)
		return ret;
	st_nap_us(st_random(2) ? 0 : st_random(20000));
	while ((ret = low_power(dev, VFIO_DEVICE_FEATURE_LOW_POWER_EXIT)) == -EBUSY || ret == -EINTR)
		if (h_failed())
			break;
	return ret;
}

static long function_reset(int dev)
{
	long ret = write_word(dev, st_devs[dev].devctl,
			      read_word(dev, st_devs[dev].devctl) | PCI_EXP_DEVCTL_BCR_FLR);

	return ret;
}

static long reset(int dev)
{
	long ret = dev_reset(&st_devs[dev].d);

	count_call(1u << dev, P2P_VFIO_CAUSE_RESET, ret);
	return is_documented("VFIO_DEVICE_RESET", ret, true);
}

static unsigned int set_mask(void)
{
	unsigned int mask = 0;

	for (int i = 0; i < st_n_devs; i++)
		if (st_devs[i].set == set)
			mask |= 1u << i;
	return mask;
}

static long hot_reset(int dev)
{
	long ret = ru_hot_reset(&st_devs[dev].d);

	count_call(set_mask(), P2P_VFIO_CAUSE_HOT_RESET, ret);
	/* Core has an EBUSY of its own: a fault in the ordinary view holds memory_lock. */
	if (ret == -EBUSY) {
		timeouts--;
		maybe++;
	}
	return is_documented("VFIO_DEVICE_PCI_HOT_RESET", ret, true);
}

static long errand(int what, int dev)
{
	struct st_errand *e = &st->errands[set];
	unsigned int ticket = atomic_load(&e->asked) + 1;
	uint64_t end = h_now_ns() + 60000000000ull;

	e->what = what;
	e->dev = dev;
	atomic_store(&e->asked, ticket);
	while (atomic_load(&e->answered) != ticket) {
		if (h_now_ns() > end)
			return -ETIMEDOUT;
		usleep(500);
	}
	return e->ret;
}

static long reset_from_outside(int dev)
{
	long ret = errand(ST_SYSFS_RESET, dev);

	count_call(1u << dev, P2P_VFIO_CAUSE_PCI_RESET, ret);
	return is_documented("sysfs reset", ret, true);
}

static long port_error(int dev)
{
	long ret = errand(ST_PORT_ERROR, dev);

	count_call(set_mask(), P2P_VFIO_CAUSE_ERROR, ret);
	return is_documented("port error", ret, false);
}

/* What there is, and how often: of 1000. */
static const struct kind {
	const char *name;
	unsigned int weight;
	long (*make)(int dev);
	bool dark;	/* memory is off in between */
	bool slow;	/* a tenth of a second and more */
	unsigned int row;	/* up to so many in a row: it takes a millisecond, if nobody is waited for */
	bool all;	/* takes all devices of the set */
} kinds[] = {
	{ "memory off and on", 300, memory_off_on, .dark = true, .row = 10 },
	{ "command written", 636, same_command, .row = 30 },
	{ "low power and back", 24, low_power_and_back, .dark = true },
	{ "D3hot and D0", 14, d3hot_and_d0, .dark = true },
	{ "function level reset", 5, function_reset, .slow = true },
	{ "VFIO reset", 5, reset, .slow = true },
	{ "hot reset", 6, hot_reset, .slow = true, .all = true },
	{ "sysfs reset", 5, reset_from_outside, .slow = true },
	{ "port error", 5, port_error, .all = true },
};
#define KINDS (sizeof(kinds) / sizeof(*kinds))

static bool possible(const struct kind *k, int dev)
{
	const struct st_dev *d = &st_devs[dev];

	return k->make == d3hot_and_d0 ? d->pm :
	       k->make == function_reset ? d->devctl :
	       k->make == reset ? d->can_reset :
	       k->make == reset_from_outside ? d->can_sysfs :
	       k->make == port_error ? st_errors : true;
}

static const struct kind *choose(int dev)
{
	for (;;) {
		int at = st_random(1000);

		for (size_t i = 0; i < KINDS; at -= kinds[i++].weight)
			if (at < (int)kinds[i].weight) {
				if (possible(&kinds[i], dev))
					return &kinds[i];
				break;
			}
	}
}

static int choose_dev(void)
{
	int dev;

	do
		dev = st_random(st_n_devs);
	while (st_devs[dev].set != set);
	return dev;
}

/* Exactness */

static void take_states(struct p2p_vfio_state *s)
{
	for (int i = 0; i < st_n_devs; i++)
		if (dev_state(&st_devs[i].d, &s[i]))
			h_fail("STATE: %s", strerrorname_np(errno));
}

static void compare_state(const struct kind *k, int dev, const struct p2p_vfio_state *a,
			  const struct p2p_vfio_state *b)
{
	const struct expected *e = &expected[dev];

	for (int c = 0; c < P2P_VFIO_CAUSES; c++)
		if (b->revokes[c] - a->revokes[c] != e->revokes[c])
			h_fail("%s: %s: %llu revocations of cause %d, want %u", k->name,
			       st_devs[dev].role,
			       (unsigned long long)(b->revokes[c] - a->revokes[c]), c, e->revokes[c]);
	if (b->generation - a->generation != e->acted)
		h_fail("%s: %s: generation %llu and then %llu, want %u more", k->name,
		       st_devs[dev].role, (unsigned long long)a->generation,
		       (unsigned long long)b->generation, e->acted);
	if (b->state != P2P_VFIO_STATE_LIVE)
		h_fail("%s: %s: state %u afterwards", k->name, st_devs[dev].role, b->state);
}

static void compare_states(const struct kind *k, const struct p2p_vfio_state *a)
{
	struct p2p_vfio_state b[ST_DEVS];
	unsigned long long sum = 0;

	take_states(b);
	/* Looked at after the states: whoever disturbs says so before. */
	if (atomic_load(&st->inexact))
		return;
	for (int i = 0; i < st_n_devs; i++) {
		if (st_devs[i].set != set)
			continue;
		compare_state(k, i, &a[i], &b[i]);
		sum += b[i].drain_timeouts - a[i].drain_timeouts;
	}
	if (sum < timeouts || sum > timeouts + maybe)
		h_fail("%s: %llu timeouts, want %u", k->name, sum, timeouts);
	ST_COUNT(exact);
}

/* The maker */

static void on_alarm(int number)
{
	(void)number;
}

static void alarm_in_us(unsigned int us)
{
	struct itimerval timer = { .it_value = { 0, us } };

	setitimer(ITIMER_REAL, &timer, NULL);
}

/*
 * A revocation of what nobody uses shows little: wait until there are pins, a
 * while.  Was anything touched?
 */
static bool wait_for_load(int dev, unsigned int times)
{
	struct p2p_vfio_state s = { 0 };

	while (times--) {
		if (dev_state(&st_devs[dev].d, &s) || s.pinned_folios || !times)
			break;
		usleep(300);
	}
	return s.touched_folios;
}

static void span_begin(unsigned int mask, bool dark)
{
	for (int i = 0; i < st_n_devs; i++) {
		if (!(mask & 1u << i))
			continue;
		if (dark)
			atomic_fetch_add(&st->devs[i].dark.begun, 1);
		atomic_fetch_add(&st->devs[i].event.begun, 1);
	}
}

static void span_end(unsigned int mask, bool dark)
{
	for (int i = 0; i < st_n_devs; i++) {
		if (!(mask & 1u << i))
			continue;
		if (dark)
			atomic_fetch_add(&st->devs[i].dark.done, 1);
		atomic_fetch_add(&st->devs[i].event.done, 1);
	}
}

/* Sometimes with no patience, or with a signal on its way. */
static long make(const struct kind *k, int dev)
{
	unsigned int odd = k->make == port_error ? 99 : st_random(40);
	long ret;

	look_at_bounds();
	if (odd == 0) {
		atomic_fetch_add(&st->impatient.begun, 1);
		dev_param("drain_timeout_ms", st_random(2) ? "1" : "5");
	}
	if (odd == 1)
		alarm_in_us(100 + st_random(3000));
	ret = k->make(dev);
	if (odd == 0) {
		dev_param("drain_timeout_ms", ST_PATIENT);
		atomic_fetch_add(&st->impatient.done, 1);
	}
	if (odd == 1)
		alarm_in_us(0);
	return ret;
}

/* Some times the same, at first under load and then as fast as can be, or until one is refused. */
static long make_some(const struct kind *k, int dev, unsigned int times)
{
	long ret = 0;

	for (bool first = true; !ret && times--; first = false) {
		if (wait_for_load(dev, first ? 8 : 1))
			ST_COUNT(touched);
		ret = make(k, dev);
		ST_COUNT(events);
	}
	return ret;
}

static void event(const struct kind *k, int dev)
{
	unsigned int mask = k->all ? set_mask() : 1u << dev;
	bool canary = !atomic_load(&st->ending) && !st_random(k->slow ? 2 : 6);
	struct p2p_vfio_state before[ST_DEVS];
	long ret;

	memset(expected, 0, sizeof(expected));
	timeouts = maybe = 0;
	take_states(before);
	span_begin(mask, k->dark);
	if (canary)
		canary = st_canary_begin(mask, k->slow && !st_random(4)) || (st_canary_end(mask, false), false);
	ret = make_some(k, dev, canary || !k->row ? 1 : 1 + st_random(k->row));
	if (canary)
		st_canary_end(mask, !ret);
	compare_states(k, before);
	span_end(mask, k->dark);
}

void st_event_maker(int number, int of_set)
{
	struct sigaction sa = { .sa_handler = on_alarm };	/* no SA_RESTART */
	int dev;

	set = of_set;
	slot = number;
	sigaction(SIGALRM, &sa, NULL);
	/* It mostly waits for others: once it need not it shall have the CPU. */
	setpriority(PRIO_PROCESS, 0, -15);
	for (;;) {
		st_beat(slot);
		dev = choose_dev();
		event(choose(dev), dev);
		/* Calm, for transfers that meet nothing. */
		if (!st_random(6))
			st_nap_us(st_random(40000));
	}
}

/* The disturber: nothing that switches memory off */

static void disturb(void)
{
	static const struct kind *const all[] = { &kinds[1], &kinds[1], &kinds[1], &kinds[1], &kinds[5],
						  &kinds[6] };
	const struct kind *k = all[st_random(6)];
	int dev = choose_dev();
	unsigned int mask = k->all ? set_mask() : 1u << dev;
	bool held = false;

	if (!possible(k, dev))
		return;
	for (int i = 0; i < st_n_devs; i++)
		if (mask & 1u << i)
			atomic_store(&st->devs[i].canary.disturbing, 1);
	for (int i = 0; i < st_n_devs; i++)
		if (mask & 1u << i)
			held |= atomic_load(&st->devs[i].canary.hold);
	if (!held) {
		span_begin(mask, false);
		k->make(dev);
		span_end(mask, false);
		ST_COUNT(events);
	}
	for (int i = 0; i < st_n_devs; i++)
		if (mask & 1u << i)
			atomic_store(&st->devs[i].canary.disturbing, 0);
}

void st_disturber(int number, int of_set)
{
	set = of_set;
	slot = number;
	for (;;) {
		st_beat(slot);
		disturb();
		st_nap_us(st_random(10000));
	}
}
