// SPDX-License-Identifier: MIT
/*
 * A disk's controller that is reset or goes away, with reads into a window in
 * flight.
 *
 * The disk is throttled to a read a second, and more are sent than it serves while
 * the test runs.  The device is reset, by its owner and without a bound, and waits
 * for them.  Then something happens to the controller.  It gives its requests back,
 * and they are started again, or they fail; until one of the two has happened the
 * pages are held, and the reset must not have returned.  When it has, a canary is
 * written over the whole window: nothing may come after that.
 *
 * Fails without: the drain (controllers-no-drain).
 */
#define _GNU_SOURCE
#include "dev.h"
#include "harness.h"
#include "revoke_util.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/nvme_ioctl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define WINDOW (4 * DEV_MIB2)
#define READS 16
#define READ_AT (WINDOW / READS)
#define READ_SIZE ((size_t)65536)
#define OLD 21
#define CANARY 23

static struct ru_target t;
static struct ru_aio aio;

/* More reads than the throttled disk serves in seconds, and a reset that waits for them. */
static void reads_and_reset(struct ru_call *reset)
{
	int disk = open(h_disk("slow"), O_RDONLY | O_DIRECT | O_CLOEXEC);

	H_EQ(ru_timeouts(600000, 600000), 0);
	H_EQ(ru_target_open(&t, "target", WINDOW), 0);
	ru_fill(t.raw, WINDOW, OLD);
	H_EQ(ru_throttle(1), 0);
	for (int i = 0; i < READS; i++)
		H_EQ(ru_aio_read(&aio, disk, t.win + i * READ_AT, READ_SIZE, i * READ_SIZE), 0);
	close(disk);
	H_CHECK(dev_count("target", "pinned_folios") > 0);
	ru_call(reset, ru_reset, &t.d);
	H_CHECK(h_wait_until(dev_state_is("target", "draining"), 5000));
}

/* The reset must not return before the last of them. */
static void nothing_comes_late(struct ru_call *reset, bool whole)
{
	bool early = ru_done(reset) && dev_count("target", "pinned_folios") > 0;
	int late;

	h_diag("%lld folios are held", dev_count("target", "pinned_folios"));
	H_EQ(ru_throttle(0), 0);
	H_CHECK(ru_join(reset, 30000));
	ru_fill(t.raw, WINDOW, CANARY);
	H_CHECK(ru_aio_reap(&aio, 0, 0) >= 0);
	late = READS - aio.reaped;
	H_CHECK(ru_aio_reap(&aio, late, 20000) >= 0);
	H_EQ(aio.reaped, READS);
	H_EQ(ru_differs(t.raw, WINDOW, CANARY), -1);
	H_EQ(reset->ret, 0);
	H_CHECK(!early);
	H_EQ(late, 0);
	h_diag("%d of %d reads failed", aio.bad, READS);
	H_CHECK(!whole || !aio.bad);
	dev_close(&t.d);
	dev_check_rest("target");
}

static int nvme_file(const char *pattern, char *path, size_t n)
{
	char text[128];
	glob_t found;
	int ret;

	snprintf(text, sizeof(text), pattern, h_pci("slow-nvme"));
	ret = glob(text, 0, NULL, &found) ? -ENOENT : 0;
	if (!ret)
		snprintf(path, n, "%s", found.gl_pathv[0]);
	globfree(&found);
	return ret;
}

static int reset_by_sysfs(void)
{
	char path[160];

	return nvme_file("/sys/bus/pci/devices/%s/nvme/nvme*/reset_controller", path, sizeof(path)) ?:
	       h_write(path, "1");
}

static int reset_by_ioctl(void)
{
	char path[160], node[32];
	int fd, ret;

	ret = nvme_file("/sys/bus/pci/devices/%s/nvme/nvme*", path, sizeof(path));
	if (ret)
		return ret;
	snprintf(node, sizeof(node), "/dev/%s", strrchr(path, '/') + 1);
	fd = open(node, O_RDWR | O_CLOEXEC);
	ret = ioctl(fd, NVME_IOCTL_RESET) ? -errno : 0;
	close(fd);
	return ret;
}

static void controller_reset(int (*act)(void))
{
	struct ru_call reset;

	reads_and_reset(&reset);
	if (h_failed())
		return;
	/* Its requests come back, and are sent again. */
	H_EQ(act(), 0);
	nothing_comes_late(&reset, true);
}

