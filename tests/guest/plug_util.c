// SPDX-License-Identifier: MIT
/* What the tests of losing a device share: see plug_util.h. */
#define _GNU_SOURCE
#include "plug_util.h"
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

long pu_unbind(void *bdf)
{
	return h_bind(bdf, NULL);
}

long pu_remove(void *bdf)
{
	return h_writef("1", "/sys/bus/pci/devices/%s/remove", (const char *)bdf);
}

#define PORT "/sys/bus/pci/devices/0000:00:05.0/config"

int pu_pull(void)
{
	int fd = open(PORT, O_RDWR | O_CLOEXEC);
	uint16_t control, off;
	uint8_t at = 0, cap[2] = { 0, PCI_CAPABILITY_LIST };
	ssize_t n = -1;

	pread(fd, &cap[1], 1, PCI_CAPABILITY_LIST);
	while ((at = cap[1]) && pread(fd, cap, 2, at) == 2 && cap[0] != PCI_CAP_ID_EXP)
		;
	if (at && pread(fd, &control, 2, at + PCI_EXP_SLTCTL) == 2) {
		/* It hears of it when all is as it was, and the slot is empty. */
		off = control & ~(PCI_EXP_SLTCTL_HPIE | PCI_EXP_SLTCTL_DLLSCE | PCI_EXP_SLTCTL_PDCE);
		off |= PCI_EXP_SLTCTL_PCC | PCI_EXP_SLTCTL_PWR_IND_OFF;
		n = pwrite(fd, &off, 2, at + PCI_EXP_SLTCTL);
		n = pwrite(fd, &control, 2, at + PCI_EXP_SLTCTL);
	}
	close(fd);
	return n == 2 ? 0 : -EIO;
}

int pu_log(void)
{
	int log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	lseek(log, 0, SEEK_END);
	return log;
}

/* A record a read.  EPIPE: one was lost, and the next read goes on. */
static bool is_logged(int log, const char *text)
{
	char record[1024];
	ssize_t n;

	while ((n = read(log, record, sizeof(record) - 1)) > 0 || (n < 0 && errno == EPIPE)) {
		record[n > 0 ? n : 0] = 0;
		if (strstr(record, text))
			return true;
	}
	return false;
}

bool pu_logged(int log, const char *text, unsigned int ms)
{
	return h_wait_until(is_logged(log, text), ms);
}
