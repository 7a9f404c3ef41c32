// SPDX-License-Identifier: MIT
#include "reset.h"

#include "harness.h"
#include "picture.h"
#include "story.h"
#include "timeline.h"
#include "trace.h"

#include <string.h>
#include <unistd.h>

/* Bytes a second: reads are always in flight, and it is no long wait for them. */
#define SLOW (8 << 20)

/* What a second thread sees of the device while the first one resets it. */
struct watch {
	struct display *display;
	struct timeline *timeline;
	atomic_bool stop;
	uint64_t pins_last;
};

/* Where we are in the driver's own account of the reset. */
struct account {
	struct timeline *timeline;
	struct reset_result *result;
	uint64_t shut;		/* when the gate closed */
	bool nested, refused, waits;
};

static void throttle(uint64_t bytes_per_second)
{
	int err = h_hostf(NULL, 0,
			  "{\"qmp\": {\"execute\": \"block_set_io_throttle\", \"arguments\": {"
			  "\"device\": \"pictures\", \"bps\": %llu, \"bps_rd\": 0, \"bps_wr\": 0,"
			  "\"iops\": 0, \"iops_rd\": 0, \"iops_wr\": 0}}}",
			  (unsigned long long)bytes_per_second);

	if (err)
		h_bail("the host could not throttle the disk: %s", strerror(-err));
}

static uint64_t pins(struct display *d)
{
	struct vp2p_state state;
	struct vp2p_error err;

	if (vp2p_get_state(d->dev, &state, &err))
		give_up(&err);
	return state.pinned_folios;
}

/* The state can be asked for at any time, also while the reset waits. */
static void *watcher(void *arg)
{
	struct watch *w = arg;

	while (!w->stop) {
		struct vp2p_state now;

		if (!vp2p_get_state(w->display->dev, &now, NULL) && now.state == VP2P_STATE_DRAINING &&
		    now.pinned_folios && now.pinned_folios != w->pins_last) {
			w->pins_last = now.pinned_folios;
			timeline_add(w->timeline, h_now_ns(), "draining", "%llu pinned: a read in flight has ended",
				     (unsigned long long)w->pins_last);
		}
		usleep(1000);
	}
	return NULL;
}

/* A read or the touching thread has met the closed gate.  Once of each is enough. */
static void add_fault(struct account *a, const struct trace_event *ev)
{
	bool user = strstr(ev->fields, " user ");
	bool *told = user ? &a->waits : &a->refused;

	if (*told || !strstr(ev->fields, "gate=closed"))
		return;
	*told = true;
	if (user)
		timeline_add(a->timeline, ev->ns, "a touch waits", "the thread sleeps in its page fault");
	else
		timeline_add(a->timeline, ev->ns, "a read is refused", "it may not pin, and does not wait");
}

/*
 * VFIO's reset calls the PCI core's, which asks the driver to prepare once more:
 * what is nested in the first begin and end shows when the hardware is reset.
 */
static void add_event(struct account *a, const struct trace_event *ev)
{
	long long pinned = trace_field(ev, "pinned_folios", -1);
	struct timeline *t = a->timeline;

	if (!strcmp(ev->name, "fault")) {
		add_fault(a, ev);
	} else if (!strcmp(ev->name, "begin") && !trace_field(ev, "nested", 0)) {
		a->shut = ev->ns;
		timeline_add(t, ev->ns, "gate closed", "from here on no page can be pinned");
	} else if (!strcmp(ev->name, "begin")) {
		a->nested = true;
	} else if (!strcmp(ev->name, "zapped") && !a->nested) {
		timeline_add(t, ev->ns, "zapped", "no page table leads to the window; %lld pinned", pinned);
	} else if (!strcmp(ev->name, "zapped")) {
		a->result->pins_at_reset = pinned;
		timeline_add(t, ev->ns, "device reset", "secondary bus reset; %lld pinned", pinned);
	} else if (!strcmp(ev->name, "drained") && !a->nested) {
		timeline_add(t, ev->ns, "drained", "%lld pinned: no DMA is left", pinned);
	} else if (!strcmp(ev->name, "end") && strstr(ev->fields, "gate=open")) {
		a->result->shut_ms = (double)(ev->ns - a->shut) / 1e6;
		timeline_add(t, ev->ns, "resumed", "gate open; the same mapping works on, generation %lld",
			     trace_field(ev, "generation", -1));
	}
}

static void add_trace(struct timeline *timeline, uint64_t since, struct reset_result *r)
{
	static struct trace_event ev[256];
	struct account account = { .timeline = timeline, .result = r };
	int n = trace_read(since, ev, 256);

	for (int i = 0; i < n; i++)
		add_event(&account, &ev[i]);
}

static void reset(struct display *d, struct reset_result *r)
{
	struct timeline timeline = { 0 };
	struct watch watch = { .display = d, .timeline = &timeline };
	struct vp2p_error err;
	pthread_t thread;
	uint64_t asked;

	r->pins_before = watch.pins_last = pins(d);
	pthread_create(&thread, NULL, watcher, &watch);
	asked = h_now_ns();
	if (vp2p_reset(d->dev, &err))
		give_up(&err);
	watch.stop = true;
	pthread_join(thread, NULL);
	timeline_add(&timeline, asked, "reset asked for", "%llu folios are pinned by reads in flight",
		     (unsigned long long)r->pins_before);
	add_trace(&timeline, asked, r);
	timeline_tell(&timeline);
}

/* What the reads have left in video memory, seen through the BAR's ordinary view. */
static bool data_right(struct traffic *t)
{
	for (unsigned int i = 0; i < READERS; i++) {
		size_t at = traffic_target(t, i) - t->display->pages;

		if (!picture_equals(t->display->vram + at, t->path, CHUNK))
			return false;
	}
	return true;
}

static void take_stock(struct traffic *t, struct reset_result *r)
{
	r->reads = t->whole;
	r->p2p_bytes = t->bytes;
	r->refused = t->refused;
	r->cut = t->cut;
	r->other = t->other;
	r->touches = t->touches;
	r->longest_touch_ms = (double)t->longest_ns / 1e6;
	r->touch_right = !t->touch_wrong;
	r->data_right = data_right(t);
}

/* Every thread has read once more, without anybody having mapped or opened anything anew. */
static void read_on(struct traffic *t)
{
	unsigned long before = t->whole;

	throttle(0);
	if (!h_wait_until(t->whole >= before + 2 * READERS, 20000))
		h_bail("no read ended after the reset");
}

void reset_in_mid_stream(struct display *d, const char *path, struct reset_result *r)
{
	struct traffic t = { .display = d, .path = path };

	r->pins_at_reset = -1;
	throttle(SLOW);
	traffic_start(&t);
	tell("meanwhile", "%d threads read() into the window, one touches it, all without a pause", READERS);
	tell("drive", "throttled to %d MiB/s: reads are in flight whenever the reset comes", SLOW >> 20);
	if (!h_wait_until(t.whole >= READERS && t.touches && pins(d) >= READERS, 20000))
		h_bail("the reads did not get under way");
	reset(d, r);
	read_on(&t);
	traffic_stop(&t);
	take_stock(&t, r);
}
