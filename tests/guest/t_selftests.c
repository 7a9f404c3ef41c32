// SPDX-License-Identifier: MIT
/*
 * The kernel's own tests of VFIO, on both drivers.
 *
 * Theory of operation.  The programs of tools/testing/selftests/vfio (built by
 * tools/vfio-selftests, not changed) know nothing of this driver.  Each is run with
 * the target bound to vfio-pci, and then to p2p-vfio-pci with windows registered at both
 * ends of its BAR and in the middle; the results are compared test by test.  What fails
 * or is skipped under vfio-pci has to fail or be skipped here as well, so a kernel without
 * one of their ways in (the stock ones have no iommufd) needs no list of exceptions; but
 * each program must have passed what it is expected to pass under vfio-pci, or nothing
 * would be compared.
 *
 * The target is an NVMe controller: their library maps each BAR, and cannot map one that
 * is smaller than a page (ivshmem's registers: mmap_reserve() fails).
 *
 * vfio_pci_driver_test and the SR-IOV test are not among them: the first wants one of
 * four devices that it can drive, none of which this emulator has, and the second
 * that the driver's name be vfio-pci.
 *
 * Guards whose removal must make a case fail: the operations of p2p_ops that bind and
 * attach (a mode each), mmap of ordinary offsets, reset, and what is read of regions
 * and interrupts.
 */
#define _GNU_SOURCE
#include "dev.h"
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_RESULTS 64
#define DEADLINE 900

struct results {
	int n, passed;
	struct {
		char verdict[16], name[112];
	} of[MAX_RESULTS];
};

static struct results plain, ours;

/* "ok 3 fixture.variant.test # SKIP why", or "not ok ..." */
static void take(struct results *r, const char *line)
{
	bool bad = !strncmp(line, "not ok ", 7);
	char name[112];

	if ((!bad && strncmp(line, "ok ", 3)) || r->n == MAX_RESULTS ||
	    sscanf(line + (bad ? 7 : 3), "%*d %111s", name) != 1)
		return;
	snprintf(r->of[r->n].name, sizeof(name), "%s", name);
	snprintf(r->of[r->n++].verdict, sizeof(r->of[0].verdict), "%s",
		 bad ? "failed" : strstr(line, "# SKIP") ? "skipped" : "passed");
	r->passed += !bad && !strstr(line, "# SKIP");
}

static bool has_iommufd(void)
{
	return !access("/dev/iommu", R_OK | W_OK);
}

static void be_program(const char *program, const char *mode, int out)
{
	char path[64];

	snprintf(path, sizeof(path), "/bin/%s", program);
	if (*mode)
		setenv("VFIO_SELFTESTS_MODE", mode, 1);
	dup2(out, STDOUT_FILENO);
	dup2(out, STDERR_FILENO);
	execl(path, program, h_pci("target"), NULL);
	_exit(127);
}

/* Runs it, and takes its results; what it says is in the verdict. */
static void run(struct results *r, const char *program, const char *mode)
{
	int pipefd[2], status = -1;
	char line[512];
	pid_t pid;
	FILE *f;

	*r = (struct results){ 0 };
	H_EQ(pipe2(pipefd, O_CLOEXEC), 0);
	pid = fork();
	if (!pid)
		be_program(program, mode, pipefd[1]);
	close(pipefd[1]);
	f = fdopen(pipefd[0], "re");
	while (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		h_diag("%s", line);
		take(r, line);
	}
	fclose(f);
	waitpid(pid, &status, 0);
	h_diag("%s %s: %d results, %d passed; status %d", program, mode, r->n, r->passed, status);
}

static void compare(const char *program)
{
	H_EQ(ours.n, plain.n);
	for (int i = 0; i < plain.n; i++) {
		if (strcmp(plain.of[i].name, ours.of[i].name))
			h_fail("%s: result %d is of %s under vfio-pci, of %s here", program, i,
			       plain.of[i].name, ours.of[i].name);
		if (strcmp(plain.of[i].verdict, ours.of[i].verdict))
			h_fail("%s: %s %s under vfio-pci, and %s here", program, plain.of[i].name,
			       plain.of[i].verdict, ours.of[i].verdict);
	}
}

/* They last until the driver is unbound. */
static void register_windows(void)
{
	struct p2p_vfio_window w;
	static struct dev d;
	uint64_t size;
	int bar;

	H_EQ(dev_open(&d, "target"), 0);
	bar = dev_bar(&d);
	size = dev_bar_size(&d, bar);
	H_EQ(dev_window_set(&d, bar, 0, 2 * DEV_MIB2, 0, &w), 0);
	H_EQ(dev_window_set(&d, bar, size / 2, DEV_MIB2, 0, &w), 0);
	H_EQ(dev_window_set(&d, bar, size - DEV_MIB2, DEV_MIB2, 0, &w), 0);
	dev_close(&d);
}

/*
 * How many must pass under vfio-pci, with the ways of type 1 alone, and with all five.
 * (The stock kernels have huge pages of 2 MiB for the first program besides, which the
 * debug kernel has not.)
 */
static void same_results(const char *program, const char *mode, int type1, int all)
{
	dev_bind("target", DEV_PLAIN);
	run(&plain, program, mode);
	H_EQ(plain.passed, has_iommufd() ? all : type1);
	dev_bind("target", DEV_P2P);
	register_windows();
	run(&ours, program, mode);
	compare(program);
	if (h_failed())
		return;
	dev_check_rest("target");
	H_CHECK(dev_unbind("target", 5));
}

static void dma_mapping(void)
{
	same_results("vfio_dma_mapping_test", "", 10, 20);
}

static void dma_mapping_mmio(void)
{
	same_results("vfio_dma_mapping_mmio_test", "", 6, 15);
}

static void iommufd_setup(void)
{
	if (!has_iommufd())
		h_skip_case("this kernel has no iommufd");
	same_results("vfio_iommufd_setup_test", "", 0, 6);
}

static void device_by_type1(void)
{
	same_results("vfio_pci_device_test", "vfio_type1_iommu", 4, 4);
}

static void device_by_type1v2(void)
{
	same_results("vfio_pci_device_test", "vfio_type1v2_iommu", 4, 4);
}

static void device_by_iommufd(void)
{
	if (!has_iommufd())
		h_skip_case("this kernel has no iommufd");
	same_results("vfio_pci_device_test", "iommufd", 0, 4);
	if (!h_failed())
		same_results("vfio_pci_device_test", "iommufd_compat_type1v2", 0, 4);
}

static void init_perf(void)
{
	same_results("vfio_pci_device_init_perf_test", "", 2, 5);
}

static const struct h_case cases[] = {
	{ "vfio_dma_mapping_test", dma_mapping, DEADLINE },
	{ "vfio_dma_mapping_mmio_test", dma_mapping_mmio, DEADLINE },
	{ "vfio_iommufd_setup_test", iommufd_setup, DEADLINE },
	{ "vfio_pci_device_test by type 1", device_by_type1, DEADLINE },
	{ "vfio_pci_device_test by type 1 version 2", device_by_type1v2, DEADLINE },
	{ "vfio_pci_device_test by iommufd", device_by_iommufd, DEADLINE },
	{ "vfio_pci_device_init_perf_test", init_perf, DEADLINE },
	{ }
};

int main(int argc, char **argv)
{
	/* Their huge pages; whoever gets none skips. */
	h_write("/proc/sys/vm/nr_hugepages", "4");
	return h_main(argc, argv, cases);
}
