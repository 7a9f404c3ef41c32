// SPDX-License-Identifier: MIT
/* Calls that are made to fail at each of their chances: see sweep.h. */
#define _GNU_SOURCE
#include "sweep.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* So often in a row may a call have fewer chances than the last time. */
#define MISSES 3
#define MAX_CHANCES 5000

enum fault_kind kind;
char bdf[16], peer[16];
struct ru_target t;
struct p2p_vfio_state was;
int disk, disk_data[IO / 4] __attribute__((aligned(RU_PAGE)));
long made;
bool took;

static int fds;

long result(long ret)
{
	return ret < 0 ? -errno : ret;
}

static int count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (d && readdir(d))
		n++;
	closedir(d);
	return n;
}

const char *driver(void)
{
	static char name[64];

	return h_driver(bdf, name, sizeof(name)) ? "?" : name;
}

void does_io(void)
{
	char *win = dev_map(&t.d, t.cookie, LENGTH);

	H_CHECK(win);
	memset(win, 0, IO);
	H_EQ(pread(disk, win, IO, 0), IO);
	H_EQ(memcmp(win, disk_data, IO), 0);
	dev_unmap(&t.d, win);
}

void open_target(void)
{
	struct p2p_vfio_window w;

	H_EQ(dev_open(&t.d, "target"), 0);
	t.bar = dev_bar(&t.d);
	H_EQ(dev_window_set(&t.d, t.bar, 0, LENGTH, 0, &w), 0);
	t.cookie = w.mmap_offset;
}

void close_target(void)
{
	dev_close(&t.d);
}

void whole_life(void)
{
	open_target();
	if (!h_failed())
		does_io();
	close_target();
	if (!h_failed())
		dev_check_rest("target");
}

/* The sweep */

/* What the kind of failure is called where it is documented. */
static const int errnos[FAULT_KINDS] = {
	[FAULT_SLAB] = ENOMEM, [FAULT_PAGE] = ENOMEM, [FAULT_COPY] = EFAULT,
};

static void failed(const struct op *op, unsigned int n)
{
	if (-made != errnos[kind])
		h_fail("%s: chance %u failed, and the call with %s", op->name, n,
		       strerrorname_np(-made));
	if (op->unchanged)
		op->unchanged();
	H_EQ(count_fds(), fds);
	took = false;
	made = op->call();
	if (made < 0)
		h_fail("%s: after chance %u had failed it was repeated, and failed with %s",
		       op->name, n, strerrorname_np(-made));
}

/* One call, with the nth chance taken.  False if it had no nth. */
static bool take_chance(const struct op *op, unsigned int n, unsigned int *refused)
{
	bool taken;

	if (op->before)
		op->before();
	if (h_failed())
		return false;
	fds = count_fds();
	fault_arm(n);
	made = op->call();
	taken = took = fault_disarm();
	if (made < 0 && !took) {
		h_fail("%s failed with %s, and nothing had been made to fail", op->name,
		       strerrorname_np(-made));
	} else if (made < 0) {
		++*refused;
		failed(op, n);
	}
	if (!h_failed() && op->after)
		op->after();
	return taken;
}

void sweep(const struct op *op)
{
	unsigned int taken = 0, refused = 0, misses = 0;

	H_CHECK(fault_choose(kind, op->spared));
	fault_disarm();		/* opens what it needs, once */

	for (unsigned int n = 1; misses < MISSES && n < MAX_CHANCES && !h_failed(); n++) {
		if (take_chance(op, n, &refused)) {
			taken++;
			misses = 0;
		} else {
			misses++;
		}
		if (h_failed())
			h_diag("%s: at chance %u", op->name, n);
	}
	h_diag("%s: %u chances to fail, %u made it fail", op->name, taken, refused);
	H_EQ(misses, MISSES);
	if (op->must & 1u << kind)
		H_CHECK(taken);
}

void same_state(void)
{
	struct p2p_vfio_state now;

	H_EQ(dev_state(&t.d, &now), 0);
	H_EQ(now.pinned_folios, 0);
	/* A revocation that begins counts as begun, whatever comes of it. */
	memcpy(now.revokes, was.revokes, sizeof(now.revokes));
	now.drain_last_us = was.drain_last_us;
	now.drain_max_us = was.drain_max_us;
	H_EQ(now.windows, was.windows);
	H_EQ(now.state, was.state);
	H_EQ(now.generation, was.generation);
	H_CHECK(ru_same_state(&was, &now));
}

void note_state(void)
{
	H_EQ(dev_state(&t.d, &was), 0);
}

/* Sweeps of calls on the open device. */
void sweep_open(const struct op *op)
{
	open_target();
	if (!h_failed())
		sweep(op);
	close_target();
	if (!h_failed())
		dev_check_rest("target");
}

/* Whatever the case before has left. */
void be_bound(void)
{
	dev_bind("target", DEV_P2P);
}

static int bind_fd, unbind_fd;

void open_ports(void)
{
	bind_fd = open("/sys/bus/pci/drivers/" DEV_P2P "/bind", O_WRONLY | O_CLOEXEC);
	unbind_fd = open("/sys/bus/pci/drivers/" DEV_P2P "/unbind", O_WRONLY | O_CLOEXEC);
	if (bind_fd < 0 || unbind_fd < 0)
		h_fail("the driver's bind and unbind cannot be opened");
}

long bind_it(void)
{
	return result(pwrite(bind_fd, bdf, strlen(bdf), 0));
}

long unbind_it(void)
{
	return result(pwrite(unbind_fd, bdf, strlen(bdf), 0));
}

void unbind_now(void)
{
	if (!strcmp(driver(), DEV_P2P))
		H_CHECK(unbind_it() > 0);
	H_EQ(*driver(), 0);
}

void prepare(void)
{
	disk = open(h_disk("raw"), O_RDWR | O_DIRECT | O_CLOEXEC);
	for (size_t i = 0; i < IO / 4; i++)
		disk_data[i] = i * 2654435761u;
	if (pwrite(disk, disk_data, IO, 0) != IO)
		h_bail("the raw disk cannot be written");
	snprintf(bdf, sizeof(bdf), "%s", h_pci("target"));
	snprintf(peer, sizeof(peer), "%s", h_pci("nvme"));
}
