// SPDX-License-Identifier: MIT
/*
 * POPULATE: mapped without a touch.
 *
 * The page tables are asked (pagemap) what is mapped, the counters how: 2 MiB
 * entries where the address allows it, one fault each.  Whatever is wrong with
 * the range is an errno, and what is not a window is left alone.  While the gate
 * is closed (userfaultfd holds a pin that a reset waits for) it must not wait:
 * the caller may be anybody's.
 */
#define _GNU_SOURCE
#include "dev.h"
#include "harness.h"
#include "revoke_util.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MIB2 DEV_MIB2
#define WINDOW (8 * MIB2)

static struct ru_target t;
static struct ru_hold hold;

static int populate(const void *at, size_t length, uint64_t *done)
{
	struct p2p_vfio_populate arg = { .address = (uintptr_t)at, .length = length };
	int err = dev_feature(&t.d, VFIO_DEVICE_FEATURE_SET | P2P_VFIO_FEATURE_POPULATE,
			      &arg, sizeof(arg));

	if (done)
		*done = arg.length;
	return err;
}

static void begin(struct p2p_vfio_state *st)
{
	H_EQ(ru_target_open(&t, "target", WINDOW), 0);
	H_EQ(dev_state(&t.d, st), 0);
}

static void end(void)
{
	dev_close(&t.d);
	dev_check_rest("target");
}

/* Entries made in between; all of the size that windows have where it fits. */
static uint64_t faults_of(const struct p2p_vfio_state *before, const struct p2p_vfio_state *after)
{
	uint64_t pmd = after->faults_pmd - before->faults_pmd;
	uint64_t pte = after->faults_pte - before->faults_pte;

	if (dev_has_pmd() ? pte : pmd)
		h_fail("%llu entries of 2 MiB, %llu of 4 KiB", (unsigned long long)pmd, (unsigned long long)pte);
	return pmd + pte;
}

static void by_folios(void)
{
	struct p2p_vfio_state before, after;
	uint64_t done;

	begin(&before);
	H_EQ(populate(t.win + MIB2, 4 * MIB2, &done), 0);
	H_EQ(done, 4 * MIB2);
	H_EQ(dev_state(&t.d, &after), 0);
	H_EQ(faults_of(&before, &after), 4 * MIB2 / dev_folio());
	H_EQ(after.touched_folios, 4 * MIB2 / dev_folio());
	for (size_t at = 0; at < WINDOW; at += MIB2)
		H_EQ(ru_mapped(t.win + at + 8 * RU_PAGE), at >= MIB2 && at < 5 * MIB2);
	/* Once more: nothing to do.  Part of a folio: all of it. */
	H_EQ(populate(t.win + MIB2, 4 * MIB2, NULL), 0);
	H_EQ(populate(t.win + 6 * MIB2 + RU_PAGE, RU_PAGE, NULL), 0);
	H_EQ(dev_state(&t.d, &after), 0);
	H_EQ(faults_of(&before, &after), 4 * MIB2 / dev_folio() + 1);
	H_CHECK(ru_works(&t));
	H_EQ(dev_reset(&t.d), 0);
	H_CHECK(!ru_mapped(t.win + MIB2));
	end();
}

static void by_pages(void)
{
	struct p2p_vfio_state before, after;
	char *skewed;

	begin(&before);
	skewed = dev_map_skewed(&t.d, t.cookie, 2 * MIB2, RU_PAGE);
	H_CHECK(skewed);
	H_EQ(populate(skewed, 2 * MIB2, NULL), 0);
	H_EQ(dev_state(&t.d, &after), 0);
	H_EQ(after.faults_pmd - before.faults_pmd, 0);
	H_EQ(after.faults_pte - before.faults_pte, 2 * MIB2 / RU_PAGE);
	H_CHECK(ru_mapped(skewed) && ru_mapped(skewed + 2 * MIB2 - RU_PAGE));
	end();
}

/* A page table left by a split that has healed keeps a 2 MiB entry out. */
static void around_a_page_table(void)
{
	struct p2p_vfio_state before, after;

	begin(&before);
	H_EQ(mprotect(t.win, RU_PAGE, PROT_READ), 0);
	for (size_t at = RU_PAGE; at < MIB2; at += RU_PAGE)
		t.win[at] = 1;
	H_EQ(mprotect(t.win, RU_PAGE, PROT_READ | PROT_WRITE), 0);
	H_EQ(madvise(t.win, MIB2 / 2, MADV_DONTNEED), 0);
	H_EQ(dev_state(&t.d, &before), 0);
	H_EQ(populate(t.win, 2 * MIB2, NULL), 0);
	for (size_t at = 0; at < 2 * MIB2; at += RU_PAGE)
		H_CHECK(ru_mapped(t.win + at));
	H_EQ(dev_state(&t.d, &after), 0);
	H_EQ(after.faults_pmd - before.faults_pmd, dev_has_pmd());
	H_EQ(after.faults_pte - before.faults_pte,
	     MIB2 / 2 / RU_PAGE + (dev_has_pmd() ? 0 : MIB2 / RU_PAGE));
	H_CHECK(ru_works(&t));
	end();
}

