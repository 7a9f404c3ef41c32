#!/bin/sh
# SPDX-License-Identifier: MIT
# cli_bind.sh - "vfio-p2p bind" and "unbind" against a played kernel
#
# Theory of operation: in a tree made by cli_tree.py the files bind, unbind and
# drivers_probe are FIFOs behind which cli_kernel.py moves the "driver" links and
# logs what it was told.  So each case sees the orders in their sequence, with the
# driver_override that was set at that moment, and the state that is left.  A
# refusal must leave no line in the log and no changed file: the tree's checksum
# is compared.
. "$(dirname "$0")/cli_lib.sh"

D=sys/devices/pci0000:00

machine() {
	tree <<-END
	driver p2p-vfio-pci
	driver stock
	device 0000:00:01.0 1022:1483 class=060400 driver=pcieport group=12
	device 0000:03:00.0 1af4:1110 driver=ivshmem group=12 bar0=0xfe000000/256 bar2=0x380000000000/64M/64/pref
	device 0000:04:00.0 10de:2204 group=13 override=other bar0=0xe0000000/16M
	device 0000:05:00.0 144d:a80a class=010802 driver=nvme group=14 bar0=0xfe800000/16K/64
	device 0000:06:00.0 8086:1521 class=020000 driver=igb group=15 bar0=0xfe900000/16K
	device 0000:07:00.0 1234:0001 driver=one group=16 bar0=0xd0000000/4M msix=0+0*8
	device 0000:07:00.1 1234:0002 driver=two group=16
	device 0000:08:00.0 1234:0003 driver=one bar0=0xd1000000/4M
	END
}

driver_of() {
	link=$(readlink "$ROOT/$D/$1/driver") && basename "$link" || echo none
}

override_of() {
	cat "$ROOT/$D/$1/driver_override"
}

record() {
	cat "$ROOT/run/vfio-p2p/$1.json"
}

# What a refusal must not change.
fingerprint() {
	(cd "$ROOT" && find sys run \( -type f -exec cksum {} + \) -o \
		\( -type l -printf '%p %l\n' \) | sort)
}

# refused STATUS COMMAND...: ends with it, and has changed nothing.
refused() {
	before=$(fingerprint)
	run "$@"
	equal "$(fingerprint)" "$before"
	[ ! -e "$ROOT/log" ]
	equal "$out" ""
	contains "$err" "remedy: "
}

binds() {
	machine
	kernel
	run 0 bind 03:00.0
	contains "$out" "0000:03:00.0: bound to p2p-vfio-pci, was ivshmem"
	equal "$(driver_of 0000:03:00.0)" p2p-vfio-pci
	equal "$(override_of 0000:03:00.0)" p2p-vfio-pci
	equal "$(cat "$ROOT/log")" \
"unbind ivshmem 0000:03:00.0 override=p2p-vfio-pci
bind p2p-vfio-pci 0000:03:00.0 override=p2p-vfio-pci"
	contains "$(record 0000:03:00.0)" '"driver": "ivshmem"' '"driver_override": null'
}

binds_again() {
	machine
	kernel
	run 0 bind 03:00.0
	cp "$ROOT/log" "$ROOT/log.1"
	run 0 bind 0000:03:00.0
	contains "$out" "is bound to p2p-vfio-pci already"
	cmp "$ROOT/log" "$ROOT/log.1"
	contains "$(record 0000:03:00.0)" '"driver": "ivshmem"'
}

round_trip() {
	machine
	kernel
	before=$(fingerprint)
	run 0 bind 03:00.0
	run 0 unbind 03:00.0
	contains "$out" "0000:03:00.0: bound to ivshmem"
	equal "$(driver_of 0000:03:00.0)" ivshmem
	equal "$(override_of 0000:03:00.0)" ""
	[ ! -e "$ROOT/run/vfio-p2p/0000:03:00.0.json" ]
}

