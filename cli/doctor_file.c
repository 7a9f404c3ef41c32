/* SPDX-License-Identifier: MIT */
/* doctor_file.c - from a path to its mount: is direct I/O on it direct? */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "doctor.h"
#include "sysfs.h"
#include "text.h"

static const char good_place[] = "put the file on ext4 or xfs on an NVMe disk";

static bool is_kind(mode_t mode, enum storage_kind kind)
{
	return kind == STORAGE_DISK ? S_ISBLK(mode) :
	       kind == STORAGE_MOUNT ? S_ISDIR(mode) : S_ISREG(mode);
}

/* What is no file of the right kind has no disk to look at, either. */
static bool fail_path(struct doctor *doctor, const char *seen, const char *remedy)
{
	if (doctor->storage.fd >= 0)
		close(doctor->storage.fd);
	doctor->storage.fd = -1;
	found(&doctor->findings, FOUND_FAIL, "path", doctor->args.path, seen,
	      remedy);
	return false;
}

/* O_PATH needs no right to read what is only looked at. */
static bool open_path(struct doctor *doctor)
{
	static const char *const wanted[] = {
		[STORAGE_FILE] = "a regular file, which --file takes",
		[STORAGE_MOUNT] = "a directory, which --mount takes",
		[STORAGE_DISK] = "a block device, which --disk takes",
	};
	enum storage_kind kind = doctor->args.kind;
	struct stat status;

	doctor->storage.fd = open(doctor->args.path, O_PATH | O_CLOEXEC);
	if (doctor->storage.fd < 0)
		return fail_path(doctor, strerror(errno),
				 errno == EACCES ? "run as root" :
				 "check the path");
	if (fstat(doctor->storage.fd, &status))
		return fail_path(doctor, strerror(errno), "check the path");
	if (!is_kind(status.st_mode, kind))
		return fail_path(doctor, text("it is not %s", wanted[kind]),
				 "give a file by --file, a directory by --mount, "
				 "a block device by --disk");
	return true;
}

static void check_mount(struct doctor *doctor)
{
	const struct mount_row *mount;
	struct statx status;

	if (doctor->args.kind == STORAGE_DISK)
		return;
	if (!statx(doctor->storage.fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &status) &&
	    status.stx_mask & STATX_MNT_ID)
		doctor->storage.mount = mounts_find(status.stx_mnt_id);
	mount = doctor->storage.mount;
	if (!mount)
		found(&doctor->findings, FOUND_UNKNOWN, "mount",
		      doctor->args.path,
		      "/proc/self/mountinfo has no row for it", "mount /proc");
	else
		found(&doctor->findings, FOUND_OK, "mount", doctor->args.path,
		      text("%s, %s on %s (%s)", mount->point, mount->type,
			   mount->source, mount->options), NULL);
}

/*
 * The entry that says no to the file system itself, or NULL.  If there is a disk, it
 * is about direct I/O on this file, which check_direct_io() looks at.
 */
static const struct vp2p_peer_info *about_fs(const struct vp2p_peer_list *list)
{
	return !*list->disk && !strcmp(list->peer[0].name, list->fs) ?
	       &list->peer[0] : NULL;
}

static const char *overlay_remedy(const struct mount_row *mount)
{
	const char *upper = mount ? option_value(mount->fs_options, "upperdir") :
				    NULL;

	return text("name the file by its path in the directory it really lies "
		    "in%s%s", upper ? ", such as " : "", upper ? upper : "");
}

/* Its mounts differ, and kernels do: the proof shows. */
static bool is_nfs(const struct vp2p_peer_list *list)
{
	return !strcmp(list->fs, "nfs");
}

static void say_nfs(struct doctor *doctor, const struct vp2p_peer_info *fs)
{
	bool tried = doctor->args.device && !doctor->args.no_open;

	found(&doctor->findings, tried ? FOUND_OK : FOUND_UNKNOWN, "file-system",
	      doctor->args.path, text("nfs: %s%s", fs->reason,
				      tried ? ": the proof" : ""),
	      tried ? NULL : "name a device as well (without --no-open); or "
	      "let the CPU copy: vfio-p2p cp --bounce=allow");
}

