/* SPDX-License-Identifier: MIT */
/*
 * vfio-p2p.h - libvfio-p2p: read() and write() between files and the memory of a
 * PCI device that user space drives through VFIO, by peer-to-peer DMA
 *
 *	struct vp2p_device *dev;
 *	struct vp2p_window *win;
 *	struct vp2p_error err;
 *	char text[VP2P_ERROR_TEXT];
 *	void *p;
 *
 *	if (vp2p_open("0000:03:00.0", 0, &dev, &err) ||
 *	    vp2p_window_create(dev, 2, 0, 0, 0, &win, &err) ||
 *	    vp2p_map(win, 0, 0, 0, &p, &err)) {
 *		vp2p_error_format(&err, text, sizeof(text));
 *		...
 *	}
 *	pread(file_opened_with_O_DIRECT, p, 1 << 20, 0);
 *
 * After vp2p_map() everything is plain POSIX: pread, preadv, AIO, io_uring (but
 * no registered buffers: those ask for long-term pins, which the kernel refuses
 * for peer-to-peer memory), fork, passing the file descriptor.
 *
 * ERRORS  Every function that can fail returns 0 (some: a count) or a negative errno
 * value, gives its results through pointers that it sets on success only, and leaves
 * nothing behind on failure.  The library never exits and never prints.  @err may be
 * NULL; it is written on failure only.  Errors that any call may return are not
 * repeated at each: -EINVAL (an argument breaks a rule, which the error names),
 * -ENOMEM, -ENODEV (the device has been removed).
 *
 * THREADS  Every function may be called by several threads at once, on the same
 * objects too: devices, windows and struct vp2p_io are immutable once they are
 * created, and a queue has a lock.  Only the call that ends an object (vp2p_close(),
 * vp2p_window_destroy(), vp2p_window_unregister(), vp2p_io_close(),
 * vp2p_queue_destroy(), vp2p_peer_list_free(), vp2p_eventfd_remove()) has to be the
 * last one on it.  A struct vp2p_error, and whatever else a call fills in, belongs to
 * one thread at a time.
 *
 * FORK, CLOSE-ON-EXEC  Every file descriptor the library opens is close-on-exec.
 * Windows and mappings work in a forked child.
 */
#ifndef VFIO_P2P_H
#define VFIO_P2P_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The library hides everything else. */
#pragma GCC visibility push(default)

/** Windows start and end at multiples of this many bytes: 2 MiB. */
#define VP2P_GRANULE	(UINT64_C(2) << 20)

/** Most windows one device can have. */
#define VP2P_MAX_WINDOWS	64

/** Room for a PCI address "dddd:bb:dd.f" with a domain of up to 8 digits, and 0. */
#define VP2P_BDF_LEN	20

/** Room enough for the text of any error. */
#define VP2P_ERROR_TEXT	1024

struct vp2p_device;
struct vp2p_window;

/* ---------------------------------------------------------------- errors --- */

/**
 * struct vp2p_error - why a call failed, and what to do about it
 * @code: positive errno value; the call returned its negative.
 * @device: what it was about: a PCI address, a file's path, ...
 * @step: what could not be done, as in "could not ...": "register a window".
 * @cause: why, with the values that decided it.
 * @remedy: what would mend it, in words or as a command to run.
 *
 * No text is ever empty, and none ends in a full stop or a new line.
 */
struct vp2p_error {
	int code;
	char device[64];
	char step[64];
	char cause[512];
	char remedy[256];
};

/**
 * vp2p_error_format() - the error as one line of text
 * @err: an error that a call has filled in
 * @buf: where to write the text, always 0-terminated if @size is not 0
 * @size: room in @buf, VP2P_ERROR_TEXT is always enough
 *
 * "DEVICE: could not STEP: CAUSE (ERRNO).  Remedy: REMEDY."
 *
 * Return: the length of the whole text, as snprintf(3) does.
 */
int vp2p_error_format(const struct vp2p_error *err, char *buf, size_t size);

/** vp2p_version() - the library's version, "0.1.0" */
const char *vp2p_version(void);

/* --------------------------------------------------------------- devices --- */

/** enum vp2p_open_flags - how vp2p_open() reaches the device */
enum vp2p_open_flags {
	VP2P_OPEN_GROUP = 1 << 0,	/* /dev/vfio/GROUP and a type 1 container only */
	VP2P_OPEN_CDEV = 1 << 1,	/* /dev/vfio/devices/vfioN and iommufd only */
};

/**
 * vp2p_bdf_normalize() - the full form of a PCI address
 * @bdf: "dddd:bb:dd.f" or "bb:dd.f", hexadecimal
 * @out: gets "dddd:bb:dd.f", lower case
 * @err: why not, or NULL
 *
 * Says nothing about whether the device exists.
 *
 * Return: 0, or -EINVAL if it is not an address.
 */
int vp2p_bdf_normalize(const char *bdf, char out[VP2P_BDF_LEN], struct vp2p_error *err);

/**
 * vp2p_open() - open a device that is bound to p2p-vfio-pci
 * @bdf: PCI address, with or without the domain
 * @flags: 0, VP2P_OPEN_GROUP or VP2P_OPEN_CDEV
 * @dev: the device, out
 * @err: why not, or NULL
 *
 * With @flags 0 the character device and iommufd are used if this system has
 * both and the caller may open both, the group and a type 1 container otherwise.
 * No I/O address space is
 * attached and nothing is mapped for the device's own DMA: see vp2p_iommu_fd().
 *
 * Opening has the kernel reset the device, like every VFIO open.
 *
 * Return: 0, or
 *  -ENODEV	there is no such PCI device
 *  -ENXIO	it is bound to another driver or to none, or the kernel module is
 *		not loaded
 *  -EPERM	its group is not viable: a sibling is bound to a host driver
 *  -EACCES	no permission for the device node
 *  -EBUSY	another process has it open; or this one has (a mapping that is not
 *		yet unmapped keeps it open); or another function of its group is open
 *		through another iommufd; or DMA of a former owner still holds pages of
 *		its windows
 *  -EOPNOTSUPP	no IOMMU, or the way that @flags forces is not there
 * and whatever open(2) and the VFIO ioctls answer.
 */
int vp2p_open(const char *bdf, unsigned int flags, struct vp2p_device **dev,
	      struct vp2p_error *err);

/**
 * vp2p_attach() - use a VFIO device that the application has opened itself
 * @device_fd: the VFIO device's file descriptor; stays the application's, which
 *	keeps it open until after vp2p_close()
 * @bdf: its PCI address, or NULL to find it (from the fd's /proc/self/fdinfo or
 *	the character device); without an address everything works, but errors
 *	and checks know less
 * @dev: the device, out
 * @err: why not, or NULL
 *
 * Return: 0, -EBADF, -ENOTTY (no VFIO device), -ENXIO (a VFIO device, but not one
 * of p2p-vfio-pci), or -EINVAL (@bdf is no address, or the fd tells another one).
 */
