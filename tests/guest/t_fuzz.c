// SPDX-License-Identifier: MIT
/*
 * A fuzzer of the uAPI that knows its structures, and what it may answer.
 *
 * What could go wrong: a request nobody thought of is accepted, refused for the
 * wrong reason, answered with nonsense, leaves something behind although it was
 * refused, reads or writes beyond its structure, maps beyond a window, or brings
 * the kernel down.
 *
 * Why this would see it: each call is generated from what is registered and
 * mapped at that moment, right or wrong in few places, and judged by a model
 * written from the header alone.  With one thread the model is exact: which
 * errnos, which windows, which generation, which signal a touch of which page
 * gets, at which byte of the BAR a store arrives.  STATE of one device is compared
 * after about half of the calls that failed, and of both after every 32nd call:
 * more looks would leave less time for calls.  With several threads only what holds in any order is: errnos
 * that are documented, structures that are well formed, windows that stay what
 * they were, and at the end everything at rest, and every folio given back.
 *
 * A call is text (fuzz_seq.c) and holds all that it depends on.  Sequences that
 * went to new places of the driver, on a kernel with KCOV, are kept: printed, and
 * worth a file in tests/fuzz/uapi, which every run replays first.  On a failure
 * the last calls are printed so, too.
 *
 *	t_fuzz [seed=N] [calls=N]	or by the environment: VFIO_P2P_FUZZ_SEED, _CALLS
 *
 * What is not called, since it would break the machine and not the driver, is
 * said where it is left out: fuzz_map.c (HWPOISON), fuzz_dev.c (registers of the
 * NVMe controller, ioctls that make a device interrupt).
 */
#define _GNU_SOURCE
#include "fuzz.h"
#include "harness.h"
#include "kcov.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#define CORPUS "/fuzz"
#define THREADS 3
#define RACED 16		/* of so many calls one is made by threads that race */
#define SEQUENCE 24		/* calls that are kept, or altered, together */
#define KEPT 512
#define MOST_FAILURES 8

static uint64_t seed = 1, calls = 150000;
static struct fz_shared shared = {
	.dev = { { .role = "target" }, { .role = "target2", .config_only = true } },
	.disk = -1,
};
static struct fz one, racers[THREADS];

/* One call, judged */

static void note(struct fz *f, const struct fz_call *c, long ret)
{
	f->log[f->n++ % FZ_LOG] = *c;
	f->stats.calls[c->op]++;
	f->stats.errnos[c->op][ret < 0 && ret > -FZ_ERRNOS ? -ret : 0]++;
}

void fz_run(struct fz *f, const struct fz_call *c)
{
	uint64_t from = h_now_ns();
	long ret;

	if (f->guided)
		kcov_begin();
	ret = fz_ops[c->op].run(f, c);
	if (f->guided)
		f->fresh = kcov_end();
	note(f, c, ret);
	f->stats.ns[c->op] += h_now_ns() - from;
	/* A call that failed has changed nothing; of the others a look now and then. */
	for (int i = 0; i < f->s->nr_devs && !*f->why; i++)
		if ((!f->racy && ret < 0 && ret != -EAGAIN && (f->n + i) % 2) || f->n % 32 == 0)
			fz_look(f, &f->s->dev[i]);
	if (!f->racy && f->n % 4096 == 0 && !*f->why)
		fz_look_windows(f, fz_dev(f, f->n / 4096));
}

/* Mend what is switched off before long: nothing can be touched meanwhile. */
static bool owes(struct fz *f, struct fz_call *c)
{
	for (int i = 0; i < f->s->nr_devs; i++) {
		if (!f->debt[i] || --f->debt[i])
			continue;
		*c = (struct fz_call){ .op = fz_op_named("mend", 4), .a = { i } };
		return true;
	}
	return false;
}

