// SPDX-License-Identifier: GPL-2.0-only
/*
 * gate.c - the state that says whether a window may be mapped
 *
 * The gate is a state, not a lock: it stays closed across calls into
 * vfio-pci-core, resets and drains, while nothing is held.  The rules for a
 * fault that meets it closed are in mmap.c.
 */
#include <linux/cleanup.h>
#include <linux/delay.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "p2p.h"

#define P2P_GATE_SPINS 100

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
	static struct lock_class_key key;
	struct p2p_gate *gate = kzalloc(sizeof(*gate), GFP_KERNEL_ACCOUNT);

	if (!gate)
		return NULL;
	gate->insertions = alloc_percpu_gfp(struct p2p_insertions, GFP_KERNEL_ACCOUNT);
	if (!gate->insertions) {
		kfree(gate);
		return NULL;
	}
	kref_init(&gate->ref);
	spin_lock_init(&gate->lock);
	lockdep_init_map(&gate->dep_map, "p2p_insertion", &key, 0);
	init_waitqueue_head(&gate->waitq);
	gate->closed = 1;
	gate->cause = P2P_VFIO_CAUSE_NONE;
	gate->since = ktime_get_boottime();
	return gate;
}

static void p2p_gate_free(struct kref *ref)
{
	struct p2p_gate *gate = container_of(ref, struct p2p_gate, ref);

	free_percpu(gate->insertions);
	kfree(gate);
}

void p2p_gate_put(struct p2p_gate *gate)
{
	kref_put(&gate->ref, p2p_gate_free);
}

/* Pairs with the release in p2p_gate_open(): what was tidied up before is seen so. */
static bool p2p_gate_shut(struct p2p_gate *gate)
{
	return smp_load_acquire(&gate->closed) || READ_ONCE(gate->dead);
}

/**
 * p2p_gate_enter - begin the insertion of one page-table entry
 * @gate: the gate.
 *
 * Waits for nothing, and writes to nothing that another CPU's faults write to.
 *
 * Return: true with the gate held open; p2p_gate_leave() must follow.  False if
 * it is closed.
 */
bool p2p_gate_enter(struct p2p_gate *gate)
{
	/* Who comes to a closed gate is not counted, or it could not settle. */
	if (p2p_gate_shut(gate))
		return false;

	this_cpu_inc(gate->insertions->begun);
	/*
	 * Pairs with the barrier in p2p_gate_settle(): either we see the gate
	 * closed, or whoever closed it sees us and waits.
	 */
	smp_mb();
	if (likely(!p2p_gate_shut(gate))) {
		rwsem_acquire_read(&gate->dep_map, 0, 0, _RET_IP_);
		return true;
	}
	this_cpu_inc(gate->insertions->ended);
	return false;
}

void p2p_gate_leave(struct p2p_gate *gate)
{
	rwsem_release(&gate->dep_map, _RET_IP_);
	/* The entry is there before it is said to be; pairs with p2p_gate_quiet(). */
	smp_mb();
	this_cpu_inc(gate->insertions->ended);
}

/*
 * The ends are added up before the beginnings: one that begins and ends in between
 * (and finds the gate closed) makes this say no once more, never yes too early.
 */
static bool p2p_gate_quiet(struct p2p_gate *gate)
{
	unsigned long begun = 0, ended = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		ended += READ_ONCE(per_cpu_ptr(gate->insertions, cpu)->ended);
	smp_mb();
	p2p_between_looks();
	for_each_possible_cpu(cpu)
		begun += READ_ONCE(per_cpu_ptr(gate->insertions, cpu)->begun);
	return begun == ended;
}

/*
 * Wait for insertions that saw the gate as it was: some page-table work each.  Each
 * thread can be one of them once at most, so this ends whatever they do next.
 */
static void p2p_gate_settle(struct p2p_gate *gate)
{
	unsigned int spins = 0;

	/* Pairs with the barrier in p2p_gate_enter(). */
	smp_mb();
	rwsem_acquire(&gate->dep_map, 0, 0, _RET_IP_);
	while (!p2p_gate_quiet(gate)) {
		if (spins++ < P2P_GATE_SPINS)
			cpu_relax();
		else
			usleep_range(20, 100);
	}
	rwsem_release(&gate->dep_map, _RET_IP_);
}

/**
 * p2p_gate_close - no insertion is in progress afterwards, and none can begin
 * @gate: the gate.
 * @cause: why.
 *
 * Sleeps only if an insertion is in progress.
 *
 * Return: true if it was open: the caller's is the outermost revocation.
 */
bool p2p_gate_close(struct p2p_gate *gate, enum p2p_vfio_cause cause)
{
	bool was_open;

	scoped_guard(spinlock, &gate->lock) {
		was_open = !gate->closed;
		if (was_open) {
			gate->cause = cause;
			gate->since = ktime_get_boottime();
		}
		WRITE_ONCE(gate->closed, gate->closed + 1);
	}
	p2p_gate_settle(gate);
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

	scoped_guard(spinlock, &gate->lock) {
		gate->acted |= acted;
		if (WARN_ON_ONCE(!gate->closed))
			return false;
		opened = gate->closed == 1;
		if (opened) {
			gate->generation += gate->acted;
			gate->acted = false;
		}
		smp_store_release(&gate->closed, gate->closed - 1);
	}
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
	guard(spinlock)(&gate->lock);

	gate->acted = true;
}

/**
 * p2p_gate_kill - the device has gone: every fault is a SIGBUS from here on
 * @gate: the gate.
 */
void p2p_gate_kill(struct p2p_gate *gate)
{
	WRITE_ONCE(gate->dead, true);
	p2p_gate_settle(gate);
	wake_up_all(&gate->waitq);
}

/**
 * p2p_gate_set_failed - error recovery failed, or the owner has mended it
 * @gate: the gate, closed.
 * @failed: faults are a SIGBUS instead of a wait.
 */
void p2p_gate_set_failed(struct p2p_gate *gate, bool failed)
{
	WRITE_ONCE(gate->failed, failed);
	if (failed)
		wake_up_all(&gate->waitq);
}

/**
 * p2p_gate_end_session - last close: whoever still waits has lost its mapping
 * @gate: the gate.
 */
void p2p_gate_end_session(struct p2p_gate *gate)
{
	WRITE_ONCE(gate->session, gate->session + 1);
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

	guard(spinlock)(&gate->lock);

	view.closed = gate->closed;
	view.gone = READ_ONCE(gate->dead) || READ_ONCE(gate->failed);
	view.generation = gate->generation;
	if (view.closed) {
		view.cause = gate->cause;
		view.closed_us = ktime_us_delta(ktime_get_boottime(), gate->since);
	}
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
