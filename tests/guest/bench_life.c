// SPDX-License-Identifier: MIT
/*
 * What a window costs, from its registration to its end.
 *
 * Each case takes samples of one thing, on BARs of four sizes, with both
 * providers where they differ.  Whoever reads them (tests/bench) knows what they
 * must be; here a case fails only if something could not be measured.
 *
 *  - Registering is compared with what the kernel itself takes to make struct
 *    pages of a range: memremap_pages(), in the very same call.
 *  - A revocation is asked for by a write to PCI_COMMAND that changes nothing: the
 *    whole of it is zap, drain and opening the gate, and no device's reset.
 *  - What it adds to I/O in flight is the time from the last completion that the
 *    NVMe driver sees to the drain's return.
 *  - That the driver is not on the path of an I/O: none of its functions is
 *    called (all are traced), and a read into RAM takes the same whether the
 *    driver is loaded, with a window mapped, or not.
 */
#define _GNU_SOURCE
#include "bench.h"
#include "dev.h"
#include "revoke_util.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)
#define PAGE ((size_t)4096)
#define TIMES 3

static const char *const sizes[] = { "bar64m", "bar1g", "bar4g", "bar16g" };
static const char *const providers[] = { "standard", "auto" };
#define N_SIZES (sizeof(sizes) / sizeof(*sizes))

static struct dev d;
static int bar;
static size_t bar_size;
static struct p2p_vfio_window win;
static char *at;

/* The parts of a sample that say what it is of. */
#define OF "\"what\": \"%s\", \"bar_mib\": %zu, \"provider\": \"%s\", "

static const char *provider_name(void)
{
	return win.provider == P2P_VFIO_PROVIDER_OWN ? "own" : "standard";
}

static void say(const char *what, struct bench_time t)
{
	bench_say(OF BENCH_TIME, what, bar_size / MIB, provider_name(), BENCH_ARGS(t));
}

/* A device of which nothing is registered, open. */
static void fresh(const char *role, const char *provider)
{
	H_CHECK(dev_unbind(role, 60));
	dev_bind(role, DEV_P2P);
	H_EQ(dev_param("provider", provider), 0);
	H_EQ(dev_open(&d, role), 0);
	bar = dev_bar(&d);
	bar_size = dev_bar_size(&d, bar);
	H_CHECK(bar_size >= 64 * MIB);
}

static void registered(const char *role, const char *provider)
{
	fresh(role, provider);
	H_EQ(dev_window_set(&d, bar, 0, bar_size, 0, &win), 0);
}

static int unregister(void)
{
	struct p2p_vfio_window gone = { .flags = P2P_VFIO_WINDOW_UNREGISTER, .id = win.id };

	return dev_feature(&d, VFIO_DEVICE_FEATURE_SET | P2P_VFIO_FEATURE_WINDOW, &gone, sizeof(gone));
}

static int populate(char *from, size_t length)
{
	struct p2p_vfio_populate arg = { .address = (uintptr_t)from, .length = length };

	return dev_feature(&d, VFIO_DEVICE_FEATURE_SET | P2P_VFIO_FEATURE_POPULATE, &arg, sizeof(arg));
}

static void touch(const char *from, size_t length, size_t step)
{
	for (size_t i = 0; i < length; i += step)
		(void)*(volatile const char *)(from + i);
}

/* Registering, and its end */

static const char *const register_probes[] = {
	"memremap_pages", "memmap_init_zone_device", "arch_add_memory", NULL
};

