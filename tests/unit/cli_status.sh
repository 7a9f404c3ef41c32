#!/bin/sh
# SPDX-License-Identifier: MIT
# cli_status.sh - "vfio-p2p status" on recorded machines
#
# Theory of operation: a device's attributes are written with numbers that are all
# different, so that a value shown in a wrong place is noticed.  The text is
# searched for phrases, the JSON compared member by member.
. "$(dirname "$0")/cli_lib.sh"

A=/sys/devices/pci0000:00/0000:03:00.0/p2p_vfio

machine() {
	tree <<-END
	device 0000:03:00.0 1af4:1110 driver=p2p-vfio-pci group=12 bar2=0x380000000000/64M/64/pref
	device 0000:04:00.0 1af4:1110 driver=vfio-pci group=13 bar2=0x390000000000/64M/64/pref
	device 0000:05:00.0 1af4:1110 group=14
	file $A/state live\n
	file $A/generation 4\n
	file $A/pinned_folios 11\n
	file $A/touched_folios 12\n
	file $A/faults_pmd 13\n
	file $A/faults_pte 14\n
	file $A/faults_refused 15\n
	file $A/faults_waited 16\n
	file $A/drain_timeouts 17\n
	file $A/drain_last_us 120\n
	file $A/drain_max_us 3200\n
	file $A/revoke_us 0\n
	file $A/revoke_cause none\n
	file $A/revokes reset 3\nhot_reset 0\nclose 18446744073709551615\n
	file $A/provider_reason proven\n
	file $A/windows 0 2 0 0x2000000 21 22 own\n1 2 0x2000000 0x2000000 23 24 standard\n
	file /sys/module/p2p_vfio_pci/parameters/drain_timeout_ms 30000\n
	file /sys/module/p2p_vfio_pci/parameters/unprivileged_windows N\n
	END
}

text_view() {
	machine
	run 0 status
	contains "$out" "0000:03:00.0  live, generation 4" \
		"12 touched, 11 pinned" \
		"13 by 2 MiB, 14 by 4 KiB, 15 refused, 16 waited" \
		"last 120 us, longest 3.2 ms, 17 timed out" \
		"revocations  reset 3, close 18446744073709551615" \
		"provider     own (the kernel's layout is as expected)" \
		"drain_timeout_ms=30000" "unprivileged_windows=N"
	equal "$(grep -A2 '^  WINDOW' "$ROOT/out")" \
"  WINDOW  BAR  OFFSET  LENGTH  TOUCHED  PINNED  PROVIDER
  0       2         0     32M       21      22  own
  1       2       32M     32M       23      24  standard"
}

json_view() {
	machine
	run 0 status --json 03:00.0
	json 'j["module"] == {"loaded": True, "parameters": {"drain_timeout_ms": "30000", "unprivileged_windows": "N"}}'
	json 'len(j["devices"]) == 1'
	json '{k: v for k, v in j["devices"][0].items() if not isinstance(v, (dict, list))} == {"device": "0000:03:00.0", "state": "live", "revoke_cause": "none", "provider_reason": "proven", "open_by": None, "generation": 4, "pinned_folios": 11, "touched_folios": 12, "faults_pmd": 13, "faults_pte": 14, "faults_refused": 15, "faults_waited": 16, "drain_timeouts": 17, "drain_last_us": 120, "drain_max_us": 3200, "revoke_us": 0}'
	json 'j["devices"][0]["revokes"] == {"reset": 3, "hot_reset": 0, "close": 2**64 - 1}'
	json 'j["devices"][0]["windows"][1] == {"id": 1, "bar": 2, "offset": 32 << 20, "length": 32 << 20, "touched_folios": 23, "pinned_folios": 24, "provider": "standard"}'
}

# What waits for pins, since when, why, and in which windows they are.
revocation_under_way() {
	machine
	equal "$(run 0 status; grep -c 'folios pinned' "$ROOT/out")" "0"
	echo draining >"$ROOT$A/state"
	echo reset >"$ROOT$A/revoke_cause"
	echo 12340000 >"$ROOT$A/revoke_us"
	run 0 status
	equal "$(sed -n 2p "$ROOT/out")" \
"  draining for 12.34 s (reset): 11 folios pinned: window 0 (BAR 2) 22, window 1 (BAR 2) 24"
	run 0 status --json
	json '(j["devices"][0]["state"], j["devices"][0]["revoke_cause"], j["devices"][0]["revoke_us"]) == ("draining", "reset", 12340000)'
	echo quiesced >"$ROOT$A/state"
	echo 0 >"$ROOT$A/pinned_folios"
	echo "0 2 0 0x2000000 21 0" >"$ROOT$A/windows"
	run 0 status
	equal "$(sed -n 2p "$ROOT/out")" "  quiesced for 12.34 s (reset): 0 folios pinned"
	rm "$ROOT$A/revoke_us" "$ROOT$A/revoke_cause"
	run 0 status
	equal "$(sed -n 2p "$ROOT/out")" "  quiesced for ? (?): 0 folios pinned"
	run 0 status --json
	json '(j["devices"][0]["revoke_cause"], j["devices"][0]["revoke_us"]) == (None, None)'
	# At rest: the last close is no news.
	echo closed >"$ROOT$A/state"
	echo close >"$ROOT$A/revoke_cause"
	run 0 status
	equal "$(grep -c 'folios pinned' "$ROOT/out")" "0"
}

