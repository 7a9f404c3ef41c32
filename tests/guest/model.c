// SPDX-License-Identifier: MIT
/* A window, a file, and what they should hold: see model.h. */
#define _GNU_SOURCE
#include "model.h"
#include "harness.h"
#include "pattern.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define AROUND (16 * PAGE)

struct dev d;
char *win, *raw, *win_model, *file_model;
int fd;
uint32_t stream;

/* Scene */

static void make_models(void)
{
	win_model = aligned_alloc(PAGE, WINDOW);
	file_model = aligned_alloc(PAGE, REGION);
	stream = 1;
	pattern_fill(win_model, WINDOW, stream++, 0);
	pattern_fill(raw, WINDOW, 1, 0);
	pattern_fill(file_model, REGION, stream++, 0);
	H_EQ(pwrite(fd, file_model, REGION, REGION_AT), REGION);
}

static void open_medium(const char *role)
{
	char path[64];

	if (!strcmp(role, "raw")) {
		fd = open(h_disk("raw"), O_RDWR | O_DIRECT);
	} else {
		const char *dir = h_mount(role, NULL);

		H_CHECK(dir);
		snprintf(path, sizeof(path), "%s/data", dir);
		fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_DIRECT, 0600);
	}
	H_CHECK(fd >= 0);
}

void begin(const char *role)
{
	open_medium(role);
	if (h_failed())
		return;
	H_EQ(dev_open(&d, "target"), 0);
	win = dev_window(&d, dev_bar(&d), WINDOW_AT, WINDOW);
	raw = dev_map_raw(&d, dev_bar(&d), WINDOW_AT, WINDOW);
	H_CHECK(win && raw);
	make_models();
}

/* Comparing */

void window_is(size_t from, size_t to, const char *what)
{
	long wrong = pattern_compare(raw + from, win_model + from, to - from);

	if (wrong >= 0)
		h_fail("%s: the window is wrong at %#zx", what, from + wrong);
}

void file_is(size_t from, size_t to, const char *what)
{
	static char *buf;
	long wrong;

	from -= from % PAGE;
	to += -to % PAGE;
	buf = buf ?: aligned_alloc(PAGE, REGION);
	H_EQ(pread(fd, buf, to - from, REGION_AT + from), to - from);
	wrong = pattern_compare(buf, file_model + from, to - from);
	if (wrong >= 0)
		h_fail("%s: the file is wrong at %#zx", what, from + wrong);
}

static size_t below(size_t at)
{
	return at > AROUND ? at - AROUND : 0;
}

static size_t above(size_t at, size_t limit)
{
	return at + AROUND < limit ? at + AROUND : limit;
}

void look_around(const struct place *p, bool write, const char *what)
{
	if (write)
		file_is(below(p->file), above(p->file + p->bytes, REGION), what);
	else
		window_is(below(p->win), above(p->win + p->bytes, WINDOW), what);
}

void close_all(const char *role)
{
	close(fd);
	dev_close(&d);
	if (strcmp(role, "raw"))
		H_EQ(h_umount(role), 0);
	dev_check_rest("target");
	H_EQ(dev_count("target", "drain_timeouts"), 0);
	H_EQ(dev_count("target", "faults_refused"), 0);
}

void end(const char *role)
{
	if (!h_failed())
		window_is(0, WINDOW, "at the end");
	if (!h_failed())
		file_is(0, REGION, "at the end");
	if (!h_failed())
		close_all(role);
}

/* The models */

/* New data at both ends of a transfer. */
void stamp(const struct place *p)
{
	pattern_fill(win_model + p->win, p->bytes, stream, p->win / 8);
	pattern_fill(raw + p->win, p->bytes, stream, p->win / 8);
	stream++;
}

void model(const struct place *p, bool write)
{
	if (write)
		memcpy(file_model + p->file, win_model + p->win, p->bytes);
	else
		memcpy(win_model + p->win, file_model + p->file, p->bytes);
}
