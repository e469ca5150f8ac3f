//! A backup that lies beside a new device comes back.
//!
//! Owns finding it, unpacking it beside everything, and then putting part after part in its place by one rename each, so that a
//! power cut leaves every part there or not there. Must never change a backup, and never replace anything that is in use.

use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use dockbeacon_core::backup::{
    APPS, MANIFEST, Manifest, Part, SERVICES, SETTINGS, STATE, SavedVolume, There, kept, made_by, newest,
    parts,
};
use dockbeacon_core::provision::report::Outcome;
use dockbeacon_core::provision::steps::{RESTORED, Stamp, Step, UNPACKED};
use nix::unistd::{Uid, chown};

use super::card::{Card, DAEMON_STATE, hash, make_folder, sync_folder};
use super::place::{forget, put, remove, there, was_put};
use super::report::Reporter;
use super::{Done, claim};
use crate::docker::Engine;
use crate::ports::Records as _;
use crate::runner::Run;
use crate::store::{self, Store};
use crate::{backup, failpoint, loops, work};

/// Where it is unpacked: on the file system of `/srv` and of the engine's folder.
const STAGING: &str = "var/lib/dockbeacon-firstboot/restore";
/// Where a disk is looked at.
const DISK: &str = "run/dockbeacon-firstboot/disk";
/// The disk that may carry one.
const LABEL: &str = "dev/disk/by-label/DOCKBEACON";
/// How the step mostly ends.
const NONE: &str = "there is no backup to restore";
/// Stopping the daemon, which finishes what it is at.
const STOP: Duration = Duration::from_secs(150);

/// Looks for a backup and restores it; goes on with one that was begun.
pub async fn run(card: &Card, reporter: &mut Reporter) -> Done {
    match restore(card, reporter).await {
        Ok(done) => done,
        Err(error) => Done::badly(format!("{error:#}")),
    }
}

/// Removes what an unpacked backup left, once it is restored.
pub fn tidy(card: &Card) -> Result<()> {
    if card.stamps().restoring().is_none() { remove(&card.path(STAGING)) } else { Ok(()) }
}

async fn restore(card: &Card, reporter: &mut Reporter) -> Result<Done> {
    let stamps = card.stamps();
    let identity = match stamps.restoring() {
        Some(identity) if card.path(STAGING).join(MANIFEST).exists() => identity.to_owned(),
        Some(_) if claim::had_owner(card) => {
            card.forget_stamp(UNPACKED)?;
            return Ok(Done::badly(
                "what was unpacked of a backup is gone, so the rest of it was not restored; to restore all of it, reset the device with \
                 its data",
            ));
        }
        Some(_) | None => {
            let Some(source) = Source::find(card).await? else { return Ok(Done::nothing(NONE)) };
            let taken = take(card, &source, reporter).await;
            source.leave().await;
            match taken? {
                Ok(identity) => identity,
                Err(done) => return Ok(done),
            }
        }
    };
    put_in_place(card, &identity, reporter).await
}

/// Unpacks what lies there, unless that was done; which backup it is, or with what the step ends.
async fn take(card: &Card, source: &Source, reporter: &mut Reporter) -> Result<Result<String, Done>> {
    let Some(file) = source.newest()? else { return Ok(Err(Done::nothing(NONE))) };
    let identity = identity(&file)?;
    if card.stamps().holds(RESTORED, &identity) {
        return Ok(Err(Done::nothing("the backup was restored earlier")));
    }
    unpack(card, &file, &identity, reporter).await?;
    Ok(Ok(identity))
}

/// A place where a backup may lie.
struct Source {
    folder: PathBuf,
    words: &'static str,
    mounted: bool,
}

impl Source {
    /// The boot partition if a backup lies there, else the disk with the label.
    async fn find(card: &Card) -> Result<Option<Self>> {
        if card.boot_is_there() {
            let boot = Self { folder: card.boot(), words: "on the boot partition", mounted: false };
            if boot.newest()?.is_some() {
                return Ok(Some(boot));
            }
        }
        let device = card.path(LABEL);
        if !device.exists() {
            return Ok(None);
        }
        let folder = card.path(DISK);
        make_folder(&folder)?;
        let paths = [device.display().to_string(), folder.display().to_string()];
        let options = ["-o", "ro,nosuid,nodev,noexec"].map(str::to_owned);
        Run::new("mount", options.into_iter().chain(paths))
            .run()
            .await
            .context("the disk labelled DOCKBEACON cannot be read; format it with FAT, exFAT or ext4")?;
        Ok(Some(Self { folder, words: "on the disk labelled DOCKBEACON", mounted: true }))
    }

    fn newest(&self) -> Result<Option<PathBuf>> {
        let names = names(&self.folder).with_context(|| format!("looking for a backup {}", self.words))?;
        Ok(newest(&names).map(|name| self.folder.join(name)))
    }

