#!/bin/sh
# SPDX-License-Identifier: MIT
# cli_window.sh - "vfio-p2p window" with a library that plays a device
#
# Theory of operation: the played library keeps its windows in a file and logs every
# registration and its end, so each case sees what the device has afterwards and in
# which order.  A command line that is wrong must not even open the device.
. "$(dirname "$0")/cli_lib.sh"

machine() {
	PLAYED=$ROOT/played
	export PLAYED
	mkdir "$PLAYED"
	truncate -s 64M "$PLAYED/memory"
	tree <<-END
	device 0000:03:00.0 1af4:1110 driver=p2p-vfio-pci group=12 bar0=0xfe000000/256 bar2=0x380000000000/64M/64/pref
	device 0000:04:00.0 1af4:1110 driver=vfio-pci group=13 bar2=0x390000000000/64M/64/pref
	END
}

calls() {
	cat "$PLAYED/calls"
}

adds() {
	machine
	run 0 window add 03:00.0 2+4M,4M 2+16M
	equal "$out" "0000:03:00.0: window 0 on BAR 2, offset 4M, length 4M
0000:03:00.0: window 1 on BAR 2, offset 16M, length 48M"
	equal "$(calls)" "open 0 0 0 0 flags=0
window 2 4194304 4194304 0 flags=0
window 2 16777216 50331648 0 flags=0
close 0 0 0 0 flags=0"
	# What is there is found.
	run 0 window add 03:00.0 2+4M,4M
	equal "$out" "0000:03:00.0: window 0 on BAR 2, offset 4M, length 4M"
}

removes() {
	machine
	printf '2 0 4194304\n2 4194304 4194304\n2 8388608 4194304\n' >"$PLAYED/windows"
	run 0 window remove 03:00.0 1 0 01
	equal "$out" "0000:03:00.0: window 1 removed
0000:03:00.0: window 0 removed"
	equal "$(calls)" "open 0 0 0 0 flags=0
unregister 1 0 0 0 flags=0
unregister 0 0 0 0 flags=0
close 0 0 0 0 flags=0"
}

# The others are removed all the same; the first failure is the exit status.
one_is_not_there() {
	machine
	printf '2 0 4194304\n' >"$PLAYED/windows"
	run 1 window remove 03:00.0 5 0
	equal "$out" "0000:03:00.0: window 0 removed"
	contains "$err" "could not play window_find"
}

# refusal ERRNO STATUS
refusal() {
	machine
	printf '2 0 4194304\n' >"$PLAYED/windows"
	PLAYED_ERROR="window_unregister $1" run "$2" window remove 03:00.0 0
	equal "$out" ""
	contains "$err" "played cause" "remedy: played remedy"
	equal "$(cat "$PLAYED/windows")" "2 0 4194304"
}

busy() { refusal 16 4; }
standard_provider() { refusal 95 3; }

open_elsewhere() {
	machine
	PLAYED_ERROR="open 16" run 4 window add 03:00.0 2
	contains "$err" "could not play open"
	PLAYED_ERROR="open 16" run 4 window remove 03:00.0 0
}

# Nothing of it is done if a part of it cannot be.
checked_beforehand() {
	machine
	run 2 window add 03:00.0 2+0,4M 2+1M
	contains "$err" "offset 1M is not a multiple of 2M" "remedy: use 0"
	run 2 window add 03:00.0 2+0,4M 2+2M,4M
	contains "$err" "2+0,4M and 2+2M,4M overlap"
	run 2 window add 03:00.0 0
	contains "$err" "BAR 0 cannot have a window: smaller than 2M"
	[ ! -e "$PLAYED/calls" ]
}

wrong_command_lines() {
	machine
	while IFS='|' read -r line cause; do
		# shellcheck disable=SC2086
		run 2 window $line
		contains "$err" "could not begin: $cause" "vfio-p2p window add 0000:03:00.0 2"
	done <<-END
	|neither add nor remove is given
	add|no device is given
	remove|no device is given
	add 03:00.0|no range is given
	remove 03:00.0|no window's number is given
	END
	run 2 window list 03:00.0
	contains "$err" "could not do 'list'" "use add or remove; vfio-p2p status shows"
	run 2 window add 03.00.0 2
	contains "$err" "'03.00.0' is no PCI address"
	run 2 window add 03:00.0 7
	contains "$err" "could not read the range: '7'"
	run 2 window remove 03:00.0 64
	contains "$err" "'64' is more than a window's number can be, 63"
	for number in x 0K 0x0 "" 99999999999999999999; do
		run 2 window remove 03:00.0 "$number"
		contains "$err" "could not read the window's number: '$number'"
	done
	run 2 window remove 03:00.0 x
	contains "$err" "could not read the window's number: 'x'"
	equal "$out" ""
	[ ! -e "$PLAYED/calls" ]
}

other_driver() {
	machine
	run 3 window add 04:00.0 2
	contains "$err" "0000:04:00.0: could not change its windows: it is bound to vfio-pci" \
		"remedy: vfio-p2p bind 0000:04:00.0"
	run 3 window remove 06:00.0 0
	contains "$err" "there is no such PCI device"
	[ ! -e "$PLAYED/calls" ]
}

ways_in() {
	machine
	export VFIO_P2P_OPEN
	VFIO_P2P_OPEN=
	run 0 window add 03:00.0 2+0,4M
	VFIO_P2P_OPEN=group
	run 0 window add 03:00.0 2+4M,4M
	VFIO_P2P_OPEN=cdev
	run 0 window add 03:00.0 2+8M,4M
	equal "$(calls | grep ^open)" "open 0 0 0 0 flags=0
open 0 0 0 0 flags=1
open 0 0 0 0 flags=2"
	VFIO_P2P_OPEN=iommufd
	run 1 window add 03:00.0 2+12M,4M
	contains "$err" "0000:03:00.0: could not open the device: the environment variable VFIO_P2P_OPEN is 'iommufd'" \
		"set it to group or cdev, or unset it"
	equal "$(calls | grep -c ^open)" 3
	unset VFIO_P2P_OPEN
}

check "windows are registered in the order given" adds
check "windows are given back" removes
check "one that is not there does not keep the others" one_is_not_there
check "one that is mapped or pinned: status 4" busy
check "one of the standard provider: status 3" standard_provider
check "a device that is open elsewhere: status 4" open_elsewhere
check "everything is checked before the device is opened" checked_beforehand
check "wrong command lines" wrong_command_lines
check "a device of another driver is named with it" other_driver
check "the way in is the library's choice, or the user's" ways_in
finish
