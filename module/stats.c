// SPDX-License-Identifier: GPL-2.0-only
/*
 * stats.c - counters, and the bodies of the tracepoints
 */
#include <linux/percpu.h>

#include "p2p.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

/**
 * p2p_cause_name - a cause as sysfs and the tracepoints call it
 * @cause: the cause, or P2P_VFIO_CAUSE_NONE.
 */
const char *p2p_cause_name(enum p2p_vfio_cause cause)
{
	static const char * const names[P2P_VFIO_CAUSES] = {
		[P2P_VFIO_CAUSE_RESET] = "reset",
		[P2P_VFIO_CAUSE_HOT_RESET] = "hot_reset",
		[P2P_VFIO_CAUSE_CONFIG] = "config",
		[P2P_VFIO_CAUSE_LOW_POWER] = "low_power",
		[P2P_VFIO_CAUSE_PCI_RESET] = "pci_reset",
		[P2P_VFIO_CAUSE_ERROR] = "error",
		[P2P_VFIO_CAUSE_CLOSE] = "close",
		[P2P_VFIO_CAUSE_REMOVE] = "remove",
		[P2P_VFIO_CAUSE_SHUTDOWN] = "shutdown",
		[P2P_VFIO_CAUSE_SLEEP] = "sleep",
	};

	return cause == P2P_VFIO_CAUSE_NONE ? "none" : names[cause];
}

/**
 * p2p_stats_drained - a drain has ended well
 * @dev: the device.
 * @us: how long it took, microseconds.
 */
void p2p_stats_drained(struct p2p_device *dev, u64 us)
{
	s64 max = atomic64_read(&dev->drain_max_us);

	atomic64_set(&dev->drain_last_us, us);
	while ((s64)us > max && !atomic64_try_cmpxchg(&dev->drain_max_us, &max, us))
		;
}

static void p2p_stats_faults(struct p2p_device *dev, struct p2p_vfio_state *state)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		const struct p2p_fault_stats *s = per_cpu_ptr(dev->faults, cpu);

		state->faults_pmd += READ_ONCE(s->pmd);
		state->faults_pte += READ_ONCE(s->pte);
		state->faults_refused += READ_ONCE(s->refused);
		state->faults_waited += READ_ONCE(s->waited);
	}
}

/**
 * p2p_stats_read - a picture of the device, taken without waiting for anything
 * @dev: the device.
 * @state: filled in whole.
 */
void p2p_stats_read(struct p2p_device *dev, struct p2p_vfio_state *state)
{
	struct p2p_gate_view view;
	struct p2p_window *window;
	u32 i;

	*state = (struct p2p_vfio_state) {
		.state = p2p_revoke_state(dev, &view),
		.windows = READ_ONCE(dev->nr_windows),
		.provider_reason = READ_ONCE(dev->provider_reason),
		.drain_timeouts = atomic64_read(&dev->drain_timeouts),
		.drain_last_us = atomic64_read(&dev->drain_last_us),
		.drain_max_us = atomic64_read(&dev->drain_max_us),
	};
	state->generation = view.generation;
	state->revoke_cause = view.cause;
	state->revoke_us = view.closed_us;
	p2p_for_each_window(dev, i, window) {
		state->pinned_folios += p2p_window_pinned(window);
		state->touched_folios += p2p_window_touched(window);
	}
	for (i = 0; i < P2P_VFIO_CAUSES; i++)
		state->revokes[i] = atomic64_read(&dev->revokes[i]);
	p2p_stats_faults(dev, state);
}
