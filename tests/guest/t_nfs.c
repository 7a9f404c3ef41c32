// SPDX-License-Identifier: MIT
/*
 * t_nfs.c - files of an NFS server, and what becomes of a copy when it stops
 *
 * Theory of operation: the server is the kernel's own, in this machine.  What a mount
 * does with peer-to-peer memory is asked of the kernel by the raw interface first; the
 * tool, which does not know the answer, must act as it was: that is the probe's test,
 * and it holds for kernels that answer otherwise.
 *
 * Between client and server is a relay, which stops after a given byte: so whatever
 * happens, happens in the middle of a copy, with requests on their way, every time.
 * Then the copy is killed, or interrupted, or the server goes and comes back, or the
 * device is reset; and then the relay goes on, and what was under way arrives late.
 *
 *   - The killed process has to be gone while the server is still silent; the device
 *     has to be free for its next owner, whose bytes must be whole after the late
 *     answers have come; and the file must never get the next owner's bytes.  An
 *     engine whose requests outlive the process in another process holds the device
 *     (EBUSY), one that lets the kernel write into the window breaks the canary.
 *   - A reset must end while the server is silent: nothing pins the window.
 *   - An interrupted copy must say how far it has come; and if it cannot end, what it
 *     waits for.  A copy that waits in silence, or counts what it has not moved, is
 *     noticed by what it says.
 *   - A second signal must end the tool wherever it waits for the server.  A handler does
 *     not run there: whoever leaves it to one waits for ever.
 *   - A soft mount must give up, and be told so, when docs/nfs.md says that it does, and
 *     not before.
 */
#define _GNU_SOURCE
#include "command.h"
#include "dev.h"
#include "harness.h"
#include "nfs_case.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define SERVED "/tmp/served"
#define SIZE (8 * NFS_MIB)
/* So far a copy comes. */
#define HALF (3 * NFS_MIB)
/* For what takes a moment, on a host that has other things to do. */
#define LONG_MS 60000

static const char *at;		/* the file, as the client sees it */

static void v3_refuses(void)
{
	nfs_refuses_and_bounces(nfs_mount(&(struct nfs_mount){ .version = NFS_V3 }));
	H_EQ(nfs_umount(), 0);
}

static void v4_refuses(void)
{
	nfs_refuses_and_bounces(nfs_mount(&(struct nfs_mount){ .version = NFS_V4 }));
	H_EQ(nfs_umount(), 0);
}

/* The device bound, a mount by way of the relay, and a file of the server's. */
static void begin(enum nfs_version version, bool soft)
{
	const struct nfs_mount how = { .version = version, .soft = soft, .relayed = true };
	static char path[64];

	nfs_relay_release();
	H_CHECK(make_file(SERVED "/file", SIZE, 3 + version));
	H_EQ(tool("bind %s --window 2", h_pci("target")), 0);
	H_CHECK(nfs_mount(&how));
	snprintf(path, sizeof(path), "/mnt/nfs/file");
	at = path;
}

static void end(void)
{
	H_EQ(nfs_umount(), 0);
	dev_check_rest("target");
	H_EQ(tool("unbind %s", h_pci("target")), 0);
}

/* A copy, until it stands still in the middle. */
static pid_t copy_until_held(bool to_file, const char *options)
{
	const char *target = h_pci("target");
	pid_t pid;

	nfs_relay_hold(to_file ? NFS_TO_SERVER : NFS_TO_CLIENT, HALF);
	if (to_file)
		pid = tool_begin("cp --bounce=allow --offset 0 --size %d %s %s:2 %s", SIZE,
				 options, target, at);
	else
		pid = tool_begin("cp --bounce=allow %s %s %s:2", options, at, target);
	if (!h_wait_until(nfs_relay_holds(), LONG_MS)) {
		hear();
		h_fail("the copy does not get so far: %s", said);
	}
	return pid;
}

/* Both; or -1, and the case has failed. */
static pid_t begin_until_held(enum nfs_version version, bool soft, bool to_file,
			      const char *options)
{
	begin(version, soft);
	return h_failed() ? -1 : copy_until_held(to_file, options);
}

