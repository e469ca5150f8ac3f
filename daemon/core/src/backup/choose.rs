//! What belongs into a backup of a device.
//!
//! Owns the choice among volumes, Compose projects and folders, with a reason for everything that is left out. Must never leave
//! something out in silence.

use std::collections::{BTreeMap, BTreeSet};

use super::{APPS, App, SERVICES, SavedVolume, within};
use crate::provision::apps::COMPOSE;

/// A volume as the engine lists it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// `local`, or a plug-in's.
    pub driver: String,
    /// What the driver was given: for `local`, a mount of something else.
    pub options: BTreeMap<String, String>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Where its data lie.
    pub mountpoint: String,
}

/// A container, as far as a backup goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// Whether it runs.
    pub running: bool,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// What is mounted into it.
    pub mounts: Vec<Mount>,
}

/// Something mounted into a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mount {
    /// A volume, by name.
    Volume(String),
    /// A file or folder of the device, by its absolute path.
    Folder(String),
}

/// What goes in, and what does not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choice {
    /// Volumes to save.
    pub volumes: Vec<SavedVolume>,
    /// The folder in which all of them lie, relative to the root; `None` without a volume.
    pub volumes_in: Option<String>,
    /// Projects in [`APPS`].
    pub apps: Vec<App>,
    /// What is left out and why.
    pub left_out: Vec<String>,
}

/// Folders of the system that services look into: they come with the system, not with a backup.
const SYSTEM: [&str; 14] = [
    "/bin",
    "/boot",
    "/dev",
    "/etc/hostname",
    "/etc/localtime",
    "/etc/timezone",
    "/lib",
    "/proc",
    "/run",
    "/sys",
    "/usr/bin",
    "/usr/lib",
    "/usr/share",
    "/var/run",
];

const PROJECT: &str = "com.docker.compose.project";
/// The label by which Compose says where a project's files lie.
pub const WORKING_DIR: &str = "com.docker.compose.project.working_dir";
const FILES: &str = "com.docker.compose.project.config_files";
const ANONYMOUS: &str = "com.docker.volume.anonymous";

/// Chooses among what there is. Everything below `/srv` is saved without being looked at.
#[must_use]
pub fn choose(volumes: &[Volume], containers: &[Container]) -> Choice {
    let mut choice = Choice::default();
    for volume in volumes {
        match save(volume, choice.volumes_in.as_deref()) {
            Ok(folder) => {
                choice.volumes_in.get_or_insert(folder);
                let (name, labels) = (volume.name.clone(), volume.labels.clone());
                choice.volumes.push(SavedVolume { name, labels });
            }
            Err(why) => choice.left_out.push(format!("volume {}: {why}", users(volume, containers))),
        }
    }
    let mut apps: BTreeMap<&str, bool> = BTreeMap::new();
    let mut elsewhere = BTreeSet::new();
    for container in containers {
        let project = container.labels.get(PROJECT).map(String::as_str);
        let folder = container.labels.get(WORKING_DIR).map(|folder| folder.trim_matches('/'));
        let own = folder.and_then(|folder| folder.strip_prefix(APPS)).map(|inside| inside.trim_matches('/'));
        match (project, own) {
            (Some(project), Some(own)) if project == own && !usual(container) => {
                elsewhere.insert(format!(
                    "project {project}: its folder is saved, but its file has a name of its own, so it is not started after a restore; \
                     call it compose.yaml"
                ));
            }
            (Some(project), Some(own)) if project == own => {
                *apps.entry(own).or_default() |= container.running;
            }
            (Some(project), Some(own)) => {
                elsewhere.insert(format!(
                    "project {project}: its folder is saved, but is called {own}, so it is not started after a restore; give both \
                     one name"
                ));
            }
            (Some(project), None) => {
                let folder =
                    folder.map_or_else(|| "a folder that is not known".to_owned(), |f| format!("/{f}"));
                elsewhere.insert(format!(
                    "project {project}: its files lie in {folder}; move them to /{APPS}/{project} and start it from there"
                ));
            }
            (None, _) => {
                elsewhere.insert(format!(
                    "container {}: it belongs to no Compose project, so nothing says how to make it again; write a \
                     compose.yaml for it in /{APPS}",
                    container.name
                ));
            }
        }
    }
    choice.left_out.extend(elsewhere);
    choice.left_out.extend(folders(containers));
    choice.apps = apps.into_iter().map(|(name, running)| App { name: name.to_owned(), running }).collect();
    choice
}

/// Whether Compose finds the project's file by itself.
fn usual(container: &Container) -> bool {
    let files = container.labels.get(FILES).map(String::as_str).unwrap_or_default();
    let first = files.split(',').next().unwrap_or_default();
    let name = first.rsplit('/').next().unwrap_or_default();
    name.is_empty() || COMPOSE.contains(&name)
}

/// The folder of the volume's folder, relative to the root, if its data can be saved.
fn save(volume: &Volume, folder: Option<&str>) -> Result<String, String> {
    if volume.driver != "local" {
        return Err(format!("its driver {} keeps the data elsewhere", volume.driver));
    }
    if let Some(device) = volume.options.get("device") {
        return Err(format!("it is a mount of {device}; save that where it is"));
    }
    if !volume.options.is_empty() {
        return Err("it is a mount with options of its own; save what it mounts".to_owned());
    }
    let is_id = volume.name.len() == 64 && volume.name.bytes().all(|b| b.is_ascii_hexdigit());
    if is_id || volume.labels.contains_key(ANONYMOUS) {
        return Err(
            "it has no name, so no service would find it again; give it one in compose.yaml".to_owned()
        );
    }
    let inside = volume.mountpoint.trim_start_matches('/');
    let ours = inside.strip_suffix(&format!("/{}/_data", volume.name)).filter(|ours| !ours.is_empty());
    match (ours, folder) {
        (Some(ours), None) => Ok(ours.to_owned()),
        (Some(ours), Some(folder)) if ours == folder => Ok(ours.to_owned()),
        (Some(_) | None, _) => Err(format!("its data lie at an unusual place, {}", volume.mountpoint)),
    }
}