static void controller_reset_by_sysfs(void)
{
	controller_reset(reset_by_sysfs);
}

static void controller_reset_by_ioctl(void)
{
	controller_reset(reset_by_ioctl);
}

/* The kernel has begun to remove it, and has not ended. */
static bool is_deleting(void)
{
	char path[160], state[32];

	return !nvme_file("/sys/bus/pci/devices/%s/nvme/nvme*/state", path, sizeof(path)) &&
	       !h_read(path, state, sizeof(state)) && !strncmp(state, "deleting", 8);
}

/* Removal waits for the requests in flight, and fails none. */
static void controller_removed(void)
{
	struct ru_call reset, removal;
	char bdf[16];

	snprintf(bdf, sizeof(bdf), "%s", h_pci("slow-nvme"));
	reads_and_reset(&reset);
	if (h_failed())
		return;
	ru_call(&removal, ru_remove, bdf);
	H_CHECK(h_wait_until(is_deleting(), 5000));
	nothing_comes_late(&reset, false);
	H_CHECK(ru_join(&removal, 30000));
	H_CHECK(!h_pci("slow-nvme"));
	H_EQ(h_write("/sys/bus/pci/rescan", "1"), 0);
	H_CHECK(h_wait_until(h_disk("slow"), 10000));
}

static void controller_unplugged(void)
{
	struct ru_call reset;

	reads_and_reset(&reset);
	if (h_failed())
		return;
	H_EQ(h_host("{\"qmp\": {\"execute\": \"device_del\", \"arguments\": {\"id\": \"slow-nvme\"}}}", NULL, 0), 0);
	H_CHECK(h_wait_until(is_deleting(), 12000));
	nothing_comes_late(&reset, false);
	H_CHECK(h_wait_until(!h_pci("slow-nvme"), 20000));
}

/* Nobody was told: the kernel finds out, and fails what was in flight. */
static void controller_pulled(void)
{
	struct ru_call reset;

	reads_and_reset(&reset);
	if (h_failed())
		return;
	H_EQ(ru_pull("slow-nvme"), 0);
	H_CHECK(h_wait_until(ru_done(&reset), 30000));
	nothing_comes_late(&reset, false);
	H_CHECK(h_wait_until(!h_pci("slow-nvme"), 20000));
}

/* The kernel's patience with the disk ends first: it resets the controller itself. */
static void controller_times_out(void)
{
	int kmsg = ru_kmsg();
	struct ru_call reset;
	bool seen;

	reads_and_reset(&reset);
	if (h_failed())
		return;
	/* Its first answer to a timeout is to abort the request, this the second. */
	seen = h_wait_until(ru_kmsg_says(kmsg, "timeout, reset controller"), 30000);
	close(kmsg);
	nothing_comes_late(&reset, true);
	/* On a busy host QEMU's aborts are in time now and then, all of them. */
	if (!seen && !h_failed())
		h_skip_case("the emulated disk aborted each request in time: nothing came late, but no reset was met");
}

static const struct h_case cases[] = {
	{ "the disk's controller is reset by sysfs", controller_reset_by_sysfs, 60 },
	{ "the disk's controller is reset by ioctl", controller_reset_by_ioctl, 60 },
	{ "the disk is removed", controller_removed, 60 },
	{ }
};

/* There is no disk after these. */
static const struct h_case unplugged[] = {
	{ "the disk is unplugged", controller_unplugged, 60 },
	{ }
};

static const struct h_case pulled[] = {
	{ "the disk is pulled without notice", controller_pulled, 60 },
	{ }
};

static const struct h_case timeout[] = {
	{ "the disk is too slow for the kernel", controller_times_out, 90 },
	{ }
};

int main(int argc, char **argv)
{
	static const struct { const char *name; const struct h_case *cases; } parts[] = {
		{ "unplugged", unplugged }, { "pulled", pulled }, { "timeout", timeout },
	};

	dev_bind("target", DEV_P2P);
	for (size_t i = 0; argc > 1 && i < sizeof(parts) / sizeof(*parts); i++)
		if (!strcmp(argv[1], parts[i].name))
			return h_main(argc - 1, argv + 1, parts[i].cases);
	return h_main(argc, argv, cases);
}
