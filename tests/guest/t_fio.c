// SPDX-License-Identifier: MIT
/*
 * t_fio.c - Debian's own fio with the engine vfio-p2p, on a real driver and disks
 *
 * Theory of operation: what could go wrong is that the data does not go where fio says
 * it goes; that jobs share bytes; that a request is lost or mixed up when a reset cuts it.
 *
 * Data: the disk has blocks that the CPU has stamped with their numbers, the window is
 * wiped by the CPU, and after fio has ended the window is looked at by the CPU, through
 * the BAR's ordinary mapping: each buffer must have one whole block, each another one,
 * and all else must be wiped still.  As many buffers with blocks as iodepth says can
 * only be if so many requests were in flight, since fio takes the buffer that was given
 * back last.  The driver's count of 2 MiB faults tells that the pages were pinned
 * through the window.  Jobs meet at a barrier before their first request: so all have
 * their buffers at the same time, however slow this machine is.
 *
 * Resets: the disk takes 300 ms for each command, and the device is reset from outside
 * until the driver says that it has turned a pin away.
 *
 * What is refused, the examples and the page are t_fio_page.c's.
 */
#define _GNU_SOURCE
#include "command.h"
#include "dev.h"
#include "fio.h"
#include "harness.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define BLOCK (64 * KIB)
#define BLOCKS 128		/* stamped: 8 MiB */
#define WIPED 0xeeeeeeeeeeeeeeeeull
#define STAMP 0x7032700000000000ull

static struct dev d;

/* ------------------------------------------------------------------- data --- */

static bool stamp_disk(const char *disk)
{
	uint64_t *block = aligned_alloc(4096, BLOCK);
	int fd = open(disk, O_WRONLY | O_DIRECT);
	bool fine = fd >= 0;
	unsigned int i, word;

	for (i = 0; i < BLOCKS && fine; i++) {
		for (word = 0; word < BLOCK / 8; word++)
			block[word] = STAMP | (uint64_t)i << 20 | word;
		fine = pwrite(fd, block, BLOCK, (off_t)i * BLOCK) == BLOCK;
	}
	close(fd);
	free(block);
	return fine;
}

/* The BAR by its ordinary mapping: no window, no page of one. */
static uint64_t *look(void)
{
	if (dev_open(&d, "target"))
		return NULL;
	return dev_map_raw(&d, 2, 0, 64 * MIB);
}

static bool wipe(void)
{
	uint64_t *bar = look();

	if (bar)
		memset(bar, 0xee, 64 * MIB);
	dev_close(&d);
	return bar;
}

/* Which block of the disk that is, whole; -1: wiped, whole; -2: neither. */
static int block_at(const uint64_t *at)
{
	uint64_t first = at[0];
	unsigned int word;

	for (word = 1; word < BLOCK / 8; word++)
		if (at[word] != (first == WIPED ? WIPED : first + word))
			return -2;
	if (first == WIPED)
		return -1;
	return (first & ~0xfffffffull) == STAMP && !(first & 0xfffff) ? (int)(first >> 20 & 0xff) : -2;
}

/*
 * After @jobs jobs with @depth blocks each, whose buffers begin @stride bytes apart,
 * from @from on: every buffer has a block, no two the same, those of a job are @depth
 * that follow each other on the disk, and there is nothing anywhere else.
 */
static bool landed(unsigned int from, unsigned int jobs, unsigned int depth, unsigned int stride)
{
	const char *bar = (const char *)look();
	bool seen[BLOCKS] = { };
	unsigned int slot, job, k;
	bool fine = bar;

	for (slot = 0; slot < 64 * MIB / BLOCK && fine; slot++) {
		unsigned int at = slot * BLOCK;
		int block = block_at((const uint64_t *)(bar + at));

		job = at < from ? jobs : (at - from) / stride;
		k = at < from ? 0 : (at - from) % stride / BLOCK;
		if (job < jobs && k < depth) {
			fine = block >= 0 && block < BLOCKS && !seen[block] &&
			       block / (int)depth ==
			       block_at((const uint64_t *)(bar + from + job * stride)) / (int)depth;
			if (fine)
				seen[block] = true;
		} else {
			fine = block == -1;
		}
		if (!fine)
			h_fail("slot %u of job %u has block %d", k, job, block);
	}
	dev_close(&d);
	return fine;
}

/* -------------------------------------------------------------------- fio --- */

static void windowed(void)
{
	fio_bind();
	H_CHECK(wipe());
}

/*
 * Run by each of fio's jobs before its first request (exec_prerun), in this program
 * with the environment it has been given: returns when all have come.
 */
static int barrier(int jobs)
{
	char name[64];
	int i = 0;

	mkdir("/tmp/barrier", 0700);
	do {
		snprintf(name, sizeof(name), "/tmp/barrier/%d", i++);
	} while (mkdir(name, 0700) && i <= jobs);
	snprintf(name, sizeof(name), "/tmp/barrier/%d", jobs - 1);
	return h_wait_until(!access(name, F_OK), 60000) ? 0 : 1;
}

