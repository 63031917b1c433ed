#!/usr/bin/env bash
# setup.sh makes what the emulated Raspberry Pi 3 boots, once, and prints the folder in
# which it is: Debian's arm64 kernel, the board's device tree, and `base.cpio`, a root
# with busybox, the board's drivers and `init`. It installs nothing and needs no root;
# `cmd/demo/setup.sh pi` gets the programs that it uses.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../lib.sh"

# modules are what `init` loads, in that order; what they need themselves comes first.
modules=(bcm2835_wdt i2c-dev i2c-bcm2835 spi-bcm2835 wire w1_therm w1-gpio)

# site SUITE is the archive from which this computer's apt gets that suite.
site() {
	apt-get indextargets --format '$(SITE) $(RELEASE)' | awk -v suite="$1" '$2 == suite { print $1; exit }'
}

# arm64 has apt get packages of arm64 from the same archives, with a state of its own:
# the computer's architectures and sources stay as they are.
arm64() {
	local suite archive from
	suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
	mkdir -p apt/{lists,archives}/partial apt/parts
	for suite in "$suite" "$suite-security"; do
		archive=$(site "$suite")
		from='[arch=arm64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]'
		[ -z "$archive" ] || echo "deb $from $archive $suite main"
	done >apt/sources.list
	[ -s apt/sources.list ] || give_up "Debian's archive is not known here (type: sudo apt-get update)"
	apt=(-o Dir::Etc::SourceList="$PWD/apt/sources.list" -o Dir::Etc::SourceParts="$PWD/apt/parts"
		-o Dir::State::Lists="$PWD/apt/lists" -o Dir::Cache::Archives="$PWD/apt/archives"
		-o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= -o APT::Sandbox::User="$(id -un)"
		-o APT::Architectures::="$(dpkg --print-architecture)" -o APT::Architectures::=arm64)
	apt-get -qq "${apt[@]}" update >&2 || give_up "the packages of arm64 cannot be listed"
}

# root VERSION fills the folder root.
root() {
	local module file name
	mkdir -p root/{bin,dev,etc,proc,sys,tmp} root/lib/modules
	cp debian/bin/busybox root/bin/busybox
	cp "$here/init" root/init
	chmod 755 root/init
	echo 'root:x:0:0:root:/:/bin/sh' >root/etc/passwd
	echo 127.0.0.1 localhost >root/etc/hosts
	depmod -b debian "$1"
	for module in "${modules[@]}"; do
		for file in $(modprobe -d "$PWD/debian" -S "$1" --show-depends "$module" | awk '/^insmod/ { print $2 }'); do
			name=$(basename "$file")
			[ ! -e "root/lib/modules/$name" ] || continue
			cp "$file" root/lib/modules
			echo "$name" >>root/lib/modules/order
		done
	done
}

if fresh "$cache/pi3/base.cpio" "$here"/{init,setup.sh}; then
	echo "$cache/pi3"
	exit
fi
workshop
arm64
package=$(apt-cache "${apt[@]}" depends linux-image-arm64:arm64 | sed -n 's/.*Depends: \(linux-image-[^:]*\).*/\1/p' | tail -n 1)
[ -n "$package" ] || give_up "Debian's package linux-image-arm64 is not known here"
version=${package#linux-image-}
echo "making the emulated Raspberry Pi 3 of $package" >&2
unpack debian "$package:arm64" busybox-static:arm64
root "$version"
archive root >base.cpio
mkdir -p "$cache/pi3"
mv "debian/boot/vmlinuz-$version" "$cache/pi3/kernel"
mv "debian/usr/lib/linux-image-$version/broadcom/bcm2837-rpi-3-b.dtb" "$cache/pi3/board.dtb"
mv base.cpio "$cache/pi3/base.cpio" # last: where it is, all is there
echo "$cache/pi3"
