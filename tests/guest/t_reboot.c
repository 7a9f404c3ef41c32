// SPDX-License-Identifier: MIT
/*
 * The machine starts again, or another kernel does, with reads in flight into a
 * window.
 *
 * Neither a reset of this machine nor a kexec touches the memory behind the
 * target's BAR: it is what the first life leaves to the second.
 *
 * The kernel shuts devices down in the reverse of the order in which it found
 * them.  NVMe's shutdown waits for what is in flight, 30 s at most.  So there are
 * two cases: the disk's controller comes after the target, whose gate then closes
 * under reads ("under"), or before it ("idle").
 *
 * "leaves HOW": reads from the throttled disk are in flight for two seconds and
 * more, a thread touches the window all the time, a pin is held that nobody will
 * ever end, and init is asked for the next life.  The eventfd tells a thread that
 * the gate closes; it looks at the counters, tries a direct read, and writes what
 * it saw behind the window, through the raw view.  A shutdown that does not close
 * the gate leaves no record; one that waits for the pin never comes to the next
 * life, and the machine's time runs out.
 *
 * "arrives ORDER": the record must be there, and what was in flight must have arrived.
 * Then, with neither NVMe nor VFIO driver loaded (an NVMe driver begins with a
 * reset of its controller, which would hide what is still in flight), a canary is
 * written over the window, and the throttle is taken off.  Whatever the disk
 * still had for the window would come now, and the canary must be whole, then
 * and when the disk has been read through its driver.
 */
#define _GNU_SOURCE
#include "dev.h"
#include "harness.h"
#include "matrix.h"
#include "revoke_util.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define WINDOW (4 * DEV_MIB2)
#define BAR_SIZE (64ul << 20)
#define RECORD (BAR_SIZE - RU_PAGE)	/* where it is in the BAR */
#define BAR 2
#define READS 32
#define READ_SIZE (64 * 1024)
#define STRIDE (WINDOW / READS)
#define HELD (STRIDE - RU_PAGE)		/* a page that no read covers */
#define IOPS 16
#define OLD 44
#define CANARY 55
#define MAGIC 0x5eed1eafu

/* What the first life leaves behind. */
struct record {
	uint32_t magic;
	uint32_t shutdowns;	/* revocations counted under that cause */
	uint32_t draining;	/* the state said so */
	uint32_t in_flight;	/* reads, at that moment */
	uint32_t waited;	/* touching threads at the gate */
	int32_t read;		/* what a direct read into the window returned */
	uint32_t by_kexec;	/* this life was begun so */
};

static struct ru_target t;
static struct ru_aio aio;
static volatile struct record *record;
static bool under;		/* the gate closed under reads */
static bool by_kexec;

