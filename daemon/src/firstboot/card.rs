//! The card below a root folder: paths, durable writes, stamps.
//!
//! Owns how files are written so that a power cut leaves the old or the new one, and what is remembered of the files that were
//! there before. Must never decide what is written.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Write as _};
use std::ops::Range;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use dockbeacon_core::provision::redact;
use dockbeacon_core::provision::steps::{Stamp, Stamps};
use nix::unistd::{Gid, Uid, chown};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::failpoint;

/// First boot's own folder, root's alone: who could write here could have everything done again.
const STATE: &str = "var/lib/dockbeacon-firstboot";
/// The daemon's folder.
pub const DAEMON_STATE: &str = "var/lib/dockbeacon";
/// No file of the boot partition that is read whole is larger.
const LARGEST: u64 = 1024 * 1024;

/// A card, or a folder that stands for one.
#[derive(Debug, Clone)]
pub struct Card {
    root: PathBuf,
}

/// What first boot has written, so that a reset can take it back.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Written {
    /// Files by their path, and whether there was one before, which is then kept.
    pub files: BTreeMap<String, bool>,
    /// Accounts.
    pub accounts: BTreeSet<String>,
}

impl Card {
    /// The card below `root`.
    pub const fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// Whether this is the machine that we run on.
    pub fn is_live(&self) -> bool {
        self.root == Path::new("/")
    }

    /// The root folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A path on the card; `inside` is relative.
    pub fn path(&self, inside: &str) -> PathBuf {
        self.root.join(inside)
    }

    /// The boot partition.
    pub fn boot(&self) -> PathBuf {
        self.path("boot/firmware")
    }

    /// Whether the boot partition is there: else what is written to its folder would lie on the root partition.
    pub fn boot_is_there(&self) -> bool {
        // Opened, because looking alone does not have it mounted.
        let device = |path: &Path| {
            fs::File::open(path).and_then(|folder| folder.metadata()).map(|meta| meta.dev()).ok()
        };
        let boot = device(&self.boot());
        boot.is_some() && (!self.is_live() || boot != device(&self.root))
    }

    /// A file in first boot's own folder.
    pub fn state(&self, name: &str) -> PathBuf {
        self.path(STATE).join(name)
    }

    /// The text of a file; `None` where there is none, or none that can be read.
    pub fn text(&self, inside: &str) -> Option<String> {
        fs::read_to_string(self.path(inside)).ok()
    }

    /// A file of the boot partition; `None` where there is none.
    pub fn boot_file(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let path = self.boot().join(name);
        match fs::metadata(&path) {
            Ok(meta) if meta.len() > LARGEST => bail!("{name}: larger than a megabyte; no such file is"),
            Ok(meta) if !meta.is_file() => bail!("{name}: is no file"),
            Ok(_) => {
                fs::read(&path).map(Some).with_context(|| format!("reading {name} on the boot partition"))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("reading {name} on the boot partition")),
        }
    }

