#!/usr/bin/env bash
# Installs what Go does not bring, and does nothing where it is already there.
#
#   setup.sh compiler   a C compiler: Go's race detector and the SQLite library need one
#   setup.sh clients    the real clients of the tests: mosquitto's, and the npm ones pinned
#                       in cmd/greengate/testdata/clients
#
# Where installing is impossible it says in one line what to type, and fails.
set -euo pipefail
cd "$(dirname "$0")/../.."

# install PACKAGE... gets Debian packages.
install() {
	local get=(apt-get install -y --no-install-recommends "$@")
	local as=()
	if [ "$(id -u)" -ne 0 ]; then
		as=(sudo)
		[ -t 0 ] || as=(sudo -n) # nobody is there to type a password
	fi
	if ! command -v apt-get >/dev/null || { [ ${#as[@]} -gt 0 ] && ! command -v sudo >/dev/null; }; then
		give_up "$@"
	fi
	echo "installing $*" >&2
	as+=(env DEBIAN_FRONTEND=noninteractive)
	# The lists of a fresh machine are empty or old, so they are fetched first;
	# a list that fails is no reason to stop while the packages can be had.
	"${as[@]}" apt-get -qq -o DPkg::Lock::Timeout=300 update >/dev/null || true
	"${as[@]}" "${get[@]}" -qq -o DPkg::Lock::Timeout=300 >/dev/null || give_up "$@"
}

give_up() {
	echo "missing: $* (type: sudo apt-get install -y --no-install-recommends $*)" >&2
	exit 1
}

compiler() {
	# A compiler without the C library's headers is no help, so try both at once.
	if ! echo '#include <stdlib.h>' | ${CC:-gcc} -E - >/dev/null 2>&1; then
		install gcc libc6-dev
	fi
}

clients() {
	local missing=()
	command -v mosquitto_pub >/dev/null || missing+=(mosquitto-clients)
	command -v node >/dev/null || missing+=(nodejs)
	command -v npm >/dev/null || missing+=(npm)
	[ ${#missing[@]} -eq 0 ] || install "${missing[@]}"

	cd cmd/greengate/testdata/clients
	# npm writes this file last: it is as new as the lock only after a whole install.
	if [ ! node_modules/.package-lock.json -nt package-lock.json ]; then
		echo "installing the npm clients" >&2
		npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2
	fi
}

case ${1:-} in
compiler | clients) "$1" ;;
*)
	echo "usage: setup.sh compiler|clients" >&2
	exit 2
	;;
esac
