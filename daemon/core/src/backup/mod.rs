//! Backups: what belongs into one, what is left out and why, how one is called, what may come out of one.
//!
//! Owns the manifest and its format, the names of backups, the choice among volumes, services and folders, and the rule which paths
//! a backup may bring onto a device. Must never touch a file or an engine: listings are arguments.

mod choose;
mod manifest;
mod place;

pub use choose::{Choice, Container, Mount, Volume, WORKING_DIR, choose};
pub use manifest::{App, FORMAT, MANIFEST, Manifest, SavedVolume, file_name, is_backup, made_by, newest};
pub use place::{Part, There, check_entries, kept, parts};

/// Where services live on a device, relative to the root; all of it is saved.
pub const SERVICES: &str = "srv";

/// The folder of Compose projects within [`SERVICES`].
pub const APPS: &str = "srv/apps";

/// The owner's settings, relative to the root.
pub const SETTINGS: &str = "etc/dockbeacon/config.yaml";

/// Dockbeacon's own state as a backup holds it, relative to the root.
pub const STATE: &str = "var/lib/dockbeacon/dockbeacon.db";

/// Whether a path is that folder or lies in it.
fn within(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
