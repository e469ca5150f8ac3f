#!/usr/bin/env bash
# Prints the folder with the device trees of Debian's kernel for Raspberry Pi boards; fetches the kernel's package where it is
# not in the cache yet. Nothing is installed: apt has lists and state of its own.
set -euo pipefail
cache="${DOCKBEACON_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/dockbeacon}"
suite=trixie
die() {
    echo "board_trees: $*" >&2
    exit 1
}
mkdir -p "$cache"
exec 8>"$cache/board-trees.lock"
flock 8
dir="$cache/board-trees-$suite"
if [ ! -e "$dir/.complete" ]; then
    rm -rf "$dir" "$dir.part"
    mkdir -p "$dir.part/apt/lists/partial" "$dir.part/apt/archives/partial" "$dir.part/debs"
    # An image that was built here has fetched the kernel already.
    deb=$(find "$cache/image" -name 'linux-image-[0-9]*-arm64_*.deb' 2>/dev/null | sort | tail -n 1 || true)
    if [ -z "$deb" ]; then
        [ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || die "install the package debian-archive-keyring"
        apt="$dir.part/apt"
        echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian $suite main" \
            >"$apt/sources.list"
        cat >"$apt/apt.conf" <<CONF
Dir::State "$apt";
Dir::Cache "$apt";
Dir::Etc::sourcelist "$apt/sources.list";
Dir::Etc::sourceparts "-";
Dir::State::status "/dev/null";
APT::Architecture "arm64";
APT::Architectures "arm64";
APT::Sandbox::User "root";
CONF
        (
            cd "$dir.part/debs"
            export APT_CONFIG="$apt/apt.conf"
            apt-get -qq update
            kernel=$(apt-cache depends linux-image-arm64 | sed -n 's/.*Depends: \(linux-image-[0-9]\S*\)$/\1/p' | head -n 1)
            apt-get -qq download "${kernel:?no kernel in $suite}"
        ) >&2 || die "cannot fetch Debian's kernel for arm64; is the network there?"
        deb=$(find "$dir.part/debs" -name '*.deb')
    fi
    dpkg-deb --fsys-tarfile "$deb" |
        tar -x -C "$dir.part" --wildcards --strip-components=5 './usr/lib/linux-image-*/broadcom/*-rpi-*.dtb'
    rm -rf "$dir.part/apt" "$dir.part/debs"
    mv "$dir.part" "$dir"
    touch "$dir/.complete"
fi
echo "$dir"
