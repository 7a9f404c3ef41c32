// SPDX-License-Identifier: MIT
/*
 * t_stack_layers.c - block devices on top of NVMe, and disks that are none
 *
 * Theory of operation: storage_row.h.  Arrays and volumes are the kernel's own, made by
 * its ioctls (stack.h).  Transfers are longer than a chunk, so arrays that stripe use all
 * of their members, which lie on two controllers.
 */
#define _GNU_SOURCE
#include "command.h"
#include "dev.h"
#include "harness.h"
#include "stack.h"
#include "storage_row.h"

#include <errno.h>
#include <glob.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define ON_PCI "on an NVMe disk"
#define MEMBERS "mdN > nvmeNnN > nvmeN: host-bridge"

static void in_array(int level, int count, struct sr_row row)
{
	char disks[4][64];
	const char *roles[] = { "raw", "second", "third", "fourth" }, *paths[4];
	const char *md;

	for (int i = 0; i < count; i++) {
		H_CHECK(h_disk(roles[i]));
		snprintf(disks[i], sizeof(disks[i]), "%s", h_disk(roles[i]));
		paths[i] = disks[i];
	}
	md = stack_array(level, count, paths);
	H_CHECK(md);
	row.disk = md;
	sr_run(&row);
	H_EQ(stack_array_stop(), 0);
}

static void in_raid0(void)
{
	in_array(0, 2, (struct sr_row){
		.id = "raid0", .what = "md raid0 of two NVMe disks",
		.read = SR_P2P, .write = SR_P2P, .path = MEMBERS,
	});
}

static void in_raid1(void)
{
	in_array(1, 2, (struct sr_row){
		.id = "raid1", .what = "md raid1 of two NVMe disks",
		.read = SR_P2P, .write = SR_P2P, .path = MEMBERS,
	});
}

static void in_raid10(void)
{
	in_array(10, 4, (struct sr_row){
		.id = "raid10", .what = "md raid10 of four NVMe disks",
		.read = SR_P2P, .write = SR_P2P, .path = MEMBERS,
	});
}

static void in_raid5(void)
{
	in_array(5, 3, (struct sr_row){
		.id = "raid5", .what = "md raid5 of three NVMe disks",
		.read = -EREMOTEIO, .write = -EREMOTEIO,
		.copy_read = -EOPNOTSUPP, .copy_write = -EOPNOTSUPP,
		.path = "mdN: none; " MEMBERS, .doctor = 3, .finds = "layer",
		.cause = "md raid5 array, which does not pass peer-to-peer DMA on",
		.remedy = "raid0, raid1 or raid10",
	});
}

/* The disk's path is put before the parameters' last word. */
static void in_volume(const char *uuid, const char *target, const char *before,
		      const char *after, struct sr_row row)
{
	char parameters[256];

	snprintf(parameters, sizeof(parameters), "%s%s %s", before, h_disk("raw"), after);
	row.disk = stack_volume(uuid, target, parameters);
	H_CHECK(row.disk);
	row.read = row.write = -EREMOTEIO;
	row.copy_read = row.copy_write = -EOPNOTSUPP;
	row.path = "dm-N: none; dm-N > nvmeNnN > nvmeN: host-bridge";
	row.doctor = 3;
	row.finds = "layer";
	row.remedy = "without LVM, dm-crypt or dm-multipath";
	sr_run(&row);
	H_EQ(stack_volume_remove(), 0);
}

static void in_linear(void)
{
	in_volume(NULL, "linear", "", "0", (struct sr_row){
		.id = "dm-linear", .what = "device mapper, linear",
		.cause = "is a device mapper volume (unnamed), which does not pass",
	});
}

/* What lvcreate leaves in the kernel: a linear target, and a UUID that says whose it is. */
static void in_lvm(void)
{
	in_volume("LVM-0a1b2c3d4e5f6a7b8c9d0e1f2a3b4c5d6e7f8a9b0c1d2e3f4a5b6c7d8e9f0a1b",
		  "linear", "", "2048", (struct sr_row){
		.id = "lvm", .what = "LVM volume, as lvcreate leaves it in the kernel",
		.cause = "is a device mapper volume (LVM), which does not pass",
	});
}

