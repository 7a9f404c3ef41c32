// SPDX-License-Identifier: MIT
/* Opening through the character device, made to fail at each of its chances: see sweep.h. */
#define _GNU_SOURCE
#include "iommufd.h"
#include "sweep.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* The IOMMU does not stand failures while it takes a group back (7.3): it warns. */
#define TAKES_BACK "iommu_device_release_dma_owner"

static char path[64];
static int iommufd = -1, node = -1;
static uint32_t ioas;

static void close_made(void)
{
	close(made);
}

static void have_iommufd(void)
{
	struct iommufd_ioas req = { .size = sizeof(req) };

	if (iommufd >= 0)
		return;
	iommufd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	H_CHECK(iommufd >= 0);
	H_EQ(ioctl(iommufd, IOMMUFD_IOAS_ALLOC, &req), 0);
	ioas = req.out_id;
}

static void have_node(void)
{
	have_iommufd();
	if (node < 0)
		node = open(path, O_RDWR | O_CLOEXEC);
	H_CHECK(node >= 0);
}

static void close_node(void)
{
	close(node);
	node = -1;
	dev_check_rest("target");
}

static long open_iommufd(void)
{
	return result(open("/dev/iommu", O_RDWR | O_CLOEXEC));
}

static long open_node(void)
{
	return result(open(path, O_RDWR | O_CLOEXEC));
}

static long bind_node(void)
{
	struct iommufd_bind req = { .argsz = sizeof(req), .iommufd = iommufd };

	return result(ioctl(node, IOMMUFD_BIND, &req));
}

static void bound_works(void)
{
	t.d.fd = node;
	does_io();
	close_node();
}

static void still_closed(void)
{
	dev_check_rest("target");
}

static void be_open(void)
{
	have_node();
	H_EQ(bind_node(), 0);
}

static long attach(void)
{
	struct iommufd_attach req = { .argsz = sizeof(req), .pt_id = ioas };

	return result(ioctl(node, IOMMUFD_ATTACH, &req));
}

/* It was open before the call, and a failed one leaves it so. */
static void open_and_detached(void)
{
	if (node < 0)
		be_open();
}

static void detach(void)
{
	struct iommufd_detach req = { .argsz = sizeof(req) };

	H_EQ(ioctl(node, IOMMUFD_DETACH, &req), 0);
}

static void open_and_used(void)
{
	if (node >= 0)
		close_node();
	be_open();
	H_EQ(attach(), 0);
	t.d.fd = node;
	does_io();
}

/* What is left to do happens on the way out of the call; its errno is no use. */
static long close_device(void)
{
	close(node);
	node = -1;
	return 0;
}

void opening_by_cdev(void)
{
	static const struct op ops[] = {
		{ "open of the iommufd", NULL, open_iommufd, close_made, NULL, SLAB },
		{ "open of the device's node", have_iommufd, open_node, close_made, NULL, SLAB },
		{ "BIND_IOMMUFD", have_node, bind_node, bound_works, still_closed, SLAB | COPY },
		{ "ATTACH_IOMMUFD_PT", open_and_detached, attach, detach, NULL, SLAB | COPY },
		{ "close of the device's node", open_and_used, close_device, still_closed, NULL, 0, TAKES_BACK },
	};

	be_bound();
	if (dev_node(bdf, path, sizeof(path)))
		h_fail("the device has no character device");
	if (!h_failed())
		whole_life();	/* the window that is used is from here */
	for (size_t i = 0; i < sizeof(ops) / sizeof(*ops) && !h_failed(); i++)
		sweep(&ops[i]);
	close(iommufd);
}
