#!/bin/sh
# SPDX-License-Identifier: MIT
# cli_bench_run.sh - "vfio-p2p bench" from its command line to its report
#
# Theory of operation: the library is replaced by cli_played_library.c, whose device
# memory is an ordinary file that is mapped; direct I/O and io_uring are this
# machine's own.  So all of the tool runs, buffers, requests, copies and checks; no
# figure means anything, and none is looked at.  The driver that counts entries is
# missing, so the report must doubt what the window's mappings are.
. "$(dirname "$0")/cli_lib.sh"

little="--sizes 4K,64K --depths 1,4 --rounds 2 --bytes 128K"

machine() {
	tree <<-END
	driver p2p-vfio-pci
	device 0000:03:00.0 1af4:1110 driver=p2p-vfio-pci group=12 bar2=0x380000000000/8M/64/pref
	file proc/stat cpu  1 2 3 4 5 6 7 8 9 0\ncpu0 1 2 3 4 5 6 7 8 9 0\nintr 77 1 2\n
	END
	export PLAYED="$ROOT"
	truncate -s 8M "$ROOT/memory"
	mkdir "$ROOT/disk"
	dd if=/dev/urandom of="$ROOT/disk/data" bs=4096 count=300 status=none
	sum=$(cksum <"$ROOT/disk/data")
}

# bench STATUS OPTION...: of the file on the played device
bench() {
	wanted=$1
	shift
	# shellcheck disable=SC2086
	run "$wanted" bench $little "$@" 03:00.0:2 "$ROOT/disk/data"
}

target_is_untouched() {
	equal "$(cksum <"$ROOT/disk/data")" "$sum"
	equal "$(ls "$ROOT/disk")" data
}

all_columns() {
	machine
	bench 0 --json
	json "j['ok'] and j['schema'] == 1"
	json "[c['column'] for c in j['columns']] == ['p2p', 'thp', 'ram4k', 'bounce', 'p2p4k']"
	json "len(j['cells']) == 20 and j['skipped'] == []"
	json "len({(c['size'], c['depth'], c['column']) for c in j['cells']}) == 20"
	json "all(c['bytes'] == 2 * 131072 and c['op'] == 'read' for c in j['cells'])"
	json "all(c['gib_s']['min'] <= c['gib_s']['median'] <= c['gib_s']['max'] for c in j['cells'])"
	json "[c['doubt'] is not None for c in j['columns']][::4] == [True, True]"
	json "j['conditions']['device'] == '0000:03:00.0' and j['conditions']['in_flight'] == 2097152"
	json "j['conditions']['copy_view'] == 'BAR, uncached' and j['conditions']['small_folios'] is None"
	json "len(j['verdicts']) > 4"
	target_is_untouched
}

combining_view() {
	machine
	touch "$ROOT/combining"
	bench 0 --json --columns bounce
	json "j['conditions']['copy_view'] == 'window, write-combining'"
	json "[s['column'] for s in j['skipped']] == ['p2p', 'thp', 'ram4k', 'p2p4k']"
	json "len(j['cells']) == 4"
}

as_text() {
	machine
	bench 0
	contains "$out" "provider own; IOMMU" "is not what its name says" "(BUSY) are rough"
	contains "$out" "reads from $ROOT/disk/data (file)" " 64K      4  p2p4k* " "Verdicts:"
	run 0 bench --sizes 4K,16M --depths 1 --rounds 1 --time 0.01 03:00.0:2 "$ROOT/disk/data"
	contains "$out" "size 16M is not measured: the window has room for 8M"
	contains "$err" "5 measurements, about 50.0 ms"
}

# Two buffers of RAM, from half of what there is.
little_memory() {
	machine
	echo "MemAvailable: 16384 kB" >"$ROOT/proc/meminfo"
	run 0 bench --json --sizes 1M,8M --depths 8 --rounds 1 --bytes 1M 03:00.0:2 "$ROOT/disk/data"
	json "j['conditions']['in_flight'] == 4194304 and {c['depth'] for c in j['cells']} == {4}"
	contains "$out" "measured as 4: half of the host's available memory has room for 4M in flight"
	echo "MemAvailable: 4096 kB" >"$ROOT/proc/meminfo"
	bench 1
	contains "$err" "half of the host's available memory is less than the 2M"
	bench 0 --columns p2p,p2p4k
}

new_file() {
	machine
	bench 0 --json --write
	json "len(j['cells']) == 40 and 'new file in its directory' in j['notes'][0]"
	json "sum(c['op'] == 'write' for c in j['cells']) == 20"
	target_is_untouched
	bench 0 --json --op write --write
	json "len(j['cells']) == 20"
	target_is_untouched
}

given_up() {
	machine
	head -c 1M /dev/urandom >"$ROOT/scratch"
	bench 0 --json --scratch "$ROOT/scratch"
	json "[c['target'].split('/')[-1] for c in j['cells']] == 20 * ['data'] + 20 * ['scratch']"
	target_is_untouched
	run 1 bench --scratch "$ROOT/none" 03:00.0:2
	contains "$err" "could not open the scratch file: No such file" "remedy: make it first"
	[ ! -e "$ROOT/none" ]
	ln "$ROOT/disk/data" "$ROOT/alias"
	bench 2 --scratch "$ROOT/alias"
	contains "$err" "alias: could not use it as the scratch file: it is the TARGET $ROOT/disk/data"
	target_is_untouched
}

wrong_data() {
	machine
	PLAYED_CORRUPT=7 bench 5 --json
	json "not j['ok'] and j['exit_status'] == 5 and 'differ' in j['error']['cause']"
}

