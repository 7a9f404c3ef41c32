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
	contains "$out" "1228800 bytes P2P, 0 bytes bounced by CPU, 0 bytes zero-filled, 3 retries" \
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
	# Also behind one that has been given back.
	rm "$ROOT/calls"
	printf '2 0 0\n2 2097152 4194304\n' >"$ROOT/windows"
	run 0 cp "$ROOT/data" 03:00.0:2+4M
	case $(calls) in *window*) return 1 ;; esac
	# One that holds only the beginning does not do, and is in the way.
	printf '2 0 2097152\n2 2097152 4194304\n' >"$ROOT/windows"
	run 1 cp "$ROOT/data" 03:00.0:2+1M
}

# Another window is in the way of the largest: the copy needs less.
window_is_fitted() {
	machine
	echo "2 0 2097152" >"$ROOT/windows"
	run 0 cp "$ROOT/data" 03:00.0:2+3M
	contains "$(calls)" "window 2 2097152 4194304" "in 1048576 0 0 0"
	contains "$err" "registered a window on BAR 2, offset 2M, length 4M"
	# But "to the end" is not a window that just fits its first byte.
	rm "$ROOT/calls"
	run 1 cp 03:00.0:2+6M "$ROOT/back"
	case $(calls) in *window*) return 1 ;; esac
}

options_reach_the_library() {
	machine
	run 0 cp --size 8K --offset 4K --chunk 64K --allow-tail --memory-kept "$ROOT/data" 03:00.0:2
	contains "$(calls)" "in 0 4096 8192 65536 flags=3"
	run 0 cp --no-retry --size 8K "$ROOT/data" 03:00.0:2
	contains "$(calls)" "in 0 0 8192 0 flags=4"
	cmp -n 8192 "$ROOT/data" "$ROOT/memory"
}

bounces() {
	machine
	run 0 cp --bounce=never --size 8K "$ROOT/data" 03:00.0:2
	contains "$(calls)" "in 0 0 8192 0 flags=0"
	run 0 cp --bounce=allow --size 8K "$ROOT/data" 03:00.0:2
	contains "$(calls)" "in 0 0 8192 0 flags=8"
	PLAYED_ZERO=4096 run 0 cp --bounce force --size 12K "$ROOT/data" 03:00.0:2
	contains "$(calls)" "in 0 0 12288 0 flags=10"
	contains "$out" "0 bytes P2P, 8192 bytes bounced by CPU (forced), 4096 bytes zero-filled"
	PLAYED_ZERO=4096 run 0 cp --json --verify --bounce=force --size 12K "$ROOT/data" 03:00.0:2
	json 'j["bytes_p2p"] == 0 and j["bytes_bounced"] == 8192 and j["bytes_zero"] == 4096'
	json 'j["bounce_reason"] == "forced" and j["verified"]'
	# The refusal says how; in the words of the command.
	PLAYED_REMEDY=VP2P_COPY_BOUNCE_ALLOW PLAYED_ERROR="copy 95" run 3 cp "$ROOT/data" 03:00.0:2
	contains "$err" "remedy: " "(--bounce=allow)"
}

# A file is read again from its disk in whole blocks, wherever the copy began.
odd_offsets_are_verified() {
	machine
	run 0 cp --bounce=allow --verify --offset 77 --size 1100K "$ROOT/data" 03:00.0:2+4099
	cmp -n 1126400 "$ROOT/data" "$ROOT/memory" 77 4099
	contains "$out" "verified"
	PLAYED_CORRUPT=1048580 run 5 cp --bounce=allow --verify --offset 77 --size 1100K "$ROOT/data" 03:00.0:2+4099
	contains "$err" "1 of 1126400 bytes differ" "at offset 0x100051"
}

checksums() {
	machine
	crc=$("$PYTHON" -c 'import sys, zlib; print("%08x" % zlib.crc32(open(sys.argv[1], "rb").read()))' "$ROOT/data")
	run 0 cp --verify "$ROOT/data" 03:00.0:2+2M
	contains "$out" "verified: CRC-32 $crc on both sides"
	run 0 cp --json --verify "$ROOT/data" 03:00.0:2+2M
	json "j['crc32_device'] == j['crc32_file'] == '$crc'"
	PLAYED_CORRUPT=1 run 5 cp --verify "$ROOT/data" 03:00.0:2+2M
	contains "$err" " and $crc)"
	run 0 cp --json "$ROOT/data" 03:00.0:2+2M
	json '"crc32_file" not in j'
}

restarts_are_told() {
	machine
	export PLAYED_RESTARTS=1 PLAYED_RESETS=1
	run 0 cp "$ROOT/data" 03:00.0:2+2M
	contains "$err" "0000:03:00.0:2+2M: the device was reset (generation 9 after 8)" \
		"the copy starts again"
	contains "$out" "1 restarts (614400 bytes repeated)" "waited 1.50 s for the device"
	rm "$ROOT/calls"
	run 0 cp --quiet "$ROOT/data" 03:00.0:2+2M
	equal "$out$err" ""
}

