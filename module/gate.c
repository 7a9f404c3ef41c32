// SPDX-License-Identifier: GPL-2.0-only
/*
 * gate.c - the state that says whether a window may be mapped
 *
 * The gate is a state, not a lock: it stays closed across calls into
 * vfio-pci-core, resets and drains, while nothing is held.  The rules for a
 * fault that meets it closed are in mmap.c.
 */
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>

#include "p2p.h"

/*
 * Waiters in all gates.  A waiter has let go of its VMA, so the module could be
 * unloaded under it; module exit waits for the last one.
 */
static atomic_t p2p_waiters = ATOMIC_INIT(0);
static DECLARE_WAIT_QUEUE_HEAD(p2p_waiters_gone);

/**
 * p2p_gate_create - a gate, closed once: the device is not open
 */
struct p2p_gate *p2p_gate_create(void)
{
	struct p2p_gate *gate = kzalloc(sizeof(*gate), GFP_KERNEL_ACCOUNT);

	if (!gate)
		return NULL;
	kref_init(&gate->ref);
	init_rwsem(&gate->insert);
	init_waitqueue_head(&gate->waitq);
	gate->closed = 1;
	gate->cause = P2P_VFIO_CAUSE_NONE;
	gate->since = ktime_get_boottime();
	return gate;
}

static void p2p_gate_free(struct kref *ref)
{
	kfree(container_of(ref, struct p2p_gate, ref));
}

void p2p_gate_put(struct p2p_gate *gate)
{
	kref_put(&gate->ref, p2p_gate_free);
}

/**
 * p2p_gate_enter - begin the insertion of one page-table entry
 * @gate: the gate.
 *
 * Waits for nothing but the few assignments of a state change.
 *
 * Return: true with the gate held open; p2p_gate_leave() must follow.  False if
 * it is closed.
 */
bool p2p_gate_enter(struct p2p_gate *gate)
{
	down_read(&gate->insert);
	if (likely(!gate->closed && !gate->dead))
		return true;
	up_read(&gate->insert);
	return false;
}

void p2p_gate_leave(struct p2p_gate *gate)
{
	up_read(&gate->insert);
}

/**
 * p2p_gate_close - no insertion is in progress afterwards, and none can begin
 * @gate: the gate.
 * @cause: why.
 *
 * Return: true if it was open: the caller's is the outermost revocation.
 */
bool p2p_gate_close(struct p2p_gate *gate, enum p2p_vfio_cause cause)
{
	bool was_open;

	down_write(&gate->insert);
	was_open = !gate->closed++;
	if (was_open) {
		gate->cause = cause;
		gate->since = ktime_get_boottime();
	}
	up_write(&gate->insert);
	return was_open;
}

/**
 * p2p_gate_open - undo one p2p_gate_close()
 * @gate: the gate.
 * @acted: the device was reset, switched off or similar meanwhile.
 *
 * Return: true if the gate is open now.
 */
bool p2p_gate_open(struct p2p_gate *gate, bool acted)
{
	bool opened;

	down_write(&gate->insert);
	gate->acted |= acted;
	opened = !WARN_ON_ONCE(!gate->closed) && !--gate->closed;
	if (opened) {
		gate->generation += gate->acted;
		gate->acted = false;
	}
	up_write(&gate->insert);
	if (opened)
		wake_up_all(&gate->waitq);
	return opened;
}

/**
 * p2p_gate_acted - the deed is done, the gate stays closed for now
 * @gate: the gate.
 */
void p2p_gate_acted(struct p2p_gate *gate)
{
	down_write(&gate->insert);
	gate->acted = true;
	up_write(&gate->insert);
}

/**
 * p2p_gate_kill - the device has gone: every fault is a SIGBUS from here on
 * @gate: the gate.
 */
void p2p_gate_kill(struct p2p_gate *gate)
{
	down_write(&gate->insert);
	gate->dead = true;
	up_write(&gate->insert);
	wake_up_all(&gate->waitq);
}

/**
 * p2p_gate_set_failed - error recovery failed, or the owner has mended it
 * @gate: the gate, closed.
 * @failed: faults are a SIGBUS instead of a wait.
 */
void p2p_gate_set_failed(struct p2p_gate *gate, bool failed)
{
	down_write(&gate->insert);
	gate->failed = failed;
	up_write(&gate->insert);
	if (failed)
		wake_up_all(&gate->waitq);
}

/**
 * p2p_gate_end_session - last close: whoever still waits has lost its mapping
 * @gate: the gate.
 */
void p2p_gate_end_session(struct p2p_gate *gate)
{
	down_write(&gate->insert);
	gate->session++;
	up_write(&gate->insert);
	wake_up_all(&gate->waitq);
}

/**
 * p2p_gate_look - state, generation and cause of one moment
 * @gate: the gate.
 *
 * A reader who sees the gate open also sees the generation that this opening
 * began.
 */
struct p2p_gate_view p2p_gate_look(struct p2p_gate *gate)
{
	struct p2p_gate_view view = { .cause = P2P_VFIO_CAUSE_NONE };

	down_read(&gate->insert);
	view.closed = gate->closed;
	view.gone = gate->dead || gate->failed;
	view.generation = gate->generation;
	if (view.closed) {
		view.cause = gate->cause;
		view.closed_us = ktime_us_delta(ktime_get_boottime(), gate->since);
	}
	up_read(&gate->insert);
	return view;
}

static bool p2p_gate_settled(struct p2p_gate *gate, u64 session)
{
	return !READ_ONCE(gate->closed) || READ_ONCE(gate->dead) ||
	       READ_ONCE(gate->failed) || READ_ONCE(gate->session) != session;
}

/**
 * p2p_gate_wait - a user thread's fault waits until the gate opens
 * @gate: the gate.
 * @vmf: the fault; its lock (mmap_lock or VMA lock) is dropped here, so neither
 *	it nor the VMA may be used afterwards.
 *
 * Interruptible, not killable: a pin may be given back by task work of this very
 * thread, and the freezer must reach it.  The kernel sees the signal before it
 * retries the fault.
 *
 * Return: VM_FAULT_RETRY.
 */
vm_fault_t p2p_gate_wait(struct p2p_gate *gate, struct vm_fault *vmf)
{
	/* The VMA holds the device open, so this is the session of its mapping. */
	u64 session = READ_ONCE(gate->session);

	atomic_inc(&p2p_waiters);
	kref_get(&gate->ref);
	release_fault_lock(vmf);

	wait_event_interruptible(gate->waitq, p2p_gate_settled(gate, session));

	p2p_gate_put(gate);
	if (atomic_dec_and_test(&p2p_waiters))
		wake_up_all(&p2p_waiters_gone);
	return VM_FAULT_RETRY;
}

/**
 * p2p_gate_wait_for_waiters - module exit: nobody runs in p2p_gate_wait()
 *
 * Every gate is dead by now, so each waiter is on its way out.  RCU-tasks then
 * waits for those that have counted down and not yet left the function, also for
 * one that was preempted there; plain RCU would not (compat.h).
 */
void p2p_gate_wait_for_waiters(void)
{
	wait_event(p2p_waiters_gone, !atomic_read(&p2p_waiters));
	synchronize_rcu_tasks();
}