int vp2p_attach(int device_fd, const char *bdf, struct vp2p_device **dev,
		struct vp2p_error *err);

/**
 * vp2p_close() - end the use of a device
 * @dev: from vp2p_open() or vp2p_attach(), or NULL
 *
 * Closes what vp2p_open() opened.  Unmap first: a mapping keeps the device open,
 * and with it its group, also one that a forked child has inherited.  The mapping
 * works on, the device is not revoked, and opening it again answers -EBUSY until
 * the last mapping is gone.  Window handles must be destroyed before.
 */
void vp2p_close(struct vp2p_device *dev);

/** vp2p_device_fd() - the VFIO device's file descriptor; remains the device's */
int vp2p_device_fd(const struct vp2p_device *dev);

/**
 * vp2p_iommu_fd() - the fd through which the device's own DMA is set up
 *
 * The VFIO container (VFIO_IOMMU_MAP_DMA) or the iommufd (allocate an IOAS, then
 * VFIO_DEVICE_ATTACH_IOMMUFD_PT on vp2p_device_fd()), -1 for an attached device.
 * Remains the device's.  Windows need none of this.
 */
int vp2p_iommu_fd(const struct vp2p_device *dev);

/**
 * vp2p_group_fd() - the VFIO group's file descriptor
 *
 * -1 for a device opened through the character device, and for an attached one.
 * Remains the device's.  A group can be open only once, so this fd is the way to
 *  - other functions of the same group: VFIO_GROUP_GET_DEVICE_FD with their
 *    address, then vp2p_attach() on the fd it returns;
 *  - VFIO_DEVICE_PCI_HOT_RESET over several groups, which takes the fds of all.
 *    Where the device's own group is enough, vp2p_hot_reset() does it.
 */
int vp2p_group_fd(const struct vp2p_device *dev);

/** vp2p_device_uses_cdev() - 1 if vp2p_iommu_fd() is an iommufd, else 0 */
int vp2p_device_uses_cdev(const struct vp2p_device *dev);

/** vp2p_device_bdf() - the PCI address, or "" if an attached fd did not tell */
const char *vp2p_device_bdf(const struct vp2p_device *dev);

/** enum vp2p_bar_flags - what a BAR is */
enum vp2p_bar_flags {
	VP2P_BAR_READ = 1 << 0,
	VP2P_BAR_WRITE = 1 << 1,
	VP2P_BAR_MMAP = 1 << 2,
	VP2P_BAR_IO = 1 << 3,		/* an I/O port BAR: no windows */
	VP2P_BAR_PREFETCH = 1 << 4,	/* write-combining mappings are allowed */
	VP2P_BAR_64 = 1 << 5,
};

/**
 * struct vp2p_bar - one base address register
 * @size: bytes, 0 if the BAR is absent.
 * @bus_address: where the host sees it, 0 if the PCI address is not known.
 * @flags: enum vp2p_bar_flags; the last three need the PCI address.
 */
struct vp2p_bar {
	uint64_t size;
	uint64_t bus_address;
	uint32_t flags;
	uint32_t reserved;
};

/**
 * vp2p_bar_info() - describe a BAR
 * @dev: the device
 * @bar: 0 to 5
 * @info: out; an absent BAR is no error, its size is 0
 * @err: why not, or NULL
 *
 * Return: 0, or -EINVAL (no such BAR number).
 */
int vp2p_bar_info(const struct vp2p_device *dev, unsigned int bar,
		  struct vp2p_bar *info, struct vp2p_error *err);

/* --------------------------------------------------------------- windows --- */

/** enum vp2p_window_flags - how the CPU sees mappings of a window */
enum vp2p_window_flags {
	VP2P_WINDOW_WC = 1 << 0,	/* write-combining; prefetchable BARs only */
};

/**
 * vp2p_window_create() - register a range of a BAR as a window
 * @dev: the device
 * @bar: 0 to 5, a memory BAR
 * @offset: first byte, from the start of the BAR; a multiple of VP2P_GRANULE
 * @length: bytes, a multiple of VP2P_GRANULE; 0: as many as there are up to the
 *	end of the BAR
 * @flags: VP2P_WINDOW_WC or 0
 * @win: a handle, out
 * @err: why not, or NULL
 *
 * Registering costs host memory (0.4 % of the window where the driver can provide
 * the pages itself, else 1.56 %: see vp2p_window_provider()) and needs
 * CAP_SYS_ADMIN, unless the module was loaded with unprivileged_windows=1.  It
 * lasts until the device is unbound or vp2p_window_unregister() ends it, whatever
 * becomes of the handle.  A range that is registered already needs no privilege:
 * the call finds it.
 *
 * Return: 0, or
 *  -EINVAL	offset or length (or the BAR's address) is no multiple of the
 *		granule, undefined flag, no such BAR number
 *  -EPERM	a new window without the privilege
 *  -ENXIO	the BAR is absent, an I/O BAR, or cannot be mapped
 *  -ERANGE	it ends beyond the BAR, or is larger than 1 TiB
 *  -EADDRINUSE	it overlaps the MSI-X table or pending bits
 *  -EEXIST	it overlaps another window without being identical to it; if it lies
 *		within that, vp2p_window_lookup() finds it
 *  -EXDEV	a sibling function belongs to another VFIO driver
 *  -EOPNOTSUPP	write-combining on a BAR that is not prefetchable, or a kernel
 *		without peer-to-peer DMA
 *  -ENOSPC	the device has VP2P_MAX_WINDOWS
 */
int vp2p_window_create(struct vp2p_device *dev, unsigned int bar, uint64_t offset,
		       uint64_t length, unsigned int flags,
		       struct vp2p_window **win, struct vp2p_error *err);

/**
 * vp2p_window_find() - a handle for a window that is registered
 * @dev: the device
 * @id: its number, 0 to VP2P_MAX_WINDOWS - 1
 * @flags: VP2P_WINDOW_WC or 0, for the mappings made through this handle
 * @win: a handle, out
 * @err: why not, or NULL
 *
 * A new window gets the lowest number that is free; one that has been unregistered
 * leaves a hole.
 *
 * Return: 0, -ENOENT (no window of that number), or -EOPNOTSUPP (write-combining
 * on a BAR that is not prefetchable).
 */
int vp2p_window_find(struct vp2p_device *dev, unsigned int id, unsigned int flags,
		     struct vp2p_window **win, struct vp2p_error *err);

/**
 * vp2p_window_lookup() - a handle for the registered window that has a range
 * @dev: the device
 * @bar: 0 to 5
 * @offset: first byte, from the start of the BAR; need not be aligned
 * @length: bytes; 0: only the first byte counts
 * @flags: VP2P_WINDOW_WC or 0, for the mappings made through this handle
 * @win: a handle, out: of the whole window.  The range begins in it at
 *	@offset - vp2p_window_offset().
 * @err: why not, or NULL
 *
 * Registers nothing and needs no privilege.
 *
 * Return: 0, -ENOENT (no window has all of the range; the error names one that has
 * a part), or -EOPNOTSUPP (write-combining on a BAR that is not prefetchable).
 */