# What the device's memory holds from before must not pass for what has come.
nothing_moved() {
	machine
	dd if="$ROOT/disk/data" of="$ROOT/memory" conv=notrunc status=none
	PLAYED_IDLE=1 bench 5
	contains "$err" "differ"
}

# The path is fine, but what is measured does not reach the BAR.
astray() {
	machine
	PLAYED_ASTRAY=1 bench 0 --columns thp,bounce
	PLAYED_ASTRAY=1 bench 5 --columns p2p
	PLAYED_ASTRAY=1 bench 5 --columns p2p4k
	PLAYED_ASTRAY=1 bench 5 --columns p2p --op write --write
}

reset_meanwhile() {
	machine
	PLAYED_RESETS=1 bench 1
	contains "$err" "the device was reset meanwhile"
}

signal() {
	machine
	VFIO_P2P_ROOT=$ROOT "$TOOL" bench --time 3600 --write --svg "$ROOT/picture.svg" \
		03:00.0:2 "$ROOT/disk/data" >"$ROOT/out" 2>"$ROOT/err" &
	pid=$!
	until grep -q "measurements, about" "$ROOT/err"; do
		kill -0 $pid
		sleep 0.02
	done
	kill -TERM $pid
	status=0
	wait $pid || status=$?
	equal "$status" 1
	contains "$(cat "$ROOT/err")" "interrupted by signal 15"
	contains "$(tail -1 "$ROOT/calls")" "close"
	target_is_untouched
	[ ! -e "$ROOT/picture.svg.partial" ]
}

# More than is ever moved: it is still at it when its time is over.
endless_work() {
	machine
	status=0
	VFIO_P2P_ROOT=$ROOT timeout -k 20 1 "$TOOL" bench --columns thp --bytes 0xffffffffffffffff --sizes 4K \
		--depths 1 --rounds 1 03:00.0:2 "$ROOT/disk/data" >"$ROOT/out" 2>&1 || status=$?
	equal "$status" 124
}

refusals() {
	machine
	bench 2 --depths 0
	bench 2 --json --op write
	json "not j['ok'] and 'may be written to' in j['error']['cause']"
	truncate -s 2M "$ROOT/disk/data"
	bench 3
	contains "$err" "it has a hole at offset 1200K"
	truncate -s 4095 "$ROOT/disk/data"
	bench 3
	contains "$err" "it has 4095 bytes, the smallest request has 4K"
	: >"$ROOT/disk/data"
	bench 2
	contains "$err" "the file is empty"
	rm "$ROOT/disk/data"
	bench 1
	run 2 bench 03:00.0:2 /dev/null
	contains "$err" "neither a regular file nor a block device"
	[ ! -e "$ROOT/calls" ]
}

library_errors() {
	machine
	PLAYED_ERROR="open 16" bench 4
	PLAYED_ERROR="map 12" bench 1
	PLAYED_ERROR="copy 95" bench 3
	contains "$err" "played cause"
	contains "$(tail -1 "$ROOT/calls")" "close"
}

without_gnuplot() {
	machine
	PATH_BEFORE=$PATH
	mkdir "$ROOT/bin"
	for name in timeout cat; do ln -s "$(command -v $name)" "$ROOT/bin/$name"; done
	PATH=$ROOT/bin bench 3 --svg "$ROOT/picture.svg"
	PATH=$PATH_BEFORE
	contains "$err" "gnuplot is not installed" "remedy: apt install gnuplot-nox"
	[ ! -e "$ROOT/calls" ]
	[ ! -e "$ROOT/picture.svg.partial" ]
}

picture() {
	machine
	for path in "$ROOT/disk" ""; do
		run 2 bench --svg "$path" 03:00.0:2 "$ROOT/disk/data"
		contains "$err" "could not draw the figures: it is no regular file"
	done
	bench 0 --svg "$ROOT/picture.svg"
	contains "$(cat "$ROOT/picture.svg")" "<svg" "p2p4k" "depth 4" "</svg>"
	[ ! -e "$ROOT/picture.svg.partial" ]
	bench 1 --svg "$ROOT/none/picture.svg"
	contains "$err" "could not draw the figures: No such file or directory"
	# A failure in between leaves the older picture.
	touch "$ROOT/picture.svg"
	before=$(cksum <"$ROOT/picture.svg")
	PLAYED_CORRUPT=7 bench 5 --svg "$ROOT/picture.svg"
	equal "$(cksum <"$ROOT/picture.svg")" "$before"
	[ ! -e "$ROOT/picture.svg.partial" ]
}

# What this machine cannot do is no fault of the tool's.
if ! dd if=/dev/zero of="$scratch/direct" bs=4096 count=1 oflag=direct status=none 2>/dev/null ||
	[ "$(cat /proc/sys/kernel/io_uring_disabled 2>/dev/null || echo 0)" != 0 ]; then
	echo "1..0 # SKIP no direct I/O in $scratch, or no io_uring"
	exit 0
fi

check "all columns, as JSON" all_columns
check "the view that copies go through" combining_view
check "as text" as_text
check "host memory limits what is in flight" little_memory
check "writes go to a file that is gone afterwards" new_file
check "writes go to what was given up" given_up
check "wrong data is found before anything is measured" wrong_data
check "what was there before does not pass for it" nothing_moved
check "what does not reach the BAR is found" astray
check "a reset meanwhile" reset_meanwhile
if command -v gnuplot >/dev/null; then
	check "a signal ends it, and leaves nothing" signal
fi
check "work without an end" endless_work
check "what cannot be measured" refusals
check "errors of the library" library_errors
check "gnuplot is looked for first" without_gnuplot
if command -v gnuplot >/dev/null; then
	check "a picture" picture
fi
finish
