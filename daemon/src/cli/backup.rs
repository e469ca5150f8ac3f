//! `dockbeacon backup`: one file with everything that a new card needs.
//!
//! Owns the order: look, choose, write beside, read once more, and only then give it its name. Must never leave half a backup
//! under a backup's name, and must never stop or change a service.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, IsTerminal as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use dockbeacon_core::backup::{
    APPS, FORMAT, MANIFEST, Manifest, Mount, SERVICES, SETTINGS, STATE, WORKING_DIR, choose, file_name,
};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, PosixFadviseAdvice, posix_fadvise};
use nix::unistd::Uid;
use serde::Serialize;

use super::way::Failure;
use crate::args::BackupArgs;
use crate::docker::Engine;
use crate::{backup, clock, store};

/// What is being written. A backup that was cut off is written over by the next one.
const UNFINISHED: &str = "dockbeacon-backup.part";

/// A backup that was made.
#[derive(Debug, Serialize)]
pub struct Made {
    /// Where it is.
    pub file: PathBuf,
    /// How large it is.
    pub bytes: u64,
    /// Files changed while they were read.
    pub changed: bool,
    /// What is in it, and what is not.
    pub manifest: Manifest,
}

/// Makes one.
pub async fn make(engine: &str, state_dir: &Path, args: &BackupArgs) -> Result<Made, Failure> {
    if !args.in_clear {
        return Err(Failure::Usage(
            "the backup would hold the secrets of all services, and this version cannot encrypt it; keep it where nobody else can read \
             it, and say that you know by --in-clear"
                .to_owned(),
        ));
    }
    if !Uid::effective().is_root() {
        return Err(Failure::Busy("only root may read every volume; use sudo".to_owned()));
    }
    let engine = Engine::connect(engine).await?;
    let mut containers = engine.mounts().await?;
    for container in &mut containers {
        inside(&mut container.labels, &mut container.mounts, &args.root);
    }
    let mut choice = choose(&engine.volumes().await?, &containers);
    let linked = links(&args.root).map_err(|error| Failure::Other(format!("{error:#}")))?;
    choice.apps.retain(|app| !linked.iter().any(|(path, _)| *path == format!("{APPS}/{}", app.name)));
    let say = |(path, target): &(String, PathBuf)| {
        format!(
            "/{path}: it is a link to {}, which is not followed; save that where it is, or move it here",
            target.display()
        )
    };
    choice.left_out.extend(linked.iter().map(say));
    let now = clock::now();
    let manifest = Manifest {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        made: now.civil,
        host: clock::host_name(),
        volumes_in: choice.volumes_in.unwrap_or_else(|| "var/lib/docker/volumes".to_owned()),
        volumes: choice.volumes,
        apps: choice.apps,
        left_out: choice.left_out,
    };
    let name = file_name(&manifest.host, now.civil, now.trusted);
    write(manifest, &name, state_dir, args).await.map_err(|error| Failure::Other(format!("{error:#}")))
}

/// Paths as they are below `root`.
fn inside(labels: &mut BTreeMap<String, String>, mounts: &mut [Mount], root: &Path) {
    let paths = mounts.iter_mut().filter_map(|mount| match mount {
        Mount::Folder(path) => Some(path),
        Mount::Volume(_) => None,
    });
    for path in paths.chain(labels.get_mut(WORKING_DIR)) {
        if let Ok(below) = Path::new(path.as_str()).strip_prefix(root) {
            *path = format!("/{}", below.display());
        }
    }
}

/// Links right below `/srv` and `/srv/apps`, with what they point to: tar saves the link alone.
fn links(root: &Path) -> Result<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    for folder in [SERVICES, APPS] {
        if let Ok(target) = fs::read_link(root.join(folder)) {
            bail!(
                "/{folder} is a link to {}, and a backup does not follow links; mount the disk at /{folder} instead",
                target.display()
            );
        }
        let Ok(entries) = fs::read_dir(root.join(folder)) else { continue };
        for entry in entries.flatten() {
            if let Ok(target) = fs::read_link(entry.path()) {
                found.push((format!("{folder}/{}", entry.file_name().to_string_lossy()), target));
            }
        }
    }
    found.sort();
    Ok(found)
}