int vp2p_window_lookup(struct vp2p_device *dev, unsigned int bar, uint64_t offset,
		       uint64_t length, unsigned int flags,
		       struct vp2p_window **win, struct vp2p_error *err);

/**
 * vp2p_window_destroy() - free the handle
 * @win: a handle, or NULL
 *
 * Frees the handle only: mappings stay, and the window itself stays registered
 * until vp2p_window_unregister() or until the device is unbound from p2p-vfio-pci.
 */
void vp2p_window_destroy(struct vp2p_window *win);

/**
 * vp2p_window_unregister() - give the window itself back
 * @win: a handle; freed on success, as vp2p_window_destroy() does
 * @err: why not, or NULL
 *
 * Its range can be registered anew, its host memory is free again, and the next
 * window may get its number.  So other handles for it, of this process or another,
 * must not be used to map any more: they would lead to that one.  Needs the
 * privilege of registering.  Waits for no I/O.
 *
 * Return: 0, or (and then the window and the handle are as before)
 *  -EBUSY	it is mapped, by any process, or DMA holds a page of it, or a revocation
 *		of the device waits for pins
 *  -EOPNOTSUPP	its pages come from the kernel's pool, which takes none back before
 *		unbind (VP2P_PROVIDER_STANDARD); or the driver is an older one
 *  -ENOENT	it has been unregistered already; the handle can be destroyed
 *  -EPERM	not without the privilege
 */
int vp2p_window_unregister(struct vp2p_window *win, struct vp2p_error *err);

/** enum vp2p_provider - where a window's pages come from */
enum vp2p_provider {
	VP2P_PROVIDER_STANDARD = 1,	/* the kernel's pool: kept until unbind */
	VP2P_PROVIDER_OWN = 2,		/* the driver: a quarter of the host memory */
};

/** vp2p_provider_name() - "standard", "own", or "unknown" */
const char *vp2p_provider_name(unsigned int provider);

/** vp2p_window_id() - the window's number on its device */
unsigned int vp2p_window_id(const struct vp2p_window *win);
/** vp2p_window_bar() - which BAR, 0 to 5 */
unsigned int vp2p_window_bar(const struct vp2p_window *win);
/** vp2p_window_offset() - its first byte, from the start of the BAR */
uint64_t vp2p_window_offset(const struct vp2p_window *win);
/** vp2p_window_length() - bytes */
uint64_t vp2p_window_length(const struct vp2p_window *win);
/** vp2p_window_provider() - enum vp2p_provider, 0 from an older driver */
unsigned int vp2p_window_provider(const struct vp2p_window *win);
/** vp2p_window_device() - the device it belongs to */
struct vp2p_device *vp2p_window_device(const struct vp2p_window *win);

/* --------------------------------------------------------------- mapping --- */

/** enum vp2p_map_flags - protection of a mapping; 0 is read and write */
enum vp2p_map_flags {
	VP2P_MAP_RDONLY = 1 << 0,	/* a buffer for write(2) only */
};

/**
 * vp2p_map() - map part of a window: a buffer for direct I/O
 * @win: the window
 * @offset: first byte, from the start of the window; a multiple of the page size
 * @length: bytes, a multiple of the page size; 0: up to the window's end
 * @flags: VP2P_MAP_RDONLY or 0
 * @addr: the address, out
 * @err: why not, or NULL
 *
 * The address is congruent to @offset modulo VP2P_GRANULE, so that 2 MiB entries
 * map it: a multiple of it if @offset is one.  Nothing is populated: the first
 * touch of each 2 MiB does, the kernel's for direct I/O included, or
 * vp2p_populate() all at once.
 *
 * The mapping outlives resets.  During one a thread that touches it waits; it
 * gets SIGBUS if the device is gone, or its memory is switched off.
 *
 * Return: 0, -ERANGE (beyond the window), -EAGAIN (other threads took the address
 * space meanwhile, many times in a row), or what mmap(2) answers.
 */
int vp2p_map(const struct vp2p_window *win, uint64_t offset, uint64_t length,
	     unsigned int flags, void **addr, struct vp2p_error *err);

/** enum vp2p_export_flags - what whoever gets an exported window may do */
enum vp2p_export_flags {
	VP2P_EXPORT_RDONLY = 1 << 0,	/* no mapping can be written: a buffer for write(2) only */
};

/**
 * vp2p_window_export() - an fd for part of a window, for a process without the device
 * @win: the window
 * @offset: first byte, from the start of the window; a multiple of the page size
 * @length: bytes, a multiple of the page size; 0: up to the window's end
 * @flags: VP2P_EXPORT_RDONLY or 0
 * @fd: the fd, out; close-on-exec, the caller's to close(2) or to pass on
 * @err: why not, or NULL
 *
 * Whoever has it needs no privilege and no library: mmap(2) of it with MAP_SHARED
 * and offset 0 is the first byte of the range (write-combining if @win is), a
 * buffer for direct I/O.  STATE and POPULATE of <p2p_vfio.h> can be asked of it.
 * He cannot reset the device, reach its registers, or map anything beyond the range.
 *
 * The fd and its mappings keep the device open when vp2p_close() has been called,
 * and the window registered.  They cannot be taken back.
 *
 * Return: 0, -EINVAL (alignment, flags), -ERANGE (beyond the window), -EACCES (the
 * device's fd was opened for reading only, and @flags is 0), -EMFILE or -ENFILE (no fd
 * left), -EOPNOTSUPP (the driver is older), or as vp2p_map().
 */
int vp2p_window_export(const struct vp2p_window *win, uint64_t offset, uint64_t length,
		       unsigned int flags, int *fd, struct vp2p_error *err);

/**
 * vp2p_populate() - have a mapping's page-table entries made before they are needed
 * @dev: the device
 * @addr: in mappings of windows of @dev, in this process; a multiple of the page size
 * @length: bytes, a multiple of the page size
 * @err: why not, or NULL
 *
 * Does what touching each page would, for less, and without an access to the
 * device.  It spares the first I/O its faults, up to the next revocation.  It never
 * waits for one to end.  (MAP_POPULATE and madvise(2) cannot do it: the kernel
 * refuses them for peer-to-peer pages.)  There is no fallback to touching on an
 * older driver: a read of device memory may have effects, and can be a SIGBUS.
 *
 * Return: 0, or (and then part of the range may be populated)
 *  -EINVAL	not a multiple of the page size, or length 0
 *  -ENOMEM	a part of the range is not a mapping of a window of @dev; or no memory
 *		for page tables
 *  -EACCES	a part of the range may not be accessed, as mprotect(2) has it
 *  -EAGAIN	the windows are being revoked: once more after vp2p_wait_live()
 *  -EIO	the device's memory is switched off, or it has gone
 *  -EINTR	a signal came
 *  -EOPNOTSUPP	an older driver
 */
int vp2p_populate(const struct vp2p_device *dev, void *addr, uint64_t length,
		  struct vp2p_error *err);