who_has_it_open() {
	machine
	tree <<-END
	process 43 fd_user anon_inode:[vfio-device] /sys/devices/pci0000:00/0000:03:00.0
	process 44 other_device anon_inode:[vfio-device] /sys/devices/pci0000:00/0000:04:00.0
	END
	run 0 status
	contains "$out" "  open by      43 (fd_user)"
	equal "$(grep -c other_device "$ROOT/out")" "0"
	run 0 status --json
	json 'j["devices"][0]["open_by"] == "43 (fd_user)"'
}

no_windows_yet() {
	machine
	: >"$ROOT$A/windows"
	run 0 status
	contains "$out" "no windows (vfio-p2p window add 0000:03:00.0 BAR)"
	run 0 status --json
	json 'j["devices"][0]["windows"] == []'
}

# Each reason says which provider it means.
why_the_provider() {
	machine
	for reason in untried:"not known before the first window" unproven:"standard (" \
		differs:"standard (" asked:"standard (a module parameter asks for it)" \
		other:other; do
		echo "${reason%%:*}" >"$ROOT$A/provider_reason"
		run 0 status
		contains "$out" "  provider     ${reason#*:}"
	done
	run 0 status --json
	json 'j["devices"][0]["provider_reason"] == "other"'
	# An older driver tells neither.
	rm "$ROOT$A/provider_reason"
	echo "0 2 0 0x2000000 21 22" >"$ROOT$A/windows"
	run 0 status
	contains "$out" "  provider     ?"
	equal "$(grep '^  0  ' "$ROOT/out")" "  0       2         0     32M       21      22  ?"
	run 0 status --json
	json 'j["devices"][0]["provider_reason"] is None'
	json 'j["devices"][0]["windows"][0]["provider"] is None'
}

# Missing or garbled is not 0, and not left out.
damaged_attributes() {
	machine
	rm "$ROOT$A/faults_pmd" "$ROOT$A/state"
	echo 12x >"$ROOT$A/touched_folios"
	echo x >"$ROOT$A/drain_last_us"
	printf '0 2 0\n1 2 0x2000000 0x2000000 23 24\n2 2 0 0 1 2 3\n' >"$ROOT$A/windows"
	: >"$ROOT$A/state"
	run 0 status --json
	json 'j["devices"][0]["faults_pmd"] is None and j["devices"][0]["touched_folios"] is None'
	json 'j["devices"][0]["faults_pte"] == 14'
	json '[w.get("unreadable", w.get("id")) for w in j["devices"][0]["windows"]] == ["0 2 0", 1, "2 2 0 0 1 2 3"]'
	run 0 status
	contains "$out" "? by 2 MiB, 14 by 4 KiB" "last ?, longest 3.2 ms" \
		"cannot be understood: 0 2 0" "cannot be understood: 2 2 0 0 1 2 3"
	contains "$(grep '^  1  ' "$ROOT/out")" "32M     32M       23      24"
}

nothing_bound() {
	tree </dev/null
	run 0 status
	contains "$out" "no device is bound to p2p-vfio-pci"
	run 0 status --json
	json 'j == {"module": {"loaded": False, "parameters": {}}, "devices": []}'
}

other_driver() {
	machine
	run 3 status 04:00.0
	contains "$err" "0000:04:00.0: could not show its status: it is bound to vfio-pci" \
		"remedy: vfio-p2p bind 0000:04:00.0"
	run 3 status 05:00.0
	contains "$err" "it is bound to no driver"
	run 3 status 06:00.0
	contains "$err" "there is no such PCI device"
	equal "$out" ""
}

old_module() {
	machine
	rm -r "${ROOT:?}$A"
	run 1 status
	contains "$err" "the driver shows no p2p_vfio attributes" "of one release"
}

bad_address() {
	run 2 status 03.00.0
	contains "$err" "'03.00.0' is no PCI address" "remedy: "
}

check "state, counters, windows and parameters as text" text_view
check "the same as JSON, every member in its place" json_view
check "a revocation under way: since when, why, which windows" revocation_under_way
check "the processes that have it open are named" who_has_it_open
check "where windows have their pages from, and why" why_the_provider
check "a device without windows says how to get one" no_windows_yet
check "attributes that are missing or garbled" damaged_attributes
check "no bound device is no error" nothing_bound
check "a device of another driver is named with it" other_driver
check "a module without the attributes is named" old_module
check "a bad address is refused" bad_address
finish
