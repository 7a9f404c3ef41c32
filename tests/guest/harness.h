/* SPDX-License-Identifier: MIT */
/*
 * What a test program in the guest is written with.
 *
 * A program is a table of cases:
 *
 *	static void reads_a_page(void)
 *	{
 *		int fd = open(h_disk("raw"), O_RDONLY | O_DIRECT);
 *
 *		H_CHECK(fd >= 0);
 *		H_EQ(pread(fd, page, 4096, 0), 4096);
 *	}
 *
 *	static const struct h_case cases[] = {
 *		{ "O_DIRECT reads a page", reads_a_page },
 *		{ }
 *	};
 *
 *	int main(int argc, char **argv) { return h_main(argc, argv, cases); }
 *
 * Each case runs in a process of its own, with a deadline: one that crashes,
 * hangs or is killed fails alone.  What it opened, mapped and forked ends with
 * it.  Arguments that are names of cases select those; the program reads others.
 * Stdout is KTAP and belongs to the harness: speak through h_diag().
 */
#ifndef HARNESS_H
#define HARNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#define H_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/* Cases */

struct h_case {
	const char *name;
	void (*run)(void);
	unsigned int deadline_s;	/* 0: 30 seconds */
};

int h_main(int argc, char **argv, const struct h_case *cases);

/* Inside a case.  The first failure is the one reported. */
void h_fail(const char *fmt, ...) H_PRINTF(1, 2);
/* End the case as skipped: it cannot be tried here, and why. */
_Noreturn void h_skip_case(const char *why, ...) H_PRINTF(1, 2);
bool h_failed(void);
const char *h_case_name(void);

/* Fail with the expression, errno and place, and leave the function. */
#define H_CHECK(cond) \
	do { \
		if (!(cond)) { \
			h_fail_at(__FILE__, __LINE__, #cond); \
			return; \
		} \
	} while (0)

/* Compare two integers; a failure shows both. */
#define H_EQ(have, want) \
	do { \
		long long h_have = (long long)(have), h_want = (long long)(want); \
		if (h_have != h_want) { \
			h_fail_cmp(__FILE__, __LINE__, #have, h_have, #want, h_want); \
			return; \
		} \
	} while (0)

/* The call must fail with this errno. */
#define H_ERRNO(call, want) \
	do { \
		long long h_ret = (long long)(call); \
		if (!h_errno_is(__FILE__, __LINE__, #call, h_ret, want)) \
			return; \
	} while (0)

void h_fail_at(const char *file, int line, const char *expr);
void h_fail_cmp(const char *file, int line, const char *a, long long have,
		const char *b, long long want);
bool h_errno_is(const char *file, int line, const char *call, long long ret, int want);

/* Plain results, for a program that is not a table of cases */

void h_plan(int n);
bool h_ok(bool ok, const char *name, ...) H_PRINTF(2, 3);
void h_skip(const char *name, const char *why);
void h_diag(const char *fmt, ...) H_PRINTF(1, 2);
_Noreturn void h_bail(const char *fmt, ...) H_PRINTF(1, 2);
int h_done(void);		/* the exit status of main */

/*
 * Announce a kernel message that would otherwise fail the test (a POSIX
 * extended regular expression), before it comes.  It must come: a test whose
 * announced message is missing fails too.
 */
void h_expect_log(const char *regex);

/*
 * Now the machine is to be reset ("reset"), or the kernel that has been loaded
 * for it is to be started ("kexec"), with this program as it is.  All its results
 * have been given; those of the next test come in the next life.  The suite has
 * append = "lives".  Does not return.
 */
_Noreturn void h_next_life(const char *how);

/* Time */

uint64_t h_now_ns(void);
void h_sleep_ms(unsigned int ms);
/* Wait for a child of this process to end; false when the time is over. */
bool h_await(pid_t pid, int *status, unsigned int ms);
/* Wait until the expression is true; false when the time is over. */
#define h_wait_until(cond, ms) \
	({ \
		uint64_t h_end = h_now_ns() + (uint64_t)(ms) * 1000000; \
		bool h_is; \
		while (!(h_is = (cond)) && h_now_ns() < h_end) \
			h_sleep_ms(1); \
		h_is; \
	})

/* Files of sysfs and procfs: 0 or -errno; a read loses its last newline. */

int h_read(const char *path, char *buf, size_t n);
int h_write(const char *path, const char *text);
long long h_read_int(const char *path);		/* or -errno */
/* The first number that a line of a file has, by a format of scanf, or -1. */
long long h_number_in(const char *path, const char *format);
int h_readf(char *buf, size_t n, const char *path, ...) H_PRINTF(3, 4);
int h_writef(const char *text, const char *path, ...) H_PRINTF(2, 3);

/*
 * Roles: what the topology calls its devices, whatever their addresses.
 * h_pci("target") is "0000:02:00.0"; h_disk("ext4") is "/dev/nvme0n2".
 * NULL when this machine has no such role or the device is gone.
 * The strings last until the next call for the same role.
 */
const char *h_pci(const char *role);
const char *h_disk(const char *role);

/* Bind a PCI device to a driver through driver_override; NULL: to none. */
int h_bind(const char *bdf, const char *driver);
/* The driver's name, or "" when there is none. */
int h_driver(const char *bdf, char *buf, size_t n);
/* The number of the device's IOMMU group, or -errno. */
int h_iommu_group(const char *bdf);

/*
 * Mount a role's disk below /mnt, loading the file system's module: "ext4"
 * and "xfs" are roles and file systems.  Returns the folder or NULL.
 * init unmounts what a test program leaves below /mnt.
 */
const char *h_mount(const char *role, const char *options);
int h_umount(const char *role);

/* Kernel modules by name, with all they depend on: 0 or -errno. */
int h_modprobe(const char *name, const char *params);
int h_rmmod(const char *name);
bool h_module_loaded(const char *name);

/*
 * Ask the host: one JSON object in, one out.  0 or -errno; -EREMOTEIO when
 * the host answered with an error (it is in the reply).
 *	{"qmp": {"execute": ..., "arguments": ...}, "wait": "EVENT"}   any QMP command
 *	{"hmp": "info pci"}                                            a monitor command
 *	{"screendump": "name", "pixels": [[x, y], ...]}                what the display shows
 */
int h_host(const char *json, char *reply, size_t n);
int h_hostf(char *reply, size_t n, const char *json, ...) H_PRINTF(3, 4);
/* One of the drives raw, ext4 and xfs is as slow as that; 0: as before.  0 or -errno. */
int h_limit_disk(const char *drive, uint64_t bytes_per_second);

#endif
