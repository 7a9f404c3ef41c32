// SPDX-License-Identifier: MIT
/* reader BDF BAR FILE - reads the first MiB of a file into a BAR, and says which way it went */
#include <fcntl.h>
#include <inttypes.h>

#include "example.h"

int main(int argc, char **argv)
{
	struct vp2p_device *dev;
	struct vp2p_window *win;
	struct vp2p_io_report report;
	struct vp2p_error err;
	struct vp2p_io *io;
	void *p;
	int fd = argc == 4 ? open(argv[3], O_RDONLY | O_CLOEXEC) : -1;

	if (fd < 0)
		return fprintf(stderr, "usage: %s BDF BAR FILE\n", argv[0]), 2;
	if (vp2p_open(argv[1], 0, &dev, &err) ||
	    vp2p_window_create(dev, (unsigned int)atoi(argv[2]), 0, 0, 0, &win, &err) ||
	    vp2p_io_open(win, fd, VP2P_IO_READ, 0, &io, &err) ||
	    vp2p_pread(io, 0, 1 << 20, 0, &report, &err) < 0 ||
	    vp2p_map(win, 0, 1 << 20, VP2P_MAP_RDONLY, &p, &err))
		die(&err);
	printf("%" PRIu64 " bytes peer-to-peer by %s, %" PRIu64 " by the CPU, sum %016" PRIx64 "\n",
	       report.bytes_p2p, vp2p_route_name(report.route), report.bytes_bounced,
	       sum_of(p, report.bytes_p2p));
	vp2p_unmap(p, 1 << 20, NULL);
	vp2p_io_close(io);
	vp2p_window_destroy(win);
	vp2p_close(dev);
	return 0;
}