static void register_once(const char *role, const char *provider)
{
	long long memmap, unused;
	struct bench_time t;

	fresh(role, provider);
	memmap = dev_memmap_pages();
	unused = bench_free_bytes();
	bench_trace_begin();
	t = bench_begin();
	H_EQ(dev_window_set(&d, bar, 0, bar_size, 0, &win), 0);
	t = bench_since(t);
	bench_trace_end();
	memmap = dev_memmap_pages() - memmap;
	unused -= bench_free_bytes();
	bench_say(OF BENCH_TIME ", \"memremap_ns\": %llu, \"pages_ns\": %llu, \"memory_ns\": %llu, "
		  "\"memmap_bytes\": %lld, \"host_bytes\": %lld",
		  "register", bar_size / MIB, provider_name(), BENCH_ARGS(t),
		  (unsigned long long)bench_probe_ns("memremap_pages"),
		  (unsigned long long)bench_probe_ns("memmap_init_zone_device"),
		  (unsigned long long)bench_probe_ns("arch_add_memory"),
		  memmap * (long long)PAGE, unused);
}

static void give_back_once(const char *role)
{
	struct bench_time t = bench_begin();

	if (win.provider == P2P_VFIO_PROVIDER_OWN) {
		H_EQ(unregister(), 0);
		say("unregister", bench_since(t));
		H_EQ(dev_window_set(&d, bar, 0, bar_size, 0, &win), 0);
	}
	dev_close(&d);
	t = bench_begin();
	H_EQ(h_bind(h_pci(role), NULL), 0);
	say("unbind", bench_since(t));
}

static void registering(void)
{
	dev_bind("bar64m", DEV_P2P);
	H_EQ(bench_probe(register_probes), 0);
	for (size_t i = 0; i < N_SIZES; i++)
		for (int p = 0; p < 2; p++)
			for (int n = 0; n < TIMES; n++) {
				register_once(sizes[i], providers[p]);
				if (h_failed())
					return;
				give_back_once(sizes[i]);
			}
	bench_probe_end();
}

/* Mapping */

static void map_once(size_t step)
{
	struct bench_time t = bench_begin();

	at = dev_map(&d, win.mmap_offset, bar_size);
	H_CHECK(at);
	say("map", bench_since(t));
	t = bench_begin();
	touch(at, bar_size, step);
	say(step == PAGE ? "touch-4k" : "touch", bench_since(t));
	t = bench_begin();
	dev_unmap(&d, at);
	say(step == PAGE ? "unmap-4k" : "unmap", bench_since(t));

	at = dev_map(&d, win.mmap_offset, bar_size);
	H_CHECK(at);
	t = bench_begin();
	H_EQ(populate(at, bar_size), 0);
	say(step == PAGE ? "populate-4k" : "populate", bench_since(t));
	t = bench_begin();
	H_EQ(populate(at, bar_size), 0);
	say(step == PAGE ? "populate-4k-again" : "populate-again", bench_since(t));
}

static int write_command(void)
{
	uint16_t command;

	if (dev_config_read(&d, PCI_COMMAND, &command, 2) != 2)
		return -EIO;
	return dev_config_write(&d, PCI_COMMAND, &command, 2) == 2 ? 0 : -EIO;
}

static const char *const revoke_probes[] = {
	"p2p_vfio_pci:p2p_revoke_close", "p2p_vfio_pci:p2p_revoke_drain",
	"p2p_vfio_pci:p2p_revoke_open", "nvme_complete_rq", NULL
};

static void say_revoke(const char *what, size_t touched, struct bench_time whole)
{
	bench_say(OF "\"touched_mib\": %zu, " BENCH_TIME ", \"zap_ns\": %llu, \"drain_ns\": %llu, \"open_ns\": %llu",
		  what, bar_size / MIB, provider_name(), touched / MIB, BENCH_ARGS(whole),
		  (unsigned long long)bench_probe_ns("p2p_revoke_close"),
		  (unsigned long long)bench_probe_ns("p2p_revoke_drain"),
		  (unsigned long long)bench_probe_ns("p2p_revoke_open"));
}

static int populate_pieces(size_t touched, size_t piece, size_t distance)
{
	int err = 0;

	for (size_t i = 0; !err && i < touched / piece; i++)
		err = populate(at + i * distance, piece);
	return err;
}

