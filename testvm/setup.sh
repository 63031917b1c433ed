#!/usr/bin/env bash
# setup.sh makes what the virtual machine of the tests boots, once, and prints the
# folder in which it is: the kernel, and `base.cpio`, a root with busybox, the drivers
# of the disk and `init`. It installs nothing and needs no root; `cmd/demo/setup.sh vm`
# gets the programs that it uses.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"

# Debian's kernel for virtual machines: 27 MB, with ext4 built in.
kernel_package() {
	apt-cache depends linux-image-cloud-amd64 2>/dev/null |
		awk '/Depends: linux-image-/ { print $2; exit }'
}

# root DEBIAN-TREE VERSION fills the folder root.
root() {
	mkdir -p root/{bin,dev,disk,etc,proc,sys,tmp} "root/lib/modules/$2"
	cp "$(command -v busybox)" root/bin/busybox
	cp "$here/init" root/init
	chmod 755 root/init
	echo 127.0.0.1 localhost >root/etc/hosts
	local module
	for module in virtio virtio_ring virtio_pci virtio_pci_legacy_dev virtio_pci_modern_dev virtio_blk virtio-rng; do
		find "$1/lib/modules/$2" -name "$module.ko*" -exec cp -t "root/lib/modules/$2" {} +
	done
	busybox depmod -b "$PWD/root" "$2"
}

[ "$(uname -m)" = x86_64 ] || give_up "the virtual machine is an x86_64, and so must be the computer that builds greengate for it"
if fresh "$cache/base.cpio" "$here"/{init,setup.sh}; then
	echo "$cache"
	exit
fi

package=$(kernel_package) || true
[ -n "$package" ] || give_up "Debian's package linux-image-cloud-amd64 is not known here (type: sudo apt-get update)"
echo "getting $package for the virtual machine of the tests" >&2
workshop
unpack debian "$package"
version=${package#linux-image-}
root debian "$version"
archive root >base.cpio
mv "debian/boot/vmlinuz-$version" "$cache/kernel"
mv base.cpio "$cache/base.cpio" # last: where it is, all is there
echo "$cache"
