#!/bin/sh
# SPDX-License-Identifier: MIT
# cli_trace.sh - "vfio-p2p trace" on recorded traces and recorded machines
#
# Theory of operation: the text of a trace is given, as tracefs shows it, with times
# chosen so that every duration is another number, and the whole output is compared.
# A live trace needs a kernel; here it only meets machines on which it cannot be
# taken, and must say so and leave no instance.
. "$(dirname "$0")/cli_lib.sh"

# A reset that waits half a second for a pin, with the kernel's own reset inside.
reset_trace() {
	cat <<-'END'
	# tracer: nop
	#
	              dd-93      [001] .....    12.000100: p2p_vfio_register: 0000:03:00.0: window=0 bar=2 offset=0x200000 length=0x4000000
	              dd-93      [001] .....    12.345678: p2p_vfio_begin: 0000:03:00.0: cause=reset nested=0
	              dd-93      [001] .....    12.345716: p2p_vfio_zapped: 0000:03:00.0: pinned_folios=1
	             cat-94      [000] .....    12.400000: p2p_vfio_fault: 0000:03:00.0: window=0 offset=0x0 order=0 kernel read gate=closed
	             cat-94      [000] .....    12.400001: p2p_vfio_fault: 0000:03:00.0: window=0 offset=0x0 order=9 user write gate=closed
	             cat-94      [000] .....    12.400002: p2p_vfio_fault: 0000:03:00.0: window=0 offset=0x0 order=9 kernel write gate=closed
	              dd-93      [000] .....    12.845716: p2p_vfio_drained: 0000:03:00.0: waited_us=499000 pinned_folios=0
	              dd-93      [000] .....    12.845720: p2p_vfio_begin: 0000:03:00.0: cause=pci_reset nested=1
	              dd-93      [000] .....    12.845724: p2p_vfio_zapped: 0000:03:00.0: pinned_folios=0
	              dd-93      [000] .....    12.845725: p2p_vfio_drained: 0000:03:00.0: waited_us=1 pinned_folios=0
	              dd-93      [000] .....    12.945725: p2p_vfio_end: 0000:03:00.0: acted=1 gate=closed generation=4
	              dd-93      [000] .....    12.946678: p2p_vfio_end: 0000:03:00.0: acted=1 gate=open generation=5
	END
}

a_reset() {
	reset_trace >"$ROOT/trace"
	run 0 trace --input "$ROOT/trace"
	equal "$err" ""
	equal "$out" \
"    12.000100  0000:03:00.0              window 0 registered: BAR 2, offset 2M, 64M
    12.345678  0000:03:00.0       +0 us  reset: gate closed, by dd-93
    12.345716  0000:03:00.0      +38 us  reset: zapped, 1 folio pinned
    12.845716  0000:03:00.0   +500.0 ms  reset: drained after 499.0 ms
    12.845720  0000:03:00.0   +500.0 ms    pci_reset: gate closed before (nested), by dd-93
    12.845724  0000:03:00.0   +500.0 ms    pci_reset: zapped, 0 folios pinned
    12.845725  0000:03:00.0   +500.0 ms    pci_reset: drained after 1 us
    12.945725  0000:03:00.0   +600.0 ms    pci_reset: acted; gate still closed
    12.946678  0000:03:00.0   +601.0 ms  reset: acted; gate open, generation 5; faults: 2 refused, 1 waited"
}

as_json() {
	reset_trace >"$ROOT/trace"
	run 0 trace --json --input "$ROOT/trace" 03:00.0
	json 'j["schema"] == 1 and j["lost_events"] == 0 and j["forgotten"] == 0'
	json 'j["revocations"][0] == {"device": "0000:03:00.0", "cause": "reset", "task": "dd-93", "nested": False, "depth": 0, "begin_us": 12345678, "since_closed_us": 0, "zapped_us": 38, "pinned_folios": 1, "drain": "drained", "drain_us": 500038, "waited_us": 499000, "left_folios": 0, "end_us": 601000, "ended": True, "acted": True, "gate_open": True, "generation": 5, "faults_refused": 2, "faults_waited": 1}'
	json 'j["revocations"][1] == {"device": "0000:03:00.0", "cause": "pci_reset", "task": "dd-93", "nested": True, "depth": 1, "begin_us": 12845720, "since_closed_us": 500042, "zapped_us": 4, "pinned_folios": 0, "drain": "drained", "drain_us": 5, "waited_us": 1, "left_folios": 0, "end_us": 100005, "ended": True, "acted": True, "gate_open": False, "generation": 4, "faults_refused": 0, "faults_waited": 0}'
	json 'len(j["revocations"]) == 2'
}