/* Late answers, and whatever the client still has to send. */
static void let_late_bytes_through(enum nfs_direction direction)
{
	uint64_t before = nfs_relay_passed(direction);

	nfs_relay_release();
	if (!h_wait_until(nfs_relay_passed(direction) >= before + NFS_MIB / 2, LONG_MS))
		h_fail("nothing was under way any more: %llu bytes",
		       (unsigned long long)(nfs_relay_passed(direction) - before));
	/* It ends when the last request has. */
	H_EQ(nfs_umount(), 0);
}

static void killed(enum nfs_version version, bool soft, bool to_file)
{
	uint64_t found;
	pid_t pid;

	begin(version, soft);
	if (h_failed())
		return;
	nfs_owner(0x11);
	if (to_file)
		H_CHECK(nfs_zeros(SERVED "/file", SIZE));
	pid = copy_until_held(to_file, "--quiet");
	if (h_failed())
		return;
	kill(pid, SIGKILL);
	H_EQ(tool_end(pid, LONG_MS), -SIGKILL);
	nfs_fill(0x22);
	H_EQ(dev_count("target", "pinned_folios"), 0);
	let_late_bytes_through(to_file ? NFS_TO_SERVER : NFS_TO_CLIENT);
	nfs_check_filled(0x22);
	if (to_file) {
		H_CHECK(nfs_only(SERVED "/file", 0x11, &found));
		h_diag("%llu bytes of the first owner arrived", (unsigned long long)found);
		H_CHECK(found);
	}
	H_CHECK(nfs_mount(&(struct nfs_mount){ .version = version, .relayed = true }));
	H_EQ(tool("cp --verify --bounce=allow %s %s:2", at, h_pci("target")), 0);
	end();
}

static void killed_reading(void)
{
	nfs_relay_begin();
	killed(NFS_V3, false, false);
	killed(NFS_V4, true, false);
}

static void killed_writing(void)
{
	nfs_relay_begin();
	killed(NFS_V3, false, true);
	killed(NFS_V4, true, true);
}

/* The server is silent from the middle on, and nobody does anything about it. */
static void soft_gives_up(void)
{
	uint64_t start;
	pid_t pid;

	nfs_relay_begin();
	pid = begin_until_held(NFS_V3, true, false, "");
	if (h_failed())
		return;
	start = h_now_ns();
	H_EQ(tool_end(pid, LONG_MS), 1);
	h_diag("it gave up after %llu ms", (unsigned long long)(h_now_ns() - start) / 1000000);
	H_CHECK(says("the file server (here:/) did not answer in time, or answered with an error "
		     "(EIO)"));
	H_CHECK(says("see that the server runs and can be reached"));
	H_CHECK(says("at byte "));
	nfs_relay_release();
	end();
}

/*
 * The server is silent from the middle on, for good.  A soft mount of version 4 gives
 * up only if the connection is lost as well.
 */
static void interrupted_soft(enum nfs_version version, bool to_file)
{
	pid_t pid;

	pid = begin_until_held(version, true, to_file, "");
	if (h_failed())
		return;
	if (version == NFS_V4) {
		h_sleep_ms(NFS_SOFT_MS + 2000);
		H_CHECK(!waitpid(pid, NULL, WNOHANG));
	}
	kill(pid, SIGINT);
	if (version == NFS_V4)
		nfs_relay_cut();
	H_EQ(tool_end(pid, LONG_MS), 1);
	H_CHECK(says("interrupted by signal 2"));
	H_CHECK(says(" had been copied; nothing is under way any more"));
	nfs_relay_release();
	nfs_relay_open();
	end();
}

static void soft(void)
{
	nfs_relay_begin();
	interrupted_soft(NFS_V3, false);
	interrupted_soft(NFS_V4, true);
}

/* Nothing ends a request of a hard mount but its answer, and the process's end. */
static void hard_answered(void)
{
	pid_t pid;

	nfs_relay_begin();
	pid = begin_until_held(NFS_V4, false, false, "");
	if (h_failed())
		return;
	kill(pid, SIGINT);
	H_CHECK(h_wait_until((hear(), says("under way and not answered")), LONG_MS));
	H_CHECK(says("up to 4M more are under way"));
	H_CHECK(!waitpid(pid, NULL, WNOHANG));
	nfs_relay_release();
	H_EQ(tool_end(pid, LONG_MS), 1);
	H_CHECK(says("interrupted by signal 2"));
	H_CHECK(says(" had been copied; nothing is under way any more"));
	end();
}

