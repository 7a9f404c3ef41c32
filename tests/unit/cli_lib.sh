# SPDX-License-Identifier: MIT
# cli_lib.sh - sourced by the tool's shell tests: cases, trees, TAP
#
# A test is a function; "check TITLE FUNCTION" runs it in a subshell of its own
# with a fresh tree, and it passes if it returns 0.  What it prints is shown if it
# fails.  $TOOL is the tool; $ROOT its machine.

here=$(cd "$(dirname "$0")" && pwd)
TOOL=${VFIO_P2P:?the tool to test}
: "${PYTHON:=python3}"
cases=0
failures=0
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# Reads a description (cli_tree.py) from standard input.
tree() {
	"$PYTHON" "$here/cli_tree.py" "$ROOT"
}

# Plays the kernel (cli_kernel.py) until the case ends.
kernel() {
	"$PYTHON" "$here/cli_kernel.py" "$ROOT" "$@" &
	kernel_pid=$!
	trap 'kill $kernel_pid' EXIT
	while [ ! -e "$ROOT/ready" ]; do sleep 0.02; done
}

# run STATUS COMMAND...: the tool must end with that status.  Leaves $out, $err.
run() {
	wanted=$1
	status=0
	shift
	VFIO_P2P_ROOT=$ROOT timeout 60 "$TOOL" "$@" >"$ROOT/out" 2>"$ROOT/err" </dev/null ||
		status=$?
	out=$(cat "$ROOT/out")
	err=$(cat "$ROOT/err")
	[ "$status" = "$wanted" ] && return 0
	echo "'$*' ended with $status instead of $wanted"
	echo "$out"
	echo "$err"
	return 1
}

# contains TEXT PART...: each part must occur, as it is.
contains() {
	text=$1
	shift
	for part; do
		case $text in
		*"$part"*) ;;
		*)
			printf 'missing: %s\nin: %s\n' "$part" "$text"
			return 1
			;;
		esac
	done
}

# json EXPRESSION: of the parsed output "j", must be true.
json() {
	printf '%s' "$out" | "$PYTHON" -c '
import json, sys
j = json.load(sys.stdin)
if not eval(sys.argv[1]):
    print("false:", sys.argv[1], "in", json.dumps(j))
    sys.exit(1)' "$1"
}

equal() {
	[ "$1" = "$2" ] && return 0
	printf 'have: %s\nwant: %s\n' "$1" "$2"
	return 1
}

# logged LINE: the played kernel, which works behind the tool's back, does so soon.
logged() {
	tries=0
	until grep -qF "$1" "$ROOT/log"; do
		tries=$((tries + 1))
		[ $tries -lt 250 ]
		sleep 0.02
	done
}

check() {
	cases=$((cases + 1))
	ROOT=$scratch/$cases
	mkdir "$ROOT"
	# Not as the condition itself: there "set -e" would have no effect.
	(set -e; "$2") >"$scratch/report" 2>&1
	if [ $? = 0 ]; then
		echo "ok $cases - $1"
	else
		failures=$((failures + 1))
		echo "not ok $cases - $1"
		sed 's/^/# /' "$scratch/report"
	fi
}

# Last in each test.
finish() {
	echo "1..$cases"
	exit $((failures != 0))
}
