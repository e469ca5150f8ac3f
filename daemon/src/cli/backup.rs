//! `dockbeacon backup`: one file with everything that a new card needs.
//!
//! Owns the order: look, choose, write beside, read once more, and only then give it its name. Must never leave half a backup
//! under a backup's name, and must never stop or change a service.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{IsTerminal as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use dockbeacon_core::backup::{
    FORMAT, MANIFEST, Manifest, Mount, SERVICES, SETTINGS, STATE, SavedVolume, WORKING_DIR, choose, file_name,
};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
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
    let choice = choose(&engine.volumes().await?, &containers);
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

async fn write(manifest: Manifest, name: &str, state_dir: &Path, args: &BackupArgs) -> Result<Made> {
    let folder = args.folder.as_path();
    let folder =
        folder.canonicalize().with_context(|| format!("{}: there is no such folder", folder.display()))?;
    for saved in [args.root.join(SERVICES), Path::new("/").join(&manifest.volumes_in)] {
        if folder.starts_with(saved) {
            bail!("{}: lies in what is saved; choose a folder on another disk", folder.display());
        }
    }
    let unfinished = folder.join(UNFINISHED);
    let into = open(&unfinished)?;
    let (file, changed) = match fill(&into, &unfinished, &manifest, state_dir, &args.root).await {
        Ok(changed) => (folder.join(name), changed),
        Err(error) => {
            // What is left of it would fill the disk.
            let _ = fs::remove_file(&unfinished);
            return Err(error);
        }
    };
    fs::rename(&unfinished, &file).with_context(|| format!("writing {}", file.display()))?;
    File::open(&folder).and_then(|folder| folder.sync_all()).with_context(|| folder.display().to_string())?;
    let bytes = fs::metadata(&file).with_context(|| file.display().to_string())?.len();
    Ok(Made { file, bytes, changed, manifest })
}

/// The file for it, readable by root alone and by one backup at a time.
fn open(unfinished: &Path) -> Result<Flock<File>> {
    let doing = || format!("writing {}", unfinished.display());
    let file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(unfinished);
    let file =
        Flock::lock(file.with_context(doing)?, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| {
            if errno == Errno::EWOULDBLOCK {
                anyhow::anyhow!("another backup is being written into this folder; wait until it is done")
            } else {
                anyhow::Error::from(errno).context(doing())
            }
        })?;
    file.set_len(0).with_context(doing)?;
    Ok(file)
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
    let data = |volume: &SavedVolume| format!("{}/{}/_data", manifest.volumes_in, volume.name);
    let volumes = manifest.volumes.iter().map(data).collect();
    let sources = [(own, ours), (root, theirs), (Path::new("/"), volumes)];
    let writing = backup::write(into, &sources);
    let changed = with_progress(path, "written", writing).await.context("the backup was not made")?;
    into.sync_all().with_context(|| format!("writing {}", path.display()))?;
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