/// A volume's name, and who uses it where the name alone says nothing.
fn users(volume: &Volume, containers: &[Container]) -> String {
    let uses = |c: &&Container| c.mounts.contains(&Mount::Volume(volume.name.clone()));
    let users: Vec<&str> = containers.iter().filter(uses).map(|c| c.name.as_str()).collect();
    let short: String = volume.name.chars().take(if volume.name.len() == 64 { 12 } else { 255 }).collect();
    if users.is_empty() { short } else { format!("{short} (of {})", users.join(", ")) }
}

/// Folders outside `/srv` that services keep something in.
fn folders(containers: &[Container]) -> Vec<String> {
    let mut found: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for container in containers {
        for mount in &container.mounts {
            let Mount::Folder(path) = mount else { continue };
            let saved = within(path, &format!("/{SERVICES}"));
            if !saved && path != "/" && !SYSTEM.iter().any(|folder| within(path, folder)) {
                found.entry(path).or_default().insert(&container.name);
            }
        }
    }
    let say = |(path, users): (&str, BTreeSet<&str>)| {
        let users: Vec<&str> = users.into_iter().collect();
        format!(
            "{path} (of {}): it lies outside /{SERVICES}; move it there, or save it yourself",
            users.join(", ")
        )
    };
    found.into_iter().map(say).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn volume(name: &str) -> Volume {
        Volume {
            name: name.to_owned(),
            driver: "local".to_owned(),
            mountpoint: format!("/var/lib/docker/volumes/{name}/_data"),
            ..Volume::default()
        }
    }

    fn container(name: &str, project: &str, folder: &str, mounts: &[Mount]) -> Container {
        let labels = if project.is_empty() {
            BTreeMap::new()
        } else {
            map(&[(PROJECT, project), (WORKING_DIR, folder)])
        };
        Container { name: name.to_owned(), running: true, labels, mounts: mounts.to_vec() }
    }

    #[test]
    fn named_volumes_and_projects_in_their_place_are_saved() {
        let mut data = volume("web_data");
        data.labels = map(&[(PROJECT, "web")]);
        let mut stopped = container("old-1", "old", "/srv/apps/old/", &[]);
        stopped.running = false;
        let mounts = [
            Mount::Volume("web_data".to_owned()),
            Mount::Folder("/srv/apps/web/conf".to_owned()),
            Mount::Folder("/var/run/docker.sock".to_owned()),
            Mount::Folder("/".to_owned()),
        ];
        let choice = choose(&[data.clone()], &[container("web-1", "web", "/srv/apps/web", &mounts), stopped]);
        assert_eq!(choice.volumes, [SavedVolume { name: "web_data".to_owned(), labels: data.labels }]);
        assert_eq!(choice.volumes_in.as_deref(), Some("var/lib/docker/volumes"));
        let app = |name: &str, running| App { name: name.to_owned(), running };
        assert_eq!(choice.apps, [app("old", false), app("web", true)]);
        assert!(choice.left_out.is_empty(), "{:?}", choice.left_out);
    }

    #[test]
    fn everything_left_out_says_why_and_what_to_do() {
        let id = "ab".repeat(32);
        let (mut nfs, mut cloud, mut far) = (volume("nas"), volume("cloud"), volume("far"));
        nfs.options = map(&[("type", "nfs"), ("device", ":/export")]);
        cloud.driver = "rclone".to_owned();
        far.mountpoint = "/mnt/far".to_owned();
        let mounts = [Mount::Volume(id.clone()), Mount::Folder("/srvother".to_owned())];
        let mut prod = container("prod-1", "prod", "/srv/apps/prod", &[]);
        prod.labels.insert(FILES.to_owned(), "/srv/apps/prod/prod.yml".to_owned());
        let choice = choose(
            &[nfs, cloud, far, volume(&id)],
            &[
                container("hand", "", "", &mounts),
                container("away-1", "away", "/opt/away", &[Mount::Folder("/opt/away/data".to_owned())]),
                container("named-1", "other", "/srv/apps/named", &[]),
                prod,
            ],
        );
        assert!(choice.volumes.is_empty() && choice.apps.is_empty(), "{choice:?}");
        assert_eq!(
            choice.left_out,
            [
                "volume nas: it is a mount of :/export; save that where it is",
                "volume cloud: its driver rclone keeps the data elsewhere",
                "volume far: its data lie at an unusual place, /mnt/far",
                "volume abababababab (of hand): it has no name, so no service would find it again; give it one in compose.yaml",
                "container hand: it belongs to no Compose project, so nothing says how to make it again; write a compose.yaml for it \
                 in /srv/apps",
                "project away: its files lie in /opt/away; move them to /srv/apps/away and start it from there",
                "project other: its folder is saved, but is called named, so it is not started after a restore; give both one name",
                "project prod: its folder is saved, but its file has a name of its own, so it is not started after a restore; call it \
                 compose.yaml",
                "/opt/away/data (of away-1): it lies outside /srv; move it there, or save it yourself",
                "/srvother (of hand): it lies outside /srv; move it there, or save it yourself",
            ]
        );
    }
}
