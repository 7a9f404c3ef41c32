#!/bin/sh
# SPDX-License-Identifier: MIT
# cli_cp.sh - "vfio-p2p cp", and windows of "bind", on a played library
#
# Theory of operation: the library is replaced by cli_played_library.c, whose
# device memory is an ordinary file.  So the bytes that should have moved can be
# compared, a copy can be made to go wrong in one byte, to fail or never to end,
# and each request to the library is seen as a line.  What is tested is the tool's
# own part: choosing the window, the file's partial name, refusals, verification,
# the result and the exit status.
. "$(dirname "$0")/cli_lib.sh"

machine() {
	tree <<-END
	driver p2p-vfio-pci
	device 0000:03:00.0 1af4:1110 driver=p2p-vfio-pci group=12 bar2=0x380000000000/8M/64/pref
	END
	export PLAYED="$ROOT"
	truncate -s 8M "$ROOT/memory"
	dd if=/dev/urandom of="$ROOT/data" bs=4096 count=300 status=none
}

calls() {
	cat "$ROOT/calls"
}

# same FILE OFFSET: the device's memory at OFFSET holds what FILE has.
same() {
	cmp -n "$(stat -c %s "$1")" "$1" "$ROOT/memory" 0 "$2"
}

to_device() {
	machine
	run 0 cp --verify "$ROOT/data" 03:00.0:2+2M
	same "$ROOT/data" 2097152
	contains "$out" "1228800 bytes P2P, 0 bytes bounced by CPU, 3 retries" \
		"500.0 ms, 2.3 MiB/s" ", verified"
	contains "$err" "registered a window on BAR 2, offset 0, length 8M"
	equal "$(calls)" \
"open 0 0 0 0 flags=0
window 2 0 8388608 0 flags=0
in 2097152 0 0 0 flags=0
close 0 0 0 0 flags=0"
}

from_device() {
	machine
	run 0 cp -q "$ROOT/data" 03:00.0:2
	run 0 cp --verify --size 1200K 03:00.0:2 "$ROOT/back"
	cmp "$ROOT/data" "$ROOT/back"
	contains "$out" "verified"
	[ ! -e "$ROOT/back.partial" ]
	equal "$(stat -c %s "$ROOT/back")" 1228800
}

whole_window() {
	machine
	echo "2 2097152 4194304" >"$ROOT/windows"
	run 0 cp 03:00.0:2+3M "$ROOT/back"
	contains "$(calls)" "out 1048576 0 3145728 0"
	equal "$err" ""
}

window_is_found() {
	machine
	printf '2 0 2097152\n2 2097152 4194304\n' >"$ROOT/windows"
	run 0 cp "$ROOT/data" 03:00.0:2+4M
	contains "$(calls)" "in 2097152 0 0 0"
	case $(calls) in *window*) return 1 ;; esac
	# One that holds only the beginning does not do.
	run 0 cp "$ROOT/data" 03:00.0:2+1M
	contains "$(calls)" "window 2 0 8388608"
}

options_reach_the_library() {
	machine
	run 0 cp --size 8K --offset 4K --chunk 64K --allow-tail --memory-kept "$ROOT/data" 03:00.0:2
	contains "$(calls)" "in 0 4096 8192 65536 flags=3"
	run 0 cp --no-retry --size 8K "$ROOT/data" 03:00.0:2
	contains "$(calls)" "in 0 0 8192 0 flags=4"
	cmp -n 8192 "$ROOT/data" "$ROOT/memory"
}

mismatch() {
	machine
	export PLAYED_CORRUPT=1100000
	run 5 cp --verify "$ROOT/data" 03:00.0:2+2M
	contains "$err" "0000:03:00.0:2+2M: could not verify the copy: 1 of 1228800 bytes differ" \
		"BAR 2 offset 0x30c8e0" "at offset 0x10c8e0" "do not trust this path"
	equal "$out" ""
	echo old >"$ROOT/back"
	run 5 cp --verify --size 1200K 03:00.0:2 "$ROOT/back"
	equal "$(cat "$ROOT/back")" old
	[ ! -e "$ROOT/back.partial" ]
}

