//! Which file is taken, and reading it.
//!
//! Owns their order: the first that is found wins, and it is not mixed with another. Must never apply anything of a file that
//! is not valid throughout.

use std::collections::BTreeMap;

use super::customisation::Customisation;
use super::reader::Reader;
use super::{Problem, cloudinit, native, preseed};
use crate::text::{Kind, yaml};

/// The files that may say something, in their order.
pub const FILES: [&str; 6] =
    ["dockbeacon.yaml", "user-data", "network-config", "meta-data", "rpi-preseed.toml", "custom.toml"];

/// The commented file that the image has on its boot partition.
pub const SAMPLE: &str = include_str!("sample.yaml");

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The files that it is in.
    pub files: Vec<&'static str>,
    /// What they say, or everything that is wrong with them.
    pub outcome: Result<Customisation, Vec<Problem>>,
}

/// Reads the files of the boot partition that are there, by name. `None` where none of them says anything.
#[must_use]
pub fn read(files: &BTreeMap<&'static str, Vec<u8>>) -> Option<Found> {
    let there = |name: &'static str| files.contains_key(name).then_some(name);
    // The image's own is all comments.
    let ours = there("dockbeacon.yaml")
        .filter(|name| files.get(name).is_some_and(|content| says_something(content)));
    if let Some(name) = ours {
        return Some(one(files, name, native::read));
    }
    let cloud: Vec<&'static str> = ["user-data", "network-config"]
        .into_iter()
        .filter(|name| files.get(name).is_some_and(|content| says_something(content)))
        .collect();
    if !cloud.is_empty() {
        return Some(imager(files, cloud));
    }
    if let Some(name) = there("rpi-preseed.toml") {
        return Some(one(files, name, |reader| preseed::read(reader, &["1", "1.0", "1.1"])));
    }
    there("custom.toml").map(|name| one(files, name, |reader| preseed::read(reader, &["1"])))
}

/// An image may come with empty files, or with comments alone, for Imager to overwrite.
fn says_something(content: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(content) else { return true };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    !matches!(yaml::read(text), Ok(node) if node.kind == Kind::Empty)
}

/// The text, and how many bytes lie before it: some editors begin a file with a byte order mark.
fn text<'f>(
    files: &'f BTreeMap<&'static str, Vec<u8>>,
    name: &'static str,
) -> Result<(&'f str, usize), Problem> {
    let content = files.get(name).map(Vec::as_slice).unwrap_or_default();
    let whole = std::str::from_utf8(content).map_err(|error| Problem {
        file: name.to_owned(),
        line: content.get(..error.valid_up_to()).unwrap_or_default().iter().filter(|b| **b == b'\n').count()
            + 1,
        what: "the file is not text in UTF-8".to_owned(),
        remedy: "save it as UTF-8".to_owned(),
    })?;
    let text = whole.strip_prefix('\u{feff}').unwrap_or(whole);
    Ok((text, whole.len() - text.len()))
}

fn one(
    files: &BTreeMap<&'static str, Vec<u8>>,
    name: &'static str,
    read: impl FnOnce(&mut Reader<'_>) -> Customisation,
) -> Found {
    let outcome = text(files, name).map_err(|problem| vec![problem]).and_then(|(text, before)| {
        let mut reader = Reader::new(name, text, before);
        let customisation = read(&mut reader);
        finish(customisation, [reader])
    });
    Found { files: vec![name], outcome }
}

fn imager(files: &BTreeMap<&'static str, Vec<u8>>, names: Vec<&'static str>) -> Found {
    let mut customisation = Customisation::default();
    let mut readers = Vec::new();
    let mut unreadable = Vec::new();
    for name in &names {
        match text(files, name) {
            Ok((text, before)) => {
                let mut reader = Reader::new(name, text, before);
                if *name == "user-data" {
                    cloudinit::user_data(&mut reader, &mut customisation);
                } else {
                    cloudinit::network_config(&mut reader, &mut customisation);
                }
                readers.push(reader);
            }
            Err(problem) => unreadable.push(problem),
        }
    }
    let outcome = if unreadable.is_empty() { finish(customisation, readers) } else { Err(unreadable) };
    Found { files: names, outcome }
}

fn finish<'t>(
    mut customisation: Customisation,
    readers: impl IntoIterator<Item = Reader<'t>>,
) -> Result<Customisation, Vec<Problem>> {
    let mut errors = Vec::new();
    for mut reader in readers {
        if errors.is_empty() {
            let mut names = std::collections::BTreeSet::new();
            for user in &customisation.users {
                if !names.insert(&user.name) {
                    reader.wrong(
                        crate::text::Place { line: 0, column: 0 },
                        format!("the account {} stands there twice", user.name),
                        "write everything about it in one place",
                    );
                }
            }
        }
        errors.extend(reader.errors);
        customisation.notices.extend(reader.notices);
        customisation.secrets.extend(reader.secrets);
    }
    errors.sort_by_key(|problem| problem.line);
    errors.dedup();
    if errors.is_empty() { Ok(customisation) } else { Err(errors) }
}
