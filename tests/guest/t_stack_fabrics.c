// SPDX-License-Identifier: MIT
/*
 * t_stack_fabrics.c - an NVMe disk that is reached over a network
 *
 * Theory of operation: storage_row.h.  Target and host are both in this kernel (nvmet.h),
 * the stock modules on both sides; nothing leaves the machine.  rxe is RDMA in software,
 * where the CPU moves what a network adapter would: the kernel must refuse there what it
 * might do with an adapter.
 */
#define _GNU_SOURCE
#include "dev.h"
#include "harness.h"
#include "nvmet.h"
#include "storage_row.h"

#include <errno.h>
#include <unistd.h>

static void over(const char *transport, struct sr_row row)
{
	row.disk = nvmet_connect(transport, h_disk("second"));
	H_CHECK(row.disk);
	row.read = row.write = -EREMOTEIO;
	row.copy_read = row.copy_write = -EOPNOTSUPP;
	row.doctor = 3;
	sr_run(&row);
	H_EQ(nvmet_disconnect(), 0);
}

static void over_tcp(void)
{
	over("tcp", (struct sr_row){
		.id = "nvme-tcp", .what = "NVMe over TCP",
		.path = "nvmeNnN > nvmeN: none", .finds = "layer",
		.cause = "is reached over tcp, where the CPU copies",
		.remedy = "on an NVMe disk in a PCIe slot",
	});
}

static void over_the_loop(void)
{
	over("loop", (struct sr_row){
		.id = "nvme-loop", .what = "NVMe over the loop transport",
		.path = "nvmeNnN > nvmeN: none", .finds = "layer",
		.cause = "is reached over loop, where the CPU copies",
		.remedy = "on an NVMe disk in a PCIe slot",
	});
}

static void over_rxe(void)
{
	/*
	 * The target takes nvmet_config_sem under a connection's handler_mutex if a command
	 * comes early, and the other way round when its port goes.
	 */
	if (!access("/proc/lockdep", F_OK))
		h_skip_case("this kernel checks locks, and may report two of its own NVMe target's");
	over("rdma", (struct sr_row){
		.id = "nvme-rxe", .what = "NVMe over RDMA, rxe (in software)",
		.path = "nvmeNnN > nvmeN: unknown", .finds = "proof",
		.cause = "a layer below the file refuses peer-to-peer memory",
		.remedy = "without device mapper, loop devices or a network",
	});
}

static const struct h_case cases[] = {
	{ "NVMe over TCP", over_tcp, 90 },
	{ "NVMe over the loop", over_the_loop, 90 },
	{ "NVMe over rxe", over_rxe, 90 },
	{ }
};

int main(int argc, char **argv)
{
	dev_bind("target", DEV_P2P);
	return h_main(argc, argv, cases);
}
