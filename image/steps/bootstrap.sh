#!/usr/bin/env bash
# Installs the packages into a new root and packs it: bootstrap.sh FOLDER DEBS SUITE ARCH
#
# FOLDER holds sources, packages, early/ and perhaps preferences/; root.tar is made in it. DEBS keeps the packages for the next
# time. Runs as root in a mount namespace of its own. Must never leave a mount, nor the address of a mirror in the root.
set -euo pipefail
folder=$1 debs=$2 suite=$3 arch=$4

# A foreign machine's programs run under emulation, as the kernel is told here, for this namespace's life only.
if [ "$(dpkg --print-architecture)" != "$arch" ]; then
    binfmt=/proc/sys/fs/binfmt_misc
    [ -e $binfmt/register ] || mount -t binfmt_misc binfmt_misc $binfmt
    if [ ! -e $binfmt/qemu-aarch64 ]; then
        cat /usr/lib/binfmt.d/qemu-aarch64.conf >$binfmt/register
    fi
fi

mkdir -p "$debs" "$folder/preferences"
packages=$(sed 's/#.*//' "$folder/packages" | xargs | tr ' ' ,)
# The initramfs is made once, at the end, when all that it takes up is there: it is minutes of work under emulation.
# It is unpacked where there is room, which /tmp need not have.
# shellcheck disable=SC2016  # mmdebstrap gives the hooks the root as $1
TMPDIR=$folder mmdebstrap --mode=root --format=tar --architectures="$arch" --variant=minbase --include="$packages" \
    --aptopt='Acquire::Languages "none"' --aptopt='APT::Install-Recommends "false"' \
    --dpkgopt="$folder/early/etc/dpkg/dpkg.cfg.d/dockbeacon" \
    --dpkgopt=force-unsafe-io --skip=download/empty --skip=essential/unlink \
    --setup-hook="mkdir -p \"\$1\"/var/cache/apt/archives \"\$1\"/etc/apt/preferences.d" \
    --setup-hook="find '$debs' -name '*.deb' -exec cp -t \"\$1\"/var/cache/apt/archives {} +" \
    --setup-hook="find '$folder/preferences' -type f -exec cp -t \"\$1\"/etc/apt/preferences.d {} +" \
    --essential-hook="cp -r --no-preserve=all '$folder/early/.' \"\$1\"/" \
    --essential-hook='chroot "$1" dpkg-divert --quiet --local --rename --add --divert /usr/sbin/update-initramfs.real /usr/sbin/update-initramfs' \
    --essential-hook='ln -s /bin/true "$1"/usr/sbin/update-initramfs' \
    --customize-hook='rm "$1"/usr/sbin/update-initramfs' \
    --customize-hook='chroot "$1" dpkg-divert --quiet --local --rename --remove /usr/sbin/update-initramfs' \
    --customize-hook='chroot "$1" update-initramfs -c -k all' \
    --customize-hook="find '$debs' -name '*.deb' -delete; mv \"\$1\"/var/cache/apt/archives/*.deb '$debs'" \
    --customize-hook="rm -rf \"\$1\"/etc/apt/preferences.d/* \"\$1\"/etc/apt/sources.list \"\$1\"/etc/apt/sources.list.d/*" \
    "$suite" "$folder/root.tar.part" - <"$folder/sources"
mv "$folder/root.tar.part" "$folder/root.tar"