/* The first warms up; the second, without probes, is the whole; the third the parts. */
static void revoke_once(const char *what, size_t touched, size_t piece, size_t distance)
{
	struct bench_time t;

	H_EQ(populate_pieces(touched, piece, distance), 0);
	H_EQ(write_command(), 0);

	H_EQ(populate_pieces(touched, piece, distance), 0);
	t = bench_begin();
	H_EQ(write_command(), 0);
	t = bench_since(t);

	H_EQ(populate_pieces(touched, piece, distance), 0);
	H_EQ(bench_probe(revoke_probes), 0);
	bench_trace_begin();
	H_EQ(write_command(), 0);
	bench_trace_end();
	say_revoke(what, touched, t);
	bench_probe_end();
}

static void mapping(void)
{
	for (size_t i = 0; i < N_SIZES; i++)
		for (int p = 0; p < 2; p++) {
			registered(sizes[i], providers[p]);
			if (h_failed())
				return;
			for (int n = 0; n < TIMES; n++) {
				map_once(DEV_MIB2);
				dev_unmap(&d, at);
			}
			dev_close(&d);
			H_CHECK(dev_unbind(sizes[i], 60));
		}
}

static void revoking(void)
{
	for (size_t i = 0; i < N_SIZES; i++)
		for (int p = 0; p < 2; p++) {
			registered(sizes[i], providers[p]);
			if (h_failed())
				return;
			at = dev_map(&d, win.mmap_offset, bar_size);
			H_CHECK(at);
			for (int n = 0; n < TIMES; n++) {
				revoke_once("revoke", 0, DEV_MIB2, DEV_MIB2);
				revoke_once("revoke", 64 * MIB, 64 * MIB, 0);
				if (bar_size > 64 * MIB) {
					revoke_once("revoke-scattered", 64 * MIB, DEV_MIB2, bar_size / 32);
					revoke_once("revoke", bar_size, bar_size, 0);
				}
			}
			dev_close(&d);
			H_CHECK(dev_unbind(sizes[i], 60));
		}
}

/* Of 4 KiB pages, for comparison: 64 MiB and 4 GiB. */
static void small(void)
{
	static const char *const roles[] = { "bar64m", "bar4g" };

	dev_bind(roles[0], DEV_P2P);
	H_EQ(dev_param("small_folios", "1"), 0);
	for (int i = 0; i < 2; i++) {
		registered(roles[i], "auto");
		if (h_failed())
			return;
		map_once(PAGE);
		revoke_once("revoke-4k", bar_size, bar_size, 0);
		dev_close(&d);
		H_CHECK(dev_unbind(roles[i], 60));
	}
	H_EQ(dev_param("small_folios", "0"), 0);
}

/* I/O in flight */

#define LOAD_READS 16
#define LOAD_BYTES (4 * MIB)

static void load_once(int disk)
{
	struct ru_aio aio = { 0 };

	bench_trace_begin();
	for (int i = 0; i < LOAD_READS; i++)
		H_EQ(ru_aio_read(&aio, disk, at + i * LOAD_BYTES, LOAD_BYTES, i * LOAD_BYTES), 0);
	H_EQ(write_command(), 0);
	bench_trace_end();
	H_EQ(ru_aio_reap(&aio, LOAD_READS, 10000), LOAD_READS);
	H_EQ(aio.bad, 0);
	syscall(SYS_io_destroy, aio.ctx);
	/* No I/O was left to wait for: no sample. */
	if (bench_probe_returned("nvme_complete_rq") < bench_probe_entered("p2p_revoke_drain"))
		return;
	bench_say(OF "\"drain_ns\": %llu, \"beyond_ns\": %llu",
		  "revoke-loaded", bar_size / MIB, provider_name(),
		  (unsigned long long)bench_probe_ns("p2p_revoke_drain"),
		  (unsigned long long)(bench_probe_returned("p2p_revoke_drain") -
				       bench_probe_returned("nvme_complete_rq")));
}

