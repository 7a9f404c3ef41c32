// SPDX-License-Identifier: MIT
#define _GNU_SOURCE
#include "klog.h"

#include <errno.h>
#include <fcntl.h>
#include <regex.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MAX_EXPECTED 16
#define LOOKING "<7>test: reading the log\n"

/*
 * What the kernel says when something is wrong with the kernel.  A driver's
 * warnings (pr_warn, dev_warn) are messages, not splats: they have none of these.
 */
static const char splats[] =
	"^(\\[ *[0-9.]+\\] )?WARNING:|BUG:|Oops|KASAN|KCSAN|KFENCE|UBSAN|"
	"possible (circular|recursive) locking|possible irq lock|inconsistent lock state|"
	"held lock freed|lock held when returning|suspicious RCU|"
	"INFO: task .* blocked|rcu.*(detected|self-detected).*stall|soft lockup|hard LOCKUP|"
	"refcount_t:|scheduling while atomic|sleeping function called|"
	"general protection fault|unable to handle|Bad page (state|map)|"
	"kmemleak: [0-9]+ new|Call Trace:|list_(add|del) corruption|"
	"DMAR:.*(fault|Fault|DMA (Read|Write))|Kernel panic|exp(ected|edited).*stall|"
	"cut here";

static int fd = -1;
static regex_t splat;
static struct {
	regex_t re;
	char text[200];
	bool seen;
} expected[MAX_EXPECTED];
static int n_expected;

int klog_open(void)
{
	if (regcomp(&splat, splats, REG_EXTENDED | REG_NOSUB))
		return -EINVAL;
	fd = open("/dev/kmsg", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	return fd < 0 ? -errno : 0;
}

void klog_mark(const char *fmt, ...)
{
	char text[256] = "<5>";
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text + 3, sizeof(text) - 4, fmt, ap);
	va_end(ap);
	strcat(text, "\n");
	if (write(fd, text, strlen(text)) < 0)
		perror("/dev/kmsg");
}

static bool is_announced(const char *regex)
{
	for (int i = 0; i < n_expected; i++)
		if (!strcmp(expected[i].text, regex))
			return true;
	return false;
}

bool klog_expect(const char *regex)
{
	if (is_announced(regex))
		return true;
	if (n_expected == MAX_EXPECTED ||
	    regcomp(&expected[n_expected].re, regex, REG_EXTENDED | REG_NOSUB))
		return false;
	snprintf(expected[n_expected].text, sizeof(expected[0].text), "%s", regex);
	expected[n_expected++].seen = false;
	return true;
}

void klog_expect_nothing(void)
{
	while (n_expected)
		regfree(&expected[--n_expected].re);
}

const char *klog_missing(void)
{
	for (int i = 0; i < n_expected; i++)
		if (!expected[i].seen)
			return expected[i].text;
	return NULL;
}

static bool is_expected(const char *text)
{
	bool any = false;

	for (int i = 0; i < n_expected; i++) {
		if (!regexec(&expected[i].re, text, 0, NULL, 0)) {
			expected[i].seen = true;
			any = true;
		}
	}
	return any;
}

/* "prio,seq,time,flags;text\n KEY=value\n" -> text; NULL for none. */
static char *record_text(char *record)
{
	char *text = strchr(record, ';');

	if (text)
		text[strcspn(text, "\n")] = 0;
	return text ? text + 1 : NULL;
}

int klog_check(char *first, size_t n)
{
	char record[8192], *text;
	int found = 0;
	ssize_t len;

	*first = 0;
	/* A message without a newline waits for the next one before it can be
	 * read: this is the next one. */
	if (write(fd, LOOKING, sizeof(LOOKING) - 1) < 0)
		perror("/dev/kmsg");
	for (;;) {
		len = read(fd, record, sizeof(record) - 1);
		if (len < 0 && errno != EPIPE)
			return found;	/* EAGAIN: all read */
		record[len < 0 ? 0 : len] = 0;
		/* EPIPE: overwritten before it was read.  Unseen is not clean. */
		text = len < 0 ? "kernel log records were lost" : record_text(record);
		if (!text || is_expected(text) ||
		    (len >= 0 && regexec(&splat, text, 0, NULL, 0)))
			continue;
		/* "cut here" announces; the next line says what. */
		if (!found++ || strstr(first, "cut here"))
			snprintf(first, n, "%s", text);
	}
}
