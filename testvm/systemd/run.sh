#!/usr/bin/env bash
# run.sh FOLDER [QEMU ARGUMENT...] boots a Debian with systemd, with the pins of ../gpio.
# When it is up it runs the program FOLDER/start as root, prints what that says, and
# ends with its status; with 125 when it was the machine that failed. The machine has
# FOLDER at /mnt, which is also where the program starts: files go in and come out there.
#
#   TESTVM_DISK     a file that keeps the machine's disk, for a second start; it is made
#                   when it is not there. Without it nothing is kept.
#   TESTVM_SUITE    the release of Debian (trixie); without it that of this computer
#   TESTVM_ACCEL, TESTVM_TIMEOUT   see ../run.sh
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
[ -d "${1:-}" ] || { sed -n '2,11s/^# \{0,1\}//p' "$0" >&2 && exit 125; }
folder=$(cd "$1" && pwd)
shift
cache=$("$here/setup.sh") || exit 125

disk=${TESTVM_DISK:-}
drive="file=$cache/root.ext4,snapshot=on"
if [ -n "$disk" ]; then
	[ -e "$disk" ] || cp --sparse=always "$cache/root.ext4" "$disk"
	drive="file=$disk"
fi
TESTVM_MACHINE=gpio exec "$here/../run.sh" "$here/initramfs" \
	-drive "$drive,if=virtio,format=raw,discard=unmap" \
	-virtfs "local,path=$folder,mount_tag=share,security_model=none" -smp 2 "$@"
