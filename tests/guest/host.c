// SPDX-License-Identifier: MIT
/* The line to the host: see harness.h.  One question at a time, one answer each. */
#define _GNU_SOURCE
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <string.h>
#include <sys/file.h>
#include <termios.h>
#include <unistd.h>

#define PORT "/dev/ttyS2"
#define ANSWER_MS 30000

static int open_port(void)
{
	struct termios raw;
	int fd = open(PORT, O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	flock(fd, LOCK_EX);	/* test programs may be many processes */
	tcgetattr(fd, &raw);
	cfmakeraw(&raw);
	tcsetattr(fd, TCSANOW, &raw);
	return fd;
}

static int write_all(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t n = write(fd, text, len);

		if (n < 0)
			return -errno;
		text += n;
		len -= n;
	}
	return 0;
}

/* An answer that does not fit is cut, but read to its end. */
static int read_line(int fd, char *buf, size_t size)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	size_t len = 0;
	char chunk[256];

	for (;;) {
		ssize_t n;

		if (poll(&p, 1, ANSWER_MS) != 1)
			return -ETIMEDOUT;
		n = read(fd, chunk, sizeof(chunk));
		if (n <= 0)
			return -EIO;
		for (ssize_t i = 0; i < n; i++) {
			if (chunk[i] == '\n') {
				buf[len] = 0;
				return 0;
			}
			if (len + 1 < size)
				buf[len++] = chunk[i];
		}
	}
}

int h_host(const char *json, char *reply, size_t n)
{
	char own[256];
	int fd = open_port();
	int err;

	if (fd < 0)
		return fd;
	if (!reply) {
		reply = own;
		n = sizeof(own);
	}
	err = write_all(fd, json, strlen(json)) ?: write_all(fd, "\n", 1) ?: read_line(fd, reply, n);
	close(fd);
	if (!err && !strncmp(reply, "{\"error\"", 8))
		err = -EREMOTEIO;
	return err;
}

int h_hostf(char *reply, size_t n, const char *fmt, ...)
{
	char json[2048];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(json, sizeof(json), fmt, ap);
	va_end(ap);
	return h_host(json, reply, n);
}

int h_limit_disk(const char *drive, uint64_t bytes_per_second)
{
	return h_hostf(NULL, 0, "{\"qmp\": {\"execute\": \"block_set_io_throttle\", \"arguments\": "
		       "{\"device\": \"%s\", \"bps\": %llu, \"bps_rd\": 0, \"bps_wr\": 0, "
		       "\"iops\": 0, \"iops_rd\": 0, \"iops_wr\": 0}}}", drive,
		       (unsigned long long)bytes_per_second);
}