/* -------------------------------------------------------- where data lands --- */

static void reads_into_the_window(void)
{
	long long pmd, pte;

	H_CHECK(stamp_disk(h_disk("raw")));
	windowed();
	pmd = dev_count("target", "faults_pmd");
	pte = dev_count("target", "faults_pte");
	H_EQ(fio(P2P " --device=%s --filename=%s --rw=read --bs=64k --size=512k --iodepth=8 "
		 "--populate=0", h_pci("target"), h_disk("raw")), 0);
	H_CHECK(says("route host-bridge"));
	/* The disk's DMA faulted in what it needed: nobody else has touched it. */
	H_EQ(dev_count("target", "faults_pmd"), pmd + dev_has_pmd());
	H_EQ(dev_count("target", "faults_pte"), pte + (dev_has_pmd() ? 0 : 8 * 64 / 4));
	H_CHECK(landed(0, 1, 8, 2 * MIB));
	fio_unbind();
}

/* And a thread of the kernel's submits, which pins in this process's name. */
static void begins_where_it_is_told(void)
{
	H_CHECK(stamp_disk(h_disk("raw")));
	windowed();
	H_EQ(fio(P2P " --device=%s --bar=2 --window_offset=3m --window_size=2m --region_align=64k "
		 "--filename=%s --rw=read --bs=64k --size=256k --iodepth=4 "
		 "--registerfiles --sqthread_poll", h_pci("target"), h_disk("raw")), 0);
	H_CHECK(says("from 0x300000 on"));
	H_CHECK(landed(3 * MIB, 1, 4, 2 * MIB));
	fio_unbind();
}

static void jobs_do_not_overlap(bool threads, const char *align, unsigned int stride)
{
	H_CHECK(stamp_disk(h_disk("raw")));
	windowed();
	setenv("T_FIO_BARRIER", "8", 1);
	H_EQ(fio(P2P " --device=%s --filename=%s --rw=read --bs=64k --size=256k --iodepth=4 "
		 "--numjobs=8 --offset_increment=256k --thread=%d --region_align=%s "
		 "--exec_prerun=/bin/t_fio", h_pci("target"), h_disk("raw"), threads, align), 0);
	unsetenv("T_FIO_BARRIER");
	H_EQ(ended(begun("busybox", "rm -r /tmp/barrier")), 0);
	H_CHECK(landed(0, 8, 4, stride));
	fio_unbind();
}

static void threads_share_a_window(void)
{
	jobs_do_not_overlap(true, "4k", 256 * KIB);
}

static void processes_share_a_window(void)
{
	jobs_do_not_overlap(false, "2m", 2 * MIB);
}

/* Jobs after one another use the same bytes: 20 MiB in a window of 4. */
static void jobs_give_back(void)
{
	windowed();
	H_EQ(fio("--ioengine=external:" ENGINE " --direct=1 --device=%s --window_size=4m "
		 "--filename=%s --rw=read --bs=1m --size=4m --iodepth=4 "
		 "--name=a --name=b --stonewall --name=c --stonewall --thread=1 --name=d --stonewall "
		 "--name=e --stonewall", h_pci("target"), h_disk("raw")), 0);
	fio_unbind();
}

static void checks_what_it_wrote(const char *path, const char *more)
{
	const char *what = "--rw=randwrite --bsrange=4k-128k --size=4m --iodepth=16 "
			   "--verify=crc32c --verify_fatal=1 --verify_state_save=0";
	int fd;

	windowed();
	H_EQ(fio(P2P " --device=%s --filename=%s %s %s", h_pci("target"), path, what, more), 0);
	/* What has been checked would have been found: the same with one byte changed. */
	fd = open(path, O_RDWR);
	H_EQ(pwrite(fd, "?", 1, MIB + 12345), 1);
	H_EQ(fsync(fd), 0);
	H_EQ(close(fd), 0);
	H_CHECK(fio(P2P " --device=%s --filename=%s %s %s --verify_only", h_pci("target"), path,
		    what, more));
	H_CHECK(says("crc32c: verify failed at file %s", path));
	fio_unbind();
}

static void verifies_raw(void)
{
	checks_what_it_wrote(h_disk("raw"), "");
}

static void verifies_ext4(void)
{
	const char *folder = h_mount("ext4", NULL);
	char path[64];

	H_CHECK(folder);
	snprintf(path, sizeof(path), "%s/data", folder);
	checks_what_it_wrote(path, "--thread=1 --write_combining=1");
	H_EQ(unlink(path), 0);
	H_EQ(h_umount("ext4"), 0);
}

