//! The recipe of the base `raspios`, as far as it can be judged without Raspberry Pi's archive.
//!
//! Owns what both bases must agree on, and what this one's boards need. Must never be taken for a proof that it boots.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const BASE: &str = "image/bases/raspios";

fn at(path: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(path)
}

fn text(path: &str) -> String {
    std::fs::read_to_string(at(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Lines that say something.
fn said(text: &str) -> BTreeSet<&str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

#[test]
fn it_trusts_debians_keys_and_one_more() {
    let (own, debian) = (text(&format!("{BASE}/keys")), text("image/bases/debian/keys"));
    let (own, debian) = (said(&own), said(&debian));
    assert!(own.is_superset(&debian));
    assert_eq!(own.len(), debian.len() + 1);
    let hex = |key: &&str| key.len() == 40 && key.chars().all(|c| c.is_ascii_hexdigit() && !c.is_lowercase());
    assert!(own.iter().all(hex), "whole fingerprints: {own:?}");
    assert!(text(&format!("{BASE}/key-source")).starts_with("https://"));
}

#[test]
fn every_archive_is_checked_with_a_keyring_that_is_installed() {
    let packages = text(&format!("{BASE}/packages"));
    let folder = at(&format!("{BASE}/rootfs/etc/apt/sources.list.d"));
    let mut archives = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let sources = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        for stanza in sources.split("\n\n").filter(|s| !s.trim().is_empty()) {
            let field = |name: &str| {
                let line = stanza.lines().find_map(|l| l.strip_prefix(&format!("{name}: ")));
                line.unwrap_or_else(|| panic!("no {name}: {stanza}")).to_owned()
            };
            archives += 1;
            assert_eq!(field("Types"), "deb");
            assert!(field("Suites").split(' ').all(|s| s.starts_with("trixie")), "{stanza}");
            let ring = field("Signed-By");
            let package = Path::new(&ring).file_stem().unwrap().to_str().unwrap();
            assert!(said(&packages).contains(package), "{ring} comes with no package of the list");
        }
    }
    assert_eq!(archives, 3, "Debian, its security updates, Raspberry Pi");
}

#[test]
fn boards_and_panel_are_told_what_they_need() {
    let packages = text(&format!("{BASE}/packages"));
    // One kernel for the boards up to the 4 and the Zero 2 W, one for the 5; the Zero 2 W is reached by Wi-Fi alone.
    for wanted in
        ["linux-image-rpi-v8", "linux-image-rpi-2712", "raspi-firmware", "firmware-brcm80211", "rpi-eeprom"]
    {
        assert!(said(&packages).contains(wanted), "{wanted}");
    }
    let cmdline = text(&format!("{BASE}/rootfs/boot/firmware/cmdline.txt"));
    assert_eq!(cmdline.lines().count(), 1);
    let words: BTreeSet<&str> = cmdline.split_whitespace().collect();
    // The firmware turns the memory controller off where this word is not there.
    for wanted in ["root=PARTUUID=@DISK_ID@-02", "rootwait", "fsck.repair=yes", "cgroup_enable=memory"] {
        assert!(words.contains(wanted), "{wanted}: {cmdline}");
    }
    let config = text(&format!("{BASE}/rootfs/boot/firmware/config.txt"));
    let panel = text("image/bases/debian/rootfs/etc/default/raspi-firmware-custom");
    assert!(said(&config).is_superset(&said(&panel)), "both bases treat the panel's pins alike");
    assert!(config.lines().all(|line| line.len() <= 98), "the firmware reads 98 characters of a line");
    for wanted in ["arm_64bit=1", "auto_initramfs=1"] {
        assert!(said(&config).contains(wanted), "{wanted}");
    }
}