/**
 * vp2p_map_bar() - map part of a BAR in the ordinary way of VFIO
 * @dev: the device
 * @bar: 0 to 5
 * @offset: first byte, a multiple of the page size
 * @length: bytes, a multiple of the page size; 0: up to the BAR's end
 * @addr: the address, out; aligned as vp2p_map() does
 * @err: why not, or NULL
 *
 * The mapping to give to KVM, to IOMMU mapping ioctls and RDMA registration. It
 * is no buffer for read(2) and write(2), which answer EFAULT.  It needs no window
 * and may be used beside one.
 *
 * Return: 0, -ENXIO (absent BAR, or one that cannot be mapped), -ERANGE (beyond
 * the BAR), or -EACCES (the range is not within one area that may be mapped).
 */
int vp2p_map_bar(const struct vp2p_device *dev, unsigned int bar, uint64_t offset,
		 uint64_t length, void **addr, struct vp2p_error *err);

/**
 * vp2p_unmap() - undo vp2p_map() or vp2p_map_bar(), wholly or in part
 * @addr: the address, a multiple of the page size
 * @length: bytes, a multiple of the page size
 * @err: why not, or NULL
 *
 * I/O that is in flight keeps its pages and runs to its end.
 *
 * Return: 0, -EINVAL (not a multiple of the page size), or what munmap(2) answers.
 */
int vp2p_unmap(void *addr, uint64_t length, struct vp2p_error *err);

/* ----------------------------------------------------------------- state --- */

/** enum vp2p_device_state - what a touch of a window would meet now */
enum vp2p_device_state {
	VP2P_STATE_LIVE = 1,		/* mapped on touch, if its memory is enabled */
	VP2P_STATE_DRAINING = 2,	/* revoked, DMA still holds pages */
	VP2P_STATE_QUIESCED = 3,	/* revoked, nothing in flight */
	VP2P_STATE_GONE = 4,		/* removed or failed for good */
	VP2P_STATE_CLOSED = 5,		/* nobody has the device open */
};

/** enum vp2p_cause - why a revocation began, index of vp2p_state.revokes */
enum vp2p_cause {
	VP2P_CAUSE_NONE = -1,		/* no revocation is under way */
	VP2P_CAUSE_RESET = 0,
	VP2P_CAUSE_HOT_RESET = 1,
	VP2P_CAUSE_CONFIG = 2,
	VP2P_CAUSE_LOW_POWER = 3,
	VP2P_CAUSE_PCI_RESET = 4,
	VP2P_CAUSE_ERROR = 5,
	VP2P_CAUSE_CLOSE = 6,
	VP2P_CAUSE_REMOVE = 7,
	VP2P_CAUSE_SHUTDOWN = 8,
	VP2P_CAUSE_SLEEP = 9,
	VP2P_CAUSES = 10
};

/** enum vp2p_provider_reason - why the newest window has the provider it has */
enum vp2p_provider_reason {
	VP2P_PROVIDER_UNTRIED = 0,	/* no window has been registered yet */
	VP2P_PROVIDER_PROVEN = 1,	/* own: the kernel's layout is as expected */
	VP2P_PROVIDER_UNPROVEN = 2,	/* standard: the layout could not be learnt */
	VP2P_PROVIDER_DIFFERS = 3,	/* standard: the layout is another one */
	VP2P_PROVIDER_ASKED = 4,	/* standard: a module parameter says so */
};

/**
 * struct vp2p_state - a moment's view of a device's windows
 * @state: enum vp2p_device_state.
 * @windows: how many are registered.
 * @generation: counts how often the windows came back after something was done to
 *	the device, since the driver was bound; an open after a close counts.  The
 *	device's memory may have lost its contents if the number differs between two
 *	looks.
 * @pinned_folios: 2 MiB units that DMA holds now.
 * @touched_folios: units in use since the last revocation.
 * @faults_pmd: faults served by a 2 MiB entry.
 * @faults_pte: faults served by a 4 KiB entry.
 * @faults_refused: faults of direct I/O that met a revocation and failed.
 * @faults_waited: faults of threads that met a revocation and waited.
 * @drain_timeouts: revocations that gave up waiting for DMA.
 * @drain_last_us: how long the last one waited for DMA, microseconds.
 * @drain_max_us: the longest wait, microseconds.
 * @revokes: revocations begun, by enum vp2p_cause; 0 from VP2P_CAUSES on.
 * @revoke_us: how long ago the revocation that is under way began, microseconds;
 *	while the device is draining, for how long DMA has been waited for.  0 if
 *	there is none.
 * @revoke_cause: enum vp2p_cause of it; of several that overlap, of the first.
 * @provider_reason: enum vp2p_provider_reason.
 *
 * Counters run from bind to unbind.
 */
struct vp2p_state {
	uint32_t state;
	uint32_t windows;
	uint64_t generation;
	uint64_t pinned_folios;
	uint64_t touched_folios;
	uint64_t faults_pmd;
	uint64_t faults_pte;
	uint64_t faults_refused;
	uint64_t faults_waited;
	uint64_t drain_timeouts;
	uint64_t drain_last_us;
	uint64_t drain_max_us;
	uint64_t revokes[16];
	uint64_t revoke_us;
	int32_t revoke_cause;
	uint32_t provider_reason;
};

/** vp2p_state_name() - "live", "draining", ..., or "unknown" */
const char *vp2p_state_name(unsigned int state);
/** vp2p_cause_name() - "reset", "hot_reset", ..., "none", or "unknown" */
const char *vp2p_cause_name(int cause);
/** vp2p_provider_reason_name() - "untried", "proven", ..., or "unknown" */
const char *vp2p_provider_reason_name(unsigned int reason);

/**
 * vp2p_get_state() - look at the device; never waits
 * @dev: the device
 * @state: out
 * @err: why not, or NULL
 *
 * Return: 0, or what the driver answers: fails only where the fd is not open any more,
 * or the device has gone.
 */
int vp2p_get_state(const struct vp2p_device *dev, struct vp2p_state *state,
		   struct vp2p_error *err);

/**
 * vp2p_wait_live() - wait for a revocation to end
 * @dev: the device
 * @timeout_ms: milliseconds, 0 to only look, -1 for no limit; less is -EINVAL
 * @err: why not, or NULL
 *
 * No wake-up is lost, whatever else listens to the device's events.  While it
 * waits it borrows one of the device's 16 places for eventfds; where none is free
 * it looks every 20 ms instead.
 *
 * Return: 0 (live at this moment), -ETIMEDOUT, -ENODEV (it will never be live
 * again), or -EINTR (a signal handler ran).
 */
int vp2p_wait_live(const struct vp2p_device *dev, int timeout_ms,
		   struct vp2p_error *err);

/**
 * vp2p_eventfd() - an eventfd signalled when a revocation begins and when it ends
 * @dev: the device
 * @fd: the eventfd, out: non-blocking; give it to vp2p_eventfd_remove()
 * @err: why not, or NULL
 *
 * A signal says "look at the state", no more; signals coalesce.
 *
 * Return: 0, or -ENOSPC (16 eventfds listen to this device; a vp2p_wait_live()
 * that waits, as vp2p_copy() may, counts as one).
 */
