// SPDX-License-Identifier: MIT
#include "picture.h"

#include "harness.h"
#include "story.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void picture_show(struct display *d, const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECT);
	uint64_t start = h_now_ns();
	ssize_t n;

	n = read(fd, d->pages, PICTURE);
	if (n != PICTURE)
		give_up_errno(path);
	tell("read", "%s bytes from %s into video memory, one call, %.1f ms", grouped(n), path,
	     (double)(h_now_ns() - start) / 1e6);
	close(fd);
}

/* The file's bytes come by direct I/O too: the page cache is not to know them. */
bool picture_equals(const void *vram, const char *path, size_t length)
{
	void *copy = aligned_alloc(4096, length);
	int fd = open(path, O_RDONLY | O_DIRECT);
	bool equal = copy && pread(fd, copy, length, 0) == (ssize_t)length && !memcmp(vram, copy, length);

	free(copy);
	close(fd);
	return equal;
}

size_t picture_cached(const char *path)
{
	unsigned char there[PICTURE / 4096];
	int fd = open(path, O_RDONLY);
	void *view = mmap(NULL, PICTURE, PROT_READ, MAP_SHARED, fd, 0);
	size_t pages = 0;

	if (view == MAP_FAILED || mincore(view, PICTURE, there))
		give_up_errno(path);
	for (size_t i = 0; i < sizeof(there); i++)
		pages += there[i] & 1;
	munmap(view, PICTURE);
	close(fd);
	return pages * 4096;
}
