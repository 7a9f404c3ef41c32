// SPDX-License-Identifier: MIT
/*
 * cli_played_library.c - libvfio-p2p, played for the tests of the tool
 *
 * The device's memory is the file $PLAYED/memory (BAR 2), its windows are lines of
 * $PLAYED/windows (BAR, offset, length; length 0 where one has been unregistered),
 * every copy, registration and its end leaves a line in $PLAYED/calls.
 * Environment:
 *	PLAYED_ERROR="FUNCTION ERRNO"	that function fails so
 *	PLAYED_REMEDY=FLAG		the copy's error names that flag
 *	PLAYED_CORRUPT=N		the copy gets byte N wrong
 *	PLAYED_IDLE=1			the copy moves nothing, and says it has
 *	PLAYED_ASTRAY=1			windows are mapped where no BAR is
 *	PLAYED_RESETS=1			each look at the state finds another generation
 *	PLAYED_ZERO=N			the copy says that N bytes were a hole's
 *	PLAYED_RESTARTS=1		the copy starts again once, and has waited
 *	PLAYED_PART=N			the copy fails with EIO when N bytes are in place
 *	PLAYED_ENDLESS=1		the copy ends only if it is cancelled
 *	PLAYED_RAISE=FUNCTION		SIGTERM comes during map_bar or unmap
 *	PLAYED_STUCK=1			the device's open waits for ever, deaf to handlers
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vfio-p2p.h>

#define MAX_WINDOWS 8

struct vp2p_device {
	char bdf[VP2P_BDF_LEN];
	int memory;
};

struct vp2p_window {
	struct vp2p_device *dev;
	unsigned int id, bar;
	unsigned long long offset, length;
};

static int play_error(const char *function, int code, struct vp2p_error *err);

static const char *in_folder(const char *name)
{
	static char path[512];

	snprintf(path, sizeof(path), "%s/%s", getenv("PLAYED"), name);
	return path;
}

static void say(const char *what, unsigned long long a, unsigned long long b,
		unsigned long long c, unsigned long long d, unsigned int flags)
{
	FILE *calls = fopen(in_folder("calls"), "a");

	fprintf(calls, "%s %llu %llu %llu %llu flags=%x\n", what, a, b, c, d, flags);
	fclose(calls);
}

static int play_error(const char *function, int code, struct vp2p_error *err)
{
	bool copies = !strcmp(function, "copy");
	const char *flag = getenv("PLAYED_REMEDY");

	err->code = code;
	snprintf(err->device, sizeof(err->device), "PLAYED-DEVICE");
	snprintf(err->step, sizeof(err->step), "play %s", function);
	snprintf(err->cause, sizeof(err->cause), "played cause");
	snprintf(err->remedy, sizeof(err->remedy), "played remedy%s%s%s",
		 copies ? " (" : "", copies ? flag ? flag : "VP2P_COPY_ALLOW_TAIL" : "",
		 copies ? ")" : "");
	return -err->code;
}

static int played_error(const char *function, struct vp2p_error *err)
{
	const char *wanted = getenv("PLAYED_ERROR");
	size_t length = strlen(function);

	if (!wanted || strncmp(wanted, function, length) || wanted[length] != ' ')
		return 0;
	return play_error(function, atoi(wanted + length), err);
}

static void played_signal(const char *function)
{
	const char *wanted = getenv("PLAYED_RAISE");
	sigset_t pending;

	if (!wanted || strcmp(wanted, function))
		return;
	kill(getpid(), SIGTERM);
	/* Whoever it is for has it, and the time to say so. */
	do {
		usleep(50000);
		sigpending(&pending);
	} while (sigismember(&pending, SIGTERM));
}

/* As a thread that waits for an NFS server: only the process's end ends that. */
static void play_stuck(void)
{
	sigset_t all;

	if (!getenv("PLAYED_STUCK"))
		return;
	say("stuck", 0, 0, 0, 0, 0);
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	for (;;)
		pause();
}

static unsigned int load_windows(struct vp2p_window *windows)
{
	FILE *file = fopen(in_folder("windows"), "r");
	unsigned int count = 0;

	while (file && count < MAX_WINDOWS &&
	       fscanf(file, "%u %llu %llu", &windows[count].bar,
		      &windows[count].offset, &windows[count].length) == 3) {
		windows[count].id = count;
		count++;
	}
	if (file)
		fclose(file);
	return count;
}

const char *vp2p_version(void)
{
	return "played";
}

int vp2p_open(const char *bdf, unsigned int flags, struct vp2p_device **dev,
	      struct vp2p_error *err)
{
	int rc = played_error("open", err);

	if (rc)
		return rc;
	play_stuck();
	*dev = calloc(1, sizeof(**dev));
	snprintf((*dev)->bdf, sizeof((*dev)->bdf), "%s", bdf);
	(*dev)->memory = open(in_folder("memory"), O_RDWR);
	say("open", 0, 0, 0, 0, flags);
	return 0;
}

void vp2p_close(struct vp2p_device *dev)
{
	if (!dev)
		return;
	say("close", 0, 0, 0, 0, 0);
	close(dev->memory);
	free(dev);
}