int vp2p_eventfd(const struct vp2p_device *dev, int *fd, struct vp2p_error *err);

/**
 * vp2p_eventfd_remove() - stop the signals and close the eventfd
 * @dev: the device
 * @fd: from vp2p_eventfd(); closed even if the call fails
 * @err: why not, or NULL
 *
 * Return: 0, -ENOENT (it was not added), -EBADF (it is not open) or -EINVAL (it is no
 * eventfd).
 */
int vp2p_eventfd_remove(const struct vp2p_device *dev, int fd,
			struct vp2p_error *err);

/**
 * vp2p_reset() - reset the device (VFIO_DEVICE_RESET)
 * @dev: the device
 * @err: why not, or NULL
 *
 * Waits for the DMA that is in flight to and from its windows.
 *
 * Return: 0, or
 *  -EBUSY	DMA did not end within the module's drain_timeout_ms; the device is
 *		untouched and works on
 *  -EINTR	a signal ended the wait; untouched as well
 *  -EOPNOTSUPP	the device has no function-level reset: see vp2p_hot_reset()
 */
int vp2p_reset(const struct vp2p_device *dev, struct vp2p_error *err);

/**
 * vp2p_hot_reset() - reset the device's slot or bus (VFIO_DEVICE_PCI_HOT_RESET)
 * @dev: the device
 * @err: why not, or NULL
 *
 * Resets every function of the slot or bus, those included that other handles have
 * open.  All of them must be in this device's group, or bound to its iommufd.
 * Waits for DMA as vp2p_reset() does, for the windows of all of them.
 *
 * Return: 0, or
 *  -EXDEV	a function that is not ours, or that no VFIO driver has, would be
 *		reset too; the error names it.  Nothing has happened.
 *  -EBUSY	as vp2p_reset()
 *  -EINTR	as vp2p_reset()
 *  -EOPNOTSUPP	neither slot nor bus can be reset; or the device was attached, and
 *		the group's fd is the application's
 */
int vp2p_hot_reset(const struct vp2p_device *dev, struct vp2p_error *err);

/* ----------------------------------------------------------------- peers --- */

/** enum vp2p_route - how a peer's DMA would reach this device's memory */
enum vp2p_route {
	VP2P_ROUTE_NONE = 0,		/* not at all */
	VP2P_ROUTE_SWITCH = 1,		/* by bus address, inside a PCIe switch */
	VP2P_ROUTE_HOST_BRIDGE = 2,	/* through a host bridge the kernel trusts */
	VP2P_ROUTE_UNKNOWN = 3,		/* not asked */
};

/**
 * struct vp2p_peer_info - one PCI device that would do the DMA, or what prevents it
 * @name: "nvme0", or the thing at which the search ended: "dm-0", "tmpfs".
 * @path: how the search came there, from the file system down:
 *	"ext4 > md0 > nvme0n1p2 > nvme0n1 > nvme0".
 * @bdf: PCI address, "" if there is none.
 * @route: enum vp2p_route.
 * @distance: hops in the kernel's measure, lower is better; -1 without a route.
 * @reason: the verdict in words; never empty.
 * @remedy: what would mend it, "" if nothing is wrong.
 */
struct vp2p_peer_info {
	char name[64];
	char path[160];
	char bdf[VP2P_BDF_LEN];
	uint32_t route;
	int32_t distance;
	char reason[192];
	char remedy[192];
};

/**
 * struct vp2p_peer_list - every device below a file
 * @fs: the file system's name ("ext4"), "block" for a block device.
 * @disk: the whole disk, array or mapped device the file lies on, or "".
 * @count: how many entries @peer has, at least 1.
 * @usable: 0 if any entry has VP2P_ROUTE_NONE: no copy can go peer-to-peer then,
 *	since the layers above refuse what one member refuses; else 1.
 * @peer: the entries.
 */
struct vp2p_peer_list {
	char fs[32];
	char disk[64];
	size_t count;
	int usable;
	struct vp2p_peer_info *peer;
};

/** vp2p_route_name() - "none", "switch", "host-bridge" or "unknown" */
const char *vp2p_route_name(unsigned int route);

/**
 * vp2p_peer() - how DMA of another PCI device would reach this one's memory
 * @dev: the device with the memory
 * @bdf: the device that does the DMA, usually an NVMe controller
 * @info: out; no route is no error
 * @err: why not, or NULL
 *
 * The answer is the kernel's, from its list of host bridges and from ACS.
 *
 * Return: 0, or -ENXIO if there is no PCI device @bdf.
 */
int vp2p_peer(const struct vp2p_device *dev, const char *bdf,
	      struct vp2p_peer_info *info, struct vp2p_error *err);

/**
 * vp2p_peer_for_fd() - the devices that would do the DMA for a file
 * @dev: the device with the memory, or NULL to leave the routes unknown
 * @file_fd: a regular file, directory or block device, opened in any way
 * @list: out, to be freed with vp2p_peer_list_free()
 * @err: why not, or NULL
 *
 * Walks from the file to its disk, through partitions, md and dm members and the
 * paths of NVMe multipath.  Whatever cannot do peer-to-peer DMA is an entry with
 * VP2P_ROUTE_NONE and a remedy, not an error.
 *
 * Return: 0, or
 *  -EBADF	@file_fd is not open
 *  -EOPNOTSUPP	it is neither a regular file, directory nor block device
 */
int vp2p_peer_for_fd(const struct vp2p_device *dev, int file_fd,
		     struct vp2p_peer_list **list, struct vp2p_error *err);

/** vp2p_peer_list_free() - free a list, or NULL */
void vp2p_peer_list_free(struct vp2p_peer_list *list);

/* ------------------------------------------------------------------ copy --- */

/** enum vp2p_direction - which way a copy goes */
enum vp2p_direction {
	VP2P_FILE_TO_WINDOW = 1,
	VP2P_WINDOW_TO_FILE = 2,
};

/** enum vp2p_copy_flags */
enum vp2p_copy_flags {
	/*
	 * Move the last bytes, fewer than one block, through the CPU and the page
	 * cache where direct I/O cannot; counted in bytes_bounced.
	 */
	VP2P_COPY_ALLOW_TAIL = 1 << 0,
	/*
	 * The device's memory keeps its contents across resets: go on after one
	 * instead of starting again or failing.
	 */
	VP2P_COPY_MEMORY_KEPT = 1 << 1,
	/*
	 * Fail with -ESTALE unless the generation is, and stays, the one in
	 * vp2p_copy_request.generation: for copies that belong together.
	 */
	VP2P_COPY_GENERATION = 1 << 2,
	/*
	 * What cannot go peer-to-peer may go by the CPU, through host RAM: all of the
	 * file's bytes, from the one on at which peer-to-peer is refused.  Includes
	 * VP2P_COPY_ALLOW_TAIL.
	 */
	VP2P_COPY_BOUNCE_ALLOW = 1 << 3,
	/* Everything goes by the CPU, through host RAM. */
	VP2P_COPY_BOUNCE_FORCE = 1 << 4,
};