static void loaded(void)
{
	int disk = open(h_disk("raw"), O_RDONLY | O_DIRECT);

	H_CHECK(disk >= 0);
	for (int p = 0; p < 2; p++) {
		registered("bar64m", providers[p]);
		if (h_failed())
			return;
		at = dev_map(&d, win.mmap_offset, bar_size);
		H_CHECK(at);
		H_EQ(bench_probe(revoke_probes), 0);
		for (int n = 0; n < 10; n++) {
			H_EQ(populate(at, bar_size), 0);
			load_once(disk);
		}
		bench_probe_end();
		dev_close(&d);
		H_CHECK(dev_unbind("bar64m", 60));
	}
	close(disk);
}

/* From the gate's opening to the first byte of a thread that has waited for it. */

static long touch_one(void *unused)
{
	(void)unused;
	(void)*(volatile char *)at;
	return h_now_ns() & INT64_MAX;
}

static void resume_once(void)
{
	struct ru_call reset, reader;

	H_EQ(populate(at, DEV_MIB2), 0);
	bench_trace_begin();
	ru_call(&reset, ru_reset, &d);
	H_CHECK(h_wait_until(!dev_state_is("bar64m", "live"), 5000));
	ru_call(&reader, touch_one, NULL);
	H_CHECK(ru_join(&reset, 10000));
	H_CHECK(ru_join(&reader, 10000));
	bench_trace_end();
	H_EQ(reset.ret, 0);
	if ((uint64_t)reader.ret < bench_probe_entered("p2p_revoke_open"))
		return;
	bench_say(OF "\"first_byte_ns\": %llu, \"reset_ns\": %llu", "resume", bar_size / MIB, provider_name(),
		  (unsigned long long)(reader.ret - bench_probe_entered("p2p_revoke_open")),
		  (unsigned long long)(bench_probe_entered("p2p_revoke_open") -
				       bench_probe_returned("p2p_revoke_drain")));
}

static void resuming(void)
{
	registered("bar64m", "auto");
	if (h_failed())
		return;
	at = dev_map(&d, win.mmap_offset, bar_size);
	H_CHECK(at);
	H_EQ(bench_probe(revoke_probes), 0);
	for (int n = 0; n < TIMES; n++)
		resume_once();
	bench_probe_end();
	dev_close(&d);
}

/* Being there */

#define READ_BYTES MIB
#define READS 64

static bool read_all(int disk, char *into)
{
	for (int i = 0; i < READS; i++)
		if (pread(disk, into, READ_BYTES, i * READ_BYTES) != READ_BYTES)
			return false;
	return true;
}

static void read_into(const char *column, char *into)
{
	int disk = open(h_disk("raw"), O_RDONLY | O_DIRECT);
	struct bench_time t;

	H_CHECK(disk >= 0 && read_all(disk, into));
	for (int n = 0; n < TIMES; n++) {
		t = bench_begin();
		H_CHECK(read_all(disk, into));
		t = bench_since(t);
		bench_say("\"what\": \"read\", \"column\": \"%s\", \"bytes\": %zu, \"reads\": %d, " BENCH_TIME,
			  column, READ_BYTES, READS, BENCH_ARGS(t));
	}
	close(disk);
}

static void say_calls(const char *when, char *into)
{
	int disk = open(h_disk("raw"), O_RDONLY | O_DIRECT);
	long calls;

	H_EQ(bench_calls_begin("p2p_vfio_pci"), 0);
	H_CHECK(read_all(disk, into));
	calls = bench_calls_end();
	bench_say("\"what\": \"calls\", \"when\": \"%s\", \"reads\": %d, \"calls\": %ld", when, READS, calls);
	close(disk);
}