/* Before there is anything to tidy up a signal does what it always does. */
static void open_left(void)
{
	pid_t pid;

	nfs_relay_hold(NFS_TO_SERVER, 0);
	pid = tool_begin("cp --bounce=allow %s %s:2", at, h_pci("target"));
	H_CHECK(h_wait_until(nfs_stands_in(pid, "rpc_wait_bit_killable"), LONG_MS));
	kill(pid, SIGINT);
	H_EQ(tool_end(pid, LONG_MS), -SIGINT);
	nfs_relay_release();
}

static void hard_left(void)
{
	pid_t pid;

	nfs_relay_begin();
	begin(NFS_V4, false);
	open_left();
	pid = copy_until_held(true, "");
	if (h_failed())
		return;
	kill(pid, SIGINT);
	H_CHECK(h_wait_until((hear(), says("under way and not answered")), LONG_MS));
	H_CHECK(says("what was sent may still reach the file"));
	kill(pid, SIGINT);
	H_EQ(tool_end(pid, LONG_MS), -SIGINT);
	nfs_fill(0x22);
	let_late_bytes_through(NFS_TO_SERVER);
	nfs_check_filled(0x22);
	H_CHECK(nfs_mount(&(struct nfs_mount){ .version = NFS_V4, .relayed = true }));
	end();
}

/* Once nothing passes any more; else it is ended, with the server's help. */
static bool stands_in(pid_t pid, const char *function)
{
	if (h_wait_until(nfs_relay_holds() && nfs_stands_in(pid, function), LONG_MS))
		return true;
	/* Says where it does. */
	tool_end(pid, 0);
	h_fail("it does not come to %s", function);
	kill(pid, SIGKILL);
	nfs_relay_release();
	tool_end(pid, LONG_MS);
	return false;
}

/* The first signal is remembered, the second one is the end, whatever it waits for. */
static void left_by_two(pid_t pid, const char *waits_in)
{
	if (!stands_in(pid, waits_in))
		return;
	kill(pid, SIGINT);
	h_sleep_ms(1000);
	H_CHECK(!waitpid(pid, NULL, WNOHANG));
	kill(pid, SIGINT);
	H_EQ(tool_end(pid, LONG_MS), -SIGINT);
	nfs_relay_release();
}

/* Outside of the copy's loop nobody looks for a signal. */
static void phases_are_left(void)
{
	const char *target = h_pci("target");
	struct stat status;
	pid_t pid;

	nfs_relay_begin();
	begin(NFS_V4, false);
	if (h_failed())
		return;
	/* That it is not there is known before the server falls silent. */
	stat("/mnt/nfs/new", &status);
	stat("/mnt/nfs/new.partial", &status);
	nfs_relay_hold(NFS_TO_SERVER, 0);
	pid = tool_begin("cp --bounce=allow --size %d %s:2 /mnt/nfs/new", SIZE, target);
	left_by_two(pid, "rpc_wait_bit_killable");
	if (h_failed())
		return;
	unlink(SERVED "/new.partial");

	nfs_relay_hold(NFS_TO_CLIENT, HALF);
	pid = tool_begin("cp --verify --bounce=allow --size %d %s:2 /mnt/nfs/other", SIZE, target);
	left_by_two(pid, "nfs_file_direct_read");
	H_CHECK(!unlink(SERVED "/other.partial"));
	end();
}

/* doctor's proof, until the server is silent in the middle of what it reads. */
static pid_t proof_until_held(void)
{
	const char *target = h_pci("target");
	uint64_t before;

	/* The first one fills the client's caches, the second one is as the third. */
	tool("doctor %s:2 --file %s", target, at);
	before = nfs_relay_passed(NFS_TO_CLIENT);
	tool("doctor %s:2 --file %s", target, at);
	nfs_relay_hold(NFS_TO_CLIENT, nfs_relay_passed(NFS_TO_CLIENT) - before - 2048);
	return tool_begin("doctor %s:2 --file %s", target, at);
}

