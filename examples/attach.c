// SPDX-License-Identifier: MIT
/*
 * attach BDF GROUP BAR FILE - a program that has its own VFIO code keeps it, and lends the
 * library its file descriptor
 */
#include <fcntl.h>
#include <inttypes.h>
#include <linux/vfio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "example.h"

/* What such a program has anyway: the device's fd, by its group and a container. */
static int open_by_hand(const char *bdf, const char *number)
{
	int container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC), group;
	char path[64];

	snprintf(path, sizeof(path), "/dev/vfio/%s", number);
	group = open(path, O_RDWR | O_CLOEXEC);
	if (group < 0 || ioctl(group, VFIO_GROUP_SET_CONTAINER, &container) ||
	    ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU))
		return -1;
	return ioctl(group, VFIO_GROUP_GET_DEVICE_FD, bdf);
}

int main(int argc, char **argv)
{
	struct vp2p_device *dev;
	struct vp2p_window *win;
	struct vp2p_error err;
	void *p;
	int vfio, fd;
	ssize_t n;

	if (argc != 5)
		return fprintf(stderr, "usage: %s BDF GROUP BAR FILE\n", argv[0]), 2;
	vfio = open_by_hand(argv[1], argv[2]);
	fd = open(argv[4], O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (vfio < 0 || fd < 0)
		return perror("open"), 1;
	if (vp2p_attach(vfio, argv[1], &dev, &err) ||
	    vp2p_window_create(dev, (unsigned int)atoi(argv[3]), 0, 0, 0, &win, &err) ||
	    vp2p_map(win, 0, 1 << 20, 0, &p, &err))
		die(&err);

	/* From here on it is plain POSIX. */
	n = pread(fd, p, 1 << 20, 0);
	if (n < 0)
		return perror(argv[4]), 1;
	printf("%zd bytes, sum %016" PRIx64 "\n", n, sum_of(p, (uint64_t)n));
	vp2p_unmap(p, 1 << 20, NULL);
	vp2p_window_destroy(win);
	vp2p_close(dev);	/* the fd stays this program's */
	close(vfio);
	return 0;
}