round_trip_unbound() {
	machine
	kernel
	run 0 bind 04:00.0
	contains "$out" "was unbound"
	contains "$(record 0000:04:00.0)" '"driver": null' '"driver_override": "other"'
	run 0 unbind 04:00.0
	contains "$out" "no driver is bound"
	equal "$(driver_of 0000:04:00.0)" none
	equal "$(override_of 0000:04:00.0)" other
}

unbind_without_record() {
	machine
	kernel
	run 0 bind 03:00.0
	rm "$ROOT/run/vfio-p2p/0000:03:00.0.json"
	run 0 unbind 03:00.0
	equal "$(override_of 0000:03:00.0)" ""
	logged "probed 0000:03:00.0"
	contains "$(cat "$ROOT/log")" "probe 0000:03:00.0 override="
	equal "$(driver_of 0000:03:00.0)" stock
}

unbind_with_broken_record() {
	machine
	kernel
	run 0 bind 03:00.0
	echo '{"driver": ' >"$ROOT/run/vfio-p2p/0000:03:00.0.json"
	run 0 unbind 03:00.0
	contains "$err" "cannot be understood; the kernel chooses"
	logged "probed 0000:03:00.0"
	equal "$(driver_of 0000:03:00.0)" stock
}

failed_probe_restores() {
	machine
	kernel --deaf p2p-vfio-pci
	run 1 bind 03:00.0
	contains "$err" "could not bind it to p2p-vfio-pci" "dmesg" "put back to ivshmem"
	equal "$(driver_of 0000:03:00.0)" ivshmem
	equal "$(override_of 0000:03:00.0)" ""
	[ ! -e "$ROOT/run/vfio-p2p/0000:03:00.0.json" ]
	equal "$out" ""
}

stuck_driver_restores() {
	machine
	kernel --busy 0000:03:00.0
	run 1 bind 03:00.0
	contains "$err" "could not unbind it from ivshmem"
	equal "$(driver_of 0000:03:00.0)" ivshmem
	equal "$(override_of 0000:03:00.0)" ""
}

second_failure_restores_both() {
	machine
	kernel --busy 0000:07:00.1
	run 1 bind 07:00.0 07:00.1
	equal "$(driver_of 0000:07:00.0)" one
	equal "$(driver_of 0000:07:00.1)" two
	equal "$(override_of 0000:07:00.0)$(override_of 0000:07:00.1)" ""
	[ -z "$(ls "$ROOT/run/vfio-p2p")" ]
}

siblings() {
	machine
	refused 3 bind 07:00.0
	contains "$err" "IOMMU group 16: 0000:07:00.1 (two)" \
		"vfio-p2p bind 0000:07:00.0 0000:07:00.1"
	kernel
	run 0 bind 07:00.0 07:00.1
	equal "$(driver_of 0000:07:00.0) $(driver_of 0000:07:00.1)" "p2p-vfio-pci p2p-vfio-pci"
}

impossible_devices() {
	machine
	refused 3 bind 00:01.0
	contains "$err" "it is a bridge"
	refused 3 bind 08:00.0
	contains "$err" "no IOMMU group" "intel_iommu=on"
	refused 3 bind 09:00.0
	contains "$err" "no such PCI device"
	# A good one beside it is not touched either.
	refused 3 bind 03:00.0 09:00.0
}

bad_windows() {
	machine
	for window in 2+1M 2+64M 2+0,3M 2+32M,64M 0 1 0+0x1000; do
		refused 2 bind 03:00.0 --window "$window"
		contains "$err" "could not register a window"
	done
	refused 2 bind 03:00.0 --window 2+1M
	contains "$err" "offset 1M is not a multiple of 2M" "use 0"
	refused 2 bind 03:00.0 --window 2+32M,64M
	contains "$err" "length 64M ends beyond the BAR's size of 64M" "use at most 32M"
	refused 2 bind 07:00.0 07:00.1 --window 0
	contains "$err" "overlaps the MSI-X tables" "0+2M,2M"
	refused 2 bind 03:00.0 --window 2,4M
	contains "$err" "could not read --window" "has a length but no offset"
	refused 2 bind 03:00.0 --window 6
	refused 2 bind 03:00.0 --window ''
	refused 2 bind
	refused 2 bind nonsense
}

