//! The file of a backup: a tar archive, packed with gzip, that any computer can read.
//!
//! Owns running tar: it keeps owners, modes, links, holes and extended attributes, and knows the tricks that an archive can play on
//! whoever unpacks it. Must never decide what belongs into a backup or comes out of one.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use dockbeacon_core::backup::{MANIFEST, Manifest, check_entries};

use crate::runner::{Run, path};

/// A large disk over USB 2.
const PATIENCE: Duration = Duration::from_secs(12 * 3600);
/// No manifest is larger.
const LARGEST: u64 = 16 * 1024 * 1024;
/// What tar answers when files changed while it read them: all of them are in the archive.
const CHANGED: i32 = 1;

/// Files that go into an archive: a folder, and paths relative to it that keep their names.
pub type Source<'s> = (&'s Path, Vec<String>);

/// Writes an archive into an open file. Whether files changed while they were read.
///
/// # Errors
/// With the end of what tar says: no room, a file that cannot be read.
pub async fn write(into: &File, sources: &[Source<'_>]) -> Result<bool> {
    let mut arguments: Vec<String> = [
        "--create",
        "--numeric-owner",
        "--acls",
        "--xattrs",
        "--xattrs-include=*",
        "--sparse",
        "--warning=no-file-ignored",
        // A Pi packs with its quickest level about as fast as its card reads.
        "--use-compress-program=gzip -1",
        "--file=-",
    ]
    .map(str::to_owned)
    .to_vec();
    for (folder, paths) in sources.iter().filter(|(_, paths)| !paths.is_empty()) {
        arguments.push(format!("--directory={}", folder.display()));
        arguments.extend(paths.iter().cloned());
    }
    let out = into.try_clone().context("writing the backup")?;
    let status = Run::new("tar", arguments).patience(PATIENCE).output(out).tolerate(CHANGED).status().await?;
    Ok(status == CHANGED)
}

/// Reads an archive from its beginning to its end: what it holds, and that it is whole and writes only where a backup may.
///
/// # Errors
/// In words that go after `NAME: `, with what to do.
pub async fn check(file: &Path) -> Result<Manifest> {
    let file = file.to_owned();
    tokio::task::spawn_blocking(move || {
        let manifest = manifest(&file)?;
        let mut tar = tar(&["--list", "--quoting-style=escape"], &file, &[])?;
        let out = tar.child.stdout.take().context("tar has no output")?;
        let entries = BufReader::new(out).lines().map_while(Result::ok);
        let entries = check_entries(entries, &manifest);
        // What ends early is damaged; what it lacks is then no news.
        done(tar)?;
        entries.map_err(|why| anyhow!(why))?;
        Ok(manifest)
    })
    .await
    .context("reading the backup")?
}

/// Unpacks an archive that was checked.
///
/// # Errors
/// With the end of what tar says: no room above all.
pub async fn unpack(file: &Path, into: &Path) -> Result<()> {
    let arguments = [
        "--extract",
        "--gzip",
        "--numeric-owner",
        "--same-owner",
        "--same-permissions",
        "--acls",
        "--xattrs",
        "--xattrs-include=*",
        "--delay-directory-restore",
    ];
    let places = [format!("--file={}", file.display()), format!("--directory={}", into.display())];
    let arguments = arguments.map(str::to_owned).into_iter().chain(places);
    Run::new("tar", arguments).patience(PATIENCE).run().await.map(drop)
}

fn manifest(file: &Path) -> Result<Manifest> {
    // It is the first: nothing behind it is read.
    let mut tar = tar(&["--extract", "--to-stdout", "--occurrence=1"], file, &[MANIFEST])?;
    let mut text = String::new();
    let out = tar.child.stdout.take().context("tar has no output")?;
    let read = out.take(LARGEST).read_to_string(&mut text);
    let ended = done(tar);
    if text.is_empty() {
        let other = ended.as_ref().is_err_and(|error| error.to_string().contains("Not found in archive"));
        if !other {
            ended?;
        }
        bail!("it has no {MANIFEST}; it was not made by Dockbeacon");
    }
    read.context("reading it")?;
    Manifest::parse(&text).map_err(|why| anyhow!(why))
}

fn tar(what: &[&str], file: &Path, members: &[&str]) -> Result<Tar> {
    let mut child = Command::new("tar")
        .args(what)
        .args(["--gzip", "--warning=no-unknown-keyword"])
        .arg(format!("--file={}", file.display()))
        .args(members)
        .env("PATH", path())
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("tar cannot be run; is it installed?")?;
    let stderr = child.stderr.take();
    let said = std::thread::spawn(move || {
        let mut said = Vec::new();
        let mut rest = stderr.map(|stderr| stderr.take(LARGEST));
        if let Some(rest) = &mut rest {
            // What cannot be read is only missing in a message.
            let _ = rest.read_to_end(&mut said);
        }
        String::from_utf8_lossy(&said).into_owned()
    });
    Ok(Tar { child, said })
}

/// A program whose complaints are read while it works: a full pipe would stop it.
struct Tar {
    child: Child,
    said: JoinHandle<String>,
}

/// The end of a program whose output was read.
fn done(tar: Tar) -> Result<()> {
    let mut child = tar.child;
    drop(child.stdout.take());
    let status = child.wait().context("waiting for tar")?;
    let said = tar.said.join().unwrap_or_default();
    if status.success() {
        return Ok(());
    }
    let first = said.lines().find(|line| !line.trim().is_empty()).unwrap_or("it cannot be read");
    bail!("it is damaged or not complete ({first}); use another backup, or copy it again")
}
