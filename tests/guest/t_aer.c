// SPDX-License-Identifier: MIT
/*
 * Errors of the bus: AER, reported by the port above the device.
 *
 * Recovery closes the gate; after a harmless error it opens again, after one that
 * made the kernel reset the bus it stays closed until the device's registers have
 * been put back, since a page of a window would be a hole until then.
 *
 * These programs run in machines of their own.  The kernel's recovery takes a lock
 * of vfio-pci-core's with pci_bus_sem held, its bus reset for VFIO takes the two
 * the other way round, and lock checking reports the pair, rightly, if it has seen
 * both.  So the cases never reset the device through VFIO, but for the one that is
 * run by the argument "reset"; and "plain" shows, on a kernel with lock checking
 * and with plain vfio-pci, that the report is the kernel's own.
 */
#define _GNU_SOURCE
#include "dev.h"
#include "harness.h"
#include "matrix.h"
#include "revoke_util.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define WINDOW MX_WINDOW

static struct ru_target t;
static int events = -1;

static long heard(void)
{
	return ru_heard(events);
}

static void set_up(void)
{
	ru_open_and_listen(&t, WINDOW, &events);
}

static void clean_up(void)
{
	ru_close_at_rest(&t);
}

/* An error of the target's port, and all that the kernel does about it. */
static void port_error(const char *what)
{
	int kmsg = ru_kmsg();

	H_EQ(ru_port_error("target-port", what), 0);
	H_CHECK(h_wait_until(ru_recovered(kmsg), 10000));
	close(kmsg);
}

/* It has harmed nobody: the gate closes, and opens. */
static void nonfatal_error(void)
{
	long long generation, revokes;

	set_up();
	generation = dev_count("target", "generation");
	revokes = dev_revokes("target", "error");
	t.win[0] = 1;
	heard();
	port_error(RU_NONFATAL);
	H_EQ(dev_revokes("target", "error"), revokes + 1);
	H_CHECK(dev_state_is("target", "live"));
	H_EQ(dev_count("target", "generation"), generation + 1);
	H_EQ(heard(), 2);
	H_CHECK(ru_works(&t));
	clean_up();
}

/* Recovery cannot be refused: it waits a little, says so, and goes on. */
static void error_under_pin(void)
{
	long long timeouts = dev_count("target", "drain_timeouts");
	struct ru_hold h;

	h_expect_log("p2p: error recovery goes on under I/O");
	H_EQ(dev_param("aer_timeout_ms", "200"), 0);
	set_up();
	h = (struct ru_hold){ .first = { t.d.fd, t.cookie } };
	H_EQ(ru_hold_begin(&h), 0);
	port_error(RU_NONFATAL);
	H_CHECK(dev_state_is("target", "live"));
	H_EQ(dev_count("target", "drain_timeouts"), timeouts + 1);
	H_EQ(dev_count("target", "pinned_folios"), 1);
	H_CHECK(ru_works(&t));
	H_CHECK(ru_hold_end(&h) >= RU_PAGE);
	clean_up();
}

static long touch(void *arg)
{
	(void)arg;
	*(volatile char *)t.win = 1;
	return 0;
}

/* The bus was reset: closed until the owner has the registers put back. */
static void fatal_error(void)
{
	long long revokes, waited;
	struct ru_call toucher;

	h_expect_log("p2p: no memory decoding after error recovery");
	set_up();
	revokes = dev_revokes("target", "error");
	waited = dev_count("target", "faults_waited");
	t.win[0] = 1;
	port_error(RU_FATAL);
	H_EQ(dev_revokes("target", "error"), revokes + 1);
	H_CHECK(dev_state_is("target", "quiesced"));
	H_EQ(ru_read_into(&t, DEV_MIB2), -EFAULT);
	ru_call(&toucher, touch, NULL);
	H_CHECK(h_wait_until(dev_count("target", "faults_waited") > waited, 5000));
	H_EQ(ru_memory_on(&t.d), 0);
	H_CHECK(dev_state_is("target", "live"));
	H_CHECK(ru_join(&toucher, 5000));
	H_CHECK(ru_works(&t));
	clean_up();
}

/* A close mends it as well. */
static void fatal_error_then_close(void)
{
	h_expect_log("p2p: no memory decoding after error recovery");
	set_up();
	port_error(RU_FATAL);
	H_CHECK(dev_state_is("target", "quiesced"));
	clean_up();
	set_up();
	H_CHECK(dev_state_is("target", "live"));
	H_CHECK(ru_works(&t));
	clean_up();
}

/* Nobody has it open: the next user finds it mended. */
static void fatal_error_while_closed(void)
{
	set_up();
	clean_up();
	port_error(RU_FATAL);
	set_up();
	H_CHECK(dev_state_is("target", "live"));
	H_CHECK(ru_works(&t));
	clean_up();
}

/* A reset puts nothing back: it keeps what it finds. */
static void fatal_error_and_reset(void)
{
	h_expect_log("p2p: no memory decoding after error recovery");
	set_up();
	port_error(RU_FATAL);
	H_CHECK(dev_state_is("target", "quiesced"));
	H_EQ(ru_reset(&t.d), 0);
	H_CHECK(dev_state_is("target", "quiesced"));
	H_EQ(ru_memory_on(&t.d), 0);
	H_CHECK(ru_works(&t));
	clean_up();
}

