// SPDX-License-Identifier: MIT
/*
 * Everything at once: many processes use the windows of two devices in every way
 * there is, and are killed, while every event that revokes comes again and again.
 *
 * Theory of operation.  The other tests set up one race each, and win it.  This
 * one cannot know which race it will meet, so it checks what must hold in all:
 *
 *	no stale write		a canary, at the end of an event and after a
 *				close, under reads in flight (stress_canary.c)
 *	the right bytes		each transfer's, as far as it got, by a pattern per
 *				offset of the file (stress_worker.c)
 *	no false refusal	when no event was near, a transfer is whole and a
 *				touch is no SIGBUS
 *	the documented errnos	and no others, of every call
 *	exact counters		STATE after each event, while one party alone
 *				makes them (stress_events.c)
 *	nobody hangs		who has not got on for a minute fails the test
 *	rest			at the end: closed, no pins, every revocation
 *				accounted for, unbinding at once
 *
 * A session is a process that opens the devices, and its children: an event
 * maker, a canary reader and, in some sessions, a disturber per set of devices,
 * and workers, which are killed and replaced all the time.  After some seconds
 * the session ends, by SIGKILL for all with I/O in flight, or by itself: a last
 * close.  Then comes the next; now and then the devices are unbound in between,
 * or already while they are in use.
 *
 * Whether the load was there is counted as well: events that met touched folios
 * (by STATE just before), and revocations whose zap left pinned folios (by a
 * tracepoint).
 *
 * Arguments: seed=N, seconds=N (how long, if there was load by then), revocations=N (or until so
 * many have been counted; fewer is a failure), pair (the devices are two
 * functions that are reset together), noerrors (no errors of the ports),
 * nocompare (workers compare nothing, so that a stale write is a canary's).  The
 * plan of each process is a function of the seed; how they interleave is not.
 *
 * Guards whose removal must make it fail: the drain (stale writes), the zap, the
 * gate, and what makes a close wait.
 */
#define _GNU_SOURCE
#include "harness.h"
#include "revoke_util.h"
#include "stress.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define HANG_S 60
#define EXTRA_S 60
#define TRACE "/sys/kernel/tracing/instances/stress"

static unsigned long long seed = 1, seconds = 20, wanted;
static unsigned long session_nr;

/* A session, from outside: these have no descriptor of the devices. */

static void forget_last_session(bool disturbed)
{
	atomic_store(&st->ready, 0);
	atomic_store(&st->stop, 0);
	atomic_store(&st->ending, 0);
	atomic_store(&st->outliving, 0);
	atomic_store(&st->inexact, disturbed);
	atomic_store(&st->impatient.done, atomic_load(&st->impatient.begun));
	memset(st->beats, 0, sizeof(st->beats));
	for (int i = 0; i < st_n_devs; i++) {
		struct st_shared_dev *d = &st->devs[i];

		atomic_store(&d->event.done, atomic_load(&d->event.begun));
		atomic_store(&d->dark.done, atomic_load(&d->dark.begun));
		memset(&d->canary, 0, sizeof(d->canary));
	}
}

/* A killed maker may have left one. */
static void wait_for_errands(void)
{
	for (int i = 0; i < st_n_sets; i++) {
		struct st_errand *e = &st->errands[i];

		H_CHECK(h_wait_until(atomic_load(&e->asked) == atomic_load(&e->answered), 60000));
	}
}

static void look_for_hangs(void)
{
	uint64_t now = h_now_ns();

	for (int i = 0; i < ST_BEATS; i++) {
		uint64_t beat = atomic_load(&st->beats[i].ns);

		if (beat && now > beat + HANG_S * 1000000000ull)
			h_fail("%s (pid %d) has not got on for %d s", st->beats[i].name,
			       atomic_load(&st->beats[i].pid), HANG_S);
	}
}

static bool reap_group(pid_t group)
{
	return h_wait_until(({
		pid_t pid;

		while ((pid = waitpid(-group, NULL, WNOHANG)) > 0)
			;
		pid < 0 && kill(-group, 0) && errno == ESRCH;
	}), 40000);
}

