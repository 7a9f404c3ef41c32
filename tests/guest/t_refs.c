// SPDX-License-Identifier: MIT
/*
 * References to a folio come to an end.
 *
 * Each page-table entry for a window holds a reference on its folio, and a count
 * has 32 bits.  Mapping the same 2 MiB by 4 KiB entries again and again would wrap
 * it, given memory for page tables; the driver stops long before.  Here it is
 * built to stop at REFS, so that two mappings are enough: the entry after that is
 * a SIGBUS, for direct I/O EFAULT; nothing is lost or leaked by it, and when a
 * mapping has gone there is room again.
 *
 * The suite must give the driver the same number.
 */
#define _GNU_SOURCE
#include "dev.h"
#include "harness.h"
#include "revoke_util.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define REFS 600		/* -DP2P_MAX_REFS of the suite */
#define PAGES (DEV_MIB2 / RU_PAGE)
#define BASELINE 1		/* the driver's own */

static struct ru_target t;

/* The first folio, where no 2 MiB entry fits. */
static char *by_pages(void)
{
	return dev_map_skewed(&t.d, t.cookie, DEV_MIB2, RU_PAGE);
}

/* Touch page by page until one is refused: how many were not. */
static size_t touch(char *at)
{
	size_t n = 0;

	while (n < PAGES && !ru_sigbus(at + n * RU_PAGE))
		n++;
	return n;
}

static void count_ends(void)
{
	char *first, *second;

	if (!dev_has_pmd())
		h_skip_case("a folio is a page here: two mappings are two references");
	H_EQ(ru_target_open(&t, "target", 2 * DEV_MIB2), 0);
	first = by_pages();
	second = by_pages();
	H_CHECK(first && second);
	H_EQ(touch(first), PAGES);
	/* The check comes before the entry: one more than the limit is held. */
	H_EQ(touch(second), REFS + 1 - BASELINE - PAGES);
	/* The same for I/O that needs an entry. */
	H_EQ(ru_read_into(&t, 0), -EFAULT);
	H_EQ(dev_feature(&t.d, VFIO_DEVICE_FEATURE_SET | P2P_VFIO_FEATURE_POPULATE,
			 &(struct p2p_vfio_populate){ (uintptr_t)second, DEV_MIB2 },
			 sizeof(struct p2p_vfio_populate)), -ENOMEM);
	dev_unmap(&t.d, first);
	H_EQ(touch(second), PAGES);
	H_EQ(ru_read_into(&t, 0), RU_PAGE);
	H_EQ(dev_reset(&t.d), 0);
	H_EQ(touch(second), PAGES);
	dev_close(&t.d);
	dev_check_rest("target");
}

static const struct h_case cases[] = {
	{ "references to a folio come to an end", count_ends },
	{ }
};

int main(int argc, char **argv)
{
	dev_bind("target", DEV_P2P);
	return h_main(argc, argv, cases);
}