/** enum vp2p_bounce_reason - why bytes went by the CPU */
enum vp2p_bounce_reason {
	VP2P_BOUNCE_NONE = 0,		/* none did */
	VP2P_BOUNCE_TAIL = 1,		/* the last ones, fewer than one block */
	VP2P_BOUNCE_FORCED = 2,		/* VP2P_COPY_BOUNCE_FORCE */
	VP2P_BOUNCE_NO_DIRECT_IO = 3,	/* the file has no direct I/O that is direct */
	VP2P_BOUNCE_UNALIGNED = 4,	/* an offset is no multiple of the alignment */
	VP2P_BOUNCE_REFUSED = 5,	/* a layer below the file refuses peer-to-peer */
};

/**
 * vp2p_bounce_reason_name() - "tail", "forced", "no direct I/O", "unaligned",
 * "refused", "none", or "unknown"
 */
const char *vp2p_bounce_reason_name(unsigned int reason);

/**
 * typedef vp2p_progress_fn - called after each chunk, in the thread of vp2p_copy();
 *	for bytes that go through host RAM after several, and about once a second;
 *	also after it has said so, while requests that cannot be broken off are waited
 *	for: those of a hard NFS mount, until its server answers
 * @done: bytes in place; falls back to 0 when the copy starts again
 * @total: bytes to copy
 * @arg: vp2p_copy_request.progress_arg
 *
 * Return: 0 to go on, else the copy ends with -ECANCELED.
 */
typedef int (*vp2p_progress_fn)(uint64_t done, uint64_t total, void *arg);

/**
 * struct vp2p_copy_request - what to copy; zero whatever is not needed
 * @window: the device side.
 * @fd: the file side: a regular file or block device, open for the direction.
 *	If it was opened without O_DIRECT the copy opens it a second time through
 *	/proc/self/fd, for itself; the file position is never used nor moved.
 * @direction: enum vp2p_direction.
 * @flags: enum vp2p_copy_flags.
 * @live_timeout_ms: longest wait for one revocation; 0: 60 s, -1: no limit.
 * @max_restarts: how often to start again after the memory was lost, 0: 8.
 * @bounce_depth: pieces in flight when bytes go through host RAM, each in a buffer
 *	of @chunk bytes and with a thread; 0: 4, at most 64.
 * @window_offset: first byte, from the start of the window; a multiple of the
 *	file's memory alignment (4 bytes for most NVMe disks, never over 4096).
 * @file_offset: first byte in the file; a multiple of the file's direct I/O
 *	alignment (its logical block: 512 or 4096).
 * @length: bytes.  0 from a file: up to its end, which must fit the window; 0 to
 *	a file: the window from @window_offset on.  From a @file_offset at or beyond
 *	the file's end nothing is copied: the call returns 0 with counts of 0.
 * @chunk: bytes a single read(2) or write(2) moves; 0: 4 MiB, and 1 MiB through
 *	host RAM.  Rounded down to the file's alignment, and to 4096 through host RAM.
 * @generation: see VP2P_COPY_GENERATION.
 * @progress: or NULL.
 * @progress_arg: handed to it.
 * @reserved: 0.
 */
struct vp2p_copy_request {
	struct vp2p_window *window;
	int fd;
	uint32_t direction;
	uint32_t flags;
	int32_t live_timeout_ms;
	uint32_t max_restarts;
	uint32_t bounce_depth;
	uint64_t window_offset;
	uint64_t file_offset;
	uint64_t length;
	uint64_t chunk;
	uint64_t generation;
	vp2p_progress_fn progress;
	void *progress_arg;
	uint64_t reserved[6];
};

/**
 * struct vp2p_copy_result - what was copied, and how
 * @bytes_p2p: bytes in place that were moved by peer-to-peer DMA.
 * @bytes_bounced: bytes in place that were moved by the CPU.
 * @bytes_zero: bytes in place that are zeros because the file has holes there: no
 *	disk was asked, the CPU has written them (as the file says after the copy;
 *	a file system that tells of no holes has none, and after a failure it is not
 *	asked: then they count with the others).
 * @bounce_reason: enum vp2p_bounce_reason of what was bounced.
 * @bytes_repeated: bytes moved in vain: a reset had the copy start again, or fail.
 * @retries: reads or writes repeated after a revocation cut them short.
 * @restarts: how often the copy started again.
 * @generation_before: the device's generation when the (last) start was made.
 * @generation_after: ... when the copy ended.
 * @elapsed_ns: time the whole call took, waits and preparations included.
 * @waited_ns: time spent waiting for revocations to end.
 * @reserved: 0.
 *
 * After a failure the counts are of the bytes at the start of the range that are
 * in place: none in a window after -ESTALE.  (A copy that ended while a revocation
 * was under way cannot know more than that they were in place before it.)
 */
struct vp2p_copy_result {
	uint64_t bytes_p2p;
	uint64_t bytes_bounced;
	uint64_t bytes_repeated;
	uint64_t retries;
	uint64_t restarts;
	uint64_t generation_before;
	uint64_t generation_after;
	uint64_t elapsed_ns;
	uint64_t waited_ns;
	uint64_t bytes_zero;
	uint32_t bounce_reason;
	uint32_t reserved0;
	uint64_t reserved[5];
};