/* Return: can direct I/O reach a disk at all, as far as is known? */
static bool check_fs(struct doctor *doctor, const struct vp2p_peer_list *list)
{
	static const char *const tried[] = { "ext4", "xfs", "f2fs", "block" };
	const struct vp2p_peer_info *fs = about_fs(list);
	struct findings *findings = &doctor->findings;
	const char *path = doctor->args.path;
	size_t i;

	if (fs && is_nfs(list)) {
		say_nfs(doctor, fs);
		return true;
	}
	if (fs && !strcmp(fs->name, "overlay"))
		found(findings, FOUND_UNKNOWN, "file-system", path, fs->reason,
		      overlay_remedy(doctor->storage.mount));
	else if (fs)
		found(findings, FOUND_FAIL, "file-system", path, fs->reason,
		      fs->remedy);
	/* An overlay hands direct I/O on to the file below. */
	if (fs)
		return !strcmp(fs->name, "overlay");
	for (i = 0; i < sizeof(tried) / sizeof(tried[0]); i++)
		if (!strcmp(tried[i], list->fs))
			break;
	if (i < sizeof(tried) / sizeof(tried[0]))
		found(findings, FOUND_OK, "file-system", path, list->fs, NULL);
	else
		found(findings, FOUND_WARNING, "file-system", path,
		      text("%s, which has not been tried", list->fs), good_place);
	return true;
}

/* ext4 tells its default modes only in /proc/fs/ext4. */
static bool journals_data(const struct mount_row *mount)
{
	const char *disk = link_target(host_path("/sys/dev/block/%s",
						 mount->number));
	const char *options = disk ?
		attribute_read(host_path("/proc/fs/ext4/%s/options", disk)) : NULL;

	return options_have(mount->fs_options, "data=journal") ||
	       (options && strstr(options, "data=journal"));
}

static void check_journal(struct doctor *doctor)
{
	const struct mount_row *mount = doctor->storage.mount;

	if (!mount || strcmp(mount->type, "ext4"))
		return;
	if (journals_data(mount))
		found(&doctor->findings, FOUND_FAIL, "journal", mount->point,
		      "data=journal: all data goes through the page cache",
		      "mount with data=ordered");
	else
		found(&doctor->findings, FOUND_OK, "journal", mount->point,
		      "data is not journalled", NULL);
}

/* What goes into a hole of a file as ext3 made them goes through the page cache. */
static void check_extents(struct doctor *doctor, int flags)
{
	if (!(flags & FS_EXTENT_FL))
		found(&doctor->findings, FOUND_WARNING, "extents",
		      doctor->args.path,
		      "the file has no extents (as files of ext3): ext4 writes "
		      "into its holes through the page cache",
		      "chattr +e, or copy it");
}

/* statx(2) tells of ext4's, but says of f2fs' that their direct I/O is direct. */
static void check_inline_data(struct doctor *doctor, int flags)
{
	struct stat status;

	if (!(flags & FS_INLINE_DATA_FL) ||
	    fstat(doctor->storage.fd, &status) || !status.st_size)
		return;
	found(&doctor->findings, FOUND_FAIL, "inline-data", doctor->args.path,
	      "the file is so small that it lies in its inode, and is read through "
	      "the page cache", "give it blocks: fallocate -n -l 4096 FILE");
}