# Refused after its bound; then the same thread closes, and another opens.
refused_then_closed() {
	cat >"$ROOT/trace" <<-'END'
	 <...>-7   [000] .....     5.000000: p2p_vfio_begin: 0000:03:00.0: cause=reset nested=0
	 <...>-7   [000] .....     5.000010: p2p_vfio_zapped: 0000:03:00.0: pinned_folios=3
	 <...>-7   [000] .....     6.500020: p2p_vfio_timeout: 0000:03:00.0: waited_us=1500000 pinned_folios=2
	 <...>-7   [000] .....     6.500030: p2p_vfio_end: 0000:03:00.0: acted=0 gate=open generation=1
	 <...>-7   [000] .....     7.000000: p2p_vfio_begin: 0000:03:00.0: cause=close nested=0
	 <...>-7   [000] .....     7.000001: p2p_vfio_zapped: 0000:03:00.0: pinned_folios=0
	 <...>-7   [000] .....     7.000002: p2p_vfio_drained: 0000:03:00.0: waited_us=0 pinned_folios=0
	 <...>-8   [000] .....     9.000000: p2p_vfio_end: 0000:03:00.0: acted=0 gate=open generation=2
	END
	run 0 trace --input "$ROOT/trace"
	contains "$out" "reset: gate closed, by 7" \
		"+1.50 s  reset: timed out after 1.50 s, 2 folios still pinned" \
		"+1.50 s  reset: nothing done to the device; gate open, generation 1" \
		"+2.00 s  close: opened again; gate open, generation 2"
	run 0 trace --json --input "$ROOT/trace"
	json '[(r["cause"], r["drain"], r["left_folios"], r["ended"]) for r in j["revocations"]] == [("reset", "timed out", 2, True), ("close", "drained", 0, True)]'
}

# Threads' revocations overlap: each event goes to its own thread's.
overlapping() {
	cat >"$ROOT/trace" <<-'END'
	 a-1   [000] .....     1.000000: p2p_vfio_begin: 0000:03:00.0: cause=reset nested=0
	 b-2   [001] .....     1.000001: p2p_vfio_begin: 0000:03:00.0: cause=config nested=1
	 c-3   [001] .....     1.000002: p2p_vfio_begin: 0000:04:00.0: cause=hot_reset nested=0
	 a-1   [000] .....     1.000003: p2p_vfio_zapped: 0000:03:00.0: pinned_folios=7
	 b-2   [001] .....     1.000004: p2p_vfio_zapped: 0000:03:00.0: pinned_folios=6
	 a-1   [000] .....     1.000005: p2p_vfio_end: 0000:03:00.0: acted=1 gate=closed generation=1
	 b-2   [001] .....     1.000006: p2p_vfio_end: 0000:03:00.0: acted=1 gate=open generation=2
	END
	run 0 trace --json --input "$ROOT/trace"
	json '[(r["cause"], r["pinned_folios"], r["depth"], r["generation"]) for r in j["revocations"]] == [("reset", 7, 0, 1), ("config", 6, 1, 2), ("hot_reset", None, 0, None)]'
	run 0 trace --input "$ROOT/trace"
	contains "$out" "0000:04:00.0  hot_reset: still under way at the end of the trace"
	run 0 trace --input "$ROOT/trace" 04:00.0
	equal "$(grep -c 0000:03 "$ROOT/out")" "0"
}

