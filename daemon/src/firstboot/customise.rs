//! What the owner asked for on the boot partition is done.
//!
//! Owns carrying out acts on the card, and overwriting the secrets afterwards. Must never apply anything of a file that is not
//! valid throughout.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Context as _, Result, bail};
use dockbeacon_core::provision::Problem;
use dockbeacon_core::provision::acts::{Act, Existing, acts, left_out};
use dockbeacon_core::provision::customisation::{Customisation, Password, User, WifiKey};
use dockbeacon_core::provision::redact::redacted;
use dockbeacon_core::provision::source::{self, Found};
use dockbeacon_core::provision::steps::{Stamp, Step};
use nix::unistd::{Gid, Uid, chown};
use serde::{Deserialize, Serialize};

use super::Done;
use super::card::{Card, hash, make_folder};
use super::report::{Reporter, say};
use crate::failpoint;
use crate::runner::{Run, installed};

/// What is being overwritten, kept so that a power cut in it is noticed.
const OVERWRITING: &str = "var/lib/dockbeacon-firstboot/overwriting.json";

/// The files that ask for something.
#[derive(Debug)]
pub struct Asked {
    files: BTreeMap<&'static str, Vec<u8>>,
    found: Found,
}

#[derive(Debug, Serialize, Deserialize)]
struct Overwriting {
    ranges: BTreeMap<String, Vec<Range<usize>>>,
    after: BTreeMap<String, String>,
}

impl Asked {
    /// The hash of everything that the answer depends on.
    pub fn hash(&self) -> String {
        let mine = self.files.iter().filter(|(name, _)| self.found.files.contains(name));
        hash(mine.flat_map(|(name, content)| [name.as_bytes(), content.as_slice()]))
    }

    fn ranges(&self, c: &Customisation) -> BTreeMap<String, Vec<Range<usize>>> {
        let mut ranges: BTreeMap<String, Vec<Range<usize>>> = BTreeMap::new();
        for secret in &c.secrets {
            ranges.entry(secret.file.clone()).or_default().push(secret.bytes.clone());
        }
        ranges
    }

    /// The same after the secrets were overwritten.
    fn after(&self, c: &Customisation) -> Self {
        let mut files = self.files.clone();
        let ranges = self.ranges(c);
        for (name, content) in &mut files {
            if let Some(ranges) = ranges.get(*name) {
                *content = redacted(content, ranges);
            }
        }
        Self { files, found: self.found.clone() }
    }

    /// The wireless networks that were asked for, with their places, for when none is reached.
    pub fn networks(&self) -> Vec<String> {
        let Ok(c) = &self.found.outcome else { return Vec::new() };
        let file = self.found.files.last().copied().unwrap_or_default();
        c.wifi
            .iter()
            .map(|wifi| {
                let name = String::from_utf8_lossy(&wifi.ssid).into_owned();
                let used =
                    if wifi.key == WifiKey::Used { ", whose password was overwritten after use" } else { "" };
                format!("{name:?} ({file}:{}{used})", wifi.line)
            })
            .collect()
    }
}

/// Reads the files of the boot partition; `None` where none of them asks for anything.
pub fn asked(card: &Card) -> Option<Asked> {
    if !card.boot_is_there() {
        return None;
    }
    if let Err(error) = finish_overwriting(card) {
        say(&format!("first boot: {error:#}"));
    }
    let mut files = BTreeMap::new();
    let mut unreadable = None;
    for name in source::FILES {
        match card.boot_file(name) {
            Ok(Some(content)) => {
                files.insert(name, content);
            }
            Ok(None) => {}
            Err(error) => {
                let problem = Problem {
                    file: name.to_owned(),
                    line: 0,
                    what: format!("{error:#}"),
                    remedy: "write the file anew".to_owned(),
                };
                // Which file wins is known only when all of them can be read.
                unreadable.get_or_insert(Found { files: vec![name], outcome: Err(vec![problem]) });
            }
        }
    }
    let found = match unreadable {
        Some(found) => found,
        None => source::read(&files)?,
    };
    Some(Asked { files, found })
}

