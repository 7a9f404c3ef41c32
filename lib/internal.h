/* SPDX-License-Identifier: MIT */
/*
 * internal.h - what the library's files share; nothing of it is exported
 *
 * The files, from the bottom up:
 *
 *	error.c		the error object
 *	bdf.c		PCI addresses
 *	sysfs.c		reading /sys and /proc, all of it below one root
 *	ranges.c	arithmetic of offsets and alignments, pure
 *	host.c		the few system calls that tests replace
 *	holder.c	who has a device node open
 *	driver.c	is the device bound to us, is its group viable
 *	container.c	the two ways to a device fd: group, character device
 *	device.c	open, attach, close, BARs
 *	window.c	windows
 *	unregister.c	and their end
 *	map.c		mappings
 *	populate.c	... with all their entries
 *	export.c	... for who is not to have the device
 *	state.c		state, events
 *	reset.c		reset of the function, of the slot or bus
 *	block.c		from a disk's name to its NVMe controllers
 *	peer.c		from a file to its disk; the kernel's answer about routes
 *	file.c		the file side of a copy
 *	mount.c		... and its server, if it has one
 *	stream.c	between RAM and a window by the CPU, as fast as it can
 *	guard.c		... where that may fail
 *	bounce.c	... and between RAM and a file meanwhile
 *	copy-plan.c	which bytes of a copy go how, pure
 *	copy-engine.c	the loop with its retries, on an abstract backend
 *	copy.c		the real backend
 *	transfer.c	what becomes of one transfer, pure
 *	io.c		a file and a window, ready for transfers
 *	pread.c		one transfer at a time
 *	queue.c		many of them, and the events that move them on
 *	ring.c		the queue's io_uring
 */
#ifndef VP2P_INTERNAL_H
#define VP2P_INTERNAL_H

#include <linux/types.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "uapi/p2p_vfio.h"
#include "vfio-compat.h"
#include "vfio-p2p.h"

#define VP2P_DRIVER	"p2p-vfio-pci"

/** struct vp2p_device - immutable after open or attach */
struct vp2p_device {
	int fd;
	int iommu_fd;		/* container or iommufd, -1 if attached */
	int group_fd;		/* -1 unless opened through a group */
	bool attached;		/* the fds are the application's */
	bool cdev;
	char bdf[VP2P_BDF_LEN];	/* "" if unknown */
	char name[64];		/* for errors: the address, or "VFIO device (fd 5)" */
};

/** struct vp2p_window - immutable after creation */
struct vp2p_window {
	struct vp2p_device *dev;
	uint32_t id;
	uint32_t bar;
	uint32_t flags;
	uint32_t provider;
	uint64_t offset;
	uint64_t length;
	uint64_t cookie;	/* mmap offset of its first byte */
};

/* error.c */

/* Between the cause and the remedy in the format of vp2p__fail(). */
#define MEND	"\x1f"

/*
 * Fills in @err (may be NULL) and returns -@code, so that every failure is one
 * statement: return vp2p__fail(err, EINVAL, name, "do it", "why" MEND "how").
 */
int vp2p__fail(struct vp2p_error *err, int code, const char *device,
	       const char *step, const char *format, ...)
	__attribute__((format(printf, 5, 6)));

/* "EINVAL" */
const char *vp2p__errno_name(int code);

/* How much of @text[0..@length) is left when a UTF-8 character cut at its end goes. */
size_t vp2p__whole_chars(const char *text, size_t length);

/* bdf.c */

struct vp2p__bdf {
	uint32_t domain;
	uint8_t bus;
	uint8_t devfn;
};

bool vp2p__bdf_parse(const char *text, struct vp2p__bdf *bdf);
void vp2p__bdf_print(const struct vp2p__bdf *bdf, char out[VP2P_BDF_LEN]);

/* sysfs.c: every path is absolute and taken below vp2p__root */

/* "" on a real system; tests point it at a recorded tree. */
extern const char *vp2p__root;