/**
 * vp2p_copy() - copy between a file and a window by peer-to-peer DMA
 * @c: what to copy
 * @r: how it went, or NULL; filled in on failure too
 * @err: why not, or NULL
 *
 * Synchronous.  Every byte goes peer-to-peer or the copy fails: the file must say
 * that direct I/O works on it (statx(2) STATX_DIOALIGN), since a file system may
 * accept O_DIRECT and copy through its page cache all the same.  (NFS does not say so,
 * but its direct I/O does not go through the page cache.)  Whether peer-to-peer memory
 * is taken the copy's first request tells: nothing has moved if it is refused.  The
 * exceptions are the tail and the bounce, if they were asked for.  Files that the kernel
 * is known to copy in spite of that are refused: on XFS above a disk that needs stable
 * pages, and for writing those of ext4 that have no extents.  (What nobody can know
 * beforehand: a file system may finish a direct write through its page cache if it
 * cannot invalidate that.)
 *
 * TAIL  A copy from a file may reach its end before @length: the copy ends there,
 * and what follows in the window up to the end of that last block (at most
 * 4095 bytes, all within @length) is undefined.  Otherwise a @length that is no
 * multiple of the file's alignment is -EINVAL, or with VP2P_COPY_ALLOW_TAIL the
 * remainder is moved with an ordinary buffered read(2) or write(2).
 *
 * BOUNCE  With VP2P_COPY_BOUNCE_ALLOW or _FORCE bytes go through buffers in host RAM,
 * several at a time in threads of their own: between file and RAM by direct I/O if
 * the file has it, else through its page cache; between RAM and window as
 * vp2p_stream_to_device() does, by a write-combining mapping if the BAR allows one.
 * Offsets need no alignment.  Meanwhile the process has a handler for SIGBUS, which
 * hands on what is not the copy's; a program must not replace it.  The result says
 * how many bytes went so, and why.  Nothing holds pages of the window meanwhile, so a
 * file server that does not answer holds up no reset of the device.
 *
 * REVOCATION  A read or write that a revocation cuts short is repeated once the
 * device is live again.  If the generation shows that the device may have lost
 * its memory, a copy from a file starts again from its first byte (at most
 * @max_restarts times, then -ESTALE); a copy to a file fails with -ESTALE, since
 * its source may be lost, and what the file has got so far must not be trusted.
 * A copy that returns 0 therefore saw one generation from its first byte to its
 * last; unless VP2P_COPY_MEMORY_KEPT says that there is nothing to lose.
 *
 * A copy to a file does not sync it: call fdatasync(2) as after any write.
 *
 * Concurrent copies are independent of each other.
 *
 * Return: 0, or
 *  -EINVAL	an offset, length or flag breaks a rule
 *  -ERANGE	the range ends beyond the window
 *  -EBADF	the fd is not open in the right direction
 *  -EOPNOTSUPP	this file cannot do direct or peer-to-peer I/O; the error names
 *		the member that cannot
 *  -EFAULT	the device's memory is switched off, or in a low-power state
 *  -ESTALE	see above
 *  -ETIMEDOUT	the device did not become live again in time
 *  -ECANCELED	the progress function said so
 *  -ENODEV	the device has gone
 *  -EINTR	a signal ended a wait for the device
 *  -EIO	the file's side failed, also where it says ESTALE or ETIMEDOUT itself: a
 *		file server that did not answer in time, or does not know the file any more
 * and what else read(2) and write(2) answer, with the cause explained.
 */
int vp2p_copy(const struct vp2p_copy_request *c, struct vp2p_copy_result *r,
	      struct vp2p_error *err);

/**
 * vp2p_stream_to_device() - copy from host RAM to device memory by the CPU
 * @device: any alignment; fastest if the mapping is write-combining
 * @ram: any alignment
 * @size: bytes
 *
 * Stores that go past the caches, a whole line at a time, in the best way this CPU
 * has.  Ordered before whatever the caller does next.  A store to a mapping of a
 * window can be a SIGBUS: see vp2p_map().  Thread-safe.
 */
void vp2p_stream_to_device(void *device, const void *ram, size_t size);

/**
 * vp2p_stream_from_device() - copy from device memory to host RAM by the CPU
 * @ram: any alignment
 * @device: any alignment; fastest if the mapping is write-combining
 * @size: bytes
 *
 * Loads that fetch a whole line at a time; else as vp2p_stream_to_device().
 */
void vp2p_stream_from_device(void *ram, const void *device, size_t size);

/** vp2p_stream_name() - what the two use on this CPU: "AVX2", "SSE4.1", ... */
const char *vp2p_stream_name(void);

/* --------------------------------------------------- transfers, one by one --- */

/** enum vp2p_io_flags - directions and policy of a struct vp2p_io */
enum vp2p_io_flags {
	VP2P_IO_READ = 1 << 0,		/* vp2p_pread(): from the file to the window */
	VP2P_IO_WRITE = 1 << 1,		/* vp2p_pwrite(): from the window to the file */
	/*
	 * A transfer that breaks the file's alignment goes through the CPU and the
	 * page cache instead of failing; counted in bytes_bounced.
	 */
	VP2P_IO_ALLOW_BUFFERED = 1 << 2,
	/* The device's memory keeps its contents across resets. */
	VP2P_IO_MEMORY_KEPT = 1 << 3,
	/* Report a transfer that a revocation has met, do not repeat it. */
	VP2P_IO_NO_RETRY = 1 << 4,
};

struct vp2p_io;

/**
 * vp2p_io_open() - make a file and a window ready for transfers between them
 * @win: the window; must outlive the result, which keeps all of it mapped
 * @fd: a regular file or block device, open for the direction; may be closed
 *	after vp2p_io_close() only
 * @flags: enum vp2p_io_flags, at least one direction
 * @live_timeout_ms: longest wait of a transfer for one revocation; 0: 60 s, -1: no
 *	limit
 * @io: out
 * @err: why not, or NULL
 *
 * What vp2p_copy() does at each call is done once here: the file has to say that
 * direct I/O on it is direct (statx(2) STATX_DIOALIGN), it is opened a second time
 * if it was opened without O_DIRECT, its disks' routes are looked up, and the
 * window is mapped.  Any number of threads and queues may use the result at once.
 *
 * Return: 0, or
 *  -EINVAL	an undefined flag, no direction, or a timeout below -1
 *  -EBADF	the fd is not open in a direction of @flags
 *  -EOPNOTSUPP	this file cannot do direct I/O
 * and what vp2p_map() answers.
 */
int vp2p_io_open(struct vp2p_window *win, int fd, unsigned int flags,
		 int live_timeout_ms, struct vp2p_io **io, struct vp2p_error *err);

/**
 * vp2p_io_close() - undo vp2p_io_open()
 * @io: or NULL; no transfer of it may be under way
 */
void vp2p_io_close(struct vp2p_io *io);

/**
 * struct vp2p_io_info - what transfers of a struct vp2p_io have to keep
 * @mem_align: window offsets are a multiple of this many bytes.
 * @file_align: file offsets and lengths are.
 * @route: enum vp2p_route, the worst of the disks below the file.
 * @reserved: 0.
 */
struct vp2p_io_info {
	uint64_t mem_align;
	uint64_t file_align;
	uint32_t route;
	uint32_t reserved[5];
};

/**
 * vp2p_io_describe() - alignments and route; cannot fail
 * @io: from vp2p_io_open()
 * @info: out
 */
void vp2p_io_describe(const struct vp2p_io *io, struct vp2p_io_info *info);

/**
 * struct vp2p_io_report - which way the bytes of one transfer went
 * @bytes_p2p: bytes in place that were moved by peer-to-peer DMA; those of a file's
 *	holes, which the kernel zeroes, count here.
 * @bytes_bounced: bytes in place that the CPU moved through the page cache.
 * @generation: the device's generation in which they are in place (vp2p_state).
 * @route: enum vp2p_route of the peer-to-peer ones, VP2P_ROUTE_NONE if there are none.
 * @retries: requests repeated because of a revocation.
 * @reserved: 0.
 */
struct vp2p_io_report {
	uint64_t bytes_p2p;
	uint64_t bytes_bounced;
	uint64_t generation;
	uint32_t route;
	uint32_t retries;
	uint64_t reserved[4];
};

