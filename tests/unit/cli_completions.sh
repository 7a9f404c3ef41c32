#!/bin/bash
# SPDX-License-Identifier: MIT
# cli_completions.sh - what the shells are told to complete
#
# Theory of operation: the scripts are printed from the command table, so what can be
# wrong is how they use it.  The one for bash is sourced and asked as readline would ask,
# with devices of our own; words with colons come in pieces there, and only the last piece
# may be answered.  Both are read by their shells, which must find no fault.
# usage: cli_completions.sh PRINTER
set -u
printer=$1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
n=0 failures=0

"$printer" bash >"$scratch/bash" && . "$scratch/bash"
"$printer" zsh >"$scratch/zsh"
_vfio_p2p_devices() {
	[ "$1" = bound ] || echo 0000:04:00.0
	echo 0000:03:00.0
}

say() {
	n=$((n + 1))
	if [ "$1" = 0 ]; then
		echo "ok $n - $2"
	else
		failures=1
		echo "not ok $n - $2"
	fi
}

# completes LINE WORD...: exactly these.
completes() {
	local line=$1 found
	shift
	COMP_LINE=$line COMP_POINT=${#line}
	_vfio_p2p
	found=${COMPREPLY[*]-}
	[ "$found" = "$*" ]
	say $? "'$line': $*"
	[ "$found" = "$*" ] || echo "# found: $found"
}

echo 1..16
cd "$scratch" || exit 99
touch data-file
completes "vfio-p2p b" bind bench
completes "vfio-p2p help uns"
completes "vfio-p2p help unb" unbind
completes "vfio-p2p bind --w" --window
completes "vfio-p2p bind --window "
completes "vfio-p2p bind 0000:" 04:00.0 03:00.0
completes "vfio-p2p unbind 0000:" 03:00.0
completes "vfio-p2p unbind 0000:03:00.0 0000:03" 03:00.0
completes "vfio-p2p window " add remove 0000:03:00.0
completes "vfio-p2p cp data" data-file
completes "vfio-p2p bench --svg data" data-file
completes "vfio-p2p doctor --disk data" data-file
completes "vfio-p2p nonsense "
COMP_LINE='vfio-p2p help ' COMP_POINT=14
_vfio_p2p
[ ${#COMPREPLY[@]} = "$(grep -c "^		'[a-z]*:" "$scratch/zsh")" ]
say $? "both know the same number of commands"
bash -n "$scratch/bash"
say $? "bash finds no fault"
if command -v zsh >/dev/null; then
	zsh -n "$scratch/zsh"
	say $? "zsh finds no fault"
else
	echo "ok $((n + 1)) - zsh finds no fault # SKIP there is no zsh"
fi
exit $failures
