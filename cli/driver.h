/* SPDX-License-Identifier: MIT */
/*
 * driver.h - which driver a PCI device is bound to, and changing it
 *
 * Through driver_override only: new_id would claim every device of that ID.
 * Each function returns an exit code, after it has said what went wrong.
 */
#ifndef DRIVER_H
#define DRIVER_H

#include "device.h"
#include "record.h"

/** driver_load_module() - have p2p-vfio-pci registered, by modprobe if need be. */
int driver_load_module(void);

/** driver_take() - from whatever driver it has to p2p-vfio-pci. */
int driver_take(const struct device *device);

/**
 * driver_give_back() - from p2p-vfio-pci, or from wherever a failed
 * driver_take() stopped, to what @former says
 * @former: NULL: unknown; no override, and the kernel chooses a driver.
 */
int driver_give_back(const char *bdf, const struct record *former);

#endif /* DRIVER_H */
