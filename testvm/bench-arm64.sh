#!/bin/sh
# Runs each benchmark once as an arm64 program, under QEMU's user-mode emulation: it shows
# that they run there. The figures are those of the emulator and mean nothing.
# Arguments are packages; without any, those that have benchmarks.
set -eu

# A benchmark starts other programs, itself among them, so the kernel must know the
# emulator. On a Debian with systemd the package qemu-user-static has told it already.
binfmt=/proc/sys/fs/binfmt_misc
if [ ! -e $binfmt/qemu-aarch64 ]; then
	[ -e $binfmt/register ] || mount -t binfmt_misc none $binfmt
	trap 'echo -1 >$binfmt/qemu-aarch64' EXIT
	trap 'exit 1' INT TERM
	cat /usr/lib/binfmt.d/qemu-aarch64.conf >$binfmt/register
fi

[ $# -gt 0 ] || set -- $(grep -rl --include='*_test.go' '^func Benchmark' . | xargs -n1 dirname | sort -u)
# The programs that a benchmark builds are for arm64, too.
export GOARCH=arm64 CGO_ENABLED=1 CC=aarch64-linux-gnu-gcc QEMU_LD_PREFIX=/usr/aarch64-linux-gnu
# The emulator cannot close a function in by namespaces and seccomp: those that start one
# are measured on real processors only.
go test -p 1 -run '^$' -bench . -skip '^Benchmark(FunctionCalls|WarmCall|ColdStart)$' -benchtime 1x -timeout 60m "$@"