module_is_loaded() {
	machine
	rm -r "$ROOT/sys/bus/pci/drivers/p2p-vfio-pci"
	cat >"$ROOT/modprobe" <<-END
	#!/bin/sh
	echo "\$0 \$*" >>"$ROOT/modprobe.log"
	mkdir "$ROOT/sys/bus/pci/drivers/p2p-vfio-pci"
	END
	chmod +x "$ROOT/modprobe"
	echo "$ROOT/modprobe" >"$ROOT/proc/sys/kernel/modprobe"
	kernel
	# The played kernel does not know the new driver: what counts is the call.
	run 1 bind 03:00.0
	equal "$(cat "$ROOT/modprobe.log")" "$ROOT/modprobe -q p2p-vfio-pci"
	contains "$err" "put back to ivshmem"
}

module_is_missing() {
	machine
	rm -r "$ROOT/sys/bus/pci/drivers/p2p-vfio-pci"
	refused 3 bind 03:00.0
	contains "$err" "could not load the driver p2p-vfio-pci"
	[ "$(id -u)" != 0 ] ||
		contains "$err" "make -C module && sudo make -C module modules_install && sudo depmod"
}

disks_in_use() {
	machine
	tree <<-END
	disk nvme0n1 0000:05:00.0 part=nvme0n1p1 dev=259:1 $1
	END
	refused 6 bind 05:00.0
	contains "$err" "the host uses it: nvme0n1p1 $2" "--force"
	kernel
	run 0 bind --force 05:00.0
	equal "$(driver_of 0000:05:00.0)" p2p-vfio-pci
}

mounted() { disks_in_use mount=/home "is mounted at /home"; }
swapping() { disks_in_use swap "is swap space"; }
stacked() { disks_in_use holder=md0 "is part of md0"; }

mounted_by_name() {
	machine
	tree <<-END
	disk nvme0n1 0000:05:00.0
	END
	echo '36 35 0:47 / /data rw - btrfs /dev/nvme0n1 rw' >"$ROOT/proc/self/mountinfo"
	refused 6 bind 05:00.0
	contains "$err" "nvme0n1 is mounted at /data"
}

multipath() {
	machine
	tree <<-END
	head nvme0n1 0000:05:00.0 0000:06:00.0
	END
	refused 6 bind 05:00.0
	contains "$err" "nvme0n1 is mounted at /multi"
}

idle_disk() {
	machine
	tree <<-END
	disk nvme0n1 0000:05:00.0 part=nvme0n1p1 dev=259:1
	disk nvme1n1 0000:06:00.0 dev=259:2 mount=/
	END
	kernel
	run 0 bind 05:00.0
}

network() {
	machine
	tree <<-END
	net eth0 0000:06:00.0 up
	END
	refused 6 bind 06:00.0
	contains "$err" "interface eth0 is up"
	echo down >"$ROOT/$D/0000:06:00.0/net/eth0/operstate"
	kernel
	run 0 bind 06:00.0
}

unbind_refusals() {
	machine
	refused 1 unbind 03:00.0
	contains "$err" "it is bound to ivshmem, not to p2p-vfio-pci"
	refused 1 unbind 04:00.0
	contains "$err" "it is bound to no driver"
	refused 3 unbind 09:00.0
	refused 2 unbind
	refused 2 unbind --wait x 03:00.0
	refused 2 unbind --wait 2G 03:00.0
}

bound_and_open() {
	tree <<-END
	driver stock
	device 0000:03:00.0 1af4:1110 driver=p2p-vfio-pci group=12
	file /$D/0000:03:00.0/p2p_vfio/state live\n
	file /$D/0000:03:00.0/vfio-dev/vfio3/dev 500:3\n
	process 41 group_user /dev/vfio/12
	process 42 cdev_user /dev/vfio/devices/vfio3
	process 43 fd_user anon_inode:[vfio-device] /sys/devices/pci0000:00/0000:03:00.0
	process 44 other_device anon_inode:[vfio-device] /sys/devices/pci0000:00/0000:04:00.0
	process 45 other_group /dev/vfio/1
	END
}