# Only where another try finds the first one's bytes.
rest_is_told() {
	machine
	export PLAYED_PART=618496
	run 1 cp --memory-kept "$ROOT/data" 03:00.0:2+2M
	contains "$err" "604K are in place; the rest: vfio-p2p cp --memory-kept --offset 604K $ROOT/data 0000:03:00.0:2+2652K"
	dd if=/dev/zero of="$ROOT/back" bs=1M count=4 status=none
	run 1 cp --memory-kept --offset 1M --size 1200K 03:00.0:2 "$ROOT/back"
	contains "$err" "--offset 1628K --size 596K 0000:03:00.0:2+604K $ROOT/back"
	run 1 cp "$ROOT/data" 03:00.0:2+2M
	case $err in *"in place"*) return 1 ;; esac
	run 1 cp --memory-kept --size 1200K 03:00.0:2 "$ROOT/new"
	case $err in *"in place"*) return 1 ;; esac
	[ ! -e "$ROOT/new" ]
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
	unset PLAYED_ERROR
	# Whoever finds it.
	run 1 cp --json "$ROOT/missing" 03:00.0:2
	json 'j["error"]["errno"] == 2 and j["error"]["cause"] == "No such file or directory"'
	json 'j["error"]["remedy"] == "check the path" and j["error"]["step"] == "open the source"'
	run 2 cp --json "$ROOT/data" 03:00.0:2+8M
	json 'j["error"]["errno"] is None and "BAR 2" in j["error"]["cause"]'
	run 2 cp --json "$ROOT/data"
	json 'not j["ok"] and j["error"]["cause"] == "a source and a target are needed"'
	PLAYED_CORRUPT=5 run 5 cp --json --verify "$ROOT/data" 03:00.0:2
	json '"1 of 1228800 bytes differ" in j["error"]["cause"]'
}

# JSON is UTF-8, whatever bytes a file's name has; a terminal gets no commands.
odd_names() {
	machine
	name=$(printf 'a\377b\303\251\033[31m\355\240\200')
	cp "$ROOT/data" "$ROOT/$name"
	run 0 cp --json "$ROOT/$name" 03:00.0:2
	json 'j["file"].endswith("/a\ufffdb\u00e9\x1b[31m\ufffd\ufffd\ufffd")'
	run 1 cp "$ROOT/$name/x" 03:00.0:2
	contains "$err" "/a\\xffbé\\x1b[31m\\xed\\xa0\\x80/x: could not open"
	run 2 cp --size "$(printf '1\033\n')" "$ROOT/data" 03:00.0:2
	contains "$err" "'1\\x1b'"
}

# errno -> exit status: EIO, EINVAL, EOPNOTSUPP, EBUSY, ETIMEDOUT, ENODEV
errors_become_statuses() {
	machine
	for pair in 5:1 22:1 34:1 95:3 16:4 110:4 19:3 116:1; do
		export PLAYED_ERROR="copy ${pair%:*}"
		run "${pair#*:}" cp "$ROOT/data" 03:00.0:2
		contains "$err" "played cause" "played remedy"
	done
	export PLAYED_ERROR="open 16"
	run 4 cp "$ROOT/data" 03:00.0:2
	# The group is not viable; without the privilege for a window it is 1.
	export PLAYED_ERROR="open 1"
	run 3 cp "$ROOT/data" 03:00.0:2
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

# Sets $status; one that does not listen must not keep the test.
wait_for_end() {
	(sleep 20; kill -KILL $pid) 2>/dev/null &
	watchdog=$!
	status=0
	wait $pid || status=$?
	kill $watchdog
}

interrupt_leaves_nothing() {
	machine
	export PLAYED_ENDLESS=1 VFIO_P2P_ROOT="$ROOT"
	"$TOOL" cp --size 4K 03:00.0:2 "$ROOT/back" 2>"$ROOT/err" &
	pid=$!
	while ! grep -q out "$ROOT/calls" 2>/dev/null; do sleep 0.05; done
	[ -e "$ROOT/back.partial" ]
	kill -TERM $pid
	wait_for_end
	equal $status 1
	[ ! -e "$ROOT/back.partial" ] && [ ! -e "$ROOT/back" ]
	contains "$(cat "$ROOT/err")" "interrupted by signal 15"
	case $(cat "$ROOT/err") in *"played cause"*) return 1 ;; esac
}

