# shellcheck shell=bash
# Where packages come from and whose signature counts: choose_archive BASE MIRROR FOLDER. To be sourced by scripts/build-image.
#
# Writes FOLDER/sources and FOLDER/keyring.gpg. The image's own sources stay as the base declares them.

# Prints the archive that this machine installs Debian's packages from; nothing where there is none, as on Ubuntu.
archive_in_use() {
    # shellcheck disable=SC2016  # apt's field
    { apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 2>/dev/null || true; } |
        sed -n '\|^[a-z]*://.*/debian/*$|{p;q}'
}

# shellcheck disable=SC2154  # suite comes from image/settings
has_release() { curl -fsSL --max-time 20 -o /dev/null "${1%/}/dists/${2:-$suite}/InRelease" 2>/dev/null; }

choose_archive() {
    local base=$1 mirror=${2%/} folder=$3 security uri suites components keyring date newest=0
    if [ -n "$mirror" ]; then
        has_release "$mirror" || die "$mirror does not answer with Debian's $suite (no dists/$suite/InRelease); check --mirror and DOCKBEACON_MIRROR"
    else
        mirror=$(archive_in_use)
        mirror=${mirror%/}
        if [ -z "$mirror" ] || ! has_release "$mirror"; then mirror=http://deb.debian.org/debian; fi
        has_release "$mirror" || die "$mirror is out of reach; check the network, or name a mirror with --mirror URL"
    fi

    # Many mirrors carry Debian without its security updates.
    security="${mirror%/debian}/debian-security"
    has_release "$security" "$suite-security" || security=http://deb.debian.org/debian-security

    # Keys by fingerprint. Debian's are here, because an older Debian or Ubuntu does not have them all; a base with an archive
    # of its own says where its keys are had.
    keyring="$folder/keyring.gpg"
    local gpg=(gpg --batch --quiet --no-options --homedir "$folder/gpg")
    mkdir -m 700 "$folder/gpg"
    "${gpg[@]}" --import image/debian-keys.asc 2>/dev/null
    if [ -e "image/bases/$base/key-source" ]; then
        curl -fsSL --max-time 30 "$(cat "image/bases/$base/key-source")" | "${gpg[@]}" --import 2>/dev/null ||
            die "the keys of $base cannot be fetched from $(cat "image/bases/$base/key-source"); is there a network?"
    fi
    local wanted=() one
    mapfile -t wanted < <(grep -v '^#' "image/bases/$base/keys")
    for one in "${wanted[@]}"; do
        "${gpg[@]}" --list-keys "$one" >/dev/null 2>&1 ||
            die "the key $one, which image/bases/$base/keys asks for, is neither in image/debian-keys.asc nor at its key-source"
    done
    "${gpg[@]}" --export "${wanted[@]}" >"$keyring"
    chmod 644 "$keyring"

    # One line for each suite of each stanza, with the mirror in place of deb.debian.org.
    while read -r uri suites components; do
        case $uri in
        http://deb.debian.org/debian) uri=$mirror ;;
        http://deb.debian.org/debian-security) uri=$security ;;
        esac
        for one in ${suites//,/ }; do
            echo "deb [signed-by=$keyring] $uri $one ${components//,/ }"
            date=$(curl -fsSL --max-time 20 "$uri/dists/$one/InRelease" | sed -n 's/^Date: //p' | head -n1) ||
                die "$uri has no $one, or is out of reach; check the network, or name another mirror with --mirror URL"
            date=$(date -d "$date" +%s)
            [ "$date" -le "$newest" ] || newest=$date
            echo "$newest" >"$folder/epoch"
        done
    done < <(awk 'BEGIN { RS = ""; FS = "\n" } {
        uri = suites = parts = ""
        for (i = 1; i <= NF; i++) {
            if ($i ~ /^URIs: /) uri = substr($i, 7)
            if ($i ~ /^Suites: /) { suites = substr($i, 9); gsub(" ", ",", suites) }
            if ($i ~ /^Components: /) { parts = substr($i, 13); gsub(" ", ",", parts) }
        }
        if (uri) print uri, suites, parts
    }' "image/bases/$base/rootfs/etc/apt/sources.list.d/"*.sources) >"$folder/sources"
    rm -rf "$folder/gpg"
    # The same versions are as old as their lock file says, whenever they are installed.
    # shellcheck disable=SC2034  # for scripts/build-image
    epoch_of_packages=$(sed -n 's/^# epoch //p' "$folder/lock" 2>/dev/null || true)
    : "${epoch_of_packages:=$(cat "$folder/epoch")}"
}