/* What only the file's flags tell.  Those of an overlay are of the file below. */
static void check_flags(struct doctor *doctor)
{
	const struct mount_row *mount = doctor->storage.mount;
	bool ext4 = mount && !strcmp(mount->type, "ext4");
	int flags = 0, fd, rc;

	if (!mount || doctor->args.kind != STORAGE_FILE ||
	    (!ext4 && strcmp(mount->type, "f2fs") &&
	     strcmp(mount->type, "overlay")))
		return;
	fd = open(doctor->args.path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;		/* the proof says why not */
	rc = ioctl(fd, FS_IOC_GETFLAGS, &flags);
	close(fd);
	if (!rc && ext4)
		check_extents(doctor, flags);
	else if (!rc)
		check_inline_data(doctor, flags);
}

/*
 * Checksums want data that stands still.  XFS then writes through buffers of its own, in
 * silence, and its reads refuse peer-to-peer pages.
 */
static void check_stable_pages(struct doctor *doctor,
			       const struct vp2p_peer_list *list)
{
	const char *path = host_path("/sys/class/block/%s/queue/stable_writes",
				     list->disk);

	if (strcmp(list->fs, "xfs"))
		return;
	if (!path_exists(path))
		found(&doctor->findings, FOUND_UNKNOWN, "stable-pages",
		      list->disk, "sysfs does not tell whether it needs them",
		      "mount /sys");
	else if (attribute_u64(path, 0))
		found(&doctor->findings, FOUND_FAIL, "stable-pages", list->disk,
		      "it needs stable pages, so XFS copies what is written with "
		      "the CPU, and refuses to read",
		      "format the name space without protection information, "
		      "or use ext4");
	else
		found(&doctor->findings, FOUND_OK, "stable-pages", list->disk,
		      "not needed, so XFS copies nothing", NULL);
}

static void check_direct_io(struct doctor *doctor,
			    const struct vp2p_peer_list *list, int fd)
{
	struct findings *findings = &doctor->findings;
	const char *path = doctor->args.path;
	struct statx status = { 0 };

	statx(fd, "", AT_EMPTY_PATH, STATX_TYPE | STATX_DIOALIGN, &status);
	if (S_ISDIR(status.stx_mode))
		found(findings, FOUND_UNKNOWN, "direct-io", path,
		      "only a file tells whether direct I/O on it is direct",
		      "give --file, or leave --no-write away");
	else if (!(status.stx_mask & STATX_DIOALIGN) && is_nfs(list))
		found(findings, FOUND_OK, "direct-io", path,
		      "that of nfs does not go through the page cache", NULL);
	else if (!(status.stx_mask & STATX_DIOALIGN))
		found(findings, FOUND_FAIL, "direct-io", path,
		      "the file system does not say that direct I/O is direct "
		      "(statx STATX_DIOALIGN)", good_place);
	else if (!status.stx_dio_mem_align || !status.stx_dio_offset_align)
		found(findings, FOUND_FAIL, "direct-io", path,
		      "no direct I/O on this file (data=journal, encryption, "
		      "verity or inline data)",
		      "mount with data=ordered, or use a file without these");
	else
		found(findings, FOUND_OK, "direct-io", path,
		      text("memory aligned to %u, offsets to %u bytes",
			   status.stx_dio_mem_align,
			   status.stx_dio_offset_align), NULL);
}

/* The folder a scratch file is to lie in: on the same mount as the path. */
static const char *scratch_folder(const struct doctor *doctor)
{
	if (doctor->args.kind == STORAGE_MOUNT)
		return doctor->args.path;
	return text("%s", dirname(text("%s", doctor->args.path)));
}

/* Not every file system has files without a name. */
static int create_scratch(const char *folder)
{
	int fd = open(folder, O_TMPFILE | O_RDWR | O_DIRECT | O_CLOEXEC, 0600);
	char *name;

	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR))
		return fd;
	name = text("%s/.vfio-p2p-doctor.XXXXXX", folder);
	fd = mkostemp(name, O_DIRECT | O_CLOEXEC);
	if (fd >= 0)
		unlink(name);
	return fd;
}

static void make_scratch(struct doctor *doctor)
{
	const struct doctor_args *args = &doctor->args;
	const char *folder = scratch_folder(doctor);

	if (args->no_write || args->kind == STORAGE_DISK ||
	    (args->kind == STORAGE_FILE && !doctor->device))
		return;
	doctor->storage.scratch = create_scratch(folder);
	if (doctor->storage.scratch < 0)
		found(&doctor->findings, FOUND_UNKNOWN, "scratch", folder,
		      text("no scratch file with O_DIRECT can be made there: %s",
			   strerror(errno)),
		      "run as a user who may write there, or give --no-write");
}

static void check_below(struct doctor *doctor)
{
	struct vp2p_peer_list *list;
	struct vp2p_error err;
	int fd = doctor->storage.fd;

	if (vp2p_peer_for_fd(NULL, fd, &list, &err)) {
		fail_path(doctor, text("%s", err.cause), text("%s", err.remedy));
		return;
	}
	if (check_fs(doctor, list)) {
		make_scratch(doctor);
		if (doctor->args.kind == STORAGE_MOUNT &&
		    doctor->storage.scratch >= 0)
			fd = doctor->storage.scratch;
		check_direct_io(doctor, list, fd);
		check_stable_pages(doctor, list);
	}
	vp2p_peer_list_free(list);
}

void doctor_file(struct doctor *doctor)
{
	if (!open_path(doctor))
		return;
	check_mount(doctor);
	check_journal(doctor);
	check_flags(doctor);
	check_below(doctor);
}