static void in_crypt(void)
{
	H_EQ(h_modprobe("dm-crypt", NULL), 0);
	h_modprobe("aesni-intel", NULL);
	h_modprobe("xts", NULL);
	in_volume("CRYPT-PLAIN-row", "crypt",
		  "aes-xts-plain64 000102030405060708090a0b0c0d0e0f"
		  "101112131415161718191a1b1c1d1e1f 0 ", "0", (struct sr_row){
		.id = "dm-crypt", .what = "dm-crypt",
		.cause = "is a device mapper volume (CRYPT), which does not pass",
	});
}

/*
 * What an overlay hides: no member below it is known, so the request alone tells.  Cause
 * and remedy are those of any file of which nobody knows more.
 */
static void in_overlay_on_linear(void)
{
	const char *volume = stack_dm_whole(h_disk("ext4")), *overlay;

	H_CHECK(volume);
	H_EQ(h_modprobe("ext4", NULL), 0);
	mkdir("/mnt/linear", 0700);
	H_EQ(mount(volume, "/mnt/linear", "ext4", 0, NULL), 0);
	overlay = stack_overlay("/mnt/linear");
	H_CHECK(overlay);
	sr_run(&(struct sr_row){
		.id = "overlay-linear", .what = "overlayfs on ext4 on device mapper, linear",
		.file = "/mnt/overlay/row",
		.read = -EREMOTEIO, .write = -EREMOTEIO,
		.copy_read = -EOPNOTSUPP, .copy_write = -EOPNOTSUPP,
		.path = "overlay: unknown", .doctor = 3, .finds = "proof",
		.note = "an overlay does not tell what lies below: only a try does",
		.remedy = "let the CPU copy",
	});
	H_EQ(stack_overlay_remove(), 0);
	H_EQ(umount2("/mnt/linear", 0), 0);
	H_EQ(stack_volume_remove(), 0);
}

static void in_loop(void)
{
	const char *folder = h_mount("ext4", NULL);
	char file[64];

	H_CHECK(folder);
	H_EQ(h_modprobe("loop", NULL), 0);
	snprintf(file, sizeof(file), "%s/image", folder);
	H_CHECK(make_file(file, 1 << 20, 5));
	H_CHECK(stack_loop(file));
	sr_run(&(struct sr_row){
		.id = "loop", .what = "loop device on a file of ext4", .disk = "/dev/loop0",
		.read = -EREMOTEIO, .write = -EREMOTEIO,
		.copy_read = -EOPNOTSUPP, .copy_write = -EOPNOTSUPP,
		.path = "loopN: none", .doctor = 3, .finds = "layer",
		.cause = "is a loop device, which copies",
		.remedy = "use the file on its own",
	});
	H_EQ(stack_loop_clear(), 0);
	H_EQ(h_umount("ext4"), 0);
}

static const char *virtio_disk(void)
{
	static char path[64];
	char pattern[96];
	glob_t found;

	snprintf(pattern, sizeof(pattern), "/sys/bus/pci/devices/%s/virtio*/block/*",
		 h_pci("virtio"));
	if (glob(pattern, 0, NULL, &found))
		return NULL;
	snprintf(path, sizeof(path), "/dev/%s", strrchr(found.gl_pathv[0], '/') + 1);
	globfree(&found);
	return path;
}

static void on_virtio(void)
{
	H_EQ(h_modprobe("virtio_pci", NULL), 0);
	H_EQ(h_modprobe("virtio_blk", NULL), 0);
	H_CHECK(virtio_disk());
	sr_run(&(struct sr_row){
		.id = "virtio-blk", .what = "virtio-blk", .disk = virtio_disk(),
		.read = -EREMOTEIO, .write = -EREMOTEIO,
		.copy_read = -EOPNOTSUPP, .copy_write = -EOPNOTSUPP,
		.path = "vda: none", .doctor = 3, .finds = "layer",
		.cause = "virtio_blk does not take peer-to-peer memory",
		.remedy = ON_PCI,
	});
}

static const struct h_case cases[] = {
	{ "md raid0", in_raid0, 90 },
	{ "md raid1", in_raid1, 90 },
	{ "md raid10", in_raid10, 90 },
	{ "md raid5", in_raid5, 90 },
	{ "device mapper, linear", in_linear, 90 },
	{ "LVM", in_lvm, 90 },
	{ "dm-crypt", in_crypt, 90 },
	{ "overlayfs on device mapper", in_overlay_on_linear, 90 },
	{ "loop", in_loop, 90 },
	{ "virtio-blk", on_virtio, 90 },
	{ }
};

int main(int argc, char **argv)
{
	dev_bind("target", DEV_P2P);
	return h_main(argc, argv, cases);
}
