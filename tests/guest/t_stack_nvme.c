// SPDX-License-Identifier: MIT
/*
 * t_stack_nvme.c - NVMe commands of the program's own, with a window as their buffer
 *
 * Theory of operation: storage_row.h, with other calls than read() and write(): the ioctls
 * of the disk and io_uring's command on its character device.  The kernel maps their
 * buffers by itself, and where it cannot it copies: a buffer that breaks the disk's DMA
 * alignment must be seen to be moved by the CPU.  An admin command has no disk whose queue
 * could take such pages, so it must be refused; and so must a command that is longer than
 * the disk takes, since nobody would split it.
 */
#define _GNU_SOURCE
#include "dev.h"
#include "harness.h"
#include "storage_row.h"
#include "vfio-p2p.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/fs.h>
#include <linux/nvme_ioctl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define NVME_WRITE 1
#define NVME_READ 2
#define NVME_IDENTIFY 6
#define SKEW 2	/* less than an NVMe disk's DMA alignment, which is 4 */

static unsigned int block_size(int fd)
{
	int size = 0;

	ioctl(fd, BLKSSZGET, &size);
	return (unsigned int)size;
}

/* From the disk's first block on. */
static unsigned int last_block(int fd)
{
	return (unsigned int)SR_SIZE / block_size(fd) - 1;
}

/* An NVMe status is positive. */
static ssize_t outcome(int rc)
{
	return rc < 0 ? -errno : rc ? -EIO : (ssize_t)SR_SIZE;
}

static ssize_t by_ioctl(const struct sr_row *row, void *buffer, bool writing)
{
	int fd = open(row->disk, O_RDWR | O_CLOEXEC);
	struct nvme_passthru_cmd cmd = {
		.opcode = writing ? NVME_WRITE : NVME_READ,
		.nsid = (unsigned int)ioctl(fd, NVME_IOCTL_ID),
		.addr = (uintptr_t)buffer, .data_len = SR_SIZE, .cdw12 = last_block(fd),
	};
	ssize_t n = outcome(ioctl(fd, NVME_IOCTL_IO_CMD, &cmd));

	close(fd);
	return n;
}

static long long most_bytes(const char *disk)
{
	char path[96];

	snprintf(path, sizeof(path), "/sys/class/block/%s/queue/max_hw_sectors_kb",
		 strrchr(disk, '/') + 1);
	return h_read_int(path) * 1024;
}

/* By one block.  The window's mapping is longer. */
static ssize_t by_ioctl_long(const struct sr_row *row, void *buffer, bool writing)
{
	int fd = open(row->disk, O_RDWR | O_CLOEXEC);
	unsigned int length = (unsigned int)most_bytes(row->disk) + block_size(fd);
	struct nvme_passthru_cmd cmd = {
		.opcode = writing ? NVME_WRITE : NVME_READ,
		.nsid = (unsigned int)ioctl(fd, NVME_IOCTL_ID),
		.addr = (uintptr_t)buffer, .data_len = length,
		.cdw12 = length / block_size(fd) - 1,
	};
	ssize_t n = outcome(ioctl(fd, NVME_IOCTL_IO_CMD, &cmd));

	close(fd);
	return n;
}

static ssize_t by_ioctl64(const struct sr_row *row, void *buffer, bool writing)
{
	int fd = open(row->disk, O_RDWR | O_CLOEXEC);
	struct nvme_passthru_cmd64 cmd = {
		.opcode = writing ? NVME_WRITE : NVME_READ,
		.nsid = (unsigned int)ioctl(fd, NVME_IOCTL_ID),
		.addr = (uintptr_t)buffer, .data_len = SR_SIZE, .cdw12 = last_block(fd),
	};
	ssize_t n = outcome(ioctl(fd, NVME_IOCTL_IO64_CMD, &cmd));

	close(fd);
	return n;
}

/* The data lies SKEW bytes further on in the window than the row looks for it. */
static ssize_t by_ioctl_skewed(const struct sr_row *row, void *buffer, bool writing)
{
	char *skewed = (char *)buffer + SKEW;
	ssize_t n;

	if (writing)
		memmove(skewed, buffer, SR_SIZE);
	n = by_ioctl(row, skewed, writing);
	if (!writing && n > 0)
		memmove(buffer, skewed, SR_SIZE);
	return n;
}

/* "/dev/nvme0n1" is "/dev/ng0n1". */
static int open_generic(const char *disk)
{
	char path[64];

	snprintf(path, sizeof(path), "/dev/ng%s", disk + strlen("/dev/nvme"));
	return open(path, O_RDWR | O_CLOEXEC);
}

