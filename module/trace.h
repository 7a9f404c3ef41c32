/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * trace.h - tracepoints, system p2p_vfio: a revocation as a sequence of events
 *
 *	p2p_vfio_begin	 the gate has closed
 *	p2p_vfio_zapped	 no page table leads to a window; folios still pinned
 *	p2p_vfio_drained no pin is left
 *	p2p_vfio_timeout or: the drain gave up
 *	p2p_vfio_end	 the caller is done; the gate is open unless another
 *			 revocation is under way
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM p2p_vfio

#if !defined(P2P_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define P2P_TRACE_H

#include <linux/mm.h>
#include <linux/tracepoint.h>

#include "p2p.h"

TRACE_DEFINE_ENUM(P2P_VFIO_CAUSE_RESET);
TRACE_DEFINE_ENUM(P2P_VFIO_CAUSE_HOT_RESET);
TRACE_DEFINE_ENUM(P2P_VFIO_CAUSE_CONFIG);
TRACE_DEFINE_ENUM(P2P_VFIO_CAUSE_LOW_POWER);
TRACE_DEFINE_ENUM(P2P_VFIO_CAUSE_PCI_RESET);
TRACE_DEFINE_ENUM(P2P_VFIO_CAUSE_ERROR);
TRACE_DEFINE_ENUM(P2P_VFIO_CAUSE_CLOSE);
TRACE_DEFINE_ENUM(P2P_VFIO_CAUSE_REMOVE);
TRACE_DEFINE_ENUM(P2P_VFIO_CAUSE_SHUTDOWN);
TRACE_DEFINE_ENUM(P2P_VFIO_CAUSE_SLEEP);

#define p2p_show_cause(cause)						\
	__print_symbolic(cause,						\
		{ P2P_VFIO_CAUSE_RESET,		"reset" },		\
		{ P2P_VFIO_CAUSE_HOT_RESET,	"hot_reset" },		\
		{ P2P_VFIO_CAUSE_CONFIG,	"config" },		\
		{ P2P_VFIO_CAUSE_LOW_POWER,	"low_power" },		\
		{ P2P_VFIO_CAUSE_PCI_RESET,	"pci_reset" },		\
		{ P2P_VFIO_CAUSE_ERROR,		"error" },		\
		{ P2P_VFIO_CAUSE_CLOSE,		"close" },		\
		{ P2P_VFIO_CAUSE_REMOVE,	"remove" },		\
		{ P2P_VFIO_CAUSE_SHUTDOWN,	"shutdown" },		\
		{ P2P_VFIO_CAUSE_SLEEP,		"sleep" })

TRACE_EVENT(p2p_vfio_register,
	TP_PROTO(const struct p2p_window *window),
	TP_ARGS(window),
	TP_STRUCT__entry(
		__string(dev, pci_name(window->dev->core.pdev))
		__field(u32, id)
		__field(u32, bar)
		__field(u64, offset)
		__field(u64, length)
	),
	TP_fast_assign(
		__assign_str(dev);
		__entry->id = window->id;
		__entry->bar = window->bar;
		__entry->offset = window->range.start;
		__entry->length = window->range.length;
	),
	TP_printk("%s: window=%u bar=%u offset=%#llx length=%#llx",
		  __get_str(dev), __entry->id, __entry->bar, __entry->offset,
		  __entry->length)
);

TRACE_EVENT(p2p_vfio_fault,
	TP_PROTO(const struct p2p_window *window, unsigned long pgoff,
		 unsigned int order, unsigned int flags, bool open),
	TP_ARGS(window, pgoff, order, flags, open),
	TP_STRUCT__entry(
		__string(dev, pci_name(window->dev->core.pdev))
		__field(u32, id)
		__field(u64, offset)
		__field(unsigned int, order)
		__field(bool, user)
		__field(bool, write)
		__field(bool, open)
	),
	TP_fast_assign(
		__assign_str(dev);
		__entry->id = window->id;
		__entry->offset = (u64)pgoff << PAGE_SHIFT;
		__entry->order = order;
		__entry->user = flags & FAULT_FLAG_USER;
		__entry->write = flags & FAULT_FLAG_WRITE;
		__entry->open = open;
	),
	TP_printk("%s: window=%u offset=%#llx order=%u %s %s gate=%s",
		  __get_str(dev), __entry->id, __entry->offset, __entry->order,
		  __entry->user ? "user" : "kernel",
		  __entry->write ? "write" : "read",
		  __entry->open ? "open" : "closed")
);

TRACE_EVENT(p2p_vfio_begin,
	TP_PROTO(const struct p2p_device *p2p, enum p2p_vfio_cause cause, bool nested),
	TP_ARGS(p2p, cause, nested),
	TP_STRUCT__entry(
		__string(dev, pci_name(p2p->core.pdev))
		__field(u32, cause)
		__field(bool, nested)
	),
	TP_fast_assign(
		__assign_str(dev);
		__entry->cause = cause;
		__entry->nested = nested;
	),
	TP_printk("%s: cause=%s nested=%d", __get_str(dev),
		  p2p_show_cause(__entry->cause), __entry->nested)
);

TRACE_EVENT(p2p_vfio_zapped,
	TP_PROTO(const struct p2p_device *p2p, unsigned long pinned),
	TP_ARGS(p2p, pinned),
	TP_STRUCT__entry(
		__string(dev, pci_name(p2p->core.pdev))
		__field(unsigned long, pinned)
	),
	TP_fast_assign(
		__assign_str(dev);
		__entry->pinned = pinned;
	),
	TP_printk("%s: pinned_folios=%lu", __get_str(dev), __entry->pinned)
);

TRACE_EVENT(p2p_vfio_drained,
	TP_PROTO(const struct p2p_device *p2p, u64 us, unsigned long pinned),
	TP_ARGS(p2p, us, pinned),
	TP_STRUCT__entry(
		__string(dev, pci_name(p2p->core.pdev))
		__field(u64, us)
		__field(unsigned long, pinned)
	),
	TP_fast_assign(
		__assign_str(dev);
		__entry->us = us;
		__entry->pinned = pinned;
	),
	TP_printk("%s: waited_us=%llu pinned_folios=%lu", __get_str(dev),
		  __entry->us, __entry->pinned)
);

TRACE_EVENT(p2p_vfio_timeout,
	TP_PROTO(const struct p2p_device *p2p, unsigned long pinned, u64 us),
	TP_ARGS(p2p, pinned, us),
	TP_STRUCT__entry(
		__string(dev, pci_name(p2p->core.pdev))
		__field(unsigned long, pinned)
		__field(u64, us)
	),
	TP_fast_assign(
		__assign_str(dev);
		__entry->pinned = pinned;
		__entry->us = us;
	),
	TP_printk("%s: waited_us=%llu pinned_folios=%lu", __get_str(dev),
		  __entry->us, __entry->pinned)
);

TRACE_EVENT(p2p_vfio_end,
	TP_PROTO(const struct p2p_device *p2p, bool acted, bool open),
	TP_ARGS(p2p, acted, open),
	TP_STRUCT__entry(
		__string(dev, pci_name(p2p->core.pdev))
		__field(u64, generation)
		__field(bool, acted)
		__field(bool, open)
	),
	TP_fast_assign(
		__assign_str(dev);
		__entry->generation = READ_ONCE(p2p->gate->generation);
		__entry->acted = acted;
		__entry->open = open;
	),
	TP_printk("%s: acted=%d gate=%s generation=%llu", __get_str(dev),
		  __entry->acted, __entry->open ? "open" : "closed",
		  __entry->generation)
);

#endif /* P2P_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
