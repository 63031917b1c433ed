#!/bin/sh
# version.sh prints the version of this tree, in a form that a Debian package may have:
# 1.2.0 at the tag v1.2.0, otherwise that of CHANGELOG.md that comes next, the time of the
# commit, and the commit. `version.sh epoch` prints the time of the commit in seconds, which
# is the time of every file in the packages ($SOURCE_DATE_EPOCH).
set -eu
cd "$(dirname "$0")/.."
git() { command git -c safe.directory="$PWD" "$@" 2>/dev/null; } # a clone may be another user's

if [ "${1:-}" = epoch ]; then
	echo "${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct || stat -c %Y CHANGELOG.md)}"
	exit
fi
if [ -n "${GREENGATE_VERSION:-}" ]; then
	echo "$GREENGATE_VERSION"
	exit
fi
next=$(sed -n 's/^## \([0-9][0-9.]*\).*/\1/p' CHANGELOG.md | head -n 1)
changed=$(git status --porcelain --untracked-files=no | head -n 1) || changed=
if tag=$(git describe --tags --exact-match --match 'v[0-9]*') && [ -z "$changed" ]; then
	echo "${tag#v}"
elif commit=$(git log -1 --date=format-local:%Y%m%d%H%M%S --format=%cd.%h --abbrev=12); then
	echo "$next~git$commit${changed:+.changed}"
else
	echo "$next~source"
fi