int vp2p_get_state(const struct vp2p_device *dev, struct vp2p_state *state,
		   struct vp2p_error *err)
{
	struct vp2p_window windows[MAX_WINDOWS];
	static unsigned int resets;

	(void)dev, (void)err;
	resets += getenv("PLAYED_RESETS") != NULL;
	*state = (struct vp2p_state){ .state = VP2P_STATE_LIVE, .generation = 7 + resets,
				      .windows = load_windows(windows) };
	return 0;
}

int vp2p_window_find(struct vp2p_device *dev, unsigned int id, unsigned int flags,
		     struct vp2p_window **win, struct vp2p_error *err)
{
	struct vp2p_window windows[MAX_WINDOWS];

	(void)dev, (void)flags;
	if (id >= load_windows(windows) || !windows[id].length)
		return play_error("window_find", ENOENT, err);
	*win = calloc(1, sizeof(**win));
	**win = windows[id];
	(*win)->dev = dev;
	return 0;
}

int vp2p_window_create(struct vp2p_device *dev, unsigned int bar, uint64_t offset,
		       uint64_t length, unsigned int flags,
		       struct vp2p_window **win, struct vp2p_error *err)
{
	struct vp2p_window windows[MAX_WINDOWS];
	unsigned int count = load_windows(windows);
	int rc = played_error("window_create", err);
	unsigned int i;
	FILE *file;

	for (i = 0; !rc && i < count; i++) {
		if (windows[i].bar != bar || offset >= windows[i].offset + windows[i].length ||
		    windows[i].offset >= offset + length)
			continue;
		if (windows[i].offset == offset && windows[i].length == length)
			return vp2p_window_find(dev, i, 0, win, err);
		rc = play_error("window_create", EEXIST, err);
	}
	if (rc)
		return rc;
	say("window", bar, offset, length, 0, flags);
	file = fopen(in_folder("windows"), "a");
	fprintf(file, "%u %llu %llu\n", bar, (unsigned long long)offset,
		(unsigned long long)length);
	fclose(file);
	return vp2p_window_find(dev, count, 0, win, err);
}

/* Without $PLAYED/combining the BAR is not prefetchable. */
int vp2p_window_lookup(struct vp2p_device *dev, unsigned int bar, uint64_t offset,
		       uint64_t length, unsigned int flags,
		       struct vp2p_window **win, struct vp2p_error *err)
{
	struct vp2p_window windows[MAX_WINDOWS];
	unsigned int count = load_windows(windows);
	uint64_t end = offset + (length ? length : 1);
	unsigned int i;

	if ((flags & VP2P_WINDOW_WC) && access(in_folder("combining"), F_OK))
		return play_error("window_lookup", EOPNOTSUPP, err);
	for (i = 0; i < count; i++)
		if (windows[i].bar == bar && windows[i].offset <= offset &&
		    end <= windows[i].offset + windows[i].length)
			return vp2p_window_find(dev, i, flags, win, err);
	return play_error("window_lookup", ENOENT, err);
}

int vp2p_window_unregister(struct vp2p_window *win, struct vp2p_error *err)
{
	struct vp2p_window windows[MAX_WINDOWS];
	unsigned int count = load_windows(windows);
	int rc = played_error("window_unregister", err);
	unsigned int i;
	FILE *file;

	if (rc)
		return rc;
	say("unregister", win->id, 0, 0, 0, 0);
	file = fopen(in_folder("windows"), "w");
	for (i = 0; i < count; i++)
		fprintf(file, "%u %llu %llu\n", windows[i].bar, windows[i].offset,
			i == win->id ? 0 : windows[i].length);
	fclose(file);
	free(win);
	return 0;
}

void vp2p_window_destroy(struct vp2p_window *win)
{
	free(win);
}

unsigned int vp2p_window_id(const struct vp2p_window *win) { return win->id; }
unsigned int vp2p_window_bar(const struct vp2p_window *win) { return win->bar; }
uint64_t vp2p_window_offset(const struct vp2p_window *win) { return win->offset; }
uint64_t vp2p_window_length(const struct vp2p_window *win) { return win->length; }

unsigned int vp2p_window_provider(const struct vp2p_window *win)
{
	(void)win;
	return VP2P_PROVIDER_OWN;
}

const char *vp2p_provider_name(unsigned int provider)
{
	return provider == VP2P_PROVIDER_OWN ? "own" : "unknown";
}

struct vp2p_device *vp2p_window_device(const struct vp2p_window *win) { return win->dev; }
int vp2p_device_fd(const struct vp2p_device *dev) { return dev->memory; }

int vp2p_map(const struct vp2p_window *win, uint64_t offset, uint64_t length,
	     unsigned int flags, void **addr, struct vp2p_error *err)
{
	bool astray = getenv("PLAYED_ASTRAY");
	int rc = played_error("map", err);

	if (rc)
		return rc;
	say("map", win->id, offset, length, 0, flags);
	*addr = mmap(NULL, length, PROT_READ | PROT_WRITE,
		     MAP_SHARED | (astray ? MAP_ANONYMOUS : 0),
		     astray ? -1 : win->dev->memory, (off_t)(win->offset + offset));
	return *addr == MAP_FAILED ? -errno : 0;
}

