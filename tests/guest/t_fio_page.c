// SPDX-License-Identifier: MIT
/*
 * t_fio_page.c - docs/fio.md: what the engine refuses, its options, the examples
 *
 * Theory of operation: what nobody has tried does not work, or is not said so.  Each
 * row of the page's table of refusals is provoked; fio must end with a status, and the
 * words be on its output and on the page, both.  The options that fio lists are looked
 * for on the page, and the example jobs run as they are.
 */
#define _GNU_SOURCE
#include "command.h"
#include "dev.h"
#include "fio.h"
#include "harness.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct dev d;

/* --------------------------------------------------------------- refusals --- */

/* A job that must not start, for a reason that the page has as well. */
static void refused_on(const char *file, const char *words, const char *more)
{
	H_CHECK(fio(P2P " --filename=%s --rw=read --bs=64k --size=256k %s", file, more));
	if (!says("vfio-p2p: ") || !says("%s", words) || !says("emedy: "))
		h_fail("fio %s does not say '%s'", more, words);
	if (!on_page(words))
		h_fail("%s does not say '%s'", PAGE, words);
}

static void refused(const char *words, const char *more)
{
	char with_device[256];

	snprintf(with_device, sizeof(with_device), "--device=%s %s", h_pci("target"), more);
	refused_on(h_disk("raw"), words, with_device);
}

static void refuses_devices(void)
{
	const char *target = h_pci("target");

	H_EQ(h_bind(target, NULL), 0);
	refused("is not bound to any driver", "");
	H_EQ(h_modprobe("vfio-pci", NULL), 0);
	H_EQ(h_bind(target, "vfio-pci"), 0);
	refused("is bound to the driver vfio-pci, not to p2p-vfio-pci", "");
	H_EQ(h_bind(target, NULL), 0);
	H_EQ(tool("bind %s", target), 0);
	refused("has no window", "");
	H_EQ(tool("window add %s 2+2M,8M", target), 0);
	refused("has no window on BAR 0", "--bar=0");
	refused("no window has any of BAR 2", "--window_offset=1m");
	H_EQ(dev_open(&d, "target"), 0);
	refused("is held by process", "");
	dev_close(&d);
	H_EQ(fio(P2P " --device=%s --filename=%s --rw=read --bs=64k --size=256k", target,
		 h_disk("raw")), 0);
	fio_unbind();
}

static void refuses_jobs(void)
{
	fio_bind();
	refused_on(h_disk("raw"), "device= does not say whose window to use", "");
	refused("direct=0: through the page cache the CPU would copy", "--direct=0");
	refused("fixedbufs=1: registered buffers are long-term pins", "--fixedbufs=1");
	refused("mem= (iomem=): the buffers of this engine lie in the window", "--mem=mmap");
	refused("region_align=3072 is no power of 2 from 4096 on", "--region_align=3k");
	refused("on_reset=wait with verify=", "--on_reset=wait --verify=crc32c");
	refused("create_serialize=0 with jobs that are processes", "--create_serialize=0");
	refused("no room for its 134217728 bytes of buffers", "--bs=64m --size=64m --iodepth=2");
	refused("no room for its 65536 bytes of buffers", "--window_size=4m --numjobs=3 --thread=1");
	refused("bs=1000 is no multiple of the 512 bytes", "--bs=1000");
	H_EQ(fio(P2P " --device=%s --filename=%s --rw=read --bs=64k --size=256k --thread=1 "
		 "--create_serialize=0 --numjobs=2", h_pci("target"), h_disk("raw")), 0);
	fio_unbind();
}

static void refuses_files(void)
{
	char device[64];

	snprintf(device, sizeof(device), "--device=%s", h_pci("target"));
	fio_bind();
	H_CHECK(make_file("/tmp/data", MIB, 1));
	refused_on("/tmp/data", "does not say that direct I/O is direct", device);
	H_EQ(h_modprobe("brd", "rd_nr=1 rd_size=1024"), 0);
	refused_on("/dev/ram0", "no peer-to-peer DMA for /dev/ram0", device);
	H_EQ(h_rmmod("brd"), 0);
	fio_unbind();
}

/* The engine with another version written into it, as if built for that. */
static void refuses_another_fio(void)
{
	static char engine[4 * MIB];
	char version[64], *at;
	ssize_t n;
	int fd;

	H_EQ(fio("--version"), 0);
	snprintf(version, sizeof(version), "%.*s", (int)strcspn(said, "\n"), said);
	fd = open(ENGINE, O_RDONLY);
	n = read(fd, engine, sizeof(engine));
	close(fd);
	H_CHECK(n > 0 && n < (ssize_t)sizeof(engine));
	at = memmem(engine, n, version, strlen(version) + 1);
	H_CHECK(at);
	at[strlen(version) - 1] ^= 1;
	fd = open("/tmp/other.so", O_CREAT | O_WRONLY, 0700);
	H_EQ(write(fd, engine, n), n);
	H_EQ(close(fd), 0);
	H_CHECK(fio("--name=job --ioengine=external:/tmp/other.so --size=1m"));
	H_CHECK(says("this engine was built for %s and cannot be loaded by %s", at, version));
	H_CHECK(on_page("this engine was built for fio-"));
}

/* ------------------------------------------------------- examples, and page --- */

static void runs_the_examples(void)
{
	static const char *const jobs[] = { "read", "write", "depths", "numjobs", "verify", "reset" };
	unsigned int i;

	fio_bind();
	H_EQ(h_write("/proc/sys/vm/nr_hugepages", "16"), 0);
	setenv("ENGINE", ENGINE, 1);
	setenv("DEVICE", h_pci("target"), 1);
	setenv("TARGET", h_disk("raw"), 1);
	setenv("SIZE", "4m", 1);
	setenv("RUNTIME", "100ms", 1);
	for (i = 0; i < sizeof(jobs) / sizeof(jobs[0]); i++) {
		H_EQ(fio("/jobs/%s.fio", jobs[i]), 0);
		H_CHECK(says("err= 0") && !says("error"));
	}
	H_EQ(h_write("/proc/sys/vm/nr_hugepages", "0"), 0);
	fio_unbind();
}

/* Those behind io_uring's last one are ours. */
static void page_has_every_option(void)
{
	char *line, *save, name[64];
	int found = 0;

	H_EQ(fio("--enghelp=" ENGINE), 0);
	line = strstr(said, "\ndevice ");
	H_CHECK(line);
	for (line = strtok_r(line, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		snprintf(name, sizeof(name), "`%.*s`", (int)strcspn(line, " ="), line);
		if (!on_page(name))
			h_fail("%s does not have %s", PAGE, name);
		found++;
	}
	H_EQ(found, 10);
}

static const struct h_case cases[] = {
	{ "devices and windows that will not do", refuses_devices, 60 },
	{ "jobs that will not do", refuses_jobs, 60 },
	{ "files that will not do", refuses_files, 60 },
	{ "another fio", refuses_another_fio },
	{ "the examples run", runs_the_examples, 120 },
	{ "the page has every option", page_has_every_option, 60 },
	{ }
};

int main(int argc, char **argv)
{
	return h_main(argc, argv, cases);
}
