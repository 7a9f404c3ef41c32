// SPDX-License-Identifier: MIT
/* What is done to a device, and asked of it, beside features and mappings: see fuzz.h. */
#define _GNU_SOURCE
#include "fuzz.h"
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define CONFIG VFIO_PCI_CONFIG_REGION_INDEX
#define PCI_COMMAND 4
#define LOW_POWER_EXIT 5


static long result(long ret)
{
	return ret < 0 ? -errno : ret;
}

/* Resets.  a[0] device. */

long fz_run_reset(struct fz *f, const struct fz_call *c)
{
	struct fz_dev *d = fz_dev(f, c->a[0] & 0xff);
	struct fz_expect e = { 0 };
	uint64_t from = h_now_ns();
	long ret = result(ioctl(d->d.fd, VFIO_DEVICE_RESET, c->a[1]));

	if (f->racy)
		FZ_MAY(&e, EBUSY, EINTR, EAGAIN);
	FZ_MAY(&e, ENOTTY);
	fz_judge(f, &e, ret);
	fz_acts(f, d, ret >= 0, 1);
	fz_look_power(f, d);
	f->stats.slow_ns += h_now_ns() - from;
	return ret;
}

/*
 * a[0] device, a[1] argsz and flags, a[2] count, a[3] what the array holds: four
 * bits an entry; a[4] where it lies.
 */
struct hot_reset {
	struct vfio_pci_hot_reset hdr;
	int32_t fds[300];
};

static int32_t odd_fd(struct fz *f, struct fz_dev *d, unsigned int kind)
{
	const int32_t fds[] = {
		d->d.group, d->d.group, d->d.group, d->d.fd, d->d.container, -1, f->s->efd[0],
		f->s->pipe, f->s->null, f->s->closed, INT32_MAX, INT32_MIN, fz_dev(f, 1)->d.group,
		fz_dev(f, 0)->d.group, 0, f->s->disk,
	};

	return fds[kind & 15];
}

static void judge_hot_reset(struct fz *f, struct fz_dev *d, const struct hot_reset *r,
			    uint64_t place, struct fz_expect *e)
{
	bool owned = false;

	/* ENOTTY: the link was not up in 100 ms, which the PCI core takes for a failure. */
	FZ_MAY(e, EINVAL, EBUSY, EAGAIN, EINTR, ENODEV, ENOTTY);
	if (r->hdr.argsz < sizeof(r->hdr) || r->hdr.flags || !r->hdr.count == !d->d.cdev)
		fz_must(e, EINVAL);
	if (place)
		fz_must(e, EFAULT);
	for (uint32_t i = 0; i < r->hdr.count && i < 300; i++) {
		owned |= !d->d.cdev && r->fds[i] == d->d.group;
		/* Core finds a wrong fd before it counts. */
		if (fcntl(r->fds[i], F_GETFD) < 0)
			fz_must(e, EBADF);
	}
	if (!owned && !d->d.cdev)
		e->fails = true;
	FZ_MAY(e, EBADF, ENOMEM);
	(void)f;
}

long fz_run_hot_reset(struct fz *f, const struct fz_call *c)
{
	struct fz_dev *d = fz_dev(f, c->a[0] & 0xff);
	struct hot_reset r = { .hdr = { .argsz = c->a[1], .flags = c->a[1] >> 32, .count = c->a[2] } };
	uint64_t from = h_now_ns(), place = c->a[4] % 4 == 3, there = c->a[4] / 4 % (sizeof(r.hdr) + 1);
	struct fz_expect e = { 0 };
	char *at = (char *)&r;
	long ret;

	for (int i = 0; i < 300; i++)
		r.fds[i] = odd_fd(f, d, c->a[3] >> i % 16 * 4);
	/* Who gives no array does not miss it. */
	judge_hot_reset(f, d, &r, place && (r.hdr.count || !d->d.cdev || there < sizeof(r.hdr)), &e);
	if (place) {
		/* The header, or nothing of it, and the array is missing. */
		at = f->page + FZ_PAGE - there;
		memcpy(at, &r, f->page + FZ_PAGE - at);
	}
	ret = result(ioctl(d->d.fd, VFIO_DEVICE_PCI_HOT_RESET, at));
	fz_judge(f, &e, ret);
	/* One that fails half-way has reset the device, or not. */
	fz_acts(f, d, ret >= 0, ret >= 0 || ret == -ENOTTY);
	fz_look_power(f, d);
	memset(f->page, 0x5a, FZ_PAGE);
	f->stats.slow_ns += h_now_ns() - from;
	return ret;
}

