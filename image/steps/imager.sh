#!/usr/bin/env bash
# The list by which Raspberry Pi Imager offers an image and its customisation: imager.sh DISK FOLDER NAME BASE EPOCH OUTPUT
#
# Writes NAME.os_list.json and its icon into FOLDER, which holds NAME.img.xz. Addresses are those that DOCKBEACON_IMAGE_URL (a folder on
# the web) says; without it the image is taken from OUTPUT on this machine.
set -euo pipefail
disk=$1 folder=$2 name=$3 base=$4 epoch=$5 output=$6

cp daemon/src/page/assets/icon.svg "$folder/dockbeacon.svg"
url=${DOCKBEACON_IMAGE_URL:-file://$(realpath "$output")}
jq -n --arg name "$name" --arg url "${url%/}" --arg date "$(date -u -d "@$epoch" +%Y-%m-%d)" \
    --argjson extract_size "$(stat -c %s "$disk")" --arg extract_sha256 "$(sha256sum "$disk" | cut -d' ' -f1)" \
    --argjson size "$(stat -c %s "$folder/$name.img.xz")" --arg sha256 "$(sha256sum "$folder/$name.img.xz" | cut -d' ' -f1)" \
    --argjson devices "$(jq . "image/bases/$base/devices.json")" \
    '{ imager: { devices: $devices }, os_list: [{
        name: "Dockbeacon",
        description: "A Docker host that keeps your containers running and current",
        icon: ($url + "/dockbeacon.svg"),
        website: $url,
        url: ($url + "/" + $name + ".img.xz"),
        bmap_url: ($url + "/" + $name + ".bmap"),
        extract_size: $extract_size,
        extract_sha256: $extract_sha256,
        image_download_size: $size,
        image_download_sha256: $sha256,
        release_date: $date,
        init_format: "cloudinit-rpi",
        architecture: "armv8",
        devices: ([$devices[].tags[]] | unique)
    }] }' >"$folder/$name.os_list.json"
