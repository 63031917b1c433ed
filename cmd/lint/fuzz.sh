#!/usr/bin/env bash
# Fuzzes every fuzz target of the module for FUZZTIME (30s by default, 1h before a release), three
# at a time on two cores, and tells a line for each. `cmd/lint/fuzz.sh FuzzStream`
# takes one target. An input that fails is written to testdata/fuzz of its package, and fails
# `go test` from then on until what it shows is mended; those that are only new stay in Go's cache.
set -euo pipefail
cd "$(dirname "$0")/../.."
time=${FUZZTIME:-30s} only=${1:-Fuzz.*}
work=$(mktemp -d)
# For the databases of the targets, in memory; a worker that is ended in the middle leaves them.
memory=$(mktemp -d -p /dev/shm 2>/dev/null || mktemp -d -p "$work")
trap 'rm -rf "$work" "$memory"' EXIT
trap 'trap - INT TERM; kill 0' INT TERM
cache=$(go env GOCACHE)/fuzz

# Go 1.26 may take the end of the time for a failure, when the machine is busy
# (https://go.dev/issue/75804): then this is all that it says, and nothing was found.
late() {
	[ "$(grep -v '^fuzz: elapsed: ' "$1" | sed -E '1s/ \([0-9.]+s\)$//')" = "--- FAIL: $2
    context deadline exceeded
FAIL" ]
}

# What `go test -fuzz` does, with one build for all targets of a package. -fuzzminimizetime: what
# is new by chance, because goroutines came in another order, would otherwise be made smaller
# for a minute, again and again. -timeout is not for fuzzing.
fuzz() {
	local name=$1 package=$2 program=$3 log=$3.$1 said=ok
	if ! (cd "./${package#*/}" && TMPDIR=$memory "$program" -test.run '^$' -test.fuzz "^$name\$" -test.fuzztime "$time" -test.fuzzminimizetime 20x \
		-test.parallel 1 -test.timeout 0 -test.paniconexit0 -test.fuzzcachedir "$cache/$package") >"$log" 2>&1 </dev/null; then
		said=FAIL
		if late "$log" "$name"; then said="ok (Go issue 75804)"; else touch "$work/failed"; fi
	fi
	local execs
	execs=$(sed -n 's/.*execs: \([0-9]*\).*/\1/p' "$log" | tail -n 1)
	printf '%-17s %-28s %9s executions  %s\n' "$name" "${package#*/}" "${execs:-no}" "$said"
	[ "$said" != FAIL ] || sed 's/^/    /' "$log"
}

# A package with all its targets, which Go lists.
fuzz_all() {
	local package=$1 program=$work/${1//\//-} name
	if ! go test -c -vet=off -fuzz "$only" -o "$program" "$package" >"$program.log" 2>&1; then
		touch "$work/failed"
		cat "$program.log"
		return
	fi
	"$program" -test.list "^($only)\$" | while read -r name; do
		touch "$work/found"
		fuzz "$name" "$package" "$program"
	done
	rm "$program"
}

# Those with the most targets first, so that the cores are done at the same time. While one is
# built or waits for a socket, others can work.
{ grep -rcE --include='*_test.go' "^func ($only)\(" . || true; } | awk -F : '$2 { sub("/[^/]*$", "", $1); n[$1] += $2 } END { for (p in n) print n[p], p }' |
	sort -k 1,1nr -k 2 | awk '{ print $2 }' | xargs -r go list >"$work/packages"
while read -r package; do
	while [ "$(jobs -rp | wc -l)" -ge $(($(nproc) * 3 / 2)) ]; do wait -n; done
	fuzz_all "$package" &
done <"$work/packages"
wait
[ -e "$work/found" ] || { echo "there is no fuzz target $only" >&2; exit 1; }
[ ! -e "$work/failed" ]
