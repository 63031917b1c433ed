#!/usr/bin/env bash
# setup.sh makes what the machine with pins boots, once, and prints the folder in which
# it is: Debian's kernel, and `base.cpio`, a root with busybox, `init`, the kernel's GPIO
# simulator, and pisim, a pretended I2C bus and 1-wire thermometer. It installs nothing
# and needs no root; `cmd/demo/setup.sh vm` gets the programs that it uses.
#
# No kernel of Debian's has the simulator. So its source is taken from Debian's package
# of the kernel's source, and compiled with the headers of the same version. (214 MB of
# downloads, of which 70 are kept.)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../lib.sh"

# modules are what `init` loads, in that order; what they need themselves comes first.
modules=(configfs i2c-dev wire w1_therm virtio_pci virtio_blk virtio-rng 9pnet_virtio 9p softdog ext4)

# compile DEBIAN-TREE VERSION leaves gpio-sim-testvm.ko and pisim.ko in the folder drivers.
compile() {
	local tree=$1 version=$2 short headers
	short=$(cut -d. -f1,2 <<<"$version") # 6.1
	headers=$PWD/$tree/usr/src/linux-headers-$version
	unpack "$tree" "linux-headers-$version" "linux-headers-${version%-*}-common" "linux-kbuild-$short"
	sed -i "s,include /,include $PWD/$tree/," "$headers/Makefile"

	mkdir deb drivers
	(cd deb && download "linux-source-$short")
	dpkg-deb --fsys-tarfile deb/linux-source-*.deb | tar -xO "./usr/src/linux-source-$short.tar.xz" | xz -dc -T0 |
		tar -x --transform 's,.*/,drivers/,' --wildcards '*/drivers/gpio/gpio-sim.c' '*/drivers/gpio/gpiolib.h' '*/kernel/irq/irq_sim.c'
	rm -r deb
	# irq_to_desc() is not there for modules; the public function does the same.
	sed -i 's/handle_simple_irq(irq_to_desc(\([a-z]*\)))/generic_handle_irq_safe(\1)/' drivers/irq_sim.c
	cp "$here/driver/pisim.c" drivers
	printf 'obj-m := gpio-sim-testvm.o pisim.o\ngpio-sim-testvm-y := gpio-sim.o irq_sim.o\n' >drivers/Makefile
	make -C "$headers" M="$PWD/drivers" modules >drivers/log 2>&1 ||
		{ tail -n 20 drivers/log >&2 && give_up "the drivers cannot be compiled"; }
}

# uncompress DEBIAN-TREE VERSION writes the file kernel. A bare kernel boots through PVH,
# which saves some 5 emulated seconds; how it is compressed stands in the kernel's image
# (Documentation/arch/x86/boot.rst: setup_sects, payload_offset, payload_length).
uncompress() {
	local image=$1/boot/vmlinuz-$2 sectors offset length
	sectors=$(od -An -tu1 -j497 -N1 "$image")
	read -r offset length < <(od -An -tu4 -j584 -N8 "$image")
	tail -c +$(((sectors + 1) * 512 + offset + 1)) "$image" | head -c "$length" >payload || true # tail is cut off
	case $(od -An -tx1 -N4 payload | tr -d ' ') in
	fd377a58) xz -dc --single-stream payload >kernel ;;
	28b52ffd) zstd -dcq payload >kernel || true ;; # the length at its end is not zstd
	*) cp "$image" kernel ;;
	esac
}

# add MODULE FILE... puts files of modules into the root, after those that are there.
add() {
	local file name
	for file in "$@"; do
		name=$(basename "$file")
		[ ! -e "root/lib/modules/$name" ] || continue
		cp "$file" root/lib/modules
		strip --strip-debug "root/lib/modules/$name"
		echo "$name" >>root/lib/modules/order
	done
}

# root DEBIAN-TREE VERSION fills the folder root.
root() {
	local module
	mkdir -p root/{bin,dev,disk,etc,mnt,proc,run,sys,tmp} root/lib/modules
	cp "$(command -v busybox)" root/bin/busybox
	cp "$here/init" root/init
	chmod 755 root/init
	echo 'root:x:0:0:root:/:/bin/sh' >root/etc/passwd
	echo 'root:x:0:' >root/etc/group
	echo 127.0.0.1 localhost >root/etc/hosts
	depmod -b "$1" "$2"
	for module in "${modules[@]}"; do
		# Paths have no blanks: the cache's are ours.
		# shellcheck disable=SC2046
		add $(modprobe -d "$PWD/$1" -S "$2" --show-depends "$module" | awk '/^insmod/ { print $2 }')
	done
	add drivers/*.ko # last: w1_therm waits for pisim's thermometer
}

[ "$(uname -m)" = x86_64 ] || give_up "the virtual machine is an x86_64, and so must be the computer that builds greengate for it"
if fresh "$cache/gpio/base.cpio" "$here"/{init,driver/pisim.c,setup.sh}; then
	echo "$cache/gpio"
	exit
fi

package=$(apt-cache depends linux-image-amd64 2>/dev/null | awk '/Depends: linux-image-/ { print $2; exit }') || true
[ -n "$package" ] || give_up "Debian's package linux-image-amd64 is not known here (type: sudo apt-get update)"
version=${package#linux-image-}
echo "making the virtual machine with pins of $package" >&2
workshop
unpack debian "$package"
compile debian "$version"
uncompress debian "$version"
root debian "$version"
archive root >base.cpio
mkdir -p "$cache/gpio"
mv kernel "$cache/gpio/kernel"
mv base.cpio "$cache/gpio/base.cpio" # last: where it is, all is there
echo "$cache/gpio"