# The trace begins and ends in the middle, and has a hole.
incomplete() {
	cat >"$ROOT/trace" <<-'END'
	 a-1   [000] .....     1.000000: p2p_vfio_drained: 0000:03:00.0: waited_us=1 pinned_folios=0
	 a-1   [000] .....     1.000001: p2p_vfio_end: 0000:03:00.0: acted=0 gate=open generation=3
	 a-1   [000] .....     2.000000: p2p_vfio_begin: 0000:03:00.0: cause=reset nested=0
	CPU:1 [LOST 23 EVENTS]
	 a-1   [000] .....     3.000000: p2p_vfio_begin: 0000:03:00.0: cause=close nested=0
	END
	run 0 trace --input "$ROOT/trace"
	equal "$out" \
"     1.000001  0000:03:00.0              gate open, generation 3; what had closed it began before the trace
     2.000000  0000:03:00.0       +0 us  reset: gate closed, by a-1
23 events lost here: they came faster than they were read
     3.000000  0000:03:00.0       +0 us  close: gate closed, by a-1
0000:03:00.0  close: still under way at the end of the trace"
	run 0 trace --json --input "$ROOT/trace"
	json 'j["lost_events"] == 23'
	json '[(r["cause"], r["ended"], r["end_us"]) for r in j["revocations"]] == [(None, True, None), ("reset", False, None), ("close", False, None)]'
}

# After a removal the gate never opens; the next open is that of another bind.
removed() {
	cat >"$ROOT/trace" <<-'END'
	 a-1   [000] .....     1.000000: p2p_vfio_begin: 0000:03:00.0: cause=close nested=0
	 b-2   [000] .....     2.000000: p2p_vfio_begin: 0000:03:00.0: cause=remove nested=1
	 b-2   [000] .....     2.000001: p2p_vfio_zapped: 0000:03:00.0: pinned_folios=0
	 b-2   [000] .....     2.000002: p2p_vfio_drained: 0000:03:00.0: waited_us=0 pinned_folios=0
	 c-3   [000] .....     3.000000: p2p_vfio_end: 0000:03:00.0: acted=0 gate=open generation=0
	END
	run 0 trace --json --input "$ROOT/trace"
	json '[(r["cause"], r["ended"]) for r in j["revocations"]] == [("close", False), ("remove", False), (None, True)]'
	run 0 trace --input "$ROOT/trace"
	equal "$(grep -c "under way" "$ROOT/out")" "0"
}

