// SPDX-License-Identifier: MIT
/*
 * t_docs.c - the documentation's commands, one after the other
 *
 * Theory of operation: a page's commands are right if they do what the page says when
 * they are typed as they stand there.  /doc/plan has them all, in the order of the pages
 * (tests/docs/prepare makes it, at every run, so a new command is in it at once).  Each
 * page is a session of its own, in a machine as found: no device bound, no window, no
 * configuration, a file system at /data with the files that pages speak of.  Within a
 * page a command finds what those before it have left, the place where one stands among
 * it; a page that forgets to bind a device fails.  Each command is run by a shell, with
 * only the addresses, disks and users put in that this machine has, and must end with
 * the status that the plan has for it, which is 0 for nearly all.  One that runs until
 * ctrl-C must first have said what it is there for.
 *
 * Stand-ins: sudo, since everybody is root here; systemctl, which runs what the unit
 * runs, but for unloading the module; gnuplot, which hands its script on (drawing is
 * tested where gnuplot is).
 */
#define _GNU_SOURCE
#include "dev.h"
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PLAN "/doc/plan"
#define SAID "/tmp/said"
#define LIMIT_MS 120000
#define DATA_SIZE (4 << 20)

enum { KIND, PLACE, SITUATION, BEFORE, READY, EVENT, UNTIL, ENDS, STATUS, COMMAND, FIELDS };

static char said[65536];

/* What pages call the things of this machine. */
static struct { const char *page, *here; } names[8];

static void name(int i, const char *page, const char *here)
{
	names[i].page = page;
	names[i].here = strdup(here);
}

static void name_things(void)
{
	char target[32], other[32], disk[64];

	snprintf(target, sizeof(target), "%s", h_pci("target"));
	snprintf(other, sizeof(other), "%s", h_pci("target2"));
	snprintf(disk, sizeof(disk), "%s", h_disk("raw"));
	name(0, "0000:03:00.0", target);
	name(1, "03:00.0", target + strlen("0000:"));
	name(2, "03:00.1", other + strlen("0000:"));
	name(3, "/dev/nvme0n1", disk);
	name(4, "USER", "tester");
	name(5, "./load", "load");
}

/* The command with this machine's names, in one go: what is put in is not looked at again. */
static void translate(const char *from, char *to, size_t n)
{
	size_t used = 0;
	int i;

	while (*from && used + 64 < n) {
		for (i = 0; names[i].page && strncmp(from, names[i].page, strlen(names[i].page)); i++)
			;
		if (names[i].page) {
			used += snprintf(to + used, n - used, "%s", names[i].here);
			from += strlen(names[i].page);
		} else {
			to[used++] = *from++;
		}
	}
	to[used] = '\0';
}

/* A new file: what is there may be a link to the shell. */
static void write_file(const char *path, const char *text, mode_t mode)
{
	int fd;

	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	write(fd, text, strlen(text));
	close(fd);
}

static bool make_data(const char *path)
{
	unsigned int *data = malloc(DATA_SIZE), seed = 1;
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	bool fine;

	for (size_t i = 0; i < DATA_SIZE / sizeof(*data); i++)
		data[i] = seed = seed * 1103515245 + 12345;
	fine = write(fd, data, DATA_SIZE) == DATA_SIZE && !fsync(fd);
	close(fd);
	free(data);
	return fine;
}

static void stand_ins(void)
{
	mkdir("/etc", 0755);
	write_file("/bin/sudo", "#!/bin/sh\nexec \"$@\"\n", 0755);
	write_file("/bin/gnuplot", "#!/bin/sh\nexec cat\n", 0755);
	write_file("/bin/systemctl",
		   "#!/bin/sh\n"
		   "case $1 in is-system-running) echo running; exit;; esac\n"
		   "[ \"$*\" = 'restart vfio-p2p' ] || exit 1\n"
		   "export VFIO_P2P_CONF=/etc/vfio-p2p.conf VFIO_P2P=/bin/vfio-p2p\n"
		   /* Loading the module again is for a modprobe that this machine has not. */
		   "rmmod() { :; }\n"
		   "(set -- unbind; . /bin/configured) && (set -- bind; . /bin/configured)\n", 0755);
}