/*
 * Regions and config space by read and write.  a[0] device, write (bit 8), where
 * the buffer is (16..23); a[1] file offset, a[2] bytes; a[3..6] what is written.
 */

static char *buffer(struct fz *f, const struct fz_call *c, unsigned int *kind, size_t n)
{
	struct fz_place *in;
	char *at;

	*kind = (c->a[0] >> 16 & 0xff) % 8;
	switch (*kind) {
	case 5:
		return f->page_ro;
	case 6:
		return f->page + FZ_PAGE - n / 2;	/* and then nothing */
	case 7:
		at = fz_window_page(f, c->a[0] >> 24, &in);
		return at ?: f->page + 8;
	}
	*kind = 0;
	return f->page + 8;
}

/*
 * Left alone, since the emulated device would not come back from it, or start
 * DMA of its own: the registers of an NVMe controller (config_only).  A config
 * write can do no lasting harm: what it switches off, "mend" switches on.
 */
static bool forbidden(const struct fz_dev *d, uint64_t position, bool write)
{
	uint64_t index = position >> 40;

	return write && d->config_only && index < 6 && index != d->bar;
}

static void judge_region(struct fz *f, struct fz_dev *d, const struct fz_call *c,
			 unsigned int kind, bool write, struct fz_expect *e)
{
	uint64_t index = c->a[1] >> 40;

	FZ_MAY(e, EINVAL, EFAULT, EIO, ENOMEM, EOVERFLOW, ENXIO, EPERM, ERANGE);
	if (f->racy)
		FZ_MAY(e, EBUSY, EINTR);
	if (c->a[2] && c->a[1] <= INT64_MAX && index > 8)
		e->fails = true;	/* also at a window's cookie */
	if (c->a[2] && kind == 5 && !write && index == CONFIG && (c->a[1] & 0xffffffffff) < 256)
		e->fails = true;
	(void)d;
}

static void took_region(struct fz *f, struct fz_dev *d, const struct fz_call *c, long ret, bool acts)
{
	unsigned int n = d - f->s->dev;

	(void)c;
	(void)ret;
	if (!acts)
		return;
	fz_acts(f, d, 1, 1);
	fz_look_power(f, d);
	if (f->racy || d->usable != 1)
		f->debt[n] = f->debt[n] ?: 12;
}

long fz_run_region(struct fz *f, const struct fz_call *c)
{
	struct fz_dev *d = fz_dev(f, c->a[0] & 0xff);
	bool write = c->a[0] >> 8 & 1, acts;
	size_t n = c->a[2] > 2048 ? 2048 : c->a[2];
	uint64_t inside = c->a[1] & 0xffffffffff;
	struct fz_expect e = { 0 };
	unsigned int kind;
	char *buf = buffer(f, c, &kind, n);
	long ret;

	if (forbidden(d, c->a[1], write))
		return -EAGAIN;
	if (write && kind != 7)
		memcpy(kind == 6 ? buf : f->page + (kind == 5 ? 0 : 8), &c->a[3],
		       n / 2 < 32 ? n / 2 : 32);
	judge_region(f, d, c, kind, write, &e);
	acts = write && c->a[1] >> 40 == CONFIG && fz_config_acts(d, inside, n);
	ret = result(write ? pwrite(d->d.fd, buf, n, c->a[1]) : pread(d->d.fd, buf, n, c->a[1]));
	fz_judge(f, &e, ret);
	if (ret > (long)n)
		fz_fail(f, "%ld bytes of %zu", ret, n);
	/* A negative offset does not reach the driver. */
	took_region(f, d, c, ret, acts && c->a[1] <= INT64_MAX && n);
	memset(f->page, 0x5a, FZ_PAGE);
	return ret;
}

/*
 * Other ioctls.  Not SET_IRQS and IOEVENTFD, which let a device do something
 * later.  a[0] device, a[1] which, a[2] argsz, a[3] index.
 */
