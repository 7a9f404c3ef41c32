#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The pkg-config file, as generated, names the project's version and links.
#
# Theory: an installed copy is what users build against.  So it is installed into a
# scratch directory and a program is built with nothing but what pkg-config says.
#
# usage: lib_pkgconfig.sh BUILD_ROOT SOURCE_ROOT VERSION
set -u
build=$1 src=$2 version=$3
tmp=$(mktemp -d) || exit 99
trap 'rm -rf "$tmp"' EXIT
n=0 failed=0

check() # NAME COMMAND...
{
	n=$((n + 1))
	name=$1
	shift
	if "$@" >"$tmp/log" 2>&1; then
		echo "ok $n - $name"
	else
		echo "not ok $n - $name"
		sed 's/^/# /' "$tmp/log"
		failed=1
	fi
}

echo 1..4
check "install" meson install -C "$build" --no-rebuild --destdir "$tmp/root" \
	--skip-subprojects
pc=$(find "$tmp/root" -name libvfio-p2p.pc | head -n 1)
PKG_CONFIG_PATH=$(dirname "$pc")
PKG_CONFIG_SYSROOT_DIR=$tmp/root
export PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR
check "the version" test "$(pkg-config --modversion libvfio-p2p)" = "$version"
libdir=$tmp/root$(PKG_CONFIG_SYSROOT_DIR='' pkg-config --variable=libdir libvfio-p2p)
# shellcheck disable=SC2046 # flags are words
check "a program builds" cc ${SANITIZE:-} -o "$tmp/program" "$src/tests/unit/lib_header.c" \
	$(pkg-config --cflags --libs libvfio-p2p)
check "and runs" env LD_LIBRARY_PATH="$libdir" "$tmp/program"
exit $failed
