#!/bin/sh
# SPDX-License-Identifier: MIT
# system.sh - what makes a system of it: the configuration, the group's node, DKMS's reasons
#
# Theory of operation: the scripts are run with a command that only says how it was called,
# with a folder that plays the driver's, and with kernels of our own.  A line of the
# configuration that fails must not keep the next one back, and must be told by the status;
# only what is bound is given back; what is no option's value must not be taken for a
# device; and a kernel that the module does not build for must be named with its reason.
# usage: system.sh SOURCE_ROOT
set -u
src=$1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
n=0 failures=0

check() {
	title=$1
	shift
	n=$((n + 1))
	if "$@"; then
		echo "ok $n - $title"
	else
		echo "not ok $n - $title"
		sed 's/^/# /' "$scratch/out"
		failures=1
	fi
}

cat >"$scratch/command" <<END
#!/bin/sh
echo "\$@"
[ "\$2" != 0000:05:00.0 ]
END
chmod +x "$scratch/command"
mkdir -p "$scratch/driver/0000:03:00.0" "$scratch/driver/0000:04:00.1"
ln -s ../../groups/17 "$scratch/driver/0000:03:00.0/iommu_group"

configured() {
	VFIO_P2P_CONF=$scratch/conf VFIO_P2P=$scratch/command VFIO_P2P_DRIVER=$scratch/driver \
		sh "$src/system/configured.in" "$1" >"$scratch/out" 2>&1
}

# it_calls STATUS ACTION LINE...: the command is called so, line by line.
it_calls() {
	wanted=$1
	action=$2
	shift 2
	status=0
	configured "$action" || status=$?
	[ "$status" = "$wanted" ] && [ "$(cat "$scratch/out")" = "$(printf '%s\n' "$@")" ]
}

owns() { VFIO_P2P_DRIVER=$scratch/driver sh "$src/system/owns-group" "$1"; }
owns_not() { ! owns "$1"; }

printf '%s\n' '# nothing' '' '  ' >"$scratch/conf"
echo 1..12
check "comments bind nothing" it_calls 0 bind ""
printf '%s\n' '0000:05:00.0 --window 2' '03:00.0 --window 2+16M,32M # a comment' >"$scratch/conf"
printf '0000:04:00.1 0000:04:00.0 *' >>"$scratch/conf"
check "each line is one bind, whatever became of the others" it_calls 1 bind \
	"bind 0000:05:00.0 --window 2" "bind 03:00.0 --window 2+16M,32M" \
	"bind 0000:04:00.1 0000:04:00.0 *"
check "what is bound is given back, and no more" it_calls 0 unbind \
	"unbind 0000:03:00.0" "unbind 0000:04:00.1"
rm "$scratch/conf"
check "no file, nothing to do" it_calls 0 bind ""
check "another word is refused" it_calls 2 nonsense "usage: configured bind | unbind"
check "the group of a bound device is ours" owns 17
check "another is not" owns_not 1
check "nor one whose number only begins so" owns_not 171

why_not() { VFIO_P2P_MODULES=$scratch/modules sh "$src/debian/why_not" "$1" >"$scratch/out" 2>&1; }
kernel() {
	mkdir -p "$scratch/modules/$1/build/include/config"
	config=$scratch/modules/$1/build/include/config/auto.conf
	shift
	printf 'CONFIG_%s=y\n' "$@" >"$config"
}
tells() {
	why_not "$1"
	[ "$(sed 's/;.*//' "$scratch/out")" = "$2" ]
}

kernel 6.12.1-amd64 TRANSPARENT_HUGEPAGE VFIO_PCI
kernel 6.18.1-amd64 TRANSPARENT_HUGEPAGE VFIO_PCI PCI_P2PDMA
kernel 7.3.4-amd64 TRANSPARENT_HUGEPAGE VFIO_PCI PCI_P2PDMA
kernel 7.3.4-rt-amd64 VFIO_PCI PCI_P2PDMA
check "a kernel without an option is told so" tells 6.12.1-amd64 \
	"p2p-vfio-dkms: no module for Linux 6.12.1-amd64, because it is built without CONFIG_PCI_P2PDMA"
check "one of another series, too" tells 6.18.1-amd64 \
	"p2p-vfio-dkms: no module for Linux 6.18.1-amd64, because it is neither a 7.2 nor a 7.3"
check "of one that it builds for nothing is said" tells 7.3.4-amd64 ""
check "nor of one without huge pages" tells 7.3.4-rt-amd64 ""
exit $failures
