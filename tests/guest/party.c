// SPDX-License-Identifier: MIT
/* Three threads that a reset may wait for: see party.h. */
#define _GNU_SOURCE
#include "party.h"
#include "harness.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

struct party_board {
	atomic_int begun;	/* 1, or -errno */
	atomic_bool go[PARTY_MEMBERS], done[PARTY_MEMBERS];
	atomic_int tid[PARTY_MEMBERS];
};

/* In the process of the three */

static struct party_board *board;
static struct ru_hold hold;
static char *view;
static size_t view_length;

static void await(enum party_member who)
{
	atomic_store(&board->tid[who], gettid());
	while (!atomic_load(&board->go[who]))
		h_sleep_ms(1);
}

static long touch(void *arg)
{
	(void)arg;
	await(PARTY_TOUCHER);
	*(volatile char *)view;
	atomic_store(&board->done[PARTY_TOUCHER], true);
	return 0;
}

static long change(void *arg)
{
	void *p;

	(void)arg;
	await(PARTY_WRITER);
	p = mmap(NULL, RU_PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap(p, RU_PAGE);
	mprotect(view, view_length, PROT_READ);
	atomic_store(&board->done[PARTY_WRITER], true);
	return 0;
}

static long serve(void *arg)
{
	(void)arg;
	await(PARTY_READER);
	return ru_hold_serve(&hold);
}

/* Its own mappings, which nobody has touched. */
static int prepare(const struct party *p)
{
	struct ru_target *t = p->t;
	off_t at = dev_region_offset(&t->d, t->bar);

	view_length = p->huge ? DEV_MIB2 : RU_PAGE;
	view = dev_map(&t->d, at, view_length);
	hold = (struct ru_hold){
		.first = { t->d.fd, t->cookie },
		.last = { t->d.fd, t->cookie + DEV_MIB2 },
	};
	return view ? ru_hold_begin(&hold) : -errno;
}

static _Noreturn void run(const struct party *p)
{
	struct ru_call toucher, writer, server;
	int err = prepare(p);

	if (!err) {
		ru_call(&toucher, touch, NULL);
		ru_call(&writer, change, NULL);
		ru_call(&server, serve, NULL);
	}
	atomic_store(&board->begun, err ?: 1);
	if (err)
		_exit(1);
	while (!ru_done(&hold.call))
		h_sleep_ms(1);
	atomic_store(&board->done[PARTY_READER], true);
	pthread_join(toucher.thread, NULL);
	pthread_join(writer.thread, NULL);
	_exit(0);
}

/* In the test */

int party_begin(struct party *p)
{
	int begun;

	board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (board == MAP_FAILED)
		return -errno;
	p->board = board;
	p->pid = fork();
	if (!p->pid)
		run(p);
	if (!h_wait_until(atomic_load(&board->begun), 15000))
		return -ETIMEDOUT;
	begun = atomic_load(&board->begun);
	return begun < 0 ? begun : 0;
}

void party_go(struct party *p, enum party_member who)
{
	atomic_store(&p->board->go[who], true);
}

bool party_done(struct party *p, enum party_member who, unsigned int ms)
{
	return h_wait_until(atomic_load(&p->board->done[who]), ms);
}

/* Locks are waited for uninterruptibly; who waits for its turn here sleeps lightly. */
static bool is_stuck(const struct party *p, enum party_member who)
{
	int tid = atomic_load(&p->board->tid[who]);
	char text[256], *after;

	if (!tid || h_readf(text, sizeof(text), "/proc/%d/task/%d/stat", p->pid, tid))
		return false;
	after = strrchr(text, ')');
	return after && after[2] == 'D';
}

bool party_stuck(struct party *p, enum party_member who, unsigned int ms)
{
	return h_wait_until(is_stuck(p, who), ms);
}

bool party_end(struct party *p, unsigned int ms)
{
	int status = -1;

	for (int who = 0; who < PARTY_MEMBERS; who++)
		party_go(p, who);
	return h_await(p->pid, &status, ms) && !status;
}
