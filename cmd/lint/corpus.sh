#!/usr/bin/env bash
# Keeps of what fuzzing has found new (it lies in Go's cache, on this machine) the inputs that reach
# code which neither a seed nor an input in testdata/fuzz reaches, the shortest first: they are copied
# to testdata/fuzz, to be committed. So fuzzing on another machine begins where this one was.
# `cmd/lint/corpus.sh FuzzStream` takes one target; to be run after `make fuzz`.
set -euo pipefail
cd "$(dirname "$0")/../.."
only=${1:-Fuzz.*}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cache=$(go env GOCACHE)/fuzz

# The blocks of the package that a run reaches, to $2. Whoever does not pass reaches none.
reach() {
	"$program" -test.run "$1" -test.coverprofile "$work/profile" -test.timeout 60s >/dev/null 2>&1 </dev/null || { : >"$2"; return; }
	awk 'NR > 1 && $3 > 0 { print $1 }' "$work/profile" >"$2"
}

# Copies the inputs of a target that reach something new.
keep() {
	local name=$1 package=$2 program=$3 input kept=0
	local corpus=./${package#*/}/testdata/fuzz/$name found=$cache/$package/$name
	[ -d "$found" ] || return 0
	local there=true
	[ -d "$corpus" ] || there=
	mkdir -p "$corpus"
	cd "./${package#*/}"
	reach "^$name\$" "$work/reached"
	for input in $(find "$found" -type f -size -64k -printf '%s %f\n' | sort -n | awk '{ print $2 }'); do
		[ ! -e "testdata/fuzz/$name/$input" ] || continue
		cp "$found/$input" "testdata/fuzz/$name/$input"
		reach "^$name\$/^$input\$" "$work/reaches"
		if awk 'NR == FNR { seen[$1]; next } !($1 in seen) { new = 1; print } END { exit !new }' "$work/reached" "$work/reaches" >"$work/new"; then
			cat "$work/new" >>"$work/reached"
			kept=$((kept + 1))
		else
			rm "testdata/fuzz/$name/$input"
		fi
	done
	cd - >/dev/null
	[ -n "$there" ] || rmdir --ignore-fail-on-non-empty "$corpus"
	printf '%-17s %-28s %3d more\n' "$name" "${package#*/}" "$kept"
}

for package in $(grep -rlE --include='*_test.go' "^func ($only)\(" . | xargs -r dirname | sort -u | xargs -r go list); do
	program=$work/${package//\//-}
	go test -c -vet=off -cover -covermode set -coverpkg "$package" -o "$program" "$package"
	for name in $("$program" -test.list "^($only)\$" 2>/dev/null); do # without cover it warns
		keep "$name" "$package" "$program"
	done
done