# Who has a part of a window as a file keeps the device open as well.
exported_window_stays() {
	bound_and_open
	rm -r "$ROOT/proc/41" "$ROOT/proc/42" "$ROOT/proc/43"
	tree <<-END
	process 46 export_user anon_inode:[vfio-p2p-window:0000:03:00.0]
	process 47 other_export anon_inode:[vfio-p2p-window:0000:04:00.0]
	mapper 54 export_mapper anon_inode:[vfio-p2p-window:0000:03:00.0]
	mapper 55 other_mapper anon_inode:[vfio-p2p-window:0000:04:00.0]
	END
	refused 4 unbind 03:00.0
	contains "$err" "it is open by 46 (export_user), 54 (export_mapper)"
	case $err in *other_*) return 1 ;; esac
	run 0 status 03:00.0
	contains "$out" "open by      46 (export_user), 54 (export_mapper)"
}

open_device_stays() {
	bound_and_open
	refused 4 unbind 03:00.0
	contains "$err" "it is open by 41 (group_user), 42 (cdev_user), 43 (fd_user)" "--wait"
	case $err in *other_*) return 1 ;; esac
	rm -r "$ROOT/proc/41" "$ROOT/proc/42" "$ROOT/proc/43"
	refused 4 unbind 03:00.0
	if [ "$(id -u)" = 0 ]; then
		contains "$err" "by no fd of a process that can be seen" "a mapping" \
			"another PID namespace" "a socket"
	else
		contains "$err" "a process that cannot be seen" "run as root"
	fi
}

mapped_device_stays() {
	bound_and_open
	rm -r "$ROOT/proc/41" "$ROOT/proc/42" "$ROOT/proc/43"
	tree <<-END
	mapper 51 cdev_mapper /dev/vfio/devices/vfio3
	mapper 52 other_mapper /dev/vfio/devices/vfio33
	END
	refused 4 unbind 03:00.0
	contains "$err" "it is open by 51 (cdev_mapper)"
	case $err in *other_*) return 1 ;; esac
	rm -r "$ROOT/proc/51"
	[ "$(id -u)" = 0 ] || return 0
	tree <<-END
	mapper 53 group_mapper anon_inode:[vfio-device]
	END
	refused 4 unbind 03:00.0
	contains "$err" "memory of a VFIO device is mapped by 53 (group_mapper)"
}

# A former owner's DMA: nobody has it open, and yet it is not closed.
pinned_device_stays() {
	machine
	tree <<-END
	device 0000:0a:00.0 1af4:1110 driver=p2p-vfio-pci group=22
	file /$D/0000:0a:00.0/p2p_vfio/state draining\n
	file /$D/0000:0a:00.0/p2p_vfio/pinned_folios 3\n
	END
	refused 4 unbind 0a:00.0
	contains "$err" "DMA of a former owner still holds 3 folios" "--wait SECONDS"
	kernel
	(sleep 0.5; echo 0 >"$ROOT/$D/0000:0a:00.0/p2p_vfio/pinned_folios"
	echo closed >"$ROOT/$D/0000:0a:00.0/p2p_vfio/state") &
	run 0 unbind --wait 20 0a:00.0
}

# A device that has failed for good says "gone", open or not.
gone_device_is_given_back() {
	machine
	tree <<-END
	device 0000:0a:00.0 1af4:1110 driver=p2p-vfio-pci group=22
	file /$D/0000:0a:00.0/p2p_vfio/state gone\n
	process 43 fd_user anon_inode:[vfio-device] /sys/devices/pci0000:00/0000:0a:00.0
	END
	refused 4 unbind 0a:00.0
	contains "$err" "it is open by 43 (fd_user)"
	rm -r "$ROOT/proc/43"
	kernel
	run 0 unbind 0a:00.0
}