# Nothing looks for a signal there, and what waits runs no handler.
second_signal_ends_it() {
	machine
	export PLAYED_STUCK=1 VFIO_P2P_ROOT="$ROOT"
	"$TOOL" cp --size 4K 03:00.0:2 "$ROOT/back" 2>"$ROOT/err" &
	pid=$!
	while ! grep -q stuck "$ROOT/calls" 2>/dev/null; do sleep 0.05; done
	# As timeout(1) does, to the process and to its group: these two are one.
	kill -TERM $pid
	sleep 0.1
	kill -TERM $pid
	sleep 1
	kill -0 $pid
	kill -TERM $pid
	wait_for_end
	equal $status 143
	[ -e "$ROOT/back.partial" ]
}

# interrupted_in FUNCTION: the signal comes when the copy itself is done.
interrupted_in() {
	machine
	echo old >"$ROOT/back"
	PLAYED_RAISE=$1 run 1 cp --json --verify --size 4M 03:00.0:2 "$ROOT/back"
	contains "$err" "interrupted by signal 15"
	json 'j["error"]["cause"] == "interrupted by signal 15"'
	equal "$(cat "$ROOT/back")" old
	[ ! -e "$ROOT/back.partial" ]
}

interrupted_verification() {
	interrupted_in map_bar
	PLAYED_RAISE=map_bar run 1 cp --verify "$ROOT/data" 03:00.0:2
	contains "$err" "could not verify the copy: interrupted by signal 15"
	equal "$out" ""
}
interrupted_before_commit() { interrupted_in unmap; }

# Under nohup SIGHUP is ignored, and stays so.
hangup_is_ignored() {
	machine
	export PLAYED_ENDLESS=1 VFIO_P2P_ROOT="$ROOT"
	(trap '' HUP; exec "$TOOL" cp --size 4K 03:00.0:2 "$ROOT/back" 2>"$ROOT/err") &
	pid=$!
	while ! grep -q out "$ROOT/calls" 2>/dev/null; do sleep 0.05; done
	kill -HUP $pid
	sleep 0.3
	kill -TERM $pid
	wait $pid || true
	contains "$(cat "$ROOT/err")" "interrupted by signal 15"
}

# The note on the new window goes to a reader who has left.
reader_has_gone() {
	machine
	export VFIO_P2P_ROOT="$ROOT"
	{
		sleep 0.5
		status=0
		"$TOOL" cp --size 4K 03:00.0:2 "$ROOT/back" >/dev/null || status=$?
		echo $status >"$ROOT/status"
	} 2>&1 | :
	equal "$(cat "$ROOT/status")" 0
}