/* The first failure with all that led to it, others in short; then it goes on. */
static void report(struct fz *f)
{
	uint64_t show = f->failures ? 4 : FZ_LOG;
	char line[FZ_LINE];

	h_fail("seed %llu, call %llu, thread %d: %s", (unsigned long long)seed,
	       (unsigned long long)f->n, (int)(f - racers) * f->racy, f->why);
	fz_print(&f->log[(f->n - 1) % FZ_LOG], line);
	h_diag("after call %llu of seed %llu, %s: %s", (unsigned long long)f->n, (unsigned long long)seed,
	       line, f->why);
	h_diag("the last calls, to be put into a file in tests/fuzz/uapi:");
	for (uint64_t i = f->n > show ? f->n - show : 0; i < f->n; i++) {
		fz_print(&f->log[i % FZ_LOG], line);
		h_diag("  %s", line);
	}
	f->failures++;
	*f->why = 0;
	fz_arena_clear(f);
	for (int i = 0; !f->racy && i < f->s->nr_devs; i++)
		fz_believe(f, &f->s->dev[i]);
	*f->why = 0;
}

/* False: that is enough. */
static bool step(struct fz *f, const struct fz_call *c)
{
	struct fz_call mend;

	fz_run(f, c);
	while (!*f->why && owes(f, &mend))
		fz_run(f, &mend);
	if (*f->why)
		report(f);
	return f->failures < MOST_FAILURES;
}

/* Sequences that are worth keeping */

static struct sequence {
	struct fz_call call[SEQUENCE];
	int n;
} kept[KEPT];
static int n_kept;

static void print_sequence(const struct sequence *s)
{
	char line[FZ_LINE];

	h_diag("new places:");
	for (int i = 0; i < s->n; i++) {
		fz_print(&s->call[i], line);
		h_diag("  %s", line);
	}
}

static void keep(const struct sequence *s, bool print)
{
	if (n_kept < KEPT)
		kept[n_kept++] = *s;
	else
		kept[random() % KEPT] = *s;
	if (print)
		print_sequence(s);
}

/* New calls, or kept ones with something changed. */
static void make_sequence(struct fz *f, struct sequence *s)
{
	if (!n_kept || (f->guided ? fz_one_in(f, 3) : !fz_one_in(f, 16))) {
		s->n = 0;	/* each is made when its turn comes */
		return;
	}
	*s = kept[fz_below(f, n_kept)];
	for (uint64_t i = 1 + fz_below(f, 3); i; i--)
		fz_alter(f, &s->call[fz_below(f, s->n)]);
}

static bool run_sequence(struct fz *f, struct sequence *s)
{
	unsigned int fresh = 0;
	bool invent = !s->n;
	int n = invent ? SEQUENCE : s->n;

	for (int i = 0; i < n; i++) {
		if (invent)
			fz_make(f, &s->call[i]);
		if (f->racy && fz_ops[s->call[i].op].alone)
			continue;
		s->n = i + 1;
		if (!step(f, &s->call[i]))
			return false;
		fresh += f->fresh;
	}
	s->n = n;
	if (f->guided && fresh)
		keep(s, true);
	return true;
}

static bool run_calls(struct fz *f, uint64_t n)
{
	struct sequence s;
	uint64_t said = h_now_ns();

	for (uint64_t end = f->n + n; f->n < end;) {
		make_sequence(f, &s);
		if (!run_sequence(f, &s))
			return false;
		if (!f->racy && h_now_ns() - said > 30000000000ull) {
			said = h_now_ns();
			h_diag("%llu calls, %d sequences kept, %u blocks", (unsigned long long)f->n,
			       n_kept, f->guided ? kcov_blocks() : 0);
		}
	}
	return true;
}

/* The corpus */

static bool replay_file(struct fz *f, const char *name)
{
	char path[256], line[FZ_LINE];
	struct sequence s = { .n = 0 };
	FILE *file;

	snprintf(path, sizeof(path), CORPUS "/%s", name);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file)) {
		struct fz_call c;

		if (!fz_parse(line, &c)) {
			if (*line != '#' && *line != '\n')
				h_fail("%s: not a call: %s", name, line);
			continue;
		}
		if (s.n < SEQUENCE)
			s.call[s.n++] = c;
		if (!step(f, &c))
			break;
	}
	if (file)
		fclose(file);
	if (s.n)
		keep(&s, false);
	return file && !f->failures;
}

static int is_sequence(const struct dirent *e)
{
	const char *end = strrchr(e->d_name, '.');

	return end && !strcmp(end, ".seq");
}