/// Does what is asked for.
pub async fn apply(card: &Card, asked: &Asked, reporter: &mut Reporter) -> Done {
    let names = asked.found.files.join(" and ");
    let c = match &asked.found.outcome {
        Ok(c) => c,
        Err(problems) => {
            reporter.problems(problems.iter().cloned());
            return Done::badly(format!(
                "{names} is not valid and nothing of it is done; correct it on the boot partition and start the device again"
            ));
        }
    };
    reporter.problems(c.notices.iter().cloned());
    for sentence in left_out(c) {
        reporter.problems([whole(&names, sentence, "nothing needs to be done")]);
    }
    if let Err(error) = do_all(card, c, &names, reporter).await {
        return Done::badly(format!("{error:#}"));
    }
    failpoint::hit("firstboot.customise.done");
    let stamp = Stamp { inputs: asked.hash(), redacted: Some(asked.after(c).hash()) };
    if let Err(error) = card.stamp(Step::Customise.name(), stamp) {
        return error.into();
    }
    failpoint::hit("firstboot.customise.stamped");
    match overwrite(card, asked, c) {
        Ok(()) => Done::well(format!("set up as {names} asks for")),
        Err(error) => Done::badly(format!(
            "set up as {names} asks for, but {error:#}; remove the passwords from it yourself"
        )),
    }
}

fn whole(file: &str, what: String, remedy: &str) -> Problem {
    Problem { file: file.to_owned(), line: 0, what, remedy: remedy.to_owned() }
}

async fn do_all(card: &Card, c: &Customisation, names: &str, reporter: &mut Reporter) -> Result<()> {
    let existing = Existing {
        hosts: card.text("etc/hosts").unwrap_or_default(),
        engine: card.text("etc/docker/daemon.json").unwrap_or_default(),
        settings: card.text("etc/dockbeacon/config.yaml").unwrap_or_default(),
    };
    let used = c.wifi.iter().enumerate().filter(|(_, wifi)| wifi.key == WifiKey::Used);
    for (at, wifi) in used {
        if !card.path(&dockbeacon_core::provision::acts::wifi_path(at + 1)).exists() {
            reporter.problems([Problem {
                file: names.to_owned(),
                line: wifi.line,
                what: "the password of this wireless network was overwritten after an earlier use".to_owned(),
                remedy: "write it again".to_owned(),
            }]);
        }
    }
    for one in acts(c, &existing)? {
        act(card, &one).await?;
        failpoint::hit("firstboot.customise.act");
    }
    Ok(())
}

/// After everything was done and stamped: overwrites what is not yet overwritten.
pub fn finish(card: &Card, asked: &Asked, reporter: &mut Reporter) -> Done {
    let Ok(c) = &asked.found.outcome else { return Done::nothing("done earlier") };
    reporter.problems(c.notices.iter().cloned());
    match overwrite(card, asked, c) {
        Ok(()) => Done::nothing("done earlier"),
        Err(error) => error.into(),
    }
}

fn overwrite(card: &Card, asked: &Asked, c: &Customisation) -> Result<()> {
    if c.secrets.is_empty() {
        return Ok(());
    }
    let after = asked.after(c);
    let ranges = asked.ranges(c);
    let hashes = ranges
        .keys()
        .filter_map(|name| {
            after.files.get(name.as_str()).map(|content| (name.clone(), hash([content.as_slice()])))
        })
        .collect();
    let note = Overwriting { ranges, after: hashes };
    card.write(OVERWRITING, &serde_json::to_vec(&note)?, 0o600, None)?;
    finish_overwriting(card)
}

/// Overwrites what is noted. A file that somebody has changed since is left as it is.
fn finish_overwriting(card: &Card) -> Result<()> {
    let Some(text) = card.text(OVERWRITING) else { return Ok(()) };
    let note: Overwriting = serde_json::from_str(&text).context("reading what was being overwritten")?;
    for (name, ranges) in &note.ranges {
        let Some(now) = card.boot_file(name)? else { continue };
        let ours =
            note.after.get(name).is_some_and(|after| hash([redacted(&now, ranges).as_slice()]) == *after);
        if ours {
            card.overwrite(name, ranges)?;
        }
        failpoint::hit("firstboot.customise.overwritten");
    }
    card.remove(OVERWRITING)
}

/// Carries out one act.
pub async fn act(card: &Card, act: &Act) -> Result<()> {
    match act {
        Act::Write(file) => {
            card.keep_original(&file.path)?;
            let group = card.daemon_owner().filter(|_| file.for_daemon).map(|(_, group)| group);
            let owner = group.map(|group| (Uid::from_raw(0), group));
            card.write(&file.path, file.content.as_bytes(), file.mode, owner)
        }
        Act::Link { path, target } => {
            card.keep_original(path)?;
            card.link(path, target)
        }
        Act::HostName(name) => {
            if card.is_live() {
                nix::unistd::sethostname(name).context("setting the host name")?;
            }
            Ok(())
        }
        Act::Account(user) => account(card, user).await,
        Act::Service { unit, on } => service(card, unit, *on).await,
        Act::Now { program, arguments } => {
            if card.is_live() && installed(program) {
                // It only hastens what the written file brings at the next start.
                if let Err(error) = Run::new(program, arguments.iter().cloned()).run().await {
                    say(&format!("first boot: {error:#}"));
                }
            }
            Ok(())
        }
    }
}

