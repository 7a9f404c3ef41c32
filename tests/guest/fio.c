// SPDX-License-Identifier: MIT
/* fio.c - fio with the engine vfio-p2p, and the page about it */
#define _GNU_SOURCE
#include "fio.h"
#include "command.h"
#include "harness.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int fio(const char *format, ...)
{
	char line[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	return ended(begun("fio", "%s", line));
}

void fio_bind(void)
{
	H_EQ(tool("bind %s --window 2", h_pci("target")), 0);
}

void fio_unbind(void)
{
	H_EQ(tool("unbind %s", h_pci("target")), 0);
}

bool on_page(const char *words)
{
	static char page[65536];

	if (!*page) {
		int fd = open(PAGE, O_RDONLY);
		ssize_t n = read(fd, page, sizeof(page) - 1);

		close(fd);
		page[n > 0 ? n : 0] = '\0';
	}
	return strstr(page, words);
}