# A task's name is any bytes, those of an event or of a terminal's commands too.
hostile_names() {
	printf ' 1.5: p2p_vfio_e-1  [000] .....  1.000000: p2p_vfio_begin: 0000:03:00.0: cause=reset nested=0\n' >"$ROOT/trace"
	printf ' \033[31m [9] x-2 [000] .....  1.000001: p2p_vfio_begin: 0000:04:00.0: cause=reset nested=0\n' >>"$ROOT/trace"
	printf ' a-1 [000] .....  1.000002: p2p_vfio_begin: 0000:05:00.0\n' >>"$ROOT/trace"
	printf ' a-1 [000] .....  1.000002: p2p_vfio_strange: 0000:05:00.0: cause=reset\n' >>"$ROOT/trace"
	printf ' a-1 [000] .....  1.2: p2p_vfio_begin: 0000:05:00.0: cause=reset nested=0\n' >>"$ROOT/trace"
	run 0 trace --input "$ROOT/trace"
	equal "$out" \
"     1.000000  0000:03:00.0       +0 us  reset: gate closed, by 1.5: p2p_vfio_e-1
     1.000001  0000:04:00.0       +0 us  reset: gate closed, by \\x1b[31m [9] x-2
0000:03:00.0  reset: still under way at the end of the trace
0000:04:00.0  reset: still under way at the end of the trace"
}

trace_cmd_format() {
	cat >"$ROOT/trace" <<-'END'
	cpus=2
	              dd-93    [001]    12.345678: p2p_vfio_begin:       0000:03:00.0: cause=reset nested=0
	              dd-93    [001]    12.345678900: p2p_vfio_end:         0000:03:00.0: acted=1 gate=open generation=18446744073709551615
	END
	run 0 trace --input "$ROOT/trace"
	contains "$out" "reset: gate closed, by dd-93" "generation 18446744073709551615"
}

wrong_input() {
	echo "nothing" >"$ROOT/trace"
	run 1 trace --input "$ROOT/trace"
	contains "$err" "no line is one of p2p_vfio" "remedy: record with trace-cmd record -e p2p_vfio"
	run 1 trace --input "$ROOT/none"
	contains "$err" "$ROOT/none: could not read it: No such file or directory"
	run 1 trace --input "$ROOT"
	contains "$err" "could not read it: Is a directory"
	reset_trace >"$ROOT/trace"
	run 1 trace --input "$ROOT/trace" 04:00.0
	contains "$err" "no line is one of p2p_vfio for 0000:04:00.0"
	run 2 trace --input "$ROOT/trace" --seconds 3
	contains "$err" "--seconds says nothing about --input"
	run 2 trace --seconds 0
	contains "$err" "'0' is no time from 0.001 to 3600 seconds"
	run 2 trace 03:00.0 04:00.0
	contains "$err" "more than one device is given"
}

picture() {
	reset_trace >"$ROOT/trace"
	run 0 trace --input "$ROOT/trace" --svg "$ROOT/trace.svg"
	equal "$err" ""
	contains "$(cat "$ROOT/trace.svg")" "<svg" "pci_reset" "reset, 1 pinned" \
		"gate closed, zap" "the action, until the end" "</svg>"
	sed -n 4p "$ROOT/trace" | sed 's/begin: \(.*\): .*/end: \1: acted=0 gate=open generation=1/' >"$ROOT/opened"
	run 1 trace --input "$ROOT/opened" --svg "$ROOT/none.svg"
	contains "$err" "the trace has no revocation"
	[ ! -e "$ROOT/none.svg" ]
	[ ! -e "$ROOT/none.svg.partial" ]
}

I=sys/kernel/tracing/instances

machine() {
	tree <<-END
	device 0000:03:00.0 1af4:1110 driver=p2p-vfio-pci group=12 bar2=0x380000000000/64M/64/pref
	device 0000:04:00.0 1af4:1110 driver=vfio-pci group=13
	END
}

# Each step of the way to a trace is named where it is missing.
not_here() {
	machine
	run 3 trace
	contains "$err" "the module p2p_vfio_pci is not loaded" "remedy: modprobe p2p-vfio-pci"
	mkdir -p "$ROOT/sys/module/p2p_vfio_pci"
	run 3 trace
	contains "$err" "this kernel was built without tracing" "CONFIG_TRACING"
	mkdir -p "$ROOT/sys/kernel/tracing"
	run 3 trace
	contains "$err" "no tracefs is mounted there" "remedy: mount -t tracefs nodev /sys/kernel/tracing"
	mkdir -p "$ROOT/$I"
	run 3 trace 03:00.0
	contains "$err" "the driver has no tracepoints in this kernel" "CONFIG_EVENT_TRACING"
	run 3 trace 04:00.0
	contains "$err" "0000:04:00.0: could not trace it: it is bound to vfio-pci"
	# What a dead process has left goes; what a living one has, and others', stays.
	mkdir -p "$ROOT/sys/kernel/tracing/events/p2p_vfio"
	mkdir "$ROOT/$I/vfio-p2p-$$" "$ROOT/$I/vfio-p2p-999999999" "$ROOT/$I/other"
	run 1 trace
	contains "$err" "trace_pipe: could not trace"
	equal "$(ls "$ROOT/$I" | tr '\n' ' ')" "other vfio-p2p-$$ "
}

forbidden() {
	machine
	mkdir -p "$ROOT/sys/module/p2p_vfio_pci" "$ROOT/$I" "$ROOT/sys/kernel/tracing/events/p2p_vfio"
	chmod 0 "$ROOT/sys/kernel/tracing"
	run 1 trace
	contains "$err" "tracing is root's alone" "remedy: run the command as root"
	chmod 755 "$ROOT/sys/kernel/tracing"
}

check "a reset with a pin and the kernel's reset inside it" a_reset
check "the same as JSON, every member in its place" as_json
check "a refusal, and a close that another thread ends" refused_then_closed
check "threads whose revocations overlap, and two devices" overlapping
check "a trace with its beginning, a part and its end missing" incomplete
check "a removal" removed
check "names of tasks are any bytes" hostile_names
check "trace-cmd's format" trace_cmd_format
check "what is no trace, and wrong command lines" wrong_input
if command -v gnuplot >/dev/null; then
	check "a picture" picture
fi
check "machines that cannot be traced" not_here
if [ "$(id -u)" != 0 ]; then
	check "tracing is forbidden" forbidden
fi
finish