/* Counters of a device end with its binding. */
struct totals {
	unsigned long long revokes[P2P_VFIO_CAUSES], refused, waited, timeouts, drain_max, pmd, pte, generation;
};
static const char *const causes[P2P_VFIO_CAUSES] = {
	"reset", "hot_reset", "config", "low_power", "pci_reset", "error", "close", "remove", "shutdown", "sleep",
};
static struct totals earlier;
/* Expected, since it was bound; those of them that may not have been counted. */
static unsigned long long closes[ST_DEVS], nested[ST_DEVS];

static void add_device(struct totals *t, const char *role)
{
	unsigned long long max = dev_count(role, "drain_max_us");

	for (int c = 0; c < P2P_VFIO_CAUSES; c++)
		t->revokes[c] += dev_revokes(role, causes[c]);
	t->refused += dev_count(role, "faults_refused");
	t->waited += dev_count(role, "faults_waited");
	t->timeouts += dev_count(role, "drain_timeouts");
	t->pmd += dev_count(role, "faults_pmd");
	t->pte += dev_count(role, "faults_pte");
	t->generation += dev_count(role, "generation");
	if (t->drain_max < max)
		t->drain_max = max;
}

static struct totals now(void)
{
	struct totals t = earlier;

	for (int i = 0; i < st_n_devs; i++)
		add_device(&t, st_devs[i].role);
	return t;
}

static unsigned long long all_revokes(const struct totals *t)
{
	unsigned long long sum = 0;

	for (int c = 0; c < P2P_VFIO_CAUSES; c++)
		sum += t->revokes[c];
	return sum;
}

/* Unbinding: both devices, each by a process of its own, since it may wait. */

static pid_t unbinders[ST_DEVS];

static void begin_unbind(void)
{
	earlier = now();
	for (int i = 0; i < st_n_devs; i++) {
		closes[i] = nested[i] = 0;
		unbinders[i] = fork();
		if (!unbinders[i])
			_exit(h_bind(st_devs[i].bdf, NULL) ? 1 : 0);
	}
}

static void end_unbind(void)
{
	for (int i = 0; i < st_n_devs; i++) {
		int status = -1;

		if (!h_await(unbinders[i], &status, 20000) || status)
			return h_fail("unbinding %s: status %#x", st_devs[i].role, status);
	}
	for (int i = 0; i < st_n_devs; i++)
		H_EQ(h_bind(st_devs[i].bdf, DEV_P2P), 0);
	ST_COUNT(unbinds);
}

/*
 * What is still done for a maker that was killed may be a revocation, and a close
 * inside of another revocation is not counted.
 */
static void count_nested(const unsigned int *answered)
{
	for (int i = 0; i < st_n_devs; i++)
		nested[i] += atomic_load(&st->errands[st_devs[i].set].asked) != answered[st_devs[i].set];
}

/* By themselves; by SIGKILL; by SIGKILL with an unbinding that waits for it. */
static void end_session(pid_t group)
{
	/* The first one by force, so that the shortest run has all that counts. */
	unsigned int how = session_nr == 1 ? 7 : st_random(20), answered[ST_SETS];

	if (how < 7 && !h_failed()) {
		atomic_store(&st->stop, 1);
	} else {
		atomic_store(&st->ending, how < 10 ? 2 : 1);
		h_wait_until(atomic_load(&st->outliving) == st_n_sets, 3000);
		st_nap_us(st_random(20000));
		if (how == 19) {
			atomic_store(&st->inexact, 1);
			begin_unbind();
			ST_COUNT(unbinds_live);
			st_nap_us(st_random(60000));
		}
		for (int i = 0; i < st_n_sets; i++)
			answered[i] = atomic_load(&st->errands[i].answered);
		kill(-group, SIGKILL);
	}
	if (!reap_group(group))
		h_fail("the session's processes do not end");
	if (!atomic_load(&st->stop))
		count_nested(answered);
	wait_for_errands();
	if (how == 18 && !h_failed())
		begin_unbind();
	if (how >= 18 && !h_failed())
		end_unbind();
}

static bool is_there(pid_t session)
{
	return !h_failed() && !waitpid(session, NULL, WNOHANG);
}

