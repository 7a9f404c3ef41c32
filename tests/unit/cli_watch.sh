#!/bin/sh
# SPDX-License-Identifier: MIT
# cli_watch.sh - "vfio-p2p status --watch" on a recorded machine that changes
#
# Theory of operation: the command looks often, and the machine is changed under it;
# the next change comes when the last one has been seen in the output, so nothing
# depends on how fast it is.
. "$(dirname "$0")/cli_lib.sh"

A=/sys/devices/pci0000:00/0000:03:00.0/p2p_vfio

machine() {
	tree <<-END
	device 0000:03:00.0 1af4:1110 driver=p2p-vfio-pci group=12 bar2=0x380000000000/64M/64/pref
	file $A/state live\n
	file $A/generation 4\n
	file $A/drain_timeouts 0\n
	file $A/drain_last_us 120\n
	file $A/revokes reset 3\nclose 1\n
	file $A/windows 0 2 0 0x2000000 21 22 own\n
	END
}

# An attribute is never seen half-written.
change() {
	printf "$2" >"$ROOT/new"
	mv "$ROOT/new" "$ROOT$A/$1"
}

watch() {
	VFIO_P2P_ROOT=$ROOT "$TOOL" status --watch=0.05 "$@" >"$ROOT/out" 2>"$ROOT/err" &
	pid=$!
	trap 'kill $pid' EXIT
}

shown() {
	tries=0
	until grep -qF "$1" "$ROOT/out"; do
		tries=$((tries + 1))
		if [ $tries -gt 500 ]; then
			echo "never shown: $1"
			tail -30 "$ROOT/out"
			return 1
		fi
		sleep 0.02
	done
}

# Ends it as ctrl-C does (a shell's background process ignores that one).
ends_well() {
	kill -TERM $pid
	status=0
	wait $pid || status=$?
	trap - EXIT
	equal "$status" 0
	equal "$(cat "$ROOT/err")" ""
}

revocations() {
	machine
	watch
	shown "0000:03:00.0  live, generation 4"
	change drain_last_us '500200\n'
	change revokes 'reset 4\nclose 1\n'
	shown "0000:03:00.0  reset +1, last drain 500.2 ms"
	change drain_timeouts '1\n'
	change revokes 'reset 6\nclose 1\n'
	shown "0000:03:00.0  reset +2"
	change state 'draining\n'
	change revoke_cause 'close\n'
	change revoke_us '12340000\n'
	change revokes 'reset 6\nclose 2\n'
	shown "  draining for 12.34 s (close)"
	shown "0000:03:00.0  close +1, waits for pins"
	change drain_last_us '12400000\n'
	change state 'closed\n'
	shown "0000:03:00.0  waits no longer: last drain 12.40 s"
	ends_well
}

goes_and_comes() {
	machine
	watch "$@"
	shown "0000:03:00.0  live, generation 4"
	mv "$ROOT$A" "$ROOT/away"
	printf 'reset 9\nclose 9\n' >"$ROOT/away/revokes"
	[ $# -gt 0 ] || mv "$ROOT/sys/bus/pci/drivers/p2p-vfio-pci/0000:03:00.0" "$ROOT/link"
	shown "0000:03:00.0  has gone: unbound or removed"
	[ $# -gt 0 ] || mv "$ROOT/link" "$ROOT/sys/bus/pci/drivers/p2p-vfio-pci/0000:03:00.0"
	mv "$ROOT/away" "$ROOT$A"
	shown "0000:03:00.0  is there: bound to p2p-vfio-pci"
	ends_well
	# Told once, however often it was looked for.
	equal "$(grep "has gone" "$ROOT/out" | sort -u | wc -l)" 1
	# Its counters are no news when it comes back.
	equal "$(grep -c "reset +" "$ROOT/out")" 0
}

named_goes_and_comes() {
	goes_and_comes 03:00.0
}

as_json() {
	machine
	watch --json
	shown '"generation": 4'
	change generation '5\n'
	shown '"generation": 5'
	ends_well
	"$PYTHON" - "$ROOT/out" <<-'END'
	import json, sys
	text, decoder, seen = open(sys.argv[1]).read(), json.JSONDecoder(), []
	while text.strip():
	    document, end = decoder.raw_decode(text.lstrip())
	    text = text.lstrip()[end:]
	    seen.append(document["devices"][0]["generation"])
	assert sorted(set(seen)) == [4, 5], seen
	END
}

# On a terminal it is drawn in place, and ctrl-C ends it.
on_a_terminal() {
	machine
	VFIO_P2P_ROOT=$ROOT "$PYTHON" - "$TOOL" <<-'END'
	import os, pty, sys
	pid, fd = pty.fork()
	if not pid:
	    os.execv(sys.argv[1], ["vfio-p2p", "status", "--watch=0.05"])
	seen = b""
	while seen.count(b"\x1b[H\x1b[2J") < 3:
	    seen += os.read(fd, 4096)
	os.write(fd, b"\x03")
	try:
	    while os.read(fd, 4096):
	        pass
	except OSError:
	    pass
	assert b"ctrl-C ends" in seen
	assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
	END
}

wrong_times() {
	machine
	for time in 0 -1 x 3601 nan inf ""; do
		run 2 status --watch="$time"
		contains "$err" "is no time from 0.001 to 3600 seconds"
	done
	run 3 status --watch 04:00.0
	contains "$err" "there is no such PCI device"
	status=0
	VFIO_P2P_ROOT=$ROOT timeout 60 "$TOOL" status --watch=3600 >/dev/full 2>"$ROOT/err" || status=$?
	equal "$status" 1
}

check "revocations come with their cause and drain" revocations
check "a device goes and comes, and is told once" goes_and_comes
check "the same for one that was named" named_goes_and_comes
check "JSON, a document a look" as_json
check "a terminal is drawn anew, and ctrl-C ends it" on_a_terminal
check "wrong times, wrong devices, and output that cannot be written" wrong_times
finish