/* There is no shell before. */
static bool install_shell(void)
{
	pid_t pid = fork();
	int status = -1;

	if (!pid) {
		execl("/bin/busybox", "/bin/busybox", "--install", "-s", "/bin", NULL);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	return !status;
}

static bool prepare(void)
{
	static char path[] = "PATH=/bin", home[] = "HOME=/";

	putenv(path);
	putenv(home);
	if (!install_shell())
		return false;
	stand_ins();
	write_file("/tmp/place", "/\n", 0644);
	mkdir("/data", 0755);
	mkdir("/dev/shm", 0755);
	return !h_modprobe("ext4", NULL) && !mount(h_disk("ext4"), "/data", "ext4", 0, NULL) &&
	       make_data("/data/data.bin") && make_data("/data/model.bin") && make_data("/dev/shm/data");
}

/* Commands */

static void listen_to(void)
{
	*said = '\0';
	h_read(SAID, said, sizeof(said));
}

static bool will_say(const char *what)
{
	return !*what || h_wait_until((listen_to(), strstr(said, what)), LIMIT_MS);
}

/* By a shell that stays where it was left, and that ctrl-C does not end. */
static pid_t start(const char *command)
{
	pid_t pid = fork();
	char *script;
	int fd;

	if (pid)
		return pid;
	setpgid(0, 0);
	fd = open(SAID, O_RDWR | O_CREAT | O_TRUNC | O_APPEND, 0600);
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	asprintf(&script, "trap : INT\ncd \"$(cat /tmp/place)\"\n%s\ns=$?\npwd >/tmp/place\nexit $s\n", command);
	execl("/bin/sh", "sh", "-c", script, NULL);
	_exit(127);
}

/* Its exit status, or -1 if it has not ended: then it is killed. */
static int finish(pid_t pid)
{
	int status = 0;

	if (!h_await(pid, &status, LIMIT_MS)) {
		kill(-pid, SIGKILL);
		waitpid(pid, &status, 0);
		return -1;
	}
	listen_to();
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int shell(const char *command)
{
	unlink(SAID);
	return finish(start(command));
}

static bool open_and_reset(void)
{
	struct dev d;
	int err = dev_open(&d, "target");

	err = err ?: dev_reset(&d);
	dev_close(&d);
	return !err;
}

/* Situations */

static void unbind_all(void)
{
	const char *roles[] = { "target", "target2" };
	char command[128], driver[64];

	for (int i = 0; i < 2; i++) {
		h_driver(h_pci(roles[i]), driver, sizeof(driver));
		snprintf(command, sizeof(command), "vfio-p2p unbind --wait 20 %s", h_pci(roles[i]));
		if (!strcmp(driver, DEV_P2P) && shell(command))
			h_diag("not unbound: %s", said);
	}
}

static bool bind_by(const char *words)
{
	char page[128], command[256];

	snprintf(page, sizeof(page), "vfio-p2p bind %s", words);
	translate(page, command, sizeof(command));
	return !shell(command);
}

static bool put_into(const char *situation)
{
	if (!*situation)
		return true;
	unbind_all();
	if (!strcmp(situation, "window"))
		return bind_by("0000:03:00.0 --window 2");
	if (!strcmp(situation, "bound"))
		return bind_by("0000:03:00.0");
	if (!strcmp(situation, "both"))
		return bind_by("0000:03:00.0 03:00.1");
	return !strcmp(situation, "unbound");
}

static bool begin_page(const char *page, const char *situation)
{
	h_diag("---- %s", page);
	unbind_all();
	shell("rm -rf /run/vfio-p2p /data/*.svg* /data/out.bin /data/trace.* /data/bench.json");
	write_file("/etc/vfio-p2p.conf", "", 0644);
	write_file("/etc/passwd", "root:x:0:0::/:/bin/sh\ntester:x:1000:1000::/:/bin/sh\n", 0644);
	write_file("/etc/group", "root:x:0:\ntester:x:1000:\nvfio-p2p:x:999:\n", 0644);
	write_file("/tmp/place", "/data\n", 0644);
	return put_into(situation);
}

/* Steps */

static const char *step_by_step(char **f, const char *command)
{
	pid_t pid;
	int status;

	unlink(SAID);
	pid = start(command);
	if (!will_say(f[READY]))
		h_diag("it has not said: %s", f[READY]);
	if (*f[EVENT] && !open_and_reset())
		h_diag("the reset has failed");
	if (!will_say(f[UNTIL])) {
		kill(-pid, SIGKILL);
		waitpid(pid, NULL, 0);
		return "it has not said what it should";
	}
	if (*f[ENDS])
		kill(-pid, SIGINT);
	status = finish(pid);
	if (status == -1)
		return "it has not ended";
	return status == atoi(f[STATUS]) ? NULL : "another exit status";
}

static void run_step(char **f)
{
	char command[1024], before[1024];
	const char *why;

	translate(f[COMMAND], command, sizeof(command));
	translate(f[BEFORE], before, sizeof(before));
	if (!put_into(f[SITUATION]))
		why = "the situation for it could not be made";
	else if (*before && shell(before))
		why = "what comes before it has failed";
	else
		why = step_by_step(f, command);
	h_diag("%s", command);
	if (why)
		h_diag("%s: %.3000s", why, said);
	h_ok(!why, "%s: %s", f[PLACE], f[COMMAND]);
}

static int split(char *line, char **f)
{
	int n = 0;

	line[strcspn(line, "\n")] = '\0';
	while (n < FIELDS && (f[n] = strsep(&line, "\t")))
		n++;
	return n;
}

static int count_steps(FILE *plan)
{
	char line[4096];
	int n = 0;

	while (fgets(line, sizeof(line), plan))
		n += !strncmp(line, "run\t", 4) || !strncmp(line, "page\t", 5);
	rewind(plan);
	return n;
}

int main(void)
{
	FILE *plan = fopen(PLAN, "re");
	char line[4096], *f[FIELDS];

	if (!plan || !prepare())
		h_bail("the machine could not be prepared: %s", strerror(errno));
	name_things();
	h_plan(count_steps(plan) + 1);
	while (fgets(line, sizeof(line), plan)) {
		int n = split(line, f);

		if (n == FIELDS)
			run_step(f);
		else
			h_ok(n == 3 && begin_page(f[1], f[2]), "%s", f[1]);
	}
	unbind_all();
	dev_param("drain_timeout_ms", "30000");
	shell("echo 0 >/sys/kernel/tracing/events/p2p_vfio/enable; "
	      "echo 0 >/sys/kernel/tracing/events/p2p_vfio/p2p_vfio_begin/filter");
	h_ok(!chdir("/") && !umount("/data"), "nothing is left at /data");
	return h_done();
}
