/* SPDX-License-Identifier: MIT */
/* doctor.c - vfio-p2p doctor: will it go peer-to-peer, why not, and is it right? */
#include "cli.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "doctor.h"
#include "text.h"

enum {
	KEY_FILE = 'f', KEY_MOUNT = 'm', KEY_DISK = 'd', KEY_JSON = 'j',
	KEY_NO_WRITE = 'n', KEY_NO_OPEN = 0x100,
};

static const struct argp_option options[] = {
	{ "file", KEY_FILE, "PATH", 0, "Look at the way to this file", 0 },
	{ "mount", KEY_MOUNT, "DIR", 0,
	  "Look at the way to files in this directory", 0 },
	{ "disk", KEY_DISK, "DEV", 0,
	  "Look at the way to this block device, which is never written to", 0 },
	{ "no-write", KEY_NO_WRITE, NULL, 0,
	  "Prove by reading only: no scratch file", 0 },
	{ "no-open", KEY_NO_OPEN, NULL, 0,
	  "Leave the device alone, since opening resets it: no answer of the "
	  "kernel about routes, no proof", 0 },
	{ "json", KEY_JSON, NULL, 0, "Print JSON", 0 },
	{ 0 }
};

static error_t set_storage(struct doctor_args *args, enum storage_kind kind,
			   const char *path)
{
	if (args->kind != NO_STORAGE) {
		fail(EXIT_USAGE, path, "begin",
		     "only one of --file, --mount and --disk can be looked at",
		     "run doctor once for each");
		return PARSE_FAILED;
	}
	args->kind = kind;
	args->path = path;
	return 0;
}

static error_t set_device(struct doctor_args *args, const char *operand)
{
	const char *wrong;

	if (args->device) {
		fail(EXIT_USAGE, operand, "begin", "one device at a time",
		     "run doctor once for each");
		return PARSE_FAILED;
	}
	args->device = operand;
	if (!parse_bdf(operand, args->place.bdf))
		return 0;
	wrong = parse_place(operand, &args->place);
	args->bar_given = !wrong;
	if (wrong) {
		fail(EXIT_USAGE, NULL, "read the device",
		     text("'%s' %s", operand, wrong),
		     "write DEVICE or DEVICE:BAR[+OFFSET], as in 0000:03:00.0:2");
		return PARSE_FAILED;
	}
	return 0;
}

