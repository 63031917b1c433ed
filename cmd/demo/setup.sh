#!/usr/bin/env bash
# Installs what Go does not bring, and does nothing where it is already there.
#
#   setup.sh compiler   a C compiler: Go's race detector and the SQLite library need one
#   setup.sh clients    the real clients of the tests: mosquitto's, and the npm ones pinned
#                       in cmd/greengate/testdata/clients
#   setup.sh vm         the virtual machine in which power is cut: QEMU, and a kernel
#                       of Debian's (testvm)
#
# Where installing is impossible it says in one line what to type, and fails.
set -euo pipefail
cd "$(dirname "$0")/../.."

# as_root COMMAND... runs it as root, if we may.
as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	elif ! command -v sudo >/dev/null; then
		return 1
	elif [ -t 0 ]; then
		sudo "$@"
	else
		sudo -n "$@" # nobody is there to type a password
	fi
}

# refresh gets the lists of packages: those of a fresh machine are empty or old. One that
# fails is no reason to stop while the packages can be had.
refresh() {
	as_root apt-get -qq -o DPkg::Lock::Timeout=300 update >/dev/null || true
}

# install PACKAGE... gets Debian packages.
install() {
	command -v apt-get >/dev/null || give_up "$@"
	echo "installing $*" >&2
	refresh
	as_root env DEBIAN_FRONTEND=noninteractive \
		apt-get install -y --no-install-recommends -qq -o DPkg::Lock::Timeout=300 "$@" >/dev/null || give_up "$@"
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

vm() {
	if [ "$(uname -m)" != x86_64 ]; then
		echo "the virtual machine is an x86_64; its tests are skipped here" >&2
		return
	fi
	local missing=()
	command -v qemu-system-x86_64 >/dev/null || missing+=(qemu-system-x86)
	PATH=$PATH:/usr/sbin command -v debugfs >/dev/null || missing+=(e2fsprogs)
	# The busybox that Debian has beside it needs libraries, which are not in the machine.
	if ! command -v busybox >/dev/null || ldd "$(command -v busybox)" >/dev/null 2>&1; then
		missing+=(busybox-static)
	fi
	[ ${#missing[@]} -eq 0 ] || install "${missing[@]}"
	testvm/setup.sh >/dev/null || { refresh && testvm/setup.sh >/dev/null; }
}

case ${1:-} in
compiler | clients | vm) "$1" ;;
*)
	echo "usage: setup.sh compiler|clients|vm" >&2
	exit 2
	;;
esac
