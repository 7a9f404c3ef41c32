/* SPDX-License-Identifier: MIT */
/* cp.c - vfio-p2p cp: between a file and a device's memory */
#include "cli.h"

#include <vfio-p2p.h>

#include "cp_args.h"
#include "cp_file.h"
#include "cp_report.h"
#include "cp_window.h"
#include "interrupt.h"
#include "open.h"
#include "progress.h"
#include "report.h"
#include "text.h"
#include "verify.h"

static int open_file(struct copy *copy)
{
	const struct cp_args *args = &copy->args;

	if (args->to_device)
		return file_open_source(&copy->file, args->file);
	return file_open_target(&copy->file, args->file, args->offset_given,
				args->force);
}

/* What there is to copy must be in the file, and must fit into the target. */
static int check_file_range(struct copy *copy)
{
	static const char step[] = "find the range";
	const struct cp_args *args = &copy->args;
	uint64_t size = copy->file.size;

	if (args->to_device && !size)
		return fail(EXIT_USAGE, args->file, step, "the file is empty",
			    "choose a file that has something to copy");
	if (args->offset > size ||
	    (args->to_device && args->offset == size))
		return fail(EXIT_USAGE, args->file, step,
			    text("--offset %s is not below its size of %s",
				 text_size(args->offset), text_size(size)),
			    "choose an offset inside the file");
	if (args->size > size - args->offset)
		return fail(EXIT_USAGE, args->file, step,
			    text("--size %s is more than the %s bytes from "
				 "--offset on", text_size(args->size),
				 text_size(size - args->offset)),
			    text("use --size %s or leave it away",
				 text_size(size - args->offset)));
	return EXIT_OK;
}

/* Without --size the window says how much it is; then "nothing was tried" is past. */
static int size_from_window(struct copy *copy)
{
	struct cp_args *args = &copy->args;

	args->size = vp2p_window_offset(copy->win) +
		     vp2p_window_length(copy->win) - args->place.span.offset;
	if (args->size <= copy->file.size - args->offset)
		return EXIT_OK;
	return fail(EXIT_FAILED, args->file, "find the range",
		    text("the window's %s do not fit into the %s bytes from "
			 "--offset on", text_size(args->size),
			 text_size(copy->file.size - args->offset)),
		    text("use --size %s",
			 text_size(copy->file.size - args->offset)));
}

static int open_window(struct copy *copy)
{
	struct place wanted = copy->args.place;
	int rc;

	wanted.span.length = copy->args.size;
	if (!wanted.span.length && copy->args.to_device)
		wanted.span.length = copy->file.size - copy->args.offset;
	rc = window_check_range(&wanted);
	if (rc)
		return rc;
	if (open_device(wanted.bdf, &copy->dev, &copy->err))
		return report_open(&copy->err);
	rc = window_for_range(copy->dev, &wanted, &copy->win,
			      copy->args.quiet || copy->args.json);
	if (rc || copy->args.to_device || copy->args.size)
		return rc;
	return size_from_window(copy);
}

static int on_progress(uint64_t done, uint64_t total, void *arg)
{
	struct copy *copy = arg;

	if (interrupt_seen() && copy->cancels++ == 1)
		report_pending(copy, done, total);
	if (done < copy->bar.progress.done || !done)
		report_restart(copy);
	copy->bar.progress.total = total;
	progress_update(&copy->bar, done);
	return interrupt_seen();
}

static unsigned int copy_flags(const struct cp_args *args)
{
	return (args->allow_tail ? VP2P_COPY_ALLOW_TAIL : 0) |
	       (args->memory_kept ? VP2P_COPY_MEMORY_KEPT : 0) |
	       (args->no_retry ? VP2P_COPY_GENERATION : 0) |
	       (args->bounce == BOUNCE_ALLOW ? VP2P_COPY_BOUNCE_ALLOW : 0) |
	       (args->bounce == BOUNCE_FORCE ? VP2P_COPY_BOUNCE_FORCE : 0);
}

static int transfer(struct copy *copy)
{
	const struct cp_args *args = &copy->args;
	struct vp2p_copy_request request = {
		.window = copy->win,
		.fd = copy->file.fd,
		.direction = args->to_device ? VP2P_FILE_TO_WINDOW :
					       VP2P_WINDOW_TO_FILE,
		.flags = copy_flags(args),
		.window_offset = args->place.span.offset -
				 vp2p_window_offset(copy->win),
		.file_offset = args->offset,
		.length = args->size,
		.chunk = args->chunk,
		.bounce_depth = BOUNCE_DEPTH,
		.progress = on_progress,
		.progress_arg = copy,
	};
	struct vp2p_state state;
	int rc;

	if (vp2p_get_state(copy->dev, &state, &copy->err))
		return report(&copy->err);
	copy->generation = state.generation;
	request.generation = args->no_retry ? state.generation : 0;
	progress_begin(&copy->bar, "copy", 0, !args->quiet && !args->json);
	rc = vp2p_copy(&request, &copy->result, &copy->err);
	progress_end(&copy->bar);
	return rc ? report(&copy->err) : EXIT_OK;
}