json_result() {
	machine
	run 0 cp --json --verify "$ROOT/data" 03:00.0:2
	json 'j["ok"] and j["exit_status"] == 0 and j["verified"]'
	json 'j["direction"] == "file-to-device" and j["device"] == "0000:03:00.0:2+0"'
	json 'j["bytes_p2p"] == 1228800 and j["bytes_bounced"] == 0 and j["retries"] == 3'
	json 'j["elapsed_ns"] == 500000000 and j["bytes_per_second"] == 2457600'
	json '"error" not in j'
	equal "$err" ""
	export PLAYED_ERROR="copy 95"
	run 3 cp --json "$ROOT/data" 03:00.0:2
	json 'not j["ok"] and j["exit_status"] == 3'
	json 'j["error"] == {"errno": 95, "device": "PLAYED-DEVICE", "step": "play copy", "cause": "played cause", "remedy": "played remedy (--allow-tail)"}'
	contains "$err" "vfio-p2p: PLAYED-DEVICE: could not play copy: played cause" \
		"remedy: played remedy (--allow-tail)"
}

# errno -> exit status: EIO, EINVAL, EOPNOTSUPP, EBUSY, ETIMEDOUT, ENODEV
errors_become_statuses() {
	machine
	for pair in 5:1 22:2 95:3 16:4 110:4 19:3 116:1; do
		export PLAYED_ERROR="copy ${pair%:*}"
		run "${pair#*:}" cp "$ROOT/data" 03:00.0:2
		contains "$err" "played cause" "played remedy"
	done
	export PLAYED_ERROR="open 16"
	run 4 cp "$ROOT/data" 03:00.0:2
	export PLAYED_ERROR="window_create 1"
	rm "$ROOT/windows"
	run 1 cp "$ROOT/data" 03:00.0:2
	equal "$(calls | tail -1)" "close 0 0 0 0 flags=0"
}

failure_leaves_nothing() {
	machine
	export PLAYED_ERROR="copy 5"
	run 1 cp --size 4K 03:00.0:2 "$ROOT/back"
	[ ! -e "$ROOT/back" ] && [ ! -e "$ROOT/back.partial" ]
	echo old >"$ROOT/back"
	run 1 cp --size 4K 03:00.0:2 "$ROOT/back"
	equal "$(cat "$ROOT/back")" old
	[ ! -e "$ROOT/back.partial" ]
}

interrupt_leaves_nothing() {
	machine
	export PLAYED_ENDLESS=1 VFIO_P2P_ROOT="$ROOT"
	"$TOOL" cp --size 4K 03:00.0:2 "$ROOT/back" 2>"$ROOT/err" &
	pid=$!
	while ! grep -q out "$ROOT/calls" 2>/dev/null; do sleep 0.05; done
	[ -e "$ROOT/back.partial" ]
	kill -TERM $pid
	# One that does not listen must not keep the test.
	(sleep 20; kill -KILL $pid) 2>/dev/null &
	watchdog=$!
	status=0
	wait $pid || status=$?
	kill $watchdog
	equal $status 1
	[ ! -e "$ROOT/back.partial" ] && [ ! -e "$ROOT/back" ]
}

replacing_keeps_permissions_and_links() {
	machine
	echo old >"$ROOT/real"
	chmod 640 "$ROOT/real"
	ln -s real "$ROOT/link"
	run 0 cp --size 4K 03:00.0:2 "$ROOT/link"
	[ -L "$ROOT/link" ]
	equal "$(stat -c '%a %s' "$ROOT/real")" "640 4096"
}

in_place() {
	machine
	run 0 cp -q "$ROOT/data" 03:00.0:2
	dd if=/dev/urandom of="$ROOT/back" bs=4096 count=4 status=none
	cp "$ROOT/back" "$ROOT/before"
	run 0 cp --verify --size 4K --offset 8K 03:00.0:2 "$ROOT/back"
	equal "$(stat -c %s "$ROOT/back")" 16384
	cmp -n 8192 "$ROOT/back" "$ROOT/before"
	cmp -n 4096 "$ROOT/back" "$ROOT/data" 8192 0
	cmp "$ROOT/back" "$ROOT/before" 12288 12288
	run 0 cp --size 4K --offset 8K 03:00.0:2 "$ROOT/new"
	equal "$(stat -c %s "$ROOT/new")" 12288
}