static void doctor_is_left(void)
{
	pid_t pid;

	nfs_relay_begin();
	begin(NFS_V3, false);
	if (h_failed())
		return;
	nfs_owner(0x33);
	left_by_two(proof_until_held(), "nfs_file_direct_read");
	if (h_failed())
		return;
	nfs_owner(0x44);
	pid = proof_until_held();
	if (!stands_in(pid, "nfs_file_direct_read"))
		return;
	kill(pid, SIGTERM);
	nfs_relay_release();
	H_EQ(tool_end(pid, LONG_MS), -SIGTERM);
	nfs_check_owner(0x44);
	end();
}

/* All connections end, the server forgets its clients, and is back after a while. */
static void restarted(enum nfs_version version, bool soft)
{
	pid_t pid;

	pid = begin_until_held(version, soft, false, "--verify");
	if (h_failed())
		return;
	nfs_relay_cut();
	H_EQ(nfs_server_stop(), 0);
	H_CHECK(!waitpid(pid, NULL, WNOHANG));
	nfs_relay_release();
	H_EQ(nfs_server_start(), 0);
	nfs_relay_open();
	H_EQ(tool_end(pid, LONG_MS), 0);
	H_CHECK(says("0 bytes P2P, %d bytes bounced by CPU (refused)", SIZE));
	H_CHECK(says("verified: CRC-32 "));
	end();
}

static void server_restarts(void)
{
	nfs_relay_begin();
	restarted(NFS_V3, true);
	restarted(NFS_V4, false);
	restarted(NFS_V4, true);
}

static void reset_device(void)
{
	/* While the server is silent: it may wait for nothing of the copy's. */
	H_EQ(h_writef("1", "/sys/bus/pci/devices/%s/reset", h_pci("target")), 0);
	H_CHECK(nfs_relay_holds());
	nfs_relay_release();
}

static void starts_again(void)
{
	pid_t pid = copy_until_held(false, "--verify");

	reset_device();
	H_EQ(tool_end(pid, LONG_MS), 0);
	H_CHECK(says("the device was reset (generation "));
	H_CHECK(says("the copy starts again"));
	H_CHECK(says("verified: CRC-32 "));
}

static void device_is_reset(void)
{
	pid_t pid;

	nfs_relay_begin();
	begin(NFS_V3, true);
	if (h_failed())
		return;
	starts_again();
	end();
	begin(NFS_V4, false);
	if (h_failed())
		return;
	starts_again();

	pid = copy_until_held(false, "--no-retry");
	reset_device();
	H_EQ(tool_end(pid, LONG_MS), 1);
	H_CHECK(says("its memory may be lost"));

	pid = copy_until_held(true, "");
	reset_device();
	H_EQ(tool_end(pid, LONG_MS), 1);
	H_CHECK(says("must not be trusted"));
	end();
}

static const struct h_case cases[] = {
	{ "version 3: as the kernel answers, and bounced when asked", v3_refuses, 120 },
	{ "version 4.2: as the kernel answers, and bounced when asked", v4_refuses, 120 },
	{ "killed while it reads of a silent server", killed_reading, 180 },
	{ "killed while it writes to a silent server", killed_writing, 180 },
	{ "a soft mount gives up by itself", soft_gives_up, 120 },
	{ "interrupted on a soft mount", soft, 180 },
	{ "interrupted on a hard mount that is answered then", hard_answered, 120 },
	{ "interrupted twice on a hard mount", hard_left, 120 },
	{ "interrupted twice where it creates the file, or reads it back", phases_are_left, 120 },
	{ "doctor is interrupted in its proof", doctor_is_left, 120 },
	{ "the server goes, and comes back", server_restarts, 180 },
	{ "the device is reset while the server is silent", device_is_reset, 180 },
	{ }
};

int main(int argc, char **argv)
{
	int rc;

	mkdir(SERVED, 0755);
	nfs_serve(SERVED, false);
	rc = h_main(argc, argv, cases);
	nfs_end();
	return rc;
}