static void one_session(uint64_t until)
{
	bool disturbed = !st_random(4);
	unsigned int ms = (2000 + st_random(6000)) * (wanted ? 4 : 1);
	uint64_t end;
	pid_t pid;

	session_nr++;
	forget_last_session(disturbed);
	for (int i = 0; i < st_n_devs; i++)
		closes[i]++;
	pid = fork();
	if (!pid)
		st_session(seed, session_nr, disturbed);
	setpgid(pid, pid);
	if (!h_wait_until(atomic_load(&st->ready) || !is_there(pid), 60000))
		h_fail("a session does not begin");
	end = h_now_ns() + ms * 1000000ull;
	while (h_now_ns() < (end < until ? end : until) && is_there(pid)) {
		st_nap_us(20000);
		look_for_hangs();
	}
	end_session(pid);
	ST_COUNT(sessions);
}

/* Zaps that left pinned folios, counted by the kernel in a ring of its own. */

static void trace_begin(void)
{
	mkdir(TRACE, 0700);
	h_write(TRACE "/events/p2p_vfio/p2p_vfio_zapped/filter", "pinned > 0");
	h_write(TRACE "/events/p2p_vfio/p2p_vfio_zapped/enable", "1");
}

static unsigned long long trace_count(void)
{
	unsigned long long sum = 0;

	for (int cpu = 0; cpu < 8; cpu++) {
		unsigned long long entries = 0, overrun = 0;
		char text[1024];

		if (h_readf(text, sizeof(text), TRACE "/per_cpu/cpu%d/stats", cpu))
			continue;
		sscanf(text, "entries: %llu overrun: %llu", &entries, &overrun);
		sum += entries + overrun;
	}
	return sum;
}

static unsigned long long trace_end(void)
{
	unsigned long long sum = trace_count();

	h_write(TRACE "/events/p2p_vfio/p2p_vfio_zapped/enable", "0");
	rmdir(TRACE);
	return sum;
}

/* What it was */

#define REPORT(name, text) { offsetof(struct st_counts, name), text },
static const struct { size_t at; const char *text; } lines[] = { ST_COUNTS(REPORT) };

static unsigned long long count_at(size_t at)
{
	return atomic_load((atomic_ullong *)((char *)&st->counts + at));
}

static void report(const struct totals *t, unsigned long long pinned, uint64_t began)
{
	h_diag("seed %llu, %llu s, %d devices in %d sets, port errors %s", seed,
	       (unsigned long long)((h_now_ns() - began) / 1000000000), st_n_devs, st_n_sets,
	       st_errors ? "yes" : "no");
	h_diag("revocations: %llu", all_revokes(t));
	for (int c = 0; c < P2P_VFIO_CAUSES; c++)
		if (t->revokes[c])
			h_diag("  %s: %llu", causes[c], t->revokes[c]);
	h_diag("revocations that met pinned folios: %llu", pinned);
	h_diag("faults: refused %llu, waited %llu, 2 MiB %llu, 4 KiB %llu", t->refused, t->waited, t->pmd, t->pte);
	h_diag("drain: timeouts %llu, longest %llu us", t->timeouts, t->drain_max);
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++)
		h_diag("%s: %llu", lines[i].text, count_at(lines[i].at));
}

/*
 * Of the EBUSY some are core's, and a maker may have been killed before it could
 * count its own.  One by one they are compared after each event.
 */
static void consistent(const struct totals *t)
{
	unsigned long long busy = atomic_load(&st->counts.busy), sessions = atomic_load(&st->counts.sessions);
	unsigned long long counted;

	H_CHECK(t->timeouts <= busy + st_n_sets * sessions);
	H_CHECK(t->generation <= all_revokes(t));
	for (int i = 0; i < st_n_devs; i++) {
		dev_check_rest(st_devs[i].role);
		counted = dev_revokes(st_devs[i].role, "close");
		H_CHECK(counted <= closes[i] && counted + nested[i] >= closes[i]);
	}
	H_EQ(atomic_load(&st->counts.stale), 0);
}

/* Without load it would prove nothing. */
static bool was_load(const struct totals *t, unsigned long long pinned)
{
	const struct st_counts *c = &st->counts;

	return t->refused && t->waited && pinned && atomic_load(&c->canaries_live) &&
	       atomic_load(&c->canaries_closed) > 1 && /* the first session has no close before it */
	       (!st_compares || (atomic_load(&c->verified) && atomic_load(&c->verified_under)));
}

