// SPDX-License-Identifier: MIT
/*
 * The command `vfio-p2p bench` in the machine: what it prints goes to the host,
 * in pieces of a line.
 *
 * Its arguments are what is read, "raw" (the disk), "file" (on ext4) or "both", and
 * then the command's own.  What the command could not measure is in its report; here
 * a run fails if there is none.
 */
#define _GNU_SOURCE
#include "dev.h"
#include "harness.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define TOOL "/bin/vfio-p2p"
#define MIB ((size_t)1 << 20)
#define FILE_BYTES (128 * MIB)
#define PIECE 900
#define MAX_ARGS 32

static bool make_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	char *block = malloc(MIB);
	bool good = fd >= 0;

	memset(block, 0x5a, MIB);
	for (size_t at = 0; good && at < FILE_BYTES; at += MIB)
		good = write(fd, block, MIB) == (ssize_t)MIB;
	good = good && !fsync(fd);
	close(fd);
	free(block);
	return good;
}

static pid_t start(char **argv, int *out)
{
	int pipefd[2];
	pid_t pid;

	if (pipe(pipefd))
		return -1;
	pid = fork();
	if (!pid) {
		dup2(pipefd[1], STDOUT_FILENO);
		close(pipefd[0]);
		close(pipefd[1]);
		execv(TOOL, argv);
		_exit(127);
	}
	close(pipefd[1]);
	*out = pipefd[0];
	return pid;
}

/* JSON needs no line breaks; blanks at a piece's end must last. */
static void relay(int in)
{
	FILE *f = fdopen(in, "r");
	char piece[PIECE + 1];
	size_t n = 0;
	int c;

	while ((c = getc(f)) != EOF) {
		if (c != '\n')
			piece[n++] = c;
		if (n == PIECE || (c == '\n' && n)) {
			piece[n] = 0;
			h_diag("report |%s|", piece);
			n = 0;
		}
	}
	fclose(f);
}

static const char *a_file(void)
{
	const char *folder = h_mount("ext4", NULL);
	static char path[64];

	snprintf(path, sizeof(path), "%s/file", folder ?: "");
	if (!folder || !make_file(path))
		h_bail("no file to read");
	return path;
}

static bool run(const char *what, char **options)
{
	char place[32], *argv[MAX_ARGS] = { TOOL, "bench", "--json", "--quiet" };
	int n = 4, out = -1, status = -1;
	pid_t pid;

	while (*options && n < MAX_ARGS - 4)
		argv[n++] = *options++;
	/* BAR 2 is the memory of the target of these machines. */
	snprintf(place, sizeof(place), "%s:2", h_pci("target"));
	argv[n++] = place;
	if (strcmp(what, "file"))
		argv[n++] = (char *)h_disk("raw");
	if (strcmp(what, "raw"))
		argv[n++] = (char *)a_file();
	pid = start(argv, &out);
	relay(out);
	waitpid(pid, &status, 0);
	h_diag("exit status %d", WEXITSTATUS(status));
	return WIFEXITED(status) && !WEXITSTATUS(status);
}

int main(int argc, char **argv)
{
	if (argc < 2)
		h_bail("usage: bench_io raw|file|both [OPTION]...");
	h_plan(1);
	dev_bind("target", DEV_P2P);
	h_ok(run(argv[1], argv + 2), "vfio-p2p bench");
	return h_done();
}
