//! The first file in a backup: what it is and what is in it.
//!
//! Owns its format and the names of backups. A released format is read for ever. Must never read a file.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The format that this version writes.
pub const FORMAT: u32 = 1;

/// The manifest's name in the backup.
pub const MANIFEST: &str = "dockbeacon-backup.json";

/// What the names of backups begin and end with.
const PREFIX: &str = "dockbeacon-backup";
const SUFFIX: &str = ".tar.gz";

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of this document.
    pub format: u32,
    /// The Dockbeacon that made it.
    pub version: String,
    /// When it was begun.
    pub made: DateTime<Utc>,
    /// The host name of the device.
    pub host: String,
    /// The folder of the engine's volumes, relative to the root: `var/lib/docker/volumes`.
    pub volumes_in: String,
    /// Volumes whose data are in it, each in `VOLUMES_IN/NAME/_data`.
    pub volumes: Vec<SavedVolume>,
    /// Compose projects in `srv/apps`.
    pub apps: Vec<App>,
    /// What is not in it, each with the reason.
    pub left_out: Vec<String>,
}

/// A volume as its owner made it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedVolume {
    /// Its name.
    pub name: String,
    /// Its labels; Compose knows its own volumes by them.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// A Compose project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct App {
    /// Its name, and that of its folder.
    pub name: String,
    /// Whether any of it ran.
    pub running: bool,
}

/// What a new backup is called. Without a true time the name says so, and orders before every other.
#[must_use]
pub fn file_name(host: &str, made: DateTime<Utc>, trusted: bool) -> String {
    let host: String = host.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(63).collect();
    let host = if host.is_empty() { "device" } else { &host };
    let time = made.format("%Y%m%dT%H%M%SZ");
    let mark = if trusted { "" } else { "unsure-" };
    format!("{PREFIX}-{host}-{mark}{time}{SUFFIX}")
}

/// Whether a file is called as backups are.
#[must_use]
pub fn is_backup(name: &str) -> bool {
    name.starts_with(PREFIX) && name.ends_with(SUFFIX)
}

/// The newest of these files by the time in their names; `None` when none is a backup.
#[must_use]
pub fn newest(names: &[String]) -> Option<&str> {
    let backups = names.iter().filter(|name| is_backup(name));
    backups.max_by_key(|name| (time_in(name), name.as_str())).map(String::as_str)
}

/// The time that a name tells; `None`, which is earlier than every time, where it tells none that can be believed.
fn time_in(name: &str) -> Option<&str> {
    let inside = name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
    let (before, time) = inside.rsplit_once('-')?;
    let shaped = time.len() == 16 && time.bytes().all(|b| b.is_ascii_digit() || b == b'T' || b == b'Z');
    (shaped && !before.ends_with("-unsure")).then_some(time)
}

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// In words, when it is none, or one of a later format.
    pub fn parse(text: &str) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
            version: String,
        }
        let head: Head = serde_json::from_str(text).map_err(|error| {
            format!("its {MANIFEST} cannot be read: {error}; it was not made by Dockbeacon")
        })?;
        if head.format > FORMAT {
            return Err(format!(
                "it was made by Dockbeacon {}, whose backups this version cannot read; use that version or a later one",
                head.version
            ));
        }
        let manifest: Self = serde_json::from_str(text)
            .map_err(|error| format!("its {MANIFEST} cannot be read: {error}; use another backup"))?;
        let inside = &manifest.volumes_in;
        if inside.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(format!(
                "its {MANIFEST} names the folder {inside:?} for volumes; use another backup"
            ));
        }
        Ok(manifest)
    }

    /// Where the data of one of its volumes lie in it.
    #[must_use]
    pub fn data_of(&self, volume: &SavedVolume) -> String {
        format!("{}/{}/_data", self.volumes_in, volume.name)
    }
}

/// Whose backup it is, for people: `a backup of dockbeacon, made on 22 November 2026 at 02:30 UTC`.
#[must_use]
pub fn made_by(manifest: &Manifest) -> String {
    let time = manifest.made.format("%-d %B %Y at %H:%M UTC");
    format!("a backup of {}, made on {time}", manifest.host)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn the_newest_is_found_whatever_the_device_is_called() {
        let time = at("2026-11-22T02:30:05Z");
        let named = file_name("shop-1", time, true);
        assert_eq!(named, "dockbeacon-backup-shop-1-20261122T023005Z.tar.gz");
        let names = [
            "dockbeacon-backup-zoo-20261121T235959Z.tar.gz".to_owned(),
            named.clone(),
            // A device that woke up in a far future that was not true.
            file_name("shop-1", at("2038-01-01T00:00:00Z"), false),
            "dockbeacon-backup.tar.gz".to_owned(),
            "dockbeacon-backup-a-20301122T023005Z.tar.gz.part".to_owned(),
            "photos-20301122T023005Z.tar.gz".to_owned(),
        ];
        assert_eq!(newest(&names), Some(named.as_str()));
        assert_eq!(newest(&names[3..]), Some("dockbeacon-backup.tar.gz"));
        assert_eq!(newest(&names[4..]), None);
        assert_eq!(file_name("../ä", time, true), "dockbeacon-backup-device-20261122T023005Z.tar.gz");
    }

    #[test]
    fn manifests_of_now_are_read_and_those_of_later_versions_refused() {
        let manifest = Manifest {
            format: FORMAT,
            version: "0.1.0".to_owned(),
            made: at("2026-11-22T02:30:05Z"),
            host: "shop".to_owned(),
            volumes_in: "var/lib/docker/volumes".to_owned(),
            volumes: vec![SavedVolume { name: "web_data".to_owned(), labels: BTreeMap::new() }],
            apps: vec![App { name: "web".to_owned(), running: true }],
            left_out: Vec::new(),
        };
        let text = serde_json::to_string(&manifest).unwrap();
        assert_eq!(Manifest::parse(&text), Ok(manifest.clone()));
        assert_eq!(made_by(&manifest), "a backup of shop, made on 22 November 2026 at 02:30 UTC");
        let why = Manifest::parse(r#"{"format": 2, "version": "0.9.0", "all": "else"}"#).unwrap_err();
        assert_eq!(
            why,
            "it was made by Dockbeacon 0.9.0, whose backups this version cannot read; use that version or a later one"
        );
        assert!(Manifest::parse("{}").unwrap_err().contains("not made by Dockbeacon"));
        let evil = text.replace("var/lib/docker/volumes", "var/../../etc");
        assert!(Manifest::parse(&evil).unwrap_err().contains("for volumes"));
    }
}