long fz_run_info(struct fz *f, const struct fz_call *c)
{
	static const unsigned int nrs[] = { 7, 8, 9, 12, 3, 4, 6, 30, 31, 63, 155 };
	struct fz_dev *d = fz_dev(f, c->a[0] & 0xff);
	unsigned int nr = nrs[c->a[1] % (sizeof(nrs) / sizeof(*nrs))];
	uint32_t *req = (uint32_t *)(f->page + 64);
	struct fz_expect e = { 0 };
	long ret;

	memset(req, 0, 256);
	req[0] = c->a[2] % 257;
	req[2] = c->a[3];
	FZ_MAY(&e, EINVAL, ENOTTY, ENOSPC, EFAULT, ENODEV, ENOMEM);
	ret = result(ioctl(d->d.fd, _IO(VFIO_TYPE, (VFIO_BASE + nr) & 0xff), req));
	fz_judge(f, &e, ret);
	memset(f->page, 0x5a, FZ_PAGE);
	return ret;
}

/* Does an added eventfd know of what has happened?  a[0] which. */
long fz_run_event(struct fz *f, const struct fz_call *c)
{
	unsigned int n = c->a[0] % (FZ_EFDS - 2);
	uint64_t count;
	long ret = result(read(f->s->efd[n], &count, sizeof(count)));
	struct fz_expect e = { 0 };
	bool pending = false;

	for (int i = 0; i < f->s->nr_devs; i++) {
		pending |= f->s->dev[i].pending[n];
		if (!f->racy)
			f->s->dev[i].pending[n] = false;
	}
	if (f->racy || !pending)
		fz_may(&e, EAGAIN);
	fz_judge(f, &e, ret);
	return ret;
}

/* A second fd of the open device, and its close; not through the character device.  a[0] device. */
long fz_run_dup(struct fz *f, const struct fz_call *c)
{
	struct fz_dev *d = fz_dev(f, c->a[0] & 0xff);
	struct fz_expect e = { 0 };
	struct dev other;
	long ret = dev_open_beside(&other, &d->d, d->role);

	if (d->d.cdev)
		fz_must(&e, EINVAL);
	fz_judge(f, &e, ret);
	if (!ret) {
		struct p2p_vfio_state s;

		if (dev_state(&other, &s))
			fz_fail(f, "STATE through a second fd");
		close(other.fd);
	}
	return ret;
}

/* The last close, and the next open.  a[0] device. */
long fz_run_reopen(struct fz *f, const struct fz_call *c)
{
	struct fz_dev *d = fz_dev(f, c->a[0] & 0xff);
	uint64_t from = h_now_ns();
	int err;

	fz_arena_clear(f);
	dev_close(&d->d);
	if (!h_wait_until(dev_state_is(d->role, "closed"), 5000))
		fz_fail(f, "closed, and its state is another");
	if (dev_count(d->role, "touched_folios") || dev_count(d->role, "pinned_folios"))
		fz_fail(f, "closed, and folios are touched or pinned");
	err = fz_open(f->s, d - f->s->dev);
	if (err)
		fz_fail(f, "open: %s", strerrorname_np(-err));
	memset(d->added, 0, sizeof(d->added));
	memset(d->pending, 0, sizeof(d->pending));
	fz_acts(f, d, 1, 3);
	f->debt[d - f->s->dev] = 0;
	f->stats.slow_ns += h_now_ns() - from;
	return err;
}

/* sysfs.  a[0] device, a[1] which attribute, a[2] odd: it is written. */

static const char *const attributes[] = {
	"state", "generation", "pinned_folios", "touched_folios", "faults_pmd", "faults_pte",
	"faults_refused", "faults_waited", "drain_timeouts", "drain_last_us", "drain_max_us",
	"revokes", "windows", "provider_reason",
};

static void check_attribute(struct fz *f, struct fz_dev *d, const char *name, const char *text)
{
	unsigned int lines = 0;

	for (const char *c = text; *c; c++)
		lines += *c == '\n' || !c[1];
	if (f->racy)
		return;
	if (!strcmp(name, "state") && strcmp(text, "live"))
		fz_fail(f, "sysfs: the state is %s", text);
	if (!strcmp(name, "windows") && lines != d->nr_windows)
		fz_fail(f, "sysfs: %u lines of windows, not %u", lines, d->nr_windows);
	if (!strcmp(name, "revokes") && lines != P2P_VFIO_CAUSES)
		fz_fail(f, "sysfs: %u lines of revokes", lines);
	if (!strcmp(name, "generation") && strtoull(text, NULL, 10) != d->last.generation)
		fz_fail(f, "sysfs: generation %s, not %llu", text, d->last.generation);
}