static void was_stress(const struct totals *t, unsigned long long pinned)
{
	H_CHECK(was_load(t, pinned));
	H_CHECK(all_revokes(t) >= wanted);
}

static pid_t boys[ST_SETS];
static struct ru_ring unused;

static void set_up(void)
{
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	st = mmap(NULL, sizeof(*st), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	H_CHECK(st != MAP_FAILED);
	st_disks_set_up();
	/*
	 * The kernel patches its code when the first ring comes and when the last
	 * one goes, and not every emulator likes that on two CPUs: never the last.
	 */
	H_EQ(ru_ring_open(&unused, 1), 0);
	/* The short one is for what may wait; the other kinds shall not give up. */
	H_EQ(dev_param("hook_timeout_ms", "20000"), 0);
	H_EQ(dev_param("aer_timeout_ms", "20000"), 0);
	st_seed(seed, 0, 0);
	for (int i = 0; i < st_n_sets; i++) {
		boys[i] = fork();
		if (!boys[i]) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			st_errand_boy(i);
		}
	}
	trace_begin();
}

static void clean_up(void)
{
	for (int i = 0; i < st_n_sets; i++) {
		kill(boys[i], SIGKILL);
		waitpid(boys[i], NULL, 0);
	}
	st_disks_put_away();
}

/* A slow host gets some time more until there was load. */
static bool enough(uint64_t until)
{
	struct totals t = now();

	if (h_now_ns() >= until + EXTRA_S * 1000000000ull)
		return true;
	if (wanted)
		return all_revokes(&t) >= wanted || h_now_ns() >= until;
	return h_now_ns() >= until && was_load(&t, trace_count());
}

static void say_how_far(uint64_t began)
{
	static uint64_t last;
	struct totals t;

	if (h_now_ns() < last + 60000000000ull)
		return;
	last = h_now_ns();
	t = now();
	h_diag("after %llu s: %llu revocations, %llu zaps that left pins",
	       (unsigned long long)((last - began) / 1000000000), all_revokes(&t), trace_count());
}

static void stress(void)
{
	uint64_t began = h_now_ns(), until = began + seconds * 1000000000ull;
	unsigned long long pinned;
	struct totals t;

	set_up();
	while (!h_failed() && !enough(until)) {
		one_session(h_now_ns() < until ? until : until + EXTRA_S * 1000000000ull);
		say_how_far(began);
	}
	pinned = trace_end();
	t = now();
	report(&t, pinned, began);
	clean_up();
	if (!h_failed())
		consistent(&t);
	if (!h_failed())
		was_stress(&t, pinned);
}

static void unbind(void)
{
	for (int i = 0; i < st_n_devs; i++)
		H_CHECK(dev_unbind(st_devs[i].role, 5));
}

static void add(const char *role, const char *port, int set)
{
	struct st_dev *s = &st_devs[st_n_devs++];

	dev_bind(role, DEV_P2P);
	*s = (struct st_dev){ .role = role, .port = port, .set = set };
	snprintf(s->bdf, sizeof(s->bdf), "%s", h_pci(role));
	if (st_n_sets <= set)
		st_n_sets = set + 1;
}

int main(int argc, char **argv)
{
	struct h_case cases[] = {
		{ "everything at once", stress },
		{ "unbinding ends at once", unbind },
		{ }
	};
	bool pair = false;

	for (int i = 1; i < argc; i++) {
		sscanf(argv[i], "seed=%llu", &seed);
		sscanf(argv[i], "seconds=%llu", &seconds);
		sscanf(argv[i], "revocations=%llu", &wanted);
		pair |= !strcmp(argv[i], "pair");
		st_errors &= !!strcmp(argv[i], "noerrors");
		st_compares &= !!strcmp(argv[i], "nocompare");
	}
	/* Where locks are checked, the kernel reports its own recovery: docs/safety.md. */
	if (!access("/proc/lockdep", F_OK))
		st_errors = false;
	st_n_devs = 0;
	add("target", "target-port", 0);
	add(pair ? "sibling" : "target2", pair ? "target-port" : "target2-port", !pair);
	cases[0].deadline_s = seconds + EXTRA_S + 240;
	return h_main(1, argv, cases);
}
