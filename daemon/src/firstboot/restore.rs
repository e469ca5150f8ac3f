//! Backups that lie beside a new device.
//!
//! Owns noticing them. This version makes no backups and restores none, and says so. Must never touch one.

use std::fs;

use dockbeacon_core::provision::apps::BACKUP;

use super::Done;
use super::card::Card;

/// Looks for a backup on the boot partition, and for a disk that is labelled as ours.
pub fn look(card: &Card) -> Done {
    let found = backup(card).map(|name| format!("{name} on the boot partition"));
    let disk =
        card.path("dev/disk/by-label/DOCKBEACON").exists().then(|| "the disk labelled DOCKBEACON".to_owned());
    match found.or(disk) {
        None => Done::nothing("there is no backup to restore"),
        Some(what) => Done::badly(format!(
            "{what} is left as it is: this version of Dockbeacon cannot restore backups; set the device up anew, or use a version \
             that can"
        )),
    }
}

fn backup(card: &Card) -> Option<String> {
    if !card.boot_is_there() {
        return None;
    }
    let entries = fs::read_dir(card.boot()).ok()?;
    entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .find(|name| name.starts_with(BACKUP))
}
