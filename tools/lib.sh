# SPDX-License-Identifier: MIT
# What the tools in this folder share: messages, the cache, and a private apt
# that reads the machine's mirror and proxy settings but changes nothing on it.
# To be sourced by bash.

set -euo pipefail
export LC_ALL=C

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/vfio-p2p
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

# die WHAT REMEDY...
die() {
	say "error: $1"
	shift
	for line; do say "  $line"; done
	exit 1
}

need() {
	local tool
	for tool; do
		command -v "$tool" >/dev/null ||
			die "the program '$tool' is missing" "install it: tools/deps"
	done
}

# Hold NAME's lock until this process ends: a second run waits, then finds the
# work done.  The lock lives beside the data, never inside what gets renamed.
# Children inherit the lock unless they are started with 9>&-.
lock() {
	mkdir -p "$CACHE/locks"
	exec 9>"$CACHE/locks/$1"
	flock 9
}

# The address this machine fetches Debian itself from, by its own apt
# configuration: a mirror, a cache or an offline copy works without asking.
mirror() {
	local codename uri
	if [ -n "${VFIO_P2P_MIRROR:-}" ]; then
		echo "$VFIO_P2P_MIRROR"
		return
	fi
	codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
	uri=$(apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' 2>/dev/null |
		awk -v c="$codename" '($1 == c || $1 ~ /^(old)*stable$/) && $2 == "main" { print $3; exit }')
	[ -n "$uri" ] ||
		die "apt on this machine has no source for Debian '$codename' main" \
			"tried: apt-get indextargets" \
			"name a mirror: VFIO_P2P_MIRROR=<address of a debian/ folder> ${0##*/} ..."
	echo "$uri"
}

# private_apt_setup 'SUITE...' [ARCHITECTURE | source]: fills the array APT with the
# options that give apt its own sources, lists and cache.  Of several suites the first is
# preferred.  Signatures are checked as always.
private_apt_setup() {
	local uri arch=${2:-amd64} kind=deb suite
	APT_DIR=$CACHE/apt/${1// /+}
	[ "$arch" = amd64 ] || APT_DIR+=-$arch
	[ "$arch" != source ] || kind=deb-src arch=amd64
	uri=$(mirror)
	[ -r "$KEYRING" ] || die "no Debian signing keys at $KEYRING" "install debian-archive-keyring"
	mkdir -p "$APT_DIR/lists/partial" "$APT_DIR/cache/archives/partial" "$APT_DIR/parts"
	: >"$APT_DIR/status"
	for suite in $1; do
		echo "$kind [arch=$arch signed-by=$KEYRING] $uri $suite main"
	done >"$APT_DIR/sources.list"
	APT=(-qq -o "Dir::State=$APT_DIR" -o "Dir::State::lists=$APT_DIR/lists"
		-o "Dir::State::status=$APT_DIR/status" -o "Dir::Cache=$APT_DIR/cache"
		-o "Dir::Etc::sourcelist=$APT_DIR/sources.list"
		-o "Dir::Etc::sourceparts=$APT_DIR/parts"
		-o "Dir::Etc::preferencesparts=$APT_DIR/parts"
		-o "APT::Default-Release=${1%% *}"
		-o "APT::Architecture=$arch" -o "APT::Architectures=$arch" -o Acquire::Languages=none
		# _apt cannot enter a home directory; the files are checked by hash anyway.
		-o "APT::Sandbox::User=$(id -un)" -o Acquire::Retries=3)
}

# Fetch the package lists, at most once in six hours unless forced.
# Fails, with apt's own words on stderr, when the archive is out of reach.
private_apt_update() {
	local stamp=$APT_DIR/updated
	if [ "${1:-}" != force ] && [ -n "$(find "$stamp" -mmin -360 2>/dev/null)" ] &&
		cmp -s "$stamp" "$APT_DIR/sources.list"; then
		return 0
	fi
	apt-get "${APT[@]}" -o APT::Update::Error-Mode=any update >&2 || return 1
	cp "$APT_DIR/sources.list" "$stamp"
}

# newest_version PACKAGE: the newest of the archive that private_apt_setup has named.
newest_version() {
	private_apt_update || return 1
	apt-cache "${APT[@]}" show --no-all-versions "$1" 2>/dev/null | sed -n 's/^Version: //p' | grep .
}

# unpack FOLDER ROOT: all packages of a folder.  It says when one could not be.
unpack() {
	local deb
	for deb in "$1"/*.deb; do
		dpkg-deb -x "$deb" "$2" || return 1
	done
}

# The kernel's source, as Debian packs it.
SOURCE_SUITE=trixie-backports

# source_version SERIES: the newest that the archive has.
source_version() {
	private_apt_setup "$SOURCE_SUITE"
	newest_version "linux-source-$1"
}

# fetch_source SERIES VERSION DIR: leaves linux-source-SERIES.tar.xz in DIR.
fetch_source() {
	local series=$1 version=$2 dir=$3
	private_apt_setup "$SOURCE_SUITE"
	say "fetching the source of $series ($version), about 170 MB"
	(cd "$dir" && apt-get "${APT[@]}" download "linux-source-$series=$version" >&2) || return 1
	dpkg-deb --fsys-tarfile "$dir"/linux-source-*.deb |
		tar -xf - -C "$dir" --transform 's|.*/||' "./usr/src/linux-source-$series.tar.xz"
	rm "$dir"/linux-source-*.deb
}