static void say_requests(const char *column, char *into)
{
	static const char *const probes[] = { "nvme_complete_rq", NULL };
	int disk = open(h_disk("raw"), O_RDONLY | O_DIRECT);

	H_EQ(bench_probe(probes), 0);
	bench_trace_begin();
	H_CHECK(read_all(disk, into));
	bench_trace_end();
	bench_say("\"what\": \"requests\", \"column\": \"%s\", \"reads\": %d, \"requests\": %u", column, READS,
		  bench_probe_calls("nvme_complete_rq"));
	bench_probe_end();
	close(disk);
}

static void presence(void)
{
	char *ram = bench_ram(DEV_MIB2, MADV_HUGEPAGE);

	H_CHECK(ram);
	if (h_module_loaded(DEV_P2P)) {
		H_CHECK(dev_unbind("bar64m", 60));
		H_EQ(h_rmmod(DEV_P2P), 0);
	}
	read_into("thp without the module", ram);
	registered("bar64m", "auto");
	if (h_failed())
		return;
	at = dev_map(&d, win.mmap_offset, bar_size);
	H_CHECK(at);
	read_into("thp with a window registered", ram);
	H_EQ(populate(at, bar_size), 0);
	read_into("thp with a window mapped", ram);
	read_into("p2p", at);
	say_calls("reads into a populated window", at);
	dev_unmap(&d, at);
	at = dev_map(&d, win.mmap_offset, bar_size);
	say_calls("reads into a window not yet touched", at);
	say_requests("p2p", at);
	say_requests("thp", ram);
	dev_close(&d);
}

/* Where the instructions of a life go. */
static void profiles(void)
{
	for (int p = 0; p < 2; p++) {
		fresh("bar4g", providers[p]);
		H_EQ(bench_profile_begin(), 0);
		H_EQ(dev_window_set(&d, bar, 0, bar_size, 0, &win), 0);
		bench_profile_end(p ? "register own" : "register standard");
		if (!p)
			dev_close(&d);
	}
	at = dev_map(&d, win.mmap_offset, bar_size);
	H_CHECK(at);
	H_EQ(bench_profile_begin(), 0);
	for (int n = 0; n < 8; n++) {
		H_EQ(populate(at, bar_size), 0);
		H_EQ(write_command(), 0);
	}
	bench_profile_end("populate and revoke");
	dev_close(&d);
	H_CHECK(dev_unbind("bar4g", 60));
}

static void bind_once(const char *driver)
{
	struct bench_time t;

	H_CHECK(dev_unbind("bar64m", 60));
	t = bench_begin();
	H_EQ(h_bind(h_pci("bar64m"), driver), 0);
	t = bench_since(t);
	bench_say("\"what\": \"bind\", \"driver\": \"%s\", " BENCH_TIME, driver, BENCH_ARGS(t));
}

static void binding(void)
{
	struct bench_time t;

	if (h_module_loaded(DEV_P2P))
		H_EQ(h_rmmod(DEV_P2P), 0);
	H_EQ(h_modprobe(DEV_PLAIN, NULL), 0);
	t = bench_begin();
	H_EQ(h_modprobe(DEV_P2P, NULL), 0);
	t = bench_since(t);
	bench_say("\"what\": \"load\", \"core_bytes\": %lld, " BENCH_TIME,
		  h_read_int("/sys/module/p2p_vfio_pci/coresize"), BENCH_ARGS(t));
	for (int n = 0; n < TIMES; n++) {
		bind_once(DEV_P2P);
		bind_once(DEV_PLAIN);
	}
	H_CHECK(dev_unbind("bar64m", 60));
}

static const struct h_case cases[] = {
	{ "binding", binding, 60 },
	{ "registering", registering, 300 },
	{ "mapping", mapping, 300 },
	{ "revoking", revoking, 300 },
	{ "of 4 KiB pages", small, 400 },
	{ "revoking with I/O in flight", loaded, 100 },
	{ "resuming", resuming, 60 },
	{ "being there", presence, 200 },
	{ "where instructions go", profiles, 200 },
	{ }
};

int main(int argc, char **argv)
{
	return h_main(argc, argv, cases);
}
