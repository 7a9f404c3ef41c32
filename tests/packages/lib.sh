# SPDX-License-Identifier: MIT
# Sourced by the tests of the packages.  A check is a line on descriptor 4; all that is
# printed besides is shown with it.
set -u
PACKAGES="vfio-p2p libvfio-p2p0 libvfio-p2p-dev p2p-vfio-dkms"
KERNEL=$(uname -r)
export DEBIAN_FRONTEND=noninteractive

# check TITLE COMMAND...: passes if the command succeeds.
check() {
	local title=$1
	shift
	if "$@"; then
		echo "ok - $title" >&4
	else
		echo "not ok - $title # status $?: $*" >&4
	fi
}

# says FILE WORDS: they are in it, as they are.
says() { grep -qF -- "$2" "$1" || { cat "$1"; return 1; }; }
not() { ! "$@"; }

# The PCI address of the target, by its identity: addresses are the firmware's affair.
target() { basename "$(dirname "$(grep -l 0x1110 /sys/bus/pci/devices/*/device)")"; }
driver() { basename "$(readlink "/sys/bus/pci/devices/$(target)/driver")"; }

install_all() { (cd "/run/packages/$1" && apt-get -y install ./*.deb) </dev/null; }

# Every name on the disk but those that say only that apt, dpkg or a program has run.
names() {
	find / -xdev \( -path /root -o -path /tmp -o -path /var/tmp -o -path /var/log -o -path /var/cache \
		-o -path /var/lib/apt -o -path /var/lib/systemd \) -prune -o -print |
		grep -v -e '^/var/lib/dkms/mok\.' -e '^/var/lib/dpkg/[^/]*-old$' | sort
}
