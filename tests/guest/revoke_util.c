// SPDX-License-Identifier: MIT
/* What the tests of revocation share: see revoke_util.h. */
#define _GNU_SOURCE
#include "revoke_util.h"
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/pci_regs.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int ru_target_open(struct ru_target *t, const char *role, size_t length)
{
	struct p2p_vfio_window w;
	int err = dev_open(&t->d, role);

	if (err)
		return err;
	t->bar = dev_bar(&t->d);
	t->length = length;
	err = dev_window_set(&t->d, t->bar, 0, length, 0, &w);
	if (err)
		return err;
	t->cookie = w.mmap_offset;
	t->win = dev_map(&t->d, t->cookie, length);
	t->raw = dev_map_raw(&t->d, t->bar, 0, length);
	return t->win && t->raw ? 0 : -errno;
}

int ru_listen(struct ru_target *t)
{
	int events = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), ret;

	if (events < 0)
		return -errno;
	ret = dev_events(&t->d, events, P2P_VFIO_EVENTS_ADD);
	if (!ret)
		return events;
	close(events);
	return ret < 0 ? ret : -EIO;
}

void ru_open_and_listen(struct ru_target *t, size_t length, int *events)
{
	H_EQ(ru_target_open(t, "target", length), 0);
	*events = ru_listen(t);
	H_CHECK(*events >= 0);
}

void ru_close_at_rest(struct ru_target *t)
{
	dev_close(&t->d);
	dev_check_rest("target");
}

long ru_heard(int events)
{
	uint64_t n;

	return read(events, &n, sizeof(n)) == sizeof(n) ? (long)n : 0;
}

long ru_read_into(struct ru_target *t, size_t at)
{
	int disk = open(h_disk("raw"), O_RDONLY | O_DIRECT | O_CLOEXEC);
	long n = pread(disk, t->win + at, RU_PAGE, 0);

	n = n < 0 ? -errno : n;
	close(disk);
	return n;
}

bool ru_works(struct ru_target *t)
{
	static unsigned int seed;

	ru_fill(t->win, RU_PAGE, ++seed);
	return ru_differs(t->win, RU_PAGE, seed) < 0 && ru_differs(t->raw, RU_PAGE, seed) < 0 &&
	       ru_read_into(t, t->length - RU_PAGE) == RU_PAGE;
}

/* A SIGBUS of an access is the signal of the thread that made it. */
static __thread sigjmp_buf back;

static void on_sigbus(int number)
{
	(void)number;
	siglongjmp(back, 1);
}

static void catch_sigbus(void)
{
	struct sigaction sa = { .sa_handler = on_sigbus };

	sigaction(SIGBUS, &sa, NULL);
}

bool ru_sigbus(char *at)
{
	catch_sigbus();
	if (sigsetjmp(back, 1))
		return true;
	*(volatile char *)at = 1;
	return false;
}

bool ru_sigbus_load(const char *at)
{
	catch_sigbus();
	if (sigsetjmp(back, 1))
		return true;
	(void)*(const volatile char *)at;
	return false;
}

/* Calls */

static void *call_thread(void *arg)
{
	struct ru_call *c = arg;

	atomic_store(&c->tid, gettid());
	c->ret = c->fn(c->arg);
	atomic_store(&c->done, true);
	return NULL;
}

void ru_call(struct ru_call *c, long (*fn)(void *arg), void *arg)
{
	*c = (struct ru_call){ .fn = fn, .arg = arg };
	if (pthread_create(&c->thread, NULL, call_thread, c))
		h_bail("pthread_create");
}

bool ru_done(struct ru_call *c)
{
	return atomic_load(&c->done);
}

bool ru_join(struct ru_call *c, unsigned int ms)
{
	return h_wait_until(ru_done(c), ms) && !pthread_join(c->thread, NULL);
}

static bool is_asleep(int tid)
{
	char text[256], *after;

	if (!tid || h_readf(text, sizeof(text), "/proc/self/task/%d/stat", tid))
		return false;
	after = strrchr(text, ')');
	return after && (after[2] == 'S' || after[2] == 'D');
}

bool ru_sleeps(struct ru_call *c, unsigned int ms)
{
	return h_wait_until(is_asleep(atomic_load(&c->tid)), ms);
}