bool vp2p__exists(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* For reading and writing, by its permissions. */
bool vp2p__may_open(const char *node);
/* The first line of a file, without the line's end; 0 or -errno. */
int vp2p__read_line(char *buf, size_t size, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* The last component of a symlink's target; 0 or -errno. */
int vp2p__link_name(char *buf, size_t size, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* A symlink's target as it is; 0 or -errno. */
int vp2p__link_target(char *buf, size_t size, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The names in a directory, sorted by version order, without dot files. */
struct vp2p__names {
	int count;
	struct dirent **entries;
};

int vp2p__list(struct vp2p__names *names, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
const char *vp2p__name(const struct vp2p__names *names, int i);
void vp2p__list_free(struct vp2p__names *names);

/* A path below vp2p__root; the result is cut if @size is too small. */
void vp2p__path(char *buf, size_t size, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* ranges.c */

bool vp2p__aligned(uint64_t value, uint64_t align);
uint64_t vp2p__round_down(uint64_t value, uint64_t align);
uint64_t vp2p__round_up(uint64_t value, uint64_t align);
/* Does [offset, offset + length) lie in [0, limit)? False on overflow. */
bool vp2p__within(uint64_t offset, uint64_t length, uint64_t limit);
bool vp2p__overlap(uint64_t a, uint64_t a_len, uint64_t b, uint64_t b_len);
/* The lowest address from @base on that is congruent to @phase. */
uintptr_t vp2p__congruent(uintptr_t base, uint64_t phase, uint64_t granule);

/* host.c: 0 or more, or -errno */

struct vp2p__host {
	int (*ioctl)(int fd, unsigned long request, void *arg);
	int (*open)(const char *path, int flags);
	void *(*mmap)(void *addr, size_t length, int prot, int flags, int fd, off_t at);
	ssize_t (*transfer)(int fd, bool out, void *buf, size_t length, off_t at);
};

extern struct vp2p__host vp2p__host;

int vp2p__ioctl(int fd, unsigned long request, void *arg);
/* pwrite(2) if @out, else pread(2); again after a signal. */
ssize_t vp2p__transfer(int fd, bool out, void *buf, size_t length, off_t at);
/* Opens below vp2p__root, close-on-exec. */
int vp2p__open(const char *path, int flags);
/* VFIO_DEVICE_FEATURE with @data of @size bytes; NULL to probe. */
#define VP2P__FEATURE_MAX	256
int vp2p__feature(int fd, uint32_t flags, void *data, size_t size);

/* holder.c */

enum vp2p__holder { VP2P__NOT_SEEN, VP2P__OTHER, VP2P__SELF };

/*
 * Of a node, or of an anonymous file as /proc calls it: "process 12 (qemu)"; "this
 * process" if it has it mapped, or more than @own fds of it itself; else "another
 * process", or what else it may be.
 */
enum vp2p__holder vp2p__holder(const char *node, int own, char *buf, size_t size);

/* driver.c */

/* The driver's name, "" if none is bound. */
void vp2p__driver_of(const char *bdf, char *buf, size_t size);
int vp2p__check_bound(const char *bdf, struct vp2p_error *err);
/* The IOMMU group's number, or -errno. */
int vp2p__iommu_group(const char *bdf, struct vp2p_error *err);
/* Finds the device that makes a group not viable: "0000:03:00.1 (nvme)". */
bool vp2p__group_offender(int group, char *buf, size_t size);
/* Finds a function reset together with @bdf under another VFIO driver. */
bool vp2p__foreign_sibling(const char *bdf, char *buf, size_t size);

/* container.c */

int vp2p__open_group(struct vp2p_device *dev, struct vp2p_error *err);
bool vp2p__has_cdev(const char *bdf, char node[64]);
int vp2p__open_cdev(struct vp2p_device *dev, const char *node,
		    struct vp2p_error *err);

/* device.c */

/* What to write for the device in a command: its address, or "ADDRESS". */
const char *vp2p__address(const struct vp2p_device *dev);

/* Region info with its capabilities, to be freed; 0 or -errno. */
struct vfio_region_info;
int vp2p__region(const struct vp2p_device *dev, unsigned int index,
		 struct vfio_region_info **info);

/* map.c: maps the fd's range at an address congruent to @phase. */
int vp2p__map_fd(int fd, uint64_t cookie, uint64_t length, int prot,
		 uint64_t phase, void **addr);

/* ... a part of a window; a length of 0 is replaced. */
int vp2p__map_window(const struct vp2p_window *win, const char *step, uint64_t offset,
		     uint64_t *length, int prot, void **addr, struct vp2p_error *err);

/* block.c */

struct vp2p__peers {
	struct vp2p_peer_list *list;
	size_t room;
};

/* Appends an entry, all fields but the name and the path empty, or NULL. */
struct vp2p_peer_info *vp2p__peer_add(struct vp2p__peers *peers, const char *name,
				      const char *path);
/*
 * Appends the controllers below block device @name (as in /sys/class/block) and
 * whatever stands in the way; @path is how we came there.  0 or -ENOMEM.
 */
int vp2p__walk(struct vp2p__peers *peers, const char *name, const char *path,
	       int depth);
/* The whole disk that a partition lies on; @name itself otherwise. */
void vp2p__whole_disk(const char *name, char *disk, size_t size);

/* copy-plan.c */

/* What mends every refusal of a copy peer-to-peer. */
#define VP2P__BOUNCE_REMEDY	"let the CPU copy (VP2P_COPY_BOUNCE_ALLOW)"

struct vp2p__copy_rules {
	uint32_t direction;
	uint32_t flags;
	uint64_t window_length;
	uint64_t window_offset;
	uint64_t file_offset;
	uint64_t length;	/* as asked for: 0 is "all" */
	uint64_t chunk;		/* as asked for: 0 is the default */
	uint64_t file_size;
	uint64_t mem_align;
	uint64_t file_align;
	bool bounce;		/* nothing goes peer-to-peer */
};

/*
 * Bytes [0, direct) go peer-to-peer, [direct, total) by the CPU.  The last direct
 * request may ask for more than the file has: up to @request.
 */
struct vp2p__copy_plan {
	uint64_t total;
	uint64_t direct;
	uint64_t request;
	uint64_t chunk;
	uint64_t align;
	uint64_t cpu_chunk;
};

#define VP2P__CHUNK	(UINT64_C(4) << 20)
#define VP2P__CHUNK_MAX	(UINT64_C(1) << 30)

int vp2p__copy_plan(const struct vp2p__copy_rules *rules,
		    struct vp2p__copy_plan *plan, const char *device,
		    struct vp2p_error *err);

/* copy-engine.c */

enum vp2p__how { VP2P__DIRECT, VP2P__CPU };

/*
 * What a copy needs from the world.  Positions count from the copy's start.
 * @io: moves up to @length bytes at @pos, returns how many or -errno.
 * @look: the device's state.
 * @wait_live: as vp2p_wait_live().
 * @explain: turns an I/O error into an error with a cause; returns -errno.
 * @degrade: after @explain has said @code (negative): may the rest go by the CPU,
 *	in requests of *@chunk?  0, or @code.
 * @zeros: how many of these bytes, one at least, are holes in the file; asked of a
 *	complete copy alone.
 */
struct vp2p__copy_ops {
	int64_t (*io)(void *ctx, enum vp2p__how how, uint64_t pos, uint64_t length);
	int (*look)(void *ctx, struct vp2p_state *state, struct vp2p_error *err);
	int (*wait_live)(void *ctx, int timeout_ms, struct vp2p_error *err);
	int (*explain)(void *ctx, int code, uint64_t pos, struct vp2p_error *err);
	int (*degrade)(void *ctx, int code, uint64_t *chunk, struct vp2p_error *err);
	uint64_t (*zeros)(void *ctx, uint64_t pos, uint64_t length);
	uint64_t (*now_ns)(void *ctx);
};

struct vp2p__copy_run {
	const struct vp2p__copy_ops *ops;
	void *ctx;
	const struct vp2p_copy_request *copy;
	struct vp2p__copy_plan plan;
	const char *device;
	struct vp2p_copy_result *result;
	struct vp2p_error *err;
	/* The engine's own: */
	uint64_t pos;
	uint64_t generation;
	uint64_t begun;		/* revocations begun so far, any cause */
	unsigned int stalls;
	bool degraded;
};

int vp2p__copy_run(struct vp2p__copy_run *run);

#endif /* VP2P_INTERNAL_H */
