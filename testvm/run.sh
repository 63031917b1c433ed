#!/usr/bin/env bash
# run.sh FOLDER [QEMU ARGUMENT...] boots a virtual machine with what is in FOLDER
# over the root of setup.sh, runs the program /start in it as root, prints what that
# says, and ends with its status; with 125 and the kernel's log when it was the
# machine that failed. A disk that the arguments add is mounted at /disk, if ext4 is
# on it.
#
#   TESTVM_MACHINE  gpio: the one with pins; without it the one in which power is cut
#   TESTVM_ACCEL    tcg (default): emulates the processor, which works everywhere; or kvm
#   TESTVM_CMDLINE  more for the kernel's command line
#   TESTVM_TIMEOUT  after so many seconds the machine is switched off (default 300)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
[ -d "${1:-}" ] || { sed -n '2,12s/^# \{0,1\}//p' "$0" >&2 && exit 125; }
folder=$1
shift
cache=$("$here/${TESTVM_MACHINE:+$TESTVM_MACHINE/}setup.sh") || exit 125

work=$(mktemp -d)
qemu=
trap '[ -z "$qemu" ] || kill "$qemu" 2>/dev/null; rm -rf "$work"' EXIT
trap 'exit 125' INT TERM

# A later archive of an initramfs wins over an earlier one. The libraries of
# programs that are not linked statically go in too.
mkdir "$work/root"
cp -RL "$folder/." "$work/root"
find "$work/root" -type f -perm /111 -exec ldd {} \; 2>/dev/null | sed -n 's/^[^/]*\(\/[^ ]*\) (0x.*/\1/p' | sort -u |
	while read -r library; do
		mkdir -p "$work/root$(dirname "$library")"
		cp -L "$library" "$work/root$library"
	done
(cd "$work/root" && find . | busybox cpio -o -H newc 2>/dev/null) | cat "$cache/base.cpio" - >"$work/initrd"
: >"$work/kernel.log"

accel=(-accel tcg -cpu max)
[ "${TESTVM_ACCEL:-tcg}" = tcg ] || accel=(-accel "$TESTVM_ACCEL" -cpu host)
# A busy host makes the kernel calibrate the TSC wrongly: its time then runs too fast.
clock="tsc=reliable clocksource=hpet"
timeout --foreground "${TESTVM_TIMEOUT:-300}" qemu-system-x86_64 "${accel[@]}" -smp 1 -m 768 \
	-nodefaults -no-user-config -display none -no-reboot \
	-kernel "$cache/kernel" -initrd "$work/initrd" \
	-append "console=ttyS1 quiet loglevel=4 panic=-1 mitigations=off $clock random.trust_cpu=on cryptomgr.notests nokaslr ${TESTVM_CMDLINE:-}" \
	-device virtio-rng-pci -serial stdio -serial "file:$work/kernel.log" "$@" </dev/null &
qemu=$!
ended=0
wait "$qemu" || ended=$?
qemu=

status=$(sed -n 's/^testvm: status \([0-9]*\).*/\1/p' "$work/kernel.log" | tail -n 1)
if [ -z "$status" ]; then
	[ "$ended" != 124 ] || echo "testvm: switched off after ${TESTVM_TIMEOUT:-300} s" >&2
	echo "testvm: the machine did not come to its end (qemu: status $ended); its kernel's last words:" >&2
	tail -n 30 "$work/kernel.log" >&2
	exit 125
fi
exit "$status"
