#!/bin/sh
# SPDX-License-Identifier: MIT
# cli_list.sh - "vfio-p2p list" on recorded machines
#
# Theory of operation: the command reads sysfs and nothing else, so a tree built
# from a description is a whole machine to it.  The cases look at which devices
# are shown, at the window each BAR could have (the 2 MiB rule, MSI-X tables) and
# at the advice; the JSON is parsed by an independent parser and its members are
# compared with the description's numbers.
. "$(dirname "$0")/cli_lib.sh"

machine() {
	tree <<-END
	device 0000:00:01.0 1022:1483 class=060400 driver=pcieport group=1
	device 0000:01:00.0 144d:a80a class=010802 driver=nvme group=3 bar0=0xfe800000/16K/64
	device 0000:03:00.0 1af4:1110 driver=p2p-vfio-pci group=12 bar0=0xfe000000/256 bar2=0x380000000000/64M/64/pref
	device 0000:04:00.0 10de:2204 class=030000 group=13 bar0=0xe0000000/16M bar1=0xc0000000/256M/64/pref bar5=0xf000/128/io
	device 0000:04:00.1 10de:1aef class=040300 driver=snd_hda_intel group=13 bar0=0xe1000000/16K
	END
}

default_view() {
	machine
	run 0 list
	contains "$out" "0000:03:00.0" "[1af4:1110]" \
		"driver p2p-vfio-pci, IOMMU group 12" "window 2" \
		"no window: smaller than 2M" \
		"next: ready: vfio-p2p cp FILE 0000:03:00.0:BAR" \
		"IOMMU group 13 with 0000:04:00.1" "driver none" \
		"64-bit prefetchable" "next: vfio-p2p bind 0000:04:00.0"
	equal "$(grep -c '^0000' "$ROOT/out")" 2
	equal "$err" ""
}

columns_line_up() {
	machine
	run 0 list
	# Each table row has the word "-bit" at the same column.
	equal "$(grep '^  BAR' "$ROOT/out" | sed 's/-bit.*//' | awk '{ print length }' | sort -u | wc -l)" 1
	equal "$(grep -c ' $' "$ROOT/out")" 0
}

all_view() {
	machine
	run 0 list --all
	contains "$out" "0000:01:00.0" "0000:04:00.1"
	equal "$(grep -c '^0000' "$ROOT/out")" 4
}

json_view() {
	machine
	run 0 list --json
	json 'len(j["devices"]) == 2'
	json 'j["devices"][0]["device"] == "0000:03:00.0" and j["devices"][0]["ready"]'
	json 'j["devices"][0]["vendor_id"] == 0x1af4 and j["devices"][0]["iommu_group"] == 12'
	json '[b["bar"] for b in j["devices"][0]["bars"]] == [0, 2]'
	json 'j["devices"][0]["bars"][1]["size"] == 64 << 20'
	json 'j["devices"][0]["bars"][1]["bus_address"] == 0x380000000000'
	json 'j["devices"][0]["bars"][1]["prefetchable"] and j["devices"][0]["bars"][1]["64bit"]'
	json 'j["devices"][0]["bars"][1]["window"] == {"possible": True, "offset": 0, "length": 64 << 20, "limit": None, "msix_known": True}'
	json 'not j["devices"][0]["bars"][0]["window"]["possible"]'
	json 'j["devices"][1]["driver"] is None and j["devices"][1]["group_peers"] == ["0000:04:00.1"]'
}

msix_takes_its_granule() {
	tree <<-END
	device 0000:05:00.0 1234:0001 group=1 bar2=0x100000000/64M/64/pref msix=2+0x3e00000*8
	device 0000:06:00.0 1234:0001 group=2 bar2=0x200000000/64M/64/pref msix=2+0*8
	device 0000:07:00.0 1234:0001 group=3 bar2=0x300000000/2M/64/pref msix=2+0x1000*1
	device 0000:08:00.0 1234:0001 group=4 bar2=0x400000000/64M/64/pref bar4=0xf0000000/64K msix=4+0*2048
	device 0000:09:00.0 1234:0001 group=5 bar2=0x500000000/64M/64/pref msix=2+16M*8 pba=2+48M
	END
	run 0 list
	contains "$out" "window 2+0,62M; the rest holds MSI-X tables" \
		"window 2+2M,62M; the rest holds MSI-X tables" \
		"no window: the rest holds MSI-X tables" \
		"next: none: no BAR has room for a window" \
		"window 2+18M,30M; the rest holds MSI-X tables"
	run 0 list --json
	json 'j["devices"][3]["bars"][0]["window"]["length"] == 64 << 20'
	json 'j["devices"][4]["bars"][0]["window"]["offset"] == 18 << 20'
}

