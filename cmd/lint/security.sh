#!/usr/bin/env bash
# Looks for known holes in all that the program is built from (govulncheck), and for weak
# places in our own code (gosec). Both, and the list of known holes, are pinned with their
# checksums in this folder's go.mod and go.sum, so that the answer is the same everywhere and
# needs no network beyond the module proxy; `go get golang.org/x/vulndb` here takes a newer list.
set -euo pipefail
cd "$(dirname "$0")"

kept=${XDG_CACHE_HOME:-$HOME/.cache}/greengate-tools/lint-$(cat go.mod go.sum | sha256sum | cut -c 1-16)
if [ ! -e "$kept" ]; then
	echo "building govulncheck and gosec (the first time, this takes a minute or two)" >&2
	mkdir -p "$(dirname "$kept")"
	new=$(mktemp -d "$kept.XXXXXX")
	trap 'rm -rf "$new"' EXIT
	go build -o "$new/" tool
	go mod download golang.org/x/vulndb
	"$new/indexdb" -vulns "$(go list -m -f '{{.Dir}}' golang.org/x/vulndb)/data/osv" -out "$new/holes"
	mv -T "$new" "$kept" 2>/dev/null || [ -e "$kept" ] # another one may have been faster
fi
cd ../..

# What is asked of gosec:
not=(
	G104 # errors that are not looked at: staticcheck and review see to those that matter
	G115 # conversions of integers: every length that comes from outside is bounded where it is read, and fuzzed
	G304 # files whose name is a variable: the names are the operator's, from the command line and the group file
)
# and where a rule is right in general, but not there:
places=(
	'(testdata|functions/examples|sync/cloud/cloudtest|core/token/tokentest|testvm|cmd/(demo|iotsim|bill|peers|soak))/:*' # programs and stand-ins of the tests and the demo, which never run on a gateway
	'functions/(spec|manager|logfile|sandbox/.*|endpoint/shims)\.go:G204,G301,G302' # a function is a program of the operator, and reads its folder as a user of its own
	'core/(pki/files|pki/authority|admin/admin)\.go:G301,G302' # folders that all may enter; what is secret in them has a mode of its own
	'cmd/greengate/(newfile|import|credential|manual|init_service)\.go:G301,G302,G306,G122' # what all may read: manual pages, certificates, folders of a site
	'cmd/greengate/(restore|backup)\.go:G110' # the size of an archive is bounded by the disk, which is asked first
	'(core/audit/(log|files)|cmd/greengate/apply_way)\.go:G703' # files beside one that the operator names; what was read goes into them, not into their names
	'gpio/pwm\.go:G122' # /sys, which only root changes
	'gpio/.*\.go:G103' # the kernel's structures of GPIO lines
	'core/broker/socket\.go:G103' # bytes for a system call that does not wait
	'functions/sandbox/.*\.go:G103' # the kernel's structures of capabilities and seccomp
	'functions/endpoint/environment\.go:G101' # the name of a variable
	'(sync/.*|gpio/.*|functions/.*|core/broker/.*)\.go:G404' # chance that keeps things apart in time, or names them; secrets come from crypto/rand
	'sync/cloud/trust\.go:G402' # checks the certificate itself, by the right clock
	'cmd/greengate/probe\.go:G402' # the daemon asks itself over loopback
)

# Another Go than the pinned one is there where the pinned one cannot be had: its holes are told.
"$kept/govulncheck" -db "file://$kept/holes" ./... || [ "${GOTOOLCHAIN:-}" = local ]
"$kept/gosec" -quiet -color=false -exclude="$(IFS=,; echo "${not[*]}")" -exclude-rules="$(IFS=';'; echo "${places[*]}")" ./...
