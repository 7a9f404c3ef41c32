// SPDX-License-Identifier: MIT
/*
 * guard.c - CPU accesses to a window that may fail
 *
 * The kernel answers an access to a window with SIGBUS if the device has gone, or
 * its memory is switched off, and lets it wait while a revocation is under way.
 * A copy must survive the one and be able to end the other.  So while at least one
 * guarded thread runs, SIGBUS has a handler of ours: in a thread that is inside of
 * vp2p__guarded() it leaves that; in a guarded thread that is not it does nothing
 * if another thread has sent it; everything else goes to whatever handler there
 * was before.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>

#include "guard.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned int users;		/* under the lock */
static struct sigaction before;		/* written while there are no users */

/* Not allocated on first use, which might be in the handler. */
#define THREAD_LOCAL	static __thread __attribute__((tls_model("initial-exec")))
THREAD_LOCAL sigjmp_buf out;
THREAD_LOCAL volatile sig_atomic_t inside;
THREAD_LOCAL volatile sig_atomic_t member;

static void hand_on(int number, siginfo_t *info, void *context)
{
	struct sigaction action = { .sa_handler = SIG_DFL };

	if (before.sa_flags & SA_SIGINFO) {
		before.sa_sigaction(number, info, context);
	} else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
		before.sa_handler(number);
	} else if (before.sa_handler == SIG_DFL || info->si_code > 0) {
		/* A fault happens again on return, a signal that was sent does not. */
		sigaction(number, &action, NULL);
		if (info->si_code <= 0)
			raise(number);
	}
}

static void on_bus_error(int number, siginfo_t *info, void *context)
{
	int code = errno;

	if (inside) {
		inside = 0;
		siglongjmp(out, 1);
	}
	if (!member || info->si_code > 0)
		hand_on(number, info, context);
	errno = code;
}

void vp2p__guard_begin(void)
{
	struct sigaction action = {
		.sa_sigaction = on_bus_error,
		.sa_flags = SA_SIGINFO | SA_RESTART,
	};

	pthread_mutex_lock(&lock);
	if (!users++)
		sigaction(SIGBUS, &action, &before);
	pthread_mutex_unlock(&lock);
}

/* Whoever has put another handler over ours meanwhile keeps it. */
void vp2p__guard_end(void)
{
	struct sigaction present;

	pthread_mutex_lock(&lock);
	if (!--users && !sigaction(SIGBUS, NULL, &present) &&
	    present.sa_sigaction == on_bus_error)
		sigaction(SIGBUS, &before, NULL);
	pthread_mutex_unlock(&lock);
}

void vp2p__guard_member(void)
{
	member = 1;
}

int vp2p__guarded(void (*access)(void *to, const void *from, size_t size), void *to,
		  const void *from, size_t size)
{
	if (sigsetjmp(out, 1))
		return -EFAULT;
	inside = 1;
	access(to, from, size);
	inside = 0;
	return 0;
}