partial_in_the_way() {
	machine
	: >"$ROOT/back.partial"
	run 1 cp --size 4K 03:00.0:2 "$ROOT/back"
	contains "$err" "back.partial is there already" "remedy: another copy is under way"
	[ -e "$ROOT/back.partial" ]
}

quiet() {
	machine
	run 0 cp --quiet "$ROOT/data" 03:00.0:2
	equal "$out$err" ""
}

# Each is refused before the device is opened.
bad_ranges() {
	machine
	run 2 cp --offset 2M "$ROOT/data" 03:00.0:2
	contains "$err" "--offset 2M is not below its size of 1200K"
	run 2 cp --size 2M "$ROOT/data" 03:00.0:2
	contains "$err" "--size 2M is more than the 1200K bytes" "use --size 1200K"
	: >"$ROOT/empty"
	run 2 cp "$ROOT/empty" 03:00.0:2
	run 1 cp "$ROOT/missing" 03:00.0:2
	contains "$err" "missing" "No such file" "check the path"
	run 2 cp "$ROOT" 03:00.0:2
	contains "$err" "neither a regular file nor a block device"
	run 2 cp 03:00.0:2 /dev/null
	run 1 cp 03:00.0:2 "$ROOT/no/such/folder"
	[ ! -e "$ROOT/calls" ]
	run 2 cp "$ROOT/data" 03:00.0:2+7M
	contains "$err" "end beyond BAR 2, which has 8M" "at most 1M"
	run 2 cp "$ROOT/data" 03:00.0:2+8M
	run 2 cp "$ROOT/data" 03:00.0:3
	contains "$err" "there is no BAR 3"
	case $(calls) in *in*) return 1 ;; esac
}

operands() {
	machine
	for wrong in "a" "a b" "a b c" "03:00.0:2 04:00.0:2" "a 03:00.0" "a 03:00.0:9" \
		"a 03:00.0:2+x" "a 03:00.0:2+1,2" "--size 0 a 03:00.0:2" "--size 1X a 03:00.0:2" \
		"--chunk -1 a 03:00.0:2" "--offset 1.5 a 03:00.0:2" "--no-retry --memory-kept a 03:00.0:2"; do
		# shellcheck disable=SC2086
		run 2 cp $wrong
		contains "$err" "remedy: "
		equal "$out" ""
	done
	[ ! -e "$ROOT/calls" ]
}

bind_registers_windows() {
	machine
	run 0 bind 03:00.0 --window 2+0,2M --window 2+4M
	contains "$out" "already" "0000:03:00.0: window 0 on BAR 2, offset 0, length 2M" \
		"0000:03:00.0: window 1 on BAR 2, offset 4M, length 4M"
	equal "$(cat "$ROOT/windows")" "2 0 2097152
2 4194304 4194304"
}

bind_fails_with_its_window() {
	tree <<-END
	driver p2p-vfio-pci
	device 0000:03:00.0 1af4:1110 driver=ivshmem group=12 bar2=0x380000000000/8M/64/pref
	END
	export PLAYED="$ROOT" PLAYED_ERROR="window_create 18"
	kernel
	run 3 bind 03:00.0 --window 2
	contains "$err" "played cause" "put back to ivshmem"
	equal "$out" ""
	contains "$(cat "$ROOT/log")" "bind ivshmem 0000:03:00.0"
}

check "a file to the device, verified" to_device
check "and back, under its name only when it is whole" from_device
check "without --size the window is copied to its end" whole_window
check "a window that covers the range is used" window_is_found
check "options reach the library" options_reach_the_library
check "--verify finds one wrong byte, and nothing is published" mismatch
check "--json: result and error" json_result
check "the library's errors become exit statuses" errors_become_statuses
check "a copy that fails leaves no file" failure_leaves_nothing
check "a copy that is interrupted leaves no file" interrupt_leaves_nothing
check "replacing keeps permissions and links" replacing_keeps_permissions_and_links
check "--offset writes in place" in_place
check "another copy's partial file is not touched" partial_in_the_way
check "--quiet says nothing" quiet
check "bad ranges and files" bad_ranges
check "bad operands" operands
check "bind --window registers" bind_registers_windows
check "bind puts the device back if a window is refused" bind_fails_with_its_window
finish