static void refuses(void)
{
	struct p2p_vfio_state st;
	char *ram = mmap(NULL, MIB2, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	begin(&st);
	H_EQ(populate(t.win + 1, MIB2, NULL), -EINVAL);
	H_EQ(populate(t.win, MIB2 + 1, NULL), -EINVAL);
	H_EQ(populate(t.win, 0, NULL), -EINVAL);
	H_EQ(populate((void *)-MIB2, 2 * MIB2, NULL), -EINVAL);
	H_EQ(populate(ram, MIB2, NULL), -ENOMEM);
	H_CHECK(!ru_mapped(ram));
	H_EQ(populate(t.raw, MIB2, NULL), -ENOMEM);
	H_EQ(populate(NULL, MIB2, NULL), -ENOMEM);
	H_EQ(populate((void *)0x800000000000, MIB2, NULL), -ENOMEM);
	H_EQ(mprotect(t.win, MIB2, PROT_NONE), 0);
	H_EQ(populate(t.win, 2 * MIB2, NULL), -EACCES);
	H_EQ(mprotect(t.win, MIB2, PROT_READ | PROT_WRITE), 0);
	H_EQ(dev_count("target", "touched_folios"), 0);
	/* It goes as far as it can. */
	H_EQ(munmap(t.win + 2 * MIB2, MIB2), 0);
	H_EQ(populate(t.win, 4 * MIB2, NULL), -ENOMEM);
	H_CHECK(ru_mapped(t.win) && ru_mapped(t.win + MIB2));
	end();
}

/* Not the windows of a device whose gate is another one. */
static void refuses_other_devices(void)
{
	struct p2p_vfio_state st;
	struct ru_target t2;

	if (!h_pci("target2"))
		h_skip_case("there is no second device");
	dev_bind("target2", DEV_P2P);
	begin(&st);
	H_EQ(ru_target_open(&t2, "target2", WINDOW), 0);
	H_EQ(populate(t2.win, MIB2, NULL), -ENOMEM);
	H_CHECK(!ru_mapped(t2.win));
	H_EQ(populate(t.win, MIB2, NULL), 0);
	dev_close(&t2.d);
	dev_check_rest("target2");
	end();
}

/* Populated for reading, it must not have become writable, nor be mapped once more. */
static void keeps_protection(void)
{
	struct p2p_vfio_state before, after;
	int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);

	begin(&before);
	H_EQ(mprotect(t.win, 2 * MIB2, PROT_READ), 0);
	H_EQ(populate(t.win, 2 * MIB2, NULL), 0);
	H_EQ(populate(t.win, 2 * MIB2, NULL), 0);
	H_EQ(dev_state(&t.d, &after), 0);
	H_EQ(faults_of(&before, &after), 2 * MIB2 / dev_folio());
	H_CHECK(ru_mapped(t.win) && ru_mapped(t.win + MIB2));
	H_EQ(pread(zero, t.win, 1, 0), -1);
	H_EQ(errno, EFAULT);
	close(zero);
	H_EQ(mprotect(t.win, 2 * MIB2, PROT_READ | PROT_WRITE), 0);
	H_CHECK(ru_works(&t));
	end();
}

static void does_not_wait(void)
{
	struct p2p_vfio_state st;
	struct ru_call call;

	H_EQ(dev_param("drain_timeout_ms", "10000"), 0);
	begin(&st);
	hold = (struct ru_hold){ .first = { t.d.fd, t.cookie } };
	H_EQ(ru_hold_begin(&hold), 0);
	ru_call(&call, ru_reset, &t.d);
	H_CHECK(ru_hold_drains(&hold, "target"));
	H_EQ(populate(t.win + 4 * MIB2, MIB2, NULL), -EAGAIN);
	H_CHECK(!ru_done(&call));
	ru_hold_end(&hold);
	H_CHECK(ru_join(&call, 5000));
	H_EQ(populate(t.win + 4 * MIB2, MIB2, NULL), 0);
	end();
}

static void memory_off(void)
{
	struct p2p_vfio_state st;
	uint16_t command, off;

	begin(&st);
	H_EQ(dev_config_read(&t.d, PCI_COMMAND, &command, 2), 2);
	off = command & ~PCI_COMMAND_MEMORY;
	H_EQ(dev_config_write(&t.d, PCI_COMMAND, &off, 2), 2);
	H_EQ(populate(t.win, MIB2, NULL), -EIO);
	H_EQ(dev_config_write(&t.d, PCI_COMMAND, &command, 2), 2);
	H_EQ(populate(t.win, MIB2, NULL), 0);
	end();
}

static const struct h_case cases[] = {
	{ "2 MiB at a time", by_folios },
	{ "page by page where the address is not aligned", by_pages },
	{ "page by page where there is a page table", around_a_page_table },
	{ "refused where there is no window", refuses },
	{ "refused for another device's window", refuses_other_devices },
	{ "what may only be read stays so", keeps_protection },
	{ "refused while the windows are revoked", does_not_wait },
	{ "refused while the memory is switched off", memory_off },
	{ }
};

int main(int argc, char **argv)
{
	dev_bind("target", DEV_P2P);
	return h_main(argc, argv, cases);
}