open_elsewhere() {
	machine
	tree <<-END
	device 0000:0a:00.0 1af4:1110 driver=vfio-pci group=22
	process 44 qemu anon_inode:[vfio-device] /sys/devices/pci0000:00/0000:0a:00.0
	END
	refused 4 bind 0a:00.0
	contains "$err" "vfio-pci has it, and it is open by 44 (qemu)" "end these processes"
	# Force cannot help: the kernel would wait.
	refused 4 bind --force 0a:00.0
	rm -r "$ROOT/proc/44"
	kernel
	run 0 bind 0a:00.0
}

# half_way DRIVER: what a "bind" that was killed has left.
half_way() {
	machine
	echo p2p-vfio-pci >"$ROOT/$D/0000:03:00.0/driver_override"
	if [ "$1" = none ]; then
		rm "$ROOT/$D/0000:03:00.0/driver" "$ROOT/sys/bus/pci/drivers/ivshmem/0000:03:00.0"
	fi
	mkdir -p "$ROOT/run/vfio-p2p"
	echo '{ "driver": "ivshmem", "driver_override": null }' >"$ROOT/run/vfio-p2p/0000:03:00.0.json"
	kernel
}

half_way_is_undone() {
	half_way "$1"
	run 0 unbind 03:00.0
	equal "$(driver_of 0000:03:00.0)" ivshmem
	equal "$(override_of 0000:03:00.0)" ""
	[ ! -e "$ROOT/run/vfio-p2p/0000:03:00.0.json" ]
}

half_way_unbound() { half_way_is_undone none; }

# By hand, or by an "unbind" that was killed: the record alone tells.
half_way_with_record() {
	half_way none
	echo >"$ROOT/$D/0000:03:00.0/driver_override"
	run 0 unbind 03:00.0
	equal "$(driver_of 0000:03:00.0)" ivshmem
}
half_way_overridden() { half_way_is_undone ivshmem; }

half_way_is_bound() {
	half_way none
	run 0 bind 03:00.0
	contains "$(record 0000:03:00.0)" '"driver": "ivshmem"' '"driver_override": null'
	run 0 unbind 03:00.0
	equal "$(driver_of 0000:03:00.0)" ivshmem
	equal "$(override_of 0000:03:00.0)" ""
}

# The first device's probe takes a second; the signal comes within it.
interrupted_bind() {
	machine
	kernel --slow p2p-vfio-pci
	VFIO_P2P_ROOT=$ROOT "$TOOL" bind 07:00.0 07:00.1 >"$ROOT/out" 2>"$ROOT/err" &
	pid=$!
	tries=0
	until grep -q '^bind p2p-vfio-pci' "$ROOT/log" 2>/dev/null; do
		tries=$((tries + 1))
		[ $tries -lt 500 ]
		sleep 0.02
	done
	kill -TERM $pid
	sleep 0.1
	kill -TERM $pid
	status=0
	wait $pid || status=$?
	equal $status 1
	contains "$(cat "$ROOT/err")" "interrupted by signal 15" "put back to one"
	equal "$(driver_of 0000:07:00.0) $(driver_of 0000:07:00.1)" "one two"
	equal "$(override_of 0000:07:00.0)" ""
	equal "$(override_of 0000:07:00.1)" "(null)"
	[ -z "$(ls "$ROOT/run/vfio-p2p")" ]
}

# The record is obeyed by root: nobody else may have put it, or a link, there.
record_is_safe() {
	machine
	kernel
	mkdir "$ROOT/run/vfio-p2p"
	echo precious >"$ROOT/precious"
	ln -s ../../precious "$ROOT/run/vfio-p2p/0000:03:00.0.json.new"
	run 0 bind 03:00.0
	equal "$(cat "$ROOT/precious")" precious
	[ ! -L "$ROOT/run/vfio-p2p/0000:03:00.0.json" ]
	contains "$(record 0000:03:00.0)" '"driver": "ivshmem"'
	chmod 777 "$ROOT/run/vfio-p2p"
	run 1 bind 04:00.0
	contains "$err" "could not remember its present driver"
	equal "$(override_of 0000:04:00.0)" other
	run 0 unbind 03:00.0
	contains "$err" "cannot be trusted; the kernel chooses"
	chmod 755 "$ROOT/run/vfio-p2p"
	if [ "$(id -u)" = 0 ]; then
		chown 65534 "$ROOT/run/vfio-p2p"
		run 1 bind 04:00.0
		contains "$err" "could not remember its present driver"
		chown 0 "$ROOT/run/vfio-p2p"
	fi
	mv "$ROOT/run/vfio-p2p" "$ROOT/elsewhere"
	ln -s ../elsewhere "$ROOT/run/vfio-p2p"
	run 1 bind 04:00.0
	contains "$err" "could not remember its present driver"
}