long fz_run_sysfs(struct fz *f, const struct fz_call *c)
{
	const char *name = attributes[c->a[1] % (sizeof(attributes) / sizeof(*attributes))];
	struct fz_dev *d = fz_dev(f, c->a[0] & 0xff);
	char path[128], text[4096] = "";
	struct fz_expect e = { 0 };
	long ret;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/p2p_vfio/%s", d->d.bdf, name);
	if (c->a[2] & 1) {
		FZ_MAY(&e, EACCES, EPERM, EIO);
		e.fails = true;
		ret = h_write(path, "1");
		fz_judge(f, &e, ret);
		return ret;
	}
	fz_look(f, d);
	ret = h_read(path, text, sizeof(text));
	fz_judge(f, &e, ret);
	check_attribute(f, d, name, text);
	return ret;
}

/* a[0] device. */
long fz_run_sysfs_reset(struct fz *f, const struct fz_call *c)
{
	struct fz_dev *d = fz_dev(f, c->a[0] & 0xff);
	uint64_t from = h_now_ns();
	struct fz_expect e = { 0 };
	char path[64];
	long ret;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/reset", d->d.bdf);
	FZ_MAY(&e, ENOTTY, EAGAIN);
	if (f->racy)
		FZ_MAY(&e, EBUSY, EINTR);
	ret = h_write(path, c->a[1] % 4 == 3 ? "0" : "1");
	if (c->a[1] % 4 == 3)
		fz_must(&e, EINVAL);
	fz_judge(f, &e, ret);
	fz_acts(f, d, ret >= 0, ret >= 0 || ret == -ENOTTY);
	fz_look_power(f, d);
	f->stats.slow_ns += h_now_ns() - from;
	return ret;
}

/* Module parameters.  a[0] which, a[1] value. */

static const char *const params[] = {
	"drain_timeout_ms", "hook_timeout_ms", "aer_timeout_ms", "unprivileged_windows", "disable_vga",
};
static const struct {
	const char *text;
	bool number, truth, brief;
} values[] = {
	/* Of a truth only the first letter counts. */
	{ "30000", true }, { "3600000", true }, { "10000", true, true }, { "60000", true },
	{ "3600001" }, { "-1" }, { "99999999999999999999" }, { "4294967296" }, { "" },
	{ "x" }, { "10 000", .truth = true }, { "Y", .truth = true }, { "N", .truth = true },
	{ "0", true, true, true }, { "0x10", true, true, true }, { "1", true, true, true },
};

/*
 * Brief times only of drains that may be refused: what cannot be refused would
 * go on under the others' I/O, as it should, and the next open be refused.
 */
long fz_run_param(struct fz *f, const struct fz_call *c)
{
	unsigned int n = c->a[0] % 5, v = c->a[1] % (sizeof(values) / sizeof(*values));
	struct fz_expect e = { 0 };
	long ret;

	if ((n == 1 || n == 2) && values[v].brief)
		return -EAGAIN;
	ret = dev_param(params[n], values[v].text);
	if (n == 4) {
		e.fails = true;
		FZ_MAY(&e, EACCES, EPERM, EIO);
	} else if (!(n == 3 ? values[v].truth : values[v].number)) {
		/* An empty text: a write of no bytes does nothing. */
		FZ_MAY(&e, EINVAL, ERANGE);
		e.fails = *values[v].text;
	}
	fz_judge(f, &e, ret);
	return ret;
}

/*
 * Everything on again: low power left, D0, memory enabled, no timeouts so brief
 * that they would refuse.  a[0] device.
 */
long fz_run_mend(struct fz *f, const struct fz_call *c)
{
	struct fz_dev *d = fz_dev(f, c->a[0] & 0xff);
	uint16_t command = 6, d0 = 0;

	if (!dev_feature(&d->d, VFIO_DEVICE_FEATURE_SET | LOW_POWER_EXIT, NULL, 0)) {
		fz_acts(f, d, 1, 1);
		d->engaged = 0;
	}
	if (d->pm && dev_config_write(&d->d, d->pm + 4, &d0, 2) == 2)
		fz_acts(f, d, 1, 1);
	if (dev_config_write(&d->d, PCI_COMMAND, &command, 2) == 2)
		fz_acts(f, d, 1, 1);
	f->debt[d - f->s->dev] = 0;
	fz_look_power(f, d);
	if (!f->racy && d->usable != 1)
		fz_fail(f, "the device's memory cannot be switched on again");
	return 0;
}