async fn service(card: &Card, unit: &str, on: bool) -> Result<()> {
    let verb = if on { "enable" } else { "disable" };
    if !card.is_live() {
        let root = format!("--root={}", card.root().display());
        return Run::new("systemctl", [&root, verb, unit]).run().await.map(drop);
    }
    Run::new("systemctl", [verb, unit]).run().await?;
    // Not to wait: the unit is ordered after this one.
    let verb = if on { "start" } else { "stop" };
    Run::new("systemctl", ["--no-block", verb, unit]).run().await.map(drop)
}

/// A tool of the shadow suite on this card.
fn shadow<'a>(card: &Card, program: &'a str, arguments: &[&str]) -> Run<'a> {
    let prefix = card.root().display().to_string();
    let prefix = if card.is_live() { Vec::new() } else { vec!["--prefix".to_owned(), prefix] };
    Run::new(program, prefix.into_iter().chain(arguments.iter().map(|argument| (*argument).to_owned())))
}

async fn account(card: &Card, user: &User) -> Result<()> {
    let name = user.name.as_str();
    match card.number("etc/passwd", name, 2) {
        Some(uid) if uid < 1000 => bail!("the account {name} belongs to the system; choose another name"),
        Some(_) => {}
        None => {
            card.note_account(name)?;
            let group =
                if card.number("etc/group", name, 2).is_some() { vec!["-g", name] } else { vec!["-U"] };
            let arguments = [vec!["-m", "-s", "/bin/bash"], group, vec![name]].concat();
            shadow(card, "useradd", &arguments).run().await?;
        }
    }
    let groups: Vec<&str> = user
        .groups
        .iter()
        .map(String::as_str)
        .filter(|group| card.number("etc/group", group, 2).is_some())
        .collect();
    if !groups.is_empty() {
        shadow(card, "usermod", &["-a", "-G", &groups.join(","), name]).run().await?;
    }
    // The hash is seen among the processes for an instant, at a time when nobody can log in yet.
    match &user.password {
        Some(Password::Hashed(hash)) => {
            shadow(card, "usermod", &["-p", hash.reveal(), name]).run().await?;
        }
        Some(Password::Plain(password)) => {
            let run =
                Run::new("openssl", ["passwd", "-6", "-stdin"]).input(format!("{}\n", password.reveal()));
            let hash = run.run().await?;
            shadow(card, "usermod", &["-p", hash.trim(), name]).run().await?;
        }
        Some(Password::Used) => {}
        // Not `!`, which means locked: keys are to work.
        None => {
            shadow(card, "usermod", &["-p", "*", name]).run().await?;
        }
    }
    home(card, user)
}

/// The account's folder and its keys.
fn home(card: &Card, user: &User) -> Result<()> {
    let name = user.name.as_str();
    let uid =
        card.number("etc/passwd", name, 2).with_context(|| format!("the account {name} was not made"))?;
    let gid =
        card.number("etc/passwd", name, 3).with_context(|| format!("the account {name} has no group"))?;
    let owner = (Uid::from_raw(uid), Gid::from_raw(gid));
    let home = card.field("etc/passwd", name, 5).unwrap_or_default();
    let home = home.trim_start_matches('/');
    if home.is_empty() {
        bail!("the account {name} has no folder");
    }
    let own_folder = |inside: &str, mode: u32| -> Result<()> {
        let path = card.path(inside);
        if fs::symlink_metadata(&path).is_ok_and(|meta| !meta.is_dir()) {
            bail!("{} is no folder; remove it", path.display());
        }
        if !path.exists() {
            make_folder(&path)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
        }
        chown(&path, Some(owner.0), Some(owner.1))
            .with_context(|| format!("giving {} to {name}", path.display()))
    };
    own_folder(home, 0o700)?;
    if user.keys.is_empty() {
        return Ok(());
    }
    own_folder(&format!("{home}/.ssh"), 0o700)?;
    let content = format!("{}\n", user.keys.join("\n"));
    card.write(&format!("{home}/.ssh/authorized_keys"), content.as_bytes(), 0o600, Some(owner))
}