static int verify_copy(struct copy *copy)
{
	const struct cp_args *args = &copy->args;
	struct verify_job job = {
		.dev = copy->dev,
		.place = copy->place,
		.bar = args->place.span.bar,
		.bar_offset = args->place.span.offset,
		.file = &copy->file,
		.file_offset = args->offset,
		.length = bytes_copied(copy),
		.progress = !args->quiet && !args->json,
	};
	int rc = verify(&job, &copy->checksums);

	copy->verified = !rc;
	return rc;
}

/* Everything up to the file's final name; cleaned up by the caller. */
static int perform(struct copy *copy)
{
	bool to_device = copy->args.to_device;
	int rc;

	/*
	 * The copy ends at its next chunk, a wait for the device at once, and a wait for a
	 * silent server by the second signal.  Opening a source leaves nothing to tidy
	 * up: the first one may end that.
	 */
	if (!to_device)
		interrupt_watch();
	rc = open_file(copy);
	if (to_device)
		interrupt_watch();
	if (!rc)
		rc = check_file_range(copy);
	if (!rc)
		rc = open_window(copy);
	if (!rc)
		rc = transfer(copy);
	if (!rc && copy->args.verify)
		rc = verify_copy(copy);
	if (rc || to_device)
		return rc;
	if (interrupt_seen())
		return interrupt_fail(copy->args.file, "finish the copy");
	return file_commit(&copy->file);
}

static int run(const struct command *command, int argc, char **argv)
{
	struct copy copy = { .file.fd = -1 };
	int rc = command_parse(command, argc, argv, &copy.args);

	if (rc)
		return report_refusal(copy.args.json, rc);
	copy.place = text("%s:%u+%s", copy.args.place.bdf,
			  copy.args.place.span.bar,
			  text_size(copy.args.place.span.offset));
	rc = perform(&copy);
	if (rc && !copy.args.json) {
		report_cut(&copy);
		report_rest(&copy);
	}
	vp2p_window_destroy(copy.win);
	vp2p_close(copy.dev);
	file_close(&copy.file);
	if (copy.args.json)
		report_copy_json(&copy, rc);
	else if (!rc && !copy.args.quiet)
		report_copy(&copy);
	return rc;
}

const struct command cp_command = {
	.name = "cp",
	.summary = "Copy between a file and a device's memory by peer-to-peer DMA",
	.usage = "FILE DEVICE:BAR[+OFFSET]\nDEVICE:BAR[+OFFSET] FILE",
	.examples =
	"  vfio-p2p cp --verify data.bin 0000:03:00.0:2   to the start of BAR 2\n"
	"  vfio-p2p cp data.bin 03:00.0:2+16M             ... 16 MiB behind it\n"
	"  vfio-p2p cp --size 64M 03:00.0:2 out.bin       from the device\n"
	"  vfio-p2p cp --size 1M --offset 128M /dev/nvme0n1 03:00.0:2\n"
	"  vfio-p2p cp --bounce=allow /dev/shm/data 03:00.0:2  by the CPU if need be\n",
	.details =
	"Every byte goes peer-to-peer or the copy fails; nothing is silently "
	"moved through host memory: --bounce=allow says that it may be.  FILE is a "
	"regular file or a block device.  The result line counts what went which "
	"way: peer-to-peer, bounced by the CPU (and why), or as zeros of a hole.  The copy goes through a "
	"window that covers the range; if there is none, the largest possible "
	"one is registered (as root).  One program at a time can have a device "
	"open.\n\n"
	"Opening a device resets it and closing it does so again, as with every "
	"VFIO program: what cp has written stays only if the device's memory "
	"outlives a reset.\n\n"
	"A file that is created or replaced is written as FILE.partial and renamed "
	"once it is whole and on the disk; a copy that fails removes it and leaves "
	"an older FILE as it was.  The new one has the older one's permissions, "
	"without set-uid and set-gid, and its owner if that is permitted; ACLs and "
	"extended attributes are not kept.  A FILE that is read-only is refused "
	"without --force.  The last block of a FILE that is the source "
	"is read whole: up to 4095 bytes behind the copy in the device's memory are "
	"undefined.\n\n"
	"Whether a mount of NFS can go peer-to-peer is tried; what cannot may bounce.  "
	"If its server is silent, a copy that is interrupted says what it waits for, "
	"and another signal ends it, whatever it is doing (docs/nfs.md).\n\n"
	"Exit status: 0 copied; 1 failed; 2 wrong command line; 3 the file or the "
	"route cannot do it; 4 the device is in use; 5 --verify found a difference; "
	"6 the target is a block device in use, or a read-only file.",
	.options = cp_options,
	.parse = cp_parse,
	.run = run,
};
