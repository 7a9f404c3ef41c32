/* SPDX-License-Identifier: MIT */
/* cp_report.c - what the user is told of a copy */
#include "cp_report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "cli.h"
#include "interrupt.h"
#include "report.h"
#include "text.h"

#define BLOCK UINT64_C(4096)

uint64_t bytes_copied(const struct copy *copy)
{
	const struct vp2p_copy_result *result = &copy->result;

	return result->bytes_p2p + result->bytes_bounced + result->bytes_zero;
}

void report_restart(struct copy *copy)
{
	const struct cp_args *args = &copy->args;
	struct vp2p_state state;

	if (args->quiet || args->json || !args->to_device || args->no_retry ||
	    args->memory_kept || vp2p_get_state(copy->dev, &state, NULL) ||
	    state.generation == copy->generation)
		return;
	progress_hide(&copy->bar);
	note("vfio-p2p: %s: the device was reset (generation %" PRIu64 " after %"
	     PRIu64 "), its memory may be lost: the copy starts again", copy->place,
	     state.generation, copy->generation);
	copy->generation = state.generation;
}

void report_pending(struct copy *copy, uint64_t done, uint64_t total)
{
	const struct cp_args *args = &copy->args;
	uint64_t chunk = args->chunk ? args->chunk : BOUNCE_CHUNK;
	uint64_t most = chunk * BOUNCE_DEPTH;
	uint64_t left = total - done;

	progress_hide(&copy->bar);
	note("vfio-p2p: %s: interrupted; %s of %s are surely in place, up to %s more are under "
	     "way and not answered (a hard NFS mount?): waiting.  Another signal ends it now%s",
	     args->file, text_size(done), text_size(total),
	     text_size(most < left ? most : left), args->to_device ?
	     ", and nothing more reaches the device" :
	     text("; then what was sent may still reach the file%s%s",
		  copy->file.partial ? ", which stays as " : "",
		  copy->file.partial ? copy->file.partial : ""));
}

void report_cut(const struct copy *copy)
{
	if (interrupt_seen() && copy->err.code == ECANCELED && !copy->args.quiet)
		note("vfio-p2p: %s: %s had been copied; nothing is under way any more",
		     copy->args.file, text_size(bytes_copied(copy)));
}

static double seconds(const struct copy *copy)
{
	return (double)copy->result.elapsed_ns / 1e9;
}

static double rate(const struct copy *copy)
{
	return seconds(copy) > 0 ? (double)bytes_copied(copy) / seconds(copy) :
				   0;
}

void report_copy(const struct copy *copy)
{
	const struct vp2p_copy_result *result = &copy->result;

	printf("%" PRIu64 " bytes P2P, %" PRIu64 " bytes bounced by CPU",
	       result->bytes_p2p, result->bytes_bounced);
	if (result->bounce_reason)
		printf(" (%s)", vp2p_bounce_reason_name(result->bounce_reason));
	printf(", %" PRIu64 " bytes zero-filled, %" PRIu64 " retries",
	       result->bytes_zero, result->retries);
	if (result->restarts)
		printf(", %" PRIu64 " restarts (%" PRIu64 " bytes repeated)",
		       result->restarts, result->bytes_repeated);
	if (result->waited_ns)
		printf(", waited %s for the device",
		       text_duration((double)result->waited_ns / 1e9));
	printf(", %s, %s/s", text_duration(seconds(copy)),
	       text_amount(rate(copy)));
	if (copy->verified)
		printf(", verified: CRC-32 %08" PRIx32 " on both sides",
		       copy->checksums.device);
	putchar('\n');
}

void report_copy_json(const struct copy *copy, int rc)
{
	const struct vp2p_copy_result *result = &copy->result;
	struct json_object *root = json_object_new_object();

	json_add_bool(root, "ok", !rc);
	json_add_u64(root, "exit_status", rc);
	json_add_string(root, "direction",
			copy->args.to_device ? "file-to-device" :
					       "device-to-file");
	json_add_string(root, "device", copy->place);
	json_add_string(root, "file", copy->args.file);
	json_add_u64(root, "file_offset", copy->args.offset);
	json_add_u64(root, "bytes_p2p", result->bytes_p2p);
	json_add_u64(root, "bytes_bounced", result->bytes_bounced);
	json_add_string(root, "bounce_reason",
			vp2p_bounce_reason_name(result->bounce_reason));
	json_add_u64(root, "bytes_zero", result->bytes_zero);
	json_add_u64(root, "bytes_repeated", result->bytes_repeated);
	json_add_u64(root, "retries", result->retries);
	json_add_u64(root, "restarts", result->restarts);
	json_add_u64(root, "generation_before", result->generation_before);
	json_add_u64(root, "generation_after", result->generation_after);
	json_add_u64(root, "elapsed_ns", result->elapsed_ns);
	json_add_u64(root, "waited_ns", result->waited_ns);
	json_add_u64(root, "bytes_per_second", rate(copy));
	json_add_bool(root, "verified", copy->verified);
	if (copy->verified) {
		json_add_string(root, "crc32_device",
				text("%08" PRIx32, copy->checksums.device));
		json_add_string(root, "crc32_file",
				text("%08" PRIx32, copy->checksums.file));
	}
	if (rc)
		report_json(root);
	json_print(root);
}

/*
 * Opening the device for another try resets it: so only if its memory outlives that.
 * Nor is anything in place in a file that has not got its name.
 */
void report_rest(const struct copy *copy)
{
	const struct cp_args *args = &copy->args;
	uint64_t done = bytes_copied(copy) / BLOCK * BLOCK;
	const char *file, *device;

	if (args->quiet || !done || !args->memory_kept || !copy->err.code ||
	    copy->err.code == ESTALE || copy->file.partial)
		return;
	file = text_printable(args->file);
	device = text("%s:%u+%s", args->place.bdf, args->place.span.bar,
		      text_size(args->place.span.offset + done));
	note("vfio-p2p: %s are in place; the rest: vfio-p2p cp --memory-kept "
	     "--offset %s%s %s %s", text_size(done), text_size(args->offset + done),
	     args->size ? text(" --size %s", text_size(args->size - done)) : "",
	     args->to_device ? file : device, args->to_device ? device : file);
}
