//! What comes out of a backup, where to, and what is left as it is.
//!
//! Owns the rule that a backup brings files to its own places only and never replaces anything that is in use. Must never
//! trust a name in it.

use super::{APPS, MANIFEST, Manifest, SERVICES, SETTINGS, STATE, SavedVolume, within};

/// Something that comes back as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// The data of a volume.
    Volume(SavedVolume),
    /// A folder or file below `/srv`, by its path relative to the root.
    Service(String),
    /// The owner's settings.
    Settings,
    /// History, owner, tokens, refused versions.
    State,
}

impl Part {
    /// Where it lies in the backup, relative to its root.
    #[must_use]
    pub fn path(&self, manifest: &Manifest) -> String {
        match self {
            Self::Volume(volume) => manifest.data_of(volume),
            Self::Service(path) => path.clone(),
            Self::Settings => SETTINGS.to_owned(),
            Self::State => STATE.to_owned(),
        }
    }

    /// The Compose project that it is, if it is one and ran when the backup was made.
    #[must_use]
    pub fn running_app<'m>(&self, manifest: &'m Manifest) -> Option<&'m str> {
        let Self::Service(path) = self else { return None };
        let name = path.strip_prefix(APPS)?.strip_prefix('/')?;
        manifest.apps.iter().find(|app| app.name == name && app.running).map(|app| app.name.as_str())
    }
}

/// What is at a part's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum There {
    /// Nothing, or nothing that matters.
    Free,
    /// Something.
    InUse,
}

/// Requires that every entry goes where a backup may write; entries as `tar --list` names them, folders with a slash at the end.
///
/// # Errors
/// Names the first that does not.
pub fn check_entries(
    entries: impl IntoIterator<Item = impl AsRef<str>>,
    manifest: &Manifest,
) -> Result<(), String> {
    let mut complete = false;
    for entry in entries {
        let entry = entry.as_ref();
        let path = entry.strip_suffix('/').unwrap_or(entry);
        complete |= path == MANIFEST;
        let plain = path.split('/').all(|part| !matches!(part, "" | "." | ".."));
        if !plain || !may_write(path, manifest) {
            return Err(format!("it holds {entry}, which belongs into no backup; nothing of it was used"));
        }
    }
    if complete { Ok(()) } else { Err(format!("it has no {MANIFEST}; use another backup")) }
}

fn may_write(path: &str, manifest: &Manifest) -> bool {
    let in_volume = || {
        let inside = path.strip_prefix(manifest.volumes_in.as_str()).and_then(|rest| rest.strip_prefix('/'));
        let mut names = inside.unwrap_or_default().splitn(3, '/');
        let (name, data) = (names.next(), names.next());
        data == Some("_data") && manifest.volumes.iter().any(|volume| Some(volume.name.as_str()) == name)
    };
    [MANIFEST, SETTINGS, STATE].contains(&path) || within(path, SERVICES) || in_volume()
}

/// The parts of a backup in the order in which they are put in place: data before what uses them, and the owner last, because once
/// there is one, a backup beside the device is not acted on. `services` and `apps` are the names below `/srv` and `/srv/apps`.
#[must_use]
pub fn parts(manifest: &Manifest, services: &[String], apps: &[String]) -> Vec<Part> {
    let folder = APPS.strip_prefix(SERVICES).unwrap_or_default().trim_start_matches('/');
    let volumes = manifest.volumes.iter().cloned().map(Part::Volume);
    let services = services.iter().filter(|name| *name != folder).map(|name| format!("{SERVICES}/{name}"));
    let apps = apps.iter().map(|name| format!("{APPS}/{name}"));
    volumes.chain(services.chain(apps).map(Part::Service)).chain([Part::Settings, Part::State]).collect()
}

/// Why a part is not put in place; `None` when it is.
#[must_use]
pub fn kept(part: &Part, there: There, claimed: bool) -> Option<String> {
    match (part, there) {
        (Part::State, _) if claimed => Some(
            "the device has an owner already: the passwords and the history of the backup were not restored"
                .to_owned(),
        ),
        (Part::State, _) | (_, There::Free) => None,
        (Part::Volume(volume), There::InUse) => {
            Some(format!("the volume {} has data already and was left as it is", volume.name))
        }
        (Part::Service(path), There::InUse) => {
            Some(format!("/{path} is there already and was left as it is"))
        }
        (Part::Settings, There::InUse) => Some(format!("/{SETTINGS} is there already and was left as it is")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::collections::BTreeMap;

    use super::*;

    fn manifest() -> Manifest {
        let volume = |name: &str| SavedVolume { name: name.to_owned(), labels: BTreeMap::new() };
        Manifest {
            format: 1,
            version: "0.1.0".to_owned(),
            made: "2026-11-22T02:30:05Z".parse().unwrap(),
            host: "shop".to_owned(),
            volumes_in: "var/lib/docker/volumes".to_owned(),
            volumes: vec![volume("data")],
            apps: Vec::new(),
            left_out: Vec::new(),
        }
    }

    #[test]
    fn a_backup_writes_to_its_own_places_only() {
        let good = [
            "dockbeacon-backup.json",
            "etc/dockbeacon/config.yaml",
            "srv/",
            "srv/apps/web/compose.yaml",
            "var/lib/docker/volumes/data/_data/",
            "var/lib/docker/volumes/data/_data/a/b",
            "var/lib/dockbeacon/dockbeacon.db",
        ];
        assert_eq!(check_entries(good, &manifest()), Ok(()));
        assert!(check_entries(&good[1..], &manifest()).unwrap_err().contains("it has no"));
        for bad in [
            "/etc/passwd",
            "etc/passwd",
            "etc/dockbeacon/config.yaml/x",
            "srvother/x",
            "srv/../etc/passwd",
            "var/lib/docker/volumes/other/_data/x",
            "var/lib/docker/volumes/data/opts.json",
            "var/lib/dockbeacon/claimed",
            "",
        ] {
            let why = check_entries([bad, MANIFEST], &manifest()).unwrap_err();
            assert!(why.contains(&format!("it holds {bad}, which")), "{why}");
        }
    }

    #[test]
    fn the_owner_comes_last_and_nothing_in_use_is_replaced() {
        let name = |text: &str| text.to_owned();
        let parts = parts(&manifest(), &[name("apps"), name("site")], &[name("web")]);
        let service = |path: &str| Part::Service(path.to_owned());
        let volume = Part::Volume(manifest().volumes[0].clone());
        assert_eq!(
            parts,
            [volume, service("srv/site"), service("srv/apps/web"), Part::Settings, Part::State]
        );
        for part in &parts {
            assert_eq!(kept(part, There::Free, false), None, "{part:?}");
        }
        let said: Vec<String> = parts.iter().filter_map(|part| kept(part, There::InUse, true)).collect();
        assert_eq!(
            said,
            [
                "the volume data has data already and was left as it is",
                "/srv/site is there already and was left as it is",
                "/srv/apps/web is there already and was left as it is",
                "/etc/dockbeacon/config.yaml is there already and was left as it is",
                "the device has an owner already: the passwords and the history of the backup were not restored",
            ]
        );
    }
}