overlapping_windows() {
	machine
	refused 2 bind 03:00.0 --window 2+0,16M --window 2+8M,16M
	contains "$err" "2+0,16M and 2+8M,16M overlap"
	refused 2 bind 03:00.0 --window 2+32M --window 2+16M,18M
	contains "$err" "2+32M,32M and 2+16M,18M overlap"
	refused 2 bind 03:00.0 --window 2 --window 2+62M
}

open_device_is_waited_for() {
	bound_and_open
	kernel
	(sleep 0.5; echo closed >"$ROOT/$D/0000:03:00.0/p2p_vfio/state") &
	run 0 unbind --wait 20 03:00.0
	logged "probed 0000:03:00.0"
	# Group users alone do not keep it: the driver's word counts.
	contains "$(cat "$ROOT/log")" "unbind p2p-vfio-pci 0000:03:00.0" "bind stock 0000:03:00.0"
}

one_failure_does_not_keep_others() {
	machine
	kernel
	run 0 bind 03:00.0
	run 1 unbind 04:00.0 03:00.0
	contains "$out" "0000:03:00.0: bound to ivshmem"
	contains "$err" "0000:04:00.0"
}

check "bind: override first, then unbind, then bind; remembered" binds
check "bind: a second time changes nothing" binds_again
check "unbind: driver and override come back" round_trip
check "unbind: a device that had no driver has none again" round_trip_unbound
check "unbind: without a record the kernel chooses" unbind_without_record
check "unbind: so it does with a broken record, and says so" unbind_with_broken_record
check "bind: a probe that fails puts everything back" failed_probe_restores
check "bind: a driver that does not let go, too" stuck_driver_restores
check "bind: the second device's failure puts the first back" second_failure_restores_both
check "bind: siblings in the group are named, or bound together" siblings
check "bind: bridges, no IOMMU, no device" impossible_devices
check "bind: windows that break a rule" bad_windows
check "bind: the kernel's own modprobe is called" module_is_loaded
check "bind: no module" module_is_missing
check "bind: a mounted disk is refused, --force takes it" mounted
check "bind: swap" swapping
check "bind: a member of an array" stacked
check "bind: a mount without the disk's number" mounted_by_name
check "bind: a path of a multipath disk" multipath
check "bind: an idle disk is not refused for another's mount" idle_disk
check "bind: an interface that is up" network
check "unbind: refusals" unbind_refusals
check "unbind: an open device stays, its users are named" open_device_stays
check "unbind: a device of which a window is exported stays, its holders are named" exported_window_stays
check "unbind: mappings count, too" mapped_device_stays
check "unbind: a former owner's DMA is named and waited for" pinned_device_stays
check "unbind: a device that is gone" gone_device_is_given_back
check "bind: a device open through another VFIO driver stays" open_elsewhere
check "unbind: after a bind killed between the drivers" half_way_unbound
check "unbind: a device without a driver, but with a record" half_way_with_record
check "unbind: after a bind killed before the old driver let go" half_way_overridden
check "bind: after one that was killed the record stays" half_way_is_bound
check "bind: a signal puts everything back" interrupted_bind
check "bind: the record cannot be somebody else's" record_is_safe
check "bind: windows that overlap each other" overlapping_windows
check "unbind: --wait" open_device_is_waited_for
check "unbind: one failure does not keep the others" one_failure_does_not_keep_others
finish
