#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What the library exports, what the map lists, what the header declares, what has a
# manual page, what docs/library.md names, what the Debian package promises and what
# the unit tests call are one and the same set of names.
#
# Theory: each of them is written by hand, so each forgets in its own way.  The set of
# each is compared with the map's, both ways (but the tests call more than functions
# of the library, so there only what is missing counts).  The archive is looked at too:
# it must bring no global name without the prefix, and need nothing that a static
# program in an initramfs lacks.
#
# usage: lib_symbols.sh SOURCE_ROOT SHARED_LIBRARY STATIC_LIBRARY
set -u
src=$1 so=$2 ar=$3
tmp=$(mktemp -d) || exit 99
trap 'rm -rf "$tmp"' EXIT
n=0 failed=0

# check NAME: passes if $tmp/rest is empty.
check()
{
	n=$((n + 1))
	if [ -s "$tmp/rest" ]; then
		echo "not ok $n - $1"
		sed 's/^/# /' "$tmp/rest"
		failed=1
	else
		echo "ok $n - $1"
	fi
}

# Only the part of the set that differs is left.
differ()
{
	sort -u "$1" >"$tmp/a"
	sort -u "$2" >"$tmp/b"
	comm -3 "$tmp/a" "$tmp/b" >"$tmp/rest"
}

sed -n 's/^[[:space:]]*\(vp2p_[a-z0-9_]*\);.*/\1/p' "$src/lib/libvfio-p2p.map" >"$tmp/map"
nm -D --defined-only "$so" | awk '$2 == "T" { sub(/@.*/, "", $3); print $3 }' >"$tmp/so"
# Declarations start at the margin; comments and members do not look like that.
sed -n 's/^[a-z][a-z0-9_ \*]*[ \*]\(vp2p_[a-z0-9_]*\)(.*/\1/p' "$src/include/vfio-p2p.h" |
	grep -v _fn >"$tmp/header"
ls "$src/man/man3" | sed -n 's/^\(vp2p_[a-z0-9_]*\)\.3$/\1/p' >"$tmp/man"

# Functions whose page, or the page it stands for, does not speak of them.
undocumented()
{
	while read -r name; do
		page=$src/man/man3/$name.3
		alias=$(sed -n 's/^\.so man3\///p' "$page")
		[ -z "$alias" ] || page=$src/man/man3/$alias
		grep -qw "$name" "$page" || echo "$name"
	done
}

echo 1..11
: >"$tmp/rest"
[ "$(wc -l <"$tmp/map")" -ge 30 ] || echo "too few names" >"$tmp/rest"
check "the map lists names"
differ "$tmp/map" "$tmp/so"
check "the shared library exports what the map lists"
differ "$tmp/map" "$tmp/header"
check "the header declares what the map lists"
differ "$tmp/map" "$tmp/man"
check "every function has a manual page"
undocumented <"$tmp/map" >"$tmp/rest" 2>&1
check "... which speaks of it"
grep -oh 'vp2p_[a-z0-9_]*()' "$src/docs/library.md" | sed 's/()//' >"$tmp/docs"
differ "$tmp/map" "$tmp/docs"
check "docs/library.md names every function, and no other"
grep -oh 'vp2p_[a-z0-9_]*(' "$src"/tests/unit/lib_*.c | sed 's/(//' | sort -u >"$tmp/tests"
sort -u "$tmp/map" | comm -23 - "$tmp/tests" >"$tmp/rest"
check "a test of the library calls every function"
sed -n 's/^ \(vp2p_[a-z0-9_]*\)@VP2P.*/\1/p' "$src/debian/libvfio-p2p0.symbols" >"$tmp/debian"
differ "$tmp/map" "$tmp/debian"
check "the Debian package's list has what the map lists"
nm -D --defined-only "$so" | awk '$2 != "A" && $3 !~ /@@VP2P_0\.1$/' >"$tmp/rest"
check "every exported symbol has the version VP2P_0.1"
nm -g --defined-only "$ar" 2>/dev/null |
	awk 'NF == 3 && $3 !~ /^vp2p_/ && $3 !~ /asan|ubsan|odr/' >"$tmp/rest"
check "the archive's global names have the prefix"
nm -u "$ar" 2>/dev/null | grep -wE 'dlopen|getpwnam|getaddrinfo|iconv_open' >"$tmp/rest"
check "the archive needs nothing that does not link statically"
exit $failed
