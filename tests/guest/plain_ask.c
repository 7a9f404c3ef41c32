// SPDX-License-Identifier: MIT
/* What a VFIO program asks a device, and what it should not ask: see t_plain.c. */
#define _GNU_SOURCE
#include "plain.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE 4096

/* Information */

static void ask_info(unsigned long request, const char *what, unsigned int index)
{
	static const unsigned int sizes[] = { 0, 4, 8, 12, 16, 24, 28, 32, 40, 256, 4096 };
	union {
		uint32_t word[1024];
		char bytes[4096];
	} arg;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		memset(&arg, 0, sizeof(arg));
		arg.word[0] = sizes[i];
		/* Both of region and irq info have the index in the third word. */
		arg.word[2] = index;
		TELL(ioctl(d.fd, request, &arg), "%s %u, %u bytes", what, index, sizes[i]);
		hex(&arg, 128);
	}
}

void information(void)
{
	ask_info(VFIO_DEVICE_GET_INFO, "device info", 0);
	for (int i = 0; i < VFIO_PCI_NUM_REGIONS + 3; i++)
		ask_info(VFIO_DEVICE_GET_REGION_INFO, "region info", i);
	for (int i = 0; i < VFIO_PCI_NUM_IRQS + 3; i++)
		ask_info(VFIO_DEVICE_GET_IRQ_INFO, "irq info", i);
	ask_info(VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, "hot reset info", 0);
}

static void feature(uint32_t flags, size_t size)
{
	char data[512] = "";
	struct vfio_device_feature *req = (void *)data;

	req->argsz = sizeof(*req) + size;
	req->flags = flags;
	TELL(ioctl(d.fd, VFIO_DEVICE_FEATURE, req), "feature %#x, %zu bytes", flags, size);
	hex(data, 64);
}

/* SET is for those alone that change nothing for good: the low-power ones. */
void features(void)
{
	static const uint32_t ways[] = {
		0, VFIO_DEVICE_FEATURE_PROBE, VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_GET,
		VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_SET,
		VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET,
		VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET, 1u << 19, 1u << 31,
	};

	for (uint32_t number = 0; number <= 20; number++) {
		for (size_t w = 0; w < sizeof(ways) / sizeof(*ways); w++)
			feature(number | ways[w], 64);
		/* Feature 11, a dma-buf, is tried with arguments that mean something. */
		if (number != 11)
			feature(number | VFIO_DEVICE_FEATURE_GET, 64);
		feature(number | VFIO_DEVICE_FEATURE_GET, 0);
	}
	feature(0x1234 | VFIO_DEVICE_FEATURE_GET, 64);
	feature(0xffff | VFIO_DEVICE_FEATURE_SET, 64);
}

void low_power(void)
{
	int bar = dev_bar(&d);
	uint32_t word;

	for (uint32_t number = 3; number <= 5; number++) {
		feature(number | VFIO_DEVICE_FEATURE_SET, number == 4 ? 8 : 0);
		TELL(pread(d.fd, &word, 4, dev_region_offset(&d, bar)), "memory in low power, %u", number);
		TELL(dev_config_read(&d, 0, &word, 4), "config space in low power, %u", number);
		feature(5 | VFIO_DEVICE_FEATURE_SET, 0);
	}
	TELL(pread(d.fd, &word, 4, dev_region_offset(&d, bar)), "memory after low power");
}

static void dma_buf(uint32_t region, uint32_t flags, uint64_t offset, uint64_t length)
{
	struct {
		struct vfio_device_feature hdr;
		uint32_t region, open_flags, flags, nr;
		uint64_t offset, length;
	} req = { { sizeof(req), 11 | VFIO_DEVICE_FEATURE_GET }, region, O_RDWR | O_CLOEXEC, flags, 1, offset, length };
	int fd = ioctl(d.fd, VFIO_DEVICE_FEATURE, &req), err = errno;

	say("dma-buf of region %u, flags %u, %#llx + %#llx: %s, %lld bytes\n", region, flags,
	    (unsigned long long)offset, (unsigned long long)length, fd < 0 ? strerrorname_np(err) : "made",
	    fd < 0 ? 0ll : (long long)lseek(fd, 0, SEEK_END));
	if (fd >= 0)
		close(fd);
}

void dma_bufs(void)
{
	int bar = dev_bar(&d);

	dma_buf(bar, 0, 0, 1 << 20);
	dma_buf(bar, 0, PAGE, PAGE);
	dma_buf(bar, 1, 0, PAGE);
	dma_buf(bar, 0, 1, PAGE);
	dma_buf(bar, 0, 0, 0);
	dma_buf(bar, 0, dev_bar_size(&d, bar), PAGE);
	dma_buf(VFIO_PCI_CONFIG_REGION_INDEX, 0, 0, PAGE);
	dma_buf(99, 0, 0, PAGE);
}

/* Nonsense */

void unknown_ioctls(void)
{
	static char zeros[4096];

	for (int nr = 100; nr < 130; nr++) {
		unsigned long request = _IO(VFIO_TYPE, nr);

		if (request == VFIO_DEVICE_RESET)
			continue;
		TELL(ioctl(d.fd, request, NULL), "ioctl %d, no argument", nr);
		TELL(ioctl(d.fd, request, zeros), "ioctl %d, all zero", nr);
	}
	TELL(ioctl(d.fd, 0), "ioctl 0");
	TELL(ioctl(d.fd, FIONREAD, zeros), "FIONREAD");
}

void file_calls(void)
{
	struct pollfd p = { d.fd, POLLIN | POLLOUT, 0 };
	struct stat st;
	char link[128] = "";

	TELL(lseek(d.fd, 0, SEEK_END), "lseek");
	TELL(ftruncate(d.fd, 0), "ftruncate");
	TELL(fallocate(d.fd, 0, 0, PAGE), "fallocate");
	TELL(fsync(d.fd), "fsync");
	TELL(poll(&p, 1, 0), "poll");
	TELL(fcntl(d.fd, F_GETFL), "flags");
	TELL(fstat(d.fd, &st), "fstat");
	say("mode %o, size %lld, revents %x\n", st.st_mode, (long long)st.st_size, p.revents);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", d.fd);
	memset(link + 32, 0, sizeof(link) - 32);
	TELL(readlink(link, link + 32, 95), "name");
	say("%s\n", link + 32);
}

static void second_fd(const char *words)
{
	char name[128];
	int fd;

	snprintf(name, sizeof(name), "%s%s", d.bdf, words);
	errno = 0;
	fd = ioctl(d.group, VFIO_GROUP_GET_DEVICE_FD, name);
	say("another fd, '%s': %s\n", words, fd < 0 ? strerrorname_np(errno) : "given");
	if (fd >= 0)
		close(fd);
}

void other_fds(void)
{
	second_fd("");
	second_fd(" vf_token=00112233-4455-6677-8899-aabbccddeeff");
	second_fd(" nonsense");
	second_fd("0");
	TELL(ioctl(d.group, VFIO_GROUP_GET_DEVICE_FD, "0000:00:00.0"), "fd of another device");
	TELL(ioctl(d.container, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU), "type1");
}