/* The proof takes 4 KiB in one window. */
static error_t check_place(const struct doctor_args *args)
{
	if (!args->bar_given || !(args->place.span.offset % 4096))
		return 0;
	fail(EXIT_USAGE, args->place.bdf, "read the device",
	     text("offset %s is not a multiple of 4K",
		  text_size(args->place.span.offset)), "use one that is");
	return PARSE_FAILED;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct doctor_args *args = state->input;

	switch (key) {
	case KEY_FILE:
		return set_storage(args, STORAGE_FILE, arg);
	case KEY_MOUNT:
		return set_storage(args, STORAGE_MOUNT, arg);
	case KEY_DISK:
		return set_storage(args, STORAGE_DISK, arg);
	case KEY_NO_WRITE:
		args->no_write = true;
		return 0;
	case KEY_NO_OPEN:
		args->no_open = true;
		return 0;
	case KEY_JSON:
		args->json = true;
		return 0;
	case ARGP_KEY_ARG:
		return set_device(args, arg);
	case ARGP_KEY_END:
		return check_place(args);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* The worst comes first: data that is wrong is worse than none. */
static enum exit_code exit_code(const struct doctor *doctor)
{
	const unsigned int *count = doctor->findings.count;

	if (doctor->proof == DISPROVEN)
		return EXIT_MISMATCH;
	if (count[FOUND_FAIL])
		return EXIT_IMPOSSIBLE;
	if (doctor->busy)
		return EXIT_BUSY;
	return count[FOUND_UNKNOWN] ? EXIT_UNPROVEN : EXIT_OK;
}

static const char *conclusion(const struct doctor *doctor)
{
	switch (exit_code(doctor)) {
	case EXIT_OK:
		return doctor->proof == PROVEN ? "it goes peer-to-peer, proven" :
						 "nothing speaks against it";
	case EXIT_MISMATCH:
		return "it delivers WRONG DATA";
	case EXIT_IMPOSSIBLE:
		return "it cannot go peer-to-peer like this";
	default:
		return doctor->proof == PROVEN ?
		       "it goes peer-to-peer, proven; not all could be looked at" :
		       "nothing speaks against it, but not all could be looked at";
	}
}

static void print_text(const struct doctor *doctor)
{
	const unsigned int *count = doctor->findings.count;

	printf("%u ok, %u warning, %u FAIL, %u unknown: %s\n", count[FOUND_OK],
	       count[FOUND_WARNING], count[FOUND_FAIL], count[FOUND_UNKNOWN],
	       conclusion(doctor));
}

static void print_json(const struct doctor *doctor, struct json_object *root)
{
	const unsigned int *count = doctor->findings.count;
	struct json_object *counts = json_add_object(root, "counts");
	enum verdict verdict;

	for (verdict = 0; verdict < VERDICTS; verdict++)
		json_add_u64(counts, verdict_name(verdict), count[verdict]);
	json_add_bool(root, "proven", doctor->proof == PROVEN);
	json_add_string(root, "conclusion", conclusion(doctor));
	json_add_u64(root, "exit_status", exit_code(doctor));
	json_print(root);
}

static void examine(struct doctor *doctor)
{
	doctor_kernel(doctor);
	if (doctor->args.device)
		doctor_device(doctor);
	if (doctor->device)
		doctor_bars(doctor);
	if (doctor->args.kind != NO_STORAGE) {
		doctor_file(doctor);
		doctor_open(doctor);
		doctor_path(doctor);
		doctor_proof(doctor);
	}
}

static void clean_up(struct doctor *doctor)
{
	vp2p_peer_list_free(doctor->storage.peers);
	vp2p_close(doctor->dev);
	if (doctor->storage.scratch >= 0)
		close(doctor->storage.scratch);
	if (doctor->storage.fd >= 0)
		close(doctor->storage.fd);
}

static int run(const struct command *command, int argc, char **argv)
{
	struct doctor doctor = { .storage = { .fd = -1, .scratch = -1 } };
	struct json_object *root = NULL;
	int rc = command_parse(command, argc, argv, &doctor.args);

	if (rc)
		return rc;
	/* A reader that has seen enough (| grep -q) must not end it half-way. */
	signal(SIGPIPE, SIG_IGN);
	if (doctor.args.json) {
		root = json_object_new_object();
		doctor.findings.array = json_add_array(root, "checks");
	}
	examine(&doctor);
	clean_up(&doctor);
	if (root)
		print_json(&doctor, root);
	else
		print_text(&doctor);
	return exit_code(&doctor);
}

const struct command doctor_command = {
	.name = "doctor",
	.summary = "Say whether it will go peer-to-peer, why not, and prove it",
	.usage = "[DEVICE[:BAR[+OFFSET]]]",
	.examples =
	"  vfio-p2p doctor                                    kernel and module\n"
	"  vfio-p2p doctor 03:00.0                            ... and a device\n"
	"  vfio-p2p doctor 03:00.0:2 --file /data/model.bin   ... and the way to it\n"
	"  vfio-p2p doctor 03:00.0 --mount /data --json\n"
	"  vfio-p2p doctor 03:00.0 --disk /dev/nvme0n1        reads, never writes\n"
	"  vfio-p2p doctor --file /data/model.bin             what lies below it\n",
	.details =
	"One line a check: its verdict (ok, warning, FAIL, unknown), what was seen, "
	"and the remedy.  docs/doctor.md explains each.  With a device and storage it "
	"opens the device, which resets it as with every VFIO program, asks the kernel "
	"for the route of every disk, and ends with the proof: 4 KiB are read into the "
	"BAR and written back to a scratch file without a name, and compared by the "
	"CPU.  A window that has to be registered for that is given back where the driver "
	"can.  Without privilege it looks at what it can; the rest is unknown.\n\n"
	"Exit status: 0 nothing is wrong (with a device and storage: proven); 2 wrong "
	"command line; 3 something FAILs; 4 the device is in use; 5 the proof found "
	"wrong data; 7 nothing is wrong, but something is unknown.",
	.options = options,
	.parse = parse,
	.run = run,
};
