// SPDX-License-Identifier: GPL-2.0-only
/*
 * sysfs.c - /sys/bus/pci/devices/BDF/p2p_vfio/, readable without opening VFIO
 *
 * Documented in docs/sysfs.md; one value a file but for windows and revokes,
 * which are tables as PCI's own "resource" is.
 */
#include <linux/sysfs.h>

#include "p2p.h"

static struct p2p_device *p2p_from_dev(struct device *d)
{
	return p2p_from_pci(to_pci_dev(d));
}

static ssize_t state_show(struct device *d, struct device_attribute *attr, char *buf)
{
	static const char * const names[] = {
		[P2P_VFIO_STATE_LIVE] = "live",
		[P2P_VFIO_STATE_DRAINING] = "draining",
		[P2P_VFIO_STATE_QUIESCED] = "quiesced",
		[P2P_VFIO_STATE_GONE] = "gone",
		[P2P_VFIO_STATE_CLOSED] = "closed",
	};
	struct p2p_gate_view view;

	return sysfs_emit(buf, "%s\n",
			  names[p2p_revoke_state(p2p_from_dev(d), &view)]);
}
static DEVICE_ATTR_RO(state);

#define P2P_ATTR(field)							\
static ssize_t field##_show(struct device *d,				\
			    struct device_attribute *attr, char *buf)	\
{									\
	struct p2p_vfio_state state;					\
									\
	p2p_stats_read(p2p_from_dev(d), &state);			\
	return sysfs_emit(buf, "%llu\n", (u64)state.field);		\
}									\
static DEVICE_ATTR_RO(field)

P2P_ATTR(generation);
P2P_ATTR(pinned_folios);
P2P_ATTR(touched_folios);
P2P_ATTR(faults_pmd);
P2P_ATTR(faults_pte);
P2P_ATTR(faults_refused);
P2P_ATTR(faults_waited);
P2P_ATTR(drain_timeouts);
P2P_ATTR(drain_last_us);
P2P_ATTR(drain_max_us);
P2P_ATTR(revoke_us);

static ssize_t revoke_cause_show(struct device *d, struct device_attribute *attr,
				 char *buf)
{
	const struct p2p_gate_view view = p2p_gate_look(p2p_from_dev(d)->gate);

	return sysfs_emit(buf, "%s\n", p2p_cause_name(view.cause));
}
static DEVICE_ATTR_RO(revoke_cause);

static ssize_t provider_reason_show(struct device *d, struct device_attribute *attr,
				    char *buf)
{
	static const char * const names[] = {
		[P2P_VFIO_PROVIDER_UNTRIED] = "untried",
		[P2P_VFIO_PROVIDER_PROVEN] = "proven",
		[P2P_VFIO_PROVIDER_UNPROVEN] = "unproven",
		[P2P_VFIO_PROVIDER_DIFFERS] = "differs",
		[P2P_VFIO_PROVIDER_ASKED] = "asked",
	};

	return sysfs_emit(buf, "%s\n",
			  names[READ_ONCE(p2p_from_dev(d)->provider_reason)]);
}
static DEVICE_ATTR_RO(provider_reason);

static ssize_t revokes_show(struct device *d, struct device_attribute *attr, char *buf)
{
	struct p2p_vfio_state state;
	int i, at = 0;

	p2p_stats_read(p2p_from_dev(d), &state);
	for (i = 0; i < P2P_VFIO_CAUSES; i++)
		at += sysfs_emit_at(buf, at, "%s %llu\n", p2p_cause_name(i),
				    (u64)state.revokes[i]);
	return at;
}
static DEVICE_ATTR_RO(revokes);

static ssize_t windows_show(struct device *d, struct device_attribute *attr, char *buf)
{
	struct p2p_device *dev = p2p_from_dev(d);
	struct p2p_window *win;
	int at = 0;
	u32 id;

	p2p_for_each_window(dev, id, win)
		at += sysfs_emit_at(buf, at, "%u %u %#llx %#llx %lu %lu %s\n",
				    win->id, win->bar, win->range.start,
				    win->range.length, p2p_window_touched(win),
				    p2p_window_pinned(win),
				    win->provider->id == P2P_VFIO_PROVIDER_OWN ?
				    "own" : "standard");
	return at;
}
static DEVICE_ATTR_RO(windows);

static struct attribute *p2p_attrs[] = {
	&dev_attr_state.attr,
	&dev_attr_generation.attr,
	&dev_attr_pinned_folios.attr,
	&dev_attr_touched_folios.attr,
	&dev_attr_faults_pmd.attr,
	&dev_attr_faults_pte.attr,
	&dev_attr_faults_refused.attr,
	&dev_attr_faults_waited.attr,
	&dev_attr_drain_timeouts.attr,
	&dev_attr_drain_last_us.attr,
	&dev_attr_drain_max_us.attr,
	&dev_attr_revoke_cause.attr,
	&dev_attr_revoke_us.attr,
	&dev_attr_provider_reason.attr,
	&dev_attr_revokes.attr,
	&dev_attr_windows.attr,
	NULL,
};

static const struct attribute_group p2p_group = {
	.name = "p2p_vfio",
	.attrs = p2p_attrs,
};

const struct attribute_group *p2p_sysfs_groups[] = {
	&p2p_group,
	NULL,
};
