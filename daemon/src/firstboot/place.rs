//! Putting what was unpacked in its place.
//!
//! Owns that a part is there or not there after a power cut, on the same file system by one rename, on another one by a copy beside
//! and a rename. Must never replace anything.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use dockbeacon_core::backup::There;

use super::card::{make_folder, sync_folder};
use crate::failpoint;
use crate::runner::Run;

/// In the staging folder: the place that a finished copy is about to take.
const ABOUT: &str = ".about-to-be-there";
/// Copying a large volume to a slow disk.
const COPY: Duration = Duration::from_secs(6 * 3600);

/// What is at a place. An empty folder is as good as none.
pub fn there(path: &Path) -> Result<There> {
    let meta = match fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(There::Free),
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    };
    let empty = || fs::read_dir(path).map(|mut entries| entries.next().is_none());
    let free = meta.is_dir() && empty().with_context(|| path.display().to_string())?;
    Ok(if free { There::Free } else { There::InUse })
}

/// Puts a folder or file into a free place.
pub async fn put(staging: &Path, from: &Path, to: &Path) -> Result<()> {
    let doing = || format!("putting {} in its place", to.display());
    let folder = to.parent().context("a part at no place")?;
    make_folder(folder)?;
    match fs::rename(from, to) {
        Ok(()) => {}
        // Another disk; or the engine limits what volumes may take, and the kernel lets nothing in uncounted.
        Err(error) if error.kind() == ErrorKind::CrossesDevices => {
            if let Err(error) = copy(staging, from, to).await {
                forget(to)?;
                return Err(error);
            }
        }
        Err(error) => return Err(error).with_context(doing),
    }
    sync_folder(folder).with_context(doing)
}

/// Whether an earlier start was cut off just after a copy took that place; finishes it then.
pub fn was_put(staging: &Path, from: &Path, to: &Path) -> Result<bool> {
    let about = fs::read(staging.join(ABOUT)).unwrap_or_default();
    let done =
        about == to.as_os_str().as_encoded_bytes() && !beside(to).exists() && there(to)? == There::InUse;
    if done {
        remove(from)?;
    }
    Ok(done)
}

async fn copy(staging: &Path, from: &Path, to: &Path) -> Result<()> {
    let doing = || format!("copying to {}", to.display());
    let beside = beside(to);
    // What it says must not outlive the copy that it is about.
    remove(&staging.join(ABOUT))?;
    sync_folder(staging).with_context(doing)?;
    remove(&beside)?;
    let paths = [from, beside.as_path()].map(|path| path.display().to_string());
    let arguments = ["--archive", "--sparse=always", "--no-target-directory"].map(str::to_owned);
    Run::new("cp", arguments.into_iter().chain(paths)).patience(COPY).run().await.with_context(doing)?;
    nix::unistd::syncfs(fs::File::open(&beside).with_context(doing)?).with_context(doing)?;
    failpoint::hit("firstboot.restore.copied");
    let about = staging.join(ABOUT);
    fs::write(&about, to.as_os_str().as_encoded_bytes()).with_context(doing)?;
    fs::File::open(&about).and_then(|file| file.sync_all()).with_context(doing)?;
    sync_folder(staging).with_context(doing)?;
    fs::rename(&beside, to).with_context(doing)?;
    sync_folder(to.parent().context("a part at no place")?).with_context(doing)?;
    failpoint::hit("firstboot.restore.moved");
    remove(from)
}

/// Removes what an unfinished copy to that place left.
pub fn forget(to: &Path) -> Result<()> {
    remove(&beside(to))
}

/// Where a copy grows.
fn beside(to: &Path) -> PathBuf {
    let name = to.file_name().unwrap_or_default().to_string_lossy().into_owned();
    to.with_file_name(format!(".{name}.dockbeacon-new"))
}

/// Removes a folder or file; none is fine.
pub fn remove(path: &Path) -> Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", path.display()))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}
