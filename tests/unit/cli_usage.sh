#!/bin/sh
# SPDX-License-Identifier: MIT
# cli_usage.sh - the tool's front door: help, versions, exit statuses
#
# Theory of operation: help that was asked for goes to standard output with status
# 0, help that was not asked for to standard error with status 2; output that
# cannot be written is a failure.
. "$(dirname "$0")/cli_lib.sh"

asked_help() {
	run 0 help
	overview=$out
	contains "$out" "From nothing to a copy:" "Exit status:" "vfio-p2p bind"
	for alias in --help -h '-?'; do
		run 0 "$alias"
		equal "$out" "$overview"
	done
	for status in 0 1 2 3 4 5 6 7; do
		contains "$out" "
  $status  "
	done
}

examples_come_first() {
	run 0 help cp
	case $out in
	*Examples:*--verify*"Exit status"*) ;;
	*) return 1 ;;
	esac
	long=$out
	run 0 cp --help
	contains "$out" "Examples:" "--allow-tail"
	run 0 cp -h
	contains "$out" "Examples:" "--allow-tail"
	[ -n "$long" ]
}

unasked_help() {
	run 2
	equal "$out" ""
	contains "$err" "Usage: vfio-p2p COMMAND"
	run 2 nonsense
	contains "$err" "could not run 'nonsense'" "remedy: use one of: list, bind"
	run 2 help nonsense
	run 2 help list bind
	run 2 list --nonsense
	run 2 cp --size
	run 2 version now
	run 2 list "$(printf -- '--a\033[31m')"
	contains "$err" "'--a\\x1b[31m' has control characters"
	equal "$out" ""
}

manual_page_is_complete() {
	page=$(sed 's/\\-/-/g' "$here/../../man/man1/vfio-p2p.1")
	for command in list bind doctor cp bench status trace window unbind; do
		run 0 help $command
		contains "$page" ".SS $command"
		for option in $(grep -o '^  [ -].*--[a-z-]*' "$ROOT/out" | grep -o -- '--[a-z-]*'); do
			contains "$page" "$option"
		done
	done
	for status in 0 1 2 3 4 5 6 7; do
		contains "$page" ".B $status"
	done
}

versions() {
	run 0 version
	contains "$out" "vfio-p2p " "(libvfio-p2p played)"
	version=$out
	run 0 --version
	equal "$out" "$version"
}

unwritable_output() {
	tree </dev/null
	for command in "list --json" "status" "help cp" "version" "cp --help" "list -?" "bind -h" \
		"status --usage"; do
		status=0
		# shellcheck disable=SC2086
		VFIO_P2P_ROOT=$ROOT "$TOOL" $command >/dev/full 2>"$ROOT/err" || status=$?
		equal "$status" 1
		contains "$(cat "$ROOT/err")" "could not write the output"
	done
}

check "help that was asked for" asked_help
check "examples come before options" examples_come_first
check "wrong command lines" unasked_help
check "the manual page has every command, option and exit status" manual_page_is_complete
check "version" versions
# What root runs must not take its machine from the environment.
environment_is_ignored() {
	tree <<-END
	device 0000:3f:1e.5 dead:beef group=12 bar2=0x380000000000/64M/64/pref
	END
	run 0 list
	contains "$out" "[dead:beef]"
	VFIO_P2P_ROOT=$ROOT "$VFIO_P2P_INSTALLED" list >"$ROOT/out" 2>&1
	if grep -q dead:beef "$ROOT/out"; then return 1; fi
}

# Opening resets, and so does closing: both texts say what that means for a copy.
resets_are_told() {
	page=$(tr '\n' ' ' <"$here/../../man/man1/vfio-p2p.1")
	contains "$page" "Opening a device resets it and closing it does so again" \
		"libvfio-p2p (3)" "ACLs"
	run 0 cp --help
	contains "$(tr -s ' \n' ' ' <"$ROOT/out")" \
		"Opening a device resets it and closing it does so again" "outlives a reset"
}

check "the installed tool does not take its machine from the environment" environment_is_ignored
check "that a copy is followed by a reset" resets_are_told
check "output that cannot be written is a failure" unwritable_output
finish