    async fn leave(self) {
        if self.mounted {
            // It was only read. What stays mounted is gone with this process, whose own mount it is.
            let _ = Run::new("umount", [self.folder.display().to_string()]).run().await;
        }
    }
}

/// The names in a folder; none where there is no folder.
fn names(folder: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("reading {}", folder.display())),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// Two backups never have one name and one length: the name tells host and second.
fn identity(file: &Path) -> Result<String> {
    let size = fs::metadata(file).with_context(|| file.display().to_string())?.len();
    let name = file.file_name().unwrap_or_default();
    Ok(hash([name.as_encoded_bytes(), &size.to_be_bytes()]))
}

/// All of it beside everything; only a whole one counts.
async fn unpack(card: &Card, file: &Path, identity: &str, reporter: &mut Reporter) -> Result<()> {
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    reporter.note(Step::Restore, Outcome::Working, format!("reading {name}; this takes a while"));
    let manifest = backup::check(file).await.with_context(|| name.clone())?;
    reporter.note(Step::Restore, Outcome::Working, format!("unpacking {}", made_by(&manifest)));
    let staging = card.path(STAGING);
    // Half of it must never pass for the whole.
    card.forget_stamp(UNPACKED)?;
    remove(&staging)?;
    make_folder(&staging)?;
    fs::set_permissions(&staging, Permissions::from_mode(0o700))?;
    let unpacked = backup::unpack(file, &staging).await;
    if let Err(error) = unpacked {
        remove(&staging)?;
        return Err(error.context(format!("{name} cannot be unpacked; a larger card may help")));
    }
    if let Err(error) = sound(&staging, &manifest) {
        remove(&staging)?;
        return Err(error.context(format!("{name} is not restored")));
    }
    failpoint::hit("firstboot.restore.unpacked");
    // Hundreds of thousands of files are made durable at once.
    let folder = fs::File::open(&staging).context("opening the unpacked backup")?;
    nix::unistd::syncfs(&folder).context("writing the unpacked backup")?;
    card.stamp(UNPACKED, Stamp { inputs: identity.to_owned(), redacted: None })?;
    failpoint::hit("firstboot.restore.stamped");
    Ok(())
}

/// Before anything takes its place: folders are folders, files are files, and the state is one that this version reads.
fn sound(staging: &Path, manifest: &Manifest) -> Result<()> {
    let volumes = manifest.volumes.iter().map(|volume| manifest.data_of(volume));
    let folders = volumes.chain([SERVICES, APPS].map(str::to_owned)).map(|path| (path, true));
    let files = [SETTINGS, STATE].map(|path| (path.to_owned(), false));
    for (path, folder) in folders.chain(files) {
        match fs::symlink_metadata(staging.join(&path)) {
            Ok(meta) if folder && meta.is_dir() || !folder && meta.is_file() => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Ok(_) | Err(_) => {
                bail!("in it /{path} is a link, or something else that it cannot be; use another backup")
            }
        }
    }
    let state = staging.join(STATE);
    if state.exists() {
        let store =
            Store::open(state.parent().unwrap_or(staging)).context("the state in it cannot be used")?;
        if let Some(notice) = store.notices().first() {
            bail!("the state in it cannot be used: {notice}");
        }
    }
    Ok(())
}

