#!/usr/bin/env bash
# Installs what Go does not bring, and does nothing where it is already there.
#
#   setup.sh compiler   a C compiler: Go's race detector and the SQLite library need one
#   setup.sh clients    the real clients of the tests: mosquitto's, boto3, and the npm ones
#                       pinned in cmd/greengate/testdata/clients and functions/endpoint/testdata/clients;
#                       and a PKCS#11 token in software
#   setup.sh browser    what the tests of the status page want: a Chromium, and promtool
#   setup.sh vm         the virtual machines in which power is cut, and which has pins:
#                       QEMU, and kernels of Debian's (testvm, testvm/gpio)
#   setup.sh pi         the emulated Raspberry Pi 3, and a compiler for it (testvm/pi3)
#   setup.sh systemd    the virtual machines with systemd (testvm/systemd): of this computer's
#                       Debian, and of Debian 12 and 13
#   setup.sh containers what builds and runs the container: buildah, podman, docker-compose
#   setup.sh peers      what greengate is compared with: mosquitto's broker, without its service
#   setup.sh packages   what makes the packages: nfpm, and Debian's cross compilers; and what
#                       tries them: lintian, and an emulator of the other processors
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
	# The tests ask Debian's Python: another one on the path may have another boto3, or none.
	/usr/bin/python3 -c 'import boto3' 2>/dev/null || missing+=(python3-boto3)
	# A PKCS#11 token in software, and what tells of each call into it.
	command -v softhsm2-util >/dev/null || missing+=(softhsm2)
	compgen -G '/usr/lib/*/pkcs11-spy.so' >/dev/null || missing+=(opensc-pkcs11)
	[ ${#missing[@]} -eq 0 ] || install "${missing[@]}"

	runtimes
	cd cmd/greengate/testdata/clients
	# npm writes this file last: it is as new as the lock only after a whole install.
	if [ ! node_modules/.package-lock.json -nt package-lock.json ]; then
		echo "installing the npm clients" >&2
		npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2
	fi
}

# runtimes installs the npm clients of local functions. AWS's runtime client for Node.js has
# a part in C++ that takes minutes to build, so it is kept outside of the clone.
runtimes() {
	local pinned=functions/endpoint/testdata/clients kept=${XDG_CACHE_HOME:-$HOME/.cache}/greengate-tools/runtimes
	if cmp -s "$pinned/package-lock.json" "$kept/package-lock.json" &&
		[ -e "$kept/node_modules/aws-lambda-ric/dist/rapid-client.node" ]; then
		return
	fi
	missing=()
	need autoconf autoconf
	need automake automake
	need libtool libtoolize
	need cmake cmake
	need make make
	need g++ g++
	[ -e /usr/include/node/node_api.h ] || missing+=(libnode-dev)
	[ ${#missing[@]} -eq 0 ] || install "${missing[@]}"
	echo "building the npm clients of local functions (this takes a minute or more)" >&2
	mkdir -p "$kept"
	rm -rf "$kept/node_modules"
	cp "$pinned/package.json" "$pinned/package-lock.json" "$kept"
	# The headers are those of the Node.js that runs it, not a download.
	(cd "$kept" && npm_config_nodedir=/usr npm ci --no-audit --no-fund --loglevel=error >&2)
}

# browser is not to keep anybody from the other tests: those that want it skip without.
browser() {
	local missing=()
	command -v chromium >/dev/null || missing+=(chromium)
	command -v promtool >/dev/null || missing+=(prometheus)
	[ ${#missing[@]} -eq 0 ] || (install "${missing[@]}") || echo "the tests of the status page that want it are skipped" >&2
}

# here tells whether this computer can be the host of the virtual machines.
here() {
	[ "$(uname -m)" = x86_64 ] || { echo "the virtual machines are for an x86_64; their tests are skipped here" >&2 && return 1; }
}

# need PACKAGE PROGRAM... installs the package if one of the programs is missing.
missing=()
need() {
	local package=$1 program
	shift
	for program in "$@"; do
		PATH=$PATH:/usr/sbin:/sbin command -v "$program" >/dev/null || { missing+=("$package") && return; }
	done
}

# make_machine FOLDER... installs what is missing, and makes the machines.
make_machine() {
	local folder
	# The busybox that Debian has beside it needs libraries, which are not in a machine.
	if ! command -v busybox >/dev/null || ldd "$(command -v busybox)" >/dev/null 2>&1; then
		missing+=(busybox-static)
	fi
	[ ${#missing[@]} -eq 0 ] || install "${missing[@]}"
	for folder in "$@"; do
		"$folder/setup.sh" >/dev/null || { refresh && "$folder/setup.sh" >/dev/null; }
	done
}

vm() {
	here || return 0
	compiler
	need qemu-system-x86 qemu-system-x86_64
	need e2fsprogs debugfs
	# The drivers of the pins are compiled.
	need kmod modprobe
	need make make
	need xz-utils xz
	[ -e /usr/lib/x86_64-linux-gnu/libelf.so.1 ] || missing+=(libelf1)
	make_machine testvm testvm/gpio
}

pi() {
	here || return 0
	compiler
	need qemu-system-arm qemu-system-aarch64
	need kmod modprobe
	need gcc-aarch64-linux-gnu aarch64-linux-gnu-gcc
	[ -e /usr/aarch64-linux-gnu/include/stdlib.h ] || missing+=(libc6-dev-arm64-cross)
	armv6
	need qemu-user-static qemu-arm-static
	make_machine testvm/pi3
}

systemd() {
	here || return 0
	vm
	missing=()
	need mmdebstrap mmdebstrap
	make_machine testvm/systemd
	missing=()
	local suite
	for suite in bookworm trixie; do
		TESTVM_SUITE=$suite make_machine testvm/systemd
	done
}

# containers is not to keep anybody from the other tests, either.
containers() {
	missing=()
	need buildah buildah
	need podman podman
	need runc runc
	need docker-compose docker-compose
	[ ${#missing[@]} -eq 0 ] || (install "${missing[@]}") || echo "the test of the container is skipped" >&2
}

# peers wants the broker's program. The service that comes with it must not run: nobody
# asked for a broker on this computer. Where there is one already, it stays as it is.
peers() {
	compiler
	[ -x /usr/sbin/mosquitto ] || command -v mosquitto >/dev/null || without_services mosquitto
}

# without_services PACKAGE... installs packages whose services, of the same names, neither
# start now nor at the next boot.
without_services() {
	local policy=/usr/sbin/policy-rc.d
	if [ ! -e $policy ]; then
		# Debian's scripts ask this program whether they may start something.
		trap "as_root rm -f $policy" EXIT # also when nothing can be installed
		printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null && as_root chmod 755 $policy || give_up "$@"
	fi
	install "$@"
	if [ -d /run/systemd/system ]; then
		as_root systemctl -q disable --now "$@"
	fi
}

# armv6 is what makes the program for a Pi Zero.
armv6() {
	need gcc-arm-linux-gnueabi arm-linux-gnueabi-gcc
	[ -e /usr/arm-linux-gnueabi/include/stdlib.h ] || missing+=(libc6-dev-armel-cross)
}

packages() {
	compiler
	[ "$(uname -m)" = x86_64 ] || need gcc-x86-64-linux-gnu x86_64-linux-gnu-gcc
	need gcc-aarch64-linux-gnu aarch64-linux-gnu-gcc
	need gcc-arm-linux-gnueabihf arm-linux-gnueabihf-gcc
	armv6
	[ -e /usr/aarch64-linux-gnu/include/stdlib.h ] || missing+=(libc6-dev-arm64-cross)
	[ -e /usr/arm-linux-gnueabihf/include/stdlib.h ] || missing+=(libc6-dev-armhf-cross)
	need lintian lintian
	need qemu-user-static qemu-aarch64-static qemu-arm-static
	[ ${#missing[@]} -eq 0 ] || install "${missing[@]}"
	nfpm
}

# nfpm makes packages. It is kept out of go.mod, which it would make five times as long.
nfpm() {
	local version=v2.43.0 tools=${XDG_CACHE_HOME:-$HOME/.cache}/greengate-tools
	if ! go version -m "$tools/nfpm" 2>/dev/null | grep -q "nfpm/v2[[:space:]]$version"; then
		echo "installing nfpm $version" >&2
		(cd / && GOFLAGS= GOBIN=$tools go install "github.com/goreleaser/nfpm/v2/cmd/nfpm@$version")
	fi
}

case ${1:-} in
compiler | clients | browser | vm | pi | systemd | packages | containers | peers) "$1" ;;
*)
	echo "usage: setup.sh compiler|clients|browser|vm|pi|systemd|packages|containers|peers" >&2
	exit 2
	;;
esac