/* Under I/O */

static long nonfatal(void *dev)
{
	(void)dev;
	port_error(RU_NONFATAL);
	return 0;
}

static long fatal(void *dev)
{
	(void)dev;
	port_error(RU_FATAL);
	return 0;
}

static long mend(void *dev)
{
	return ru_memory_on(dev);
}

static void nonfatal_under_io(void)
{
	mx_run(&(struct mx_row){ .id = "aer-nonfatal", .event = "non-fatal AER error of the port above",
				 .act = nonfatal, .cause = "error", .touch = MX_WAITS });
}

static void fatal_under_io(void)
{
	h_expect_log("p2p: no memory decoding after error recovery");
	mx_run(&(struct mx_row){ .id = "aer-fatal", .event = "fatal AER error of the port above",
				 .act = fatal, .undo = mend, .cause = "error", .touch = MX_HELD });
}

/*
 * A neighbour below the same port that nobody drives: recovery fails for all then, and
 * resume is not called.
 */
static void port_error_fails(const char *what)
{
	int kmsg = ru_kmsg();

	H_EQ(ru_port_error("target-port", what), 0);
	H_CHECK(h_wait_until(ru_kmsg_says(kmsg, "device recovery failed"), 10000));
	close(kmsg);
}

/* Nothing was reset, so nothing is lost. */
static void nonfatal_beside_undriven(void)
{
	long long generation;

	set_up();
	generation = dev_count("target", "generation");
	t.win[0] = 1;
	heard();
	port_error_fails(RU_NONFATAL);
	H_CHECK(dev_state_is("target", "live"));
	H_EQ(dev_count("target", "generation"), generation + 1);
	H_EQ(heard(), 2);
	/* A touch might wait. */
	if (!h_failed())
		H_CHECK(ru_works(&t));
	clean_up();
}

/* The BARs are gone: SIGBUS until the owner has them put back. */
static void fatal_beside_undriven(void)
{
	set_up();
	t.win[0] = 1;
	heard();
	port_error_fails(RU_FATAL);
	H_CHECK(dev_state_is("target", "gone"));
	H_EQ(heard(), 2);
	H_CHECK(ru_sigbus(t.win));
	H_EQ(ru_read_into(&t, DEV_MIB2), -EFAULT);
	H_EQ(ru_memory_on(&t.d), 0);
	H_CHECK(dev_state_is("target", "live"));
	if (!h_failed())
		H_CHECK(ru_works(&t));
	clean_up();
}

/* Nobody has it open, so nobody else puts the BARs back. */
static void fatal_beside_undriven_while_closed(void)
{
	set_up();
	clean_up();
	port_error_fails(RU_FATAL);
	set_up();
	H_CHECK(dev_state_is("target", "live"));
	if (!h_failed())
		H_CHECK(ru_works(&t));
	clean_up();
}

/* The kernel's own lock order, without this driver. */

static bool is_suspended(void)
{
	char text[32];

	return !h_readf(text, sizeof(text), "/sys/bus/pci/devices/%s/power/runtime_status", h_pci("target")) &&
	       !strcmp(text, "suspended");
}

/* One order by the reset, the other by resuming a device that nobody has open. */
static void plain_report(void)
{
	struct dev d;

	h_expect_log("possible circular locking dependency detected");
	/* What goes with it. */
	h_expect_log("Call Trace:");
	H_EQ(dev_open(&d, "target"), 0);
	H_EQ(dev_reset(&d), 0);
	dev_close(&d);
	H_CHECK(h_wait_until(is_suspended(), 10000));
	port_error(RU_FATAL);
}

static const struct h_case cases[] = {
	{ "a non-fatal error of the port", nonfatal_error },
	{ "a fatal error of the port", fatal_error },
	{ "a fatal error of the port, then a close", fatal_error_then_close },
	{ "a non-fatal error of the port, under a pin", error_under_pin },
	{ "a fatal error of the port while nobody has the device", fatal_error_while_closed },
	{ "a non-fatal error under I/O", nonfatal_under_io, 60 },
	{ "a fatal error under I/O", fatal_under_io, 60 },
	{ }
};

static const struct h_case reset[] = {
	{ "a fatal error of the port, and a reset", fatal_error_and_reset },
	{ }
};

static const struct h_case undriven[] = {
	{ "a non-fatal error beside a device without a driver", nonfatal_beside_undriven },
	{ "a fatal error beside a device without a driver", fatal_beside_undriven },
	{ "a fatal error beside a device without a driver, while nobody has ours", fatal_beside_undriven_while_closed },
	{ }
};

static const struct h_case plain[] = {
	{ "lock checking reports the kernel's own order", plain_report },
	{ }
};

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "plain")) {
		dev_bind("target", DEV_PLAIN);
		return h_main(1, argv, plain);
	}
	dev_bind("target", DEV_P2P);
	if (argc > 1 && !strcmp(argv[1], "reset"))
		return h_main(1, argv, reset);
	if (argc > 1 && !strcmp(argv[1], "undriven"))
		return h_main(1, argv, undriven);
	return h_main(argc, argv, cases);
}