# Messages must not end up in the file that is written.
closed_streams() {
	machine
	run 0 cp -q "$ROOT/data" 03:00.0:2
	rm "$ROOT/windows"
	VFIO_P2P_ROOT=$ROOT "$TOOL" cp --size 1200K 03:00.0:2 "$ROOT/back" \
		>"$ROOT/out" 0<&- 2>&-
	cmp "$ROOT/data" "$ROOT/back"
	rm "$ROOT/back"
	status=0
	VFIO_P2P_ROOT=$ROOT "$TOOL" cp --size 1200K 03:00.0:2 "$ROOT/back" 0<&- >&- 2>&- || status=$?
	cmp "$ROOT/data" "$ROOT/back"
	# Its result line could not be written.
	equal $status 1
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

# A file full of other bytes is not the program that was trusted.
special_bits_go() {
	machine
	echo old >"$ROOT/back"
	after="755 4096 $(id -u)"
	if [ "$(id -u)" = 0 ]; then
		chown 65534:65534 "$ROOT/back"
		after="755 4096 65534"
	fi
	chmod 6755 "$ROOT/back"
	run 0 cp --size 4K 03:00.0:2 "$ROOT/back"
	equal "$(stat -c '%a %s %u' "$ROOT/back")" "$after"
}

# What is not whole yet is nobody else's to read.
partial_is_private() {
	machine
	echo old >"$ROOT/back"
	chmod 644 "$ROOT/back"
	export PLAYED_ENDLESS=1 VFIO_P2P_ROOT="$ROOT"
	"$TOOL" cp --size 4K 03:00.0:2 "$ROOT/back" 2>"$ROOT/err" &
	pid=$!
	while ! grep -q out "$ROOT/calls" 2>/dev/null; do sleep 0.05; done
	mode=$(stat -c %a "$ROOT/back.partial")
	kill -TERM $pid
	wait $pid || true
	equal "$mode" 600
}

read_only_target() {
	machine
	echo old >"$ROOT/back"
	chmod 444 "$ROOT/back"
	run 6 cp --size 4K 03:00.0:2 "$ROOT/back"
	contains "$err" "it is read-only" "--force"
	run 6 cp --offset 0 --size 4K 03:00.0:2 "$ROOT/back"
	equal "$(cat "$ROOT/back")" old
	[ ! -e "$ROOT/calls" ]
	run 0 cp --force --size 4K 03:00.0:2 "$ROOT/back"
	equal "$(stat -c '%a %s' "$ROOT/back")" "444 4096"
}

links() {
	machine
	ln -s nowhere "$ROOT/dangling"
	run 1 cp --size 4K 03:00.0:2 "$ROOT/dangling"
	contains "$err" "it is a link to nothing"
	ln -s loop "$ROOT/loop"
	run 1 cp --size 4K 03:00.0:2 "$ROOT/loop"
	contains "$err" "symbolic links"
	[ -L "$ROOT/dangling" ] && [ -L "$ROOT/loop" ]
	equal "$(ls "$ROOT" | grep -c -e nowhere -e partial)" 0
	# Another user's link in a folder for all: the kernel does not follow it.
	[ "$(id -u) $(cat /proc/sys/fs/protected_symlinks)" = "0 1" ] || return 0
	mkdir -m 1777 "$ROOT/tmp"
	echo old >"$ROOT/tmp/real"
	ln -s real "$ROOT/tmp/link"
	chown -h 65534 "$ROOT/tmp/link"
	run 1 cp --size 4K 03:00.0:2 "$ROOT/tmp/link"
	equal "$(cat "$ROOT/tmp/real")" old
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
	contains "$err" "the file is empty"
	run 1 cp "$ROOT/missing" 03:00.0:2
	contains "$err" "missing" "No such file" "check the path"
	run 2 cp "$ROOT" 03:00.0:2
	contains "$err" "neither a regular file nor a block device"
	run 2 cp 03:00.0:2 /dev/null
	run 1 cp 03:00.0:2 "$ROOT/no/such/folder"
	run 2 cp "$ROOT/data" 03:00.0:2+7M
	contains "$err" "end beyond BAR 2, which has 8M" "at most 1M"
	run 2 cp "$ROOT/data" 03:00.0:2+8M
	run 2 cp "$ROOT/data" 03:00.0:3
	contains "$err" "there is no memory BAR 3"
	[ ! -e "$ROOT/calls" ]
}

operands() {
	machine
	for wrong in "a" "a b" "a b c" "03:00.0:2 04:00.0:2" "a 03:00.0" "a 03:00.0:9" \
		"a 03:00.0:2+x" "a 03:00.0:2+1,2" "--size 0 a 03:00.0:2" "--size 1X a 03:00.0:2" \
		"--chunk -1 a 03:00.0:2" "--offset 1.5 a 03:00.0:2" "--no-retry --memory-kept a 03:00.0:2" \
		"--bounce=maybe a 03:00.0:2" "--bounce= a 03:00.0:2"; do
		# shellcheck disable=SC2086
		run 2 cp $wrong
		contains "$err" "remedy: "
		equal "$out" ""
	done
	run 2 cp 03:00.0:2 ''
	contains "$err" "an operand is empty"
	run 2 cp '' 03:00.0:2
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

# The first is made, the second not: the user is to know.
windows_that_stay_are_named() {
	machine
	echo "2 4194304 4194304" >"$ROOT/windows"
	run 1 bind 03:00.0 --window 2+0,2M --window 2+2M,4M
	contains "$err" "0000:03:00.0: stays as it was, but has window 1 on BAR 2, offset 0, length 2M"
	equal "$out" ""
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
check "one is made to fit between others" window_is_fitted
check "options reach the library" options_reach_the_library
check "--bounce reaches the library, and is counted" bounces
check "--verify reads odd ranges" odd_offsets_are_verified
check "--verify prints the checksums of both sides" checksums
check "a reset that had the copy start again is told" restarts_are_told
check "what is left of a copy that failed" rest_is_told
check "--verify finds one wrong byte, and nothing is published" mismatch
check "--json: result and error" json_result
check "names that are no text" odd_names
check "the library's errors become exit statuses" errors_become_statuses
check "a copy that fails leaves no file" failure_leaves_nothing
check "a copy that is interrupted leaves no file" interrupt_leaves_nothing
check "a second signal ends it wherever it waits" second_signal_ends_it
check "a signal during the verification" interrupted_verification
check "a signal just before the file gets its name" interrupted_before_commit
check "a hangup that is ignored" hangup_is_ignored
check "messages that nobody reads" reader_has_gone
check "closed standard streams" closed_streams
check "set-uid and set-gid are not kept, the owner is" special_bits_go
check "the partial file is private" partial_is_private
check "a read-only target" read_only_target
check "links to nothing, loops, links of others" links
check "replacing keeps permissions and links" replacing_keeps_permissions_and_links
check "--offset writes in place" in_place
check "another copy's partial file is not touched" partial_in_the_way
check "--quiet says nothing" quiet
check "bad ranges and files" bad_ranges
check "bad operands" operands
check "bind --window registers" bind_registers_windows
check "bind names windows that stay after a failure" windows_that_stay_are_named
check "bind puts the device back if a window is refused" bind_fails_with_its_window
finish