    /// Writes a file whole and durably: after a power cut it is the old or the new one. What is right already is not touched.
    pub fn write(&self, inside: &str, content: &[u8], mode: u32, owner: Option<(Uid, Gid)>) -> Result<()> {
        let path = self.path(inside);
        let doing = || format!("writing {}", path.display());
        let right = fs::read(&path).is_ok_and(|now| now == content)
            && fs::symlink_metadata(&path).is_ok_and(|meta| {
                meta.is_file()
                    && meta.mode() & 0o7777 == mode
                    && owner.is_none_or(|(uid, gid)| meta.uid() == uid.as_raw() && meta.gid() == gid.as_raw())
            });
        if right {
            return Ok(());
        }
        let folder = path.parent().context("a file at no place")?;
        make_folder(folder)?;
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let new = folder.join(format!(".{name}.dockbeacon-new"));
        // What is left of an interrupted write has the wrong mode, perhaps.
        let _ = fs::remove_file(&new);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode & 0o700)
            .open(&new)
            .with_context(doing)?;
        file.write_all(content).with_context(doing)?;
        if let Some((uid, gid)) = owner {
            chown(&new, Some(uid), Some(gid)).with_context(doing)?;
        }
        file.set_permissions(Permissions::from_mode(mode)).with_context(doing)?;
        file.sync_all().with_context(doing)?;
        failpoint::hit("firstboot.write");
        fs::rename(&new, &path).with_context(doing)?;
        sync_folder(folder).with_context(doing)
    }

    /// Writes a file of the boot partition, whose file system has neither modes nor owners.
    pub fn write_boot(&self, name: &str, content: &[u8]) -> Result<()> {
        let path = self.boot().join(name);
        let doing = || format!("writing {name} on the boot partition");
        if fs::read(&path).is_ok_and(|now| now == content) {
            return Ok(());
        }
        let new = self.boot().join(format!("{name}.new"));
        let mut file = File::create(&new).with_context(doing)?;
        file.write_all(content).with_context(doing)?;
        file.sync_all().with_context(doing)?;
        fs::rename(&new, &path).with_context(doing)?;
        sync_folder(&self.boot()).with_context(doing)
    }

    /// Makes a symbolic link, durably, in place of whatever file is there.
    pub fn link(&self, inside: &str, target: &str) -> Result<()> {
        let path = self.path(inside);
        let doing = || format!("linking {}", path.display());
        if fs::read_link(&path).is_ok_and(|now| now == Path::new(target)) {
            return Ok(());
        }
        let folder = path.parent().context("a link at no place")?;
        make_folder(folder)?;
        let new = folder.join(".dockbeacon-new-link");
        let _ = fs::remove_file(&new);
        std::os::unix::fs::symlink(target, &new).with_context(doing)?;
        fs::rename(&new, &path).with_context(doing)?;
        sync_folder(folder).with_context(doing)
    }

    /// Removes a file, durably; none is fine.
    pub fn remove(&self, inside: &str) -> Result<()> {
        let path = self.path(inside);
        match fs::remove_file(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error).with_context(|| format!("removing {}", path.display())),
        }
        path.parent()
            .map_or(Ok(()), |folder| sync_folder(folder).with_context(|| folder.display().to_string()))
    }

    /// Overwrites bytes of a file of the boot partition where they lie: writing it anew would leave the old ones on the card.
    pub fn overwrite(&self, name: &str, ranges: &[Range<usize>]) -> Result<()> {
        use std::os::unix::fs::FileExt as _;
        let path = self.boot().join(name);
        let doing = || format!("overwriting the secrets in {name} on the boot partition");
        let before = fs::read(&path).with_context(doing)?;
        let after = redact::redacted(&before, ranges);
        if after == before {
            return Ok(());
        }
        let file = OpenOptions::new().write(true).open(&path).with_context(doing)?;
        for range in ranges {
            if let Some(bytes) = after.get(range.clone()) {
                file.write_all_at(bytes, range.start as u64).with_context(doing)?;
                failpoint::hit("firstboot.overwrite");
            }
        }
        file.sync_all().with_context(doing)
    }

    /// What was done so far. A file that cannot be read means nothing was: every step can be done twice.
    pub fn stamps(&self) -> Stamps {
        let text = fs::read_to_string(self.state("stamps.json")).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Notes that something was done.
    pub fn stamp(&self, name: &str, stamp: Stamp) -> Result<()> {
        let mut stamps = self.stamps();
        if stamps.0.get(name) == Some(&stamp) {
            return Ok(());
        }
        stamps.0.insert(name.to_owned(), stamp);
        self.write_stamps(&stamps)
    }

    /// Forgets that something was done.
    pub fn forget_stamp(&self, name: &str) -> Result<()> {
        let mut stamps = self.stamps();
        if stamps.0.remove(name).is_none() {
            return Ok(());
        }
        self.write_stamps(&stamps)
    }

    fn write_stamps(&self, stamps: &Stamps) -> Result<()> {
        self.write(&format!("{STATE}/stamps.json"), &serde_json::to_vec_pretty(stamps)?, 0o600, None)
    }

    /// What first boot has written so far.
    pub fn written(&self) -> Written {
        let text = fs::read_to_string(self.state("written.json")).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Before a file is written for the first time: keeps what is there, and notes it.
    pub fn keep_original(&self, inside: &str) -> Result<()> {
        let mut written = self.written();
        if written.files.contains_key(inside) {
            return Ok(());
        }
        let path = self.path(inside);
        let there = fs::symlink_metadata(&path).is_ok();
        if let Ok(target) = fs::read_link(&path) {
            self.link(&format!("{STATE}/original/{inside}"), &target.to_string_lossy())?;
        } else if there {
            let meta = fs::metadata(&path).with_context(|| format!("reading {}", path.display()))?;
            let content = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
            let owner = (Uid::from_raw(meta.uid()), Gid::from_raw(meta.gid()));
            self.write(&format!("{STATE}/original/{inside}"), &content, meta.mode() & 0o7777, Some(owner))?;
        }
        written.files.insert(inside.to_owned(), there);
        self.note_written(&written)
    }

    /// Notes that an account was made.
    pub fn note_account(&self, name: &str) -> Result<()> {
        let mut written = self.written();
        if written.accounts.insert(name.to_owned()) {
            self.note_written(&written)?;
        }
        Ok(())
    }

    fn note_written(&self, written: &Written) -> Result<()> {
        self.write(&format!("{STATE}/written.json"), &serde_json::to_vec_pretty(written)?, 0o600, None)
    }

    /// Puts back what was there before first boot wrote.
    pub fn restore_originals(&self) -> Result<()> {
        for (inside, there) in self.written().files {
            let kept = format!("{STATE}/original/{inside}");
            let path = self.path(&kept);
            if let Ok(target) = fs::read_link(&path) {
                self.link(&inside, &target.to_string_lossy())?;
            } else if there && path.exists() {
                let meta = fs::metadata(&path)?;
                let owner = (Uid::from_raw(meta.uid()), Gid::from_raw(meta.gid()));
                self.write(&inside, &fs::read(&path)?, meta.mode() & 0o7777, Some(owner))?;
            } else {
                self.remove(&inside)?;
            }
        }
        Ok(())
    }

    /// The daemon's user and group, as the card's own files number them; `None` too for whoever may not give files away.
    pub fn daemon_owner(&self) -> Option<(Uid, Gid)> {
        if !Uid::effective().is_root() {
            return None;
        }
        let uid = self.number("etc/passwd", "dockbeacon", 2)?;
        let gid = self.number("etc/group", "dockbeacon", 2)?;
        Some((Uid::from_raw(uid), Gid::from_raw(gid)))
    }

    /// The number in a field of the line that begins with that name.
    pub fn number(&self, inside: &str, name: &str, field: usize) -> Option<u32> {
        self.field(inside, name, field)?.parse().ok()
    }

    /// A field of the line that begins with that name.
    pub fn field(&self, inside: &str, name: &str, field: usize) -> Option<String> {
        let text = self.text(inside)?;
        let line = text.lines().find(|line| line.split(':').next() == Some(name))?;
        line.split(':').nth(field).map(str::to_owned)
    }
}

/// Makes a folder and those above it; NetworkManager's is nobody else's business.
pub fn make_folder(folder: &Path) -> Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(folder).with_context(|| format!("making the folder {}", folder.display()))?;
    let private = folder.ends_with("system-connections") || folder.ends_with("dockbeacon-firstboot");
    if private {
        fs::set_permissions(folder, Permissions::from_mode(0o700))?;
    }
    // Without it the new folder itself could be gone after a power cut.
    folder.parent().map_or(Ok(()), |above| sync_folder(above).map_err(Into::into))
}

/// Makes what happened in a folder durable.
pub fn sync_folder(folder: &Path) -> std::io::Result<()> {
    File::open(folder)?.sync_all()
}

/// SHA-256 in hexadecimal, over parts that cannot run into each other.
pub fn hash<'p>(parts: impl IntoIterator<Item = &'p [u8]>) -> String {
    let mut sha = Sha256::new();
    for part in parts {
        sha.update((part.len() as u64).to_be_bytes());
        sha.update(part);
    }
    sha.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
