#!/usr/bin/env bash
# package.sh [-C FOLDER] [ARCH...] makes what is given away, in FOLDER (dist), for amd64,
# arm64, armhf and armv6, or those named. armv6 is for the Pi 1 and Zero, whose system
# calls itself armhf:
#
#   greengate_VERSION_ARCH.deb             the Debian package
#   greengate_VERSION_ARCH.tar.gz          the same program for a machine without apt
#   greengate_VERSION_ARCH.cdx.json        what it was built from (SBOM, CycloneDX)
#   greengate_VERSION.sha256               the sums of all of them
#
# The program is static: one file runs in the package, from the tarball and in a container,
# on any Linux. The same commit gives the same bytes, wherever and whenever it is built.
# `cmd/demo/setup.sh packages` installs what this needs.
set -euo pipefail
umask 022
cd "$(dirname "$0")/../.."

out=dist
if [ "${1:-}" = -C ]; then
	out=$2
	shift 2
fi
[ $# -gt 0 ] || set -- amd64 arm64 armhf armv6
nfpm=${XDG_CACHE_HOME:-$HOME/.cache}/greengate-tools/nfpm
VERSION=$(systemd/version.sh)
SOURCE_DATE_EPOCH=$(systemd/version.sh epoch)
mkdir -p "$out"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export SOURCE_DATE_EPOCH # for nfpm, too

host=$(dpkg --print-architecture)

# build ARCH PROGRAM: Debian's compilers for ARM make no static position-independent program
# of 32 bits, and the one for armhf none for an ARMv6. That for armel does, with its
# floating point in software, which a static program may have beside a system of any kind.
build() {
	local mode=(-buildmode=pie) link=-static-pie compiler
	case $1 in
	amd64)
		set -- "$@" GOARCH=amd64 && compiler=x86_64-linux-gnu-gcc
		# Two megabytes less of the program; Debian's linker for arm64 cannot yet.
		link+=" -Wl,-z,pack-relative-relocs"
		;;
	arm64) set -- "$@" GOARCH=arm64 && compiler=aarch64-linux-gnu-gcc ;;
	armhf)
		set -- "$@" GOARCH=arm GOARM=7 && compiler=arm-linux-gnueabihf-gcc
		mode=() link=-static
		;;
	armv6)
		set -- "$@" GOARCH=arm GOARM=6 && compiler=arm-linux-gnueabi-gcc
		mode=() link=-static
		;;
	*) echo "package.sh: no architecture $1" >&2 && exit 2 ;;
	esac
	[ "$1" = "$host" ] || set -- "$@" CC=$compiler
	# As in the Makefile: SQLite flushes by fdatasync.
	env CGO_ENABLED=1 CGO_CFLAGS='-O2 -g -DHAVE_FDATASYNC=1' "${@:3}" go build -trimpath -buildvcs=false "${mode[@]}" \
		-tags sqlite_omit_load_extension,netgo,osusergo \
		-ldflags "-s -w -linkmode external -extldflags '$link' -X main.release=$VERSION" -o "$2" ./cmd/greengate
}

# build_token ARCH PROGRAM: what loads the modules of PKCS#11 tokens is a program of its own, and
# not static. A static one dies in the libraries of a Debian with another C library than
# its own. The libraries of an ARMv6 have their floating point in hardware, for which Debian has
# no compiler: there is none there.
build_token() {
	local compiler
	case $1 in
	amd64) set -- "$@" GOARCH=amd64 && compiler=x86_64-linux-gnu-gcc ;;
	arm64) set -- "$@" GOARCH=arm64 && compiler=aarch64-linux-gnu-gcc ;;
	armhf) set -- "$@" GOARCH=arm GOARM=7 && compiler=arm-linux-gnueabihf-gcc ;;
	*) return ;;
	esac
	[ "$1" = "$host" ] || set -- "$@" CC=$compiler
	env CGO_ENABLED=1 CGO_CFLAGS='-O2 -g' "${@:3}" go build -trimpath -buildvcs=false -buildmode=pie \
		-ldflags "-s -w -linkmode external -extldflags '-Wl,-z,relro,-z,now'" -o "$2" ./cmd/greengate-token
}

# compress FILE... as gzip does that tells no name and no time.
compress() { gzip -9n "$@"; }

