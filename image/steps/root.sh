#!/usr/bin/env bash
# Makes the card's root out of the bootstrapped packages: root.sh ROOT BASE DAEMON EPOCH
#
# Lays the overlays over ROOT, installs the units and the daemon, and runs image/hooks in it. Runs as root in a mount
# namespace of its own, from the top of the repository.
set -euo pipefail
root=$1 base=$2 daemon=$3 epoch=$4
# shellcheck source=image/settings
. image/settings

# Lays a folder over the root: everything root's own, readable by all, and as old as the image.
lay() { # lay FOLDER [TARGET]
    mkdir -p "$root/${2:-}"
    tar -C "$1" --owner=0 --group=0 --mode='u=rwX,go=rX' --mtime="@$epoch" -cf - . |
        tar -C "$root/${2:-}" --keep-directory-symlink --no-overwrite-dir -xpf -
}

lay overlays/rootfs
[ ! -d "image/bases/$base/rootfs" ] || lay "image/bases/$base/rootfs"
for file in etc/fstab etc/default/raspi-firmware boot/firmware/cmdline.txt; do
    [ ! -e "$root/$file" ] || sed -i "s/@DISK_ID@/$disk_id/" "$root/$file"
done

# Everything under systemd/ goes where its kind belongs; what is enabled, the presets say.
for unit in systemd/*.service systemd/*.socket systemd/*.timer systemd/*.path systemd/*.mount systemd/*.target; do
    [ ! -f "$unit" ] || install -m 644 "$unit" "$root/usr/lib/systemd/system/"
done
for folder in systemd/*.d; do
    case $folder in
    */sysusers.d | */tmpfiles.d) lay "$folder" "usr/lib/${folder##*/}" ;;
    *.service.d | *.socket.d | *.timer.d | *.mount.d) lay "$folder" "usr/lib/systemd/system/${folder##*/}" ;;
    *) lay "$folder" "usr/lib/systemd/${folder##*/}" ;;
    esac
done
lay systemd/preset usr/lib/systemd/system-preset
lay systemd/udev usr/lib/udev/rules.d
install -m 755 "$daemon" "$root/usr/bin/dockbeacon"

# What the hooks need to run in the root. The namespace ends with this program, and the mounts with it.
mount -t proc proc "$root/proc"
mount -t tmpfs tmpfs "$root/run"
mount --bind /dev "$root/dev"
if [ "$(dpkg --print-architecture)" != "$(cat "$root/var/lib/dpkg/arch" 2>/dev/null || echo arm64)" ]; then
    binfmt=/proc/sys/fs/binfmt_misc
    [ -e $binfmt/register ] || mount -t binfmt_misc binfmt_misc $binfmt
    [ -e $binfmt/qemu-aarch64 ] || cat /usr/lib/binfmt.d/qemu-aarch64.conf >$binfmt/register
fi
for hook in image/hooks/*; do
    echo "    ${hook##*/}" >&2
    install -m 755 "$hook" "$root/run/hook"
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive SOURCE_DATE_EPOCH="$epoch" \
        DOCKBEACON_HOSTNAME="$hostname" chroot "$root" /run/hook </dev/null
done
umount "$root/dev" "$root/run" "$root/proc"

# The front panel as LEDs and a key of the kernel's, for whoever asks for it in config.txt.
mkdir -p "$root/boot/firmware/overlays"
dtc -q -@ -I dts -O dtb -o "$root/boot/firmware/overlays/dockbeacon-panel.dtbo" overlays/devicetree/dockbeacon-panel.dts

# Nothing is younger than the image.
find "$root" -xdev -newermt "@$epoch" -exec touch -h -d "@$epoch" {} +
