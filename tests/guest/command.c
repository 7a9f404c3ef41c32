// SPDX-License-Identifier: MIT
/* command.c - the command vfio-p2p, run as a user would, and files for it */
#define _GNU_SOURCE
#include "command.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dev.h"
#include "harness.h"

#define TOOL "/bin/vfio-p2p"

char said[262144];

static void redirect_and_exec(const char *program, char **argv)
{
	int fd = open("/tmp/said", O_RDWR | O_CREAT | O_TRUNC, 0600);

	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	execv(program, argv);
	_exit(127);
}

static pid_t start(char *program, const char *format, va_list args)
{
	char line[1024], *argv[64] = { program }, *word, *save;
	int argc = 1;
	pid_t pid;

	vsnprintf(line, sizeof(line), format, args);
	h_diag("%s %s", strrchr(program, '/') + 1, line);
	for (word = strtok_r(line, " ", &save); word; word = strtok_r(NULL, " ", &save))
		argv[argc++] = word;
	/* Nothing of an earlier run is to be taken for this one's. */
	unlink("/tmp/said");
	pid = fork();
	if (!pid)
		redirect_and_exec(program, argv);
	return pid;
}

void hear(void)
{
	int fd = open("/tmp/said", O_RDONLY);
	ssize_t n = read(fd, said, sizeof(said) - 1);

	close(fd);
	said[n > 0 ? n : 0] = '\0';
}

static int result(int status)
{
	hear();
	if (*said)
		h_diag("%.6000s", said);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

int ended(pid_t pid)
{
	int status;

	waitpid(pid, &status, 0);
	return result(status);
}

pid_t tool_begin(const char *format, ...)
{
	va_list args;
	pid_t pid;

	va_start(args, format);
	pid = start(TOOL, format, args);
	va_end(args);
	return pid;
}

/* Where its threads stand in the kernel. */
static void show_stacks(pid_t pid)
{
	char path[32], stack[4096];
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir)))
		if (!h_readf(stack, sizeof(stack), "%s/%s/stack", path, entry->d_name))
			h_diag("thread %s: %s", entry->d_name, stack);
	if (dir)
		closedir(dir);
}

int tool_end(pid_t pid, unsigned int ms)
{
	int status;

	if (!h_await(pid, &status, ms)) {
		show_stacks(pid);
		return -ETIMEDOUT;
	}
	return result(status);
}

int tool(const char *format, ...)
{
	va_list args;
	pid_t pid;

	va_start(args, format);
	pid = start(TOOL, format, args);
	va_end(args);
	return ended(pid);
}

int example(const char *name, const char *format, ...)
{
	char program[64];
	va_list args;
	pid_t pid;

	snprintf(program, sizeof(program), "/bin/example-%s", name);
	va_start(args, format);
	pid = start(program, format, args);
	va_end(args);
	return ended(pid);
}

pid_t begun(const char *name, const char *format, ...)
{
	char program[64];
	va_list args;
	pid_t pid;

	snprintf(program, sizeof(program), "/bin/%s", name);
	va_start(args, format);
	pid = start(program, format, args);
	va_end(args);
	return pid;
}

bool says(const char *format, ...)
{
	char part[256];
	va_list args;

	va_start(args, format);
	vsnprintf(part, sizeof(part), format, args);
	va_end(args);
	return strstr(said, part);
}

bool bound_to(const char *bdf, const char *driver)
{
	char now[64];

	h_driver(bdf, now, sizeof(now));
	return !strcmp(now, driver);
}

bool make_file(const char *path, size_t size, unsigned int seed)
{
	unsigned char *bytes = malloc(size);
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	size_t i;
	bool fine;

	for (i = 0; i < size; i++) {
		seed = seed * 1103515245 + 12345;
		bytes[i] = seed >> 16;
	}
	fine = write(fd, bytes, size) == (ssize_t)size && !fsync(fd);
	close(fd);
	free(bytes);
	return fine;
}

bool fill_disk(const char *disk, off_t offset, unsigned int seed)
{
	char *bytes = malloc(1 << 20);
	int in, out = open(disk, O_WRONLY);
	bool fine = make_file("/tmp/bytes", 1 << 20, seed);

	in = open("/tmp/bytes", O_RDONLY);
	fine = fine && read(in, bytes, 1 << 20) == 1 << 20 &&
	       pwrite(out, bytes, 1 << 20, offset) == 1 << 20 && !fsync(out);
	close(in);
	close(out);
	free(bytes);
	return fine;
}

bool same(const char *a, const char *b, off_t b_offset, size_t size)
{
	char *bytes = malloc(2 * size);
	int fd_a = open(a, O_RDONLY), fd_b = open(b, O_RDONLY);
	bool fine = pread(fd_a, bytes, size, 0) == (ssize_t)size &&
		    pread(fd_b, bytes + size, size, b_offset) == (ssize_t)size &&
		    !memcmp(bytes, bytes + size, size);

	close(fd_a);
	close(fd_b);
	free(bytes);
	return fine;
}

int open_as_others(const char *bdf)
{
	struct dev d;

	return dev_open_bdf(&d, bdf) ? -1 : d.fd;
}
