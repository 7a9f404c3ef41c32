// SPDX-License-Identifier: MIT
/*
 * What single topologies promise beyond devices and disks: a disk as slow as
 * the test wants, a display the host can look at, a device that goes away.
 * Each suite names the cases its topology has.
 */
#define _GNU_SOURCE
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MIB (1 << 20)

static long long read_ms(const char *role, size_t len)
{
	const char *disk = h_disk(role);
	int fd = disk ? open(disk, O_RDONLY | O_DIRECT) : -1;
	char *buf = aligned_alloc(4096, len);
	uint64_t begin = h_now_ns();
	ssize_t n = pread(fd, buf, len, 0);

	free(buf);
	close(fd);
	return n == (ssize_t)len ? (long long)(h_now_ns() - begin) / 1000000 : -1;
}

static int set_throttle(int bytes_a_second)
{
	return h_hostf(NULL, 0, "{\"qmp\": {\"execute\": \"qom-set\", \"arguments\": "
		"{\"path\": \"/objects/throttle\", \"property\": \"limits\", "
		"\"value\": {\"bps-total\": %d}}}}", bytes_a_second);
}

static void throttle(void)
{
	long long fast, slow;

	fast = read_ms("slow", MIB);
	H_CHECK(fast >= 0);
	H_EQ(set_throttle(MIB), 0);
	/* A bucket's worth goes through at once; the rest has to wait. */
	read_ms("slow", MIB);
	slow = read_ms("slow", MIB);
	h_diag("1 MiB: %lld ms unthrottled, %lld ms at 1 MiB/s", fast, slow);
	H_CHECK(slow >= 700);
	H_EQ(set_throttle(0), 0);
	H_CHECK(read_ms("slow", MIB) < slow);
}

static void late(void)
{
	long long ms = read_ms("late", 4096);

	h_diag("4 KiB from the late disk: %lld ms", ms);
	H_CHECK(ms >= 300);
}

static void display(void)
{
	char reply[256];

	/* No mode is set: the monitor shows something of its own, of some size. */
	H_EQ(h_host("{\"screendump\": \"display\", \"pixels\": [[0, 0]]}", reply, sizeof(reply)), 0);
	h_diag("%s", reply);
	H_CHECK(strstr(reply, "\"width\""));
}

static void bar_is_memory(void)
{
	char path[128];
	char *bar;
	int fd;

	/* A driver's memory is not to be had, and an NVMe target has one. */
	H_EQ(h_bind(h_pci("target"), NULL), 0);
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource2", h_pci("target"));
	h_writef("1", "/sys/bus/pci/devices/%s/enable", h_pci("target"));
	fd = open(path, O_RDWR);
	H_CHECK(fd >= 0);
	bar = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	H_CHECK(bar != MAP_FAILED);
	strcpy(bar, "hello");
	H_EQ(strcmp(bar, "hello"), 0);
}

static void second_target(void)
{
	H_CHECK(h_pci("target2"));
	H_CHECK(strcmp(h_pci("target"), h_pci("target2")));
}

static void unplug(void)
{
	H_CHECK(h_pci("target"));
	H_EQ(h_host("{\"qmp\": {\"execute\": \"device_del\", \"arguments\": {\"id\": \"target\"}}, "
		    "\"wait\": \"DEVICE_DELETED\"}", NULL, 0), 0);
	H_CHECK(h_wait_until(!h_pci("target"), 5000));
}

static const struct h_case cases[] = {
	{ "the throttle makes the disk slow, and fast again", throttle },
	{ "the late disk is late", late },
	{ "the host sees the display", display },
	{ "BAR 2 is memory", bar_is_memory },
	{ "there are two targets", second_target },
	{ "the target can be unplugged", unplug },
	{ }
};

int main(int argc, char **argv)
{
	return h_main(argc, argv, cases);
}