msix_unknown_without_root() {
	tree <<-END
	device 0000:05:00.0 1234:0001 group=1 bar2=0x100000000/64M/64/pref msix=2+0*8 shortconfig
	END
	run 0 list
	contains "$out" "MSI-X unknown, ask as root"
	run 0 list --json
	json 'not j["devices"][0]["bars"][0]["window"]["msix_known"]'
}

no_iommu() {
	tree <<-END
	device 0000:05:00.0 1234:0001 bar2=0x100000000/64M/64/pref
	END
	run 0 list
	contains "$out" "no IOMMU group" "intel_iommu=on"
	run 0 list --json
	json 'j["devices"][0]["iommu_group"] is None'
}

# The driver's limit.
window_of_a_tebibyte() {
	tree <<-END
	device 0000:05:00.0 1234:0001 group=1 bar2=0x100000000000/4T/64/pref
	END
	run 0 list
	contains "$out" "window 2+0,1T; a window has 1T at most"
	run 2 bind 05:00.0 --window 2
	contains "$err" "length 4T is more than a window can have, 1T" "the first as 2+0,1T"
	run 2 bind 05:00.0 --window 2+1T,2T
}

unassigned_and_misaligned() {
	tree <<-END
	device 0000:05:00.0 1234:0001 group=1 bar2=0/64M/64/pref
	device 0000:06:00.0 1234:0001 group=2 bar2=0x100100000/4M/64/pref
	END
	run 0 list
	contains "$out" "no window: no bus address assigned" \
		"no window: bus address not a multiple of 2M"
}

nothing_there() {
	tree </dev/null
	run 0 list
	contains "$out" "no PCI device has a memory BAR of 2 MiB or more"
	run 0 list --json
	json 'j == {"devices": []}'
}

damaged_tree() {
	machine
	: >"$ROOT/sys/devices/pci0000:00/0000:03:00.0/resource"
	printf 'garbage' >"$ROOT/sys/devices/pci0000:00/0000:04:00.0/resource"
	rm "$ROOT/sys/devices/pci0000:00/0000:04:00.1/config"
	# A capability list that never ends.
	printf '\100\0\0\0' | dd of="$ROOT/sys/devices/pci0000:00/0000:01:00.0/config" \
		bs=1 seek=64 conv=notrunc status=none
	printf '\020' | dd of="$ROOT/sys/devices/pci0000:00/0000:01:00.0/config" bs=1 seek=6 conv=notrunc status=none
	printf '\100' | dd of="$ROOT/sys/devices/pci0000:00/0000:01:00.0/config" bs=1 seek=52 conv=notrunc status=none
	printf '\005\100' | dd of="$ROOT/sys/devices/pci0000:00/0000:01:00.0/config" bs=1 seek=64 conv=notrunc status=none
	run 0 list --all --json
	json 'all(d["device"] not in ("0000:03:00.0", "0000:04:00.0") for d in j["devices"])'
}

operand_refused() {
	run 2 list 0000:03:00.0
	contains "$err" "0000:03:00.0" "list takes options only" "remedy: "
	equal "$out" ""
}

check "the devices with large BARs, their windows and the next step" default_view
check "the columns of all devices line up" columns_line_up
check "--all shows the others, but nothing without memory BARs" all_view
check "--json holds what the machine has" json_view
check "MSI-X tables take the granules they lie in" msix_takes_its_granule
check "without root the position of MSI-X is not known" msix_unknown_without_root
check "without an IOMMU the advice is to enable it" no_iommu
check "a BAR without a usable address has no window" unassigned_and_misaligned
check "a window has 1 TiB at most" window_of_a_tebibyte
check "a machine without devices" nothing_there
check "a damaged tree ends nothing but its own device" damaged_tree
check "an operand is refused" operand_refused
finish