async fn write(manifest: Manifest, name: &str, state_dir: &Path, args: &BackupArgs) -> Result<Made> {
    let folder = args.folder.as_path();
    let folder =
        folder.canonicalize().with_context(|| format!("{}: there is no such folder", folder.display()))?;
    for saved in [args.root.join(SERVICES), Path::new("/").join(&manifest.volumes_in)] {
        if saved.canonicalize().is_ok_and(|saved| folder.starts_with(saved)) {
            bail!("{}: lies in what is saved; choose a folder on another disk", folder.display());
        }
    }
    let _turn = lock(&folder)?;
    // For the lamps: do not unplug.
    let _shown = crate::lock::back_up(state_dir);
    let unfinished = folder.join(UNFINISHED);
    let into = open(&unfinished)?;
    let (file, changed) = match fill(&into, &unfinished, &manifest, state_dir, &args.root).await {
        Ok(changed) => (folder.join(name), changed),
        Err(error) => {
            // What is left of it would fill the disk.
            let _ = fs::remove_file(&unfinished);
            return Err(remedy(error, &folder));
        }
    };
    fs::rename(&unfinished, &file).with_context(|| format!("writing {}", file.display()))?;
    File::open(&folder).and_then(|folder| folder.sync_all()).with_context(|| folder.display().to_string())?;
    let bytes = fs::metadata(&file).with_context(|| file.display().to_string())?.len();
    Ok(Made { file, bytes, changed, manifest })
}

/// What to do where tar only says what happened.
fn remedy(error: anyhow::Error, folder: &Path) -> anyhow::Error {
    let said = format!("{error:#}");
    let folder = folder.display();
    if said.contains("No space left") {
        error.context(format!("{folder} is full; free some space there, or choose another disk"))
    } else if said.contains("File too large") {
        error.context(format!(
            "{folder} takes no file so large (FAT ends at 4 GiB); format the disk with exFAT or ext4"
        ))
    } else {
        error.context(folder.to_string())
    }
}

/// One backup at a time writes into a folder.
fn lock(folder: &Path) -> Result<Flock<File>> {
    let open = File::open(folder).with_context(|| folder.display().to_string())?;
    Flock::lock(open, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| {
        if errno == Errno::EWOULDBLOCK {
            anyhow::anyhow!(
                "another backup is being written into {}; wait until it is done",
                folder.display()
            )
        } else {
            anyhow::Error::from(errno).context(folder.display().to_string())
        }
    })
}

/// The new file for it, readable by root alone; what somebody put there before is not written to.
fn open(unfinished: &Path) -> Result<File> {
    let doing = || format!("writing {}", unfinished.display());
    match fs::remove_file(unfinished) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error).with_context(doing),
        Ok(()) | Err(_) => {}
    }
    OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(unfinished)
        .with_context(doing)
}

/// Everything into the file, and out of it again.
async fn fill(into: &File, path: &Path, manifest: &Manifest, state_dir: &Path, root: &Path) -> Result<bool> {
    let own = tempfile::Builder::new().prefix("dockbeacon-backup").tempdir().context("making a folder")?;
    let own = own.path();
    fs::write(own.join(MANIFEST), serde_json::to_vec_pretty(manifest)?).context("writing the manifest")?;
    let state = own.join(STATE);
    fs::create_dir_all(state.parent().unwrap_or(own)).context("making a folder")?;
    let mut ours = vec![MANIFEST.to_owned()];
    if store::copy(state_dir, &state)? {
        ours.push(STATE.to_owned());
    }
    let there = |path: &&&str| root.join(path).exists();
    let theirs = [SETTINGS, SERVICES].iter().filter(there).map(|path| (*path).to_owned()).collect();
    let volumes = manifest.volumes.iter().map(|volume| manifest.data_of(volume)).collect();
    let sources = [(own, ours), (root, theirs), (Path::new("/"), volumes)];
    let writing = backup::write(into, &sources);
    let changed = with_progress(path, "written", writing).await.context("the backup was not made")?;
    into.sync_all().with_context(|| format!("writing {}", path.display()))?;
    // Else the memory would be read once more, not the disk. Where it cannot be asked for, so be it.
    let _ = posix_fadvise(into, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED);
    let checking = backup::check(path);
    with_progress(path, "written, reading it once more", checking)
        .await
        .context("what was written does not read back; use another disk")?;
    Ok(changed)
}

/// Shows on a terminal how far it is.
async fn with_progress<T>(file: &Path, what: &str, work: impl Future<Output = T>) -> T {
    if !std::io::stderr().is_terminal() {
        return work.await;
    }
    let mut second = tokio::time::interval(Duration::from_secs(1));
    tokio::pin!(work);
    loop {
        tokio::select! {
            result = &mut work => {
                let _ = write!(std::io::stderr(), "\r\u{1b}[K");
                return result;
            }
            _ = second.tick() => {
                let bytes = fs::metadata(file).map_or(0, |meta| meta.len());
                // A terminal that cannot be written to is no reason to stop.
                let _ = write!(std::io::stderr(), "\r\u{1b}[K{} MB {what}", bytes / 1_000_000);
            }
        }
    }
}
