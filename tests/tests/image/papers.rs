//! What goes with an image: versions, bill of materials, block map, checksum, and the entry for Raspberry Pi Imager.
//!
//! Owns that these papers tell the truth about the image beside them. Must never need the network.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use dockbeacon_tests::card::{self, Card};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

fn beside(card: &Card, end: &str) -> PathBuf {
    card.path.with_extension(end)
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn sum(path: &Path) -> String {
    let mut hash = Sha256::new();
    std::io::copy(&mut std::fs::File::open(path).unwrap(), &mut HashWriter(&mut hash)).unwrap();
    hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

struct HashWriter<'a>(&'a mut Sha256);

impl std::io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Package and version of everything that the card's own package database calls installed.
fn installed(card: &Card) -> BTreeSet<String> {
    let status = card.text("/var/lib/dpkg/status").unwrap();
    status
        .split("\n\n")
        .filter(|stanza| stanza.contains("\nStatus: install ok installed"))
        .map(|stanza| {
            let field = |name: &str| stanza.lines().find_map(|l| l.strip_prefix(name)).unwrap_or_default();
            format!("{}={}", field("Package: "), field("Version: "))
        })
        .collect()
}

#[test]
fn versions_and_bill_of_materials_are_those_on_the_card() {
    let card = card::image().unwrap();
    let on_card = installed(&card);
    let listed: BTreeSet<String> = read(&beside(&card, "packages")).lines().map(str::to_owned).collect();
    assert_eq!(on_card, listed);

    let bill: Value = serde_json::from_str(&read(&beside(&card, "spdx.json"))).unwrap();
    assert_eq!(bill["spdxVersion"], "SPDX-2.3");
    assert_eq!(bill["dataLicense"], "CC0-1.0");
    assert_eq!(bill["SPDXID"], "SPDXRef-DOCUMENT");
    for needed in ["name", "documentNamespace"] {
        assert!(bill[needed].is_string(), "{needed}");
    }
    assert!(bill["creationInfo"]["created"].as_str().unwrap().ends_with('Z'));
    let packages = bill["packages"].as_array().unwrap();
    let billed: BTreeSet<String> = packages
        .iter()
        .filter(|p| p["name"] != "dockbeacon")
        .map(|p| format!("{}={}", p["name"].as_str().unwrap(), p["versionInfo"].as_str().unwrap()))
        .collect();
    assert_eq!(billed, on_card);
    let ids: BTreeSet<&str> = packages.iter().map(|p| p["SPDXID"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), packages.len(), "an SPDXID stands for one package");
    assert!(
        ids.iter().all(|id| id.chars().all(|c| c.is_ascii_alphanumeric() || "-.".contains(c))),
        "{ids:?}"
    );
    let daemon = packages.iter().find(|p| p["name"] == "dockbeacon").unwrap();
    let program = card.read("/usr/bin/dockbeacon").unwrap();
    let hash: String = Sha256::digest(&program).iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(daemon["checksums"][0], json!({ "algorithm": "SHA256", "checksumValue": hash }));
}

#[test]
fn checksum_and_block_map_are_the_image_s() {
    let card = card::image().unwrap();
    let listed = read(&beside(&card, "sha256"));
    let name = card.path.file_name().unwrap().to_str().unwrap();
    let line = listed.lines().find(|l| l.ends_with(name)).unwrap();
    assert_eq!(line.split(' ').next().unwrap(), sum(&card.path));
    let map = read(&beside(&card, "bmap"));
    assert!(
        map.contains(&format!("<ImageSize> {} </ImageSize>", card.path.metadata().unwrap().len())),
        "{map}"
    );
}

/// The step that writes the entry, on a small disk of the test's own; by the rules that Imager goes by.
#[test]
fn the_entry_for_raspberry_pi_imager_is_complete() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    std::fs::write(place("disk"), vec![7; 1 << 20]).unwrap();
    std::fs::write(place("card.img.xz"), b"shorter").unwrap();
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    for base in ["debian", "raspios"] {
        let output = Command::new("bash")
            .current_dir(root)
            .env("DOCKBEACON_IMAGE_URL", "https://example.org/images/")
            .arg("image/steps/imager.sh")
            .args([&place("disk"), folder.path(), Path::new("card"), Path::new(base)])
            .arg("1700000000")
            .arg(folder.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let list: Value = serde_json::from_str(&read(&place("card.os_list.json"))).unwrap();
        let entry = &list["os_list"][0];
        for needed in ["name", "description", "icon", "url", "extract_sha256", "release_date"] {
            assert!(entry[needed].as_str().is_some_and(|v| !v.is_empty()), "{needed}: {entry}");
        }
        assert_eq!(entry["init_format"], "cloudinit-rpi", "or Imager offers no customisation");
        assert_eq!(entry["architecture"], "armv8");
        assert_eq!(entry["url"], "https://example.org/images/card.img.xz");
        assert_eq!(entry["extract_size"], 1 << 20);
        // Imager holds back the first megabyte when this is wrong, and the card does not boot.
        assert_eq!(entry["extract_sha256"], sum(&place("disk")));
        assert_eq!(entry["image_download_size"], 7);
        assert_eq!(entry["image_download_sha256"], sum(&place("card.img.xz")));
        assert_eq!(entry["release_date"], "2023-11-14");
        // Each tag is one of a board that the same list describes, as Imager filters by them.
        let boards = list["imager"]["devices"].as_array().unwrap();
        let tags: Vec<&Value> = boards.iter().flat_map(|b| b["tags"].as_array().unwrap()).collect();
        let devices = entry["devices"].as_array().unwrap();
        assert!(!devices.is_empty() && devices.iter().all(|d| tags.contains(&d)), "{devices:?} of {tags:?}");
        for board in boards {
            assert!(board["name"].is_string() && board["description"].is_string(), "{board}");
            assert!(
                ["exclusive", "inclusive"].contains(&board["matching_type"].as_str().unwrap()),
                "{board}"
            );
        }
        assert!(place("dockbeacon.svg").exists(), "the icon lies beside the list");
    }
}