long ru_reset(void *dev)
{
	return dev_reset(dev);
}

long ru_hot_reset(void *arg)
{
	return dev_hot_reset(arg);
}

int ru_sibling_open(struct dev *sibling, const struct ru_target *t, const char *role)
{
	return dev_open_beside(sibling, &t->d, role);
}

/* Holding a pin */

int ru_uffd(char *page)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range = { .start = (uintptr_t)page, .len = RU_PAGE },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	/* Not UFFD_USER_MODE_ONLY: it is the kernel that must stop. */
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return -errno;
	if (ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &reg)) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

static int map_place(char *at, const struct ru_place *place)
{
	void *map;

	if (!place->fd)
		return 0;
	map = mmap(at, RU_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		   place->fd, place->cookie);
	return map == MAP_FAILED ? -errno : 0;
}

static int hold_map(struct ru_hold *h)
{
	int err;

	h->base = mmap(NULL, 3 * RU_PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (h->base == MAP_FAILED)
		return -errno;
	h->stop = h->base + RU_PAGE;
	err = map_place(h->base, &h->first) ?: map_place(h->stop + RU_PAGE, &h->last);
	if (err)
		return err;
	h->uffd = ru_uffd(h->stop);
	return h->uffd < 0 ? h->uffd : 0;
}

static void hold_aim(struct ru_hold *h)
{
	h->length = (h->last.fd ? 3 : 2) * RU_PAGE;
	h->iov[0] = (struct iovec){ h->base, h->vectors ? RU_PAGE : h->length };
	h->iov[1] = (struct iovec){ h->stop, h->length - RU_PAGE };
	h->n_iov = h->vectors ? 2 : 1;
}

static long hold_io(void *arg)
{
	struct ru_hold *h = arg;
	ssize_t n = h->write ? pwritev(h->disk, h->iov, h->n_iov, h->offset) :
			       preadv(h->disk, h->iov, h->n_iov, h->offset);

	return n < 0 ? -errno : n;
}

/* The fault that userfaultfd reports is the proof that the kernel got there. */
static int hold_await(struct ru_hold *h)
{
	struct pollfd p = { .fd = h->uffd, .events = POLLIN };
	struct uffd_msg msg;

	if (poll(&p, 1, 10000) != 1)
		return ru_done(&h->call) ? -ENODATA : -ETIMEDOUT;
	if (read(h->uffd, &msg, sizeof(msg)) != sizeof(msg))
		return -EIO;
	if (msg.event != UFFD_EVENT_PAGEFAULT || msg.arg.pagefault.address != (uintptr_t)h->stop)
		return -EPROTO;
	return 0;
}

int ru_hold_begin(struct ru_hold *h)
{
	int err;

	h->disk = open(h->file ?: h_disk("raw"), O_RDWR | O_DIRECT | O_CLOEXEC);
	if (h->disk < 0)
		return -errno;
	err = hold_map(h);
	if (err)
		return err;
	hold_aim(h);
	ru_call(&h->call, hold_io, h);
	return hold_await(h);
}

bool ru_mapped(const void *at)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t entry = 0;

	pread(fd, &entry, sizeof(entry), (uintptr_t)at / RU_PAGE * sizeof(entry));
	close(fd);
	return entry >> 63;
}

static bool is_draining(struct ru_hold *h, const char *role)
{
	/* State alone would do as soon as the gate has closed: a mapping counts, too. */
	return !ru_mapped(h->base) && !(h->last.fd && ru_mapped(h->stop + RU_PAGE)) &&
	       dev_state_is(role, "draining");
}

bool ru_hold_drains(struct ru_hold *h, const char *role)
{
	return h_wait_until(is_draining(h, role), 5000);
}

int ru_hold_serve(struct ru_hold *h)
{
	static char page[RU_PAGE];
	struct uffdio_copy copy = {
		.dst = (uintptr_t)h->stop, .src = (uintptr_t)page, .len = RU_PAGE,
	};

	if (!h->served && ioctl(h->uffd, UFFDIO_COPY, &copy))
		return -errno;
	h->served = true;
	return 0;
}