static int submit(struct io_uring *ring, int fd, const struct nvme_uring_cmd *cmd)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	struct io_uring_cqe *cqe;
	int rc;

	if (!sqe)
		return -EPROTO;
	memset(sqe, 0, 2 * sizeof(*sqe));
	sqe->opcode = IORING_OP_URING_CMD;
	sqe->fd = fd;
	sqe->cmd_op = NVME_URING_CMD_IO;
	memcpy(sqe->cmd, cmd, sizeof(*cmd));
	rc = io_uring_submit_and_wait(ring, 1);
	if (rc != 1 || io_uring_peek_cqe(ring, &cqe))
		return -EPROTO;
	rc = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return rc;
}

static ssize_t by_uring(const struct sr_row *row, void *buffer, bool writing)
{
	int disk = open(row->disk, O_RDONLY | O_CLOEXEC), fd = open_generic(row->disk), rc;
	struct nvme_uring_cmd cmd = {
		.opcode = writing ? NVME_WRITE : NVME_READ,
		.nsid = (unsigned int)ioctl(fd, NVME_IOCTL_ID),
		.addr = (uintptr_t)buffer, .data_len = SR_SIZE, .cdw12 = last_block(disk),
	};
	struct io_uring ring;

	rc = io_uring_queue_init(2, &ring, IORING_SETUP_SQE128 | IORING_SETUP_CQE32);
	if (!rc) {
		rc = submit(&ring, fd, &cmd);
		io_uring_queue_exit(&ring);
	}
	close(fd);
	close(disk);
	return rc < 0 ? rc : rc ? -EIO : (ssize_t)SR_SIZE;
}

/* Identify Controller: the answer is to go into the window. */
static ssize_t by_admin(const struct sr_row *row, void *buffer, bool writing)
{
	int fd = open(row->disk, O_RDONLY | O_CLOEXEC);
	struct nvme_admin_cmd cmd = {
		.opcode = NVME_IDENTIFY, .addr = (uintptr_t)buffer, .data_len = 4096,
		.cdw10 = 1,
	};
	ssize_t n = outcome(ioctl(fd, NVME_IOCTL_ADMIN_CMD, &cmd));

	(void)writing;
	close(fd);
	return n;
}

static void ioctl_32(void)
{
	sr_run(&(struct sr_row){
		.id = "nvme-ioctl", .what = "NVMe command by ioctl NVME_IOCTL_IO_CMD",
		.disk = h_disk("raw"), .transfer = by_ioctl, .bare = true,
		.read = SR_P2P, .write = SR_P2P,
	});
}

static void ioctl_64(void)
{
	sr_run(&(struct sr_row){
		.id = "nvme-ioctl64", .what = "the same by NVME_IOCTL_IO64_CMD",
		.disk = h_disk("raw"), .transfer = by_ioctl64, .bare = true,
		.read = SR_P2P, .write = SR_P2P,
	});
}

static void uring(void)
{
	sr_run(&(struct sr_row){
		.id = "nvme-uring", .what = "the same by io_uring, NVME_URING_CMD_IO on /dev/ngXnY",
		.disk = h_disk("raw"), .transfer = by_uring, .bare = true,
		.read = SR_P2P, .write = SR_P2P,
	});
}

static void skewed(void)
{
	sr_run(&(struct sr_row){
		.id = "nvme-skewed", .what = "NVMe command, buffer not aligned to 4 bytes",
		.disk = h_disk("raw"), .transfer = by_ioctl_skewed, .bare = true,
		.read = SR_CPU, .write = SR_CPU,
		.note = "a buffer that breaks the disk's DMA alignment is copied, without a word",
		.remedy = "align it to 4 bytes or more (queue/dma_alignment)",
	});
}

static void too_long(void)
{
	long long most = most_bytes(h_disk("raw"));

	H_CHECK(most >= (long long)SR_SIZE && most < (long long)VP2P_GRANULE);
	sr_run(&(struct sr_row){
		.id = "nvme-long", .what = "NVMe command that is longer than the disk takes",
		.disk = h_disk("raw"), .transfer = by_ioctl_long, .bare = true,
		.read = -EINVAL, .write = -EINVAL,
		.note = "a command is not split",
		.remedy = "no more than queue/max_hw_sectors_kb in one (128 with a translating IOMMU)",
	});
}

static void admin(void)
{
	sr_run(&(struct sr_row){
		.id = "nvme-admin", .what = "NVMe admin command (Identify)",
		.disk = h_disk("raw"), .transfer = by_admin, .bare = true, .no_write = true,
		.read = -EINVAL,
		.note = "the admin queue has no disk, so its pages are asked for without the "
			"permission",
		.remedy = "let it answer into RAM",
	});
}

static const struct h_case cases[] = {
	{ "NVME_IOCTL_IO_CMD", ioctl_32 },
	{ "NVME_IOCTL_IO64_CMD", ioctl_64 },
	{ "NVME_URING_CMD_IO", uring },
	{ "a buffer that is not aligned", skewed },
	{ "a command that is too long", too_long },
	{ "an admin command", admin },
	{ }
};

int main(int argc, char **argv)
{
	dev_bind("target", DEV_P2P);
	return h_main(argc, argv, cases);
}