/**
 * vp2p_pread() - read from a file into a window, as pread(2) does
 * @io: opened with VP2P_IO_READ
 * @window_offset: first byte, from the start of the window
 * @length: bytes
 * @file_offset: first byte in the file
 * @report: which way they went, or NULL; filled in on failure too
 * @err: why not, or NULL
 *
 * Unlike pread(2) it moves all bytes: fewer are the end of the file.  A read of the
 * last block asks for the whole block.  What follows the file's end, up to @length, is
 * undefined in the window.
 *
 * REVOCATION  What a revocation cuts short is repeated once the device is live
 * again.  If its memory may have been lost, a read starts again (at most 8 times), and
 * a write fails with -ESTALE, since its source may be lost; unless
 * VP2P_IO_MEMORY_KEPT.  A call that succeeds has therefore put all its bytes in place
 * in the one generation of its report; whether earlier calls' bytes are still in
 * place is told by comparing generations.
 *
 * Return: bytes moved, or
 *  -EINVAL	an offset or length breaks the file's alignment (vp2p_io_describe())
 *  -ERANGE	beyond the window
 *  -EBADF	@io was not opened for this direction
 *  -EAGAIN	a revocation was met (VP2P_IO_NO_RETRY)
 *  -ESTALE	see above; with VP2P_IO_NO_RETRY in both directions
 *  -ETIMEDOUT	the device did not become live again in time
 *  -ENODEV	it has gone
 *  -EINTR	a signal ended a wait for the device
 *  -EIO	the file's side failed, also where it says ESTALE or ETIMEDOUT itself
 * and what else read(2) and write(2) answer, with the cause explained.
 */
int64_t vp2p_pread(struct vp2p_io *io, uint64_t window_offset, uint64_t length,
		   uint64_t file_offset, struct vp2p_io_report *report,
		   struct vp2p_error *err);

/**
 * vp2p_pwrite() - write from a window to a file, as pwrite(2) does
 *
 * Like vp2p_pread(), the other way; @io was opened with VP2P_IO_WRITE.  Nothing is
 * synced: call fdatasync(2) as after any write.
 */
int64_t vp2p_pwrite(struct vp2p_io *io, uint64_t window_offset, uint64_t length,
		    uint64_t file_offset, struct vp2p_io_report *report,
		    struct vp2p_error *err);

/* --------------------------------------------------- transfers, in batches --- */

/** Most transfers a queue can be asked to hold. */
#define VP2P_MAX_DEPTH	4096

struct vp2p_queue;

/**
 * vp2p_queue_create() - an io_uring for transfers of one device
 * @dev: the device; must outlive the queue
 * @depth: how many transfers it holds, from submission until they are reaped: 1 to
 *	VP2P_MAX_DEPTH
 * @queue: out
 * @err: why not, or NULL
 *
 * A queue may be used by several threads at once.  It has no thread of its own: what
 * becomes of a transfer that a revocation met is decided in vp2p_queue_reap(), so call
 * that whenever vp2p_queue_eventfd() is readable.  It uses one of the device's 16
 * places for eventfds.  A thread that has submitted must not end before its transfers
 * have completed.  A forked child cannot use it.
 *
 * Return: 0, or
 *  -EINVAL	@depth
 *  -EOPNOTSUPP	no io_uring: an old kernel, or kernel.io_uring_disabled
 *  -ENOSPC	no place for an eventfd is free
 */
int vp2p_queue_create(struct vp2p_device *dev, unsigned int depth,
		      struct vp2p_queue **queue, struct vp2p_error *err);

/**
 * vp2p_queue_destroy() - end a queue
 * @queue: or NULL
 *
 * Cancels what can be cancelled and waits until the kernel is done with the rest.
 * Completions that have not been reaped are lost.
 */
void vp2p_queue_destroy(struct vp2p_queue *queue);

/**
 * struct vp2p_transfer - one transfer to submit
 * @io: file and window, of the queue's device; stays open until it is reaped.
 * @direction: enum vp2p_direction.
 * @reserved: 0.
 * @window_offset: first byte, from the start of the window.
 * @file_offset: first byte in the file.
 * @length: bytes, 0 is an error.
 * @tag: comes back with the completion, and names it to vp2p_queue_cancel().
 */
struct vp2p_transfer {
	struct vp2p_io *io;
	uint32_t direction;
	uint32_t reserved;
	uint64_t window_offset;
	uint64_t file_offset;
	uint64_t length;
	uint64_t tag;
};

/**
 * vp2p_queue_submit() - hand transfers over; never waits for I/O
 * @queue: the queue
 * @transfers: the transfers, not used after the call
 * @count: how many
 * @err: why not, or NULL
 *
 * They are taken in order, run in any order, and follow the rules of vp2p_pread().
 * One that meets a revocation, now or later, waits for its end without a thread.
 *
 * Return: how many were taken: all, or those before the first that breaks a rule or
 * does not fit; if that is the first one,
 *  -EAGAIN	the queue is full: reap
 *  -EINVAL, -ERANGE, -EBADF	it breaks a rule, as for vp2p_pread()
 */
int vp2p_queue_submit(struct vp2p_queue *queue, const struct vp2p_transfer *transfers,
		      unsigned int count, struct vp2p_error *err);

/**
 * struct vp2p_completion - what has become of a transfer
 * @tag: vp2p_transfer.tag.
 * @result: bytes moved or negative errno, as vp2p_pread() returns them; -ECANCELED
 *	after vp2p_queue_cancel().
 * @report: which way the bytes went.
 * @err: why it failed, if it did.
 */
struct vp2p_completion {
	uint64_t tag;
	int64_t result;
	struct vp2p_io_report report;
	struct vp2p_error err;
};

/**
 * vp2p_queue_reap() - take completions, and see to transfers that met a revocation
 * @queue: the queue
 * @done: out
 * @max: room in @done
 * @timeout_ms: longest wait for the first one; 0: only look, -1: no limit
 * @err: why not, or NULL
 *
 * Return: how many, 0 after the timeout, -EINVAL, or -EINTR (a signal handler ran
 * during the wait).
 */
int vp2p_queue_reap(struct vp2p_queue *queue, struct vp2p_completion *done,
		    unsigned int max, int timeout_ms, struct vp2p_error *err);

/**
 * vp2p_queue_cancel() - give up transfers
 * @queue: the queue
 * @tag: of one or more that have not completed
 * @err: why not, or NULL
 *
 * Each of them still completes: with -ECANCELED, or, if a disk has it already and
 * finishes it, as if nothing had been said.  It is not repeated any more.
 *
 * Return: 0, or -ENOENT (none under way has this tag).
 */
int vp2p_queue_cancel(struct vp2p_queue *queue, uint64_t tag, struct vp2p_error *err);

/**
 * vp2p_queue_eventfd() - becomes readable when vp2p_queue_reap() should be called
 *
 * For poll(2), epoll(7) and their kin.  Do not read it: vp2p_queue_reap() does.
 * It may find nothing all the same.  Remains the queue's.
 */
int vp2p_queue_eventfd(const struct vp2p_queue *queue);

/** vp2p_queue_pending() - transfers submitted and not yet reaped */
unsigned int vp2p_queue_pending(struct vp2p_queue *queue);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif /* VFIO_P2P_H */
