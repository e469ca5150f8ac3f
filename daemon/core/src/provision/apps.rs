//! Services that lie on the boot partition.
//!
//! Owns which folders are Compose projects, what they are called on the device and what belongs to them. Must never read a
//! file: a listing is an argument.

use std::collections::BTreeMap;

use super::Problem;

/// The names that Compose looks for, in its order.
pub const COMPOSE: [&str; 4] = ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];

/// What the one project without a folder is called.
pub const SINGLE: &str = "app";

/// A project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct App {
    /// Its name, and that of its folder below `/srv/apps`.
    pub name: String,
    /// Its compose file's name.
    pub compose: &'static str,
    /// Where it is on the boot partition and where in its folder.
    pub files: Vec<(String, String)>,
    /// Images to be loaded first, on the boot partition.
    pub images: Vec<String>,
}

/// The projects in a listing of files, relative to the boot partition: `compose.yaml`, `.env` and `*.tar` at its top, and
/// everything below `apps/`.
#[must_use]
pub fn find(files: &[String]) -> (Vec<App>, Vec<Problem>) {
    let mut problems = Vec::new();
    let mut folders: BTreeMap<&str, Vec<(&str, &str)>> = BTreeMap::new();
    let mut single = Vec::new();
    let mut shared = Vec::new();
    for file in files {
        // Other systems leave their own files everywhere.
        if file.split('/').any(|part| part.starts_with("._") || part == ".DS_Store" || part == "Thumbs.db") {
            continue;
        }
        match file.strip_prefix("apps/") {
            Some(inside) => match inside.split_once('/') {
                Some((folder, rest)) => folders.entry(folder).or_default().push((file, rest)),
                None if is_image(inside) => shared.push(file.clone()),
                None => {}
            },
            None if file.contains('/') => {}
            None if COMPOSE.contains(&file.as_str()) || file == ".env" => {
                single.push((file.as_str(), file.as_str()))
            }
            None if is_image(file) => shared.push(file.clone()),
            None => {}
        }
    }
    let mut apps = Vec::new();
    for (folder, files) in folders {
        let Some(compose) = COMPOSE.into_iter().find(|name| files.iter().any(|(_, inside)| inside == name))
        else {
            problems.push(Problem {
                file: format!("apps/{folder}"),
                line: 0,
                what: "there is no compose file in this folder".to_owned(),
                remedy: "put a compose.yaml into it, or remove the folder".to_owned(),
            });
            continue;
        };
        let Some(name) = project_name(folder) else {
            problems.push(Problem {
                file: format!("apps/{folder}"),
                line: 0,
                what: "this cannot be the name of a Compose project".to_owned(),
                remedy: "rename the folder: small letters, digits, - and _, beginning with a letter or digit"
                    .to_owned(),
            });
            continue;
        };
        apps.push(app(name, compose, &files));
    }
    if let Some(compose) = COMPOSE.into_iter().find(|name| single.iter().any(|(_, inside)| inside == name)) {
        if apps.iter().any(|app| app.name == SINGLE) {
            problems.push(Problem {
                file: compose.to_owned(),
                line: 0,
                what: format!("apps/{SINGLE} has the name that this file would get"),
                remedy: "rename that folder, or move this file into a folder below apps".to_owned(),
            });
        } else {
            apps.push(app(SINGLE.to_owned(), compose, &single));
        }
    }
    // Images beside the projects belong to whichever comes first: loaded once, they are there for all.
    if let Some(first) = apps.first_mut() {
        first.images.splice(0..0, shared);
    }
    (apps, problems)
}

fn is_image(name: &str) -> bool {
    name.to_ascii_lowercase().ends_with(".tar")
}

fn app(name: String, compose: &'static str, files: &[(&str, &str)]) -> App {
    // Only images directly in the folder are loaded; a tar deeper down belongs to the service.
    let image = |inside: &str| !inside.contains('/') && is_image(inside);
    App {
        name,
        compose,
        files: files
            .iter()
            .filter(|(_, inside)| !image(inside))
            .map(|(file, inside)| ((*file).to_owned(), (*inside).to_owned()))
            .collect(),
        images: files
            .iter()
            .filter(|(_, inside)| image(inside))
            .map(|(file, _)| (*file).to_owned())
            .collect(),
    }
}

/// FAT keeps the case that somebody typed; Compose wants small letters.
fn project_name(folder: &str) -> Option<String> {
    let name = folder.to_lowercase();
    let good = name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && name.len() <= 63
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_');
    good.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[&str]) -> (Vec<App>, Vec<String>) {
        let files: Vec<String> = files.iter().map(|file| (*file).to_owned()).collect();
        let (apps, problems) = find(&files);
        (apps, problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn folders_a_single_file_and_images() {
        let (apps, problems) = found(&[
            "config.txt",
            "compose.yaml",
            ".env",
            "apps/Web/compose.yaml",
            "apps/Web/._compose.yaml",
            "apps/Web/conf/site.conf",
            "apps/Web/conf/data.tar",
            "apps/Web/image.tar",
            "apps/shared.tar",
            "apps/notes.txt",
            "dockbeacon-backup-shop-20261122T023005Z.tar.gz",
        ]);
        assert!(problems.is_empty(), "{problems:?}");
        let [web, app] = apps.as_slice() else { unreachable!("{apps:?}") };
        assert_eq!((web.name.as_str(), app.name.as_str()), ("web", "app"));
        assert_eq!(web.images, ["apps/shared.tar", "apps/Web/image.tar"]);
        let inside: Vec<&str> = web.files.iter().map(|(_, inside)| inside.as_str()).collect();
        assert_eq!(inside, ["compose.yaml", "conf/site.conf", "conf/data.tar"]);
        assert_eq!(app.files.len(), 2);
    }

    #[test]
    fn what_is_no_project_is_told() {
        let (apps, problems) =
            found(&["apps/my app/compose.yaml", "apps/empty/readme", "apps/app/compose.yml", "compose.yml"]);
        assert_eq!(apps.len(), 1);
        assert_eq!(
            problems,
            [
                "apps/empty: there is no compose file in this folder; put a compose.yaml into it, or remove the folder",
                "apps/my app: this cannot be the name of a Compose project; rename the folder: small letters, digits, - and _, beginning with a letter or digit",
                "compose.yml: apps/app has the name that this file would get; rename that folder, or move this file into a folder below apps",
            ]
        );
    }
}
