//! Back to a new card, asked for on the boot partition or on the page.
//!
//! Owns the flag and the wiping. It runs before anything that uses what is wiped: engine, containerd and daemon. Must never wipe
//! on a flag that it could not take away before: that would wipe at every start.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use dockbeacon_core::backup::APPS;
use dockbeacon_core::provision::reset::{Extent, FILE, extent};

use super::card::{Card, make_folder, sync_folder};
use super::claim;
use super::report::say;
use crate::failpoint;
use crate::owner;
use crate::runner::Run;

/// Root's own flag: what it says is carried out to its end, over power cuts.
const FLAG: &str = "var/lib/dockbeacon-firstboot/reset";

/// What was stopped for switching off, while the daemon's folder is emptied.
const STOPPED: &str = "var/lib/dockbeacon-firstboot/stopped";

/// Carries out a reset that was asked for; what was done.
pub async fn carry_out(card: &Card) -> Result<Option<String>> {
    take(card)?;
    let Some(text) = card.text(FLAG) else { return Ok(None) };
    let extent = extent(&text);
    say(&format!("dockbeacon: factory reset: {}", extent.words()));
    // Before the daemon's own mark goes: with its data, a device is not new again.
    let had_owner = format!("var/lib/dockbeacon-firstboot/{}", owner::HAD_OWNER);
    if extent == Extent::Settings && claim::had_owner(card) {
        card.write(&had_owner, b"", 0o600, None)?;
    }
    keep_stopped(card, extent)?;
    for folder in extent.folders() {
        empty(&card.path(folder))?;
        failpoint::hit("firstboot.reset.emptied");
    }
    give_stopped(card)?;
    for name in accounts(card) {
        if card.number("etc/passwd", &name, 2).is_some() {
            let root = card.root().display().to_string();
            let mut arguments = if card.is_live() { Vec::new() } else { vec!["--prefix".to_owned(), root] };
            arguments.push("--force".to_owned());
            if extent == Extent::Everything {
                arguments.push("--remove".to_owned());
            }
            arguments.push(name);
            Run::new("userdel", arguments).run().await?;
        }
    }
    card.restore_originals()?;
    failpoint::hit("firstboot.reset.restored");
    keys(card)?;
    empty(&card.state("restore"))?;
    // Everything that was stamped is to be done again; the clock is no setting.
    if extent == Extent::Everything {
        card.remove(&had_owner)?;
        make_folder(&card.path(APPS))?;
    }
    for name in ["stamps.json", "written.json", "overwriting.json"] {
        card.remove(&format!("var/lib/dockbeacon-firstboot/{name}"))?;
    }
    empty(&card.state("original"))?;
    failpoint::hit("firstboot.reset.forgotten");
    card.remove(FLAG)?;
    Ok(Some("dockbeacon: factory reset: done".to_owned()))
}

/// A device that was switched off safely before the reset has stopped its services for it. They stay, so they are to be started.
fn keep_stopped(card: &Card, extent: Extent) -> Result<()> {
    match (card.text(&format!("{}/{}", super::card::DAEMON_STATE, owner::STOPPED)), extent) {
        (Some(text), Extent::Settings) => card.write(STOPPED, text.as_bytes(), 0o600, None),
        (None, Extent::Settings) => Ok(()),
        (Some(_) | None, Extent::Everything) => card.remove(STOPPED),
    }
}

/// Hands it to the daemon of the next owner.
fn give_stopped(card: &Card) -> Result<()> {
    let Some(text) = card.text(STOPPED) else { return Ok(()) };
    let to = format!("{}/{}", super::card::DAEMON_STATE, owner::STOPPED);
    card.write(&to, text.as_bytes(), 0o600, card.daemon_owner())?;
    card.remove(STOPPED)
}

/// The accounts of people: those that first boot made, and those that somebody made later.
fn accounts(card: &Card) -> BTreeSet<String> {
    let passwd = card.text("etc/passwd").unwrap_or_default();
    let people = passwd.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let (name, uid) = (fields.next()?, fields.nth(1)?.parse().ok()?);
        Extent::takes_account(uid).then(|| name.to_owned())
    });
    people.chain(card.written().accounts).collect()
}

/// Turns a request into the flag, and takes the request away.
fn take(card: &Card) -> Result<()> {
    if card.boot_is_there()
        && let Some(content) = card.boot_file(FILE)?
    {
        let wanted = extent(&String::from_utf8_lossy(&content));
        raise(card, wanted)?;
        failpoint::hit("firstboot.reset.flagged");
        card.remove(&format!("boot/firmware/{FILE}"))
            .or_else(|error| {
                card.remove(FLAG)?;
                Err(error)
            })
            .context(
                "nothing is wiped, because the file could not be removed and would wipe again at every start",
            )?;
    }
    let asked = format!("{}/{}", super::card::DAEMON_STATE, owner::RESET);
    if let Some(text) = card.text(&asked) {
        raise(card, extent(&text))?;
        card.remove(&asked)?;
    }
    Ok(())
}

/// A larger reset that was begun is not made smaller.
fn raise(card: &Card, wanted: Extent) -> Result<()> {
    let begun = card.text(FLAG).map(|text| extent(&text));
    let wanted = begun.map_or(wanted, |begun| begun.max(wanted));
    card.write(FLAG, wanted.flag().as_bytes(), 0o600, None)
}

/// Removes what is in a folder, durably.
fn empty(folder: &Path) -> Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    clear(folder)?;
    sync_folder(folder).with_context(|| format!("emptying {}", folder.display()))
}

/// Removes what is in a folder and on its file system: the folder may be a mount point, and a disk that is mounted below it is not
/// ours to wipe. Folders that lead to such a disk stay.
fn clear(folder: &Path) -> Result<()> {
    let doing = || format!("emptying {}", folder.display());
    let device = fs::symlink_metadata(folder).with_context(doing)?.dev();
    for entry in fs::read_dir(folder).with_context(doing)? {
        let path = entry.with_context(doing)?.path();
        let meta = fs::symlink_metadata(&path).with_context(|| path.display().to_string())?;
        let removed = if !meta.is_dir() {
            fs::remove_file(&path)
        } else if meta.dev() == device {
            clear(&path)?;
            fs::remove_dir(&path)
        } else {
            Ok(())
        };
        match removed {
            Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => {}
            other => other.with_context(|| format!("removing {}", path.display()))?,
        }
    }
    Ok(())
}

/// The next owner's device has another face.
fn keys(card: &Card) -> Result<()> {
    let Ok(entries) = fs::read_dir(card.path("etc/ssh")) else { return Ok(()) };
    for entry in entries {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.starts_with("ssh_host_") {
            card.remove(&format!("etc/ssh/{name}"))?;
        }
    }
    Ok(())
}