/* How many files, or -1 after a failure. */
static int replay_all(struct fz *f)
{
	struct dirent **names = NULL;
	int n = scandir(CORPUS, &names, is_sequence, alphasort);

	for (int i = 0; i < n; i++) {
		if (!replay_file(f, names[i]->d_name)) {
			h_diag("in %s", names[i]->d_name);
			return -1;
		}
	}
	return n;
}

/* Results */

static void print_stats(const struct fz_stats *s, uint64_t ns)
{
	uint64_t all = 0;

	for (int op = 0; fz_ops[op].name; op++) {
		char text[400];
		int n = 0;

		all += s->calls[op];
		*text = 0;
		for (int e = 0; e < FZ_ERRNOS && n < 360; e++)
			if (s->errnos[op][e])
				n += snprintf(text + n, sizeof(text) - n, " %s %llu", e ? strerrorname_np(e) : "ok",
					      (unsigned long long)s->errnos[op][e]);
		if (s->calls[op])
			h_diag("%-11s %9llu (%llu us each):%s", fz_ops[op].name,
			       (unsigned long long)s->calls[op],
			       (unsigned long long)(s->ns[op] / s->calls[op] / 1000), text);
	}
	h_diag("seed %llu: %llu calls and %llu looks at STATE and windows in %.1f s, %.1f s of them in resets",
	       (unsigned long long)seed, (unsigned long long)all, (unsigned long long)s->looks,
	       ns / 1e9, s->slow_ns / 1e9);
}

static void add_stats(struct fz_stats *to, const struct fz_stats *from)
{
	for (int op = 0; op < 32; op++) {
		to->calls[op] += from->calls[op];
		for (int e = 0; e < FZ_ERRNOS; e++)
			to->errnos[op][e] += from->errnos[op][e];
	}
	for (int op = 0; op < 32; op++)
		to->ns[op] += from->ns[op];
	to->looks += from->looks;
	to->slow_ns += from->slow_ns;
}

/* Set-up */

static int make_fds(void)
{
	int pipefd[2], fd;

	/* Numbers that stay the same, so that a log can be replayed. */
	for (int i = 0; i < FZ_EFDS; i++) {
		fd = i < FZ_EFDS - 2 ? eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC) :
				       dup(shared.efd[i - (FZ_EFDS - 2)]);
		shared.efd[i] = dup3(fd, 200 + i, O_CLOEXEC);
		close(fd);
	}
	if (pipe(pipefd))
		return -errno;
	shared.pipe = dup2(pipefd[0], 230);
	shared.null = dup2(open("/dev/null", O_RDWR), 231);
	shared.closed = 500;
	return 0;
}

