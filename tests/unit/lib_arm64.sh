#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The library on another architecture than x86-64: it compiles without a warning, and
# its copies without x86's instructions do what they should.
#
# Theory: what depends on the architecture is in stream.c (no SSE: words), in the
# sign of char and in who includes what; a compiler for arm64 finds the last two.  The
# unit tests that need no libraries but the C library run under qemu-user.  Without the
# compiler, the emulator (tools/deps arm64) or the headers: skipped.
#
# usage: lib_arm64.sh SOURCE_ROOT
src=$1
cc=aarch64-linux-gnu-gcc
command -v $cc qemu-aarch64 >/dev/null || { echo "1..0 # SKIP no $cc or qemu-aarch64: tools/deps arm64"; exit 0; }
root=$(ls -d "${XDG_CACHE_HOME:-$HOME/.cache}"/vfio-p2p/cross/*-arm64-*/usr 2>/dev/null | tail -n 1)
[ -n "$root" ] || { echo "1..0 # SKIP no headers of arm64's liburing: tools/cross-root arm64"; exit 0; }
tmp=$(mktemp -d) || exit 99
trap 'rm -rf "$tmp"' EXIT
n=0 failed=0

check() { # NAME COMMAND...
	n=$((n + 1))
	if "${@:2}" >"$tmp/log" 2>&1; then
		echo "ok $n - $1"
	else
		echo "not ok $n - $1"
		sed 's/^/# /' "$tmp/log"
		failed=1
	fi
}

flags="-std=gnu11 -O2 -Wall -Wextra -Werror -D_GNU_SOURCE -DVP2P_VERSION=\"arm64\" -DPROJECT_VERSION=\"arm64\" -I$src/include -I$src/lib
	-isystem $root/include -isystem $root/include/aarch64-linux-gnu"

library() {
	local file
	mkdir -p "$tmp/o"
	for file in "$src"/lib/*.c; do
		$cc $flags -c -o "$tmp/o/$(basename "$file" .c).o" "$file" || return 1
	done
	aarch64-linux-gnu-ar rcs "$tmp/lib.a" "$tmp"/o/*.o
}

run() { # TEST
	$cc $flags -I"$src/tests/unit" -static -o "$tmp/$1" "$src/tests/unit/$1.c" "$src/tests/unit/fake.c" \
		"$src/tests/unit/tree.c" "$tmp/lib.a" -L"$root/lib/aarch64-linux-gnu" -luring -lpthread &&
		qemu-aarch64 "$tmp/$1"
}

check "the library compiles for arm64" library
check "the copies of its CPU" run lib_stream
check "the plan of a copy" run lib_plan
check "its basics" run lib_basics
echo "1..$n"
exit $failed
