# shellcheck shell=bash
# What the scripts have in common: saying what they do, and installing what is missing. To be sourced.

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck disable=SC2034  # used by the scripts that source this
cache="${DOCKBEACON_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/dockbeacon}"
export PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH:/usr/sbin:/sbin"

say() { echo "==> $*" >&2; }
die() {
    echo "$(basename "$0"): $*" >&2
    exit 1
}

# Runs a command as root.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "this needs root and there is no sudo; run it as root: $*"
    fi
}

# Installs the Debian packages of this list that are missing.
need_packages() { # need_packages PACKAGE...
    local missing=() package
    command -v apt-get >/dev/null || die "this is neither Debian nor Ubuntu; install these by hand: $*"
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    say "installing ${missing[*]}"
    mkdir -p "$cache"
    # Two of these scripts at once wait for each other, and both for a machine that is installing its updates.
    (
        flock 9
        # What they start must not keep the lock.
        as_root apt-get -qq update 9>&-
        as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=600 install \
            --no-install-recommends "${missing[@]}" >/dev/null 9>&-
    ) 9>"$cache/apt.lock"
}

# Unpacks FILE.xz to FILE, unless a newer one is there, and prints the name.
unpacked() { # unpacked FILE.xz
    local plain=${1%.xz}
    if [ ! "$plain" -nt "$1" ]; then
        say "unpacking $1"
        xz --decompress --stdout "$1" >"$plain.part"
        mv "$plain.part" "$plain"
    fi
    echo "$plain"
}

# An engine counts as there in whatever packaging (docker.io, docker-ce).
need_engine_program() {
    command -v dockerd >/dev/null || need_packages docker.io
}

# True when version $1 is at least $2.
at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n1)" = "$2" ]; }

# Installs Rust with rustup where there is none, or one older than Cargo.toml asks for.
need_rust() {
    local wanted have=0
    wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$repo/Cargo.toml")
    if command -v cargo >/dev/null; then have=$(cargo --version | cut -d' ' -f2); fi
    at_least "$have" "$wanted" && return 0
    if command -v rustup >/dev/null; then
        say "Rust $have is older than $wanted; updating it with rustup"
        rustup update stable >&2
        rustup default stable >&2
    else
        need_packages curl ca-certificates gcc libc6-dev
        say "installing Rust with rustup (there is none, or one older than $wanted)"
        curl --proto '=https' --tlsv1.2 -fsS https://sh.rustup.rs | sh -s -- -y --profile minimal -c clippy -c rustfmt >&2
    fi
    hash -r
    at_least "$(cargo --version | cut -d' ' -f2)" "$wanted" ||
        die "cargo is still older than $wanted: is an old one first in PATH ($(command -v cargo))?"
}

# Adds a compilation target.
need_target() { # need_target TRIPLE
    [ -d "$(rustc --print sysroot)/lib/rustlib/$1" ] && return 0
    command -v rustup >/dev/null || die "the Rust target $1 is missing and there is no rustup to add it"
    say "adding the Rust target $1"
    rustup target add "$1" >&2
}

host_musl() { echo "$(uname -m)-unknown-linux-musl"; }
