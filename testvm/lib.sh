# lib.sh is what the set-ups of the virtual machines have in common: they source it.
# shellcheck shell=bash

# cache is the folder of what they make: $TESTVM_CACHE, or greengate-testvm among the
# user's caches. Remove it to get Debian's kernels of today.
cache=${TESTVM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/greengate-testvm}
PATH=$PATH:/usr/sbin:/sbin # where Debian has depmod and mke2fs

# give_up WHY ends with one line.
give_up() {
	echo "testvm: $*" >&2
	exit 1
}

# fresh FILE SOURCE... tells whether the file is there, and newer than what it was made from.
fresh() {
	local file=$1 source
	shift
	for source in "$@"; do
		[ "$file" -nt "$source" ] || return 1
	done
}

# workshop makes a folder in the cache that is gone at the end, and goes there: what is
# half made is never taken for the whole.
workshop() {
	mkdir -p "$cache"
	work=$(mktemp -d "$cache/new.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	cd "$work"
}

# download PACKAGE... gets packages into the current folder.
download() {
	# Root's apt would hand the download to a user that may not write here.
	apt-get -qq -o APT::Sandbox::User="$(id -un)" "${apt[@]}" download "$@" >&2 || give_up "$* cannot be had"
}
apt=() # more options for it

# unpack FOLDER PACKAGE... downloads packages, and unpacks them there.
unpack() {
	local folder=$1 file
	shift
	mkdir deb
	(cd deb && download "$@")
	for file in deb/*.deb; do
		dpkg-deb -x "$file" "$folder"
	done
	rm -r deb
}

# archive FOLDER writes it out as an initramfs.
archive() {
	(cd "$1" && find . | busybox cpio -o -H newc 2>/dev/null)
}