int ru_hold_unmap(struct ru_hold *h)
{
	/* Replaced, not unmapped: a thread's stack could take the hole. */
	return mmap(h->base, RU_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		    -1, 0) == MAP_FAILED ? -errno : 0;
}

long ru_hold_end(struct ru_hold *h)
{
	int err = ru_hold_serve(h);

	if (err)
		return err;
	if (!ru_join(&h->call, 10000))
		return -ETIMEDOUT;
	munmap(h->base, 3 * RU_PAGE);
	close(h->uffd);
	close(h->disk);
	return h->call.ret;
}

/* Patterns */

static uint32_t pattern(size_t i, unsigned int seed)
{
	uint32_t x = (uint32_t)i * 2654435761u ^ seed * 40503u;

	return x ^ x >> 15;
}

void ru_fill(void *page, size_t length, unsigned int seed)
{
	volatile uint32_t *word = page;

	for (size_t i = 0; i < length / 4; i++)
		word[i] = pattern(i, seed);
}

long ru_differs(const void *page, size_t length, unsigned int seed)
{
	const volatile uint32_t *word = page;

	for (size_t i = 0; i < length / 4; i++)
		if (word[i] != pattern(i, seed))
			return i * 4;
	return -1;
}

/* AIO */

int ru_aio_read(struct ru_aio *a, int fd, void *buf, size_t length, off_t offset)
{
	struct iocb *cb = &a->cb[a->submitted];

	if (!a->ctx && syscall(SYS_io_setup, RU_MAX_AIO, &a->ctx))
		return -errno;
	*cb = (struct iocb){
		.aio_lio_opcode = IOCB_CMD_PREAD, .aio_fildes = fd, .aio_data = length,
		.aio_buf = (uintptr_t)buf, .aio_nbytes = length, .aio_offset = offset,
	};
	if (syscall(SYS_io_submit, a->ctx, 1, &cb) != 1)
		return -errno;
	a->submitted++;
	return 0;
}

int ru_aio_reap(struct ru_aio *a, int min, unsigned int ms)
{
	struct timespec timeout = { ms / 1000, ms % 1000 * 1000000l };
	struct io_event events[RU_MAX_AIO];
	int n = syscall(SYS_io_getevents, a->ctx, (long)min, (long)RU_MAX_AIO, events, &timeout);

	if (n < 0)
		return -errno;
	for (int i = 0; i < n; i++)
		a->bad += (uint64_t)events[i].res != events[i].data;
	a->reaped += n;
	return n;
}

/* io_uring */

int ru_ring_open(struct ru_ring *r, unsigned int entries)
{
	struct io_uring_params p = { 0 };
	char *sq;

	r->fd = syscall(SYS_io_uring_setup, entries, &p);
	if (r->fd < 0)
		return -errno;
	sq = mmap(NULL, p.sq_off.array + p.sq_entries * sizeof(unsigned int),
		  PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, IORING_OFF_SQ_RING);
	r->sqes = mmap(NULL, p.sq_entries * sizeof(*r->sqes), PROT_READ | PROT_WRITE,
		       MAP_SHARED, r->fd, IORING_OFF_SQES);
	if (sq == MAP_FAILED || r->sqes == MAP_FAILED)
		return -errno;
	r->sq_tail = (unsigned int *)(sq + p.sq_off.tail);
	r->sq_mask = (unsigned int *)(sq + p.sq_off.ring_mask);
	r->sq_array = (unsigned int *)(sq + p.sq_off.array);
	return 0;
}

int ru_ring_read(struct ru_ring *r, int fd, void *buf, unsigned int length, off_t offset)
{
	unsigned int tail = *r->sq_tail, slot = tail & *r->sq_mask;

	r->sqes[slot] = (struct io_uring_sqe){
		.opcode = IORING_OP_READ, .fd = fd, .addr = (uintptr_t)buf,
		.len = length, .off = offset,
	};
	r->sq_array[slot] = slot;
	__atomic_store_n(r->sq_tail, tail + 1, __ATOMIC_RELEASE);
	return syscall(SYS_io_uring_enter, r->fd, 1, 0, 0, NULL, 0) == 1 ? 0 : -errno;
}

int ru_ring_register(struct ru_ring *r, void *buf, size_t length)
{
	struct iovec iov = { buf, length };

	return syscall(SYS_io_uring_register, r->fd, IORING_REGISTER_BUFFERS, &iov, 1) ? -errno : 0;
}