# share PROGRAM TOKEN-PROGRAM makes what the program itself writes, and what is the same on all
# machines.
share() {
	local doc=$work/share/doc/greengate
	mkdir -p "$work/share/man/man1" "$work/share/bash-completion/completions" \
		"$work/share/zsh/vendor-completions" "$work/share/fish/vendor_completions.d" "$doc/examples"
	"$1" manual "$work/share/man/man1"
	compress "$work"/share/man/man1/*.1
	"$1" completion bash >"$work/share/bash-completion/completions/greengate"
	"$1" completion zsh >"$work/share/zsh/vendor-completions/_greengate"
	"$1" completion fish >"$work/share/fish/vendor_completions.d/greengate.fish"
	"$1" init "$work/site" --group home --core gateway_Core --key p-256 >/dev/null
	sed 's|^data: .*|data: /var/lib/greengate  # state, and the control socket|' "$work/site/group.yaml" >"$doc/examples/group.yaml"
	cp "$work/site/group.schema.json" systemd/monitoring/* "$doc/examples"
	compress <CHANGELOG.md >"$doc/changelog.gz"
	go run ./cmd/bill -licences "$@" | compress >"$doc/third-party-notices.gz"
	changes | compress >"$doc/changelog.Debian.gz"
	# Of each database the schema that the program knows: the number of its migrations.
	sed "s|@SCHEMAS@|$(for pair in functions:functions sessions:core/broker shadows:localshadow spool:sync/telemetry; do
		printf '%s.db:%d ' "${pair%:*}" "$(find "${pair#*:}/migrations" -name '*.sql' | wc -l)"
	done)|" systemd/package/preinst >"$work/preinst.in"
}

# changes is the changelog as Debian has it.
changes() {
	printf 'greengate (%s) unstable; urgency=medium\n\n  * What is new is in changelog.gz.\n\n -- The greengate authors <greengate@users.noreply.github.com>  %s\n' \
		"$VERSION" "$(LC_ALL=C date -u -d "@$SOURCE_DATE_EPOCH" +'%a, %d %b %Y %H:%M:%S +0000')"
}

# tarball ARCH PROGRAM...: the programs, the unit, and how to install them.
tarball() {
	local name=greengate_${VERSION}_$1
	mkdir -p "$work/$name/site" # of the Dockerfile
	cp "${@:2}" systemd/greengate.service systemd/before-254.conf systemd/namespaces.conf systemd/60-greengate.rules LICENSE CHANGELOG.md \
		systemd/package/Dockerfile systemd/package/compose.yaml "$work/$name"
	cp systemd/greengate.sysusers systemd/greengate.tmpfiles docs/install.md "$work/$name"
	cp "$work/share/doc/greengate/third-party-notices.gz" "$work/$name"
	tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" \
		-C "$work" -c "$name" | compress >"$out/$name.tar.gz"
}

# The program that runs here writes the man pages of all.
build "$host" "$work/$host/greengate"
build_token "$host" "$work/$host/greengate-token"
share "$work/$host/greengate" "$work/$host/greengate-token"
files=()
for arch in "$@"; do
	program=$work/$arch/greengate
	[ -e "$program" ] || build "$arch" "$program"
	[ -e "$program-token" ] || build_token "$arch" "$program-token"
	programs=("$program" "$program-token")
	drop=()
	[ -e "$program-token" ] || { programs=("$program") && drop=(-e '/@PROGRAM@-token/d'); }
	sed "s|@CPU@|$arch|" "$work/preinst.in" >"$work/preinst"
	chmod 755 "$work/preinst"
	# nfpm itself fills in some of its fields, and others not.
	sed "${drop[@]}" -e "s|@WORK@|$work|; s|@PROGRAM@|$program|; s|@ARCH@|${arch/arm[hv]*/arm7}|; s|@VERSION@|$VERSION|" \
		systemd/package/nfpm.yaml >"$work/nfpm.yaml"
	"$nfpm" package -f "$work/nfpm.yaml" -p deb -t "$out/greengate_${VERSION}_$arch.deb" \
		>"$work/said" 2>&1 || { cat "$work/said" >&2 && exit 1; } # it says its errors where it says its progress
	tarball "$arch" "${programs[@]}"
	go run ./cmd/bill -sbom -version "$VERSION" "${programs[@]}" >"$out/greengate_${VERSION}_$arch.cdx.json"
	files+=("greengate_${VERSION}_$arch".{deb,tar.gz,cdx.json})
done
(cd "$out" && sha256sum "${files[@]}") >"$work/sums"
mv "$work/sums" "$out/greengate_$VERSION.sha256"
printf '%s\n' "${files[@]/#/$out/}" "$out/greengate_$VERSION.sha256"