/// Each part to its place, if that is free. Can be done again after every instant.
async fn put_in_place(card: &Card, identity: &str, reporter: &mut Reporter) -> Result<Done> {
    let staging = card.path(STAGING);
    let text = fs::read_to_string(staging.join(MANIFEST)).context("reading the unpacked backup")?;
    let manifest = Manifest::parse(&text).map_err(|why| anyhow::anyhow!(why))?;
    reporter.note(Step::Restore, Outcome::Working, format!("restoring {}", made_by(&manifest)));
    let services = names(&staging.join(SERVICES))?;
    let apps = names(&staging.join(APPS))?;
    let mut left = Vec::new();
    let mut owner = false;
    for part in parts(&manifest, &services, &apps) {
        let inside = part.path(&manifest);
        let from = staging.join(&inside);
        // It took its place before the power was cut.
        if fs::symlink_metadata(&from).is_err() {
            continue;
        }
        let to = match &part {
            Part::Volume(volume) => match place_of_volume(volume).await? {
                Ok(place) => place,
                Err(done) => return Ok(done),
            },
            Part::Service(_) | Part::Settings | Part::State => card.path(&inside),
        };
        if was_put(&staging, &from, &to)? {
            continue;
        }
        // Somebody may have claimed the device meanwhile.
        if let Some(why) = kept(&part, there(&to)?, claim::claimed(card)) {
            forget(&to)?;
            left.push(why);
            continue;
        }
        if let Some(app) = part.running_app(&manifest) {
            // Once it is there, the next step starts it, as it does with what was copied from the boot partition.
            card.stamp(&format!("copied/{app}"), Stamp { inputs: identity.to_owned(), redacted: None })?;
        }
        match &part {
            Part::State => match give_back_state(card, &from).await? {
                Some(owned) => owner = owned,
                None => left.extend(kept(&part, There::InUse, true)),
            },
            Part::Volume(_) | Part::Service(_) | Part::Settings => {
                if part == Part::Settings {
                    card.keep_original(SETTINGS)?;
                    let group = card.daemon_owner().map(|(_, group)| group);
                    chown(&from, Some(Uid::from_raw(0)), group)
                        .context("giving the settings to the daemon")?;
                }
                put(&staging, &from, &to).await.context(
                    "not all of the backup is restored; it is gone on with at the next start of the device",
                )?;
            }
        }
        failpoint::hit("firstboot.restore.placed");
    }
    // A process that died while the daemon was stopped left it so.
    daemon(card, "start").await.context("the daemon does not start")?;
    card.stamp(RESTORED, Stamp { inputs: identity.to_owned(), redacted: None })?;
    failpoint::hit("firstboot.restore.done");
    remove(&staging)?;
    let whose = made_by(&manifest);
    let owner = if owner { ", with its owner" } else { "" };
    Ok(if left.is_empty() {
        Done::well(format!("restored {whose}{owner}"))
    } else {
        Done::badly(format!("restored {whose}{owner}, but not all of it: {}", left.join("; ")))
    })
}

/// Where the engine keeps a volume, which it makes if there is none; `Err` with what ends the step while it is away.
async fn place_of_volume(volume: &SavedVolume) -> Result<Result<PathBuf, Done>> {
    let host = std::env::var("DOCKER_HOST").unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned());
    let made = async { Engine::connect(&host).await?.create_volume(volume).await };
    match made.await {
        Ok(made) => Ok(Ok(PathBuf::from(made.mountpoint))),
        Err(error) if error.engine_is_away() => {
            let why = format!("the engine does not answer ({error}); it is tried again every minute");
            Ok(Err(Done::Badly { why, again: true }))
        }
        Err(error) => bail!(
            "the volume {} cannot be made: {error}; nothing more is restored until it can, at the next start of the device",
            volume.name
        ),
    }
}

/// History, owner and tokens, in the place of the state of a device that nobody has claimed. Whether the device has an owner now;
/// `None` when somebody claimed it in the last moment, and keeps it.
async fn give_back_state(card: &Card, from: &Path) -> Result<Option<bool>> {
    let folder = from.parent().context("a state at no place")?;
    let state = Store::open(folder).context("the state in the backup")?;
    state.forget_machine(&[loops::device::MEMORY, work::board::LOST])?;
    let owned = state.password()?.is_some();
    // Closed, it has no log beside it.
    drop(state);
    let stopped = daemon(card, "stop").await;
    let placed = match stopped {
        Ok(()) => place_state(card, from),
        Err(error) => Err(error.context("the daemon could not be stopped, so its state is not restored")),
    };
    // Whatever became of it: a device without its daemon shows nothing.
    let started = daemon(card, "start").await;
    let placed = placed?;
    started.context("the daemon does not start")?;
    Ok(placed.then_some(owned))
}

async fn daemon(card: &Card, verb: &str) -> Result<()> {
    if !card.is_live() {
        return Ok(());
    }
    Run::new("systemctl", [verb, "dockbeacon.service"]).patience(STOP).run().await.map(drop)
}

/// Whether it was put in its place: not over the password of somebody who was quicker.
fn place_state(card: &Card, from: &Path) -> Result<bool> {
    let now = card.path(DAEMON_STATE);
    if now.join(store::FILE_NAME).exists()
        && Store::open(&now).is_ok_and(|now| matches!(now.password(), Ok(Some(_))))
    {
        return Ok(false);
    }
    // SQLite makes a copy readable by all.
    fs::set_permissions(from, Permissions::from_mode(0o600)).context("closing the state to others")?;
    if let Some((uid, gid)) = card.daemon_owner() {
        chown(from, Some(uid), Some(gid)).context("giving the state to the daemon")?;
    }
    let file = store::FILE_NAME;
    // A log belongs to its file: beside another one it would be written into that.
    for log in ["-wal", "-shm"] {
        card.remove(&format!("{DAEMON_STATE}/{file}{log}"))?;
    }
    let to = card.path(&format!("{DAEMON_STATE}/{file}"));
    fs::rename(from, &to).with_context(|| format!("putting {} in its place", to.display()))?;
    sync_folder(&card.path(DAEMON_STATE)).context("writing the state")?;
    failpoint::hit("firstboot.restore.state");
    Ok(true)
}
