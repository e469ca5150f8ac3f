//! Services that lie on the boot partition are copied and started.
//!
//! Owns copying them to `/srv/apps`, loading the images beside them, and asking Compose. Must never pull before the time is true, and
//! must never remove anything from `/srv/apps`.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use dockbeacon_core::provision::Problem;
use dockbeacon_core::provision::apps::{App, find};
use dockbeacon_core::provision::report::Outcome;
use dockbeacon_core::provision::steps::{Stamp, Step};

use super::Done;
use super::card::{Card, hash};
use super::report::{Reporter, say};
use crate::failpoint;
use crate::runner::Run;

/// Where projects live on the device.
const FOLDER: &str = "srv/apps";
/// Pulling many images over a slow line.
const PULL: Duration = Duration::from_secs(3600);
/// Loading one image from the card.
const LOAD: Duration = Duration::from_secs(1200);
/// What nobody means to copy.
const MOST: u64 = 64 * 1024 * 1024;

/// A project that lies in `/srv/apps` and is to be started.
#[derive(Debug)]
pub struct Copied {
    name: String,
    compose: String,
    images: Vec<String>,
    inputs: String,
}

/// Copies what lies on the boot partition; those that are not yet started.
pub fn copy(card: &Card, reporter: &mut Reporter) -> Vec<Copied> {
    if !card.boot_is_there() {
        return Vec::new();
    }
    let mut files = Vec::new();
    if let Err(error) = list(&card.boot(), "", 0, &mut files) {
        say(&format!("first boot: {error:#}"));
    }
    files.sort();
    let (apps, problems) = find(&files);
    reporter.problems(problems);
    let mut copied = Vec::new();
    for app in apps {
        match copy_one(card, &app) {
            Ok(one) => copied.push(one),
            Err(error) => reporter.problems([Problem {
                file: app.name.clone(),
                line: 0,
                what: format!("{error:#}"),
                remedy: "correct it on the boot partition and start the device again".to_owned(),
            }]),
        }
    }
    copied
}

/// The files that matter: those at the top, and everything below `apps`.
fn list(folder: &Path, inside: &str, depth: usize, files: &mut Vec<String>) -> Result<()> {
    if depth > 8 || files.len() > 2000 {
        bail!("apps has more files, or deeper folders, than belong there");
    }
    for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if inside.is_empty() { name.clone() } else { format!("{inside}/{name}") };
        let kind = entry.file_type()?;
        if kind.is_file() {
            files.push(path);
        } else if kind.is_dir() && (depth > 0 || name == "apps") {
            list(&entry.path(), &path, depth + 1, files)?;
        }
    }
    Ok(())
}

fn copy_one(card: &Card, app: &App) -> Result<Copied> {
    let boot = card.boot();
    let mut parts: Vec<Vec<u8>> = Vec::new();
    for (from, inside) in &app.files {
        let path = boot.join(from);
        let size = fs::metadata(&path).with_context(|| format!("reading {from}"))?.len();
        if size > MOST {
            bail!("{from} is larger than {} MiB; put data into a volume instead", MOST / 1024 / 1024);
        }
        let content = fs::read(&path).with_context(|| format!("reading {from}"))?;
        let to = format!("{FOLDER}/{}/{inside}", app.name);
        // Secrets lie in these files more often than not, and FAT knows no modes.
        let secret = inside.rsplit('/').next().is_some_and(|name| name == ".env" || name.contains("secret"));
        card.write(&to, &content, if secret { 0o600 } else { 0o644 }, None)?;
        failpoint::hit("firstboot.apps.copied");
        parts.extend([inside.clone().into_bytes(), content]);
    }
    for image in &app.images {
        // An image is too large to be read for a hash; its length changes with whatever is in it.
        let size = fs::metadata(boot.join(image)).with_context(|| format!("reading {image}"))?.len();
        parts.extend([image.clone().into_bytes(), size.to_be_bytes().to_vec()]);
    }
    let inputs = hash(parts.iter().map(Vec::as_slice));
    // From now on it is started from there, also if there is an owner by then.
    let copied = Copied {
        name: app.name.clone(),
        compose: app.compose.to_owned(),
        images: app.images.clone(),
        inputs: inputs.clone(),
    };
    card.stamp(&format!("copied/{}", app.name), Stamp { inputs, redacted: None })?;
    Ok(copied)
}

/// Starts what was copied and is not running yet.
pub async fn start(card: &Card, copied: &[Copied], trusted: bool, reporter: &mut Reporter) -> Done {
    let stamps = card.stamps();
    // Copied at an earlier start and not started then: the boot partition is not asked again.
    let earlier = stamps.0.iter().filter_map(|(key, stamp)| {
        let name = key.strip_prefix("copied/")?;
        let now = copied.iter().any(|one| one.name == name);
        let compose = dockbeacon_core::provision::apps::COMPOSE
            .into_iter()
            .find(|file| card.path(&format!("{FOLDER}/{name}/{file}")).exists())?;
        (!now).then(|| Copied {
            name: name.to_owned(),
            compose: compose.to_owned(),
            images: Vec::new(),
            inputs: stamp.inputs.clone(),
        })
    });
    let earlier: Vec<Copied> = earlier.collect();
    let due: Vec<&Copied> = copied
        .iter()
        .chain(&earlier)
        .filter(|one| !stamps.holds(&format!("apps/{}", one.name), &one.inputs))
        .collect();
    if due.is_empty() {
        return Done::nothing("no service on the boot partition waits to be started");
    }
    let (mut started, mut failed) = (Vec::new(), Vec::new());
    for one in due {
        reporter.note(Step::Apps, Outcome::Working, format!("starting {}", one.name));
        match bring_up(card, one, trusted).await {
            Ok(()) => started.push(one.name.as_str()),
            Err(error) => failed.push(format!("{}: {error:#}", one.name)),
        }
    }
    if failed.is_empty() {
        Done::well(format!("started {}", started.join(", ")))
    } else {
        let why = format!(
            "{}. It is tried again every minute, and after a correction at the next start",
            failed.join("; ")
        );
        Done::Badly { why, again: true }
    }
}

async fn bring_up(card: &Card, one: &Copied, trusted: bool) -> Result<()> {
    for image in &one.images {
        let path = card.boot().join(image).display().to_string();
        Run::new("docker", ["load", "--quiet", "--input", &path])
            .patience(LOAD)
            .run()
            .await
            .with_context(|| format!("loading {image}"))?;
        failpoint::hit("firstboot.apps.loaded");
    }
    let folder = card.path(&format!("{FOLDER}/{}", one.name));
    let compose = |arguments: &[&str]| {
        // Without a file's name Compose takes its override and the environment beside it into account, as in the owner's hands.
        let all = ["compose", "--project-name", &one.name].into_iter().chain(arguments.iter().copied());
        Run::new("docker", all.map(str::to_owned).collect::<Vec<_>>()).folder(&folder)
    };
    compose(&["config", "--quiet"]).run().await.with_context(|| format!("{} is not valid", one.compose))?;
    // A registry's certificate cannot be checked by a clock that is wrong.
    let pull = if trusted { "missing" } else { "never" };
    let up = compose(&["up", "--detach", "--pull", pull]).patience(PULL).run().await;
    if let Err(error) = up {
        if trusted {
            return Err(error);
        }
        return Err(error.context("its images are not all here, and none is pulled before the time is true"));
    }
    failpoint::hit("firstboot.apps.up");
    card.stamp(&format!("apps/{}", one.name), Stamp { inputs: one.inputs.clone(), redacted: None })
}