/* Errors */

int ru_port_error(const char *port, const char *what)
{
	return h_hostf(NULL, 0, "{\"hmp\": \"pcie_aer_inject_error %s %s\"}", port, what);
}

int ru_kmsg(void)
{
	int kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	lseek(kmsg, 0, SEEK_END);
	return kmsg;
}

/* A record a read.  EPIPE: one was lost, and the next read goes on. */
bool ru_kmsg_says(int kmsg, const char *text)
{
	char record[1024];
	ssize_t n;

	while ((n = read(kmsg, record, sizeof(record) - 1)) > 0 || (n < 0 && errno == EPIPE)) {
		record[n > 0 ? n : 0] = 0;
		if (strstr(record, text))
			return true;
	}
	return false;
}

bool ru_recovered(int kmsg)
{
	return ru_kmsg_says(kmsg, "AER: device recovery successful");
}

int ru_memory_on(const struct dev *d)
{
	uint16_t command;

	if (dev_config_read(d, PCI_COMMAND, &command, 2) != 2)
		return -EIO;
	command |= PCI_COMMAND_MEMORY;
	return dev_config_write(d, PCI_COMMAND, &command, 2) == 2 ? 0 : -EIO;
}

/* The rest */

int ru_throttle(unsigned int iops)
{
	return h_hostf(NULL, 0, "{\"qmp\": {\"execute\": \"qom-set\", \"arguments\": "
		"{\"path\": \"/objects/throttle\", \"property\": \"limits\", "
		"\"value\": {\"iops-total\": %u}}}}", iops);
}

static uint8_t find_capability(int config, uint8_t id)
{
	uint8_t cap[2] = { 0, PCI_CAPABILITY_LIST }, at;

	pread(config, &cap[1], 1, PCI_CAPABILITY_LIST);
	while ((at = cap[1]) && pread(config, cap, 2, at) == 2 && cap[0] != id)
		;
	return at;
}

int ru_pull(const char *role)
{
	uint16_t control, off;
	char path[96];
	ssize_t n = -1;
	uint8_t at;
	int fd;

	/* The port is what the device's folder lies in. */
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/../config", h_pci(role));
	fd = open(path, O_RDWR | O_CLOEXEC);
	at = find_capability(fd, PCI_CAP_ID_EXP);
	if (at && pread(fd, &control, 2, at + PCI_EXP_SLTCTL) == 2) {
		/* It hears of it when all is as it was, and the slot is empty. */
		off = control & ~(PCI_EXP_SLTCTL_HPIE | PCI_EXP_SLTCTL_DLLSCE | PCI_EXP_SLTCTL_PDCE);
		off |= PCI_EXP_SLTCTL_PCC | PCI_EXP_SLTCTL_PWR_IND_OFF;
		n = pwrite(fd, &off, 2, at + PCI_EXP_SLTCTL);
		n = pwrite(fd, &control, 2, at + PCI_EXP_SLTCTL);
	}
	close(fd);
	return n == 2 ? 0 : -EIO;
}

long ru_unbind(void *bdf)
{
	return h_bind(bdf, NULL);
}

long ru_remove(void *bdf)
{
	return h_writef("1", "/sys/bus/pci/devices/%s/remove", (const char *)bdf);
}

int ru_timeouts(unsigned int drain_ms, unsigned int hook_ms)
{
	char drain[16], hook[16];

	snprintf(drain, sizeof(drain), "%u", drain_ms);
	snprintf(hook, sizeof(hook), "%u", hook_ms);
	return dev_param("drain_timeout_ms", drain) ?: dev_param("hook_timeout_ms", hook);
}

bool ru_same_state(const struct p2p_vfio_state *a, const struct p2p_vfio_state *b)
{
	struct p2p_vfio_state x = *a;

	x.pinned_folios = b->pinned_folios;
	x.touched_folios = b->touched_folios;
	x.faults_pmd = b->faults_pmd;
	x.faults_pte = b->faults_pte;
	x.faults_refused = b->faults_refused;
	x.faults_waited = b->faults_waited;
	return !memcmp(&x, b, sizeof(x));
}