static int read_disk(void)
{
	shared.disk = open(h_disk("raw"), O_RDWR | O_DIRECT | O_CLOEXEC);
	shared.disk_copy = mmap(NULL, FZ_DISK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (shared.disk < 0 || shared.disk_copy == MAP_FAILED)
		return -errno;
	for (uint64_t i = 0; i < FZ_DISK / 8; i++)
		((uint64_t *)shared.disk_copy)[i] = i * 0x9e3779b97f4a7c15;
	return pwrite(shared.disk, shared.disk_copy, FZ_DISK, 0) == (ssize_t)FZ_DISK ? 0 : -errno;
}

static bool begin(struct fz *f)
{
	f->s = &shared;
	f->rng = seed;
	if (make_fds() || read_disk() || fz_arena(f))
		return false;
	fz_catch();
	for (int i = 0; i < FZ_DEVS && h_pci(shared.dev[i].role); i++) {
		if (fz_open(&shared, i))
			return false;
		shared.nr_devs++;
		fz_believe(f, &shared.dev[i]);
	}
	return shared.nr_devs && !*f->why;
}

static void end(struct fz *f)
{
	fz_arena_clear(f);
	for (int i = 0; i < shared.nr_devs; i++) {
		fz_run_mend(f, &(struct fz_call){ .a = { i } });
		dev_close(&shared.dev[i].d);
	}
	dev_param("drain_timeout_ms", "30000");
	dev_param("hook_timeout_ms", "10000");
	dev_param("aer_timeout_ms", "1000");
	for (int i = 0; i < shared.nr_devs; i++)
		dev_check_rest(shared.dev[i].role);
}

static void see(struct fz *f)
{
	f->guided = kcov_init();
	if (f->guided && kcov_enable())
		f->guided = false;
}

/* Cases */

static void corpus(void)
{
	uint64_t from = h_now_ns();
	int n;

	see(&one);
	H_CHECK(begin(&one));
	n = replay_all(&one);
	H_CHECK(n > 0);
	h_diag("%d files replayed, %u blocks of the driver reached", n, one.guided ? kcov_blocks() : 0);
	print_stats(&one.stats, h_now_ns() - from);
	end(&one);
}

static void random_calls(void)
{
	uint64_t from = h_now_ns();

	see(&one);
	H_CHECK(begin(&one));
	replay_all(&one);
	run_calls(&one, calls - calls / RACED);
	if (one.guided)
		h_diag("%u blocks, %u transitions of the driver reached, %d sequences kept", kcov_blocks(),
		       kcov_edges(), n_kept);
	print_stats(&one.stats, h_now_ns() - from);
	end(&one);
}

static atomic_bool stop;

static void *race(void *arg)
{
	struct fz *f = arg;

	/* Others may have failed: then what this one sees is no news. */
	if (f->guided && kcov_enable())
		f->guided = false;
	f->guided = false;
	for (uint64_t n = calls / RACED / THREADS; n && !atomic_load(&stop); n -= n < 1000 ? n : 1000)
		if (!run_calls(f, n < 1000 ? n : 1000))
			atomic_store(&stop, true);
	return NULL;
}

static void several_threads(void)
{
	pthread_t threads[THREADS];
	uint64_t from = h_now_ns();
	struct fz_stats all = { 0 };

	H_CHECK(begin(&one));
	for (int i = 0; i < THREADS; i++) {
		racers[i].s = &shared;
		racers[i].racy = true;
		racers[i].rng = seed * 1000 + i;
		H_EQ(fz_arena(&racers[i]), 0);
	}
	for (int i = 0; i < THREADS; i++)
		H_EQ(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < THREADS; i++) {
		add_stats(&all, &racers[i].stats);
		fz_arena_clear(&racers[i]);
	}
	print_stats(&all, h_now_ns() - from);
	end(&one);
}

static void all_is_given_back(void)
{
	for (int i = 0; i < FZ_DEVS; i++)
		if (h_pci(shared.dev[i].role))
			H_CHECK(dev_unbind(shared.dev[i].role, 20));
}

static struct h_case cases[] = {
	{ "the corpus", corpus, 120 },
	{ "one thread", random_calls, 60 },
	{ "several threads", several_threads, 60 },
	{ "all is given back", all_is_given_back },
	{ }
};

static void set(uint64_t *to, const char *text)
{
	if (text && *text)
		*to = strtoull(text, NULL, 0);
}

int main(int argc, char **argv)
{
	set(&seed, getenv("VFIO_P2P_FUZZ_SEED"));
	set(&calls, getenv("VFIO_P2P_FUZZ_CALLS"));
	for (int i = 1; i < argc; i++) {
		if (!strncmp(argv[i], "seed=", 5))
			set(&seed, argv[i] + 5);
		else if (!strncmp(argv[i], "calls=", 6))
			set(&calls, argv[i] + 6);
	}
	/* A kernel with KCOV checks all else, too: it is slower by more than this. */
	if (!getenv("VFIO_P2P_FUZZ_CALLS") && !access("/sys/kernel/debug/kcov", F_OK))
		calls /= 8;
	/* The runner's time is the bound: this one must only not come first. */
	for (int i = 1; i < 3; i++)
		cases[i].deadline_s = 120 + calls / 500;
	h_diag("seed=%llu calls=%llu", (unsigned long long)seed, (unsigned long long)calls);
	for (int i = 0; i < FZ_DEVS; i++)
		if (h_pci(shared.dev[i].role))
			dev_bind(shared.dev[i].role, DEV_P2P);
	return h_main(argc, argv, cases);
}