/* The CPU puts the pattern into the window; the disk fetches it there. */
static void writes_from_the_window(void)
{
	static uint64_t back[MIB / 8];
	const char *bar;
	int fd, i;

	windowed();
	H_EQ(fio(P2P " --device=%s --filename=%s --rw=write --bs=64k --size=1m --iodepth=4 "
		 "--buffer_pattern=0x5a --scramble_buffers=0", h_pci("target"), h_disk("raw")), 0);
	H_CHECK(!says("the CPU writes into the window"));
	fd = open(h_disk("raw"), O_RDONLY | O_DIRECT);
	H_EQ(pread(fd, back, MIB, 0), MIB);
	close(fd);
	for (i = 0; i < (int)(MIB / 8); i++)
		H_EQ(back[i], 0x5a5a5a5a5a5a5a5all);
	bar = (const char *)look();
	H_CHECK(bar && !memcmp(bar, back, 4 * BLOCK));
	dev_close(&d);
	fio_unbind();
}

/* ----------------------------------------------------------------- resets --- */

static int reset(void)
{
	return h_writef("1", "/sys/bus/pci/devices/%s/reset", h_pci("target"));
}

/* Until one has turned a request away. */
static bool reset_meets_io(void)
{
	long long refused = dev_count("target", "faults_refused");
	int i;

	for (i = 0; i < 200; i++) {
		if (dev_count("target", "faults_refused") > refused)
			return true;
		if (reset())
			return false;
	}
	return false;
}

static pid_t reads_late(const char *more)
{
	pid_t pid = begun("fio", P2P " --device=%s --filename=%s --rw=randread --norandommap "
			  "--bs=64k --iodepth=8 --time_based --runtime=600 --allow_file_create=0 %s",
			  h_pci("target"), h_disk("late"), more);

	if (!h_wait_until(dev_count("target", "pinned_folios") > 0, 60000))
		h_fail("no request of fio's has pinned a page");
	return pid;
}

static void a_reset_is_an_error(void)
{
	pid_t pid;

	windowed();
	pid = reads_late("");
	H_CHECK(reset_meets_io());
	H_EQ(ended(pid), 1);
	H_CHECK(says("Bad address"));
	H_CHECK(says("on_reset=wait repeats what meets one"));
	fio_unbind();
}

static void a_reset_is_waited_for(void)
{
	pid_t pid;
	int i;

	windowed();
	pid = reads_late("--on_reset=wait");
	for (i = 0; i < 3; i++)
		H_CHECK(reset_meets_io());
	H_EQ(kill(pid, SIGINT), 0);
	H_EQ(ended(pid), 128);		/* fio's own, for a signal */
	H_CHECK(says("err= 0"));
	H_CHECK(says("requests met a reset and went again"));
	H_CHECK(!says("Bad address"));
	fio_unbind();
}

/* Each block written and read back right, whatever is reset meanwhile. */
static void data_survives_resets(void)
{
	siginfo_t info = { };
	long long before;
	pid_t pid;

	windowed();
	before = dev_count("target", "faults_refused");
	pid = begun("fio", P2P " --device=%s --filename=%s --rw=randwrite --bs=64k --size=4m "
		    "--iodepth=16 --loops=3 --verify=crc32c --verify_fatal=1 --on_reset=wait "
		    "--memory_kept=1 --verify_state_save=0", h_pci("target"), h_disk("raw"));
	while (!waitid(P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT) && !info.si_pid) {
		/* Between two resets the buffers (16 of 64 KiB) come back, or fio could not begin. */
		h_wait_until(dev_count("target", "touched_folios") * dev_folio() >= MIB, 1000);
		if (reset())
			break;
	}
	H_EQ(ended(pid), 0);
	H_CHECK(says("err= 0"));
	h_diag("%lld pins were turned away", dev_count("target", "faults_refused") - before);
	fio_unbind();
}

/* Requests are cut short then, between two pages, and not only turned away. */
static void so_it_does_on_pages(void)
{
	H_EQ(dev_param("small_folios", "1"), 0);
	data_survives_resets();
	H_EQ(dev_param("small_folios", "0"), 0);
}

static const struct h_case cases[] = {
	{ "reads land in the window, each in its buffer", reads_into_the_window, 60 },
	{ "buffers begin where they are told to", begins_where_it_is_told, 60 },
	{ "eight threads share a window", threads_share_a_window, 120 },
	{ "eight processes share a window", processes_share_a_window, 120 },
	{ "jobs give their buffers back", jobs_give_back, 60 },
	{ "writes come from the window", writes_from_the_window, 60 },
	{ "fio verifies what it wrote to a disk", verifies_raw, 60 },
	{ "fio verifies what it wrote to ext4, by threads", verifies_ext4, 60 },
	{ "a reset is an error, and says so", a_reset_is_an_error, 120 },
	{ "a reset is waited for", a_reset_is_waited_for, 120 },
	{ "data survives resets", data_survives_resets, 120 },
	{ "data survives resets on pages of 4 KiB", so_it_does_on_pages, 120 },
	{ }
};

int main(int argc, char **argv)
{
	const char *jobs = getenv("T_FIO_BARRIER");

	return jobs ? barrier(atoi(jobs)) : h_main(argc, argv, cases);
}
