#!/usr/bin/env bash
# Puts the root into a disk image: disk.sh ROOT IMAGE EPOCH
#
# A table, a FAT boot partition and an ext4 root, written straight into the file: no loop device and no mount. Runs as root
# only because the root's files belong to it.
set -euo pipefail
root=$1 image=$2 epoch=$3
# shellcheck source=image/settings
. image/settings
export SOURCE_DATE_EPOCH=$epoch E2FSPROGS_FAKE_TIME=$epoch MKE2FS_CONFIG=image/mke2fs.conf MTOOLS_SKIP_CHECK=1 TZ=UTC
mib=$((1024 * 1024))

boot="$root.boot"
rm -rf "$boot"
mkdir "$boot"
cp -r --preserve=timestamps "$root/boot/firmware/." "$boot/"
find "$root/boot/firmware" -mindepth 1 -delete
touch -d "@$epoch" "$root/boot/firmware" "$root/boot"

# The root file system gets what it needs, and some air; it grows at the first boot.
used_mib=$(du -sm --apparent-size "$root" | cut -f1)
files=$(find "$root" | wc -l)
root_mib=$((used_mib + files * 3 / 1024 + used_mib / 50 + 64 + 32 + root_spare_mib))
root_start_mib=$((boot_start_mib + boot_mib))
rm -f "$image"
truncate -s $(((root_start_mib + root_mib) * mib)) "$image"
sfdisk --quiet --no-reread --no-tell-kernel "$image" <<TABLE
label: dos
label-id: 0x$disk_id
unit: sectors
start=$((boot_start_mib * 2048)), size=$((boot_mib * 2048)), type=c, bootable
start=$((root_start_mib * 2048)), size=$((root_mib * 2048)), type=83
TABLE

fat="$image@@${boot_start_mib}M"
mkfs.vfat -F 32 -s 4 -n BOOTFS --invariant -i "${boot_serial//-/}" --offset $((boot_start_mib * 2048)) \
    "$image" $((boot_mib * 1024)) >/dev/null 2>&1
# In the order of names, so that the table of files is always the same.
(cd "$boot" && find . -mindepth 1 -type d | LC_ALL=C sort) | while read -r folder; do mmd -i "$fat" "::${folder#.}"; done
(cd "$boot" && find . -type f | LC_ALL=C sort) | while read -r file; do
    mcopy -m -i "$fat" "$boot/${file#./}" "::${file#.}"
done

mke2fs -q -t ext4 -F -m 1 -J size=64 -L rootfs -U "$root_uuid" \
    -E "offset=$((root_start_mib * mib)),hash_seed=$root_hash_seed,lazy_itable_init=1,nodiscard,root_owner=0:0" \
    -d "$root" "$image" "${root_mib}M"
rm -rf "$boot"

# mke2fs before 1.47.1 takes along when the build's own copies were read and changed; nothing else would differ.
(cd "$root" && find . -mindepth 0 -printf '/%P\n' | LC_ALL=C sort) | while read -r file; do
    echo "sif \"$file\" atime @$epoch"
    echo "sif \"$file\" ctime @$epoch"
done >"$root.times"
debugfs -w -f "$root.times" "$image?offset=$((root_start_mib * mib))" >"$root.said" 2>&1 || cat "$root.said" >&2
if grep -v -e '^debugfs' "$root.said" | grep -q .; then
    grep -v -e '^debugfs' "$root.said" | head -n 5 >&2
    exit 1
fi