int vp2p_map_bar(const struct vp2p_device *dev, unsigned int bar, uint64_t offset,
		 uint64_t length, void **addr, struct vp2p_error *err)
{
	(void)bar, (void)err;
	played_signal("map_bar");
	*addr = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, dev->memory,
		     (off_t)offset);
	return *addr == MAP_FAILED ? -errno : 0;
}

int vp2p_unmap(void *addr, uint64_t length, struct vp2p_error *err)
{
	(void)err;
	played_signal("unmap");
	return munmap(addr, length);
}

/* Where a file lies is played in cli_doctor.c, with the real library. */
int vp2p_peer_for_fd(const struct vp2p_device *dev, int fd, struct vp2p_peer_list **list,
		     struct vp2p_error *err)
{
	(void)dev, (void)fd, (void)list;
	return play_error("peer_for_fd", EOPNOTSUPP, err);
}

void vp2p_peer_list_free(struct vp2p_peer_list *list)
{
	(void)list;
}

const char *vp2p_route_name(unsigned int route)
{
	(void)route;
	return "unknown";
}

/* Bytes moved, or -errno. */
static int64_t move(const struct vp2p_copy_request *c, uint64_t length)
{
	int memory = open(in_folder("memory"), O_RDWR);
	off_t at = (off_t)(c->window->offset + c->window_offset);
	int in = c->direction == VP2P_FILE_TO_WINDOW;
	const char *corrupt = getenv("PLAYED_CORRUPT");
	char *buffer = calloc(1, length);
	int64_t got = in ? pread(c->fd, buffer, length, (off_t)c->file_offset) :
			   pread(memory, buffer, length, at);

	if (corrupt)
		buffer[atoi(corrupt)] ^= 0x55;
	if (got >= 0)
		got = in ? pwrite(memory, buffer, (size_t)got, at) :
			   pwrite(c->fd, buffer, (size_t)got, (off_t)c->file_offset);
	if (got < 0)
		got = -errno;
	free(buffer);
	close(memory);
	return got;
}

void vp2p_stream_to_device(void *device, const void *ram, size_t size)
{
	memcpy(device, ram, size);
}

void vp2p_stream_from_device(void *ram, const void *device, size_t size)
{
	memcpy(ram, device, size);
}

const char *vp2p_stream_name(void)
{
	return "played";
}

const char *vp2p_bounce_reason_name(unsigned int reason)
{
	return reason == VP2P_BOUNCE_FORCED ? "forced" : "none";
}

/* A copy that is forced goes by the CPU, and else peer-to-peer, but for a hole. */
static void count(const struct vp2p_copy_request *c, uint64_t got,
		  struct vp2p_copy_result *r)
{
	const char *zero = getenv("PLAYED_ZERO");
	int forced = !!(c->flags & VP2P_COPY_BOUNCE_FORCE);

	*r = (struct vp2p_copy_result){
		.bytes_zero = zero ? (uint64_t)atoll(zero) : 0,
		.retries = 3,
		.generation_before = c->generation,
		.elapsed_ns = 500000000,
		.bounce_reason = forced ? VP2P_BOUNCE_FORCED : VP2P_BOUNCE_NONE,
	};
	*(forced ? &r->bytes_bounced : &r->bytes_p2p) = got - r->bytes_zero;
	if (!getenv("PLAYED_RESTARTS"))
		return;
	r->restarts = 1;
	r->bytes_repeated = got / 2;
	r->waited_ns = 1500000000;
}

int vp2p_copy(const struct vp2p_copy_request *c, struct vp2p_copy_result *r,
	      struct vp2p_error *err)
{
	uint64_t length = c->length;
	int rc = played_error("copy", err);
	int64_t got;
	struct stat stat;

	say(c->direction == VP2P_FILE_TO_WINDOW ? "in" : "out", c->window_offset,
	    c->file_offset, c->length, c->chunk, c->flags);
	if (rc)
		return rc;
	if (!length && !fstat(c->fd, &stat))
		length = (uint64_t)stat.st_size - c->file_offset;
	if (getenv("PLAYED_ENDLESS")) {
		while (!c->progress(1, length, c->progress_arg))
			usleep(10000);
		setenv("PLAYED_ERROR", "copy 125", 1);
		return played_error("copy", err);
	}
	if (getenv("PLAYED_PART")) {
		r->bytes_p2p = (uint64_t)atoll(getenv("PLAYED_PART"));
		return play_error("copy", EIO, err);
	}
	got = getenv("PLAYED_IDLE") ? (int64_t)length : move(c, length);
	if (got < 0)
		return (int)got;
	if (getenv("PLAYED_RESTARTS")) {
		c->progress((uint64_t)got / 2, length, c->progress_arg);
		c->progress(0, length, c->progress_arg);
	}
	c->progress((uint64_t)got, length, c->progress_arg);
	if (r)
		count(c, (uint64_t)got, r);
	return 0;
}
