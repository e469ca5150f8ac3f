#!/usr/bin/env bash
# What goes with an image: papers.sh ROOT PACKAGES DAEMON FOLDER NAME EPOCH
#
# Writes NAME.packages (the versions) and NAME.spdx.json (a bill of materials, SPDX 2.3) into FOLDER.
set -euo pipefail
root=$1 packages=$2 daemon=$3 folder=$4 name=$5 epoch=$6

mkdir -p "$folder"
cp "$packages" "$folder/$name.packages"

created=$(date -u -d "@$epoch" +%Y-%m-%dT%H:%M:%SZ)
sum=$(sha256sum "$daemon" | cut -d' ' -f1)
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n1)
# shellcheck disable=SC2016  # fields of dpkg-query
dpkg-query --admindir="$root/var/lib/dpkg" -W \
    -f '${Package}\t${Version}\t${Architecture}\t${source:Package}\t${source:Version}\t${Homepage}\n' | LC_ALL=C sort |
    jq -R -s --arg name "$name" --arg created "$created" --arg sum "$sum" --arg version "$version" '
    def id: gsub("[^A-Za-z0-9.-]"; "-");
    [split("\n")[] | select(length > 0) | split("\t")
     | { name: .[0], SPDXID: ("SPDXRef-deb-" + (.[0] | id)), versionInfo: .[1], supplier: "Organization: Debian",
         downloadLocation: "NOASSERTION", filesAnalyzed: false, licenseConcluded: "NOASSERTION",
         licenseDeclared: "NOASSERTION", copyrightText: "NOASSERTION", sourceInfo: ("built from " + .[3] + " " + .[4]),
         externalRefs: [{ referenceCategory: "PACKAGE-MANAGER", referenceType: "purl",
           referenceLocator: ("pkg:deb/debian/" + (.[0] | @uri) + "@" + (.[1] | @uri) + "?arch=" + .[2]) }] }
       + (if (.[5] // "") == "" then {} else { homepage: .[5] } end)] as $debs
    | { spdxVersion: "SPDX-2.3", dataLicense: "CC0-1.0", SPDXID: "SPDXRef-DOCUMENT", name: $name,
        documentNamespace: ("https://dockbeacon.invalid/spdx/" + $name + "/" + $sum),
        creationInfo: { created: $created, creators: ["Tool: dockbeacon-build-image"] },
        packages: ([{ name: "dockbeacon", SPDXID: "SPDXRef-dockbeacon", versionInfo: $version,
          supplier: "Organization: Dockbeacon", downloadLocation: "NOASSERTION", filesAnalyzed: false,
          licenseConcluded: "Apache-2.0 OR MIT", licenseDeclared: "Apache-2.0 OR MIT", copyrightText: "NOASSERTION",
          checksums: [{ algorithm: "SHA256", checksumValue: $sum }] }] + $debs) }
    | .relationships = [.packages[] | { spdxElementId: "SPDXRef-DOCUMENT", relationshipType: "DESCRIBES",
        relatedSpdxElement: .SPDXID }]' >"$folder/$name.spdx.json"
