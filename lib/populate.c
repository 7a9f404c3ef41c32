// SPDX-License-Identifier: MIT
/* populate.c - page-table entries before they are needed */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

static const char step[] = "populate a mapping";

static int fail_populate(const struct vp2p_device *dev, const struct p2p_vfio_populate *range,
			 int code, struct vp2p_error *err)
{
	const uint64_t at = range->address, length = range->length;

	switch (code) {
	case ENOMEM:
		return vp2p__fail(err, code, dev->name, step,
				  "not all of the %" PRIu64 " bytes at 0x%" PRIx64 " are mappings "
				  "of windows of this device, or there is no memory for page "
				  "tables" MEND "give an address that vp2p_map() returned for "
				  "this device, and no more than is mapped there", length, at);
	case EACCES:
		return vp2p__fail(err, code, dev->name, step,
				  "a part of the %" PRIu64 " bytes at 0x%" PRIx64 " may not be "
				  "accessed by this process" MEND "give the mapping its "
				  "protection back (mprotect(2)), or leave that part out", length,
				  at);
	case EAGAIN:
		return vp2p__fail(err, code, dev->name, step,
				  "its windows are being revoked" MEND
				  "call again once vp2p_wait_live() has returned");
	case EIO:
		return vp2p__fail(err, code, dev->name, step,
				  "its memory is switched off, or it has gone" MEND
				  "set the memory bit of PCI_COMMAND and power state D0; if it has "
				  "gone, plug it in or bind it again, then open it anew");
	case EINTR:
		return vp2p__fail(err, code, dev->name, step,
				  "a signal came; what is populated stays so" MEND
				  "call again if it did not mean to end this");
	case ENOTTY:
		return vp2p__fail(err, EOPNOTSUPP, dev->name, step,
				  "the driver is older than this library and cannot" MEND
				  "use the module of this release, or touch the pages, if a read "
				  "of this device's memory has no effects");
	default:
		return vp2p__fail(err, code, dev->name, step,
				  "the driver refused the %" PRIu64 " bytes at 0x%" PRIx64 ": %s"
				  MEND "check that the device is still there and its fd open",
				  length, at, strerror(code));
	}
}

int vp2p_populate(const struct vp2p_device *dev, void *addr, uint64_t length,
		  struct vp2p_error *err)
{
	struct p2p_vfio_populate range = { (uintptr_t)addr, length };
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	int rc;

	if (!length || !vp2p__aligned(range.address | length, page) ||
	    length > UINT64_MAX - range.address)
		return vp2p__fail(err, EINVAL, dev->name, step,
				  "%" PRIu64 " bytes at %p are no range of pages of %" PRIu64
				  " bytes" MEND "give multiples of the page size", length, addr,
				  page);
	rc = vp2p__feature(dev->fd, VFIO_DEVICE_FEATURE_SET | P2P_VFIO_FEATURE_POPULATE,
			   &range, sizeof(range));
	return rc ? fail_populate(dev, &range, -rc, err) : 0;
}
