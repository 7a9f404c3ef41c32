// SPDX-License-Identifier: MIT
/* What all processes of the stress test use: see stress.h. */
#define _GNU_SOURCE
#include "harness.h"
#include "pattern.h"
#include "revoke_util.h"
#include "stress.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct st_shared *st;
struct st_dev st_devs[ST_DEVS];
int st_n_devs = ST_DEVS, st_n_sets;
bool st_errors = true, st_compares = true;
struct st_disk st_disks[ST_DISKS] = {
	[ST_RAW] = { "raw", 11 }, [ST_EXT4] = { "ext4", 13 }, [ST_XFS] = { "xfs", 14 },
	[ST_SLOW] = { "slow", 12 }, [ST_LAG] = { "lag", 0 }, [ST_LATE] = { "tardy", 0 },
	[ST_LATER] = { "later", 0 },
};

/* What all of them use */

static uint64_t rng;

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

void st_seed(uint64_t of_test, uint64_t session, uint64_t who)
{
	rng = mix(mix(mix(of_test) + session) + who);
}

uint32_t st_random(uint32_t below)
{
	rng += 0x9e3779b97f4a7c15ull;
	return (mix(rng) >> 32) * below >> 32;
}

void st_nap_us(unsigned int us)
{
	if (us)
		usleep(us);
}

void st_beat(int slot)
{
	if (h_failed() || atomic_load(&st->stop))
		_exit(0);
	atomic_store(&st->beats[slot].ns, h_now_ns());
}

/* "done" first: an event that ends in between counts as one that was there. */
void st_look(struct st_look *look)
{
	look->busy = look->dim = 0;
	for (int i = 0; i < st_n_devs; i++) {
		struct st_shared_dev *d = &st->devs[i];
		unsigned long long event = atomic_load(&d->event.done), dark = atomic_load(&d->dark.done);

		look->event[i] = atomic_load(&d->event.begun);
		look->dark[i] = atomic_load(&d->dark.begun);
		look->busy |= (look->event[i] != event) << i;
		look->dim |= (look->dark[i] != dark) << i;
	}
}

bool st_calm(const struct st_look *before, unsigned int mask)
{
	bool same = true;

	for (int i = 0; i < st_n_devs; i++)
		if (mask & 1u << i)
			same &= atomic_load(&st->devs[i].event.begun) == before->event[i];
	return same && !(before->busy & mask);
}

bool st_was_dark(const struct st_look *before, unsigned int mask)
{
	bool same = true;

	for (int i = 0; i < st_n_devs; i++)
		if (mask & 1u << i)
			same &= atomic_load(&st->devs[i].dark.begun) == before->dark[i];
	return !same || before->dim & mask;
}

static sigjmp_buf back;
static volatile sig_atomic_t armed;

static void on_sigbus(int number)
{
	(void)number;
	if (armed)
		siglongjmp(back, 1);
	h_fail("SIGBUS where none can be");
	_exit(1);
}

void st_guard_set_up(void)
{
	struct sigaction sa = { .sa_handler = on_sigbus, .sa_flags = SA_NODEFER };

	sigaction(SIGBUS, &sa, NULL);
}

bool st_guarded(void (*fn)(void *), void *arg)
{
	bool hit = sigsetjmp(back, 0);

	if (!hit) {
		armed = 1;
		fn(arg);
	}
	armed = 0;
	return !hit;
}

/* Disks */

static int open_disk(struct st_disk *disk)
{
	bool is_file = !strcmp(disk->role, "ext4") || !strcmp(disk->role, "xfs");
	const char *at = is_file ? h_mount(disk->role, NULL) : h_disk(disk->role);
	char path[64];

	if (!at)
		return -ENOENT;
	snprintf(path, sizeof(path), is_file ? "%s/data" : "%s", at);
	disk->fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC | (is_file ? O_CREAT : 0), 0600);
	return disk->fd < 0 ? -errno : 0;
}

void st_disks_set_up(void)
{
	size_t chunk = 1 << 20;
	char *buf = aligned_alloc(ST_PAGE, chunk);

	for (int i = 0; i < ST_DISKS; i++) {
		struct st_disk *disk = &st_disks[i];

		H_EQ(open_disk(disk), 0);
		for (size_t at = 0; disk->stream && at < ST_DATA; at += chunk) {
			pattern_fill(buf, chunk, disk->stream, at / 8);
			H_EQ(pwrite(disk->fd, buf, chunk, at), chunk);
		}
	}
	free(buf);
	H_EQ(ru_throttle(1000), 0);
}

void st_disks_put_away(void)
{
	for (int i = 0; i < ST_DISKS; i++)
		close(st_disks[i].fd);
	ru_throttle(0);
	h_umount("ext4");
	h_umount("xfs");
}