/* There are no cases here, which would end with their processes. */
#define MUST(cond) \
	do { \
		if (!(cond)) \
			h_bail("%s:%d: %s (errno: %s)", __FILE__, __LINE__, #cond, strerror(errno)); \
	} while (0)

/* The first life */

static int events, disk;

static long touch_all_the_time(void *arg)
{
	(void)arg;
	for (;;)
		*(volatile char *)(t.win + WINDOW - 1) = 1;
	return 0;
}

static void look(long long waited)
{
	record->magic = MAGIC;
	record->by_kexec = by_kexec;
	record->shutdowns = dev_revokes("target", "shutdown");
	record->in_flight = ru_aio_reap(&aio, 0, 0) >= 0 ? READS - aio.reaped : READS;
	record->draining = dev_state_is("target", "draining");
	/* Who is told that the gate closes may be faster than the zap. */
	h_wait_until(!ru_mapped(t.win + DEV_MIB2), 500);
	record->read = pread(disk, t.win + DEV_MIB2, RU_PAGE, 0) < 0 ? -errno : 0;
	record->waited = h_wait_until(dev_count("target", "faults_waited") > waited, 500);
}

static long witness(void *arg)
{
	struct pollfd p = { .fd = events, .events = POLLIN };
	long long waited = dev_count("target", "faults_waited");

	(void)arg;
	if (poll(&p, 1, -1) == 1)
		look(waited);
	return 0;
}

static void start_reads(void)
{
	int slow = open(h_disk("slow"), O_RDONLY | O_DIRECT | O_CLOEXEC);

	MUST(slow >= 0);
	MUST(!ru_throttle(IOPS));
	for (int i = 0; i < READS; i++)
		MUST(!ru_aio_read(&aio, slow, t.win + i * STRIDE, READ_SIZE, i * READ_SIZE));
	MUST(ru_aio_reap(&aio, 0, 0) >= 0 && aio.reaped < READS);
}

static void copy(const char *role, const char *to)
{
	static char chunk[1 << 20];
	int in = open(h_disk(role), O_RDONLY | O_CLOEXEC);
	int out = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	ssize_t n;

	MUST(in >= 0 && out >= 0);
	while ((n = read(in, chunk, sizeof(chunk))) > 0)
		MUST(write(out, chunk, n) == n);
	MUST(!n);
	close(in);
	close(out);
}

/* The same kernel and the same root once more. */
static void load_kernel(void)
{
	char words[4096];
	int kernel, root;

	copy("vmlinuz", "/tmp/vmlinuz");
	copy("initramfs", "/tmp/initramfs");
	kernel = open("/tmp/vmlinuz", O_RDONLY | O_CLOEXEC);
	root = open("/tmp/initramfs", O_RDONLY | O_CLOEXEC);
	MUST(!h_read("/proc/cmdline", words, sizeof(words)));
	MUST(!syscall(SYS_kexec_file_load, kernel, root, strlen(words) + 1, words, 0ul));
	unlink("/tmp/vmlinuz");
	unlink("/tmp/initramfs");
}

static void leave(const char *how)
{
	struct ru_call toucher, witnesses;
	struct ru_hold h;
	char *end;

	h_plan(2);
	by_kexec = !strcmp(how, "kexec");
	if (by_kexec)
		load_kernel();
	h_ok(true, "the next life is ready");
	dev_bind("target", DEV_P2P);
	MUST(!ru_target_open(&t, "target", WINDOW));
	end = dev_map_raw(&t.d, BAR, RECORD, RU_PAGE);
	MUST(t.bar == BAR && end);
	memset(end, 0, RU_PAGE);
	record = (void *)end;
	ru_fill(t.raw, WINDOW, OLD);
	disk = open(h_disk("raw"), O_RDONLY | O_DIRECT | O_CLOEXEC);
	events = ru_listen(&t);
	MUST(disk >= 0 && events >= 0);
	h = (struct ru_hold){ .first = { t.d.fd, t.cookie + HELD } };
	MUST(!ru_hold_begin(&h));
	start_reads();
	ru_call(&toucher, touch_all_the_time, NULL);
	MUST(h_wait_until(ru_mapped(t.win + WINDOW - 1), 5000));
	ru_call(&witnesses, witness, NULL);
	h_ok(ru_sleeps(&witnesses, 5000) && dev_count("target", "pinned_folios") > 1,
	     "reads are in flight, and a pin is held for ever");
	h_next_life(how);
}

/* The second life */

static char *map_bar(void)
{
	char path[128];
	char *map;
	int fd;

	h_writef("1", "/sys/bus/pci/devices/%s/enable", h_pci("target"));
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource%d", h_pci("target"), BAR);
	fd = open(path, O_RDWR | O_CLOEXEC);
	map = mmap(NULL, BAR_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return map == MAP_FAILED ? NULL : map;
}

static void gate_was_closed(void)
{
	char *bar = map_bar();

	H_CHECK(bar);
	record = (void *)(bar + RECORD);
	H_EQ(record->magic, MAGIC);
	H_EQ(record->shutdowns, 1);
	H_EQ(record->draining, 1);
	H_EQ(record->in_flight > 0, under);
	H_EQ(record->read, -EFAULT);
	H_EQ(record->waited, 1);
}

/* Zeros, as on the disk; the page of the pin is as it was. */
static void reads_had_arrived(void)
{
	char *bar = map_bar();

	H_CHECK(bar);
	for (int i = 0; i < READS; i++)
		for (int at = 0; at < READ_SIZE; at += RU_PAGE)
			H_EQ(*(volatile uint32_t *)(bar + i * STRIDE + at), 0);
}

static void read_disk(void)
{
	static char page[RU_PAGE] __attribute__((aligned(RU_PAGE)));
	int slow = open(h_disk("slow"), O_RDONLY | O_DIRECT | O_CLOEXEC);

	H_CHECK(slow >= 0);
	for (int i = 0; i < READS; i++)
		H_EQ(pread(slow, page, sizeof(page), i * READ_SIZE), sizeof(page));
	close(slow);
}

/* What the record says, and the two cases before: of the matrix of events. */
static void print_row(void)
{
	H_CHECK(record->read == -EFAULT && record->in_flight && record->waited);
	if (!h_failed())
		mx_row(record->by_kexec ? "kexec" : "reboot", record->by_kexec ? "kexec" : "reboot",
		       "waits to the end", "short or EFAULT", "goes on", 0, 0);
}

static void nothing_comes_late(void)
{
	char *bar = map_bar();

	H_CHECK(bar);
	H_CHECK(!h_module_loaded("nvme"));
	ru_fill(bar, WINDOW, CANARY);
	H_EQ(ru_throttle(0), 0);
	h_sleep_ms(1000);
	H_EQ(ru_differs(bar, WINDOW, CANARY), -1);
	H_EQ(h_modprobe("nvme", NULL), 0);
	H_CHECK(h_wait_until(h_disk("slow"), 10000));
	read_disk();
	H_EQ(ru_differs(bar, WINDOW, CANARY), -1);
	record = (void *)(bar + RECORD);
	if (!h_failed() && under)
		print_row();
}

static void works(void)
{
	dev_bind("target", DEV_P2P);
	H_CHECK(h_wait_until(h_disk("raw"), 10000));
	H_EQ(ru_target_open(&t, "target", WINDOW), 0);
	H_CHECK(ru_works(&t));
	dev_close(&t.d);
	dev_check_rest("target");
}

static const struct h_case cases[] = {
	{ "the gate was closed before the end", gate_was_closed },
	{ "what was in flight had arrived", reads_had_arrived },
	{ "nothing comes late", nothing_comes_late },
	{ "the device works", works },
	{ }
};

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], "leaves")) {
		h_modprobe("nvme", NULL);
		MUST(h_wait_until(h_disk("slow") && h_disk("raw"), 10000));
		leave(argv[2]);
	}
	under = argc > 2 && !strcmp(argv[2], "under");
	return h_main(1, argv, cases);
}
