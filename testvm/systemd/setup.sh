#!/usr/bin/env bash
# setup.sh makes the disk of the machine with systemd, once, and prints the folder in
# which it is: `root.ext4`, a small Debian of the release that this computer has, or of
# $TESTVM_SUITE (trixie). Its kernel and pins are those of the machine with pins (../gpio).
# It needs root, since the files of a Debian have owners; `cmd/demo/setup.sh systemd` gets
# the programs that it uses.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../lib.sh"

# packages are what a Raspberry Pi OS Lite has and a test may need.
packages=systemd,systemd-sysv,dbus,udev,kmod,procps,iproute2,passwd,adduser,ca-certificates,curl,gpiod,i2c-tools,sqlite3

# quiet are units that would disturb, or wait for what is not there.
quiet=(getty@.service serial-getty@.service apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer
	e2scrub_all.timer e2scrub_reap.service fstrim.timer systemd-networkd.service systemd-resolved.service systemd-timesyncd.service)

# furnish FOLDER makes the Debian there the machine of the tests.
furnish() {
	local system=$1/etc/systemd/system unit group
	mkdir -p "$system/multi-user.target.wants" "$1/var/log/journal" # the journal stays
	cp "$here"/testvm.{service,target} "$system"
	ln -s testvm.target "$system/default.target"
	for unit in "${quiet[@]}"; do
		ln -sf /dev/null "$system/$unit"
	done
	mkdir -p "$1/etc/systemd/system.conf.d"
	printf '[Manager]\nShowStatus=no\n' >"$1/etc/systemd/system.conf.d/testvm.conf"
	echo testvm >"$1/etc/hostname"
	echo 127.0.0.1 localhost testvm >"$1/etc/hosts"
	: >"$1/etc/fstab"
	echo 0123456789abcdef0123456789abcdef >"$1/etc/machine-id"
	# What Raspberry Pi OS has and Debian has not: groups for the buses, and their rules.
	for group in gpio i2c spi; do
		grep -q "^$group:" "$1/etc/group" || chroot "$1" addgroup --system "$group" >/dev/null
	done
	cp "$here/pins.rules" "$1/etc/udev/rules.d/99-com.rules"
}

own=$(. /etc/os-release && echo "$VERSION_CODENAME")
suite=${TESTVM_SUITE:-$own}
if fresh "$cache/systemd-$suite/root.ext4" "$here"/{setup.sh,pins.rules,testvm.service,testvm.target}; then
	echo "$cache/systemd-$suite"
	exit
fi
[ "$(id -u)" -eq 0 ] || give_up "the machine with systemd is made by root"
# The archive from which this computer's apt gets its own release; it has the others, too.
archive=$(apt-get indextargets --format '$(SITE) $(RELEASE)' | awk -v suite="$own" '$2 == suite { print $1; exit }')
[ -n "$archive" ] || give_up "Debian's archive is not known here (type: sudo apt-get update)"
echo "making the virtual machine with systemd, of Debian $suite" >&2
workshop
mmdebstrap --quiet --format=directory --variant=minbase --include="$packages" \
	--aptopt='APT::Sandbox::User "root"' --dpkgopt='path-exclude=/usr/share/doc/*' \
	--dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
	"$suite" debian "$archive" >&2 || give_up "there is no Debian $suite to be had"
furnish debian
# Without mounting anything; the journal comes afterwards since mke2fs fills it.
mke2fs -q -F -t ext4 -O ^has_journal -E lazy_itable_init=1 -d debian root.ext4 1200M >/dev/null
tune2fs -O has_journal root.ext4 >/dev/null
mkdir -p "$cache/systemd-$suite"
mv root.ext4 "$cache/systemd-$suite/root.ext4"
echo "$cache/systemd-$suite"
