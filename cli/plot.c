/* SPDX-License-Identifier: MIT */
/* plot.c - running gnuplot */
#include "plot.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli.h"
#include "text.h"

static const char step[] = "draw the figures";

/* As execvp() would find it, but before there is anything to draw. */
static const char *find_program(const char *name)
{
	const char *path = getenv("PATH");
	char *rest = text("%s", path ? path : "/usr/local/bin:/usr/bin:/bin");
	char *folder;

	while ((folder = strsep(&rest, ":"))) {
		const char *program = text("%s/%s", folder, name);

		if (*folder == '/' && !access(program, X_OK))
			return program;
	}
	return NULL;
}

int plot_prepare(struct plot *plot, const char *path)
{
	struct stat status;

	*plot = (struct plot){ .fd = -1 };
	if (!path)
		return EXIT_OK;
	if (!*path || (!stat(path, &status) && !S_ISREG(status.st_mode)))
		return fail(EXIT_USAGE, path, step, "it is no regular file",
			    "name a file that is to be made, as in --svg bench.svg");
	plot->program = find_program("gnuplot");
	if (!plot->program)
		return fail(EXIT_IMPOSSIBLE, path, step,
			    "gnuplot is not installed",
			    "apt install gnuplot-nox, or leave --svg away");
	plot->partial = text("%s.partial", path);
	plot->fd = open(plot->partial, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
			0666);
	if (plot->fd < 0)
		return fail_for(errno, EXIT_FAILED, plot->partial, step,
				strerror(errno), errno == EEXIST ?
				"another vfio-p2p draws it, or was killed: then "
				"remove that file" :
				"choose a directory that may be written to");
	plot->path = path;
	return EXIT_OK;
}

/* Return: never. Anything that goes wrong here is an exit status like gnuplot's. */
static void become_gnuplot(const struct plot *plot, int input)
{
	char name[] = "gnuplot";
	char *const argv[] = { name, NULL };

	if (dup2(input, STDIN_FILENO) >= 0 &&
	    dup2(plot->fd, STDOUT_FILENO) >= 0)
		execv(plot->program, argv);
	_exit(127);
}

/* Return: gnuplot's pid, or -1; *script is the pipe to it. */
static pid_t start(const struct plot *plot, FILE **script)
{
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC))
		return -1;
	fflush(stdout);
	pid = fork();
	if (!pid)
		become_gnuplot(plot, ends[0]);
	close(ends[0]);
	*script = pid > 0 ? fdopen(ends[1], "w") : NULL;
	if (!*script)
		close(ends[1]);
	return pid;
}

static int wait_for(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return status;
}

int plot_draw(struct plot *plot, plot_script_t *write_script, const void *what)
{
	FILE *script = NULL;
	int status, written = 0;
	pid_t pid;

	if (!plot->path)
		return EXIT_OK;
	pid = start(plot, &script);
	if (pid < 0)
		return fail_for(errno, EXIT_FAILED, plot->path, step,
				strerror(errno), NULL);
	if (script) {
		write_script(script, what);
		written = !fclose(script);
	}
	status = wait_for(pid);
	if (status || !written)
		return fail(EXIT_FAILED, plot->path, step,
			    text("%s ended with status %d", plot->program,
				 WIFEXITED(status) ? WEXITSTATUS(status) : -1),
			    "see what it has said above; --json has the figures");
	if (fsync(plot->fd) || rename(plot->partial, plot->path))
		return fail_for(errno, EXIT_FAILED, plot->path, step,
				strerror(errno), NULL);
	plot->partial = NULL;
	return EXIT_OK;
}

/* In single quotes only these need care. */
const char *plot_quoted(const char *string)
{
	const char *rest = text_printable(string);
	char *result = keep(2 * strlen(rest) + 3);
	char *at = result;

	*at++ = '\'';
	for (; *rest; rest++) {
		if (*rest == '\'')
			*at++ = '\'';
		*at++ = *rest;
	}
	*at = '\'';
	return result;
}

void plot_close(struct plot *plot)
{
	if (plot->fd < 0)
		return;
	close(plot->fd);
	plot->fd = -1;
	if (plot->partial)
		unlink(plot->partial);
}
